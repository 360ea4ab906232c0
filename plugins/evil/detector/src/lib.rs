//! A test guest: a detector, of series and of tables, that attacks as it is told.

use anomd_detector::bindings::exports::anomd::plugin::detect;
use anomd_detector::{
    Cause, Descriptor, Detector, Error, Fitted, Matrix, Needs, Problem, Row, RowScores, Scored, Skip, Term,
    export_detect,
};
use anomd_vectors::bindings::exports::anomd::plugin::vectors;

struct Evil;

impl Detector for Evil {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        evil::describe()
    }

    fn check(config: &serde_json::Value) -> Vec<Problem> {
        let problem =
            |size: usize| Problem { pointer: "no pointer".repeat(size), message: "no!\u{1b}[2J".repeat(size) };
        match evil::begin(&config.to_string(), "check").as_str() {
            "many" => vec![problem(1); 100_000],
            "giant" => vec![problem(100_000)],
            _ => vec![],
        }
    }

    fn plan(_: &serde_json::Value, _: u32) -> Result<Needs, Error> {
        Err(evil::complain())
    }

    fn fit(_: &serde_json::Value, _: Row<'_>, _: &[u8]) -> Result<Vec<u8>, Cause> {
        Err(Cause::Warming)
    }

    fn score(_: &serde_json::Value, _: &[u8], _: Row<'_>, _: usize) -> Result<RowScores, Cause> {
        Err(Cause::Warming)
    }
}

struct Plugin;

fn skip(row: u32) -> Skip {
    Skip { row, cause: Cause::Failed("why? ".repeat(1_000)) }
}

fn term(name: &str, values: Vec<f64>) -> Term {
    Term { name: name.into(), values }
}

impl detect::Guest for Plugin {
    fn plan(config: String, _: u32) -> Result<Needs, Error> {
        let needs = Needs { history: 10, context: 2, refit: 0, joint: false };
        match evil::begin(&config, "plan").as_str() {
            "nothing" => Ok(Needs { history: 0, ..needs }),
            "everything" => Ok(Needs { context: u32::MAX, ..needs }),
            "complain" => Err(evil::complain()),
            _ => Ok(needs),
        }
    }

    fn fit(config: String, history: Matrix, _: Vec<Vec<u8>>) -> Result<Fitted, Error> {
        let rows = history.rows as usize;
        let sound = Fitted { models: vec![vec![1]; rows], heads: vec![], skipped: vec![] };
        Ok(match evil::begin(&config, "fit").as_str() {
            "complain" => return Err(evil::complain()),
            "few" => Fitted { models: vec![], ..sound },
            "many" => Fitted { models: vec![vec![]; 100_000], ..sound },
            "giant" => Fitted { models: vec![vec![0; 2 << 20]; rows], ..sound },
            "many-heads" => Fitted { heads: vec![0; 100_000], ..sound },
            "giant-head" => Fitted { heads: vec![u32::MAX; rows], ..sound },
            "skip-what-is-not" => Fitted { skipped: vec![skip(u32::MAX)], ..sound },
            "skip-twice" => Fitted { skipped: vec![skip(0), skip(0)], ..sound },
            "skip-at-length" => Fitted { skipped: vec![skip(0)], ..sound },
            _ => sound,
        })
    }

    fn score(config: String, _: Vec<Vec<u8>>, recent: Matrix, tail: u32) -> Result<Scored, Error> {
        let cells = recent.rows as usize * tail as usize;
        let zeros = || vec![0.0; cells];
        let sound =
            Scored { scores: zeros(), expected: vec![], lower: vec![], upper: vec![], terms: vec![], skipped: vec![] };
        Ok(match evil::begin(&config, "score").as_str() {
            "complain" => return Err(evil::complain()),
            "few" => Scored { scores: vec![], ..sound },
            "many" => Scored { scores: vec![0.0; 1_000_000], ..sound },
            "beyond" => Scored { scores: vec![1.5; cells], ..sound },
            "infinite" => Scored { scores: vec![f64::INFINITY; cells], ..sound },
            "infinite-band" => Scored { upper: vec![f64::INFINITY; cells], ..sound },
            "short-band" => Scored { lower: vec![0.0; cells + 1], ..sound },
            "many-terms" => Scored { terms: vec![term("a", zeros()); 10_000], ..sound },
            "same-terms" => Scored { terms: vec![term("a", zeros()), term("a", zeros())], ..sound },
            "giant-term" => Scored { terms: vec![term(&"a".repeat(1 << 20), zeros())], ..sound },
            "infinite-term" => Scored { terms: vec![term("a", vec![f64::NEG_INFINITY; cells])], ..sound },
            "skip-what-is-not" => Scored { skipped: vec![skip(u32::MAX)], ..sound },
            // All scores NaN is allowed: no score.
            _ => sound,
        })
    }
}

struct Tables;

impl vectors::Guest for Tables {
    fn fit_vectors(config: String, _: vectors::Table) -> Result<Vec<u8>, Error> {
        match evil::begin(&config, "fit-vectors").as_str() {
            "giant" => Ok(vec![0; 2 << 20]),
            "complain" => Err(evil::complain()),
            _ => Ok(vec![1]),
        }
    }

    fn score_vectors(config: String, _: Vec<u8>, recent: vectors::Table) -> Result<vectors::Judged, Error> {
        let rows = recent.rows as usize;
        let sound = vectors::Judged { scores: vec![0.0; rows], terms: vec![] };
        Ok(match evil::begin(&config, "score-vectors").as_str() {
            "few" => vectors::Judged { scores: vec![], ..sound },
            "infinite" => vectors::Judged { scores: vec![f64::INFINITY; rows], ..sound },
            "giant-term" => vectors::Judged { terms: vec![term(&"a".repeat(1 << 20), vec![0.0; rows])], ..sound },
            _ => sound,
        })
    }
}

export_detect!(Evil, Plugin);
#[cfg(not(target_family = "wasm"))]
const _: () = anomd_detector::guest::keep::<Tables>();
#[cfg(target_family = "wasm")]
anomd_vectors::bindings::export!(Tables with_types_in anomd_vectors::bindings);
