//! Learns a series: what is ordinary, how far from it is ordinary, and how odd the rest is.
//!
//! Each fit looks at the whole history again, a day's worth of it or ten: what is robust (medians
//! of the parts of a season, quantiles of raw scores) cannot be kept up to date in a kilobyte.
//! From the last model it takes what is dear to find: the scale, the season, the shapes.

use signal::calibration::{Tail, median, quantile};
use signal::odds::{OCCASION_MS, Odds};
use signal::period::{Belief, Period};
use signal::season;
use signal::transform::Transform;
use signal::week::Kinds;

use crate::calendar::{Calendar, Layout};
use crate::columns::{Columns, Raw, WIDEST, window};
use crate::eights::distance;
use crate::judge::{total, votes};
use crate::model::{BINS, Model, ORDER, PARTS, PHASES, POINTS, SHAPES, SPANS, Shape, kept};
use crate::plain::Plain;
use crate::{LEAST, Series};

/// Columns that are looked at for a long season, as means, and at the end of a history for a short one.
const FOLDED: usize = 2_400;
/// Columns whose raw scores the calibration rests on.
const PAST: usize = 2_400;
/// Where the tail of a part begins, as that of the sum does.
const SHARE: f64 = 0.95;
/// Past scores without which a part has no vote.
const LEAST_PAST: usize = 20;
/// The least scale of the sum's tail.
const FLOOR: f32 = 0.25;
/// Windows that shapes are learned from, and rounds of it: at first, and from those of the last model.
const WINDOWS: usize = 320;
const ROUNDS: (usize, usize) = (6, 1);
/// A shape of a smaller share of the windows is an accident.
const RARE: f32 = 0.02;

/// Learns a history; `None` if it has too few values.
pub fn fit(period: Period, series: Series<'_>, previous: Option<Model>) -> Option<Model> {
    let Series { values, start, step_ms } = series;
    if values.iter().filter(|value| value.is_finite()).count() < LEAST {
        return None;
    }
    let end = start + values.len() as i64;
    let previous = previous.filter(|last| last.step_ms == step_ms && last.end <= end);
    let sample: Vec<f64> = values.iter().copied().step_by((values.len() / FOLDED).max(1)).collect();
    // The scale stays unless the series has outgrown it.
    let previous = previous.filter(|last| {
        let Transform { power, shift, scale, .. } = last.transform;
        (0.5..2.0).contains(&(scale / Transform::scaled(&sample, power, shift).scale))
    });
    let transform = previous.as_ref().map_or_else(|| Transform::of(values), |last| last.transform);
    let mut model = Model::blank(step_ms, end, transform);
    let more = previous.as_ref().map_or(0, |last| last.seen as u64 + (end - last.end) as u64);
    model.seen = more.max(values.len() as u64).min(u64::from(u32::MAX)) as u32;
    let mut plain = Plain::default();
    plain.judge(&model, values);
    model.belief = belief(period, &plain.judged, step_ms, end, previous.as_ref());

    profile(&mut model, &plain.judged, start);
    plain.compare(&model, start);
    model.spread = spreads(&model, &plain.off, &plain.phases);
    model.weights = weights(&plain.off);
    let mut errors = Vec::new();
    plain.errors(&model, 0, &mut errors);
    model.error = spreads(&model, &errors, &plain.phases);
    model.width = model.belief.season.map_or(1, |season| season.div_ceil(POINTS).clamp(1, WIDEST)) as u8;
    model.shapes = shapes(&plain.judged, model.width, previous.as_ref().filter(|last| last.width == model.width));
    let columns = Columns::of(&model, plain, errors);
    model.drift = drift(&columns);

    let stride = (values.len() / PAST).max(1);
    let first = (-start).rem_euclid(stride as i64) as usize;
    let raw: Vec<Raw> = (first..values.len()).step_by(stride).map(|index| columns.raw(&model, index)).collect();
    calibrate(&mut model, &raw, stride, values.len());
    Some(model)
}

/// The season: looked for where there is none yet, and once a day.
fn belief(period: Period, judged: &[f32], step_ms: u32, end: i64, last: Option<&Model>) -> Belief {
    if let Some(season) = period.given(step_ms) {
        return Belief { season, ..Belief::default() };
    }
    let Some(last) = last else { return Belief::default().after(find(judged, step_ms)) };
    let day = |column: i64| column * i64::from(step_ms) / 86_400_000;
    let again = day(end) != day(last.end) || end - last.end > 1_440;
    if again { last.belief.after(find(judged, step_ms)) } else { last.belief }
}

/// The season of a long history in means of a few columns, which keep the calendar's hours and
/// days; a shorter one in its last columns as they are.
fn find(judged: &[f32], step_ms: u32) -> Option<usize> {
    let fold = [1usize, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].into_iter().find(|fold| judged.len() / fold <= FOLDED)?;
    if fold == 1 {
        return season::find(judged, step_ms);
    }
    let means: Vec<f32> = judged.rchunks_exact(fold).rev().map(|part| part.iter().sum::<f32>() / fold as f32).collect();
    let recent = judged.get(judged.len() - FOLDED..).unwrap_or(judged);
    match season::find(&means, step_ms * fold as u32) {
        Some(lag) if on_calendar(lag * fold, step_ms) => Some(lag * fold),
        // A mean says a length by no more than its own.
        Some(lag) => season::find(recent, step_ms).or_else(|| Some(sharpen(judged, lag * fold, fold))),
        None => season::find(recent, step_ms),
    }
}

fn on_calendar(columns: usize, step_ms: u32) -> bool {
    [3_600_000, 86_400_000, 604_800_000].contains(&(columns as u64 * u64::from(step_ms)))
}

/// The lag near this one at which a series is most like itself.
fn sharpen(judged: &[f32], lag: usize, within: usize) -> usize {
    let likeness = |lag: usize| -> f32 {
        let pairs = judged.iter().zip(judged.get(lag..).unwrap_or_default()).step_by(4);
        pairs.map(|(a, b)| a * b).filter(|product| product.is_finite()).sum::<f32>()
    };
    let lags = lag.saturating_sub(within).max(2)..=lag + within;
    lags.max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap_or(lag)
}

/// What is ordinary in each part of a season: a median.
fn profile(model: &mut Model, judged: &[f32], start: i64) {
    let Some(season) = model.belief.season else { return };
    let places = Calendar::at(start, Some(season), model.step_ms).zip(judged);
    model.kinds = Kinds::of(start, judged.len(), Some(season), model.step_ms);
    let layout = Layout::of(model);
    let mut parts: Vec<Vec<f32>> = vec![Vec::new(); BINS];
    for (place, value) in places {
        let half = if place.weekend { layout.bins } else { 0 };
        if !value.is_nan()
            && let Some(part) = parts.get_mut(half + layout.bin(place.phase))
        {
            part.push(*value);
        }
    }
    // A few seasons of a column each: its neighbours speak, too.
    if season <= layout.bins && judged.len() < 8 * season {
        let alone = parts.clone();
        for (bin, part) in parts.iter_mut().enumerate().take(layout.bins) {
            for beside in [(bin + 1) % layout.bins, (bin + layout.bins - 1) % layout.bins] {
                part.extend(&alone[beside]);
            }
        }
    }
    let medians: Vec<f32> = parts.iter_mut().map(median).collect();
    let most = medians.iter().filter(|value| !value.is_nan()).fold(0.0f32, |most, value| most.max(value.abs()));
    model.unit = (most / f32::from(i16::MAX)).max(f32::MIN_POSITIVE);
    for (kept, value) in model.profile.iter_mut().zip(medians) {
        // A part that was never seen is as ordinary as the middle of the series.
        *kept = if value.is_nan() { 0 } else { (value / model.unit).round() as i16 };
    }
}

/// The spread of deviations in each part of a season. Where a tenth of them is far larger than
/// the rest, as at the edge of a daily job, that tenth says it.
fn spreads(model: &Model, deviations: &[f32], phases: &[u8]) -> [f32; PHASES] {
    let mut parts: [Vec<f32>; PHASES] = std::array::from_fn(|_| Vec::new());
    let mut all = Vec::with_capacity(deviations.len());
    let seasonal = model.belief.season.is_some();
    // Few of them say the spread of all; a part of a season needs most of its own.
    let stride = stride(deviations.len() / if seasonal { 2 * PAST } else { PAST });
    for (deviation, phase) in deviations.iter().zip(phases).step_by(stride).filter(|(d, _)| !d.is_nan()) {
        all.push(deviation.abs());
        if let Some(part) = parts.get_mut(usize::from(*phase)).filter(|_| seasonal) {
            part.push(deviation.abs());
        }
    }
    let overall = typical(&mut all).max(1e-6);
    let parts = parts.map(|mut part| if part.len() < 30 { overall } else { typical(&mut part).max(0.3 * overall) });
    let smooth: [f32; PHASES] = std::array::from_fn(|phase| {
        let (before, after) = (parts[(phase + PHASES - 1) % PHASES], parts[(phase + 1) % PHASES]);
        parts[phase].max(0.25 * before + 0.5 * parts[phase] + 0.25 * after)
    });
    smooth.map(kept)
}

/// The standard deviation that absolute deviations speak of, were they normal: by their median,
/// by the one that 7 % exceed, or by the mean where most are nothing.
fn typical(deviations: &mut Vec<f32>) -> f32 {
    let mean = deviations.iter().sum::<f32>() / deviations.len().max(1) as f32;
    let far = quantile(deviations, 0.93).unwrap_or(0.0) / 1.81;
    let middle = 1.4826 * median(deviations);
    if middle.max(far) > 0.0 { middle.max(far) } else { 1.25 * mean }
}

/// The linear prediction of a deviation from the last ones: Levinson and Durbin's recursion on
/// the autocovariance (Durbin 1960), of deviations that are clipped so that outliers do not rule. The
/// weight of the oldest column comes first.
fn weights(off: &[f32]) -> [f32; ORDER] {
    let mut sizes: Vec<f32> =
        off.iter().step_by(stride(off.len() / PAST)).filter(|v| !v.is_nan()).map(|v| v.abs()).collect();
    let most = 3.0 * typical(&mut sizes);
    let clipped: Vec<f32> = off.iter().map(|value| value.clamp(-most, most)).collect();
    let mut covariance = [0.0f64; ORDER + 1];
    for index in (ORDER..clipped.len()).step_by(stride(off.len() / (2 * PAST))) {
        let Some(window) = clipped.get(index - ORDER..=index) else { continue };
        let newest = window[ORDER];
        if window.iter().any(|value| value.is_nan()) {
            continue;
        }
        for (lag, sum) in covariance.iter_mut().enumerate() {
            *sum += f64::from(newest * window[ORDER - lag]);
        }
    }
    // What would make the recursion unstable where the series is all but predictable.
    covariance[0] *= 1.0 + 1e-4;
    let mut weights = [0.0f64; ORDER];
    let mut error = covariance[0];
    for order in 0..ORDER {
        if error <= 0.0 || error.is_nan() {
            break;
        }
        let explained: f64 = (0..order).map(|lag| weights[lag] * covariance[order - lag]).sum();
        let reflection = (covariance[order + 1] - explained) / error;
        if reflection.is_nan() || reflection.abs() >= 1.0 {
            break;
        }
        let last = weights;
        for lag in 0..order {
            weights[lag] = last[lag] - reflection * last[order - 1 - lag];
        }
        weights[order] = reflection;
        error *= 1.0 - reflection * reflection;
    }
    // As the columns lie: the recursion begins with the newest.
    weights.reverse();
    weights.map(|weight| weight as f32)
}

/// The spread of the means over [`SPANS`]: of what they differ from the time before, and of their own.
fn drift(columns: &Columns) -> [f32; 2] {
    let count = columns.plain.off.len();
    let mut lists = [Vec::new(), Vec::new()];
    for index in (SPANS[1]..count).step_by(stride(count / (PAST / 2))) {
        let means = columns.means(index);
        lists.iter_mut().zip(means).for_each(|(list, mean)| list.push(mean));
    }
    lists.map(|mut list| {
        list.retain(|value| !value.is_nan());
        typical(&mut list).max(1e-3)
    })
}

/// The next stride that shares no factor with hours and days, and so meets all phases.
fn stride(least: usize) -> usize {
    let coprime = |stride: &usize| [2, 3, 5].iter().all(|prime| !stride.is_multiple_of(*prime));
    (least.max(1)..).find(coprime).unwrap_or(1)
}

/// What the series looks like: centres of its windows (Lloyd's k-means).
fn shapes(judged: &[f32], width: u8, last: Option<&Model>) -> [Shape; SHAPES] {
    let ends = (0..judged.len()).step_by(stride(judged.len() / WINDOWS));
    let windows: Vec<[f32; POINTS]> = ends.filter_map(|index| window(judged, width, index)).collect();
    let none = Shape { scale: 0.0, values: [0; POINTS] };
    if windows.len() < 2 * SHAPES {
        return [none; SHAPES];
    }
    let known = last.map(|last| last.shapes).filter(|shapes| shapes.iter().all(|shape| shape.scale > 0.0));
    let rounds = if known.is_some() { ROUNDS.1 } else { ROUNDS.0 };
    let mut centres: [[f32; POINTS]; SHAPES] = match known {
        Some(shapes) => shapes.map(|shape| shape.values.map(|value| f32::from(value) * shape.scale)),
        None => std::array::from_fn(|shape| windows[(2 * shape + 1) * windows.len() / (2 * SHAPES)]),
    };
    let mut counts = [0.0f32; SHAPES];
    for _ in 0..rounds {
        let mut sums = [[0.0f32; POINTS]; SHAPES];
        counts = [0.0; SHAPES];
        for window in &windows {
            let (mut nearest, mut least) = (0, f32::INFINITY);
            for (shape, centre) in centres.iter().enumerate() {
                let square = distance(window, centre);
                if square < least {
                    (nearest, least) = (shape, square);
                }
            }
            counts[nearest] += 1.0;
            sums[nearest].iter_mut().zip(window).for_each(|(sum, value)| *sum += value);
        }
        for ((centre, sum), count) in centres.iter_mut().zip(&sums).zip(counts) {
            if count > 0.0 {
                *centre = sum.map(|value| value / count);
            }
        }
    }
    let least = RARE * windows.len() as f32;
    std::array::from_fn(|shape| {
        let most = centres[shape].iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let scale = (most / 127.0).max(1e-12);
        let values = centres[shape].map(|value| (value / scale).round() as i8);
        if counts[shape] >= least { Shape { scale, values } } else { none }
    })
}

/// Calibrates parts and sum on the raw scores of the past, `stride` columns apart.
fn calibrate(model: &mut Model, raw: &[Raw], stride: usize, columns: usize) {
    let apart_ms = stride as i64 * i64::from(model.step_ms);
    for part in 0..PARTS {
        let scores: Vec<f32> = raw.iter().map(|raw| raw[part]).collect();
        if scores.iter().filter(|score| !score.is_nan()).count() >= LEAST_PAST {
            let apart = (OCCASION_MS / apart_ms.max(1)).max(1) as usize;
            model.tails[part] = Tail::of(&scores, SHARE, apart, 1e-6);
        }
    }
    let totals: Vec<f32> = raw.iter().map(|raw| total(&votes(model, raw))).collect();
    model.total = Odds::of(&totals, apart_ms, FLOOR).unwrap_or_default();
    // Few seasons know themselves better than what comes.
    let seasons = model.belief.season.map_or(f32::INFINITY, |season| columns as f32 / season as f32);
    model.total.tail.excess *= 1.0 + 1.0 / seasons;
}
