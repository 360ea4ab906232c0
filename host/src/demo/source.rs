//! What the endpoint serves: series on a regular grid of scrapes.

use super::history::History;
use crate::series::{Kind, Labels, Millis};

/// A metric, as `/api/v1/metadata` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// `__name__` of its series.
    pub name: String,
    /// What they measure. A counter is served raw.
    pub kind: Kind,
    /// One sentence.
    pub help: String,
}

/// Series that were scraped at every multiple of a step.
///
/// The same question always has the same answer: the endpoint asks for an instant again
/// and again, and hides what lies after its clock itself.
pub trait Source: Send + Sync {
    /// The metrics.
    fn families(&self) -> Vec<Family>;

    /// The series, each with a `__name__`.
    fn series(&self) -> &[Labels];

    /// Milliseconds between two scrapes; never 0.
    fn step_ms(&self) -> u32;

    /// The sample of a series, an index into [`Source::series`], at a multiple of the step.
    /// `None`: the scrape failed, or did not have the series. As in Prometheus the series is
    /// then gone until its next sample, and not carried on.
    fn value(&self, series: usize, time: Millis) -> Option<f64>;
}

impl Source for History {
    fn families(&self) -> Vec<Family> {
        let family =
            |f: super::history::Family| Family { name: f.name.to_owned(), kind: f.kind, help: f.help.to_owned() };
        self.families().map(family).collect()
    }

    fn series(&self) -> &[Labels] {
        self.series()
    }

    fn step_ms(&self) -> u32 {
        self.step_ms()
    }

    fn value(&self, series: usize, time: Millis) -> Option<f64> {
        self.value(series, time)
    }
}
