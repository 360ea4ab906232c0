//! `model_configs` and `preprocess_params` of a batch.

use serde_json::{Map, Value, json};

use super::batch_file::required;
use super::duration::parse_offset;
use super::name::{component, name};
use super::section::Section;
use super::{DetectorUse, JudgedGrid};
use crate::series::{Aggregate, Millis};

/// The components whose configuration takes `preprocess_params`.
const PREPROCESSING: [&str; 3] = ["pca", "knn", "tabular"];

/// Detectors that are algorithms of one component: PyOD's of `tabular`, those of
/// `windows` and `seasonal`.
/// `model_name: IForest` is `model_name: tabular` with `algorithm: iforest` among its
/// `model_params`.
const ALGORITHMS: [(&str, &[&str]); 3] = [
    ("seasonal", &["holt-winters"]),
    ("tabular", &["cblof", "copod", "ecod", "gmm", "hbos", "iforest", "lof", "mad", "ocsvm"]),
    ("windows", &["kmeans-win", "pca-win", "winknn-batch"]),
];

/// Members of `robust` that are detectors by themselves: `model_name: winknn` is
/// `model_name: robust` with these `members` among its `model_params`.
const MEMBERS: [(&str, &[&str]); 4] = [
    ("winknn", &["winknn-short", "winknn-mid", "winknn-long", "winknn-longest", "winknn-level", "winknn-level-long"]),
    ("ewma-resid", &["ewma-resid"]),
    ("level-shift", &["level-shift"]),
    ("point", &["winknn-short", "ewma-resid"]),
];

/// The widest grid that is judged.
const WIDEST: Millis = 7 * 86_400_000;

/// The component that has the detector of this name as one of its algorithms.
pub(crate) fn component_with(algorithm: &str) -> Option<&'static str> {
    ALGORITHMS.iter().find(|(_, names)| names.contains(&algorithm)).map(|(component, _)| *component)
}

/// `model_configs`, with the preprocessing for those that have it; `entities`: for rows of
/// features.
pub(super) fn detectors(batch: &Section<'_>, preprocess: Option<Value>, entities: bool) -> Vec<DetectorUse> {
    let Some(entries) = batch.items("model_configs") else {
        if preprocess.is_some() {
            idle_preprocess(batch);
        }
        let pointer = batch.pointer("model_configs");
        // `robust` judges series alone.
        let (plugin, config) = if entities { ("tabular", json!({"algorithm": "ecod"})) } else { ("robust", json!({})) };
        return vec![DetectorUse { plugin: plugin.into(), tag: plugin.into(), config, pointer }];
    };
    if entries.is_empty() {
        batch.fault("model_configs", "is empty", "name a detector, or leave the key out for `robust`");
    }
    let mut detectors: Vec<DetectorUse> = Vec::new();
    for entry in entries {
        let plugin = entry.parsed("model_name", component);
        let plugin = required(&entry, "model_name", plugin, "name a detector: model_name: robust");
        let tag = entry.parsed("model_tag", name).unwrap_or_else(|| plugin.clone());
        if let Some(twin) = detectors.iter().find(|other| other.tag == tag && !tag.is_empty()) {
            let place = twin.pointer.trim_end_matches("/model_params").to_owned();
            entry.fault(
                "model_tag",
                format!("\"{tag}\" is also the tag of {place}"),
                "give each entry its own model_tag",
            );
        }
        let mut config = entry.object("model_params");
        // The components of these names judge series alone.
        let of_rows = ["pca", "knn"].contains(&plugin.as_str()).then_some("tabular").filter(|_| entities);
        let plugin = match of_rows.or_else(|| component_with(&plugin)) {
            Some(component) => {
                config.insert("algorithm".to_owned(), plugin.into());
                component.to_owned()
            }
            None => match MEMBERS.iter().find(|(name, _)| *name == plugin) {
                Some((_, members)) => {
                    // Who names members anyway has the last word.
                    config.entry("members").or_insert_with(|| members.to_vec().into());
                    "robust".to_owned()
                }
                None => plugin,
            },
        };
        if let Some(preprocess) = preprocess.as_ref().filter(|_| PREPROCESSING.contains(&plugin.as_str())) {
            config.insert("preprocess".to_owned(), preprocess.clone());
        }
        detectors.push(DetectorUse {
            plugin,
            tag,
            config: Value::Object(config),
            pointer: entry.pointer("model_params"),
        });
        entry.finish();
    }
    if preprocess.is_some() && !detectors.iter().any(|detector| PREPROCESSING.contains(&detector.plugin.as_str())) {
        idle_preprocess(batch);
    }
    detectors
}

fn idle_preprocess(batch: &Section<'_>) {
    let text = "has no effect: only Anomstack's detectors have its preprocessing (pca, knn, iforest and others of \
                PyOD), and none is in model_configs";
    batch.warn_at(&batch.pointer("preprocess_params"), text, "");
}

/// `preprocess_params`: what those that have preprocessing are given, if it says anything of theirs, and
/// the grid that is judged.
pub(super) fn preprocess(batch: &Section<'_>, step_ms: u32) -> (Option<Value>, JudgedGrid) {
    let params = batch.section("preprocess_params");
    let mut config = Map::new();
    for key in ["diff_n", "smooth_n", "lags_n"] {
        if let Some(number) = params.whole(key, 0..=1_000) {
            config.insert(key.to_owned(), number.into());
        }
    }
    let freq = params.parsed("freq", |text| {
        let remedy = || "write a number and a unit: 5min, 1h, 1D".to_owned();
        let freq = parse_offset(text).map_err(|fault| (fault, remedy()))?;
        if !(1_000..=WIDEST).contains(&freq) {
            return Err((format!("{text} is out of range"), "write 1s to 7d".to_owned()));
        }
        let step = Millis::from(step_ms.max(1));
        if freq % step != 0 {
            let remedy =
                format!("write a multiple of it, or a step that divides {text}: step: {}", divisor(freq, step));
            return Err((format!("{text} is not a multiple of step, {}", shown(step)), remedy));
        }
        Ok(freq)
    });
    let aggregates = [
        ("mean", Aggregate::Mean),
        ("sum", Aggregate::Sum),
        ("last", Aggregate::Last),
        ("min", Aggregate::Min),
        ("max", Aggregate::Max),
    ];
    let aggregate = params.choice("freq_agg", &aggregates);
    params.finish();
    let judged = match freq.and_then(|freq| u32::try_from(freq).ok()) {
        Some(freq) => JudgedGrid { step_ms: freq, aggregate: aggregate.unwrap_or(Aggregate::Mean) },
        None => JudgedGrid { step_ms, aggregate: Aggregate::Last },
    };
    ((!config.is_empty()).then_some(Value::Object(config)), judged)
}

/// A step near `step` that divides `freq`, as a text.
fn divisor(freq: Millis, step: Millis) -> String {
    let usual = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600].map(|seconds| seconds * 1_000);
    let divides = usual.into_iter().filter(|candidate| freq % candidate == 0);
    shown(divides.min_by_key(|candidate| (candidate - step).abs()).unwrap_or(freq))
}

fn shown(span: Millis) -> String {
    humantime::format_duration(std::time::Duration::from_millis(span.unsigned_abs())).to_string().replace(' ', "")
}
