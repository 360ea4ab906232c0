//! A node whose batches use plugins that attack it: it goes on, and the record of the run says
//! what happened, who is to blame and what to do.

use std::path::Path;

use anomd_tests::{Anomd, instant, this_hour};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/test");

/// Each attack, what the record says of it, and what to do.
const ATTACKS: [(&str, &str, &str); 5] = [
    ("spin", "it used more than the 200ms of CPU time that a call may use (blame: limit)", "limits.call_cpu_ms"),
    ("allocate", "it wanted more than the 32 MiB of memory", "limits.instance_memory_bytes"),
    ("recurse", "its calls nested until the stack was full (blame: plugin)", "tell the plugin's author"),
    ("unsorted", "the timestamps of series up do not ascend (blame: plugin)", "tell the plugin's author"),
    ("complain", "a fault in the plugin: woe! woe!", "tell the plugin's author"),
];

#[test]
fn the_record_of_a_run_tells_each_attack_and_other_batches_go_on() {
    let anomd = Anomd::new();
    // Two spaces: it goes on with the limits of the node.
    anomd.config("  call_cpu_ms: 200\n  instance_memory_bytes: 33554432\n");
    anomd.plugin(&Path::new(GUESTS).join("evil_ingester.wasm"));
    let good = anomd.batch("good", "ingest_fn: evil_ingester\n");
    let at = instant(this_hour());
    for (attack, what, remedy) in ATTACKS {
        let params = format!("ingest_fn: evil_ingester\ningest_params: {{in: fetch, attack: {attack}}}\n");
        let batch = anomd.batch(attack, &params);
        let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &at]);
        assert_eq!(output.code, Some(1), "{attack}: {output:#?}");
        let run = anomd.query(batch, "runs").swap_remove(0);
        let said = run["said"].as_str().unwrap();
        assert_eq!(run["state"], "failed", "{attack}: {run}");
        assert!(said.contains(what) && said.contains(remedy), "{attack}: {said}");
        anomd.run(&["run", good, "--job", "ingest", "--at", &at]).done();
    }
}
