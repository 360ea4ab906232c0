//! What is asked for: the configured queries, and the metrics that a prefix stands for.

use anomd_ingester::Kind;

use crate::config::Config;
use crate::metadata::Families;
use crate::selector::{self, Selector};

/// Characters of a query that stand for it where it has no name.
const TITLE: usize = 120;

/// Which series of a target become rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rating {
    None,
    Counters,
    All,
}

/// One query to send.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the operator knows it by.
    pub title: String,
    pub query: String,
    /// Becomes `__name__`.
    pub name: Option<String>,
    /// The one metric that is asked for, if the query says it.
    pub metric: Option<String>,
    pub rating: Rating,
}

impl Target {
    fn new(query: &str, name: Option<&str>, rate: Option<bool>, config: &Config) -> Self {
        let selector = selector::plain(query);
        let rating = match (&selector, rate) {
            (None, _) | (_, Some(false)) => Rating::None,
            (_, Some(true)) => Rating::All,
            (_, None) if config.rate => Rating::Counters,
            (_, None) => Rating::None,
        };
        let title = match name {
            Some(name) => name.to_owned(),
            None => match query.char_indices().nth(TITLE) {
                Some((end, _)) => format!("{}…", &query[..end]),
                None => query.to_owned(),
            },
        };
        let metric = selector.and_then(|Selector { name }| name);
        Self { title, query: query.to_owned(), name: name.map(str::to_owned), metric, rating }
    }

    /// Whether samples before a range are needed, for the rate of its first points.
    pub fn looks_back(&self, families: &Families) -> bool {
        match (self.rating, &self.metric) {
            (Rating::None, _) => false,
            (Rating::Counters, Some(metric)) => families.kind(metric).0 == Kind::Counter,
            (Rating::Counters, None) | (Rating::All, _) => true,
        }
    }
}

/// All targets: first the configured queries, then the metrics that were found. A metric
/// that is also a query on its own is asked for once.
pub fn targets(config: &Config, found: &[String]) -> Vec<Target> {
    let queries = &config.queries.0;
    let configured = queries.iter().map(|query| Target::new(&query.text, query.name.as_deref(), query.rate, config));
    let found = found
        .iter()
        .map(|metric| Target::new(&selector_of(metric), None, None, config))
        .filter(|target| !queries.iter().any(|query| query.name.is_none() && query.text.trim() == target.query));
    configured.chain(found).collect()
}

/// The selector of all series of a metric. Names that are no identifiers (Prometheus 3 has
/// them) are quoted.
fn selector_of(metric: &str) -> String {
    match selector::plain(metric) {
        Some(Selector { name: Some(name) }) if name == metric => name,
        _ => format!("{{__name__=\"{}\"}}", metric.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(queries: &str) -> Config {
        serde_json::from_str(&format!(r#"{{"url":"http://a","queries":{queries}}}"#)).unwrap()
    }

    #[test]
    fn only_plain_selectors_are_rated() {
        let config = config(r#"["x","sum(x)",{"query":"x","rate":false},{"query":"x","rate":true},"x[5m]"]"#);
        let ratings: Vec<_> = targets(&config, &[]).iter().map(|target| target.rating).collect();
        assert_eq!(ratings, [Rating::Counters, Rating::None, Rating::None, Rating::All, Rating::None]);
    }

    #[test]
    fn found_metrics_follow_the_queries_and_are_quoted_where_needed() {
        let config = config(r#"["node_load1",{"name":"n","query":"node_load5"}]"#);
        let found = ["node_load1", "node_load5", "http.server\"requests"].map(str::to_owned);
        let queries: Vec<_> = targets(&config, &found).into_iter().map(|target| target.query).collect();
        assert_eq!(queries, ["node_load1", "node_load5", "node_load5", r#"{__name__="http.server\"requests"}"#]);
        assert_eq!(selector::plain(&queries[3]).unwrap().name.as_deref(), Some("http.server\"requests"));
    }
}
