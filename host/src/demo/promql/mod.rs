//! A small part of PromQL: selectors, numbers, `rate`, `+ - * /`, and the four aggregations
//! `sum avg min max`.
//!
//! What is not in it is refused with its name; nothing is accepted and then read otherwise
//! than Prometheus would. The grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/.
//! It is written out by hand since no parser crate is kept up: the one for all of PromQL needs
//! an unmaintained `bincode`.

mod parser;

use regex::Regex;

pub use parser::{parse, parse_duration, parse_selector};

use crate::series::{Labels, Millis};

/// An expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A number.
    Number(f64),
    /// An instant vector.
    Vector(Selector),
    /// `rate(selector[range])`; the range in milliseconds.
    Rate(Selector, Millis),
    /// `left op right`.
    Binary(Operator, Box<Self>, Box<Self>),
    /// `op by (labels) (inner)`.
    Aggregate(Aggregation, Grouping, Box<Self>),
}

impl Expr {
    /// Whether it gives numbers without labels.
    fn is_scalar(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Binary(_, left, right) => left.is_scalar() && right.is_scalar(),
            Self::Vector(_) | Self::Rate(..) | Self::Aggregate(..) => false,
        }
    }
}

/// `+ - * /`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// How many series become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// Which labels are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// These alone.
    By(Vec<String>),
    /// All but these and the name.
    Without(Vec<String>),
}

/// Label matchers, all of which must hold.
#[derive(Clone, Debug)]
pub struct Selector(Vec<Matcher>);

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    test: Test,
    negated: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    /// Anchored at both ends.
    Regex(Regex),
}

impl Matcher {
    fn matches(&self, value: &str) -> bool {
        let holds = match &self.test {
            Test::Equal(text) => text == value,
            Test::Regex(regex) => regex.is_match(value),
        };
        holds != self.negated
    }
}

impl Selector {
    /// Whether a series is selected. A label that it does not have counts as empty.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.get(&matcher.label).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(query: &str, labels: &[(&str, &str)]) -> bool {
        let labels = Labels::new(labels.iter().map(|(n, v)| (n.to_string(), v.to_string()))).unwrap();
        parse_selector(query).unwrap().matches(&labels)
    }

    #[test]
    fn matchers_hold_as_in_prometheus() {
        let cpu = [("__name__", "cpu"), ("mode", "idle"), ("path", "a\"b")];
        for query in [
            "cpu",
            "{__name__=\"cpu\"}",
            "cpu{mode=~\"id.*\"}",
            "cpu{mode!~\"id\", host=\"\",}",
            "cpu{mode!='user'}",
            "{path=\"a\\\"b\"} # c",
            "cpu{host!~\".+\"}",
        ] {
            assert!(selects(query, &cpu), "{query}");
        }
        for query in ["cp", "cpu{mode=~\"dl\"}", "cpu{mode!~\"i.*\"}", "cpu{host=~\".+\"}", "{path=`a\\\"b`}"] {
            assert!(!selects(query, &cpu), "{query}");
        }
    }
}
