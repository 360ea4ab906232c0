//! Which series are counters.
//!
//! `/api/v1/metadata` is keyed by *family*, and samples carry the names of series: the
//! `_count`, `_sum` and `_bucket` of a histogram have no entry of their own, and an
//! OpenMetrics counter is listed without the `_total` that its samples have. Seen in the
//! answers of Prometheus 2.42 to both exposition formats; see the tests.

use std::collections::BTreeMap;

use anomd_ingester::Kind;
use serde::{Deserialize, Serialize};

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    #[serde(rename = "c")]
    Counter,
    #[serde(rename = "h")]
    Histogram,
    #[serde(rename = "s")]
    Summary,
    /// All that goes up and down: gauge, gaugehistogram, info, stateset.
    #[serde(rename = "g")]
    Gauge,
}

/// The types of families, as far as the server told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Families(BTreeMap<String, Type>);

/// How a kind is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By the metadata.
    Metadata,
    /// By the last part of the name.
    Suffix,
}

impl Families {
    /// Reads the `data` of the answer. A family that is listed with several types, or with
    /// one that says nothing, is left out.
    pub fn parse(data: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default, rename = "type")]
            kind: String,
        }
        let data: BTreeMap<String, Vec<Entry>> = serde_json::from_str(data)?;
        let families = data.into_iter().filter_map(|(family, entries)| {
            let mut types = entries.iter().map(|entry| match entry.kind.as_str() {
                "counter" => Some(Type::Counter),
                "histogram" => Some(Type::Histogram),
                "summary" => Some(Type::Summary),
                "gauge" | "gaugehistogram" | "info" | "stateset" => Some(Type::Gauge),
                _ => None,
            });
            let first = types.next()??;
            types.all(|other| other == Some(first)).then_some((family, first))
        });
        Ok(Self(families.collect()))
    }

    /// Whether the server told nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all families that do not decide about one of `names`.
    pub fn keep_for<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut kept = BTreeMap::new();
        for name in names {
            for family in std::iter::once(name).chain(SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix))) {
                if let Some((family, kind)) = self.0.remove_entry(family) {
                    kept.insert(family, kind);
                }
            }
        }
        self.0 = kept;
    }

    /// What a series of this name is.
    pub fn kind(&self, name: &str) -> (Kind, Source) {
        let told = |kind| (kind, Source::Metadata);
        match self.0.get(name) {
            Some(Type::Counter) => return told(Kind::Counter),
            // A summary's own name carries its quantiles.
            Some(Type::Gauge | Type::Summary | Type::Histogram) => return told(Kind::Gauge),
            None => {}
        }
        for suffix in SUFFIXES {
            let Some(kind) = name.strip_suffix(suffix).and_then(|family| self.0.get(family)) else { continue };
            match (kind, suffix) {
                (Type::Counter, "_total") => return told(Kind::Counter),
                (Type::Histogram, "_count" | "_sum" | "_bucket") => return told(Kind::Counter),
                (Type::Summary, "_count" | "_sum") => return told(Kind::Counter),
                (Type::Counter | Type::Histogram | Type::Summary, "_created") => return told(Kind::Gauge),
                (Type::Gauge, "_bucket" | "_gcount" | "_gsum" | "_info") => return told(Kind::Gauge),
                _ => {}
            }
        }
        if ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            (Kind::Counter, Source::Suffix)
        } else {
            (Kind::Unknown, Source::Suffix)
        }
    }
}

/// What the exposition formats append to the name of a family.
const SUFFIXES: [&str; 8] = ["_total", "_count", "_sum", "_bucket", "_created", "_gcount", "_gsum", "_info"];

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus 2.42 answered after it had scraped one target with the text format
    /// (`app_…`) and one with OpenMetrics (`om_…`); help texts shortened.
    const ANSWER: &str = include_str!("../tests/answers/metadata.json");

    fn families() -> Families {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            data: &'a serde_json::value::RawValue,
        }
        let answer: Answer<'_> = serde_json::from_str(ANSWER).unwrap();
        Families::parse(answer.data.get()).unwrap()
    }

    #[test]
    fn a_series_belongs_to_its_family_in_both_formats() {
        let families = families();
        for (name, kind, source) in [
            ("app_requests_total", Kind::Counter, Source::Metadata),
            ("app_temp", Kind::Gauge, Source::Metadata),
            ("app_latency_seconds_bucket", Kind::Counter, Source::Metadata),
            ("app_latency_seconds_sum", Kind::Counter, Source::Metadata),
            ("app_latency_seconds_count", Kind::Counter, Source::Metadata),
            ("app_gc_seconds", Kind::Gauge, Source::Metadata),
            ("app_gc_seconds_count", Kind::Counter, Source::Metadata),
            ("app_untyped_total", Kind::Counter, Source::Suffix),
            ("om_requests_total", Kind::Counter, Source::Metadata),
            ("om_requests_created", Kind::Gauge, Source::Metadata),
            ("om_latency_seconds_bucket", Kind::Counter, Source::Metadata),
            ("om_latency_seconds_created", Kind::Gauge, Source::Metadata),
            ("om_size_bucket", Kind::Gauge, Source::Metadata),
            ("om_size_gcount", Kind::Gauge, Source::Metadata),
            ("om_build_info", Kind::Gauge, Source::Metadata),
            ("om_state", Kind::Gauge, Source::Metadata),
            ("up", Kind::Unknown, Source::Suffix),
            ("job:app_requests:rate", Kind::Unknown, Source::Suffix),
        ] {
            assert_eq!(families.kind(name), (kind, source), "{name}");
        }
    }

    #[test]
    fn without_metadata_the_suffix_decides() {
        let families = Families::parse("{}").unwrap();
        assert!(families.is_empty());
        assert_eq!(families.kind("om_size_bucket"), (Kind::Counter, Source::Suffix));
        assert_eq!(families.kind("app_temp"), (Kind::Unknown, Source::Suffix));
    }

    #[test]
    fn what_targets_disagree_about_is_not_known() {
        let families = Families::parse(r#"{"x_total":[{"type":"gauge"},{"type":"counter"}],"y":[]}"#).unwrap();
        assert!(families.is_empty());
    }

    #[test]
    fn only_families_that_decide_are_kept() {
        let mut families = families();
        families.keep_for(["om_requests_total", "app_latency_seconds_sum", "app_temp", "up"]);
        assert_eq!(families.0.keys().collect::<Vec<_>>(), ["app_latency_seconds", "app_temp", "om_requests"]);
    }
}
