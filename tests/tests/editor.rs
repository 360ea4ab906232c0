//! The settings and the batch editor, as a browser without script uses them.

use anomd_tests::{
    Anomd, Answer, Api, HOUR, MINUTE, Server, Source, Visitor, journey, load, or_skip, this_hour, until,
};
use serde_json::{Value, json};

/// A source whose load jumps up for ten minutes, half an hour to an hour and a half ago.
fn source() -> Source {
    let begin = this_hour() - 96 * HOUR;
    let jump = this_hour() - 30 * MINUTE;
    Source::start(move |time| {
        let high = (jump..jump + 10 * MINUTE).contains(&time);
        vec![("load", "a", load(time, begin, &[]) + if high { 500.0 } else { 0.0 })]
    })
}

fn text(name: &str, url: &str) -> String {
    format!(
        "metric_batch: {name}\ningest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 3d\n\
         ingest_params: {{url: '{url}', queries: [load]}}\n"
    )
}

/// A node that nobody shares, and a browser at its machine.
fn node() -> (Anomd, Server, Visitor, String) {
    let anomd = Anomd::new();
    let (server, url) = anomd.serve();
    (anomd, server, Visitor::new(&url), url)
}

fn follow(browser: &mut Visitor, answer: &Answer) -> Answer {
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.get(answer.header("location"))
}

#[test]
fn a_batch_is_written_with_an_error_mended_tried_saved_paused_and_deleted() {
    let (source, (_anomd, _server, mut browser, url)) = (source(), node());
    assert!(browser.get("/t/default/new").text.contains("metric_batch"));
    let sound = text("orders", &source.url());
    let wrong = sound.replace("step: 60s", "stpe: 60s").replace('\n', "\r\n");
    let checked = browser.submit("/t/default/check", &[("text", &wrong)]);
    assert!(checked.text.contains("data-line=\"3\"") && checked.text.contains("step"), "{checked:?}");
    assert!(!checked.text.contains("<html"), "a part of the page: {checked:?}");
    let refused = browser.submit("/t/default/new", &[("text", &wrong)]);
    assert_eq!(refused.status, 422);
    for told in ["not saved", "data-line=\"3\"", "stpe: 60s"] {
        assert!(refused.text.contains(told), "{told} is not in {refused:?}");
    }
    let api = Api::new(&url, None);
    let kept = "/api/v1/tenants/default/batches/orders";
    assert_eq!(api.get(kept).status, 404);

    let tried = browser.submit("/t/default/try", &[("text", &sound)]);
    for told in ["What it would do", "would have raised", "<svg", "load", "Nothing was kept"] {
        assert!(tried.text.contains(told), "{told} is not in {tried:?}");
    }
    assert_eq!(api.get(kept).status, 404, "it was only tried");
    assert_eq!(api.get("/api/v1/tenants/default/alerts?all=true").json["items"], json!([]));

    let saved = browser.submit("/t/default/new", &[("text", &sound)]);
    let shown = follow(&mut browser, &saved);
    assert!(shown.text.contains("Saved.") && shown.text.contains("ingest_history: 3d"), "{shown:?}");
    assert_eq!(api.get(kept).json["text"], Value::from(sound.clone()));
    let twin = browser.submit("/t/default/new", &[("text", &sound)]);
    assert!(twin.status == 409 && twin.text.contains("there is a batch orders already"), "{twin:?}");
    let edit = "/t/default/batches/orders/edit";
    let renamed = browser.submit(edit, &[("text", &sound.replace("orders", "sales"))]);
    assert_eq!(renamed.status, 422, "{renamed:?}");
    let changed = browser.submit(edit, &[("text", &sound.replace("3d", "3h"))]);
    assert!(follow(&mut browser, &changed).text.contains("ingest_history: 3h"));

    let paused = browser.submit(&format!("{edit}/pause"), &[]);
    assert!(follow(&mut browser, &paused).text.contains("Resume"));
    assert_eq!(api.get(kept).json["paused"], true);
    let slip = browser.submit(&format!("{edit}/delete"), &[("confirm", "sales")]);
    assert!(slip.status == 422 && slip.text.contains("nothing was deleted"), "{slip:?}");
    // A run of it may be under way.
    let deleted = until("it is deleted", || {
        let deleted = browser.submit(&format!("{edit}/delete"), &[("confirm", "orders")]);
        (deleted.status != 409).then_some(deleted)
    });
    assert_eq!(deleted.header("location"), "/t/default", "{deleted:?}");
    assert_eq!(api.get(kept).status, 404);
}

#[test]
fn a_trial_answers_values_scores_and_alerts_within_the_grants_of_its_tenant() {
    let (source, anomd) = (source(), Anomd::new());
    anomd.run(&["tenant", "create", "shop"]).done();
    let token = anomd.run(&["tenant", "token", "shop", "admin", "--scope", "admin"]).done().stdout.trim().to_owned();
    let (_server, url) = anomd.serve();
    let shop = Api::new(&url, Some(&token));
    let orders = Value::from(text("orders", &source.url()));
    let tried = || shop.send("POST", "/api/v1/tenants/shop/try", Some(&orders));
    let kept_off = tried();
    assert_eq!(kept_off.json["runs"][0]["state"], "failed", "{kept_off:?}");
    assert!(kept_off.text.contains("anomd tenant policy shop"), "{kept_off:?}");
    anomd.run(&["tenant", "policy", "shop", "--origin", &source.url(), "--network", "127.0.0.0/8"]).done();
    let trial = tried();
    assert_eq!((trial.status, &trial.json["series_count"]), (200, &json!(1)), "{trial:?}");
    let jobs: Vec<&str> =
        trial.json["runs"].as_array().unwrap().iter().map(|run| run["job"].as_str().unwrap()).collect();
    assert_eq!(jobs, ["ingest", "train", "score", "alert"]);
    let series = &trial.json["series"][0];
    assert!(series["peak"].as_f64().unwrap() > 0.8, "{series}");
    let points = series["points"].as_array().unwrap();
    assert!(points.len() > 50 && points.len() <= 500, "{} points", points.len());
    assert!(points.iter().any(|point| point["upper"].is_number() && point["score"].is_number()));
    assert_eq!(trial.json["alerts"][0]["kind"], "anomaly", "{trial:?}");
    assert_eq!(shop.get("/api/v1/tenants/shop/batches").json["items"], json!([]), "nothing is kept");
    let usage = shop.get("/api/v1/tenants/shop/usage").json;
    assert_eq!((&usage["series"], &usage["samples_today"]), (&json!(0), &json!(0)));
}

#[test]
fn a_batch_that_stands_in_a_file_is_shown_and_not_changed() {
    let (source, anomd) = (source(), Anomd::new());
    anomd.batch("filed", &text("filed", &source.url()).replace("metric_batch: filed\n", ""));
    let (_server, url) = anomd.serve();
    let mut browser = Visitor::new(&url);
    let shown = browser.get("/t/default/batches/filed/edit");
    assert!(shown.text.contains("batches/filed.yaml") && shown.text.contains("readonly"), "{shown:?}");
    let text = text("filed", &source.url());
    assert_eq!(browser.submit("/t/default/batches/filed/edit", &[("text", &text)]).status, 409);
    // Its text may hold secrets.
    let token = anomd.run(&["tenant", "token", "default", "admin", "--scope", "admin"]).done().stdout;
    browser.sign_in(token.trim());
    let shown = browser.get("/t/default/batches/filed/edit");
    assert!(
        !shown.text.contains("ingest_params") && shown.text.contains("the operator of the node alone"),
        "{shown:?}"
    );
}

#[test]
fn settings_make_a_token_that_is_shown_once_and_keep_secrets_to_themselves() {
    let (anomd, _server, mut browser, url) = node();
    let shown = browser.get("/t/default/settings");
    assert!(shown.text.contains("Nobody has a token yet"), "{shown:?}");
    let set = browser.submit("/t/default/settings/variables", &[("name", "region"), ("value", "<b>eu</b>")]);
    let set = follow(&mut browser, &set);
    assert!(set.text.contains("region") && !set.text.contains("<b>eu"), "{set:?}");
    let wrong = browser.submit("/t/default/settings/variables", &[("name", "no name"), ("value", "x")]);
    assert!(wrong.status == 400 && wrong.text.contains("Nothing was changed"), "{wrong:?}");
    let secret = [("slot", "token"), ("value", "hunter2"), ("origins", "https://hooks.example.com")];
    let set = browser.submit("/t/default/settings/secrets", &secret);
    let set = follow(&mut browser, &set);
    assert!(set.text.contains("https://hooks.example.com") && !set.text.contains("hunter2"), "{set:?}");

    let made = browser.submit("/t/default/settings/tokens", &[("name", "ana"), ("scope", "admin"), ("days", "30")]);
    let (_, after) = made.text.split_once("<pre id=\"token\">").unwrap();
    let token = after.split_once('<').unwrap().0.to_owned();
    assert!(token.starts_with("anomd_"), "{made:?}");
    // From now on everybody signs in, the maker too.
    let led = browser.get("/t/default/settings");
    assert_eq!((led.status, led.header("location")), (303, "/sign-in?next=/t/default/settings"));
    assert_eq!(browser.sign_in(&token).header("location"), "/t/default");
    let shown = browser.get("/t/default/settings");
    assert!(shown.text.contains("ana") && shown.text.contains("yours") && !shown.text.contains(&token), "{shown:?}");

    let reader = anomd.run(&["tenant", "token", "default", "reader", "--scope", "read"]).done().stdout;
    let mut reading = Visitor::new(&url);
    reading.sign_in(reader.trim());
    let shown = reading.get("/t/default/settings");
    assert!(shown.text.contains("region") && !shown.text.contains("hooks.example.com"), "{shown:?}");
    let csrf = shown.csrf().unwrap();
    let refused = reading.submit("/t/default/settings/variables", &[("csrf", &csrf), ("name", "x"), ("value", "y")]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(reading.get("/tenants").status, 403);

    let id = anomd.json(&["tenant", "token", "default"]);
    let id = id.as_array().unwrap().iter().find(|token| token["name"] == "ana").unwrap()["id"].clone();
    let path = format!("/t/default/settings/tokens/{}/revoke", id.as_str().unwrap());
    let csrf = browser.get("/t/default/settings").csrf().unwrap();
    assert_eq!(browser.submit(&path, &[("csrf", "AAAA")]).status, 403);
    assert_eq!(browser.submit(&path, &[("csrf", &csrf)]).status, 303);
    assert_eq!(browser.get("/t/default/settings").status, 303, "who revokes the own token is signed out");
}

#[test]
fn the_operator_makes_tenants_and_deletes_them_with_their_name() {
    let (anomd, _server, mut browser, _) = node();
    let made = browser.submit("/tenants", &[("name", "shop")]);
    assert_eq!(made.header("location"), "/t/shop/settings", "{made:?}");
    let presence: Value =
        serde_json::from_str(&std::fs::read_to_string(anomd.home().join("data/node.json")).unwrap()).unwrap();
    assert_eq!(browser.get("/tenants").header("location"), "/sign-in?next=/tenants");
    browser.sign_in(presence["token"].as_str().unwrap());
    let listed = browser.get("/tenants");
    assert!(listed.text.contains("/t/shop/settings") && listed.text.contains("Delete shop"), "{listed:?}");
    let csrf = listed.csrf().unwrap();
    let slip = browser.submit("/tenants/shop/delete", &[("csrf", &csrf), ("confirm", "rival")]);
    assert!(slip.status == 422 && slip.text.contains("nothing was deleted"), "{slip:?}");
    assert_eq!(browser.get("/t/shop/settings").status, 200);
    assert_eq!(browser.submit("/tenants/shop/delete", &[("csrf", &csrf), ("confirm", "shop")]).status, 303);
    assert_eq!(browser.get("/t/shop/settings").status, 404);
}

#[test]
fn a_person_writes_a_batch_with_an_error_and_mends_it() {
    let (source, (_anomd, _server, _, url)) = (source(), node());
    or_skip!(journey("editor", &url, &[("ANOMD_SOURCE", &source.url())]));
}
