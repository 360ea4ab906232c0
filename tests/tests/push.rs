//! Samples that are sent to a batch.

use anomd_tests::{Anomd, Api, HOUR, instant, load, this_hour, until};
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;

/// A node whose tenant has a batch that fetches nothing.
fn node(anomd: &Anomd) -> (anomd_tests::Server, Api) {
    anomd.run(&["tenant", "create", "shop"]).done();
    let token = anomd.run(&["tenant", "token", "shop", "sender", "--scope", "admin"]).done();
    let (server, url) = anomd.serve();
    let api = Api::new(&url, Some(token.stdout.trim()));
    let batch = "metric_batch: orders\ningest_fn: push\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
                 ingest_cron_schedule: '0 0 1 1 *'\n";
    let put = api.send("PUT", "/api/v1/tenants/shop/batches/orders", Some(&batch.into()));
    assert_eq!(put.status, 200, "{put:?}");
    (server, api)
}

fn sample(time: i64, value: f64) -> Value {
    json!({"labels": {"__name__": "load", "host": "a"}, "at": instant(time), "value": value, "kind": "gauge"})
}

fn send(api: &Api, samples: Vec<Value>) -> anomd_tests::Reply {
    api.send("POST", "/api/v1/tenants/shop/batches/orders/samples", Some(&json!({"samples": samples})))
}

#[test]
fn samples_that_are_sent_are_kept_and_judged_like_those_that_are_fetched() {
    let (anomd, end) = (Anomd::new(), this_hour());
    let (_server, api) = node(&anomd);
    let begin = end - 12 * HOUR;
    let value = |time: i64| load(time, begin, &[]) as f64;
    let minutes = |from: i64, to: i64| (from..to).step_by(MINUTE as usize).map(|time| sample(time, value(time)));

    let sent = send(&api, minutes(begin, end - HOUR).collect());
    assert_eq!(sent.status, 200, "{sent:?}");
    assert_eq!((&sent.json["samples"], &sent.json["series"]), (&json!(11 * 60), &json!(1)));
    let chain = || {
        let begun = until("the batch is free", || {
            let begun = api.send("POST", "/api/v1/tenants/shop/batches/orders/runs", Some(&json!({})));
            (begun.status == 202).then_some(begun.json)
        });
        until("the chain has ended", || {
            let runs = api.get("/api/v1/tenants/shop/runs?batch=orders&job=alert").json;
            runs["items"].as_array()?.iter().find(|run| run["scheduled"] == begun["scheduled"]).cloned()
        });
    };
    chain();
    // What comes later is judged with the next run, by what was learned.
    assert_eq!(send(&api, minutes(end - HOUR, end).collect()).status, 200);
    chain();
    let path = format!(
        "/api/v1/tenants/shop/export?batch=orders&from={}&to={}",
        instant(end - HOUR).replace(':', "%3A"),
        instant(end).replace(':', "%3A")
    );
    let text = api.get_as(&path, "text/csv").text;
    let of = |kind: &str| text.lines().filter(|line| line.contains(&format!(",{kind},"))).count();
    assert_eq!((of("metric"), of("score")), (60, 60), "{text}");
}

#[test]
fn of_samples_of_which_one_is_not_sound_none_is_kept_and_the_place_is_told() {
    let (anomd, now) = (Anomd::new(), this_hour());
    let (_server, api) = node(&anomd);
    let sound = || sample(now - HOUR, 1.0);
    let mut unnamed = sound();
    unnamed["labels"] = json!({});
    let mut control = sound();
    control["labels"]["host"] = json!("a\u{7}");
    for (bad, place) in [
        (sample(now + 48 * HOUR, 1.0), "/samples/1/at"),
        (sample(now - 400 * 24 * HOUR, 1.0), "/samples/1/at"),
        (unnamed, "/samples/1/labels"),
        (control, "/samples/1/labels"),
    ] {
        let refused = send(&api, vec![sound(), bad]);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json["detail"].as_str().unwrap().starts_with(place), "{refused:?}");
    }
    assert_eq!(send(&api, vec![]).status, 400);
    let runs = api.get("/api/v1/tenants/shop/runs?batch=orders&job=ingest").json;
    assert!(runs["items"].as_array().unwrap().iter().all(|run| run["reason"] != "push"), "{runs}");
}
