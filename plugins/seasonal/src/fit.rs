//! Learns a series: what it will be, and how far from that is ordinary.

use signal::calibration::{median, quantile};
use signal::history::{History, Reach};
use signal::odds::Odds;
use signal::period::{Belief, Period};
use signal::season;
use signal::transform::Transform;
use signal::week::Kinds;

use crate::expectation::{self, Row, average};
use crate::model::{Model, PHASES};
use crate::winters::Winters;
use crate::{Algorithm, Config, LEAST, Series};

/// Columns whose deviations are looked at, where each is dear.
const PAST: usize = 3_000;
/// An error counts for so many spreads at most, when it is learned from.
const CLIP: f32 = 3.0;

/// Learns a history; `None` if it has too few values.
pub fn fit(config: &Config, series: Series<'_>, previous: Option<Model>) -> Option<Model> {
    let Series { values, start, step_ms } = series;
    if values.iter().filter(|value| value.is_finite()).count() < LEAST {
        return None;
    }
    let end = start + values.len() as i64;
    let previous = previous.filter(|last| last.step_ms == step_ms && last.end <= end);
    let transform = Transform::of(values);
    let judged: Vec<f32> = values.iter().map(|&value| transform.apply(value)).collect();
    let more = previous.as_ref().map_or(0, |last| last.seen + (end - last.end) as u64);
    let belief = belief(config.season, &judged, step_ms, previous.as_ref());
    let mut model = Model {
        algorithm: config.algorithm,
        step_ms,
        end,
        seen: more.max(values.len() as u64),
        belief,
        kinds: Kinds::of(start, values.len(), belief.season, step_ms),
        transform,
        clip: f32::INFINITY,
        odds: Odds::default(),
        spread: [1.0; PHASES],
        memory: Vec::new(),
    };
    let (stride, deviations) = match config.algorithm {
        Algorithm::Median => medians(config, &mut model, &judged, start),
        Algorithm::HoltWinters => (1, winters(config, &mut model, &judged, start)),
    };
    let columns = || (start..).step_by(stride);
    model.spread = spreads(&model, columns().zip(&deviations));
    let raw: Vec<f32> = columns().zip(&deviations).map(|(c, d)| d.abs() / model.spread[model.phase(c)]).collect();
    model.odds = Odds::of(&raw, stride as i64 * i64::from(step_ms), 1e-6)?;
    // Few seasons know themselves better than what comes.
    let seasons = model.belief.season.map_or(f32::INFINITY, |season| values.len() as f32 / season as f32);
    model.odds.tail.excess *= 1.0 + 1.0 / seasons;
    Some(model)
}

fn belief(period: Period, judged: &[f32], step_ms: u32, last: Option<&Model>) -> Belief {
    match period.given(step_ms) {
        Some(season) => Belief { season, ..Belief::default() },
        None => last.map(|last| last.belief).unwrap_or_default().after(season::find(judged, step_ms)),
    }
}

/// Keeps the history, and what every so many columns deviated from the rest of it.
fn medians(config: &Config, model: &mut Model, judged: &[f32], start: i64) -> (usize, Vec<f32>) {
    model.memory = judged.to_vec();
    let Some(season) = model.belief.season else {
        let off = |index: usize| judged[index] - average(judged, index, config.alpha);
        return (1, (0..judged.len()).map(off).collect());
    };
    let history = History { values: judged, start, season: Some(season) };
    let reach = Reach::Around((season as i64 / 2).min(judged.len() as i64 / 8));
    let row = Row { judged, start };
    let off = |index: usize| judged[index] - expectation::median(history, model.step_ms, row, index, reach);
    // A stride that shares no factor with hours and days meets all phases.
    let coprime = |stride: &usize| [2, 3, 5].iter().all(|prime| !stride.is_multiple_of(*prime));
    let stride = ((judged.len() / PAST).max(1)..).find(coprime).unwrap_or(1);
    (stride, (0..judged.len()).step_by(stride).map(off).collect())
}

/// Runs through the history, and keeps where that led to. The first seasons begin it; their own
/// errors are not counted.
fn winters(config: &Config, model: &mut Model, judged: &[f32], start: i64) -> Vec<f32> {
    let first = model.belief.season.map_or(LEAST, |season| 2 * season).min(judged.len() / 2);
    let begin = judged.get(..first).unwrap_or_default();
    let mut winters = Winters::of(begin, start, model.belief.season, (config.alpha, config.gamma));
    let mut sizes: Vec<f32> =
        (start..).zip(begin).map(|(column, value)| (value - winters.expects(column)).abs()).collect();
    winters.clip = CLIP * typical(&mut sizes).max(1e-3);
    let mut errors = Vec::with_capacity(judged.len());
    for (column, value) in (start..).zip(judged) {
        let learned = errors.len() < first;
        errors.push(if learned { f32::NAN } else { value - winters.expects(column) });
        winters.learn(column, *value);
    }
    model.memory = winters.memory;
    model.clip = winters.clip;
    errors
}

/// The spread of deviations in each part of a season. Where a tenth of them is far larger than the
/// rest, as at the edge of a daily job, that tenth says it.
fn spreads<'a>(model: &Model, deviations: impl Iterator<Item = (i64, &'a f32)>) -> [f32; PHASES] {
    let mut parts: [Vec<f32>; PHASES] = std::array::from_fn(|_| Vec::new());
    let mut all = Vec::new();
    for (column, deviation) in deviations.filter(|(_, deviation)| !deviation.is_nan()) {
        all.push(deviation.abs());
        parts[model.phase(column)].push(deviation.abs());
    }
    let overall = typical(&mut all).max(1e-6);
    if model.belief.season.is_none() {
        return [overall; PHASES];
    }
    let parts = parts.map(|mut part| if part.len() < 30 { overall } else { typical(&mut part).max(0.3 * overall) });
    std::array::from_fn(|phase| {
        let (before, after) = (parts[(phase + PHASES - 1) % PHASES], parts[(phase + 1) % PHASES]);
        parts[phase].max(0.25 * before + 0.5 * parts[phase] + 0.25 * after)
    })
}

/// The standard deviation that absolute deviations speak of, were they normal: by their median,
/// by the one that 7 % exceed, or by the mean where most are nothing.
fn typical(deviations: &mut Vec<f32>) -> f32 {
    deviations.retain(|deviation| !deviation.is_nan());
    let mean = deviations.iter().sum::<f32>() / deviations.len().max(1) as f32;
    let far = quantile(deviations, 0.93).unwrap_or(0.0) / 1.81;
    let middle = 1.4826 * median(deviations);
    if middle.max(far) > 0.0 { middle.max(far) } else { 1.25 * mean }
}
