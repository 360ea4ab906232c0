//! What is evaluated: one detector or several with equal votes, each with its configuration.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::EvalError;
use crate::capability::kv::InMemory;
use crate::config::{Grants, component_with, config_digest};
use crate::plugin::{Catalogue, Detect, Use};

/// A contender as it is written: `robust`, `pca+knn`, `robust={"season": 3600}`,
/// `pca+knn={"knn": {...}}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// As it was written.
    pub name: String,
    /// The plugins, with their configurations.
    pub detectors: Vec<(String, Value)>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (names, config) = match text.split_once('=') {
            Some((names, config)) => {
                (names, serde_json::from_str(config).map_err(|e| format!("{config:?} is no JSON: {e}"))?)
            }
            None => (text, Value::Object(Map::new())),
        };
        let plugins: Vec<&str> = names.split('+').map(str::trim).collect();
        if plugins.iter().any(|plugin| plugin.is_empty()) {
            return Err(format!("{text:?} names no detector: write robust, pca+knn or robust={{\"season\": 3600}}"));
        }
        let mut spec = Self { name: text.to_owned(), detectors: Vec::new() };
        for plugin in &plugins {
            let own = if plugins.len() == 1 { Some(&config) } else { config.get(*plugin) };
            let own = own.cloned().unwrap_or_else(|| Value::Object(Map::new()));
            spec.detectors.push(named(plugin, own));
        }
        let stranger = config.as_object().into_iter().flat_map(Map::keys).find(|key| !plugins.contains(&key.as_str()));
        match stranger.filter(|_| plugins.len() > 1) {
            Some(key) => Err(format!("{key:?} is none of {names}: of several detectors each key is the name of one")),
            None => Ok(spec),
        }
    }
}

/// The component and configuration that a batch with this `model_name` would have.
fn named(name: &str, mut config: Value) -> (String, Value) {
    let algorithm = name.to_lowercase();
    match (component_with(&algorithm), config.as_object_mut()) {
        (Some(component), Some(config)) => {
            config.insert("algorithm".to_owned(), algorithm.into());
            (component.to_owned(), Value::Object(std::mem::take(config)))
        }
        _ => (name.to_owned(), config),
    }
}

/// A contender that can be called.
pub struct Contender {
    /// As it was written.
    pub name: String,
    pub(super) members: Vec<Member>,
}

/// A bound detector.
pub struct Member {
    /// The component's name.
    pub plugin: String,
    /// Sha-256 of the component, in hex.
    pub digest: String,
    /// The component.
    pub detect: Arc<dyn Detect>,
    /// The configuration as it is passed.
    pub config: String,
    config_digest: String,
}

impl Contender {
    /// Finds and binds the detectors as a batch of the default tenant would have them, after
    /// the configuration has been checked by each.
    pub async fn bind(spec: &Spec, catalogue: &Catalogue) -> Result<Self, EvalError> {
        let mut members = Vec::new();
        for (name, config) in &spec.detectors {
            let plugin = catalogue.get(name)?;
            let usage = Use {
                tenant: "default".to_owned(),
                batch: "eval".to_owned(),
                grants: Grants::default(),
                secrets: BTreeMap::new(),
                timezone: chrono_tz::UTC,
                mail: None,
                kv: Arc::new(InMemory::default()),
                warm: true,
            };
            let detect = plugin.detector(usage)?;
            if let Some(problem) = plugin.check_config(config).await.into_iter().next() {
                let place = if problem.pointer.is_empty() { "its configuration" } else { &problem.pointer };
                return Err(EvalError::Config { plugin: name.clone(), place: place.to_owned(), why: problem.message });
            }
            members.push(Member {
                plugin: name.clone(),
                digest: plugin.digest().to_owned(),
                detect,
                config: config.to_string(),
                config_digest: config_digest(config),
            });
        }
        Ok(Self { name: spec.name.clone(), members })
    }

    /// Its detectors; the mean of their scores is the score.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Equal for equal components with equal configurations.
    pub(super) fn digest(&self) -> String {
        self.members
            .iter()
            .map(|m| format!("{}:{}:{}", m.plugin, m.digest, m.config_digest))
            .collect::<Vec<_>>()
            .join("+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_algorithm_has_its_name_in_a_batch() {
        let spec: Spec = r#"winknn-batch={"windows": [64]}"#.parse().unwrap();
        let config = json!({"windows": [64], "algorithm": "winknn-batch"});
        assert_eq!(
            (spec.name.as_str(), spec.detectors),
            (r#"winknn-batch={"windows": [64]}"#, vec![("windows".to_owned(), config)])
        );
        let spec: Spec = "IForest+pca".parse().unwrap();
        let forest = ("tabular".to_owned(), json!({"algorithm": "iforest"}));
        assert_eq!(spec.detectors, [forest, ("pca".to_owned(), json!({}))]);
    }

    #[test]
    fn several_detectors_have_a_configuration_each() {
        let spec: Spec = r#"pca+knn={"knn": {"n_neighbors": 3}}"#.parse().unwrap();
        assert_eq!(spec.detectors, [("pca".to_owned(), json!({})), ("knn".to_owned(), json!({"n_neighbors": 3}))]);
        let spec: Spec = r#"robust={"season": 3600}"#.parse().unwrap();
        assert_eq!(spec.detectors, [("robust".to_owned(), json!({"season": 3600}))]);
        assert!("pca+".parse::<Spec>().unwrap_err().contains("names no detector"));
        assert!(r#"pca+knn={"lags": 3}"#.parse::<Spec>().unwrap_err().contains("each key is the name of one"));
        assert!("robust={".parse::<Spec>().unwrap_err().contains("is no JSON"));
    }
}
