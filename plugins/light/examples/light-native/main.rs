//! The light detector as native code: what it costs, and what it says of generated series.
//!
//!     cargo run --release -p light --example light-native -- 100..110
//!
//! Prints events a series-day where nothing happens and the share of incidents found, by kind, at
//! 0.7 and 0.8, and the time of a fit and of a point, alone and in a row.

use light::columns::{CONTEXT, Columns};
use light::judge::judge;
use light::model::Model;
use light::{HISTORY, Series, fit, refit};
use signal::odds::Direction;
use signal::period::Period;

#[path = "../../../../host/src/eval/cpu.rs"]
mod cpu;
mod generated;

use generated::{DAY, INCIDENTS, KINDS, MINUTES, MONDAY};

const STEP_MS: u32 = 60_000;
const SNOOZE: usize = 80;
const THRESHOLDS: [f64; 2] = [0.7, 0.8];

#[derive(Default)]
struct Cost {
    fits: (usize, f64),
    points: (usize, f64),
}

/// The scores as a host would have them, a model at each slot.
fn replay(values: &[f64], cost: &mut Cost) -> Vec<f64> {
    let slot = refit(STEP_MS) as usize;
    let mut scores = vec![0.0; slot];
    let (mut bytes, mut columns) = (Vec::new(), Columns::default());
    let series = |range: std::ops::Range<usize>| Series {
        start: MONDAY + range.start as i64,
        values: &values[range],
        step_ms: STEP_MS,
    };
    for at in (slot..values.len()).step_by(slot) {
        let begun = cpu::cpu_seconds();
        let model = fit::fit(Period::Auto, series(at.saturating_sub(HISTORY as usize)..at), Model::decode(&bytes));
        bytes = model.map(|model| model.encode()).unwrap_or_default();
        cost.fits = (cost.fits.0 + 1, cost.fits.1 + (cpu::cpu_seconds() - begun));
        let end = (at + slot).min(values.len());
        let begun = cpu::cpu_seconds();
        let model = Model::decode(&bytes).expect("it was just encoded");
        let recent = series(at.saturating_sub(CONTEXT - 1)..end);
        scores.extend(judge(&model, Direction::Both, recent, end - at, &mut columns).map(|judged| judged.score));
        cost.points = (cost.points.0 + end - at, cost.points.1 + (cpu::cpu_seconds() - begun));
    }
    scores
}

fn events(scores: &[f64], threshold: f64) -> usize {
    let (mut count, mut last) = (0, None);
    for (minute, score) in scores.iter().enumerate() {
        if *score >= threshold && last.is_none_or(|last| minute - last >= SNOOZE) {
            (count, last) = (count + 1, Some(minute));
        }
    }
    count
}

fn main() {
    let seeds = std::env::args().nth(1);
    let seeds = seeds.and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?)
    });
    let seeds = seeds.unwrap_or(1..4);
    let mut cost = Cost::default();
    let mut all = [(0.0, 0.0, 0.0); THRESHOLDS.len()];
    for (kind, name) in KINDS.iter().enumerate() {
        let mut counts = [(0.0, [0; 3], [0; 3]); THRESHOLDS.len()];
        let mut days = 0.0;
        for seed in seeds.clone() {
            let calm = replay(&generated::series(kind, seed, 0..0), &mut cost);
            days += (MINUTES / DAY) as f64;
            for ((alarms, ..), threshold) in counts.iter_mut().zip(THRESHOLDS) {
                *alarms += events(&calm, threshold) as f64;
            }
            for which in 0..INCIDENTS.len() {
                let Some((values, span)) = generated::incident(kind, seed, which) else { continue };
                let scores = replay(&values, &mut cost);
                let most = scores[span.start..span.end + 5].iter().fold(0.0f64, |a, b| a.max(*b));
                for ((_, found, laid), threshold) in counts.iter_mut().zip(THRESHOLDS) {
                    laid[which] += 1;
                    found[which] += usize::from(most >= threshold);
                }
            }
        }
        print!("{name:10}");
        for (((alarms, found, laid), all), threshold) in counts.into_iter().zip(&mut all).zip(THRESHOLDS) {
            all.0 += alarms / days / KINDS.len() as f64;
            all.1 += found.iter().sum::<usize>() as f64;
            all.2 += laid.iter().sum::<usize>() as f64;
            print!(" | {threshold}: {:.3} a day, found {found:?} of {laid:?}", alarms / days);
        }
        println!();
    }
    for ((alarms, found, laid), threshold) in all.into_iter().zip(THRESHOLDS) {
        println!("at {threshold}: {alarms:.4} events a series-day, {:.0} % of incidents", 100.0 * found / laid);
    }
    let micros = |(count, time): (usize, f64)| time * 1e6 / count as f64;
    println!("fit {:.0} µs, point in a row {:.3} µs", micros(cost.fits), micros(cost.points));

    let values = generated::series(0, 1, 0..0);
    let learned = Series { values: &values[..HISTORY as usize], start: MONDAY, step_ms: STEP_MS };
    let bytes = fit::fit(Period::Auto, learned, None).expect("a week is enough").encode();
    let begun = cpu::cpu_seconds();
    let (calls, mut sum, mut columns) = (100_000, 0.0, Columns::default());
    for call in 0..calls {
        let from = HISTORY as usize + call % DAY;
        let recent = &values[from..from + CONTEXT];
        let series = Series { values: recent, start: MONDAY + from as i64, step_ms: STEP_MS };
        let model = Model::decode(&bytes).expect("it was just encoded");
        sum += judge(&model, Direction::Both, series, 1, &mut columns).map(|judged| judged.score).sum::<f64>();
    }
    println!("one point a call {:.3} µs ({sum:.1})", micros((calls, (cpu::cpu_seconds() - begun))));
}
