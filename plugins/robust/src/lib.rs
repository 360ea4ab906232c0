//! The default detector: an ensemble that is calibrated twice, so that a score means the
//! same in every series. See [`ensemble`] for the whole and [`member`] for the parts.
//!
//! A score depends on the model, the newest [`member::CONTEXT`] columns and nothing else.

use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Row, RowScores, export_detector};
use anomd_inspect::{Fact, Inspect, export_inspect};
use serde::Deserialize;
use signal::odds::Direction;
use signal::period::Period;

pub mod ensemble;
pub mod member;
pub mod model;
pub mod zone;

#[cfg(test)]
mod tests;

use ensemble::{Ensemble, Series};
use member::Member;
use model::Model;
use zone::{Local, Zone};

const SCHEMA: &str = include_str!("schema.json");

/// The configuration: nothing has to be set.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    /// Whose votes count; all, if it is not set.
    #[serde(default)]
    members: Option<Vec<Member>>,
    /// Found in the data, if it is not set.
    #[serde(default)]
    season: Period,
    #[serde(default)]
    direction: Direction,
    /// Added by the host.
    #[serde(default)]
    timezone: Zone,
}

impl Config {
    fn ensemble(&self) -> Ensemble {
        Ensemble {
            members: self.members.clone().unwrap_or_else(|| Member::ALL.to_vec()),
            season_ms: match self.season {
                Period::Auto => None,
                Period::None => Some(None),
                Period::Seconds(seconds) => Some(Some(seconds * 1000)),
            },
            direction: self.direction,
        }
    }
}

fn series(local: &Local, step_ms: u32) -> Series<'_> {
    Series { values: &local.values, start: local.start, step_ms }
}

struct Robust;

impl Detector for Robust {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "robust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Finds spikes, jumps, shapes and levels at the wrong time; knows days and weekends; \
                      needs no configuration. 0.7 is one ordinary point in 100 000"
                .into(),
            config_schema: SCHEMA.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(config: &Config, step: u32) -> Result<Needs, Error> {
        // An hour that is repeated is there once: what lies before it has to be passed too.
        let context = member::CONTEXT + config.timezone.most(step);
        Ok(Needs { history: ensemble::HISTORY, context, refit: ensemble::refit(step), joint: false })
    }

    fn fit(config: &Config, history: Row<'_>, previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let local = config.timezone.whole(history.values, history.start, history.step);
        let model = config.ensemble().fit(series(&local, history.step), Model::decode_whole(previous));
        model.map(|m| m.encode()).ok_or(Cause::Warming)
    }

    fn head(model: &[u8]) -> usize {
        Model::head_bytes(model)
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        if model.is_empty() {
            return Err(Cause::Warming);
        }
        let model = Model::decode(model)
            .filter(|m| m.head.step_ms == recent.step)
            .ok_or_else(|| Cause::Failed("the model is of another layout or step: it has to be fit anew".into()))?;
        let ensemble = config.ensemble();
        let rows = config.timezone.tails(recent.values, recent.start, recent.step, tail);
        let judge = |(local, own): (Local, usize)| ensemble.score(&model, series(&local, recent.step), own);
        let judged: Vec<_> = rows.into_iter().flat_map(judge).collect();
        let votes = |index: usize| judged.iter().map(|j| f64::from(j.votes[index])).collect();
        Ok(RowScores {
            scores: judged.iter().map(|j| j.score).collect(),
            expected: judged.iter().map(|j| j.expected).collect(),
            lower: judged.iter().map(|j| j.lower).collect(),
            upper: judged.iter().map(|j| j.upper).collect(),
            terms: Member::ALL.iter().enumerate().map(|(i, member)| (member.name(), votes(i))).collect(),
        })
    }
}

impl Inspect for Robust {
    type Config = Config;

    fn inspect(_: &Config, model: &[u8]) -> Vec<Fact> {
        let Some(Model { head, .. }) = Model::decode_whole(model) else { return Vec::new() };
        vec![anomd_inspect::season(head.season.map(|columns| columns as u64 * u64::from(head.step_ms)))]
    }
}

export_detector!(Robust);
export_inspect!(Robust);
