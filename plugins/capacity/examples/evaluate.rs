//! How early and how rightly `capacity` speaks, on series that are made up:
//! `cargo run --release -p capacity --example evaluate [SERIES_A_KIND]`.
//!
//! A point each ten minutes, a limit of 90, a horizon of a week, and four weeks, of which the
//! last three are judged with models of the day. The event rule is that of anomd with its
//! defaults: an alert begins at 0.8 and ends after ten points below half of it. The seeds are
//! not those of the tests.

use capacity::Model;
use capacity::forecast::{Limit, Side, ahead, context};

const STEP: u32 = 600_000;
const DAY: usize = 144;
const WEEK: usize = 7 * DAY;
const LENGTH: usize = 4 * WEEK;
const LIMIT: f64 = 90.0;
const MONDAY: i64 = 1_767_571_200_000 / STEP as i64;
/// Points below half the threshold that end an alert.
const QUIET: usize = 10;

/// A generator of numbers, by splitmix64.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (self.uniform() * std::f64::consts::TAU).cos()
    }
}

type Make = fn(&mut Dice) -> Vec<f64>;

fn each(value: impl FnMut(usize) -> f64) -> Vec<f64> {
    (0..LENGTH).map(value).collect()
}

fn day(column: usize) -> f64 {
    column as f64 / DAY as f64
}

/// The load of people: by day, and less at weekends.
fn people(column: usize) -> f64 {
    let hour = day(column).fract() * 24.0;
    let weekend = if (column / DAY) % 7 >= 5 { 0.4 } else { 1.0 };
    weekend * (0.15 + 0.85 * (-((hour - 14.0) / 4.5).powi(2)).exp())
}

const QUIET_KINDS: [(&str, Make); 9] = [
    ("noise, near the limit", |dice| {
        let (level, size) = (dice.between(60.0, 84.0), dice.between(0.2, 2.0));
        each(|_| level + size * dice.normal().clamp(-2.9, 2.9))
    }),
    ("AR(1), hours", |dice| {
        let (mut at, level, size) = (0.0, dice.between(50.0, 75.0), dice.between(0.1, 0.6));
        each(|_| {
            at = 0.97 * at + size * dice.normal();
            level + at
        })
    }),
    ("wandering for days", |dice| {
        let (mut at, level, size) = (0.0, dice.between(40.0, 65.0), dice.between(0.1, 0.5));
        each(|_| {
            at = 0.995 * at + size * dice.normal();
            level + at
        })
    }),
    ("day and weekend, peaks near the limit", |dice| {
        let (low, size) = (dice.between(10.0, 40.0), dice.between(0.5, 2.0));
        let swing = dice.between(0.7, 0.9) * (LIMIT - low);
        each(|c| low + swing * people(c) + size * dice.normal())
    }),
    ("logs, cleaned each night", |dice| {
        let (base, rate, size) = (dice.between(30.0, 60.0), dice.between(5.0, 25.0), dice.between(0.05, 0.5));
        let mut logs = 0.0;
        each(|c| {
            logs = if c % DAY == 21 { 0.0 } else { logs + rate * people(c) / 60.0 };
            base + logs + size * dice.normal()
        })
    }),
    ("logs, cleaned when full, at no fixed time", |dice| {
        let (base, rate) = (dice.between(20.0, 40.0), dice.between(5.0, 30.0));
        let (mut logs, mut full) = (0.0, 40.0);
        each(|c| {
            logs += rate * people(c) / 60.0;
            if logs > full {
                logs = 0.0;
                full = dice.between(35.0, 45.0);
            }
            base + logs + 0.1 * dice.normal()
        })
    }),
    ("files copied and deleted", |dice| {
        let (base, mut level) = (dice.between(40.0, 55.0), 0.0);
        each(|_| {
            if dice.uniform() < 0.01 {
                level = dice.between(0.0, 25.0);
            }
            base + level + 0.1 * dice.normal()
        })
    }),
    ("growth, months from the limit", |dice| {
        let (base, rate) = (dice.between(30.0, 55.0), dice.between(0.05, 0.4));
        each(|c| base + rate * day(c) + 0.6 * people(c) + 0.2 * dice.normal())
    }),
    ("memory: steps at releases, garbage collected", |dice| {
        let (mut level, mut heap) = (dice.between(40.0, 60.0), 0.0);
        each(|c| {
            if c % (2 * DAY) == 60 {
                level += dice.between(-3.0, 3.0);
            }
            heap = if heap > 8.0 { 0.0 } else { heap + dice.between(0.0, 1.0) };
            level + heap + 3.0 * people(c)
        })
    }),
];

/// Growth that begins in the second week and takes `days` to the limit from `level`.
fn growth(dice: &mut Dice, level: f64, days: f64, mut rest: impl FnMut(&mut Dice, usize) -> f64) -> Vec<f64> {
    let (begin, rate) = (dice.between(8.0, 14.0), (LIMIT - level) / days);
    let mut values = Vec::with_capacity(LENGTH);
    for column in 0..LENGTH {
        values.push(level + rate * (day(column) - begin).max(0.0) + rest(dice, column));
    }
    values
}

const RISING_KINDS: [(&str, Make); 6] = [
    ("a leak, 2 to 3 days", |dice| {
        let (level, days, size) = (dice.between(40.0, 70.0), dice.between(2.0, 3.0), dice.between(0.1, 1.0));
        growth(dice, level, days, |dice, _| size * dice.normal())
    }),
    ("a leak, 5 to 10 days", |dice| {
        let (level, days, size) = (dice.between(40.0, 70.0), dice.between(5.0, 10.0), dice.between(0.1, 1.0));
        growth(dice, level, days, |dice, _| size * dice.normal())
    }),
    ("a leak under day and weekend", |dice| {
        let (level, days, swing) = (dice.between(30.0, 50.0), dice.between(3.0, 8.0), dice.between(5.0, 15.0));
        growth(dice, level, days, |dice, c| swing * people(c) + 0.5 * dice.normal())
    }),
    ("a log that is not cleaned, beside those that are", |dice| {
        let (level, days, rate, mut logs) = (dice.between(30.0, 60.0), dice.between(3.0, 6.0), 12.0, 0.0);
        growth(dice, level, days, |dice, c| {
            logs = if c % DAY == 21 { 0.0 } else { logs + rate * people(c) / 60.0 };
            logs + 0.2 * dice.normal()
        })
    }),
    ("steady growth from the start", |dice| {
        let (days, size) = (dice.between(15.0, 24.0), dice.between(0.1, 0.8));
        let level = dice.between(40.0, 60.0);
        each(|c| level + (LIMIT - level) * day(c) / days + size * dice.normal())
    }),
    ("growth in stairs, each night", |dice| {
        let (days, level) = (dice.between(15.0, 24.0), dice.between(40.0, 60.0));
        let stair = (LIMIT - level) / days;
        each(|c| level + stair * (day(c) + 0.8).floor() + 0.1 * dice.normal())
    }),
];

/// An alert: when it began, and the forecast in which it did.
struct Alert {
    began: usize,
    forecasts: Vec<(usize, f64, f64, f64)>,
}

fn alerts(values: &[f64], until: usize) -> Vec<Alert> {
    let (mut alerts, mut on, mut quiet): (Vec<Alert>, bool, usize) = (Vec::new(), false, 0);
    let mut model = None;
    for end in WEEK..until {
        if end % DAY == 0 {
            model = Model::fit(&values[..end], MONDAY, STEP, WEEK);
        }
        let begin = (end + 1).saturating_sub(context(WEEK) + 1);
        let limit = Limit { value: LIMIT, side: Side::Above };
        let seen = model.as_ref().and_then(|m| ahead(m, &values[begin..=end], MONDAY + begin as i64, limit));
        let Some(seen) = seen else { continue };
        if !on && seen.score >= 0.8 {
            alerts.push(Alert { began: end, forecasts: Vec::new() });
            (on, quiet) = (true, 0);
        }
        quiet = if seen.score >= 0.4 { 0 } else { quiet + 1 };
        on &= quiet < QUIET;
        if let Some(alert) = alerts.last_mut().filter(|_| on && seen.score >= 0.8) {
            alert.forecasts.push((end, seen.earliest, seen.expected, seen.latest));
        }
    }
    alerts
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(40);
    println!("| nothing to tell | series | days judged | alerts a series and week |\n|---|---|---|---|");
    let (mut all, mut weeks) = (0, 0.0);
    for (kind, (name, make)) in QUIET_KINDS.iter().enumerate() {
        let mut raised = 0;
        for index in 0..count {
            let values = make(&mut Dice(7_000 + 1_000 * kind as u64 + index));
            raised += alerts(&values, LENGTH).len();
        }
        let judged = 3.0 * count as f64;
        println!("| {name} | {count} | {:.0} | {:.3} |", 7.0 * judged, raised as f64 / judged);
        (all, weeks) = (all + raised, weeks + judged);
    }
    println!("| all | | {:.0} | {:.3} |\n", 7.0 * weeks, f64::from(u32::try_from(all).unwrap_or(0)) / weeks);
    println!(
        "| on its way to the limit | told a day ahead | told at all | days ahead: a tenth, median | \
         times within their bounds | median miss of the time |\n|---|---|---|---|---|---|"
    );
    for (kind, (name, make)) in RISING_KINDS.iter().enumerate() {
        let (mut told, mut early, mut days, mut within, mut times, mut missed) = (0, 0, Vec::new(), 0, 0, Vec::new());
        for index in 0..count {
            let values = make(&mut Dice(97_000 + 1_000 * kind as u64 + index));
            // By what an hour came to, and not by its noise.
            let hour = |end: usize| quantile(&mut values[end - 5..=end].to_vec(), 0.5);
            let crossed = (5..LENGTH).find(|end| hour(*end) >= LIMIT).unwrap_or(LENGTH);
            let raised = alerts(&values, crossed);
            if let Some(first) = raised.first() {
                let lead = (crossed - first.began) as f64 / DAY as f64;
                told += 1;
                early += usize::from(lead >= 1.0);
                days.push(lead);
            }
            for (end, earliest, expected, latest) in raised.iter().flat_map(|a| &a.forecasts) {
                let left = (crossed - end) as f64;
                times += 1;
                within += usize::from(*earliest <= left && (left <= *latest || latest.is_nan()));
                missed.push((expected - left).abs() / left.max(6.0));
            }
        }
        println!(
            "| {name} | {early} of {count} | {told} of {count} | {:.1}, {:.1} | {:.0} % | {:.0} % |",
            quantile(&mut days, 0.1),
            quantile(&mut days, 0.5),
            100.0 * f64::from(u32::try_from(within).unwrap_or(0)) / f64::from(u32::try_from(times.max(1)).unwrap_or(1)),
            100.0 * quantile(&mut missed, 0.5)
        );
    }
}
