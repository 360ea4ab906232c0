//! Which algorithm, and its parameters.

use anomd_detector::Problem;
use serde::Deserialize;

/// All windows together have at most so many columns: a model has to fit into the host's limit.
const WINDOWS: usize = 512;

/// The configuration: nothing has to be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What windows are rebuilt from.
    pub algorithm: Algorithm,
    /// Lengths of windows, in columns.
    pub windows: Vec<usize>,
    /// Widths over which residuals are averaged, in columns.
    pub scales: Vec<usize>,
    /// Whether a window's mean is taken off.
    pub centred: bool,
    /// Of winknn-batch: windows that others are compared with.
    pub references: Option<usize>,
    /// Of kmeans-win: centres.
    pub clusters: Option<usize>,
    /// Of pca-win: the share of the variance that the subspace holds.
    pub variance: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            windows: vec![32, 64, 128],
            scales: vec![8, 32, 128, 256],
            centred: true,
            references: None,
            clusters: None,
            variance: None,
        }
    }
}

/// The algorithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// The most similar other window.
    #[default]
    WinknnBatch,
    /// The nearest of a few centres.
    KmeansWin,
    /// The projection on the principal subspace.
    PcaWin,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WinknnBatch, Self::KmeansWin, Self::PcaWin];

    /// The name that is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::WinknnBatch => "winknn-batch",
            Self::KmeansWin => "kmeans-win",
            Self::PcaWin => "pca-win",
        }
    }

    fn parameter(self) -> &'static str {
        match self {
            Self::WinknnBatch => "references",
            Self::KmeansWin => "clusters",
            Self::PcaWin => "variance",
        }
    }
}

impl Config {
    /// Windows that others are compared with.
    pub fn references(&self) -> usize {
        self.references.unwrap_or(1_500)
    }

    /// Centres.
    pub fn clusters(&self) -> usize {
        self.clusters.unwrap_or(10)
    }

    /// The share of the variance that the subspace holds.
    pub fn variance(&self) -> f64 {
        self.variance.unwrap_or(0.9)
    }

    /// The longest window.
    pub fn longest(&self) -> usize {
        self.windows.iter().copied().max().unwrap_or(0)
    }

    /// What the schema cannot say.
    pub fn problems(&self) -> Vec<Problem> {
        let set = [
            ("references", self.references.is_some()),
            ("clusters", self.clusters.is_some()),
            ("variance", self.variance.is_some()),
        ];
        let own = self.algorithm.parameter();
        let foreign = set.into_iter().filter(|(key, set)| *set && *key != own);
        let name = self.algorithm.name();
        let mut problems: Vec<Problem> = foreign
            .map(|(key, _)| Problem {
                pointer: format!("/{key}"),
                message: format!("is no parameter of {name}, which has {own}: remove it"),
            })
            .collect();
        let together: usize = self.windows.iter().sum();
        if together > WINDOWS {
            problems.push(Problem {
                pointer: "/windows".into(),
                message: format!(
                    "have {together} columns together, where {WINDOWS} are allowed: name fewer or shorter"
                ),
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_defaults_are_those_that_the_schema_tells() {
        let schema: serde_json::Value = serde_json::from_str(crate::SCHEMA).unwrap();
        let told = |key: &str| schema["properties"][key]["default"].clone();
        let config = parsed("{}");
        assert_eq!(told("algorithm"), config.algorithm.name());
        assert_eq!(told("windows"), serde_json::json!(config.windows));
        assert_eq!(told("scales"), serde_json::json!(config.scales));
        assert_eq!(told("centred"), config.centred);
        assert_eq!(told("references"), config.references());
        assert_eq!(told("clusters"), config.clusters());
        assert_eq!(told("variance"), config.variance());
        let names = serde_json::json!(Algorithm::ALL.map(Algorithm::name));
        assert_eq!(schema["properties"]["algorithm"]["enum"], names);
    }

    #[test]
    fn a_parameter_of_another_algorithm_and_too_many_windows_are_faults() {
        assert!(parsed(r#"{"algorithm": "kmeans-win", "clusters": 5}"#).problems().is_empty());
        let problems = parsed(r#"{"algorithm": "pca-win", "clusters": 5, "windows": [256, 256, 8]}"#).problems();
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/clusters", "/windows"]);
        assert_eq!(problems[0].message, "is no parameter of pca-win, which has variance: remove it");
    }
}
