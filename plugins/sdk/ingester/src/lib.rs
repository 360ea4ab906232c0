//! The guest side of an ingester: implement [`Ingester`] and name it in [`export_ingester!`].

use anomd_guest::parse;
use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of the role's export; the rest of the world is `anomd-guest`'s.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin { export anomd:plugin/ingest@0.1.0; }",
        world: "anomd:sdk/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::types::{Kind, Samples};
pub use anomd_guest::{self as guest, Descriptor, Error, Level, Problem, SecretSlot, clock, http, kv, log, random};
pub use bindings::exports::anomd::plugin::ingest::{Loss, Page, Window};

/// A source of samples.
pub trait Ingester {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// What the plugin says about itself.
    fn describe() -> Descriptor;

    /// What the schema cannot say.
    fn check(_config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// One page of a window; `cursor` is what the page before gave as `next`.
    fn fetch(config: &Self::Config, window: Window, cursor: Option<Vec<u8>>) -> Result<Page, Error>;
}

/// The calls of the contract over an [`Ingester`]; [`export_ingester!`] uses them.
pub mod glue {
    use super::*;

    /// `ingest.fetch`.
    pub fn fetch<I: Ingester>(config: &str, window: Window, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        guest::report_panics();
        I::fetch(&parse(config)?, window, cursor)
    }
}

/// Makes the component of a type that implements [`Ingester`].
#[macro_export]
macro_rules! export_ingester {
    ($ingester:ty) => {
        $crate::guest::export_about!($ingester as $crate::Ingester);
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::ingest;
            struct Ingest;
            impl ingest::Guest for Ingest {
                fn fetch(
                    config: String,
                    window: ingest::Window,
                    cursor: Option<Vec<u8>>,
                ) -> Result<ingest::Page, $crate::Error> {
                    $crate::glue::fetch::<$ingester>(&config, window, cursor)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::guest::keep::<Ingest>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Ingest with_types_in $crate::bindings);
        };
    };
}
