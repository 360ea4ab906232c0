//! How well the default detector does on the demo's history, over many seeds.
//!
//!     cargo run --release -p robust-seeds -- 1..31 [--verbose]
//!
//! It compiles the detector's modules and the history's as they stand (a guest and the
//! host share no workspace) and does what the demo does: fits at the slots of the grid,
//! scores each minute of the second week, and applies the event rule. For each seed it
//! prints the incidents found, other alerts a day with incidents and without, and what a
//! static threshold finds.

#[path = "../../src/calibration.rs"]
pub mod calibration;
#[path = "../../src/ensemble.rs"]
pub mod ensemble;
#[path = "../../src/forecast.rs"]
pub mod forecast;
#[path = "../../../../host/src/demo/history/mod.rs"]
pub mod history;
#[path = "../../src/member.rs"]
pub mod member;
#[path = "../../src/model.rs"]
pub mod model;
#[path = "../../src/season.rs"]
pub mod season;
pub mod series;
#[path = "../../../../host/src/demo/table.rs"]
pub mod table;
#[path = "../../src/transform.rs"]
pub mod transform;
#[path = "../../src/window.rs"]
pub mod window;

use std::time::{Duration, Instant};

use ensemble::{Ensemble, Judgement, Series};
use history::{History, STEP_MS};
use model::Model;
use series::{Kind, Millis};
use table::{Alert, Table, static_threshold};

const DAY: usize = 1440;
const THRESHOLD: f64 = 0.8;
const SNOOZE: usize = 80;
/// Points below half the threshold that close an alert.
const CLOSE: usize = 10;

/// A series as a detector sees it: counters as the increase a second since the last minute.
fn rated(history: &History, series: usize) -> Vec<f64> {
    let at = |minute: usize| history.value(series, history.start() + minute as Millis * Millis::from(STEP_MS));
    let rate = |minute: usize| match history.kind(series) {
        Kind::Counter => {
            let now = at(minute)?;
            let (elapsed, last) = (1..=5).find_map(|back| Some((back, at(minute.checked_sub(back)?)?)))?;
            Some(if now < last { now } else { now - last } * 1000.0 / f64::from(STEP_MS) / elapsed as f64)
        }
        _ => at(minute),
    };
    (0..14 * DAY).map(|minute| rate(minute).unwrap_or(f64::NAN)).collect()
}

#[derive(Default)]
struct Cost {
    fits: (usize, Duration),
    points: (usize, Duration),
    largest: usize,
}

/// Scores days 8 to 14: as many judgements as there are minutes.
fn replay(values: &[f64], origin: i64, cost: &mut Cost) -> Vec<Judgement> {
    let ensemble = Ensemble::default();
    let refit = i64::from(ensemble::refit(STEP_MS));
    let context = member::CONTEXT as usize;
    let mut bytes: Vec<u8> = Vec::new();
    let mut judgements = Vec::new();
    let mut next = 7 * DAY;
    while next < values.len() {
        // The last slot of the grid before the next point.
        let slot = ((origin + next as i64).div_euclid(refit) * refit - origin) as usize;
        let begun = Instant::now();
        let from = slot.saturating_sub(ensemble::HISTORY as usize);
        let series = |range: std::ops::Range<usize>| Series {
            start: origin + range.start as i64,
            values: &values[range],
            step_ms: STEP_MS,
        };
        bytes = ensemble.fit(series(from..slot), Model::decode_whole(&bytes)).map(|m| m.encode()).unwrap_or_default();
        cost.fits = (cost.fits.0 + 1, cost.fits.1 + begun.elapsed());
        cost.largest = cost.largest.max(bytes.len());
        let begun = Instant::now();
        let end = (slot + refit as usize).min(values.len());
        let model = Model::decode(&bytes).unwrap();
        judgements.extend(ensemble.score(&model, series(next.saturating_sub(context)..end), end - next));
        cost.points = (cost.points.0 + end - next, cost.points.1 + begun.elapsed());
        next = end;
    }
    judgements
}

/// The minutes of the second week at which an alert begins.
fn events(judgements: &[Judgement]) -> Vec<usize> {
    let mut begun: Vec<usize> = Vec::new();
    let mut open: Option<usize> = None;
    for (minute, judgement) in judgements.iter().enumerate() {
        open = match open {
            Some(quiet) if judgement.score < THRESHOLD / 2.0 => Some(quiet + 1).filter(|&q| q < CLOSE),
            Some(_) if judgement.score >= THRESHOLD / 2.0 => Some(0),
            other => other,
        };
        let snoozed = begun.last().is_some_and(|last| minute - last < SNOOZE);
        if open.is_none() && !snoozed && judgement.score >= THRESHOLD {
            begun.push(minute);
            open = Some(0);
        }
    }
    begun
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verbose = arguments.iter().any(|a| a == "--verbose");
    let seeds = arguments.iter().find_map(|a| {
        let (from, to) = a.split_once("..")?;
        Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?)
    });
    let mut cost = Cost::default();
    let mut sums = [0.0; 4];
    let seeds = seeds.unwrap_or(1..4);
    let mut missed = std::collections::BTreeMap::<&str, usize>::new();
    let mut trivial = std::collections::BTreeMap::<&str, usize>::new();
    let mut blamed = std::collections::BTreeMap::<String, usize>::new();
    for seed in seeds.clone() {
        // Each seed begins on another weekday and at another hour.
        let start = 1_767_571_200_000 + (seed as Millis % 7) * 86_400_000 + (seed as Millis * 5 % 24) * 3_600_000;
        let origin = start / Millis::from(STEP_MS);
        let histories = [true, false].map(|incidents| History::generate(seed, start, incidents));
        let time = |minute: usize| start + minute as Millis * Millis::from(STEP_MS);
        let (week, judged) = (time(0)..time(7 * DAY), time(7 * DAY)..time(14 * DAY));
        let times: Vec<Millis> = (0..14 * DAY).map(time).collect();
        let mut alerts = [Vec::new(), Vec::new()];
        let mut thresholds = Vec::new();
        let mut scores = Vec::new();
        for (index, labels) in histories[0].series().iter().enumerate() {
            let columns = histories.each_ref().map(|h| rated(h, index));
            let same = columns[0].iter().zip(&columns[1]).all(|(a, b)| a.to_bits() == b.to_bits());
            let first = replay(&columns[0], origin, &mut cost);
            let second = if same { first.clone() } else { replay(&columns[1], origin, &mut cost) };
            for (list, judgements) in alerts.iter_mut().zip([&first, &second]) {
                list.extend(events(judgements).into_iter().map(|minute| Alert {
                    labels: labels.clone(),
                    began: time(7 * DAY + minute),
                    score: judgements[minute].score,
                    foretold: None,
                }));
            }
            let snooze = SNOOZE as Millis * Millis::from(STEP_MS);
            thresholds.extend(static_threshold(labels, &times, &columns[0], week.clone(), judged.clone(), snooze));
            scores.push(first);
        }
        let of = |alerts: &[Alert], history: &History| {
            Table::judge(history.incidents(), history.series(), alerts, judged.clone())
        };
        let table = of(&alerts[0], &histories[0]);
        let quiet = of(&alerts[1], &histories[1]);
        let fixed = of(&thresholds, &histories[0]);
        println!(
            "seed {seed:3}: found {}/7  others {:.2}/day  without incidents {:.2}/day  static {}/7  delays {:?}",
            table.found(),
            table.others_a_day(),
            quiet.others_a_day(),
            fixed.found(),
            table.rows.iter().map(|r| r.found.as_ref().map_or(-1, |f| f.delay_ms / 60_000)).collect::<Vec<_>>()
        );
        for (row, incident) in table.rows.iter().zip(histories[0].incidents()) {
            if row.found.is_none() {
                *missed.entry(row.scenario.name()).or_default() += 1;
            }
            let fixed = fixed.rows.iter().find(|r| r.scenario == row.scenario).and_then(|r| r.found.clone());
            if let Some(found) = fixed {
                *trivial.entry(row.scenario.name()).or_default() += 1;
                if verbose {
                    println!("    a threshold finds {}: {}", row.scenario.name(), found.labels);
                }
            }
            if verbose && row.found.is_none() {
                println!("    {row} (day {:.2})", (row.span.start - start) as f64 / 86.4e6 + 1.0);
                for &series in &incident.series {
                    let first = ((incident.span.start - judged.start) / 60_000) as usize;
                    let last = ((incident.span.end - judged.start) / 60_000) as usize;
                    let best = scores[series][first..last].iter().max_by(|a, b| a.score.total_cmp(&b.score)).unwrap();
                    println!("        {:.2} {:.1?} {}", best.score, best.votes, histories[0].series()[series]);
                }
            }
        }
        for other in table.others.iter().chain(&quiet.others) {
            *blamed.entry(other.labels.to_string()).or_default() += 1;
        }
        if verbose {
            for (name, others) in [("other", &table.others), ("without", &quiet.others)] {
                for alert in others {
                    let day = (alert.began - start) as f64 / 86.4e6 + 1.0;
                    let after = histories[0]
                        .incidents()
                        .iter()
                        .find(|i| (0..86_400_000).contains(&(alert.began - i.span.start)));
                    let after = after.map_or(String::new(), |i| {
                        format!(
                            " {} min after the begin of {}",
                            (alert.began - i.span.start) / 60_000,
                            i.scenario.name()
                        )
                    });
                    let index = histories[0].series().iter().position(|l| *l == alert.labels).unwrap();
                    let at = ((alert.began - judged.start) / 60_000) as usize;
                    println!("    {name}: day {day:.3} {} {:.1?}{after}", alert.labels, scores[index][at].votes);
                }
            }
        }
        for (sum, value) in sums.iter_mut().zip([
            table.found() as f64,
            table.others_a_day(),
            quiet.others_a_day(),
            fixed.found() as f64,
        ]) {
            *sum += value;
        }
    }
    let count = (seeds.end - seeds.start) as f64;
    let [found, others, quiet, fixed] = sums.map(|s| s / count);
    println!("mean: found {found:.2}  others {others:.3}/day  without incidents {quiet:.3}/day  static {fixed:.2}");
    println!("missed: {missed:?}");
    println!("found by a threshold: {trivial:?}");
    println!("other alerts by series: {blamed:#?}");
    println!(
        "{} fits of {:.2} ms, {} points of {:.1} us, models up to {} bytes",
        cost.fits.0,
        cost.fits.1.as_secs_f64() * 1e3 / cost.fits.0 as f64,
        cost.points.0,
        cost.points.1.as_secs_f64() * 1e6 / cost.points.0 as f64,
        cost.largest
    );
}
