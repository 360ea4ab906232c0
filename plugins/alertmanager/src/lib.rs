//! Hands alerts over to Prometheus' Alertmanager, which then groups, silences and routes.
//!
//! Each series of a message is an alert of Alertmanager's, told apart by its labels alone.
//! A firing one is taken for over when nothing more is heard of it for `hold`, so the host
//! has to send it again within that time; a resolved one carries its end.

mod config;
mod labels;
mod post;
mod postable;

use anomd_notifier::{Alert, Descriptor, Error, Notifier, Problem, SecretSlot, clock, export_notifier, http};

pub use config::Config;

/// The component.
pub struct Alertmanager;

impl Notifier for Alertmanager {
    type Config = Config;

    fn describe() -> Descriptor {
        let slot = |name: &str, purpose: &str| SecretSlot { name: name.into(), purpose: purpose.into() };
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Hands alerts over to Prometheus' Alertmanager and keeps them alive until resolved".into(),
            config_schema: include_str!("schema.json").into(),
            origins: vec!["{{config.url}}".into()],
            secrets: vec![
                slot(config::PASSWORD, "The password of username, for basic authentication"),
                slot(config::BEARER, "The bearer token, for auth: bearer"),
            ],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        config.check()
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        Self::deliver_all(config, std::slice::from_ref(alert)).pop().unwrap_or(Err(Error::Internal("no result".into())))
    }

    fn deliver_all(config: &Config, alerts: &[Alert]) -> Vec<Result<String, Error>> {
        post::deliver(config, alerts, clock::now(), http::send)
    }
}

export_notifier!(Alertmanager);
