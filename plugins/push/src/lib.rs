//! The source of a batch whose samples are sent to anomd: it fetches nothing, and has nothing to
//! configure. What was sent is judged when the batch runs.

use anomd_ingester::{Descriptor, Error, Ingester, Page, Samples, Window, export_ingester};
use serde::Deserialize;

struct Push;

#[derive(Deserialize)]
struct Config {}

impl Ingester for Push {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "push".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Fetches nothing: the samples of its batch are sent to the API".into(),
            config_schema: r#"{"type": "object", "additionalProperties": false}"#.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn fetch(_: &Config, _: Window, _: Option<Vec<u8>>) -> Result<Page, Error> {
        let samples = Samples { keys: vec![], kinds: vec![], offsets: vec![0], timestamps: vec![], values: vec![] };
        Ok(Page { samples, lost: vec![], next: None })
    }
}

export_ingester!(Push);
