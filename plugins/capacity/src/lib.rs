//! Says when a trend will reach a limit: a disk that fills, memory that leaks, a certificate's
//! days that run out.
//!
//! The forecast is a robust line through what is left of the series without its season
//! ([`trend`], [`season`]), seen through windows of several lengths. How sure it is comes from
//! the series itself: the same lines were drawn through its past, and how far they missed what
//! then came is the error of the forecast ([`past`]). A series that wanders, swings, or is
//! cleaned before it is full has missed its own lines by much, and is believed little.
//!
//! The score is min(1, −log10 p / 7), as that of `robust`, where p is the chance that the
//! limit is *not* reached within the horizon; from 0.9 on it says how near the limit is
//! ([`forecast`]). Where the value, or its ordinary swing, reaches the limit already, the score
//! is [`forecast::REACHED`]: below the usual threshold and above half of it, so that an alert
//! goes on and none begins.
//!
//! It does not know calendars (a month's end), growth that bends, or limits that move.

use anomd_detector::model::{Reader, Writer};
use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Problem, Row, RowScores, export_detector};
use serde::Deserialize;

pub mod forecast;
pub mod past;
pub mod season;
pub mod trend;

#[cfg(test)]
mod tests;

use forecast::{Ahead, Limit, Side};
use past::{LAGS, Past, Span};
use season::Season;

const SCHEMA: &str = include_str!("schema.json");
/// The layout of a model.
const TAG: [u8; 4] = *b"CAP1";
const DAY_MS: u64 = 86_400_000;
/// Days of history that are asked for, at least: four of each day of the week.
const HISTORY_DAYS: u64 = 28;

/// The configuration: one of the two limits.
#[derive(Debug, Deserialize)]
pub struct Config {
    upper: Option<f64>,
    lower: Option<f64>,
    #[serde(default = "week")]
    horizon: u64,
}

fn week() -> u64 {
    604_800
}

impl Config {
    fn limit(&self) -> Option<Limit> {
        match (self.upper, self.lower) {
            (Some(value), None) => Some(Limit { value, side: Side::Above }),
            (None, Some(value)) => Some(Limit { value, side: Side::Below }),
            _ => None,
        }
    }

    /// Columns of the horizon.
    fn columns(&self, step: u32) -> usize {
        usize::try_from(self.horizon.saturating_mul(1_000) / u64::from(step.max(1))).unwrap_or(usize::MAX)
    }
}

/// What was learned of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Columns of the horizon for which it was learned.
    pub horizon: usize,
    /// What comes again every day or week.
    pub season: Season,
    /// How far its own forecasts missed.
    pub past: Past,
}

impl Model {
    /// Learns a series whose first value is in column `start` of the grid; `None` where there is
    /// too little of it to know how well it can be foreseen.
    pub fn fit(values: &[f64], start: i64, step_ms: u32, horizon: usize) -> Option<Self> {
        let season = Season::find(values, start, step_ms);
        let past = Past::measure(&season.removed(values, start), horizon);
        past.is_known().then_some(Self { horizon, season, past })
    }

    fn encode(&self, step: u32) -> Vec<u8> {
        let mut writer = Writer::new(TAG).u32(step).u32(self.horizon as u32).u32(self.season.profile.len() as u32);
        writer = writer.f64s(&self.season.profile);
        for span in &self.past.spans {
            writer = writer.u32(span.columns as u32).u32(u32::from(span.jumps));
            writer = writer.f64s(&span.below).f64s(&span.above).f64(span.slope);
        }
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<(u32, Self), Cause> {
        let mut reader = Reader::open(bytes, TAG)?;
        let (step, horizon, period) = (reader.u32()?, reader.u32()? as usize, reader.u32()? as usize);
        let season = Season { profile: reader.f64s(period)? };
        let mut spans = Vec::new();
        while reader.remaining() > 0 {
            let (columns, jumps) = (reader.u32()? as usize, reader.u32()? != 0);
            let (mut below, mut above) = ([f64::NAN; LAGS.len()], [f64::NAN; LAGS.len()]);
            below.copy_from_slice(&reader.f64s(LAGS.len())?);
            above.copy_from_slice(&reader.f64s(LAGS.len())?);
            spans.push(Span { columns, jumps, below, above, slope: reader.f64()? });
        }
        Ok((step, Self { horizon, season, past: Past { spans } }))
    }
}

struct Capacity;

impl Detector for Capacity {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "capacity".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Says when a trend will reach a limit, and how sure that is by how well the series could be \
                      foreseen in its past"
                .into(),
            config_schema: SCHEMA.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        let message = match (config.upper, config.lower) {
            (None, None) => "it has no limit: write upper, for what grows, or lower, for what falls",
            (Some(_), Some(_)) => "it has two limits: write upper or lower, and the other in an entry of its own",
            _ => return Vec::new(),
        };
        vec![Problem { pointer: String::new(), message: message.into() }]
    }

    fn plan(config: &Config, step: u32) -> Result<Needs, Error> {
        let horizon = config.columns(step);
        if horizon < past::LEAST_HORIZON {
            return Err(Error::BadConfig(format!(
                "a horizon of {} s is {horizon} columns of {} s, and {} are the least: look further ahead",
                config.horizon,
                f64::from(step) / 1_000.0,
                past::LEAST_HORIZON
            )));
        }
        let days = |days: u64| usize::try_from(days * DAY_MS / u64::from(step.max(1))).unwrap_or(usize::MAX);
        let columns = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Needs {
            history: columns(days(HISTORY_DAYS).max(2 * horizon)),
            context: columns(forecast::context(horizon)),
            refit: columns(days(1).max(1)),
            joint: false,
        })
    }

    fn fit(config: &Config, history: Row<'_>, _: &[u8]) -> Result<Vec<u8>, Cause> {
        let model = Model::fit(history.values, column(&history), history.step, config.columns(history.step));
        model.map(|model| model.encode(history.step)).ok_or(Cause::Warming)
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let Some(limit) = config.limit() else { return Err(Cause::Failed("it has no limit".into())) };
        let (step, model) = Model::decode(model)?;
        if step != recent.step || model.horizon != config.columns(recent.step) {
            return Err(Cause::Failed("the model is for another step or horizon: it has to be fit anew".into()));
        }
        let context = forecast::context(model.horizon);
        let first = recent.values.len().saturating_sub(tail);
        let ahead = |end: usize| {
            let begin = (end + 1).saturating_sub(context + 1);
            forecast::ahead(&model, &recent.values[begin..=end], column(&recent) + begin as i64, limit)
        };
        let seen: Vec<Option<Ahead>> = (first..recent.values.len()).map(ahead).collect();
        let hours = |columns: f64| columns * f64::from(step) / 3_600_000.0;
        let row = |of: fn(&Ahead) -> f64| seen.iter().map(|a| a.as_ref().map_or(f64::NAN, of)).collect::<Vec<f64>>();
        let span = |of: fn(&Ahead) -> f64| row(of).into_iter().map(hours).collect();
        Ok(RowScores {
            scores: row(|a| a.score),
            expected: row(|a| a.level),
            lower: Vec::new(),
            upper: Vec::new(),
            terms: vec![
                ("hours-to-limit", span(|a| a.expected)),
                ("hours-to-limit-earliest", span(|a| a.earliest)),
                ("hours-to-limit-latest", span(|a| a.latest)),
            ],
        })
    }
}

/// The column of the whole grid in which a row begins.
fn column(row: &Row<'_>) -> i64 {
    row.start.div_euclid(i64::from(row.step.max(1)))
}

export_detector!(Capacity);
