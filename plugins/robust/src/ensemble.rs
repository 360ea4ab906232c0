//! The ensemble: learns a series, and scores its newest points.
//!
//! Each member's raw score is told as a multiple of what is usual at that time of the
//! season and calibrated on its own past to a surprise; the surprises, none of which
//! counts for more than [`VOTE`], are summed; and the sum is calibrated on its own past
//! once more. Members agree by accident far more often than independent ones would, and
//! only the second calibration knows how often.

use std::f32::consts::LN_10;

use crate::member::{self, COUNT, Columns, Member, moving_errors};
use crate::model::{Head, Model, PHASES, RawScores};
use signal::calibration::{Peaks, Tail, median, quantile};
use signal::history::{History, Reach};
use signal::odds::{self, Direction, OCCASION_MS, RECURRENCES};
use signal::season;
use signal::transform::Transform;
use signal::window::LENGTHS;

/// Columns of history that are learned from: ten days of minutes.
pub const HISTORY: u32 = 14_400;
/// Columns without which nothing is learned.
pub const LEAST: usize = 60;
/// What one member's surprise counts for at most.
const VOTE: f32 = 8.0;
/// Where the tail of a member and of the sum begins.
const TAIL_SHARE: f64 = 0.95;
/// Sums that exceed with fewer columns between them are one run.
const APART: i64 = 20;
/// The power of the members' number that the excess of their sum grows with.
const AGREEMENT: f32 = 0.7;
/// Past columns whose raw scores are kept, and that a first fit works out.
pub const PAST: usize = 2000;
const FIRST_PAST: usize = 1800;
/// Past scores without which a member has no vote.
const LEAST_PAST: usize = 20;
/// The share of raw scores that are within what is usual in their part of a season.
const USUAL_SHARE: f64 = 0.75;
/// Equal answers after which another season is believed.
const RIVAL_TIMES: u32 = 3;
/// What happened on so many days is ordinary: occasions with less time between them are of one day, one
/// incident as a rule. Jobs of every day are hours early now and then.
const RECURRENCE_MS: i64 = 20 * 3_600_000;
/// The surprise at the edges of the band.
const EDGE: f32 = 4.0;

/// Columns between two fits: six hours of minutes, and no more at finer steps.
pub fn refit(step_ms: u32) -> u32 {
    (6 * 3_600_000 / step_ms.max(1)).clamp(12, 360)
}

/// A row of values on the grid.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The values, oldest first; NaN where one is missing.
    pub values: &'a [f64],
    /// The column of the first, counted from the Unix epoch.
    pub start: i64,
    /// Milliseconds between columns.
    pub step_ms: u32,
}

/// The result for one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// 0 to 1; NaN where the value is missing.
    pub score: f64,
    /// What was expected, on the scale of the series.
    pub expected: f64,
    /// The lower edge of the ordinary.
    pub lower: f64,
    /// The upper edge.
    pub upper: f64,
    /// What each member's surprise counts for; NaN where it had none.
    pub votes: RawScores,
}

/// A season in columns, and another one that was found since, with how often in a row.
type Believed = (Option<usize>, (Option<usize>, u32));

/// Whose tail the band of a series is drawn by: with a season, and without.
const SEASONAL: usize = Member::SeasonalResid as usize;
const MOVING: usize = Member::EwmaResid as usize;

/// How a series is judged.
#[derive(Clone, Debug)]
pub struct Ensemble {
    /// Whose votes are summed.
    pub members: Vec<Member>,
    /// `None`: found in the data. `Some(None)`: there is none. Else in milliseconds.
    pub season_ms: Option<Option<u64>>,
    /// What counts.
    pub direction: Direction,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self { members: Member::ALL.to_vec(), season_ms: None, direction: Direction::Both }
    }
}

impl Ensemble {
    /// Learns a series. `previous` is its last model. `None` if there are fewer than
    /// [`LEAST`] values.
    pub fn fit(&self, series: Series<'_>, previous: Option<Model>) -> Option<Model> {
        let kept = series.values.len().saturating_sub(HISTORY as usize);
        let values = &series.values[kept..];
        let start = series.start + kept as i64;
        let end = start + values.len() as i64;
        if values.iter().filter(|v| v.is_finite()).count() < LEAST {
            return None;
        }
        let previous = previous.filter(|p| p.head.step_ms == series.step_ms && p.head.end <= end);
        let last = previous.as_ref().map(|p| (p.head.season, p.head.rival));
        // The scale stays unless the series has outgrown it: past scores are told in it.
        let same_scale = |p: &Model| {
            let Transform { power, shift, scale, .. } = p.head.transform;
            let ratio = scale / Transform::scaled(values, power, shift).scale;
            stride(p.history.len()) == stride(values.len()) && (0.5..2.0).contains(&ratio)
        };
        let previous = previous.filter(same_scale);
        let transform = previous.as_ref().map_or_else(|| Transform::of(values), |p| p.head.transform);
        let judged = member::judged(&transform, values);
        let (season, rival) = self.season(&judged, series.step_ms, last);
        let previous = previous.filter(|p| p.head.season == season);

        let seen = previous.as_ref().map_or(0, |p| p.head.seen + (end - p.head.end) as u64).max(values.len() as u64);
        let head = Head { step_ms: series.step_ms, end, seen, season, rival, transform, ..blank() };
        let history = History { values: &judged, start, season };
        let guard = (LENGTHS[2] as i64).max(i64::from(refit(series.step_ms)) / 2).min(values.len() as i64 / 8);
        let mut columns = Columns::new(head, history, &judged, start, Reach::Around(guard));
        measure(&mut columns, start..end);

        let sampled = |from: i64| (from..end).filter(|c| c.rem_euclid(stride(values.len())) == 0);
        let past = match previous {
            Some(previous) => {
                // As they were scored: with what was known at the last fit.
                let from = (previous.head.end - i64::from(member::CONTEXT)).max(start);
                let row = &judged[(from - start) as usize..];
                let reach = Reach::Before(previous.head.end);
                let mut live = Columns::new(columns.head.clone(), history, row, from, reach);
                let mut past = previous.past;
                past.extend(sampled(previous.head.end).map(|c| live.raw_scores(c)));
                past.drain(..past.len().saturating_sub(PAST));
                past
            }
            None => {
                let first = (end - stride(values.len()) * FIRST_PAST as i64).max(start);
                sampled(first).map(|c| columns.raw_scores(c)).collect()
            }
        };
        let mut head = columns.head;
        self.calibrate(&mut head, &past, stride(values.len()));
        Some(Model { head, history: judged, past })
    }

    /// Calibrates members and sum on the raw scores of the past.
    pub fn calibrate(&self, head: &mut Head, past: &[RawScores], stride: i64) {
        // The last one is the last column before the end that the stride falls on.
        let newest = (head.end - 1).div_euclid(stride) * stride;
        let column = |index: usize| newest - (past.len() - 1 - index) as i64 * stride;
        for (index, usual) in head.usual.iter_mut().enumerate() {
            let scores = past.iter().enumerate().map(|(row, raw)| (column(row), raw[index]));
            *usual = usual_scores(scores.filter(|s| !s.1.is_nan()), head.season);
        }
        let relative: Vec<RawScores> =
            past.iter().enumerate().map(|(row, raw)| relative(head, column(row), raw)).collect();
        let rows = |ms: i64| (ms / i64::from(head.step_ms) / stride).max(1) as usize;
        let (occasion, recurrence) = (rows(OCCASION_MS), rows(RECURRENCE_MS));
        for (index, tail) in head.tails.iter_mut().enumerate() {
            let scores: Vec<f32> = relative.iter().map(|row| row[index]).collect();
            if scores.iter().filter(|s| !s.is_nan()).count() >= LEAST_PAST {
                *tail = Tail::of(&scores, TAIL_SHARE, occasion, 1e-6);
            }
        }
        let totals: Vec<f32> = relative.iter().map(|row| self.total(&votes(head, row))).collect();
        let apart = (APART / stride).max(1) as usize;
        head.total = Peaks::of(&totals, TAIL_SHARE, apart, stride as f32, self.usual_excess()).unwrap_or_default();
        // Of the columns that the sums stand for: a surprise is of a column, however many were sampled.
        let columns = totals.len() as f32 * stride as f32;
        head.recurring = (odds::recurring(&totals, recurrence), (columns / RECURRENCES as f32).log10());
    }

    /// By how much a sum that is rare exceeds the last one that was not, where nothing else is
    /// known. A surprise of one member is exponential with a mean of 1/ln 10; the excesses of
    /// several add up, and not quite, since members agree in part.
    fn usual_excess(&self) -> f32 {
        let weight: f32 = self.members.iter().map(|member| member.weight()).sum();
        weight.powf(AGREEMENT) / LN_10
    }

    /// The season, and what speaks against it. `last` are those of the model before.
    fn season(&self, judged: &[f32], step_ms: u32, last: Option<Believed>) -> Believed {
        if let Some(given) = self.season_ms {
            let columns = given.map(|ms| (ms / u64::from(step_ms.max(1))) as usize);
            return (columns.filter(|&c| c >= 2), (None, 0));
        }
        let found = season::find(judged, step_ms);
        let Some((season, rival)) = last else { return (found, (None, 0)) };
        let times = match (found == season, found == rival.0) {
            (true, _) => 0,
            (false, true) => rival.1 + 1,
            (false, false) => 1,
        };
        if times >= RIVAL_TIMES { (found, (None, 0)) } else { (season, (found, times)) }
    }

    /// Judges the last `tail` values of a series.
    pub fn score(&self, model: &Model, series: Series<'_>, tail: usize) -> Vec<Judgement> {
        let head = &model.head;
        let judged = member::judged(&head.transform, series.values);
        let history = History { values: &model.history, start: model.start(), season: head.season };
        let reach = Reach::Before(head.end);
        let mut columns = Columns::new(head.clone(), history, &judged, series.start, reach);
        let first = series.values.len().saturating_sub(tail);
        let newest = series.values.iter().enumerate().skip(first);
        newest.map(|(index, value)| self.judge(&mut columns, series.start + index as i64, *value)).collect()
    }

    fn judge(&self, columns: &mut Columns<'_>, column: i64, value: f64) -> Judgement {
        let raw = columns.raw_scores(column);
        let (told, votes) = self.told(&columns.head, column, &raw);
        let against = self.direction != Direction::Both && !self.direction.counts(columns.lean(column));
        let head = &columns.head;
        let score = if !value.is_finite() {
            f64::NAN
        } else if against {
            0.0
        } else {
            told
        };
        let edge = match head.season {
            Some(_) => head.tails[SEASONAL],
            None => head.tails[MOVING],
        };
        let usual = member::phase(column, head.season)
            .map_or(f32::NAN, |p| head.usual[if head.season.is_some() { SEASONAL } else { MOVING }][p]);
        let width = edge.map_or(f32::NAN, |tail| tail.score(EDGE)) * usual;
        let transform = head.transform;
        let at = columns.expectation(column);
        Judgement {
            score,
            expected: transform.invert(at.value),
            lower: transform.invert(at.value - width * at.spread),
            upper: transform.invert(at.value + width * at.spread),
            votes,
        }
    }

    /// The score of a column's raw scores, and what each member's surprise counts for.
    pub fn told(&self, head: &Head, column: i64, raw: &RawScores) -> (f64, RawScores) {
        let votes = votes(head, &relative(head, column, raw));
        let surprise = surprise(head, self.total(&votes));
        (odds::score(surprise, head.seen, head.step_ms), votes)
    }

    pub fn total(&self, votes: &RawScores) -> f32 {
        let counted =
            Member::ALL.iter().zip(votes).filter(|(member, vote)| self.members.contains(member) && !vote.is_nan());
        counted.map(|(_, vote)| vote).sum()
    }
}

/// Columns between two past raw scores, of a history of so many.
pub fn stride(columns: usize) -> i64 {
    (columns as i64 / 1500).clamp(1, 4)
}

/// How odd a sum is: by the tail, but no odder than what happened on several occasions,
/// and beyond that as much odder as the tail says.
pub fn surprise(head: &Head, total: f32) -> f32 {
    let (often, at_most) = head.recurring;
    let beyond = (total - often).max(0.0) / (head.total.scale * LN_10);
    head.total.surprise(total).min(at_most + beyond)
}

/// The raw score that is usual in each part of a season.
fn usual_scores(scores: impl Iterator<Item = (i64, f32)>, season: Option<usize>) -> [f32; PHASES] {
    let mut parts: [Vec<f32>; PHASES] = std::array::from_fn(|_| Vec::new());
    let mut all = Vec::new();
    for (column, score) in scores {
        if let Some(part) = member::phase(column, season).and_then(|p| parts.get_mut(p)) {
            part.push(score);
            all.push(score);
        }
    }
    let overall = quantile(&all, USUAL_SHARE).filter(|u| *u > 0.0).unwrap_or(1.0);
    if season.is_none() {
        return [1.0; PHASES];
    }
    let parts = parts.map(|part| match part.len() {
        0..6 => overall,
        _ => quantile(&part, USUAL_SHARE).unwrap_or(overall),
    });
    smooth(&parts, overall)
}

/// Each part with its neighbours, and no less than `least`.
fn smooth(parts: &[f32; PHASES], least: f32) -> [f32; PHASES] {
    std::array::from_fn(|p| {
        let (before, after) = (parts[(p + PHASES - 1) % PHASES], parts[(p + 1) % PHASES]);
        (0.25 * before + 0.5 * parts[p] + 0.25 * after).max(least)
    })
}

/// Raw scores as multiples of what is usual at a column.
pub fn relative(head: &Head, column: i64, raw: &RawScores) -> RawScores {
    let phase = member::phase(column, head.season).unwrap_or(0);
    std::array::from_fn(|i| raw[i] / head.usual[i][phase])
}

/// What the surprises of relative scores count for; NaN of a member that has none.
pub fn votes(head: &Head, relative: &RawScores) -> RawScores {
    std::array::from_fn(|i| {
        let surprise = head.tails[i].map_or(f32::NAN, |tail| tail.surprise(relative[i]));
        Member::ALL[i].weight() * if surprise > VOTE { VOTE } else { surprise }
    })
}

/// Measures on the whole history what raw scores are told in units of.
fn measure(columns: &mut Columns<'_>, span: std::ops::Range<i64>) {
    let season = columns.head.season;
    let mut errors = moving_errors(columns, span.clone());
    columns.head.calm = 0.2 * typical(&mut errors).max(1e-6);

    let mut parts: [Vec<f32>; PHASES] = std::array::from_fn(|_| Vec::new());
    let mut all = Vec::new();
    for column in span.clone().step_by(2) {
        let deviation = columns.deviation(column) - columns.level(column);
        if let Some(part) = member::phase(column, season).and_then(|p| parts.get_mut(p))
            && !deviation.is_nan()
        {
            part.push(deviation.abs());
            all.push(deviation.abs());
        }
    }
    let overall = typical(&mut all).max(1e-6);
    let parts = parts.map(|mut part| if part.len() < 10 { overall } else { typical(&mut part) });
    columns.head.spread = smooth(&parts, 0.3 * overall);

    let mut drifts: [Vec<f32>; member::SPANS.len()] = std::array::from_fn(|_| Vec::new());
    for column in span.step_by(3) {
        for (list, drift) in drifts.iter_mut().zip(columns.drifts(column)) {
            if !drift.is_nan() {
                list.push(drift.abs());
            }
        }
    }
    columns.head.drift = drifts.map(|mut list| typical(&mut list).max(1e-3));
}

/// The standard deviation that absolute deviations speak of, were they normal: by their
/// median, or by their mean where most are nothing.
fn typical(deviations: &mut Vec<f32>) -> f32 {
    let mean = deviations.iter().sum::<f32>() / deviations.len().max(1) as f32;
    let middle = median(deviations);
    if middle > 0.0 { 1.4826 * middle } else { 1.25 * mean }
}

/// What is known before anything was measured.
fn blank() -> Head {
    Head {
        step_ms: 0,
        end: 0,
        seen: 0,
        season: None,
        rival: (None, 0),
        transform: Transform { power: signal::transform::Power::Plain, shift: 0.0, center: 0.0, scale: 1.0 },
        spread: [1.0; PHASES],
        drift: [1.0; member::SPANS.len()],
        calm: 0.0,
        usual: [[1.0; PHASES]; COUNT],
        recurring: (f32::NEG_INFINITY, 0.0),
        tails: [None; COUNT],
        total: Peaks::default(),
    }
}
