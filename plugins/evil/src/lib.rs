//! Attacks that are the same in every export, and the configuration that orders them.
//!
//! `{"in": "fit", "attack": "spin"}` attacks in `fit`; all other exports behave. What the
//! start function, `describe` and the canonical ABI can do wrong is no matter of Rust: the
//! host's tests write those components as text.

use std::hint::black_box;

use anomd_guest::{Descriptor, Error, Level, clock, log, random, report_panics};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    #[serde(default, rename = "in")]
    export: String,
    #[serde(default)]
    attack: String,
}

/// What the guests say of themselves: nothing suspicious.
pub fn describe() -> Descriptor {
    Descriptor {
        name: "evil".into(),
        version: "0.1.0".into(),
        summary: "A test guest".into(),
        config_schema: r#"{"type": "object"}"#.into(),
        origins: vec!["{{config.url}}".into()],
        secrets: vec![],
    }
}

/// Attacks if the order is for this export; else, or if the attack is one of this export's
/// own, says which it is.
pub fn begin(config: &str, export: &str) -> String {
    report_panics();
    let order: Order = serde_json::from_str(config).unwrap_or(Order { export: String::new(), attack: String::new() });
    if order.export != export {
        return String::new();
    }
    match order.attack.as_str() {
        "spin" => loop {
            black_box(0);
        },
        "spin-in-host-calls" => loop {
            black_box(clock::now());
        },
        "allocate" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "recurse" => {
            black_box(recurse(1));
        }
        "panic-at-length" => panic!("{}", "help! ".repeat(2 << 20)),
        "log-a-giant" => log::write(Level::Info, &"x".repeat(12 << 20), &[]),
        "log-many-fields" => {
            log::write(Level::Info, "fields", &vec![(String::from("name"), String::from("value")); 50_000]);
        }
        "log-a-million-lines" => {
            for line in 0..1_000_000 {
                log::write(Level::Info, "again", &[]);
                black_box(line);
            }
        }
        "draw-too-much" => {
            black_box(random::draw(u32::MAX));
        }
        own => return own.to_owned(),
    }
    String::new()
}

/// An answer that is an error, with a text without an end.
pub fn complain() -> Error {
    Error::Internal("woe! ".repeat(1 << 20))
}

#[expect(unconditional_recursion, reason = "the host is to stop it")]
fn recurse(depth: u8) -> u8 {
    black_box(recurse(black_box(depth)).wrapping_add(1))
}
