//! The guest side of a detector: implement [`Detector`] and name it in [`export_detector!`].
//!
//! The trait speaks of one series at a time; this crate cuts the host's matrices into
//! rows, parses the configuration, checks the lengths of what comes back and turns the
//! panic that stops a call into its message. Detectors whose rows belong together
//! (`joint`) implement the generated `detect::Guest` under [`bindings`] and use
//! [`export_detect!`].

pub mod model;

use anomd_guest::parse;
use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of the role's export; the rest of the world is `anomd-guest`'s.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin { export anomd:plugin/detect@0.1.0; }",
        world: "anomd:sdk/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::types::{Cause, Fitted, Matrix, Scored, Skip, Term};
pub use anomd_guest::{self as guest, Descriptor, Error, Level, Problem, SecretSlot, clock, log, random};
pub use bindings::exports::anomd::plugin::detect::Needs;

/// One series on the host's regular grid. NaN stands for a missing value.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The values, oldest first.
    pub values: &'a [f64],
    /// The instant of the first value, in milliseconds since the Unix epoch.
    pub start: i64,
    /// Milliseconds between two values.
    pub step: u32,
}

/// The result for one row: each list is empty or as long as the tail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScores {
    /// 0 is ordinary, 1 as odd as it gets; as long as the tail.
    pub scores: Vec<f64>,
    /// What was expected.
    pub expected: Vec<f64>,
    /// The lower edge of what would have been ordinary.
    pub lower: Vec<f64>,
    /// The upper edge.
    pub upper: Vec<f64>,
    /// Named parts of the score. Each row of a call has the same names in the same order.
    pub terms: Vec<(&'static str, Vec<f64>)>,
}

/// A detector that judges each series by itself.
pub trait Detector {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// What the plugin says about itself.
    fn describe() -> Descriptor;

    /// What the schema cannot say.
    fn check(_config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// How much history and context a detector wants at `step` milliseconds.
    fn plan(config: &Self::Config, step: u32) -> Result<Needs, Error>;

    /// Learns one series. `previous` is its last model, whole, or empty.
    fn fit(config: &Self::Config, history: Row<'_>, previous: &[u8]) -> Result<Vec<u8>, Cause>;

    /// How many bytes of a model that [`Detector::fit`] gave, from the first on, `score` is passed;
    /// those that follow are for the next fit alone. All of them, if this is not implemented.
    fn head(model: &[u8]) -> usize {
        model.len()
    }

    /// Scores the last `tail` values of a series; `model` is the head of its model.
    fn score(config: &Self::Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause>;
}

/// The rows of a matrix.
pub fn rows(matrix: &Matrix) -> impl Iterator<Item = Row<'_>> {
    let columns = (matrix.axis.columns as usize).max(1);
    matrix.values.chunks_exact(columns).map(|values| Row { values, start: matrix.axis.start, step: matrix.axis.step })
}

/// The calls of the contract over a [`Detector`]; [`export_detector!`] uses them.
pub mod glue {
    use super::*;

    /// `detect.plan`.
    pub fn plan<D: Detector>(config: &str, step: u32) -> Result<Needs, Error> {
        guest::report_panics();
        D::plan(&parse(config)?, step)
    }

    /// `detect.fit`.
    pub fn fit<D: Detector>(config: &str, history: Matrix, previous: Vec<Vec<u8>>) -> Result<Fitted, Error> {
        guest::report_panics();
        let config = parse(config)?;
        let (mut models, mut skipped) = (Vec::new(), Vec::new());
        for (index, row) in rows(&history).enumerate() {
            let before = previous.get(index).map_or(&[][..], Vec::as_slice);
            models.push(D::fit(&config, row, before).unwrap_or_else(|cause| {
                skipped.push(Skip { row: index as u32, cause });
                Vec::new()
            }));
        }
        // A row without a model has an empty one.
        let head = |model: &Vec<u8>| if model.is_empty() { 0 } else { D::head(model) as u32 };
        let heads = models.iter().map(head).collect();
        Ok(Fitted { models, heads, skipped })
    }

    /// `detect.score`.
    pub fn score<D: Detector>(config: &str, models: Vec<Vec<u8>>, recent: Matrix, tail: u32) -> Result<Scored, Error> {
        guest::report_panics();
        let config = parse(config)?;
        let tail = tail as usize;
        let results: Vec<Result<RowScores, Cause>> =
            rows(&recent).zip(&models).map(|(row, model)| D::score(&config, model, row, tail)).collect();
        join(results, tail)
    }

    /// Lays the rows' results side by side. Rows without one are NaN and listed.
    fn join(results: Vec<Result<RowScores, Cause>>, tail: usize) -> Result<Scored, Error> {
        let cells = results.len() * tail;
        let first = results.iter().find_map(|r| r.as_ref().ok()).cloned().unwrap_or_default();
        let column = |has: bool| if has { vec![f64::NAN; cells] } else { Vec::new() };
        let mut joined = Scored {
            scores: column(true),
            expected: column(!first.expected.is_empty()),
            lower: column(!first.lower.is_empty()),
            upper: column(!first.upper.is_empty()),
            terms: (first.terms.iter()).map(|(name, _)| Term { name: (*name).into(), values: column(true) }).collect(),
            skipped: Vec::new(),
        };
        for (index, result) in results.into_iter().enumerate() {
            let row = match result {
                Ok(row) => row,
                Err(cause) => {
                    joined.skipped.push(Skip { row: index as u32, cause });
                    continue;
                }
            };
            let place = index * tail..(index + 1) * tail;
            let parts = [
                (&mut joined.scores, &row.scores),
                (&mut joined.expected, &row.expected),
                (&mut joined.lower, &row.lower),
                (&mut joined.upper, &row.upper),
            ];
            let terms = joined.terms.iter_mut().zip(&row.terms).map(|(to, (_, from))| (&mut to.values, from));
            for (to, from) in parts.into_iter().chain(terms) {
                if to.is_empty() && from.is_empty() {
                    continue;
                }
                if to.is_empty() || from.len() != tail {
                    return Err(Error::Internal(format!(
                        "row {index} has a column of {} values for a tail of {tail}, or one that the first row lacks",
                        from.len()
                    )));
                }
                to[place.clone()].copy_from_slice(from);
            }
        }
        Ok(joined)
    }
}

/// Makes the component of a type that implements [`Detector`].
#[macro_export]
macro_rules! export_detector {
    ($detector:ty) => {
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::detect;
            struct Detect;
            impl detect::Guest for Detect {
                fn plan(config: String, step: u32) -> Result<detect::Needs, $crate::Error> {
                    $crate::glue::plan::<$detector>(&config, step)
                }
                fn fit(
                    config: String,
                    history: $crate::Matrix,
                    previous: Vec<Vec<u8>>,
                ) -> Result<$crate::Fitted, $crate::Error> {
                    $crate::glue::fit::<$detector>(&config, history, previous)
                }
                fn score(
                    config: String,
                    models: Vec<Vec<u8>>,
                    recent: $crate::Matrix,
                    tail: u32,
                ) -> Result<$crate::Scored, $crate::Error> {
                    $crate::glue::score::<$detector>(&config, models, recent, tail)
                }
            }
            $crate::export_detect!($detector, Detect);
        };
    };
}

/// The same where a type of its own implements the generated `detect::Guest`: for rows that
/// belong together. The first type describes the plugin.
#[macro_export]
macro_rules! export_detect {
    ($detector:ty, $detect:ident) => {
        $crate::guest::export_about!($detector as $crate::Detector);
        #[cfg(not(target_family = "wasm"))]
        const _: () = $crate::guest::keep::<$detect>();
        #[cfg(target_family = "wasm")]
        $crate::bindings::export!($detect with_types_in $crate::bindings);
    };
}

/// The detector of `plugins/README.md` compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
