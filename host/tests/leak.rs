//! Guests that trap, again and again, leave nothing behind. A process of its own, since its
//! memory is measured.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anomd::capability::kv::InMemory;
use anomd::config::{Grants, Limits};
use anomd::engine::Lent;
use anomd::plugin::{Call, Catalogue, Detect, LogSink, Runtime, Use};
use anomd::series::{Grid, Matrix};
use serde_json::json;

const WARM_UP: usize = 1_000;
const CALLS: usize = 10_000;

#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _: tracing::Level, _: &str, _: &str) {}
}

/// Resident memory of this process, in KiB; `None` where the system does not tell.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

async fn trap(detector: &Arc<dyn Detect>, calls: usize) {
    let matrix = Matrix { grid: Grid { start: 0, step_ms: 60_000, columns: 2 }, rows: 1, values: vec![1.0, 2.0] };
    let call = Call { now: 0, subject: "acme/web/fit/1".into(), log: Arc::new(Silent) };
    let configs = ["recurse", "draw-too-much"].map(|attack| json!({"in": "fit", "attack": attack}).to_string());
    for (_, config) in (0..calls).zip(configs.iter().cycle()) {
        let fault = detector.fit(&call, config, &matrix, &[Arc::from([])]).await.unwrap_err();
        assert!(fault.message.contains("trapped") || fault.message.contains("stack"), "{fault}");
    }
}

#[tokio::test]
async fn ten_thousand_traps_leave_memory_and_slots_as_they_were() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/test");
    let limits = Limits { instances: 8, ..Limits::default() };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let runtime = Runtime::new(&limits, &cache).unwrap();
    let (catalogue, faults) = Catalogue::load(&runtime, Some(&root)).await;
    assert!(faults.is_empty(), "{faults:?}");
    let usage = |warm| Use {
        tenant: "acme".into(),
        batch: "web".into(),
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        timezone: chrono_tz::UTC,
        mail: None,
        kv: Arc::new(InMemory::default()),
        warm,
    };
    let plugin = catalogue.get("evil_detector").unwrap_or_else(|fault| panic!("{fault}: run `make plugins`"));
    let (fresh, warm) = (plugin.detector(usage(false)).unwrap(), plugin.detector(usage(true)).unwrap());
    trap(&fresh, WARM_UP / 2).await;
    trap(&warm, WARM_UP / 2).await;
    let before = resident();
    trap(&fresh, CALLS / 2).await;
    trap(&warm, CALLS / 2).await;
    let after = resident();
    drop((fresh, warm));
    assert_eq!(runtime.free_places(), limits.instances as usize);
    if let Some(lent) = runtime.lent() {
        assert_eq!(lent, Lent::default());
    }
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after < before * 1.05, "resident memory went from {before} to {after} KiB");
    }
}
