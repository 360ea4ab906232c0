//! Which algorithm, and its parameters under PyOD's names.

use anomd_detector::Problem;
use anomstack::Preprocess;
use serde::Deserialize;

use crate::{cblof, hbos, iforest, ocsvm};

/// The configuration of the component. A parameter that is not set has PyOD's default.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Which one judges.
    pub algorithm: Algorithm,
    /// How a series becomes rows of features.
    #[serde(default)]
    pub preprocess: Preprocess,
    /// Of KNN (5) and LOF (20).
    pub n_neighbors: Option<usize>,
    /// Of HBOS.
    pub n_bins: Option<usize>,
    /// Of HBOS (.1) and CBLOF (.9).
    pub alpha: Option<f64>,
    /// Of HBOS.
    pub tol: Option<f64>,
    /// Of IForest.
    pub n_estimators: Option<usize>,
    /// Of IForest.
    pub max_samples: Option<usize>,
    /// Of CBLOF.
    pub n_clusters: Option<usize>,
    /// Of CBLOF.
    pub beta: Option<f64>,
    /// Of GMM.
    pub reg_covar: Option<f64>,
    /// Of OCSVM.
    pub nu: Option<f64>,
    /// Of OCSVM; one over the number of features.
    pub gamma: Option<f64>,
    /// Of IForest and CBLOF.
    pub random_state: Option<u64>,
}

/// The algorithms, by PyOD's names in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the module of its name says what each is")]
pub enum Algorithm {
    Cblof,
    Copod,
    Ecod,
    Gmm,
    Hbos,
    Iforest,
    Knn,
    Lof,
    Mad,
    Ocsvm,
    Pca,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Cblof,
        Self::Copod,
        Self::Ecod,
        Self::Gmm,
        Self::Hbos,
        Self::Iforest,
        Self::Knn,
        Self::Lof,
        Self::Mad,
        Self::Ocsvm,
        Self::Pca,
    ];

    /// The name that is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cblof => "cblof",
            Self::Copod => "copod",
            Self::Ecod => "ecod",
            Self::Gmm => "gmm",
            Self::Hbos => "hbos",
            Self::Iforest => "iforest",
            Self::Knn => "knn",
            Self::Lof => "lof",
            Self::Mad => "mad",
            Self::Ocsvm => "ocsvm",
            Self::Pca => "pca",
        }
    }

    /// The tag of its models.
    pub(crate) fn tag(self) -> [u8; 4] {
        match self {
            Self::Cblof => *b"CBL1",
            Self::Copod => *b"COP1",
            Self::Ecod => *b"ECO1",
            Self::Gmm => *b"GMM1",
            Self::Hbos => *b"HBO1",
            Self::Iforest => *b"IFO1",
            Self::Knn => *b"KNV1",
            Self::Lof => *b"LOF1",
            Self::Mad => *b"MAD1",
            Self::Ocsvm => *b"OCS1",
            Self::Pca => *b"PCV1",
        }
    }

    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Cblof => &["n_clusters", "alpha", "beta", "random_state"],
            Self::Copod | Self::Ecod | Self::Mad | Self::Pca => &[],
            Self::Gmm => &["reg_covar"],
            Self::Hbos => &["n_bins", "alpha", "tol"],
            Self::Iforest => &["n_estimators", "max_samples", "random_state"],
            Self::Knn | Self::Lof => &["n_neighbors"],
            Self::Ocsvm => &["nu", "gamma"],
        }
    }
}

impl Config {
    /// An algorithm with its defaults.
    pub fn of(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            preprocess: Preprocess::default(),
            n_neighbors: None,
            n_bins: None,
            alpha: None,
            tol: None,
            n_estimators: None,
            max_samples: None,
            n_clusters: None,
            beta: None,
            reg_covar: None,
            nu: None,
            gamma: None,
            random_state: None,
        }
    }

    /// The JSON Schema.
    pub fn schema() -> String {
        let names = Algorithm::ALL.map(|algorithm| format!("\"{}\"", algorithm.name())).join(", ");
        anomstack::schema(&["algorithm"], &OWN.replace("ALGORITHMS", &names))
    }

    /// Parameters that are set and are not of the algorithm.
    pub fn problems(&self) -> Vec<Problem> {
        let set = [
            ("n_neighbors", self.n_neighbors.is_some()),
            ("n_bins", self.n_bins.is_some()),
            ("alpha", self.alpha.is_some()),
            ("tol", self.tol.is_some()),
            ("n_estimators", self.n_estimators.is_some()),
            ("max_samples", self.max_samples.is_some()),
            ("n_clusters", self.n_clusters.is_some()),
            ("beta", self.beta.is_some()),
            ("reg_covar", self.reg_covar.is_some()),
            ("nu", self.nu.is_some()),
            ("gamma", self.gamma.is_some()),
            ("random_state", self.random_state.is_some()),
        ];
        let known = self.algorithm.parameters();
        let foreign = set.into_iter().filter(|(key, set)| *set && !known.contains(key));
        let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let problem = |(key, _)| Problem {
            pointer: format!("/{key}"),
            message: format!("is no parameter of {}, which has {has}: remove it", self.algorithm.name()),
        };
        foreign.map(problem).collect()
    }

    pub(crate) fn hbos(&self) -> hbos::Params {
        let default = hbos::Params::default();
        hbos::Params {
            bins: self.n_bins.unwrap_or(default.bins),
            alpha: self.alpha.unwrap_or(default.alpha),
            tol: self.tol.unwrap_or(default.tol),
        }
    }

    pub(crate) fn iforest(&self) -> iforest::Params {
        let default = iforest::Params::default();
        iforest::Params {
            trees: self.n_estimators.unwrap_or(default.trees),
            samples: self.max_samples.unwrap_or(default.samples),
            seed: self.random_state.unwrap_or(default.seed),
        }
    }

    pub(crate) fn ocsvm(&self) -> ocsvm::Params {
        ocsvm::Params { nu: self.nu.unwrap_or(ocsvm::Params::default().nu), gamma: self.gamma }
    }

    pub(crate) fn cblof(&self) -> cblof::Params {
        let default = cblof::Params::default();
        cblof::Params {
            clusters: self.n_clusters.unwrap_or(default.clusters),
            alpha: self.alpha.unwrap_or(default.alpha),
            beta: self.beta.unwrap_or(default.beta),
            seed: self.random_state.unwrap_or(default.seed),
        }
    }
}

const OWN: &str = r#"
        "algorithm": {
            "enum": [ALGORITHMS],
            "description": "Which one judges. model_name: IForest and the like say it, too."
        },
        "n_neighbors": {
            "type": "integer", "minimum": 1, "maximum": 100,
            "description": "knn, lof: how many neighbours count. 5 and 20 if it is not set."
        },
        "n_bins": {
            "type": "integer", "minimum": 2, "maximum": 1000, "default": 10,
            "description": "hbos: bins of a histogram."
        },
        "alpha": {
            "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
            "description": "hbos: added to each density, 0.1. cblof: the share of rows in large clusters, 0.9."
        },
        "tol": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.5,
            "description": "hbos: so many widths of a bin outside of the histogram still count to it."
        },
        "n_estimators": {
            "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
            "description": "iforest: trees."
        },
        "max_samples": {
            "type": "integer", "minimum": 2, "maximum": 10000, "default": 256,
            "description": "iforest: rows that a tree sees."
        },
        "n_clusters": {
            "type": "integer", "minimum": 2, "maximum": 100, "default": 8,
            "description": "cblof: clusters."
        },
        "beta": {
            "type": "number", "exclusiveMinimum": 1, "default": 5,
            "description": "cblof: how many times as large as the next the last large cluster is."
        },
        "reg_covar": {
            "type": "number", "minimum": 0, "default": 1e-6,
            "description": "gmm: added to the variances."
        },
        "nu": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.5,
            "description": "ocsvm: the share of rows that may be outside."
        },
        "gamma": {
            "type": "number", "exclusiveMinimum": 0,
            "description": "ocsvm: how fast the kernel falls. One over the number of features if it is not set."
        },
        "random_state": {
            "type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0,
            "description": "iforest, cblof: the seed. The same seed and history give the same scores."
        }"#;
