//! From an alert to somebody who reads it: webhook, Slack and mail, and what happens when they
//! do not take it.

#![expect(clippy::panic, reason = "tests")]

use anomd_tests::{
    Anomd, HOUR, MINUTE, Millis, Received, Receiver, SMTP_LOGIN, Smtp, Source, instant, load, millis, or_skip,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// When the made-up story begins; a Monday.
const BEGIN: Millis = 1_767_571_200_000;
/// The minutes of it in which the load is far too high.
const SPIKE: (i64, i64) = (13 * 60, 13 * 60 + 8);

/// A node and a source whose load is ordinary but for [`SPIKE`].
fn story() -> (Anomd, Source) {
    let source = Source::start(|time| vec![("load", "a:9100", load(time, BEGIN, &[SPIKE]))]);
    (Anomd::new(), source)
}

/// A batch that learns from a week and looks at the next hours.
fn batch(source: &Source, more: &str) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\ningest_params: {{url: '{}', \
         queries: [load]}}\n{more}",
        source.url()
    )
}

/// Runs the chain of a batch every ten minutes through the hours round the spike.
fn replay(anomd: &Anomd, batch: &str) {
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 15 * HOUR));
    let output = anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m"]).done();
    // Shown where the test fails.
    println!("{}", output.stdout);
}

/// Firing and resolved, as they came; fails unless there is one of each.
#[track_caller]
fn both(received: Vec<Received>) -> [Received; 2] {
    received.try_into().unwrap_or_else(|received: Vec<Received>| panic!("{} requests: {received:#?}", received.len()))
}

#[test]
fn a_webhook_gets_each_alert_once_with_a_signature_that_verifies() {
    let (anomd, source) = story();
    let receiver = Receiver::start();
    let batch = anomd.batch(
        "signed",
        &batch(
            &source,
            &format!(
                "alert_methods: webhook\nalert_params: {{webhook: {{url: '{}', auth: hmac}}}}\n\
                 secrets: {{webhook: {{signing_key: a key}}}}\n",
                receiver.url("/hook")
            ),
        ),
    );
    replay(&anomd, batch);

    let [firing, resolved] = both(receiver.received());
    for request in [&firing, &resolved] {
        assert_eq!(request.path, "/hook");
        assert_eq!(request.header("content-type"), "application/json");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a key").unwrap();
        mac.update(&request.body);
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(request.header("x-anomd-signature"), format!("sha256={hex}"));
        assert_eq!(request.header("idempotency-key"), request.json()["id"].as_str().unwrap());
    }
    let (firing, resolved) = (firing.json(), resolved.json());
    assert_eq!((&firing["state"], &resolved["state"]), (&Value::from("firing"), &Value::from("resolved")));
    assert_eq!(firing["incident"], resolved["incident"]);
    assert_ne!(firing["id"], resolved["id"]);
    let finding = &firing["findings"][0];
    assert_eq!(finding["labels"]["instance"], "a:9100");
    assert!(finding["value"].as_f64().unwrap() > 35.0, "{finding}");
    let started = millis(&finding["started"]) - BEGIN;
    assert!((SPIKE.0..SPIKE.1).contains(&(started / MINUTE)), "{finding}");
    let ended = millis(&resolved["findings"][0]["ended"]) - BEGIN;
    assert!(ended / MINUTE >= SPIKE.1, "{resolved}");

    let alerts = anomd.query(batch, "alerts");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["state"], "resolved");
}

#[test]
fn slack_gets_what_its_incoming_webhook_and_its_api_take() {
    let (anomd, source) = story();
    let (hook, api) = (Receiver::start(), Receiver::start());
    let by_hook = anomd.batch(
        "hook",
        &batch(
            &source,
            &format!(
                "alert_methods: slack\nalert_params: {{slack: {{via: webhook}}}}\n\
                 secrets: {{slack: {{webhook_url: '{}'}}}}\n",
                hook.url("/services/T0/B0/secret")
            ),
        ),
    );
    let by_bot = anomd.batch(
        "bot",
        &batch(
            &source,
            &format!(
                "alert_methods: slack\nalert_params: {{slack: {{channel: '#ops', api_url: '{}'}}}}\n\
                 secrets: {{slack: {{bot_token: xoxb-test}}}}\n",
                api.url("/api")
            ),
        ),
    );
    for (batch, receiver, path) in [(by_hook, &hook, "/services/T0/B0/secret"), (by_bot, &api, "/api/chat.postMessage")]
    {
        replay(&anomd, batch);
        // The bot also uploads the pictures.
        let messages = receiver.received().into_iter().filter(|request| request.path == path).collect();
        for request in both(messages) {
            let message = request.json();
            assert!(message["text"].as_str().unwrap().contains("load"), "{message}");
            assert!(message["blocks"].as_array().is_some_and(|blocks| !blocks.is_empty()), "{message}");
        }
        let deliveries = anomd.query(batch, "deliveries");
        assert!(deliveries.iter().all(|delivery| delivery["state"] == "sent"), "{deliveries:?}");
        assert!(!format!("{deliveries:?}").contains("secret"), "{deliveries:?}");
    }
    let posted = &api.received()[0];
    assert_eq!(posted.header("authorization"), "Bearer xoxb-test");
    assert_eq!(posted.json()["channel"], "#ops");
    assert!(!hook.received()[0].headers.contains_key("authorization"));
}

#[test]
fn a_failed_delivery_is_tried_again_with_the_same_id_and_each_try_is_seen() {
    let (anomd, source) = story();
    let receiver = Receiver::start();
    receiver.answer(&[502, 500]);
    let params = format!("alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n", receiver.url("/"));
    let batch = anomd.batch("retried", &batch(&source, &params));
    replay(&anomd, batch);

    let received = receiver.received();
    let codes: Vec<u16> = received.iter().map(|request| request.status).collect();
    assert_eq!(codes, [502, 500, 200, 200]);
    let [first, second, third, _] = &received[..] else { unreachable!() };
    assert!(first.header("idempotency-key") == second.header("idempotency-key") && second.body == first.body);
    assert!(first.header("idempotency-key") == third.header("idempotency-key") && third.body == first.body);

    let deliveries = anomd.query(batch, "deliveries");
    let firing = deliveries.iter().find(|delivery| delivery["id"] == *first.header("idempotency-key")).unwrap();
    assert_eq!((&firing["state"], &firing["tries"]), (&Value::from("sent"), &Value::from(3)));
    // Sending is the tenant's.
    let runs = anomd.query("*", "runs");
    let partial: Vec<&str> = runs
        .iter()
        .filter(|run| run["job"] == "deliver" && run["state"] == "partial")
        .map(|run| run["said"].as_str().unwrap())
        .collect();
    assert_eq!(partial.len(), 2, "{runs:#?}");
    assert!(partial.iter().any(|said| said.contains("502")) && partial.iter().any(|said| said.contains("500")));
}

#[test]
fn a_delivery_that_can_never_succeed_is_dead_at_once_and_says_why() {
    let (anomd, source) = story();
    let receiver = Receiver::start();
    receiver.answer(&[401, 401]);
    let params = format!("alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n", receiver.url("/"));
    let batch = anomd.batch("refused", &batch(&source, &params));
    replay(&anomd, batch);
    assert_eq!(receiver.received().len(), 2, "firing and resolved, once each");
    let deliveries = anomd.query(batch, "deliveries");
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        assert_eq!((&delivery["state"], &delivery["tries"]), (&Value::from("dead"), &Value::from(1)));
        assert!(delivery["answer"].as_str().unwrap().contains("401"), "{delivery}");
    }
}

#[test]
fn a_mail_server_gets_the_mail_and_a_repeat_has_the_same_message_id() {
    // It refuses the first mail after it has it, as a server does that fails at the worst moment.
    let smtp = or_skip!(Smtp::start(1));
    let (anomd, source) = story();
    anomd.config(&format!(
        "smtp:\n  host: localhost\n  port: {}\n  security: starttls\n  username: {}\n  password: {}\n  \
         from: anomd@example.com\n  ca_file: '{}'\n",
        smtp.port(),
        SMTP_LOGIN.0,
        SMTP_LOGIN.1,
        smtp.ca_file().display()
    ));
    let batch = anomd.batch(
        "mailed",
        &batch(&source, "alert_methods: email\nalert_params: {email: {to: [ops@example.com, oncall@example.com]}}\n"),
    );
    replay(&anomd, batch);

    let mails = smtp.mails();
    let [refused, firing, resolved] = &mails[..] else { panic!("{} mails: {mails:#?}", mails.len()) };
    assert!(refused.answer.starts_with("451") && firing.answer.starts_with("250"), "{mails:#?}");
    assert_eq!(refused.header("message-id"), firing.header("message-id"));
    assert_ne!(firing.header("message-id"), resolved.header("message-id"));
    assert_eq!((refused.header("subject"), &refused.text), (firing.header("subject"), &firing.text));
    for mail in [firing, resolved] {
        assert_eq!(mail.envelope.0, "anomd@example.com");
        assert_eq!(mail.envelope.1, ["ops@example.com", "oncall@example.com"]);
        assert!(mail.header("from").contains("anomd@example.com"), "{mail:?}");
        assert!(mail.header("subject").contains("load"), "{mail:?}");
        assert!(mail.text.contains("a:9100"), "{mail:?}");
    }
    let deliveries = anomd.query(batch, "deliveries");
    let tries: Vec<u64> = deliveries.iter().map(|delivery| delivery["tries"].as_u64().unwrap()).collect();
    assert_eq!(tries.iter().sum::<u64>(), 3, "{deliveries:?}");
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "sent"), "{deliveries:?}");

    // Another node that lives through the same sends the same ids.
    let twin = or_skip!(Smtp::start(0));
    let config = std::fs::read_to_string(anomd.home().join("anomd.yaml")).unwrap();
    let config = config.replace(&format!("port: {}", smtp.port()), &format!("port: {}", twin.port()));
    let config = config.replace(smtp.ca_file().to_str().unwrap(), twin.ca_file().to_str().unwrap());
    let other = Anomd::new();
    std::fs::write(other.home().join("anomd.yaml"), config).unwrap();
    other.batch(batch, &self::batch(&source, "alert_methods: email\nalert_params: {email: {to: [ops@example.com]}}\n"));
    replay(&other, batch);
    let ids = |mails: &[anomd_tests::Mail]| mails.iter().map(|m| m.header("message-id").to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&twin.mails()), ids(&mails[1..]));
}
