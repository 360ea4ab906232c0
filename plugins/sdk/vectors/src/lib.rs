//! The optional export `vectors` of a detector: implement [`Vectors`] beside
//! `anomd_detector::Detector` and name the type in [`export_vectors!`].
//!
//! It is a crate of its own because a module exports the sum of the worlds of the crates in
//! it: a detector without this export must not be linked with it.

use anomd_guest::parse;
use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of the export; the rest of the world is `anomd-guest`'s.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk-vectors; world plugin { export anomd:plugin/vectors@0.1.0; }",
        world: "anomd:sdk-vectors/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::types::{Error, Term};
pub use anomd_guest::{self as guest};
pub use bindings::exports::anomd::plugin::vectors::{Judged, Table};

/// A detector of rows and features.
pub trait Vectors {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// Learns a table. Its values are `rows x features.len()`, row-major.
    fn fit(config: &Self::Config, history: &Table) -> Result<Vec<u8>, Error>;

    /// One score a row, NaN where a row cannot be judged.
    fn score(config: &Self::Config, model: &[u8], recent: &Table) -> Result<Judged, Error>;
}

/// The calls of the contract over [`Vectors`]; [`export_vectors!`] uses them.
pub mod glue {
    use super::*;

    /// `vectors.fit-vectors`.
    pub fn fit<V: Vectors>(config: &str, history: &Table) -> Result<Vec<u8>, Error> {
        guest::report_panics();
        V::fit(&parse(config)?, history)
    }

    /// `vectors.score-vectors`.
    pub fn score<V: Vectors>(config: &str, model: &[u8], recent: &Table) -> Result<Judged, Error> {
        guest::report_panics();
        V::score(&parse(config)?, model, recent)
    }
}

/// Adds the export to the component of a type that implements [`Vectors`].
#[macro_export]
macro_rules! export_vectors {
    ($vectors:ty) => {
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::vectors;
            struct Export;
            impl vectors::Guest for Export {
                fn fit_vectors(config: String, history: vectors::Table) -> Result<Vec<u8>, $crate::Error> {
                    $crate::glue::fit::<$vectors>(&config, &history)
                }
                fn score_vectors(
                    config: String,
                    model: Vec<u8>,
                    recent: vectors::Table,
                ) -> Result<vectors::Judged, $crate::Error> {
                    $crate::glue::score::<$vectors>(&config, &model, &recent)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::guest::keep::<Export>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Export with_types_in $crate::bindings);
        };
    };
}
