//! The answers of the HTTP API, checked.
//!
//! What comes out has labels in order, without empty ones, and timestamps that ascend.
//! The format: https://prometheus.io/docs/prometheus/latest/querying/api/, and
//! `tests/answers`, which has what Prometheus 2.42 said.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Label names and values, sorted by name.
pub type Labels = Vec<(String, String)>;

/// A series of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Milliseconds, ascending.
    pub times: Vec<i64>,
    /// Never NaN, which stands for a missing value and is left out.
    pub values: Vec<f64>,
    /// How many samples were native histograms, and left out.
    pub histograms: usize,
}

impl Series {
    /// Drops infinite values, and says how many of them lay in a range of time.
    pub fn take_infinite(&mut self, range: Range<i64>) -> usize {
        let infinite = |(time, value): (&i64, &f64)| value.is_infinite() && range.contains(time);
        let count = self.times.iter().zip(&self.values).filter(|point| infinite(*point)).count();
        let mut values = self.values.iter();
        self.times.retain(|_| values.next().is_some_and(|value| value.is_finite()));
        self.values.retain(|value| value.is_finite());
        count
    }
}

/// An answer that has no usable data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API's own error: `errorType` and `error`.
    Api { kind: String, text: String },
    /// This is not an answer of the API; the text says why.
    Foreign(String),
    /// An answer that a series cannot be made of.
    Unusable(String),
}

/// The envelope of every answer.
pub struct Envelope<'a> {
    /// JSON.
    pub data: &'a str,
    pub warnings: Vec<String>,
}

/// Opens the envelope. The server's status code is not asked: proxies change it.
pub fn open(body: &[u8]) -> Result<Envelope<'_>, Refusal> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        status: Cow<'a, str>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        #[serde(default, rename = "errorType")]
        kind: String,
        #[serde(default)]
        error: String,
        #[serde(default)]
        warnings: Option<Vec<String>>,
        /// Of Prometheus 3: remarks about the query, such as a rate of what is no counter.
        #[serde(default)]
        infos: Option<Vec<String>>,
    }
    let raw: Raw<'_> = serde_json::from_slice(body).map_err(|e| Refusal::Foreign(e.to_string()))?;
    if raw.status != "success" {
        return Err(Refusal::Api { kind: raw.kind, text: raw.error });
    }
    let mut warnings = raw.warnings.unwrap_or_default();
    warnings.extend(raw.infos.unwrap_or_default());
    Ok(Envelope { data: raw.data.map_or("null", RawValue::get), warnings })
}

/// How a query was evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// By `query`.
    AtInstant,
    /// By `query_range`.
    OverRange,
}

/// Reads the data of an answer to a query.
pub fn series(data: &str, evaluated: Evaluated) -> Result<Vec<Series>, Refusal> {
    #[derive(Deserialize)]
    struct Raw<'a> {
        #[serde(rename = "resultType")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        result: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Element {
        #[serde(default)]
        metric: BTreeMap<String, String>,
        value: Option<Point>,
        values: Option<Points>,
        histogram: Option<IgnoredAny>,
        #[serde(default)]
        histograms: Vec<IgnoredAny>,
    }
    let foreign = |e: serde_json::Error| Refusal::Foreign(e.to_string());
    let raw: Raw<'_> = serde_json::from_str(data).map_err(foreign)?;
    match &*raw.kind {
        // Raw samples at times of their own. Over a range the server refuses such a query.
        "matrix" if evaluated == Evaluated::AtInstant => Err(Refusal::Unusable(
            "the query gives ranges of samples and not one value a series: remove the range in [ ], or put a function \
             such as rate(…) or avg_over_time(…) round it"
                .into(),
        )),
        "vector" | "matrix" => {
            let elements: Vec<Element> = serde_json::from_str(raw.result.get()).map_err(foreign)?;
            elements
                .into_iter()
                .map(|element| {
                    let mut points = element.values.unwrap_or_default();
                    if let Some(point) = element.value {
                        points.push(point);
                    }
                    let labels = element.metric.into_iter().filter(|(_, value)| !value.is_empty());
                    let labels = labels.map(|(name, value)| (visible(name), visible(value))).collect();
                    let histograms = element.histograms.len() + usize::from(element.histogram.is_some());
                    points.into_series(labels, histograms)
                })
                .collect()
        }
        "scalar" => {
            let point: Point = serde_json::from_str(raw.result.get()).map_err(foreign)?;
            let mut points = Points::default();
            points.push(point);
            Ok(vec![points.into_series(Labels::new(), 0)?])
        }
        "string" => Err(Refusal::Unusable("the query gives a text and no numbers".into())),
        other => Err(Refusal::Unusable(format!("the server gives a result of the unknown type \"{other}\""))),
    }
}

/// A text with the pictures of its control characters in their place: Prometheus has any text in
/// a label, and the host takes none of these.
pub fn visible(text: String) -> String {
    let picture = |c: char| match u32::from(c) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        _ if c.is_control() => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    if text.contains(char::is_control) { text.chars().map(picture).collect() } else { text }
}

/// Reads the data of `label/<name>/values`.
pub fn names(data: &str) -> Result<Vec<String>, Refusal> {
    let names: Option<Vec<String>> = serde_json::from_str(data).map_err(|e| Refusal::Foreign(e.to_string()))?;
    Ok(names.unwrap_or_default())
}

/// A pair of seconds and a number in quotes.
#[derive(Deserialize)]
struct Point(f64, Number);

struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl Visitor<'_> for Quoted {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Quoted)
    }
}

/// Points as columns, so that a large answer is not held twice.
#[derive(Default)]
struct Points {
    times: Vec<i64>,
    values: Vec<f64>,
    disorder: bool,
}

impl Points {
    fn push(&mut self, Point(seconds, Number(value)): Point) {
        // Saturates; what is not in the window is dropped later.
        let time = (seconds * 1000.0).round() as i64;
        self.disorder |= !seconds.is_finite() || self.times.last().is_some_and(|last| *last >= time);
        if !value.is_nan() {
            self.times.push(time);
            self.values.push(value);
        }
    }

    fn into_series(self, labels: Labels, histograms: usize) -> Result<Series, Refusal> {
        if self.disorder {
            return Err(Refusal::Foreign("the timestamps of a series do not ascend".into()));
        }
        Ok(Series { labels, times: self.times, values: self.values, histograms })
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of points")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Points, A::Error> {
                let mut points = Points::default();
                while let Some(point) = items.next_element()? {
                    points.push(point);
                }
                Ok(points)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Series>, Refusal> {
        series(open(body.as_bytes())?.data, Evaluated::OverRange)
    }

    macro_rules! answer {
        ($name:literal) => {
            include_str!(concat!("../tests/answers/", $name, ".json"))
        };
    }

    #[test]
    fn a_vector_is_read_and_nan_is_missing() {
        let series = read(answer!("vector")).unwrap();
        assert_eq!(series.len(), 3);
        let labels = [
            ("__name__", "app_requests_total"),
            ("code", "200"),
            ("instance", "127.0.0.1:19301"),
            ("job", "text"),
            ("path", "/a\"b\\c"),
        ];
        assert_eq!(series[0].labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            (series[0].times.as_slice(), series[0].values.as_slice()),
            (&[1_795_343_614_347][..], &[2206.3343811035156][..])
        );
        assert!(series[2].values.is_empty());
    }

    #[test]
    fn a_matrix_is_read() {
        let series = read(answer!("matrix")).unwrap();
        assert_eq!(series[0].values, [f64::INFINITY; 4]);
        assert_eq!(series[1].times, [1_795_343_611_000, 1_795_343_612_000, 1_795_343_613_000, 1_795_343_614_000]);
        assert_eq!(series[1].values[3], 2206.3343811035156);
    }

    #[test]
    fn control_characters_in_labels_are_shown_and_not_passed_on() {
        let read = read(
            r#"{"status":"success","data":{"resultType":"vector","result":
            [{"metric":{"error":"a\r\nb\u007f\u0085","job":"x"},"value":[1,"2"]}]}}"#,
        );
        let labels = &read.unwrap()[0].labels;
        assert_eq!(labels[0], ("error".to_owned(), "a␍␊b␡\u{fffd}".to_owned()));
        assert_eq!(labels[1], ("job".to_owned(), "x".to_owned()));
    }

    #[test]
    fn raw_samples_are_refused_at_an_instant_too() {
        let data = open(answer!("range-vector").as_bytes()).unwrap().data;
        assert!(matches!(series(data, Evaluated::AtInstant), Err(Refusal::Unusable(_))));
    }

    #[test]
    fn a_scalar_is_a_series_without_labels_and_a_string_is_none() {
        let scalar = read(answer!("scalar")).unwrap();
        assert_eq!((scalar[0].labels.len(), scalar[0].values.as_slice()), (0, &[42.0][..]));
        assert!(matches!(read(answer!("string")), Err(Refusal::Unusable(_))));
    }

    #[test]
    fn native_histograms_are_counted() {
        let point = read(answer!("native-histogram")).unwrap();
        assert_eq!((point[0].histograms, point[0].values.len()), (1, 0));
        assert_eq!(read(answer!("native-histograms")).unwrap()[0].histograms, 4);
    }

    #[test]
    fn errors_and_warnings_come_out_of_the_envelope() {
        let api = |kind: &str, text: &str| Err(Refusal::Api { kind: kind.into(), text: text.into() });
        assert_eq!(
            read(answer!("error-400")),
            api("bad_data", "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis")
        );
        assert_eq!(read(answer!("error-503")), api("timeout", "query timed out in expression evaluation"));
        let warned = open(answer!("warnings").as_bytes()).unwrap();
        assert!(warned.warnings[0].contains("connection refused"));
        assert_eq!(series(warned.data, Evaluated::AtInstant), Ok(vec![]));
        assert_eq!(names(open(answer!("label-values").as_bytes()).unwrap().data).unwrap().len(), 14);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let vector =
            |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#);
        for body in [
            "",
            "<html>sign in</html>",
            "[]",
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"resultType":"vector"}}"#,
            &vector(r#"[{"metric":{},"values":[[2,"1"],[1,"1"]]}]"#),
            &vector(r#"[{"metric":{},"values":[[1,"1"],[1,"1"]]}]"#),
            &vector(r#"[{"metric":{},"values":[[1,"one"]]}]"#),
            &vector(r#"[{"metric":{},"values":[[1,1]]}]"#),
            &vector(r#"[{"metric":{"a":1},"values":[]}]"#),
        ] {
            assert!(matches!(read(body), Err(Refusal::Foreign(_))), "{body}");
        }
    }
}
