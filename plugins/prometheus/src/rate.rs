//! Counters as increases a second.

/// The rate of a counter at each of its samples from `from` on: the increase since the
/// sample before, divided by the time since then, in seconds.
///
/// A value below its predecessor is a counter that began again at 0, so the increase is the
/// value itself, as in Prometheus' `rate`; unlike there nothing is extrapolated, and each
/// step is covered by exactly one rate. Nothing is given where the predecessor is missing
/// or more than `longest_gap` milliseconds away, so a rate depends on two samples alone and
/// not on where a range was cut.
pub fn per_second(times: &[i64], values: &[f64], from: i64, longest_gap: i64) -> (Vec<i64>, Vec<f64>) {
    let pairs = times.windows(2).zip(values.windows(2));
    pairs
        .filter_map(|(time, value)| {
            let (&[before, time], &[last, value]) = (time, value) else { return None };
            let elapsed = time.saturating_sub(before);
            if time < from || elapsed <= 0 || elapsed > longest_gap {
                return None;
            }
            let increase = if value < last { value } else { value - last };
            Some((time, increase / (elapsed as f64 / 1000.0)))
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_increase_since_the_sample_before() {
        let rates = per_second(&[0, 60_000, 120_000], &[10.0, 70.0, 100.0], 0, 300_000);
        assert_eq!(rates, (vec![60_000, 120_000], vec![1.0, 0.5]));
    }

    #[test]
    fn a_counter_that_begins_again_has_not_gone_down() {
        assert_eq!(per_second(&[0, 10_000], &[1e6, 50.0], 0, 300_000).1, [5.0]);
    }

    #[test]
    fn a_short_gap_is_spread_and_a_long_one_is_not_bridged() {
        let rates = per_second(&[0, 300_000, 600_001], &[0.0, 300.0, 900.0], 0, 300_000);
        assert_eq!(rates, (vec![300_000], vec![1.0]));
    }

    #[test]
    fn the_cut_does_not_matter() {
        let times: Vec<i64> = (0..20).map(|i| i * 15_000).collect();
        let values: Vec<f64> = (0..20).map(|i| f64::from(i * i % 37)).collect();
        let whole = per_second(&times, &values, 30_000, 60_000);
        let mut parts = per_second(&times[..11], &values[..11], 30_000, 60_000);
        let rest = per_second(&times[7..], &values[7..], 11 * 15_000, 60_000);
        parts.0.extend(rest.0);
        parts.1.extend(rest.1);
        assert_eq!(parts, whole);
    }
}
