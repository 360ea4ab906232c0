//! Placeholder.

use anomd_ingester::{Descriptor, Error, Ingester, Page, Window, export_ingester};

struct Stub;

impl Ingester for Stub {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        Descriptor {
            name: "prometheus".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "placeholder".into(),
            config_schema: r#"{"type":"object"}"#.into(),
            origins: vec!["{{config.url}}".into()],
            secrets: vec![],
        }
    }

    fn fetch(_: &Self::Config, _: Window, _: Option<Vec<u8>>) -> Result<Page, Error> {
        Err(Error::Unsupported("placeholder".into()))
    }
}

export_ingester!(Stub);
