//! The API against its own description: schemathesis asks what the description allows, and what
//! it does not, and looks at what comes back.

use std::path::Path;
use std::process::Command;

use anomd_tests::{Anomd, Api, or_skip, tools};
use serde_json::Value;

/// A batch whose source nobody may reach: its runs fail at once.
const BATCH: &str = "metric_batch: orders\ningest_fn: prometheus\n\
                     ingest_params: {url: 'http://127.0.0.1:1', queries: [load]}\n";

#[test]
fn the_api_does_what_its_description_says() {
    let program = tools().join("schemathesis/bin/schemathesis");
    let program = or_skip!(program.is_file().then_some(program).ok_or("there is no schemathesis".to_owned()));
    let anomd = Anomd::new();
    anomd.run(&["tenant", "create", "shop"]).done();
    let (_server, url) = anomd.serve();
    let operator = anomd.operator();
    let api = Api::new(&url, Some(&operator));
    let put = api.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&Value::from(BATCH)));
    assert_eq!(put.status, 200, "{put:?}");

    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/schemathesis.toml");
    let output = Command::new(program)
        .arg("--config-file")
        .arg(config)
        .args(["--no-color", "run", &format!("{url}/api/v1/openapi.json"), "--header"])
        .arg(format!("Authorization: Bearer {operator}"))
        .current_dir(anomd.home())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    // It did ask, and not only pass over.
    let operations = api.get("/api/v1/openapi.json").json["paths"].as_object().unwrap().len();
    assert!(operations >= 25 && said.contains("Tested:"), "{said}");
    assert!(api.get("/api/v1/tenants/shop").status == 200, "the tenant is still there");
}
