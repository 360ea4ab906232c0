//! One node for many: what a tenant sees, may do and leaves behind.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use anomd_tests::{Anomd, Api, HOUR, Server, Source, load, this_hour, until};
use serde_json::{Value, json};

/// What answers without a token.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/api/v1/build", "/api/v1/openapi.json"];
/// Not part of any other name.
const SECRET: &str = "hunter2-of-the-shop";

fn source() -> Source {
    let begin = this_hour() - 12 * HOUR;
    Source::start(move |time| vec![("load", "a", load(time, begin, &[])), ("calm", "b", load(time, begin, &[]))])
}

fn batch(name: &str, url: &str) -> Value {
    let text = format!(
        "metric_batch: {name}\ningest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 6h\n\
         ingest_params: {{url: '{url}', queries: [load, calm]}}\n"
    );
    text.into()
}

/// A token of a tenant.
fn token(anomd: &Anomd, tenant: &str, scope: &str) -> String {
    anomd.run(&["tenant", "token", tenant, scope, "--scope", scope]).done().stdout.trim().to_owned()
}

/// A tenant that may reach a source.
fn tenant(anomd: &Anomd, name: &str, source: &Source) {
    anomd.run(&["tenant", "create", name]).done();
    anomd.run(&["tenant", "policy", name, "--origin", &source.url(), "--network", "127.0.0.0/8"]).done();
}

/// A node with the tenants `shop` and `rival`, of which the shop has a bit of everything.
struct Hosting {
    anomd: Anomd,
    server: Server,
    url: String,
    shop: Api,
    rival: Api,
    _source: Source,
}

impl Hosting {
    fn start() -> Self {
        let (anomd, source) = (Anomd::new(), source());
        tenant(&anomd, "shop", &source);
        tenant(&anomd, "rival", &source);
        let (shop, rival) = (token(&anomd, "shop", "admin"), token(&anomd, "rival", "admin"));
        let (server, url) = anomd.serve();
        let (shop, rival) = (Api::new(&url, Some(&shop)), Api::new(&url, Some(&rival)));
        let put = shop.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&batch("orders", &source.url())));
        assert_eq!((put.status, &put.json["active"]), (200, &Value::from(true)), "{put:?}");
        for (method, path, body) in [
            ("PUT", "variables/region", json!({"value": "eu"})),
            ("PUT", "secrets/token", json!({"value": SECRET, "origins": ["https://hooks.example.com"]})),
            ("POST", "silences", json!({"matchers": "job=\"x\"", "author": "ana", "end": "2999-01-01T00:00:00Z"})),
            ("POST", "events", json!({"kind": "deploy", "text": "v2", "by": "ana"})),
        ] {
            let done = shop.send(method, &format!("/api/v1/tenants/shop/{path}"), Some(&body));
            assert_eq!(done.status, 200, "{path}: {done:?}");
        }
        Self { anomd, server, url, shop, rival, _source: source }
    }

    /// Waits until a batch of the shop has ingested.
    fn ingested(&self, batch: &str) -> Value {
        until("a run has ended", || {
            let runs = self.shop.get(&format!("/api/v1/tenants/shop/batches/{batch}/runs")).json;
            runs["items"].as_array()?.iter().find(|run| run["job"] == "ingest").cloned()
        })
    }
}

/// The operations that the node describes: method, path, and the description.
fn operations(url: &str) -> Vec<(String, String, Value)> {
    let document = Api::new(url, None).get("/api/v1/openapi.json").json;
    let paths = document["paths"].as_object().unwrap_or_else(|| panic!("no paths in {document}"));
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String, Value)> {
        let item = item.as_object().unwrap().iter().filter(|(name, _)| {
            matches!(name.as_str(), "get" | "put" | "post" | "delete" | "patch" | "head" | "options" | "trace")
        });
        item.map(|(name, operation)| (name.to_uppercase(), path.clone(), operation.clone())).collect()
    };
    paths.iter().flat_map(methods).collect()
}

/// Every address that the description has, with the names of things that the shop has.
fn addresses(path: &str, shop: &Api) -> String {
    let first = |list: &str, key: &str| {
        let found = shop.get(&format!("/api/v1/tenants/shop/{list}")).json;
        found["items"][0][key].as_str().unwrap_or("orders").to_owned()
    };
    let id = match path.rsplit_once("/{id}").map(|(before, _)| before.rsplit('/').next().unwrap_or_default()) {
        Some("tokens") => first("tokens", "id"),
        Some("silences") => first("silences", "id"),
        Some("events") => first("events", "id"),
        Some("variables") => "region".to_owned(),
        Some("secrets") => "token".to_owned(),
        Some("plugins") => "prometheus".to_owned(),
        Some("runs") => first("batches/orders/runs", "id"),
        _ => "orders".to_owned(),
    };
    path.replace("{tenant}", "shop").replace("{id}", &id)
}

#[test]
fn a_tenants_token_reads_nothing_of_another() {
    let hosting = Hosting::start();
    hosting.ingested("orders");
    let operations = operations(&hosting.url);
    assert!(operations.len() >= 25, "{} operations", operations.len());
    let (nobody, forged) = (Api::new(&hosting.url, None), Api::new(&hosting.url, Some("anomd_0011223344556677_x")));
    let mut own = 0;
    for (method, path, operation) in &operations {
        let open = operation["security"].as_array().is_none_or(Vec::is_empty);
        assert_eq!(open, OPEN.contains(&path.as_str()), "{path}");
        if open {
            continue;
        }
        for status in ["401", "403", "500"] {
            let problem = &operation["responses"][status]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path} does not say what {status} is");
        }
        let address = addresses(path, &hosting.shop);
        let body = (method != "GET").then(|| json!({}));
        let told = hosting.rival.send(method, &address, body.as_ref());
        assert!(matches!(told.status, 401 | 403 | 404), "{method} {address}: {told:?}");
        assert_eq!(told.kind, "application/problem+json", "{method} {address}");
        for other in [&nobody, &forged] {
            let told = other.send(method, &address, body.as_ref());
            assert_eq!(told.status, 401, "{method} {address}: {told:?}");
        }
        // The stream of what goes on has no end; `runs.rs` listens to it.
        if method == "GET" && path.contains("{tenant}") && !path.ends_with("/live") {
            // What is about one series has to be told which.
            let query = match path.rsplit('/').next() {
                Some("why") => "?batch=orders&metric=load",
                Some("points" | "chart" | "models") => "?metric=load",
                Some("what-if") => "?metric=load&threshold=0.8",
                Some("alerts") if path.contains("/batches/") => "?metric=load",
                Some("preview") => "?matchers=job%3D%22x%22",
                _ => "",
            };
            let shown = hosting.shop.get(&format!("{address}{query}"));
            // There is no alert to be shown.
            let expected = if path.contains("/alerts/{id}") { 404 } else { 200 };
            assert_eq!(shown.status, expected, "{method} {address}: {shown:?}");
            assert!(!shown.text.contains(SECRET), "{address} shows a secret");
            own += 1;
        }
    }
    assert!(own >= 15, "{own} addresses were shown to their own tenant");
    // Nothing of all that was tried has changed anything.
    assert_eq!(hosting.shop.get("/api/v1/tenants/shop/batches/orders").status, 200);
    assert_eq!(hosting.rival.get("/api/v1/tenants/rival/batches").json["items"], json!([]));
}

#[test]
fn a_token_allows_what_its_scope_says_and_is_refused_once_it_is_revoked() {
    let hosting = Hosting::start();
    let with = |scope: &str| Api::new(&hosting.url, Some(&token(&hosting.anomd, "shop", scope)));
    let (read, operate) = (with("read"), with("operate"));
    let path = |rest: &str| format!("/api/v1/tenants/shop/{rest}");
    let silence = json!({"matchers": "job=\"y\"", "author": "ben", "end": "2999-01-01T00:00:00Z"});
    let variable = json!({"value": "us"});
    assert_eq!(read.get(&path("batches")).status, 200);
    assert_eq!(read.get(&path("tokens")).status, 403);
    assert_eq!(read.send("POST", &path("silences"), Some(&silence)).status, 403);
    assert_eq!(operate.send("POST", &path("silences"), Some(&silence)).status, 200);
    assert_eq!(operate.send("POST", &path("batches/orders/pause"), None).json["paused"], true);
    let refused = operate.send("PUT", &path("variables/region"), Some(&variable));
    assert!(refused.text.contains("has the scope operate, and admin is needed"), "{refused:?}");
    assert_eq!(hosting.shop.send("PUT", &path("variables/region"), Some(&variable)).status, 200);
    for (method, rest) in [("PUT", "quotas"), ("PUT", "policy"), ("DELETE", "")] {
        let address = path(rest);
        let told = hosting.shop.send(method, address.trim_end_matches('/'), Some(&json!({})));
        assert_eq!(told.status, 403, "{method} {rest}: {told:?}");
    }

    let listed = hosting.anomd.json(&["tenant", "token", "shop"]);
    let id = listed.as_array().unwrap().iter().find(|token| token["name"] == "read").unwrap()["id"].clone();
    hosting.anomd.run(&["tenant", "token", "shop", "--revoke", id.as_str().unwrap()]).done();
    assert_eq!(read.get(&path("batches")).status, 401);
    assert_eq!(operate.get(&path("batches")).status, 200);
}

#[test]
fn a_token_is_shown_once_and_kept_as_a_hash() {
    let anomd = Anomd::new();
    let token = token(&anomd, "default", "read");
    assert!(token.starts_with("anomd_") && token.len() > 50, "{token}");
    let secret = token.rsplit('_').next().unwrap();
    assert!(!anomd.run(&["tenant", "token", "default"]).done().stdout.contains(secret));
    assert!(!holds(&anomd.home().join("data"), secret.as_bytes()), "the token lies in the data folder");
}

/// Whether a file below a folder has these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        match kind {
            // The cache of compiled plugins is elsewhere.
            kind if kind.is_symlink() => false,
            kind if kind.is_dir() => holds(&path, bytes),
            _ => std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes),
        }
    })
}

#[test]
fn lists_come_in_pages_and_bodies_have_an_end() {
    let hosting = Hosting::start();
    for name in ["a", "b", "c"] {
        let path = format!("/api/v1/tenants/shop/variables/{name}");
        assert_eq!(hosting.shop.send("PUT", &path, Some(&json!({"value": "x"}))).status, 200);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = hosting.shop.get(&format!("/api/v1/tenants/shop/variables?limit=2{cursor}")).json;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "region"]);
    let long = json!({"value": "x".repeat(100_000)});
    assert_eq!(hosting.shop.send("PUT", "/api/v1/tenants/shop/variables/long", Some(&long)).status, 413);
    let text = Value::String("#".repeat(2_000_000));
    assert_eq!(hosting.shop.send("PUT", "/api/v1/tenants/shop/batches/long", Some(&text)).status, 413);
    assert_eq!(hosting.shop.get("/api/v1/tenants/shop/variables?cursor=%25").status, 400);
}

#[test]
fn a_hosted_batch_sees_the_variables_of_its_tenant_and_nothing_of_the_environment() {
    let (mut anomd, source) = (Anomd::new(), source());
    anomd.variable("PROMETHEUS_URL", "http://operators.example.com");
    anomd.variable("PROMETHEUS_TOKEN", "operators-token");
    anomd.variable("ANOMSTACK__ORDERS__INGEST_HISTORY", "1s");
    anomd.variable("ANOMD__ORDERS__DISABLE_BATCH", "true");
    tenant(&anomd, "shop", &source);
    anomd.run(&["tenant", "variable", "shop", &format!("source={}", source.url())]).done();
    let shop = token(&anomd, "shop", "admin");
    let folder = anomd.home().join("data/tenants/shop/batches");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("leak.yaml"), "metric_batch: leak\ningest_fn: prometheus\ntimezone: ${HOME}\n").unwrap();
    let (server, url) = anomd.serve();
    let shop = Api::new(&url, Some(&shop));
    let put = |name: &str, text: &Value| shop.send("PUT", &format!("/api/v1/tenants/shop/batches/{name}"), Some(text));

    let begin = "metric_batch: leak\ningest_fn: prometheus\n";
    for (what, keys) in [
        ("a plugin's config", "ingest_params: {url: 'http://x/${PATH}', queries: [up]}\n"),
        ("a default does not help", "ingest_params: {url: '${PATH:-http://x}', queries: [up]}\n"),
        ("a key of the batch", "ingest_params: {url: 'http://x', queries: [up]}\ntimezone: ${PATH}\n"),
        ("a template", "ingest_params: {url: 'http://x', queries: [up]}\nalert_title: 'on ${PATH}'\n"),
    ] {
        let refused = put("leak", &Value::String(format!("{begin}{keys}")));
        assert_eq!(refused.status, 422, "{what}: {refused:?}");
        let problems = refused.json["problems"].as_array().unwrap();
        let named = problems
            .iter()
            .find(|problem| problem["message"].as_str().unwrap().contains("PATH is not a variable of the tenant shop"));
        assert!(named.is_some_and(|problem| problem["line"].as_u64() > Some(2)), "{what}: {refused:?}");
    }
    let log = std::fs::read_to_string(anomd.log()).unwrap();
    assert!(log.contains("HOME is not a variable of the tenant shop"), "{log}");
    let secrets = Value::String(format!("{begin}secrets: {{token: abc}}\n"));
    assert!(put("leak", &secrets).text.contains("anomd tenant secret shop SLOT"));
    assert!(put("open", &Value::String("metric_batch: open\ningest_fn: prometheus\n".into())).text.contains("url"));

    let told = put("orders", &batch("orders", "${source}"));
    assert_eq!(told.status, 200, "{told:?}");
    let run = until("it has ingested", || {
        let runs = shop.get("/api/v1/tenants/shop/batches/orders/runs").json;
        runs["items"].as_array()?.iter().find(|run| run["job"] == "ingest").cloned()
    });
    // Six hours, and not the second that a variable of the operator says.
    assert_eq!(run["state"], "done", "{run}");
    assert!(run["counts"]["samples"].as_u64() > Some(300), "{run}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_tenant_reaches_what_its_policy_allows_and_the_refusal_says_how() {
    let (anomd, source) = (Anomd::new(), source());
    anomd.run(&["tenant", "create", "shop"]).done();
    anomd.run(&["tenant", "policy", "shop", "--plugin", "robust"]).done();
    let shop = token(&anomd, "shop", "admin");
    let (_server, url) = anomd.serve();
    let shop = Api::new(&url, Some(&shop));
    let check = |batch: &Value| shop.send("POST", "/api/v1/tenants/shop/validate", Some(batch)).json;
    let orders = batch("orders", &source.url());
    let refused = check(&orders);
    assert_eq!(refused["valid"], false);
    assert!(refused.to_string().contains("`anomd tenant policy shop --plugin prometheus` allows it"), "{refused}");
    anomd.run(&["tenant", "policy", "shop", "--plugin", "prometheus"]).done();
    let warned = check(&orders);
    assert_eq!(warned["valid"], true, "{warned}");
    let remedy = format!("`anomd tenant policy shop --origin {}` allows it", source.url());
    assert!(warned.to_string().contains(&remedy), "{warned}");

    assert_eq!(shop.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&orders)).status, 200);
    let state = |wanted: &'static str| {
        until("an ingest has ended so", || {
            shop.send("POST", "/api/v1/tenants/shop/batches/orders/runs", Some(&json!({"job": "ingest"})));
            // Not the newest alone: that of the node itself may have come between.
            let runs = shop.get("/api/v1/tenants/shop/batches/orders/runs").json;
            runs["items"].as_array()?.iter().any(|run| run["state"] == wanted).then_some(())
        })
    };
    state("failed");
    // What is allowed now holds for the batch that was there before.
    anomd.run(&["tenant", "policy", "shop", "--origin", &source.url(), "--network", "127.0.0.0/8"]).done();
    state("done");
}

#[test]
fn a_quota_ends_a_run_that_would_pass_it_and_the_run_says_which() {
    let hosting = Hosting::start();
    let run = hosting.ingested("orders");
    assert_eq!(run["state"], "done", "{run}");
    hosting.anomd.run(&["tenant", "quota", "shop", "series=3"]).done();
    let url = hosting._source.url();
    let put = hosting.shop.send("PUT", "/api/v1/tenants/shop/batches/more", Some(&batch("more", &url)));
    assert_eq!(put.status, 200, "{put:?}");
    let refused = hosting.ingested("more");
    assert_eq!(refused["state"], "failed");
    let why = refused["why"].as_str().unwrap();
    assert!(why.contains("tenant shop") && why.contains("would have 4 series (its quota series)"), "{why}");
    assert!(why.contains("blame: limit") && why.contains("anomd tenant quota shop"), "{why}");

    hosting.anomd.run(&["tenant", "quota", "shop", "batches=2"]).done();
    let third = hosting.shop.send("PUT", "/api/v1/tenants/shop/batches/third", Some(&batch("third", &url)));
    assert!(third.status == 409 && third.text.contains("its quota batches"), "{third:?}");
    let usage = hosting.shop.get("/api/v1/tenants/shop/usage").json;
    assert_eq!((&usage["quotas"]["series"], &usage["series"]), (&json!(3), &json!(2)));
    assert!(usage["cpu_ms"].as_u64() > Some(0) && usage["samples_today"].as_u64() > Some(300), "{usage}");
    let unknown = hosting.anomd.run(&["tenant", "quota", "shop", "serieses=3"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[test]
fn one_deletion_removes_all_that_a_tenant_had() {
    let hosting = Hosting::start();
    hosting.ingested("orders");
    let home = hosting.anomd.home().to_owned();
    assert!(home.join("data/tenants/shop/batches").is_dir());
    hosting.anomd.run(&["backup", "before"]).done();
    assert!(contains(&home.join("before"), "shop"));
    let slip = hosting.anomd.run(&["tenant", "delete", "shop", "--confirm", "rival"]);
    assert_eq!(slip.code, Some(2), "{slip:?}");
    hosting.anomd.run(&["tenant", "delete", "shop", "--confirm", "shop"]).done();
    assert_eq!(hosting.shop.get("/api/v1/tenants/shop/batches").status, 401);
    assert!(!home.join("data/tenants/shop").exists() && !home.join("data/plots/shop").exists());
    // A backup holds everything that the store has: keys, values and blobs.
    hosting.anomd.run(&["backup", "after"]).done();
    for left in ["shop", SECRET] {
        assert!(!contains(&home.join("after"), left), "{left} is left");
    }
    assert!(contains(&home.join("after"), "rival"));
    assert_eq!(hosting.rival.get("/api/v1/tenants/rival/batches").status, 200);
    assert_eq!(hosting.server.stop(), Some(0));
    let names: BTreeSet<String> = hosting
        .anomd
        .json(&["tenant", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["default", "rival"].map(str::to_owned).into());
    // And its name is free.
    hosting.anomd.run(&["tenant", "create", "shop"]).done();
    assert_eq!(hosting.anomd.json(&["tenant", "token", "shop"]), json!([]));
    let kept = hosting.anomd.run(&["tenant", "delete", "default", "--confirm", "default"]);
    assert_eq!(kept.code, Some(2), "{kept:?}");
}

fn contains(file: &Path, text: &str) -> bool {
    std::fs::read(file).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_batch_in_the_folder_of_a_tenant_is_the_tenants() {
    let (anomd, source) = (Anomd::new(), source());
    tenant(&anomd, "shop", &source);
    let shop = token(&anomd, "shop", "admin");
    let (_server, url) = anomd.serve();
    let shop = Api::new(&url, Some(&shop));
    let folder = anomd.home().join("data/tenants/shop/batches");
    let text = batch("orders", &source.url());
    std::fs::write(folder.join("orders.yaml"), text.as_str().unwrap()).unwrap();
    let shown = until("it is taken up", || {
        let shown = shop.get("/api/v1/tenants/shop/batches/orders");
        (shown.json["active"] == true).then_some(shown.json)
    });
    assert_eq!(shown["source"], "file");
    let twin = shop.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&text));
    assert!(twin.status == 409 && twin.text.contains("stands in a file of the node"), "{twin:?}");
    std::fs::remove_file(folder.join("orders.yaml")).unwrap();
    until("it is given up", || (shop.get("/api/v1/tenants/shop/batches/orders").status == 404).then_some(()));
}

#[test]
fn beyond_loopback_a_node_listens_once_somebody_has_a_token_or_it_is_told_so() {
    let anomd = Anomd::new();
    let refused = anomd.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("nobody has a token yet: make one with `anomd tenant token default"),
        "{refused:?}"
    );
    let listens = |arguments: &[&str]| {
        let server = Server::start(&mut anomd.command(arguments), &anomd.log());
        until("it listens", || server.printed().contains(" on http://").then_some(()));
        assert_eq!(server.stop(), Some(0));
        std::fs::remove_file(anomd.log()).unwrap();
    };
    listens(&["serve", "--listen", "0.0.0.0:0", "--allow-unauthenticated"]);
    token(&anomd, "default", "admin");
    listens(&["serve", "--listen", "0.0.0.0:0"]);
}

#[test]
fn without_tenants_it_works_as_it_is_and_with_one_nothing_is_told_without_a_token() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    let nobody = Api::new(&url, None);
    assert_eq!(nobody.get("/healthz").text, "ok\n");
    assert_eq!(nobody.get("/api/v1/batches").status, 200);
    assert_eq!(nobody.get("/api/v1/tenants").status, 200);
    anomd.run(&["tenant", "create", "shop"]).done();
    let told = nobody.get("/api/v1/batches");
    assert_eq!((told.status, told.kind.as_str()), (401, "application/problem+json"));
    assert_eq!(nobody.get("/healthz").status, 200);
    assert_eq!(anomd.json(&["alert", "list"]), json!([]), "commands have the node's own token");
}
