//! Plugins as artefacts: installed and locked, upgraded beside a running node, granted what they
//! want, and put into quarantine.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use anomd_tests::{Anomd, Api, until};
use serde_json::{Value, json};

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist");

/// A component of ours, or of the tests: `test/evil_ingester`.
fn component(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(DIST).join(format!("{name}.wasm"))).unwrap()
}

/// The same component with other bytes: with a custom section at its end.
fn another(mut component: Vec<u8>) -> Vec<u8> {
    component.extend([0, 4, 3, b'p', b'a', b'd']);
    component
}

/// Writes a component beside the node's folder.
fn file(anomd: &Anomd, name: &str, bytes: &[u8]) -> String {
    let file = anomd.home().join(name);
    std::fs::write(&file, bytes).unwrap();
    file.display().to_string()
}

fn folder(anomd: &Anomd, tenant: &str) -> PathBuf {
    anomd.home().join("data/tenants").join(tenant).join("plugins")
}

/// The components in the folder of a tenant.
fn components(anomd: &Anomd, tenant: &str) -> usize {
    let files = std::fs::read_dir(folder(anomd, tenant)).unwrap().flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "wasm")).count()
}

/// A plugin as the list shows it.
#[track_caller]
fn listed(anomd: &Anomd, tenant: &str, name: &str) -> Value {
    let list = anomd.json(&["plugin", "list", "--tenant", tenant]);
    let found = list.as_array().unwrap().iter().find(|plugin| plugin["name"] == name).cloned();
    found.unwrap_or_default()
}

/// The API, as the operator.
fn operator(anomd: &Anomd, url: &str) -> Api {
    let presence: Value = serde_json::from_slice(&std::fs::read(anomd.home().join("data/node.json")).unwrap()).unwrap();
    Api::new(url, presence["token"].as_str())
}

/// Runs the ingest of a batch of `default` once; the record of the run.
fn ingest(api: &Api, batch: &str) -> Value {
    let path = format!("/api/v1/tenants/default/batches/{batch}/runs");
    let scheduled = until("it starts", || {
        let told = api.send("POST", &path, Some(&json!({"job": "ingest"})));
        (told.status == 202).then(|| told.json["scheduled"].clone())
    });
    until("it ends", || {
        let runs = api.get(&path).json;
        runs["items"].as_array()?.iter().find(|run| run["scheduled"] == scheduled).cloned()
    })
}

/// A server that answers its requests with a body, each after it was let go.
struct Slow {
    url: String,
    asked: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

fn slow(body: Vec<u8>) -> Slow {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ((tell, asked), (go, wait)) = (mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            request(&mut stream);
            if tell.send(()).is_err() || wait.recv().is_err() {
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            // Whoever does not want all of it may go away.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    Slow { url, asked, go }
}

/// Reads a request up to the end of its headers.
fn request(stream: &mut TcpStream) {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        read.extend(byte);
    }
}

#[test]
fn what_is_installed_is_locked_to_its_digest_and_used_until_it_is_removed() {
    let anomd = Anomd::new();
    let source = file(&anomd, "theirs.wasm", &component("test/evil_ingester"));
    let wrong = anomd.run(&["plugin", "install", &source, "--digest", &format!("sha256:{}", "0".repeat(64))]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    assert!(wrong.stderr.contains("was asked for: nothing was installed"), "{wrong:#?}");
    let done = anomd.json(&["plugin", "install", &source]);
    let digest = done["digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"), "{done}");

    let lock = std::fs::read_to_string(folder(&anomd, "default").join("plugins.lock")).unwrap();
    for part in ["theirs:", &digest, "contract: 0.1.0", "anomd:plugin/http@0.1.0", "{{config.url}}", &source] {
        assert!(lock.contains(part), "{part} is not in {lock}");
    }
    anomd.run(&["plugin", "install", &source, "--digest", &digest]).done();
    std::fs::write(&source, another(component("test/evil_ingester"))).unwrap();
    let refused = anomd.run(&["plugin", "install", &source]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains(&format!("locked to {digest}")), "{refused:#?}");
    assert!(refused.stderr.contains("`anomd plugin upgrade` shows what would change"), "{refused:#?}");

    let batch = anomd.batch("uses", "ingest_fn: theirs\n");
    anomd.run(&["run", batch, "--job", "ingest"]).done();
    // It goes with a backup, of a node that runs too.
    let (server, _) = anomd.serve();
    anomd.run(&["backup", "whole"]).done();
    assert_eq!(server.stop(), Some(0));
    anomd.run(&["restore", "whole", "--data", "restored"]).done();
    let restored = anomd.json(&["plugin", "list", "--data", "restored"]);
    let own = restored.as_array().unwrap().iter().find(|plugin| plugin["name"] == "theirs");
    assert!(own.is_some_and(|own| own["problem"].is_null()), "{restored:#}");
    anomd.run(&["run", batch, "--job", "ingest", "--data", "restored"]).done();
    let used = anomd.run(&["plugin", "remove", "theirs"]);
    assert!(used.code == Some(2) && used.stderr.contains("theirs is used by uses"), "{used:#?}");

    // A component that was changed where it lies is not loaded, and nothing else takes its place.
    let kept = folder(&anomd, "default").join(format!("{}.wasm", digest.trim_start_matches("sha256:")));
    std::fs::write(&kept, another(component("test/evil_ingester"))).unwrap();
    let check = anomd.run(&["check"]);
    assert!(
        check.code != Some(0) && format!("{check:?}").contains("it was changed after it was installed"),
        "{check:#?}"
    );
    std::fs::remove_file(anomd.home().join("batches/uses.yaml")).unwrap();
    assert!(listed(&anomd, "default", "theirs")["problem"].as_str().unwrap().contains("plugins.lock has"));
    anomd.run(&["plugin", "remove", "theirs"]).done();
    assert_eq!(listed(&anomd, "default", "theirs"), Value::Null);
    assert_eq!(components(&anomd, "default"), 0);
}

#[test]
fn what_is_no_component_is_refused_and_leaves_nothing() {
    let anomd = Anomd::new();
    let source = file(&anomd, "theirs.wasm", b"not wasm");
    let refused = anomd.run(&["plugin", "install", &source]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("plugin theirs: this is no WebAssembly file (blame: plugin)"), "{refused:#?}");
    assert_eq!(components(&anomd, "default"), 0);
    assert!(!folder(&anomd, "default").join("plugins.lock").exists());
    let named = anomd.run(&["plugin", "install", &source, "--name", "../../x"]);
    assert!(named.code == Some(2) && named.stderr.contains("is not a component's name"), "{named:#?}");
}

#[test]
fn an_upgrade_shows_what_it_changes_and_waits_until_that_is_accepted() {
    let anomd = Anomd::new();
    let (old, new) = (component("discord"), component("pagerduty"));
    let (old, new) = (file(&anomd, "discord.wasm", &old), file(&anomd, "pagerduty.wasm", &new));
    anomd.run(&["plugin", "install", &old, "--name", "theirs"]).done();
    let shown = anomd.run(&["plugin", "upgrade", "theirs", &new]);
    assert_eq!(shown.code, Some(2), "{shown:#?}");
    for line in [
        "- origin https://discord.com",
        "+ origin https://events.pagerduty.com",
        "+ secret pagerduty_routing_key",
        "nothing was changed; --accept accepts the difference",
    ] {
        assert!(shown.stderr.contains(line), "{line} is not in {shown:#?}");
    }
    assert_eq!(listed(&anomd, "default", "theirs")["generation"], 1);
    let done = anomd.json(&["plugin", "upgrade", "theirs", &new, "--accept"]);
    assert_eq!((&done["done"], &done["generation"]), (&json!(true), &json!(2)));
    let view = listed(&anomd, "default", "theirs");
    assert_eq!((&view["generation"], &view["past"][0]["generation"]), (&json!(2), &json!(1)));
    assert_eq!(components(&anomd, "default"), 1, "the earlier component is gone");

    // A batch that would not go on with it keeps what it has.
    let source = file(&anomd, "evil.wasm", &component("test/evil_ingester"));
    anomd.run(&["plugin", "install", &source, "--name", "source"]).done();
    anomd.batch("uses", "ingest_fn: source\n");
    let refused = anomd.run(&["plugin", "upgrade", "source", &new, "--accept"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("is a notifier, and is used as an ingester"), "{refused:#?}");
    assert_eq!(listed(&anomd, "default", "source")["generation"], 1);
}

#[test]
fn a_call_under_way_ends_on_the_earlier_generation_and_the_next_is_one_of_the_new() {
    let anomd = Anomd::new();
    let bytes = component("test/evil_ingester");
    let first = file(&anomd, "first.wasm", &bytes);
    let second = file(&anomd, "second.wasm", &another(bytes));
    let server = slow(Vec::new());
    anomd.run(&["plugin", "install", &first, "--name", "theirs"]).done();
    let hourly = "ingest_cron_schedule: '0 0 1 1 *'\n";
    let params = format!("ingest_fn: theirs\ningest_params: {{in: fetch, attack: http, url: '{}'}}\n", server.url);
    anomd.batch("uses", &format!("{params}{hourly}"));
    let (node, url) = anomd.serve();
    let api = operator(&anomd, &url);
    let path = "/api/v1/tenants/default/batches/uses/runs";
    // A batch that never ran is due at once.
    server.asked.recv().unwrap();

    let done = anomd.json(&["plugin", "upgrade", "theirs", &second, "--accept"]);
    assert_eq!((&done["done"], &done["generation"]), (&json!(true), &json!(2)));
    let view = listed(&anomd, "default", "theirs");
    assert_eq!((&view["generation"], &view["draining"]), (&json!(2), &json!(1)), "{view}");
    assert_eq!(components(&anomd, "default"), 2);
    server.go.send(()).unwrap();
    let ingested = |runs: &Value| runs["items"].as_array()?.iter().find(|run| run["job"] == "ingest").cloned();
    let run = until("it ends", || ingested(&api.get(path).json));
    assert_eq!(run["state"], "done", "{run}");
    until("the earlier one is gone", || (listed(&anomd, "default", "theirs")["draining"] == 0).then_some(()));
    assert_eq!(components(&anomd, "default"), 1);
    server.go.send(()).unwrap();
    assert_eq!(ingest(&api, "uses")["state"], "done");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_plugin_that_keeps_failing_is_not_called_until_a_new_version_comes() {
    let anomd = Anomd::new();
    anomd.config("  quarantine_faults: 2\n  quarantine_first_ms: 3600000\n");
    let bytes = component("test/evil_ingester");
    let first = file(&anomd, "first.wasm", &bytes);
    let second = file(&anomd, "second.wasm", &another(bytes));
    anomd.run(&["plugin", "install", &first, "--name", "theirs"]).done();
    let never = "ingest_cron_schedule: '0 0 1 1 *'\n";
    anomd.batch("bad", &format!("ingest_fn: theirs\ningest_params: {{in: fetch, attack: unsorted}}\n{never}"));
    anomd.batch("good", &format!("ingest_fn: theirs\n{never}"));
    let (node, url) = anomd.serve();
    let api = operator(&anomd, &url);
    // What never ran is due at once: one fault of the bad one, and what comes after begins clean.
    for batch in ["bad", "good"] {
        let path = format!("/api/v1/tenants/default/batches/{batch}/runs");
        until("it has run", || api.get(&path).json["items"].as_array()?.first().cloned());
    }
    assert_eq!(ingest(&api, "good")["state"], "done");
    for _ in 0..2 {
        let why = ingest(&api, "bad")["why"].to_string();
        assert!(why.contains("do not ascend (blame: plugin)"), "{why}");
    }
    let refused = ingest(&api, "good");
    let why = refused["why"].as_str().unwrap();
    assert_eq!(refused["state"], "failed");
    assert!(why.contains("it was not called: it is in quarantine until 2"), "{why}");
    assert!(why.contains("after 2 faults in a row; the last: ") && why.contains("(blame: plugin)"), "{why}");
    let view = listed(&anomd, "default", "theirs");
    let (quarantine, cost) = (&view["quarantine"], &view["cost"]);
    assert!(cost["calls"].as_u64() > Some(4) && cost["memory_bytes"].as_u64() > Some(0), "{cost}");
    assert!(cost["faults"]["plugin"].as_u64() >= Some(2), "{cost}");
    assert_eq!(quarantine["faults"], 2, "{quarantine}");
    assert!(quarantine["last"].as_str().unwrap().contains("do not ascend"), "{quarantine}");
    assert!(std::fs::read_to_string(anomd.log()).unwrap().contains("in quarantine until"));

    anomd.run(&["plugin", "upgrade", "theirs", &second, "--accept"]).done();
    assert_eq!(listed(&anomd, "default", "theirs")["quarantine"], Value::Null);
    assert_eq!(ingest(&api, "good")["state"], "done");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn a_component_from_a_url_comes_within_the_policy_of_the_tenant_and_is_bounded() {
    let anomd = Anomd::new();
    let bytes = component("test/evil_ingester");
    anomd.config(&format!("  component_bytes: {}\n", bytes.len() + 100));
    let server = slow(bytes.clone());
    let url = format!("{}/plugins/theirs.wasm", server.url);
    anomd.run(&["tenant", "create", "shop"]).done();
    let (node, _) = anomd.serve();
    let install = || anomd.run(&["plugin", "install", &url, "--tenant", "shop"]);
    let refused = install();
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("`anomd tenant policy shop --plugin theirs` allows it"), "{refused:#?}");
    anomd.run(&["tenant", "policy", "shop", "--plugin", "theirs"]).done();
    let refused = install();
    let remedy = format!("`anomd tenant policy shop --origin {}`", server.url);
    assert!(refused.code == Some(2) && refused.stderr.contains(&remedy), "{refused:#?}");
    anomd.run(&["tenant", "policy", "shop", "--origin", &server.url]).done();
    let refused = install();
    assert!(refused.stderr.contains("is a private address"), "{refused:#?}");
    assert!(server.asked.try_recv().is_err(), "nothing was sent until now");
    anomd.run(&["tenant", "policy", "shop", "--network", "127.0.0.0/8"]).done();
    server.go.send(()).unwrap();
    install().done();
    let view = listed(&anomd, "shop", "theirs");
    assert_eq!((&view["came"], &view["source"], &view["allowed"]), (&json!("installed"), &json!(url), &json!(true)));
    assert_eq!(listed(&anomd, "default", "theirs"), Value::Null, "it is the shop's");

    let large = slow(vec![0; bytes.len() + 101]);
    large.go.send(()).unwrap();
    let refused = anomd.run(&["plugin", "install", &format!("{}/large.wasm", large.url)]);
    assert!(refused.code == Some(2) && refused.stderr.contains("limits.component_bytes"), "{refused:#?}");

    anomd.run(&["tenant", "delete", "shop", "--confirm", "shop"]).done();
    assert!(!folder(&anomd, "shop").exists());
    anomd.run(&["tenant", "create", "shop"]).done();
    assert_eq!(listed(&anomd, "shop", "theirs"), Value::Null, "a later tenant of the name has nothing of it");
    assert_eq!(node.stop(), Some(0));
}

#[test]
fn of_several_plugins_of_a_name_that_of_the_tenant_stands_and_the_log_says_so() {
    let anomd = Anomd::new();
    let (folders, own) = (another(component("slack")), another(another(component("slack"))));
    std::fs::write(anomd.home().join("plugins/slack.wasm"), &folders).unwrap();
    let own = file(&anomd, "slack.wasm", &own);
    let view = listed(&anomd, "default", "slack");
    assert_eq!((&view["came"], &view["hides"]), (&json!("folder"), &json!("bundled")));
    anomd.run(&["plugin", "install", &own]).done();
    let (node, _) = anomd.serve();
    let log = std::fs::read_to_string(anomd.log()).unwrap();
    assert!(log.contains("stands before the bundled"), "{log}");
    assert!(log.contains("the one that was installed stands before that of the node's folder"), "{log}");
    let view = listed(&anomd, "default", "slack");
    assert_eq!((&view["came"], &view["hides"]), (&json!("installed"), &json!("folder")));
    anomd.run(&["plugin", "remove", "slack"]).done();
    assert_eq!(listed(&anomd, "default", "slack")["came"], "folder");
    assert_eq!(node.stop(), Some(0));
    // A file that does not load leaves nothing of its name: nobody gets the bundled one unasked.
    std::fs::write(anomd.home().join("plugins/slack.wasm"), b"not wasm").unwrap();
    assert_eq!(listed(&anomd, "default", "slack"), Value::Null);
}

#[test]
fn what_a_plugin_wants_is_granted_when_somebody_approves_of_it_within_the_policy() {
    let anomd = Anomd::new();
    let source = file(&anomd, "theirs.wasm", &component("discord"));
    anomd.run(&["tenant", "create", "shop"]).done();
    anomd.run(&["tenant", "policy", "shop", "--plugin", "theirs"]).done();
    anomd.run(&["plugin", "install", &source, "--tenant", "shop"]).done();
    anomd.run(&["plugin", "install", &source]).done();
    let token = |scope: &str| anomd.run(&["tenant", "token", "shop", scope, "--scope", scope]).done().stdout;
    let (admin, operate) = (token("admin"), token("operate"));
    let (node, url) = anomd.serve();
    let (admin, operate) = (Api::new(&url, Some(admin.trim())), Api::new(&url, Some(operate.trim())));
    let wanted = |tenant: &str| listed(&anomd, tenant, "theirs")["origins"][0].clone();
    assert_eq!(wanted("default"), json!({"origin": "https://discord.com", "granted": false, "by": ""}));
    anomd.run(&["plugin", "approve", "theirs"]).done();
    assert_eq!(wanted("default"), json!({"origin": "https://discord.com", "granted": true, "by": "approval"}));
    anomd.run(&["plugin", "approve", "theirs", "--none"]).done();
    assert_eq!(wanted("default")["granted"], false);

    let path = "/api/v1/tenants/shop/plugins/theirs/grants";
    let approval = json!({"origins": ["https://discord.com"]});
    assert_eq!(operate.send("PUT", path, Some(&approval)).status, 403);
    let beyond = admin.send("PUT", path, Some(&approval));
    assert!(beyond.status == 409 && beyond.text.contains("anomd tenant policy shop --origin"), "{beyond:?}");
    assert_eq!(wanted("shop")["by"], "policy");
    anomd.run(&["tenant", "policy", "shop", "--origin", "https://discord.com"]).done();
    assert_eq!(admin.send("PUT", path, Some(&approval)).status, 200);
    assert_eq!(wanted("shop"), json!({"origin": "https://discord.com", "granted": true, "by": "approval"}));
    // What the policy no longer allows is no longer granted.
    anomd.run(&["tenant", "policy", "shop", "--replace", "--plugin", "theirs"]).done();
    assert_eq!(wanted("shop"), json!({"origin": "https://discord.com", "granted": false, "by": "policy"}));
    let secret = listed(&anomd, "shop", "theirs")["secrets"][0].clone();
    assert_eq!(secret["set"], false, "{secret}");
    assert_eq!(node.stop(), Some(0));
}
