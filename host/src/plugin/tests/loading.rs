//! What is loaded, what is refused, and what a second start costs.

use std::fs;

use super::*;
use crate::engine::Source;

#[tokio::test]
async fn a_second_load_compiles_nothing_and_a_damaged_cache_is_recovered_from() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Arc<[u8]> = fs::read(path("probe_detector")).unwrap().into();
    let digest = manifest::digest(&bytes);
    let sources = async || {
        let runtime = Runtime::new(&small(), folder.path()).unwrap();
        runtime.engine.compile(Arc::clone(&bytes), &digest).await.unwrap().1
    };
    assert_eq!(sources().await, Source::Compiled);
    assert_eq!(sources().await, Source::Cache);
    let code = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let code = code.filter(|path| path.extension().is_some_and(|e| e == "cwasm")).collect::<Vec<_>>();
    let mut damaged = fs::read(&code[0]).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&code[0], damaged).unwrap();
    assert_eq!(sources().await, Source::Compiled);
    assert_eq!(sources().await, Source::Cache);
}

#[tokio::test]
async fn a_later_start_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { instances: 1, ..small() };
    let load = async || plugin(&Runtime::new(&limits, folder.path()).unwrap(), "probe_detector").await;
    let first = load().await;
    assert!(first.inspection().compiled_bytes.is_some());
    // Without its compiled form the component still loads: what it said was kept.
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cwasm") {
            fs::remove_file(path).unwrap();
        }
    }
    let second = load().await;
    assert_eq!(second.version(), "0.1.0");
    assert_eq!(second.inspection().compiled_bytes, None);
}

#[tokio::test]
async fn one_bad_file_loses_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(path("probe_detector"), folder.path().join("good.wasm")).unwrap();
    fs::copy(path("probe_ingester"), folder.path().join("source.wasm")).unwrap();
    fs::write(folder.path().join("bad.wasm"), b"not wasm").unwrap();
    fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(folder.path().join("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    fs::write(folder.path().join("large.wasm"), vec![0; 300_000]).unwrap();
    fs::write(folder.path().join("notes.txt"), b"not a plugin").unwrap();
    let limits = Limits { component_bytes: 250_000, ..small() };
    let (catalogue, faults) = Catalogue::load(&runtime(&limits), Some(folder.path())).await;
    assert_eq!(catalogue.get("good").unwrap().role(), Role::Detector);
    assert_eq!(catalogue.get("source").unwrap().role(), Role::Ingester);
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let texts = texts.join("\n").replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(texts, @r"
    plugin bad: this is no WebAssembly file (blame: plugin)
      tell the plugin's author, or take the file away
    plugin core: this is a core module and no component: `wasm-tools component new` makes one of it (blame: plugin)
      tell the plugin's author, or take the file away
    plugin empty: it has no role: it exports nothing, and none of anomd:plugin/{ingest,detect,notify,analyse} (blame: plugin)
      tell the plugin's author, or take the file away
    plugin large: FOLDER/large.wasm has 300000 bytes, where 250000 are allowed (limits.component_bytes in anomd.yaml) (blame: operator)
    ");
    let Err(unknown) = catalogue.get("gold") else { panic!("there is no such plugin") };
    assert!(unknown.remedy.starts_with("did you mean \"good\"? The plugins are "), "{unknown}");
}

#[tokio::test]
async fn a_component_that_needs_more_memory_than_is_allowed_is_told_so() {
    let limits = Limits { instance_memory_bytes: 1 << 20, ..small() };
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&limits, folder.path()).unwrap();
    let loaded = Plugin::load(runtime, "probe".into(), Bytes::File(path("probe_detector"))).await;
    let Err(fault) = loaded else { panic!("it fits") };
    insta::assert_snapshot!(fault.to_string(), @r"
    plugin probe: it starts with 1088 KiB of memory, where an instance may have 1 MiB (blame: limit)
      raise limits.instance_memory_bytes in anomd.yaml, or let the plugin need less
    ");
}

#[test]
fn an_inspection_runs_nothing_and_says_what_a_component_can_do() {
    let mut inspection = inspect(&fs::read(path("probe_ingester")).unwrap()).unwrap();
    assert_eq!(inspection.digest.len(), 64);
    assert!(inspection.core_bytes > 10_000 && inspection.core_bytes < inspection.component_bytes);
    inspection.digest.clear();
    inspection.core_bytes = 0;
    inspection.component_bytes = 0;
    inspection.memory_bytes = 0;
    insta::assert_snapshot!(serde_json::to_string_pretty(&inspection).unwrap(), @r#"
    {
      "role": "ingester",
      "contract": "0.1.0",
      "imports": [
        {
          "name": "anomd:plugin/http@0.1.0",
          "functions": [
            "send"
          ],
          "roles": [
            "ingester",
            "notifier",
            "analyst"
          ]
        },
        {
          "name": "anomd:plugin/kv@0.1.0",
          "functions": [
            "get",
            "put"
          ],
          "roles": [
            "ingester",
            "notifier"
          ]
        },
        {
          "name": "anomd:plugin/log@0.1.0",
          "functions": [
            "write"
          ],
          "roles": [
            "ingester",
            "detector",
            "notifier",
            "analyst"
          ]
        },
        {
          "name": "anomd:plugin/types@0.1.0",
          "functions": [],
          "roles": [
            "ingester",
            "detector",
            "notifier",
            "analyst"
          ]
        }
      ],
      "exports": [
        "anomd:plugin/about@0.1.0",
        "anomd:plugin/ingest@0.1.0"
      ],
      "digest": "",
      "component_bytes": 0,
      "core_bytes": 0,
      "memory_bytes": 0,
      "compiled_bytes": null,
      "name": null,
      "refusal": null
    }
    "#);
}
