//! Attacks: by the guests of `plugins/evil`, and by components that are written here as text.
//!
//! Each is one test. While it lasts another tenant is served; after it nothing is held, and
//! the fault says what happened, who is to blame and what to do, in a text of bounded length.

mod abi;
mod answers;
mod calls;
mod components;
mod description;
mod requests;
mod start;
mod text;

use super::*;
use crate::engine::Lent;
use crate::fault::Fault;
use crate::message::{Alert, AlertState};
use crate::series::{Kind, Labels, Samples};

/// Bytes of a fault as text, log lines included.
const FAULT_BYTES: usize = 40 << 10;

/// A node with a tenant that means no harm.
struct Scene {
    runtime: Arc<Runtime>,
    instances: usize,
    neighbour: Arc<dyn Detect>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Limits { call_cpu_ms: 50, crossing_bytes: 8 << 20, ..small() }).await
    }

    async fn with(limits: Limits) -> Self {
        let runtime = runtime(&limits);
        let neighbour = plugin(&runtime, "probe_detector").await;
        let neighbour = neighbour.detector(Use { tenant: "globex".into(), ..usage() }).unwrap();
        Self { runtime, instances: limits.instances as usize, neighbour }
    }

    /// Loads what is in a file.
    async fn load(&self, bytes: &[u8]) -> Result<Arc<Plugin>, Fault> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let bytes = Bytes::File(file.path().to_owned());
        let loaded = Plugin::load(Arc::clone(&self.runtime), "evil".into(), bytes).await.map(Arc::new);
        if let Ok(plugin) = &loaded {
            // Compiled before the file is gone.
            plugin.prepared().await?;
        }
        loaded
    }

    /// A guest of `plugins/evil`.
    async fn evil(&self, role: &str) -> Arc<Plugin> {
        let bytes = Bytes::File(path(&format!("evil_{role}")));
        Arc::new(Plugin::load(Arc::clone(&self.runtime), "evil".into(), bytes).await.unwrap())
    }

    /// What comes of an attack, during which and after which others are served.
    async fn survives<T>(&self, attack: impl Future<Output = T>) -> T {
        let others = async {
            for _ in 0..3 {
                fit(&self.neighbour, act("calls")).await.unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(attack, others);
        fit(&self.neighbour, act("calls")).await.unwrap();
        self.is_quiet().await;
        outcome
    }

    /// Waits until all places and all slots of the pool are free, and no tenant is charged with memory.
    async fn is_quiet(&self) {
        let quiet = || {
            let lent = self.runtime.lent().unwrap_or_default();
            let free = self.runtime.free_places() == self.instances;
            let memory = ["acme", "globex"].map(|tenant| self.runtime.account(tenant).memory());
            lent == Lent::default() && free && memory == [0, 0]
        };
        let wait = async {
            while !quiet() {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "{:?} is lent, {} places are free", self.runtime.lent(), self.runtime.free_places());
    }

    /// Has an export attack; the answer is what the operator would read.
    async fn attack(&self, export: &str, attack: &str) -> String {
        let config = json!({"in": export, "attack": attack}).to_string();
        let (call, lines) = call();
        let plugin = self.evil(role(export)).await;
        let said = self.survives(exported(&plugin, &call, export, &config)).await;
        assert!(said.len() < FAULT_BYTES, "{} bytes", said.len());
        assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
        assert!(lines.0.lock().unwrap().len() <= small().log_lines_per_call + 1);
        said
    }

    /// The same for an attack that has to fail: the text begins with the one to blame.
    async fn refuses(&self, export: &str, attack: &str, expected: &str) {
        let said = self.attack(export, attack).await;
        let (blame, message) = expected.split_once(": ").unwrap();
        let place = format!("plugin evil 0.1.0, {export}: {message}");
        assert!(said.contains(&place), "expected {place:?} in {said}");
        let blamed = format!("(blame: {blame})");
        let (_, after) = said.split_once(&blamed).unwrap_or_else(|| panic!("expected {blamed:?} in {said}"));
        // The last line says what to do.
        assert!(after.lines().last().is_some_and(|line| line.len() > 10), "{said}");
    }

    /// The same for an attack that comes to nothing: the call gives a result.
    async fn shrugs_off(&self, export: &str, attack: &str) -> String {
        let said = self.attack(export, attack).await;
        assert!(said.starts_with("result: "), "{said}");
        said
    }
}

/// The role that has an export.
fn role(export: &str) -> &'static str {
    match export {
        "fetch" => "ingester",
        "deliver" => "notifier",
        "analyse" => "analyst",
        _ => "detector",
    }
}

/// Calls an export, and gives the fault as text.
async fn exported(plugin: &Arc<Plugin>, call: &Call, export: &str, config: &str) -> String {
    let told = |result: Result<String, Fault>| match result {
        Ok(result) => format!("result: {result}"),
        Err(fault) => fault.to_string(),
    };
    let one = "m".parse::<String>().unwrap();
    let labels = Labels::new([("__name__".to_owned(), one)]).unwrap();
    match export {
        "check" => {
            let problems = plugin.check_config(&serde_json::from_str(config).unwrap()).await;
            let fault = problems.first().filter(|problem| problem.message.contains("(blame: "));
            fault.map_or_else(|| format!("result: {} problems", problems.len()), |problem| problem.message.clone())
        }
        "plan" | "fit" | "score" => {
            let detector = plugin.detector(usage()).unwrap();
            told(match export {
                "plan" => detector.plan(call, config, 60_000).await.map(|needs| format!("{needs:?}")),
                "fit" => detector.fit(call, config, &matrix(1, 2), &models(1)).await.map(|f| format!("{f:?}")),
                _ => detector.score(call, config, &models(1), &matrix(1, 2), 1).await.map(|s| format!("{s:?}")),
            })
        }
        "fit-vectors" | "score-vectors" => {
            let judge = plugin.vectors(usage()).unwrap().unwrap();
            let table = Table { features: vec!["a".into()], rows: 2, values: vec![1.0, 2.0] };
            told(match export {
                "fit-vectors" => judge.fit(call, config, &table).await.map(|model| format!("{model:?}")),
                _ => judge.score(call, config, &Arc::from([]), &table).await.map(|judged| format!("{judged:?}")),
            })
        }
        "fetch" => {
            let ingester = plugin.ingester(usage()).unwrap();
            let window = Window { span: 60_000..120_000, step_ms: 60_000 };
            told(ingester.fetch(call, config, &window, None).await.map(|page| format!("{page:?}")))
        }
        "deliver" => {
            let alert = Alert {
                id: "a1".into(),
                incident: "i1".into(),
                state: AlertState::Firing,
                kind: "anomaly".into(),
                labels,
                title: "m is odd".into(),
                body: String::new(),
                link: None,
                actions: vec![],
                chart: None,
                findings: vec![],
                more: 0,
            };
            let notifier = plugin.notifier(usage()).unwrap();
            told(notifier.deliver(call, config, &[alert]).await.map(|receipts| format!("{receipts:?}")))
        }
        "analyse" => {
            let samples =
                Samples::new(vec![Some(labels.clone())], vec![Kind::Gauge], vec![0, 2], vec![1, 2], vec![1.0; 2]);
            let subject = Subject { labels, name: "m".into(), alert: None, scores: vec![], chart: None };
            let analyst = plugin.analyst(usage()).unwrap();
            told(analyst.analyse(call, config, &samples.unwrap(), &[subject]).await.map(|a| format!("{a:?}")))
        }
        other => panic!("there is no export {other}"),
    }
}
