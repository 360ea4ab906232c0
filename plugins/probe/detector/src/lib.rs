//! A test guest: a detector whose configuration says how it behaves and misbehaves.
//!
//! What it wants to tell it writes into its models.

use std::cell::Cell;

use anomd_detector::bindings::exports::anomd::plugin::detect;
use anomd_detector::{
    Cause, Descriptor, Detector, Error, Fitted, Level, Matrix, Needs, Problem, Row, RowScores, Scored, Skip, clock,
    export_detect, glue, log, random,
};
use serde::Deserialize;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

struct Probe;

#[derive(Deserialize)]
struct Config {
    #[serde(default, rename = "do")]
    action: String,
    #[serde(default)]
    n: usize,
}

impl Detector for Probe {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "probe".into(),
            version: "0.1.0".into(),
            summary: "A test guest".into(),
            config_schema: r#"{
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"do": {"type": "string"}, "n": {"type": "integer", "minimum": 0}},
                "additionalProperties": false
            }"#
            .into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        match config.action.as_str() {
            "complain" => vec![Problem { pointer: "/do".into(), message: "there is nothing to do".into() }],
            "spin" => spin(),
            _ => vec![],
        }
    }

    fn plan(config: &Config, _: u32) -> Result<Needs, Error> {
        let history = if config.action == "greedy" { u32::MAX } else { 10 };
        Ok(Needs { history, context: 2, refit: 0, joint: config.action == "joint" })
    }

    fn fit(config: &Config, history: Row<'_>, previous: &[u8]) -> Result<Vec<u8>, Cause> {
        Ok(match config.action.as_str() {
            "allocate" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "spin" => spin(),
            "recurse" => vec![recurse(1)],
            "panic" => vec![history.values[config.n.max(1_000_000)] as u8],
            "log" => {
                for n in 0..config.n {
                    log::write(Level::Info, &format!("line {n}"), &[("row".into(), "0".into())]);
                }
                Vec::new()
            }
            "calls" => {
                CALLS.set(CALLS.get() + 1);
                CALLS.get().to_le_bytes().to_vec()
            }
            "grow" => {
                std::mem::forget(std::hint::black_box(vec![1_u8; config.n]));
                CALLS.set(CALLS.get() + 1);
                CALLS.get().to_le_bytes().to_vec()
            }
            "large" => vec![0; config.n],
            "clock" => clock::now().to_le_bytes().to_vec(),
            "random" => [&random::seed().to_le_bytes()[..], &random::draw(8)].concat(),
            "draw" => random::draw(config.n as u32),
            "previous" => [previous, b"+"].concat(),
            "skip" => return Err(Cause::Failed("no such luck".into())),
            _ => history.values.first().copied().unwrap_or_default().to_le_bytes().to_vec(),
        })
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        if config.action == "warming" && model.is_empty() {
            return Err(Cause::Warming);
        }
        let newest = &recent.values[recent.values.len() - tail..];
        Ok(RowScores {
            scores: newest.iter().map(|value| value.clamp(0.0, 1.0)).collect(),
            expected: vec![model.len() as f64; tail],
            terms: vec![("size", vec![recent.values.len() as f64; tail])],
            ..RowScores::default()
        })
    }
}

fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}

#[expect(unconditional_recursion, reason = "the host is to stop it")]
fn recurse(depth: u8) -> u8 {
    std::hint::black_box(recurse(std::hint::black_box(depth)).wrapping_add(1))
}

fn action(config: &str) -> String {
    serde_json::from_str::<Config>(config).map(|config| config.action).unwrap_or_default()
}

/// A fit of models that `score` reads to their ends.
fn whole(models: Vec<Vec<u8>>) -> Fitted {
    Fitted { models, heads: vec![], skipped: vec![] }
}

struct Plugin;

impl detect::Guest for Plugin {
    fn plan(config: String, step: u32) -> Result<Needs, Error> {
        glue::plan::<Probe>(&config, step)
    }

    fn fit(config: String, history: Matrix, previous: Vec<Vec<u8>>) -> Result<Fitted, Error> {
        let rows = history.rows as usize;
        match action(&config).as_str() {
            "unavailable" => Err(Error::Unavailable("the moon is down\u{1b}[31m".into())),
            "short" => Ok(Fitted { models: vec![], heads: vec![], skipped: vec![] }),
            "twice" => {
                let skip = || Skip { row: 0, cause: Cause::Warming };
                Ok(Fitted { models: vec![vec![]; rows], heads: vec![], skipped: vec![skip(), skip()] })
            }
            // What the guest was given: its configuration, and how many rows.
            "config" => Ok(whole(vec![config.into_bytes(); rows])),
            "rows" | "joint" => Ok(whole(vec![rows.to_le_bytes().to_vec(); rows])),
            action => {
                let mut fitted = glue::fit::<Probe>(&config, history, previous)?;
                if action == "heads" {
                    // That of a row has as many bytes as its number says.
                    fitted.heads = (0..rows as u32).collect();
                }
                Ok(fitted)
            }
        }
    }

    fn score(config: String, models: Vec<Vec<u8>>, recent: Matrix, tail: u32) -> Result<Scored, Error> {
        match action(&config).as_str() {
            "beyond" => Ok(Scored {
                scores: vec![1.5; recent.rows as usize * tail as usize],
                expected: vec![],
                lower: vec![],
                upper: vec![],
                terms: vec![],
                skipped: vec![],
            }),
            _ => glue::score::<Probe>(&config, models, recent, tail),
        }
    }
}

export_detect!(Probe, Plugin);
