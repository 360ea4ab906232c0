//! Placeholder.

use anomd_notifier::{Alert, Descriptor, Error, Notifier, export_notifier};

struct Stub;

impl Notifier for Stub {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        Descriptor {
            name: "email".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "placeholder".into(),
            config_schema: r#"{"type":"object"}"#.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn deliver(_: &Self::Config, _: &Alert) -> Result<String, Error> {
        Err(Error::Unsupported("placeholder".into()))
    }
}

export_notifier!(Stub);
