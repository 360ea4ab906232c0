//! Runs: seen while they are under way, told live, ended and begun by people.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anomd_tests::{Anomd, Api, Event, HOUR, Live, Server, Source, load, this_hour, until};
use serde_json::{Value, json};

fn source() -> Source {
    let begin = this_hour() - 12 * HOUR;
    Source::start(move |time| vec![("load", "a", load(time, begin, &[]))])
}

/// A batch of one series, by its own source; nothing of it runs by itself before midnight.
fn batch(name: &str, url: &str) -> Value {
    let text = format!(
        "metric_batch: {name}\ningest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 6h\n\
         ingest_cron_schedule: '0 0 1 1 *'\ningest_params: {{url: '{url}', queries: [load]}}\n"
    );
    text.into()
}

/// A node with a tenant and its batch `orders`.
struct Shop {
    anomd: Anomd,
    url: String,
    token: String,
    api: Api,
    _server: Server,
    _source: Source,
}

impl Shop {
    fn start(config: &str) -> Self {
        let (anomd, source) = (Anomd::new(), source());
        anomd.config(config);
        for tenant in ["shop", "rival"] {
            anomd.run(&["tenant", "create", tenant]).done();
            let network = ["--origin", &source.url(), "--network", "127.0.0.0/8"];
            anomd.run(&[&["tenant", "policy", tenant][..], &network[..]].concat()).done();
        }
        let token = token(&anomd, "shop");
        let (server, url) = anomd.serve();
        let api = Api::new(&url, Some(&token));
        let put = api.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&batch("orders", &source.url())));
        assert_eq!(put.status, 200, "{put:?}");
        let shop = Self { anomd, url, token, api, _server: server, _source: source };
        shop.ended("ingest");
        shop
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/shop/{rest}")
    }

    fn get(&self, rest: &str) -> Value {
        let reply = self.api.get(&self.path(rest));
        assert_eq!(reply.status, 200, "{rest}: {reply:?}");
        reply.json
    }

    fn live(&self, query: &str, last: Option<&str>) -> Live {
        Live::open(&format!("{}{}", self.url, self.path(&format!("live{query}"))), Some(&self.token), last)
    }

    /// Waits until a job of `orders` has ended that nobody was waiting for.
    fn ended(&self, job: &str) -> Value {
        until("a run has ended", || {
            // Before its first run the store does not know the batch.
            let runs = self.api.get(&self.path("batches/orders/runs")).json;
            runs["items"].as_array()?.iter().find(|run| run["job"] == job).cloned()
        })
    }

    fn run_now(&self) {
        let begun = until("the batch is free", || {
            let begun = self.api.send("POST", &self.path("batches/orders/runs"), Some(&json!({"job": "ingest"})));
            (begun.status == 202).then_some(begun)
        });
        assert_eq!(begun.json["batch"], "orders");
    }
}

fn token(anomd: &Anomd, tenant: &str) -> String {
    anomd.run(&["tenant", "token", tenant, "admin", "--scope", "admin"]).done().stdout.trim().to_owned()
}

#[test]
fn what_goes_on_is_told_to_its_own_tenant_and_to_no_other() {
    let shop = Shop::start("");
    let rival = token(&shop.anomd, "rival");
    let theirs = Api::new(&shop.url, Some(&rival)).get(&shop.path("live"));
    assert_eq!(theirs.status, 404, "{theirs:?}");
    let mut elsewhere = Live::open(&format!("{}/api/v1/tenants/rival/live", shop.url), Some(&rival), None);

    let mut live = shop.live("?batch=orders", None);
    shop.run_now();
    let ingest = |event: &Event| event.name == "run" && event.data["job"] == "ingest";
    let begun = live.wait("the run begins", ingest);
    assert_eq!((&begun.data["batch"], &begun.data["state"]), (&json!("orders"), &json!("running")));
    let over = live.wait("the run ends", ingest);
    assert!(over.data["run"] == begun.data["run"] && over.data["state"] != "running", "{over:?}");
    assert!(!over.id.is_empty() && over.id != begun.id);

    // Of all that, the rival has heard nothing: the first that it hears is its own.
    let own = Api::new(&shop.url, Some(&rival)).send(
        "POST",
        "/api/v1/tenants/rival/events",
        Some(&json!({"kind": "deploy", "text": "v2", "by": "ana"})),
    );
    assert_eq!(own.status, 200, "{own:?}");
    let heard = elsewhere.wait("its own deploy", |_| true);
    assert_eq!((heard.name.as_str(), &heard.data["change"]), ("alert", &json!("acted")));
}

#[test]
fn who_comes_back_is_told_to_look_again_if_something_happened_meanwhile() {
    let shop = Shop::start("");
    let mut live = shop.live("", None);
    shop.run_now();
    let seen = live.wait("a run", |event| event.name == "run").id;
    drop(live);
    shop.run_now();
    let mut back = shop.live("", Some(&seen));
    assert_eq!(back.wait("the first event", |_| true).name, "behind");
}

#[test]
fn a_tenant_has_as_many_streams_as_it_may_and_is_told_the_limit() {
    let shop = Shop::start("  live_listeners_per_tenant: 1\n");
    let open = shop.live("", None);
    let refused = shop.api.get(&shop.path("live"));
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.text.contains("limits.live_listeners_per_tenant"), "{refused:?}");
    drop(open);
    until("the place is free", || {
        let address = format!("{}{}", shop.url, shop.path("live"));
        Live::try_open(&address, Some(&shop.token), None).ok()
    });
}

/// An address at which nobody ever answers, for as long as the listener is held.
fn silent() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Shop {
    /// Writes a batch whose source is at an address, and allows the tenant to go there.
    fn put(&self, name: &str, url: &str) {
        let own = self._source.url();
        let origins = ["tenant", "policy", "shop", "--origin", &own, "--origin", url, "--network", "127.0.0.0/8"];
        self.anomd.run(&origins).done();
        let put = self.api.send("PUT", &self.path(&format!("batches/{name}")), Some(&batch(name, url)));
        assert_eq!(put.status, 200, "{put:?}");
    }

    fn post(&self, rest: &str, body: &Value) -> anomd_tests::Reply {
        self.api.send("POST", &self.path(rest), Some(body))
    }

    /// Waits for a run that a list has.
    fn listed(&self, query: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(query, || {
            let runs = self.get(&format!("runs?{query}"));
            runs["items"].as_array()?.iter().find(|run| wanted(run)).cloned()
        })
    }
}

#[test]
fn a_run_that_is_stuck_is_seen_cut_short_and_tells_who_did_it() {
    let shop = Shop::start("");
    let (_held, url) = silent();
    shop.put("stuck", &url);
    let running = shop.listed("state=running", |run| run["batch"] == "stuck");
    let id = running["id"].as_str().unwrap();
    assert_eq!(shop.get(&format!("runs/{id}"))["run"]["state"], "running");
    let mut live = shop.live(&format!("?run={id}"), None);
    let now = live.wait("where it is", |event| event.name == "run");
    assert_eq!((&now.data["run"], &now.data["state"]), (&json!(id), &json!("running")));

    let cut = shop.anomd.run(&["--tenant", "shop", "cancel", id, "--by", "ana"]).done();
    assert!(cut.stdout.contains("is told to end"), "{cut:?}");
    let over = live.wait("its end", |event| event.name == "run" && event.data["run"] == id);
    assert_eq!(over.data["state"], "cancelled");
    let detail = shop.get(&format!("runs/{id}"));
    assert_eq!((&detail["run"]["state"], &detail["run"]["why"]), (&json!("cancelled"), &json!("by ana")));
    let again = shop.post(&format!("runs/{id}/cancel"), &json!({}));
    assert_eq!(again.status, 409);
    assert!(again.text.contains("has ended (cancelled)"), "{again:?}");
    assert_eq!(shop.post("runs/stuck.ingest.1/cancel", &json!({})).status, 404);

    let listed = shop.anomd.json(&["--tenant", "shop", "runs", "stuck", "--state", "cancelled"]);
    assert_eq!(listed[0]["id"], id);
}

#[test]
fn a_run_that_failed_is_told_with_blame_and_remedy_and_done_again_in_its_own_slot() {
    let shop = Shop::start("");
    let (listener, nowhere) = silent();
    drop(listener);
    shop.put("broken", &nowhere);
    let failed = shop.listed("state=failed&batch=broken", |_| true);
    let id = failed["id"].as_str().unwrap();
    assert_eq!(failed["blame"], "remote", "{failed}");
    assert!(failed["log"].as_array().unwrap().is_empty(), "lists come without lines");
    let lines = shop.get(&format!("runs/{id}"))["run"]["log"].clone();
    assert!(lines[0].as_str().unwrap().contains("try 1 failed"), "{lines}");

    shop.put("broken", &shop._source.url());
    let retried = until("the batch is free", || {
        let retried = shop.post(&format!("runs/{id}/retry"), &json!({}));
        (retried.status == 202).then_some(retried)
    });
    assert_eq!(retried.json["id"], id);
    let done = until("it is done", || {
        let run = shop.get(&format!("runs/{id}"))["run"].clone();
        (run["state"] == "done").then_some(run)
    });
    assert_eq!(done["reason"], "retry");
    assert!(done["log"][0].as_str().unwrap().starts_with("once more: the run before was failed"), "{done}");
    // The chain has gone on from there.
    shop.listed("batch=broken&job=score", |run| run["reason"] == "retry");
}

#[test]
fn a_chain_begins_again_at_a_stage_over_the_same_span() {
    let shop = Shop::start("");
    let ingest = shop.ended("ingest");
    let id = ingest["id"].as_str().unwrap();
    shop.listed("batch=orders&job=alert", |_| true);
    let stages = shop.get(&format!("runs/{id}"))["stages"].clone();
    assert_eq!(stages, json!(["ingest", "train", "score", "alert"]));
    let begin = |stage: &str| shop.post(&format!("runs/{id}/rerun"), &json!({"from": stage}));
    let wrong = begin("lunch");
    assert!(wrong.status == 422 && wrong.text.contains("ingest, train, score, alert"), "{wrong:?}");
    until("the batch is free", || (begin("ingest").status == 202).then_some(()));
    shop.listed("batch=orders&job=alert", |run| run["reason"] == "rerun");
    let again = shop.get(&format!("runs/{id}"));
    assert_eq!(again["run"]["reason"], "rerun");
    assert_eq!(again["run"]["counts"]["from"], ingest["counts"]["from"]);
    assert_eq!(again["run"]["counts"]["samples"], ingest["counts"]["samples"]);
    let jobs: Vec<_> = again["chain"].as_array().unwrap().iter().map(|run| run["job"].clone()).collect();
    assert!(jobs.contains(&json!("ingest")) && jobs.contains(&json!("score")), "{jobs:?}");
}

#[test]
fn a_span_of_the_past_is_filled_part_by_part_and_no_longer_than_it_may_be() {
    let shop = Shop::start("  backfill_part_ms: 3600000\n  backfill_ms: 86400000\n");
    let fill = |from: i64, to: i64| {
        let body = json!({"from": anomd_tests::instant(from), "to": anomd_tests::instant(to)});
        shop.post("batches/orders/backfill", &body)
    };
    let (from, to) = (this_hour() - 10 * HOUR, this_hour() - 8 * HOUR);
    let long = fill(from - 48 * HOUR, to);
    assert!(long.status == 400 && long.text.contains("limits.backfill_ms"), "{long:?}");
    assert_eq!(fill(to, from).status, 400);
    let begun = fill(from, to);
    assert_eq!(begun.status, 202, "{begun:?}");
    let ingest = || {
        let jobs = shop.get("jobs?batch=orders");
        jobs["items"].as_array().unwrap().iter().find(|job| job["job"] == "ingest").unwrap().clone()
    };
    let over = until("the span is filled", || {
        let filled = ingest()["backfill"].clone();
        (filled["state"] != "running").then_some(filled)
    });
    assert_eq!((&over["state"], &over["samples"]), (&json!("done"), &json!(120)), "{over}");
    assert_eq!(over["reached"], anomd_tests::instant(to));
    let parts = shop.get("runs?batch=orders&job=ingest");
    let parts = parts["items"].as_array().unwrap().iter().filter(|run| run["reason"] == "backfill").count();
    assert_eq!(parts, 2);
    let span = format!("from={}&to={}", anomd_tests::instant(from), anomd_tests::instant(to));
    let points = shop.get(&format!("batches/orders/points?metric=load&limit=1000&{span}"));
    assert_eq!(points["items"].as_array().map(Vec::len), Some(120), "{points}");
}

#[test]
fn schedules_are_told_in_words_and_batches_are_paused_together() {
    let shop = Shop::start("");
    shop.put("more", &shop._source.url());
    let jobs = |name: &str| {
        let jobs = shop.get(&format!("jobs?batch={name}&ticks=3"));
        jobs["items"].as_array().unwrap().clone()
    };
    let of = |batch: &str, job: &str| jobs(batch).into_iter().find(|view| view["job"] == job).unwrap();
    let plot = of("orders", "delete");
    assert_eq!((&plot["started_by"], plot["next_ticks"].as_array().map(Vec::len)), (&json!("cron"), Some(3)));
    let train = of("orders", "train");
    assert_eq!(train["words"], "As soon as the job before it is done.");
    assert_eq!(of("orders", "ingest")["last"]["job"], "ingest");

    let unknown = shop.post("jobs/pause", &json!({"batches": ["orders", "nothing"]}));
    assert!(unknown.status == 404 && unknown.text.contains("none was changed"), "{unknown:?}");
    assert_eq!(of("orders", "ingest")["paused"], false);
    assert_eq!(shop.post("jobs/pause", &json!({})).status, 422);
    let paused = shop.post("jobs/pause", &json!({"all": true}));
    assert_eq!(paused.json["batches"], json!(["more", "orders"]));
    let ingest = of("more", "ingest");
    assert_eq!((&ingest["paused"], &ingest["next_ticks"]), (&json!(true), &json!([])));
    assert_eq!(shop.post("jobs/resume", &json!({"batches": ["more"]})).status, 200);
    assert_eq!((&of("more", "ingest")["paused"], &of("orders", "ingest")["paused"]), (&json!(false), &json!(true)));
}
