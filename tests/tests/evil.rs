//! A node whose batches use plugins that attack it: it goes on, and the record of the run says
//! what happened, who is to blame and what to do.

use std::path::Path;

use anomd_tests::{Anomd, Receiver, instant, this_hour};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/test");

#[test]
fn the_record_of_a_run_tells_each_attack_and_other_batches_go_on() {
    let anomd = Anomd::new();
    // Two spaces: it goes on with the limits of the node.
    anomd.config("  call_cpu_ms: 200\n  instance_memory_bytes: 33554432\n");
    for guest in ["evil_ingester", "probe_ingester"] {
        anomd.plugin(&Path::new(GUESTS).join(format!("{guest}.wasm")));
    }
    let receiver = Receiver::start();
    let good = format!("ingest_fn: probe_ingester\ningest_params: {{url: '{}'}}\n", receiver.url("/"));
    let good = anomd.batch("good", &good);
    let attacks = [
        ("spin", "it used more than the 200ms of CPU time that a call may use (blame: limit)", "limits.call_cpu_ms"),
        ("allocate", "it wanted more than the 32 MiB of memory", "limits.instance_memory_bytes"),
        ("recurse", "its calls nested until the stack was full (blame: plugin)", "tell the plugin's author"),
        ("unsorted", "the timestamps of series up do not ascend (blame: plugin)", "tell the plugin's author"),
        ("endless-pages", "page", "ingest"),
    ];
    let at = instant(this_hour());
    for (attack, what, remedy) in attacks {
        let batch =
            anomd.batch("evil", &format!("ingest_fn: evil_ingester\ningest_params: {{in: fetch, attack: {attack}}}\n"));
        let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &at]);
        assert_eq!(output.code, Some(1), "{attack}: {output:#?}");
        let runs = anomd.query(batch, "runs");
        let said = runs.iter().filter_map(|run| run["said"].as_str()).collect::<Vec<_>>().join("\n");
        assert!(said.contains(what) && said.contains(remedy), "{attack}: {said}");
        anomd.run(&["run", good, "--job", "ingest", "--at", &at]).done();
    }
}
