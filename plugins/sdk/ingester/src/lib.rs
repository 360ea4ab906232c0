//! The guest side of an ingester: implement [`Ingester`] and name it in [`export_ingester!`].
//!
//! Importing `http` or `kv` here grants nothing: the linker drops what a plugin does not
//! call, so the imports of the finished component are the ones that it uses.

use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of `wit/`.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin {
            include anomd:plugin/ingester@0.1.0;
            import anomd:plugin/http@0.1.0;
            import anomd:plugin/kv@0.1.0;
        }",
        world: "anomd:sdk/plugin",
        pub_export_macro: true,
        generate_all,
    });
}

pub use bindings::anomd::plugin::log::{self, Level};
pub use bindings::anomd::plugin::types::{Error, Kind, Samples};
pub use bindings::anomd::plugin::{clock, http, kv, random};
pub use bindings::exports::anomd::plugin::about::{Descriptor, Problem, SecretSlot};
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

fn parse<C: DeserializeOwned>(config: &str) -> Result<C, Error> {
    serde_json::from_str(config).map_err(|e| Error::BadConfig(e.to_string()))
}

/// A trap has no message of its own: the host shows the last log lines beside it.
fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| log::write(Level::Error, &info.to_string(), &[])));
    });
}

/// The calls of the contract over an [`Ingester`]; [`export_ingester!`] uses them.
pub mod glue {
    use super::*;

    /// `about.check`.
    pub fn check<I: Ingester>(config: &str) -> Vec<Problem> {
        report_panics();
        match parse(config) {
            Ok(config) => I::check(&config),
            Err(Error::BadConfig(message)) => vec![Problem { pointer: String::new(), message }],
            Err(_) => Vec::new(),
        }
    }

    /// `ingest.fetch`.
    pub fn fetch<I: Ingester>(config: &str, window: Window, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        report_panics();
        I::fetch(&parse(config)?, window, cursor)
    }
}

/// Makes the component of a type that implements [`Ingester`].
#[macro_export]
macro_rules! export_ingester {
    ($ingester:ty) => {
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::{about, ingest};
            struct Plugin;
            impl about::Guest for Plugin {
                fn describe() -> about::Descriptor {
                    <$ingester as $crate::Ingester>::describe()
                }
                fn check(config: String) -> Vec<about::Problem> {
                    $crate::glue::check::<$ingester>(&config)
                }
            }
            impl ingest::Guest for Plugin {
                fn fetch(
                    config: String,
                    window: ingest::Window,
                    cursor: Option<Vec<u8>>,
                ) -> Result<ingest::Page, $crate::Error> {
                    $crate::glue::fetch::<$ingester>(&config, window, cursor)
                }
            }
    $crate::bindings::export!(Plugin with_types_in $crate::bindings);
        };
    };
}
