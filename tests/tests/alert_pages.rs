//! The pages of alerts and silences, as a browser without script uses them.

use anomd_tests::{Anomd, HOUR, Server, Source, instant, load, page, this_hour};

/// A running node with one alert that is on, and its address.
fn broken() -> (Anomd, Source, Server, String) {
    let end = this_hour();
    let begin = end - 15 * HOUR;
    let source = Source::start(move |time| vec![("load", "a", load(time, begin, &[(14 * 60 + 50, 1_000_000)]))]);
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "orders",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
             ingest_cron_schedule: '0 0 1 1 *'\ningest_params: {{url: '{}', queries: [load]}}\n",
            source.url()
        ),
    );
    anomd.run(&["run", batch, "--from", &instant(end - 2 * HOUR), "--to", &instant(end), "--every", "10m"]).done();
    let (server, url) = anomd.serve();
    (anomd, source, server, format!("{url}/t/default"))
}

/// What a form of a page would send beside its fields.
fn csrf(text: &str) -> String {
    let value = text.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    value.map(|(value, _)| value.to_owned()).unwrap_or_default()
}

#[test]
fn an_alert_is_found_acknowledged_rated_and_silenced_by_forms_alone() {
    let (anomd, _source, server, home) = broken();
    let (status, _, overview) = page(&home, None);
    assert_eq!(status, 200);
    assert!(overview.contains("Wrong now") && overview.contains("{instance="), "{overview}");
    assert!(overview.contains("<svg class=\"strip\"") && overview.contains("Most anomalous"), "{overview}");

    let id = anomd.json(&["alert", "list"])[0]["id"].as_str().unwrap().to_owned();
    let own = format!("{home}/alerts/{id}");
    let (_, _, seen) = page(&own, None);
    for told in ["What happened", "the score reached the threshold", "<path class=\"value\"", "No message was made"] {
        assert!(seen.contains(told), "{told} is not in {seen}");
    }
    let send = |path: &str, form: &str| page(&format!("{own}{path}"), Some(&format!("csrf={}&{form}", csrf(&seen))));
    let (status, to, _) = send("/ack", "by=ana&comment=looking");
    assert_eq!((status, to.as_deref()), (303, Some(format!("/t/default/alerts/{id}").as_str())));
    assert_eq!(send("/rate", "by=ana&rating=up").0, 303);
    assert_eq!(send("/rate", "by=ana&rating=sideways").0, 422);
    for (state, among) in [("acknowledged", true), ("all", true), ("firing", false), ("silenced", false)] {
        let (_, _, listed) = page(&format!("{home}/alerts?state={state}&batch=orders"), None);
        assert_eq!(listed.contains("by ana: looking"), among, "{state}: {listed}");
        // A form without script keeps the state.
        assert!(listed.contains(&format!("name=\"state\" value=\"{state}\"")), "{listed}");
    }
    let (_, _, seen) = page(&own, None);
    for told in ["ana acknowledged it: looking", "ana rated it up", "left out of training"] {
        assert!(seen.contains(told), "{told} is not in {seen}");
    }
    assert_eq!(send("/unack", "").0, 303);

    let silences = format!("{home}/silences");
    let (_, _, preview) = page(&format!("{silences}?matchers=batch%3Dorders"), None);
    assert!(preview.contains("Would hide now"), "{preview}");
    let form = |matchers: &str| format!("csrf={}&matchers={matchers}&hours=1&by=ana", csrf(&preview));
    let (status, _, refused) = page(&silences, Some(&form("%7B%7D")));
    assert!(status == 422 && refused.contains("matches every alert"), "{status} {refused}");
    assert_eq!(page(&silences, Some(&form("batch%3Dorders"))).0, 303);
    let (_, _, listed) = page(&format!("{home}/alerts"), None);
    assert!(listed.contains(">silenced<") && listed.contains("by silence"), "{listed}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_alert_that_is_not_there_is_a_page_that_says_so() {
    let anomd = Anomd::new();
    let (server, url) = anomd.serve();
    let (status, _, text) = page(&format!("{url}/t/default/alerts/ffff0000"), None);
    assert!(status == 404 && text.contains("there is no alert"), "{status} {text}");
    let (_, _, empty) = page(&format!("{url}/t/default"), None);
    assert!(empty.contains("No batch yet") && empty.contains("/t/default/new"), "{empty}");
    assert_eq!(server.stop(), Some(0));
}
