//! The configuration: what the operator wrote, typed, and what the schema cannot check.

use std::collections::BTreeMap;
use std::fmt;

use anomd_ingester::Problem;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::span::Span;
use crate::{address, selector};

/// What this plugin accepts; the meaning of each key stands in it.
pub const SCHEMA: &str = include_str!("schema.json");

/// See `schema.json`. Empty texts count as absent, since that is what an unset variable of
/// the environment becomes.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    pub url: String,
    #[serde(default)]
    pub username: String,
    pub auth: Option<Auth>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub queries: Queries,
    #[serde(default)]
    pub metrics: Prefixes,
    #[serde(default = "default_max_metrics")]
    pub max_metrics: usize,
    #[serde(default = "yes")]
    pub rate: bool,
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    #[serde(default = "default_lookback")]
    pub lookback: Span,
    #[serde(default = "default_max_points")]
    pub max_points: u32,
    pub instant: Option<bool>,
}

fn default_max_metrics() -> usize {
    200
}

fn default_timeout() -> Span {
    Span::from_seconds(30)
}

fn default_lookback() -> Span {
    Span::from_seconds(300)
}

fn default_max_points() -> u32 {
    11_000
}

fn yes() -> bool {
    true
}

/// Which credentials go with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    None,
    Basic,
    Bearer,
}

impl Config {
    /// Basic where there is a user name, else none; unless `auth` says.
    pub fn auth(&self) -> Auth {
        match self.auth {
            Some(auth) => auth,
            None if self.username.is_empty() => Auth::None,
            None => Auth::Basic,
        }
    }
}

/// One PromQL query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub name: Option<String>,
    pub text: String,
    /// Overrides the configuration's `rate`.
    pub rate: Option<bool>,
    /// Where it stands in the configuration.
    pub pointer: String,
}

/// A list of queries, of `{name, query, rate}`, or a map of name to query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queries(pub Vec<Query>);

/// Prefixes of metric names: a list, or a text with commas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prefixes(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Full { name: Option<String>, query: String, rate: Option<bool> },
}

impl Entry {
    fn into_query(self, key: Option<String>, pointer: String) -> Query {
        let (name, text, rate) = match self {
            Self::Text(text) => (None, text, None),
            Self::Full { name, query, rate } => (name, query, rate),
        };
        Query { name: key.or(name).filter(|name| !name.is_empty()), text, rate, pointer }
    }
}

impl<'de> Deserialize<'de> for Queries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Queries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of queries, or a map of name to query")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Queries, A::Error> {
                let mut queries = Vec::new();
                while let Some(entry) = items.next_element::<Entry>()? {
                    queries.push(entry.into_query(None, format!("/queries/{}", queries.len())));
                }
                Ok(Queries(queries))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Queries, A::Error> {
                let mut queries = Vec::new();
                while let Some((key, entry)) = items.next_entry::<String, Entry>()? {
                    let pointer = format!("/queries/{}", key.replace('~', "~0").replace('/', "~1"));
                    queries.push(entry.into_query(Some(key), pointer));
                }
                Ok(Queries(queries))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Prefixes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            List(Vec<String>),
            Text(String),
        }
        let all = match Form::deserialize(deserializer).map_err(|_| {
            de::Error::custom("metrics: a list of prefixes of metric names, or a text of them with commas between")
        })? {
            Form::List(list) => list,
            Form::Text(text) => text.split(',').map(str::to_owned).collect(),
        };
        let trimmed = all.iter().map(|prefix| prefix.trim()).filter(|prefix| !prefix.is_empty());
        Ok(Self(trimmed.map(str::to_owned).collect()))
    }
}

/// The cross-field rules.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |pointer: &str, message: String| problems.push(Problem { pointer: pointer.into(), message });

    if let Err(message) = address::base(&config.url) {
        problem("/url", message);
    }
    if config.queries.0.is_empty() && config.metrics.0.is_empty() {
        problem("", "nothing is asked for: give `queries`, `metrics` or both".into());
    }
    match (config.auth(), config.username.is_empty()) {
        (Auth::Basic, true) => {
            problem("/auth", "`auth: basic` needs `username`; the password is the secret `password`".into());
        }
        (Auth::Bearer | Auth::None, false) => {
            problem("/username", "a user name is sent with `auth: basic` alone: remove it, or remove `auth`".into())
        }
        (Auth::Basic, false) | (Auth::Bearer | Auth::None, true) => {}
    }
    for name in config.headers.keys() {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.eq_ignore_ascii_case("authorization") {
            problem(
                &pointer,
                "credentials do not belong into the configuration: use `username` with the secret `password`, or \
                 `auth: bearer` with the secret `token`"
                    .into(),
            );
        }
    }
    for query in &config.queries.0 {
        if let Err(message) = selector::balanced(&query.text) {
            problem(&query.pointer, message);
        } else if query.rate == Some(true) && selector::plain(&query.text).is_none() {
            problem(
                &query.pointer,
                "`rate: true` needs a plain selector, as in `name{label=\"value\"}`: write `rate(…[5m])` into the \
                 query instead"
                    .into(),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    fn told(text: &str) -> Vec<(String, String)> {
        check(&config(text)).into_iter().map(|problem| (problem.pointer, problem.message)).collect()
    }

    #[test]
    fn queries_come_in_three_forms_and_keep_their_order() {
        let list = config(r#"{"url":"http://a","queries":["up",{"query":"x"},{"name":"n","query":"y","rate":false}]}"#);
        let query = |name: Option<&str>, text: &str, rate, pointer: &str| Query {
            name: name.map(str::to_owned),
            text: text.into(),
            rate,
            pointer: pointer.into(),
        };
        assert_eq!(
            list.queries.0,
            [
                query(None, "up", None, "/queries/0"),
                query(None, "x", None, "/queries/1"),
                query(Some("n"), "y", Some(false), "/queries/2"),
            ]
        );
        let map = config(r#"{"url":"http://a","queries":{"z/1":"up","a":{"query":"x","rate":true}}}"#);
        assert_eq!(
            map.queries.0,
            [query(Some("z/1"), "up", None, "/queries/z~11"), query(Some("a"), "x", Some(true), "/queries/a")]
        );
    }

    #[test]
    fn what_the_environment_gives_as_text_is_accepted() {
        let config = config(
            r#"{"url":"http://a","username":"","timeout":"45","lookback":"10m","metrics":"node_cpu, node_memory,",
                "timezone":"Europe/Berlin"}"#,
        );
        assert_eq!(config.auth(), Auth::None);
        assert_eq!(config.timeout, Span::from_seconds(45));
        assert_eq!(config.lookback, Span::from_seconds(600));
        assert_eq!(config.metrics.0, ["node_cpu", "node_memory"]);
        assert_eq!(check(&config), []);
    }

    #[test]
    fn each_rule_names_its_key() {
        let pointers = |text: &str| told(text).into_iter().map(|(pointer, _)| pointer).collect::<Vec<_>>();
        assert_eq!(pointers(r#"{"url":"http://a","metrics":" , "}"#), [""]);
        assert_eq!(pointers(r#"{"url":"ftp://a","queries":["up"]}"#), ["/url"]);
        assert_eq!(pointers(r#"{"url":"http://a","queries":["up"],"auth":"basic"}"#), ["/auth"]);
        assert_eq!(pointers(r#"{"url":"http://a","queries":["up"],"auth":"bearer","username":"u"}"#), ["/username"]);
        assert_eq!(
            pointers(r#"{"url":"http://a","queries":["up"],"headers":{"Authorization":"Bearer x"}}"#),
            ["/headers/Authorization"]
        );
        assert_eq!(
            pointers(r#"{"url":"http://a","queries":["up","sum(","ok",{"query":"1+1","rate":true}]}"#),
            ["/queries/1", "/queries/3"]
        );
        assert_eq!(pointers(r#"{"url":"http://a","queries":{"a/b":"x{y=\"z}"}}"#), ["/queries/a~1b"]);
    }

    #[test]
    fn the_schema_is_json_and_closed() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        for (key, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{key} has no description");
        }
    }
}
