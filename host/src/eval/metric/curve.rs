//! The areas under the two curves of points.

/// Points by score, from the highest down; those of one score together: how many, and how
/// many of them are labelled.
fn steps(labels: &[bool], scores: &[f64]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let equal = points.chunk_by(|a, b| a.0 == b.0);
    equal.map(|step| (step.len() as f64, step.iter().filter(|(_, label)| *label).count() as f64)).collect()
}

/// AUC-PR as average precision: the precision at each score, weighed by the recall that it
/// adds, without interpolation (scikit-learn's `average_precision_score`). `None` where the
/// lengths differ or nothing is labelled.
pub fn auc_pr(labels: &[bool], scores: &[f64]) -> Option<f64> {
    let positives = labels.iter().filter(|label| **label).count() as f64;
    if labels.len() != scores.len() || positives == 0.0 {
        return None;
    }
    let (mut area, mut predicted, mut hits) = (0.0, 0.0, 0.0);
    for (points, labelled) in steps(labels, scores) {
        predicted += points;
        hits += labelled;
        area += labelled / positives * hits / predicted;
    }
    Some(area)
}

/// AUC-ROC: the probability that a labelled point is above one that is not, equal ones counting
/// half (the statistic of Mann and Whitney). `None` where the lengths differ, or nothing or
/// everything is labelled.
pub fn auc_roc(labels: &[bool], scores: &[f64]) -> Option<f64> {
    let positives = labels.iter().filter(|label| **label).count() as f64;
    let negatives = labels.len() as f64 - positives;
    if labels.len() != scores.len() || positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut wins) = (negatives, 0.0);
    for (points, labelled) in steps(labels, scores) {
        let equal = points - labelled;
        below -= equal;
        wins += labelled * (below + equal / 2.0);
    }
    Some(wins / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in scikit-learn's documentation of both functions.
    const LABELS: [bool; 4] = [false, false, true, true];
    const SCORES: [f64; 4] = [0.1, 0.4, 0.35, 0.8];

    #[test]
    fn the_documented_example_of_scikit_learn() {
        assert!((auc_pr(&LABELS, &SCORES).unwrap() - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!(auc_roc(&LABELS, &SCORES), Some(0.75));
    }

    #[test]
    fn equal_scores_are_one_step() {
        assert_eq!(auc_roc(&LABELS, &[0.5; 4]), Some(0.5));
        assert_eq!(auc_pr(&LABELS, &[0.5; 4]), Some(0.5));
        assert_eq!(auc_pr(&[false; 4], &SCORES), None);
        assert_eq!(auc_roc(&[true; 4], &SCORES), None);
    }
}
