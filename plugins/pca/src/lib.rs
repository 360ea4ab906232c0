//! Placeholder.

use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Row, RowScores, export_detector};

struct Stub;

impl Detector for Stub {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        Descriptor {
            name: "pca".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "placeholder".into(),
            config_schema: r#"{"type":"object"}"#.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(_: &Self::Config, _: u32) -> Result<Needs, Error> {
        Ok(Needs { history: 1000, context: 10, refit: 0, joint: false })
    }

    fn fit(_: &Self::Config, history: Row<'_>, _: &[u8]) -> Result<Vec<u8>, Cause> {
        let mean = history.values.iter().sum::<f64>() / history.values.len() as f64;
        Ok(mean.to_le_bytes().to_vec())
    }

    fn score(_: &Self::Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let mean = f64::from_le_bytes(model.try_into().map_err(|_| Cause::Warming)?);
        let scores = recent.values[recent.values.len() - tail..]
            .iter()
            .map(|v| ((v - mean).abs() / (1.0 + mean.abs())).min(1.0));
        Ok(RowScores { scores: scores.collect(), ..RowScores::default() })
    }
}

export_detector!(Stub);
