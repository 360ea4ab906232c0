use super::*;

fn series(set: Set, seed: u64, count: usize) -> Vec<(String, Labelled)> {
    let sources = set.sources(seed, count);
    sources.iter().map(|source| (source.file.clone(), source.read(1).unwrap())).collect()
}

#[test]
fn a_series_is_the_same_however_many_are_asked_for_and_another_for_another_seed() {
    for set in [Set::Silence, Set::Incidents, Set::Season] {
        let bits = |series: &[(String, Labelled)]| series.iter().map(|(_, s)| s.digest.clone()).collect::<Vec<_>>();
        let (many, few) = (series(set, 1, 9), series(set, 1, 4));
        assert_eq!(bits(&many)[..4], bits(&few));
        assert!(bits(&series(set, 2, 9)).iter().all(|digest| !bits(&many).contains(digest)));
    }
}

#[test]
fn silence_is_a_fortnight_of_minutes_of_six_kinds_and_nothing_is_labelled() {
    let silence = series(Set::Silence, 1, 12);
    for ((name, series), (kind, _)) in silence.iter().zip(KINDS.iter().cycle()) {
        assert!(name.starts_with(&format!("{kind}-")), "{name}");
        assert_eq!((series.values.len(), series.step_ms), (14 * DAY, MINUTE_MS));
        assert!(series.values.iter().all(|value| value.is_finite()), "{name}");
        assert!(!series.labels.contains(&true));
    }
    let rare = &silence[5].1.values;
    assert!(rare.iter().filter(|count| **count == 0.0).count() as f64 > 0.9 * rare.len() as f64);
}

#[test]
fn an_incident_changes_its_own_minutes_of_the_second_week_and_no_others() {
    let (quiet, struck) = (series(Set::Silence, 1, 36), series(Set::Incidents, 1, 36));
    let mut names = std::collections::BTreeSet::new();
    for ((_, quiet), (name, struck)) in quiet.iter().zip(&struck) {
        let labelled: Vec<usize> = (0..struck.labels.len()).filter(|row| struck.labels[*row]).collect();
        let incident = name.split(['/', '-']).nth(1).unwrap();
        names.insert(incident.to_owned());
        assert_eq!(labelled.len(), if incident == "minimum" { 30 } else { 60 }, "{name}");
        assert_eq!(labelled.last().unwrap() - labelled[0], labelled.len() - 1);
        assert!(labelled[0] >= 7 * DAY);
        for row in 0..quiet.values.len() {
            assert!(struck.labels[row] || quiet.values[row].to_bits() == struck.values[row].to_bits(), "{name}");
        }
        let changed = labelled.iter().filter(|row| quiet.values[**row] != struck.values[**row]).count();
        assert!(changed * 2 > labelled.len(), "{name}: {changed} of {} minutes", labelled.len());
        let least = |series: &Labelled| series.values.iter().copied().fold(f64::INFINITY, f64::min);
        if incident == "minimum" {
            assert!(labelled.iter().all(|row| struck.values[*row] == least(quiet)));
        }
        if name.starts_with("poisson") || name.starts_with("rare") {
            assert!(struck.values.iter().all(|value| *value >= 0.0 && value.fract() == 0.0));
        }
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["half", "minimum", "noise"]);
}

#[test]
fn three_of_four_have_a_day_and_one_of_twenty_values_is_missing() {
    let sources = Set::Season.sources(3, 32);
    assert_eq!(sources.iter().filter(|source| source.season() == Some(Truth::Day)).count(), 24);
    for source in &sources {
        let values = source.read(1).unwrap().values;
        assert_eq!(values.len(), 5 * DAY);
        let missing = values.iter().filter(|value| value.is_nan()).count() as f64 / values.len() as f64;
        assert!((0.03..0.07).contains(&missing), "{}: {missing}", source.file);
    }
}

#[test]
fn a_set_that_is_not_there_is_named() {
    assert_eq!("silence".parse(), Ok(Set::Silence));
    assert!("noise".parse::<Set>().unwrap_err().contains("write generated:silence"));
}
