//! The ensemble: learns a series, and scores its newest points.
//!
//! Each member's raw score is calibrated on its own past to a surprise; the surprises,
//! none of which counts for more than [`VOTE`], are summed; and the sum is calibrated on
//! its own past once more. Members agree by accident far more often than independent
//! ones would, and only the second calibration knows how often.

use crate::calibration::{Tail, median};
use crate::member::{self, COUNT, Columns, Member, Windows, moving_errors};
use crate::model::{Head, Model, PHASES, RawScores};
use crate::season;
use crate::transform::Transform;
use crate::window::{History, Reach, long};

/// Columns of history that are learned from: ten days of minutes.
pub const HISTORY: u32 = 14_400;
/// Columns without which nothing is learned.
pub const LEAST: usize = 60;
/// What one member's surprise counts for at most.
const VOTE: f32 = 6.0;
/// The surprise that is a score of 1.
const FULL: f32 = 7.0;
/// Where the tail of a member and of the sum begins.
const MEMBER_SHARE: f64 = 0.95;
const TOTAL_SHARE: f64 = 0.98;
/// Past columns whose raw scores are kept, and that a first fit works out.
const PAST: usize = 3000;
const FIRST_PAST: usize = 2000;
/// Equal answers after which another season is believed.
const RIVAL_TIMES: u32 = 3;
/// The surprise at the edges of the band.
const EDGE: f32 = 4.0;
const MS_PER_DAY: u64 = 86_400_000;

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
    /// The surprise of each member, at most [`VOTE`]; NaN where it had none.
    pub votes: RawScores,
}

/// On which side of the expectation a deviation counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// On either.
    #[default]
    Both,
    /// Above it.
    Above,
    /// Below it.
    Below,
}

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
        let fresh = Transform::of(values);
        // The scale stays unless the series has outgrown it: past scores are told in it.
        let same_scale = |p: &Model| {
            let ratio = p.head.transform.scale / Transform::scaled(values, p.head.transform.power, fresh.shift).scale;
            p.history.len() * 2 > values.len() && (0.5..2.0).contains(&ratio)
        };
        let previous = previous.filter(same_scale);
        let transform = previous.as_ref().map_or(fresh, |p| p.head.transform);
        let judged = member::judged(&transform, values);
        let (season, rival) = self.season(&judged, series.step_ms, previous.as_ref().map(|p| &p.head));
        let previous = previous.filter(|p| p.head.season == season);

        let seen = previous.as_ref().map_or(0, |p| p.head.seen + (end - p.head.end) as u64).max(values.len() as u64);
        let head = Head {
            step_ms: series.step_ms,
            end,
            seen,
            season,
            rival,
            transform,
            spread: [1.0; PHASES],
            drift: [1.0; member::SPANS.len()],
            calm: 0.0,
            tails: [None; COUNT],
            total: Tail::default(),
        };
        let history = History { values: &judged, start, season };
        let windows = Windows::new(&history);
        let guard = (long(season) as i64).max(i64::from(refit(series.step_ms)) / 2).min(values.len() as i64 / 8);
        let mut columns = Columns::new(head, history, &windows, &judged, start, Reach::Around(guard));
        measure(&mut columns, start..end);

        let stride = (values.len() as i64 / 1500).clamp(1, 4);
        let sampled = |from: i64| (from..end).filter(move |c| c.rem_euclid(stride) == 0);
        let past = match previous {
            Some(previous) => {
                // As they were scored: with what was known at the last fit.
                let from = (previous.head.end - i64::from(member::CONTEXT)).max(start);
                let row = &judged[(from - start) as usize..];
                let reach = Reach::Before(previous.head.end);
                let mut live = Columns::new(columns.head.clone(), history, &windows, row, from, reach);
                let mut past = previous.past;
                past.extend(sampled(previous.head.end).map(|c| live.raw_scores(c)));
                past.drain(..past.len().saturating_sub(PAST));
                past
            }
            None => sampled((end - stride * FIRST_PAST as i64).max(start)).map(|c| columns.raw_scores(c)).collect(),
        };
        let mut head = columns.head;
        for (index, tail) in head.tails.iter_mut().enumerate() {
            let mut scores: Vec<f32> = past.iter().map(|row| row[index]).collect();
            scores.retain(|s| !s.is_nan());
            if scores.len() >= 20 {
                *tail = Tail::of(&mut scores, MEMBER_SHARE, 1e-6);
            }
        }
        let mut totals: Vec<f32> = past.iter().map(|row| self.total(&votes(&head, row))).collect();
        head.total = Tail::of(&mut totals, TOTAL_SHARE, 0.25).unwrap_or_default();
        Some(Model { head, history: judged, past })
    }

    /// The season, and what speaks against it.
    fn season(&self, judged: &[f32], step_ms: u32, last: Option<&Head>) -> (Option<usize>, (Option<usize>, u32)) {
        if let Some(given) = self.season_ms {
            let columns = given.map(|ms| (ms / u64::from(step_ms.max(1))) as usize);
            return (columns.filter(|&c| c >= 2), (None, 0));
        }
        let found = season::find(judged, step_ms);
        let Some(last) = last else { return (found, (None, 0)) };
        let times = match (found == last.season, found == last.rival.0) {
            (true, _) => 0,
            (false, true) => last.rival.1 + 1,
            (false, false) => 1,
        };
        if times >= RIVAL_TIMES { (found, (None, 0)) } else { (last.season, (found, times)) }
    }

    /// Judges the last `tail` values of a series.
    pub fn score(&self, model: &Model, series: Series<'_>, tail: usize) -> Vec<Judgement> {
        let head = &model.head;
        let judged = member::judged(&head.transform, series.values);
        let history = History { values: &model.history, start: model.start(), season: head.season };
        let windows = Windows::new(&history);
        let reach = Reach::Before(head.end);
        let mut columns = Columns::new(head.clone(), history, &windows, &judged, series.start, reach);
        let first = series.values.len().saturating_sub(tail);
        let newest = series.values.iter().enumerate().skip(first);
        newest.map(|(index, value)| self.judge(&mut columns, series.start + index as i64, *value)).collect()
    }

    fn judge(&self, columns: &mut Columns<'_>, column: i64, value: f64) -> Judgement {
        let raw = columns.raw_scores(column);
        let votes = votes(&columns.head, &raw);
        let against = match self.direction {
            Direction::Both => false,
            Direction::Above => columns.lean(column) < 0.0,
            Direction::Below => columns.lean(column) > 0.0,
        };
        let head = &columns.head;
        let surprise = if against { 0.0 } else { head.total.surprise(self.total(&votes)) };
        // A series younger than a day (at fine steps) has not been seen at its busiest.
        let day = (MS_PER_DAY / u64::from(head.step_ms.max(1))).clamp(200, 1440);
        let trust = (head.seen as f64 / day as f64).min(1.0);
        let score = if value.is_finite() { f64::from((surprise / FULL).clamp(0.0, 1.0)) * trust } else { f64::NAN };
        let edge = match head.season {
            Some(_) => head.tails[4],
            None => head.tails[3],
        };
        let width = edge.map_or(f32::NAN, |tail| tail.score(EDGE));
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

    fn total(&self, votes: &RawScores) -> f32 {
        let counted =
            Member::ALL.iter().zip(votes).filter(|(member, vote)| self.members.contains(member) && !vote.is_nan());
        counted.map(|(_, vote)| vote).sum()
    }
}

fn votes(head: &Head, raw: &RawScores) -> RawScores {
    std::array::from_fn(|i| head.tails[i].map_or(f32::NAN, |tail| cap(tail.surprise(raw[i]))))
}

/// `min` that keeps NaN.
fn cap(surprise: f32) -> f32 {
    if surprise > VOTE { VOTE } else { surprise }
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
    columns.head.spread = std::array::from_fn(|p| {
        let (before, after) = (parts[(p + PHASES - 1) % PHASES], parts[(p + 1) % PHASES]);
        (0.25 * before + 0.5 * parts[p] + 0.25 * after).max(0.3 * overall)
    });

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
