//! The guest side of a notifier: implement [`Notifier`] and name it in [`export_notifier!`].

pub mod text;

use serde::de::DeserializeOwned;

/// What `wit-bindgen` made of the role's export; the rest of the world is `anomd-guest`'s.
#[allow(missing_docs, reason = "generated; wit/anomd.wit documents it")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package anomd:sdk; world plugin { export anomd:plugin/notify@0.1.0; }",
        world: "anomd:sdk/plugin",
        with: { "anomd:plugin/types@0.1.0": anomd_guest::types },
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use anomd_guest::{
    self as guest, Descriptor, Error, Level, Problem, SecretSlot, clock, http, kv, log, mail, random,
};
pub use bindings::exports::anomd::plugin::notify::{Action, Alert, Finding, State};

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

    /// Sends the messages of one call; one result for each, in order. For a remote side that
    /// takes many at once.
    fn deliver_all(config: &Self::Config, alerts: &[Alert]) -> Vec<Result<String, Error>> {
        alerts.iter().map(|alert| Self::deliver(config, alert)).collect()
    }
}

/// The calls of the contract over a [`Notifier`]; [`export_notifier!`] uses them.
pub mod glue {
    use super::*;

    /// `notify.deliver`: a configuration that does not parse fails each alert.
    pub fn deliver<N: Notifier>(config: &str, alerts: &[Alert]) -> Vec<Result<String, Error>> {
        guest::report_panics();
        match guest::parse(config) {
            Ok(config) => N::deliver_all(&config, alerts),
            Err(error) => vec![Err(error); alerts.len()],
        }
    }
}

/// Makes the component of a type that implements [`Notifier`].
#[macro_export]
macro_rules! export_notifier {
    ($notifier:ty) => {
        $crate::guest::export_about!($notifier as $crate::Notifier);
        const _: () = {
            use $crate::bindings::exports::anomd::plugin::notify;
            struct Notify;
            impl notify::Guest for Notify {
                fn deliver(config: String, alerts: Vec<notify::Alert>) -> Vec<Result<String, $crate::Error>> {
                    $crate::glue::deliver::<$notifier>(&config, &alerts)
                }
            }
            #[cfg(not(target_family = "wasm"))]
            const _: () = $crate::guest::keep::<Notify>();
            #[cfg(target_family = "wasm")]
    $crate::bindings::export!(Notify with_types_in $crate::bindings);
        };
    };
}
