//! The guest side of a notifier: implement [`Notifier`] and name it in [`export_notifier!`].
//!
//! Importing `http`, `kv` or `mail` here grants nothing: the linker drops what a plugin
//! does not call, so the imports of the finished component are the ones that it uses.

use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of `wit/`.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin {
            include anomd:plugin/notifier@0.1.0;
            import anomd:plugin/http@0.1.0;
            import anomd:plugin/kv@0.1.0;
            import anomd:plugin/mail@0.1.0;
        }",
        world: "anomd:sdk/plugin",
        pub_export_macro: true,
        generate_all,
    });
}

pub use bindings::anomd::plugin::log::{self, Level};
pub use bindings::anomd::plugin::types::Error;
pub use bindings::anomd::plugin::{clock, http, kv, mail, random};
pub use bindings::exports::anomd::plugin::about::{Descriptor, Problem, SecretSlot};
pub use bindings::exports::anomd::plugin::notify::{Alert, Finding, State};

/// A way to tell people.
pub trait Notifier {
    /// The configuration, which the host has checked against the schema.
    type Config: DeserializeOwned;

    /// What the plugin says about itself.
    fn describe() -> Descriptor;

    /// What the schema cannot say.
    fn check(_config: &Self::Config) -> Vec<Problem> {
        Vec::new()
    }

    /// Sends one message and returns what the remote side answered.
    fn deliver(config: &Self::Config, alert: &Alert) -> Result<String, Error>;
}

/// A trap has no message of its own: the host shows the last log lines beside it.
fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| log::write(Level::Error, &info.to_string(), &[])));
    });
}

/// The calls of the contract over a [`Notifier`]; [`export_notifier!`] uses them.
pub mod glue {
    use super::*;

    /// `about.check`.
    pub fn check<N: Notifier>(config: &str) -> Vec<Problem> {
        report_panics();
        match serde_json::from_str(config) {
            Ok(config) => N::check(&config),
            Err(e) => vec![Problem { pointer: String::new(), message: e.to_string() }],
        }
    }

    /// `notify.deliver`.
    pub fn deliver<N: Notifier>(config: &str, alerts: &[Alert]) -> Vec<Result<String, Error>> {
        report_panics();
        match serde_json::from_str(config) {
            Ok(config) => alerts.iter().map(|alert| N::deliver(&config, alert)).collect(),
            Err(e) => alerts.iter().map(|_| Err(Error::BadConfig(e.to_string()))).collect(),
        }
    }
}

/// Makes the component of a type that implements [`Notifier`].
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty) => {
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::{about, notify};
            struct Plugin;
            impl about::Guest for Plugin {
                fn describe() -> about::Descriptor {
                    <$notifier as $crate::Notifier>::describe()
                }
                fn check(config: String) -> Vec<about::Problem> {
                    $crate::glue::check::<$notifier>(&config)
                }
            }
            impl notify::Guest for Plugin {
                fn deliver(config: String, alerts: Vec<notify::Alert>) -> Vec<Result<String, $crate::Error>> {
                    $crate::glue::deliver::<$notifier>(&config, &alerts)
                }
            }
    $crate::bindings::export!(Plugin with_types_in $crate::bindings);
        };
    };
}
