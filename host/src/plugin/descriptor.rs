//! What a plugin says about itself when it is asked, bounded before it is believed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checked::text;
use super::schema::Schema;
use crate::capability::http::{Origin, Pattern};

/// Bytes of a text that a fault quotes.
const QUOTED: usize = 80;
/// Bytes of an origin.
const ORIGIN_BYTES: usize = 500;

/// A place for a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSlot {
    /// The name that batches and requests use.
    pub name: String,
    /// What it is for.
    pub purpose: String,
}

/// The contract's `descriptor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Descriptor {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub config_schema: String,
    pub origins: Vec<String>,
    pub secrets: Vec<SecretSlot>,
}

impl Descriptor {
    /// The schema, if all is as the contract says; else what is not.
    pub(super) fn schema(&self) -> Result<Schema, String> {
        let word = |text: &str, most: usize| {
            !text.is_empty()
                && text.len() <= most
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
        };
        if !word(&self.name, 64) {
            let name = text(&self.name, QUOTED);
            return Err(format!("its name is {name:?}: a name has 1 to 64 of the characters a-z 0-9 - _"));
        }
        if !word(&self.version, 64) {
            let version = text(&self.version, QUOTED);
            return Err(format!("its version is {version:?}: a version looks like 1.2.3"));
        }
        if self.summary.len() > 1_000 || self.summary.chars().any(char::is_control) {
            return Err("its summary is no single line of at most 1000 bytes".into());
        }
        if self.origins.len() > 64 {
            return Err(format!("it lists {} origins; 64 are allowed", self.origins.len()));
        }
        for origin in &self.origins {
            if origin.len() > ORIGIN_BYTES {
                return Err(format!("it lists an origin of {} bytes; {ORIGIN_BYTES} are allowed", origin.len()));
            }
            if placeholder(origin).is_none() {
                origin.parse::<Pattern>()?;
            }
        }
        if self.secrets.len() > 32 {
            return Err(format!("it lists {} secret slots; 32 are allowed", self.secrets.len()));
        }
        if let Some(slot) = self.secrets.iter().find(|slot| !word(&slot.name, 64) || slot.purpose.len() > 1_000) {
            let name = text(&slot.name, QUOTED);
            return Err(format!("its secret slot {name:?} has no usable name, or a purpose of over 1000 bytes"));
        }
        Schema::new(&self.config_schema).map_err(|why| format!("its config-schema is no JSON Schema: {why}"))
    }

    /// The origins that it would like to reach with a configuration: its own, and those
    /// that the operator typed into the places that it names (`{{config.url}}`).
    pub(super) fn origins(&self, config: &Value) -> Vec<String> {
        let mut origins = Vec::new();
        for origin in &self.origins {
            let Some(path) = placeholder(origin) else {
                origins.push(origin.clone());
                continue;
            };
            let typed = path.split('.').try_fold(config, |value, key| value.get(key));
            let origin = typed.and_then(Value::as_str).and_then(|text| text.parse::<Origin>().ok());
            origins.extend(origin.map(|origin| origin.to_string()));
        }
        origins.dedup();
        origins
    }
}

/// `url` of `{{config.url}}`.
fn placeholder(origin: &str) -> Option<&str> {
    origin.strip_prefix("{{config.")?.strip_suffix("}}")
}
