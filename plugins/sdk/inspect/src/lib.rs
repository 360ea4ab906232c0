//! The optional export `inspect` of a detector: implement [`Inspect`] beside
//! `anomd_detector::Detector` and name the type in [`export_inspect!`].
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
        inline: "package anomd:sdk-inspect; world plugin { export anomd:plugin/inspect@0.1.0; }",
        world: "anomd:sdk-inspect/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::{self as guest};
pub use bindings::exports::anomd::plugin::inspect::Fact;

/// A detector whose models say what they know.
pub trait Inspect {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// Names with values; [`season`] makes the one that means something to the host.
    fn inspect(config: &Self::Config, model: &[u8]) -> Vec<Fact>;
}

/// The length of a season, in milliseconds.
pub fn season(length_ms: Option<u64>) -> Fact {
    let value = length_ms.map_or_else(|| "none".to_owned(), |ms| (ms / 1000).to_string());
    Fact { name: "season".to_owned(), value }
}

/// The call of the contract over [`Inspect`]; [`export_inspect!`] uses it.
pub mod glue {
    use super::*;

    /// `inspect.inspect`.
    pub fn inspect<I: Inspect>(config: &str, model: &[u8]) -> Vec<Fact> {
        guest::report_panics();
        parse(config).map(|config| I::inspect(&config, model)).unwrap_or_default()
    }
}

/// Adds the export to the component of a type that implements [`Inspect`].
#[macro_export]
macro_rules! export_inspect {
    ($inspect:ty) => {
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::inspect;
            struct Export;
            impl inspect::Guest for Export {
                fn inspect(config: String, model: Vec<u8>) -> Vec<inspect::Fact> {
                    $crate::glue::inspect::<$inspect>(&config, &model)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::guest::keep::<Export>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Export with_types_in $crate::bindings);
        };
    };
}
