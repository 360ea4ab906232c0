//! The host of plugins against guests that behave as their configuration says
//! (`plugins/probe`): each mechanism is seen to act.

mod contract;
mod egress;
mod evil;
mod limits;
mod loading;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::Bytes;
use super::*;
use crate::capability::http::Net;
use crate::capability::kv::InMemory;
use crate::config::{Grants, Limits};
use crate::series::{Grid, Matrix};

/// One for all tests, so that each guest is compiled once.
static CACHE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Limits under which a test is quick.
fn small() -> Limits {
    Limits { instances: 4, call_cpu_ms: 100, instance_memory_bytes: 32 << 20, ..Limits::default() }
}

fn runtime(limits: &Limits) -> Arc<Runtime> {
    Runtime::new(limits, CACHE.path()).unwrap()
}

fn path(guest: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/test").join(format!("{guest}.wasm"));
    assert!(path.exists(), "{} is not built: run `make plugins`", path.display());
    path
}

async fn plugin(runtime: &Arc<Runtime>, guest: &str) -> Arc<Plugin> {
    Arc::new(Plugin::load(Arc::clone(runtime), "probe".into(), Bytes::File(path(guest))).await.unwrap())
}

/// What is logged.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, level: tracing::Level, plugin: &str, line: &str) {
        self.0.lock().unwrap().push(format!("{level} {plugin}: {line}"));
    }
}

fn call() -> (Call, Arc<Lines>) {
    let lines = Arc::new(Lines::default());
    let log = Arc::clone(&lines) as Arc<dyn LogSink>;
    (Call { now: 1_700_000_000_000, subject: "acme/web/score/1".into(), log }, lines)
}

fn usage() -> Use {
    Use {
        tenant: "acme".into(),
        batch: "web".into(),
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        timezone: chrono_tz::Europe::Berlin,
        mail: None,
        kv: Arc::new(InMemory::default()),
        warm: false,
    }
}

fn matrix(rows: usize, columns: usize) -> Matrix {
    let grid = Grid { start: 0, step_ms: 60_000, columns };
    Matrix { grid, rows, values: (0..rows * columns).map(|cell| cell as f64).collect() }
}

fn models(rows: usize) -> Vec<Arc<[u8]>> {
    vec![Arc::from([]); rows]
}

/// The probe, bound as a detector.
async fn detector(limits: &Limits, warm: bool) -> Arc<dyn Detect> {
    let runtime = runtime(limits);
    plugin(&runtime, "probe_detector").await.detector(Use { warm, ..usage() }).unwrap()
}

/// `fit` of one row, told to do something.
async fn fit(detector: &Arc<dyn Detect>, config: Value) -> Result<Vec<u8>, crate::fault::Fault> {
    let (call, _) = call();
    let fitted = detector.fit(&call, &config.to_string(), &matrix(1, 2), &models(1)).await?;
    Ok(fitted.models.into_iter().next().unwrap())
}

async fn fault(limits: &Limits, config: Value) -> String {
    fit(&detector(limits, false).await, config).await.unwrap_err().to_string()
}

fn act(action: &str) -> Value {
    json!({"do": action})
}
