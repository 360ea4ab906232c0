//! Values of an expression at many instants.
//!
//! Every part of an expression is evaluated for all instants at once, as rows of columns.
//! Labels do not change with time here, so this gives what Prometheus' evaluation instant by
//! instant gives; but for `rate`, which is not extrapolated to the edges of its range.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::promql::{Aggregation, Expr, Grouping, Operator, Selector};
use super::source::Source;
use crate::series::{Labels, Millis};

/// A sample that is older is not given.
const STALE_AFTER: Millis = 300_000;

/// So many samples may one query read: it bounds its time.
const MOST_SAMPLES: usize = 50_000_000;

/// A series of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its labels; a name only where Prometheus keeps it.
    pub labels: Labels,
    /// One an instant.
    pub values: Vec<Option<f64>>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number an instant.
    Scalar(Vec<f64>),
    /// Rows with different labels.
    Vector(Vec<Row>),
}

/// Evaluates an expression at each of `instants`. What lies after `now` does not exist yet.
/// An error is a text in Prometheus' words.
pub fn evaluate(source: &dyn Source, expr: &Expr, instants: &[Millis], now: Millis) -> Result<Value, String> {
    Evaluation { source, instants, now, read: 0 }.value(expr)
}

struct Evaluation<'a> {
    source: &'a dyn Source,
    instants: &'a [Millis],
    now: Millis,
    /// Samples that were read.
    read: usize,
}

impl Evaluation<'_> {
    fn value(&mut self, expr: &Expr) -> Result<Value, String> {
        match expr {
            Expr::Number(number) => Ok(Value::Scalar(vec![*number; self.instants.len()])),
            Expr::Vector(selector) => self.rows(selector, 1, |eval, series, labels| Row {
                labels: labels.clone(),
                values: eval.instants.iter().map(|time| eval.latest(series, *time)).collect(),
            }),
            Expr::Rate(selector, range) => {
                let step = Millis::from(self.source.step_ms()).max(1);
                let samples = usize::try_from(range / step).unwrap_or(usize::MAX);
                let rows = self.rows(selector, samples.saturating_add(1), |eval, series, labels| Row {
                    labels: without_name(labels),
                    values: eval.instants.iter().map(|time| eval.rate(series, *time, *range)).collect(),
                })?;
                distinct(rows)
            }
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                binary(*operator, left, right)
            }
            Expr::Aggregate(aggregation, grouping, inner) => match self.value(inner)? {
                // The parser has refused it.
                Value::Scalar(_) => Err("expected type instant vector in aggregation expression, got scalar".into()),
                Value::Vector(rows) => Ok(Value::Vector(aggregate(*aggregation, grouping, rows, self.instants.len()))),
            },
        }
    }

    /// A row for each selected series. `cost`: the samples that one value takes.
    fn rows(
        &mut self,
        selector: &Selector,
        cost: usize,
        row: impl Fn(&Self, usize, &Labels) -> Row,
    ) -> Result<Value, String> {
        let selected: Vec<_> =
            self.source.series().iter().enumerate().filter(|(_, labels)| selector.matches(labels)).collect();
        let cost = cost.saturating_mul(self.instants.len()).saturating_mul(selected.len());
        self.read = self.read.saturating_add(cost);
        if self.read > MOST_SAMPLES {
            return Err("query processing would load too many samples into memory in query execution".into());
        }
        Ok(Value::Vector(selected.into_iter().map(|(series, labels)| row(self, series, labels)).collect()))
    }

    /// The newest sample at an instant, unless it is stale.
    fn latest(&self, series: usize, time: Millis) -> Option<f64> {
        let step = Millis::from(self.source.step_ms()).max(1);
        let scrape = time.min(self.now).div_euclid(step) * step;
        if time.saturating_sub(scrape) >= STALE_AFTER {
            return None;
        }
        self.source.value(series, scrape)
    }

    /// The increase over the samples in `(time - range, time]`, a second between the first and
    /// the last of them. A counter that goes down began again at 0.
    fn rate(&self, series: usize, time: Millis, range: Millis) -> Option<f64> {
        let step = Millis::from(self.source.step_ms()).max(1);
        let last = time.min(self.now).div_euclid(step);
        let first = time.saturating_sub(range).div_euclid(step) + 1;
        let mut increase = 0.0;
        let mut bounds: Option<(Millis, Millis)> = None;
        let mut before = f64::NAN;
        for scrape in first..=last {
            let Some(value) = self.source.value(series, scrape * step) else { continue };
            if bounds.is_some() {
                increase += if value < before { value } else { value - before };
            }
            bounds = Some((bounds.map_or(scrape, |(first, _)| first), scrape));
            before = value;
        }
        match bounds {
            Some((first, last)) if first < last => Some(increase / ((last - first) * step) as f64 * 1000.0),
            _ => None,
        }
    }
}

fn without_name(labels: &Labels) -> Labels {
    keep(labels, |label| label != Labels::NAME)
}

fn keep(labels: &Labels, kept: impl Fn(&str) -> bool) -> Labels {
    let pairs = labels.iter().filter(|(label, _)| kept(label));
    // A part of a sound label set is sound.
    Labels::new(pairs.map(|(label, value)| (label.to_owned(), value.to_owned()))).unwrap_or_default()
}

/// Two series may differ in their names alone, which most operations drop.
fn distinct(value: Value) -> Result<Value, String> {
    if let Value::Vector(rows) = &value {
        let mut labels: Vec<_> = rows.iter().map(|row| &row.labels).collect();
        labels.sort();
        if labels.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err("vector cannot contain metrics with the same labelset".into());
        }
    }
    Ok(value)
}

fn binary(operator: Operator, left: Value, right: Value) -> Result<Value, String> {
    let apply = |a: f64, b: f64| match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
    };
    let with = |row: Row, numbers: &[f64], apply: &dyn Fn(f64, f64) -> f64| Row {
        labels: without_name(&row.labels),
        values: row.values.iter().zip(numbers).map(|(value, number)| Some(apply((*value)?, *number))).collect(),
    };
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            Ok(Value::Scalar(left.into_iter().zip(right).map(|(a, b)| apply(a, b)).collect()))
        }
        (Value::Vector(rows), Value::Scalar(numbers)) => {
            distinct(Value::Vector(rows.into_iter().map(|row| with(row, &numbers, &apply)).collect()))
        }
        (Value::Scalar(numbers), Value::Vector(rows)) => {
            let turned = |a: f64, b: f64| apply(b, a);
            distinct(Value::Vector(rows.into_iter().map(|row| with(row, &numbers, &turned)).collect()))
        }
        (Value::Vector(left), Value::Vector(right)) => {
            let right = by_signature(right)?;
            let mut matched = BTreeMap::new();
            for row in left {
                let labels = without_name(&row.labels);
                let Some(other) = right.get(&labels) else { continue };
                let values = row.values.iter().zip(&other.values).map(|(a, b)| Some(apply((*a)?, (*b)?))).collect();
                if matched.insert(labels, values).is_some() {
                    return Err("multiple matches for labels: many-to-one matching must be explicit \
                                (group_left/group_right)"
                        .into());
                }
            }
            Ok(Value::Vector(matched.into_iter().map(|(labels, values)| Row { labels, values }).collect()))
        }
    }
}

/// The right side by all that is matched: its labels without the name.
fn by_signature(rows: Vec<Row>) -> Result<BTreeMap<Labels, Row>, String> {
    let mut all = BTreeMap::new();
    for row in rows {
        match all.entry(without_name(&row.labels)) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(place) => {
                return Err(format!(
                    "found duplicate series for the match group {} on the right hand-side of the operation: [{}, \
                     {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    place.key(),
                    place.get().labels,
                    row.labels
                ));
            }
        }
    }
    Ok(all)
}

fn aggregate(aggregation: Aggregation, grouping: &Grouping, rows: Vec<Row>, instants: usize) -> Vec<Row> {
    // What there is of a group so far, with the number of values.
    let mut groups: BTreeMap<Labels, Vec<(f64, usize)>> = BTreeMap::new();
    for row in rows {
        let labels = match grouping {
            Grouping::By(labels) => keep(&row.labels, |label| labels.iter().any(|l| l == label)),
            Grouping::Without(labels) => {
                keep(&row.labels, |label| label != Labels::NAME && !labels.iter().any(|l| l == label))
            }
        };
        let group = groups.entry(labels).or_insert_with(|| vec![(0.0, 0); instants]);
        for ((so_far, count), value) in group.iter_mut().zip(row.values) {
            let Some(value) = value else { continue };
            *so_far = match aggregation {
                _ if *count == 0 => value,
                Aggregation::Sum | Aggregation::Avg => *so_far + value,
                Aggregation::Min => so_far.min(value),
                Aggregation::Max => so_far.max(value),
            };
            *count += 1;
        }
    }
    let finish = |(value, count): (f64, usize)| match (aggregation, count) {
        (_, 0) => None,
        (Aggregation::Avg, count) => Some(value / count as f64),
        (Aggregation::Sum | Aggregation::Min | Aggregation::Max, _) => Some(value),
    };
    let rows = groups.into_iter();
    rows.map(|(labels, group)| Row { labels, values: group.into_iter().map(finish).collect() }).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::promql::parse;
    use super::super::source::Family;
    use super::*;
    use crate::series::Kind;

    pub const MINUTE: Millis = 60_000;

    /// Two machines, scraped each minute. `requests_total` goes up 60 a minute on `a` and
    /// begins again at minute 100; `b` is down in minutes 50 to 59.
    pub struct Machines(Vec<Labels>);

    impl Machines {
        pub fn new() -> Self {
            let series = [("load", "a"), ("load", "b"), ("requests_total", "a"), ("requests_total", "b")];
            let labels = |(name, host): (&str, &str)| {
                Labels::new([("__name__".into(), name.into()), ("host".into(), host.into())]).unwrap()
            };
            Self(series.map(labels).to_vec())
        }
    }

    impl Source for Machines {
        fn families(&self) -> Vec<Family> {
            let family = |name: &str, kind, help: &str| Family { name: name.into(), kind, help: help.into() };
            vec![family("load", Kind::Gauge, "Load."), family("requests_total", Kind::Counter, "Requests.")]
        }

        fn series(&self) -> &[Labels] {
            &self.0
        }

        fn step_ms(&self) -> u32 {
            60_000
        }

        fn value(&self, series: usize, time: Millis) -> Option<f64> {
            assert_eq!(time % MINUTE, 0);
            let minute = time / MINUTE;
            let up = minute >= 0 && !(series % 2 == 1 && (50..60).contains(&minute));
            up.then_some(match series {
                0 => minute as f64,
                1 => 10.0,
                2 => 60.0 * (minute % 100) as f64,
                _ => 120.0 * minute as f64,
            })
        }
    }

    fn at(query: &str, minutes: &[i64], now: i64) -> Vec<(String, Vec<Option<f64>>)> {
        let instants: Vec<_> = minutes.iter().map(|minute| minute * MINUTE).collect();
        match evaluate(&Machines::new(), &parse(query).unwrap(), &instants, now * MINUTE).unwrap() {
            Value::Scalar(values) => vec![("scalar".into(), values.into_iter().map(Some).collect())],
            Value::Vector(rows) => rows.into_iter().map(|row| (row.labels.to_string(), row.values)).collect(),
        }
    }

    fn row(labels: &str, values: &[Option<f64>]) -> (String, Vec<Option<f64>>) {
        (labels.to_owned(), values.to_vec())
    }

    #[test]
    fn nothing_after_now_is_given_and_a_sample_lives_five_minutes() {
        let load = at("load{host=\"a\"}", &[9, 10, 11, 14, 15, -1], 10);
        let lived = [Some(9.0), Some(10.0), Some(10.0), Some(10.0), None, None];
        assert_eq!(load, [row("load{host=\"a\"}", &lived)]);
    }

    #[test]
    fn a_failed_scrape_ends_a_series_at_once() {
        let load = at("load{host=\"b\"}", &[49, 50, 59, 60], 100);
        assert_eq!(load, [row("load{host=\"b\"}", &[Some(10.0), None, None, Some(10.0)])]);
    }

    #[test]
    fn a_rate_knows_resets_and_gaps() {
        let rates = at("rate(requests_total[5m])", &[4, 0, 102, 62], 200);
        assert_eq!(rates[0], row("{host=\"a\"}", &[Some(1.0), None, Some(240.0 / 240.0 - 60.0 / 240.0), Some(1.0)]));
        assert_eq!(rates[1].1, [Some(2.0), None, Some(2.0), Some(2.0)]);
        // What has not happened yet is not in it: minutes 7 to 10 of (6, 11].
        assert_eq!(at("rate(requests_total{host=\"b\"}[5m])", &[11], 10)[0].1, [Some(2.0)]);
    }

    #[test]
    fn arithmetic_matches_labels_without_the_name() {
        assert_eq!(at("1 + 2 * 3", &[0, 1], 9), [row("scalar", &[Some(7.0), Some(7.0)])]);
        assert_eq!(at("100 - load", &[5], 9), [row("{host=\"a\"}", &[Some(95.0)]), row("{host=\"b\"}", &[Some(90.0)])]);
        assert_eq!(at("load{host=\"a\"} / load", &[5], 9), [row("{host=\"a\"}", &[Some(1.0)])]);
        assert_eq!(
            at("load / requests_total", &[50], 99),
            [row("{host=\"a\"}", &[Some(50.0 / 3000.0)]), row("{host=\"b\"}", &[None])]
        );
        assert_eq!(at("load{host=\"a\"} + load{host=\"b\"}", &[5], 9), []);
    }

    #[test]
    fn the_longest_query_that_is_read_fits_on_the_stack() {
        assert_eq!(at(&format!("1{}", "+1".repeat(900)), &[0], 0), [row("scalar", &[Some(901.0)])]);
    }

    #[test]
    fn aggregations_group_by_and_without() {
        assert_eq!(at("sum(load)", &[5, 55], 99), [row("{}", &[Some(15.0), Some(55.0)])]);
        assert_eq!(at("avg without (host) (load)", &[6], 99), [row("{}", &[Some(8.0)])]);
        assert_eq!(at("max by (host, x) (load)", &[5], 99)[1], row("{host=\"b\"}", &[Some(10.0)]));
        assert_eq!(at("min({__name__=~\".+\"}) by (__name__)", &[5], 99)[0], row("load", &[Some(5.0)]));
    }

    #[test]
    fn ambiguous_queries_are_refused_in_prometheus_words() {
        let refused = |query: &str| evaluate(&Machines::new(), &parse(query).unwrap(), &[MINUTE], MINUTE).unwrap_err();
        assert!(refused("load + {host=~\".+\"}").contains("many-to-many matching not allowed"));
        assert!(refused("{host=~\".+\"} + load").contains("many-to-one matching must be explicit"));
        assert!(refused("{host=~\".+\"} + 1").contains("same labelset"));
        let instants = vec![0; 11_000];
        let wide = parse("rate(load[1y])").unwrap();
        assert!(evaluate(&Machines::new(), &wide, &instants, 0).unwrap_err().contains("too many samples"));
    }
}
