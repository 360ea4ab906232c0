//! Every kind of alert, and the summary of the day, told to a real mail server and to an HTTP
//! receiver, each with a picture that can be opened.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use anomd_tests::{
    Anomd, HOUR, MINUTE, Mail, Millis, Model, Received, Receiver, SMTP_LOGIN, Smtp, Source, instant, load, or_skip,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// When the made-up story begins; a Monday.
const BEGIN: Millis = 1_767_571_200_000;
/// The minutes of it in which the load is far too high, and the queue too long.
const SPIKE: (i64, i64) = (13 * 60, 13 * 60 + 8);

/// A load and a queue that are ordinary but for a spike, and a level that changes for good.
fn source() -> Source {
    Source::start(|time| {
        let minute = (time - BEGIN) / MINUTE;
        let quiet = load(time, BEGIN, &[]);
        let queue = if (SPIKE.0..SPIKE.1).contains(&minute) { 250.0 } else { 10.0 + quiet / 10.0 };
        let level = if minute >= SPIKE.0 { 25.0 } else { 10.0 } + quiet / 100.0;
        vec![("load", "a:9100", load(time, BEGIN, &[SPIKE])), ("queue", "a:9100", queue), ("level", "a:9100", level)]
    })
}

fn batch(source: &Source, model: &Model, receiver: &Receiver) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
         ingest_params: {{url: '{}', queries: [load, queue, level]}}\n\
         train_include_metrics: [load]\n\
         tholdalert_thresholds: {{queue: {{upper: 100}}}}\n\
         disable_change: false\nchange_include_metrics: [level]\nchange_detect_last_n: 5\n\
         disable_llmalert: false\nllmalert_explain: true\nllmalert_include_metrics: [load]\n\
         llmalert_cron_schedule: '*/10 * * * *'\nllmalert_params: {{url: '{}'}}\n\
         alert_group_by: [batch, kind]\n\
         summary_cron_schedule: '0 14 * * *'\n\
         metric_tags: {{load: {{team: web}}}}\n\
         alert_methods: [email, webhook]\n\
         alert_params: {{email: {{to: [ops@example.com]}}, webhook: {{url: '{}', chart: true}}}}\n\
         secrets: {{llm: {{openai_api_key: sk-of-the-test}}}}\n",
        source.url(),
        model.url(),
        receiver.url("/hook")
    )
}

/// The one mail with a text in its subject and this in its body.
#[track_caller]
fn mail<'a>(mails: &'a [Mail], subject: &str, body: &str) -> &'a Mail {
    let fits = |mail: &&Mail| mail.header("subject").contains(subject) && mail.text.contains(body);
    let found: Vec<&Mail> = mails.iter().filter(fits).collect();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.header("subject")).collect();
    match found[..] {
        [mail] => mail,
        _ => panic!("{} mails with {subject:?} and {body:?}, of {subjects:#?}", found.len()),
    }
}

/// Width and height of a PNG.
#[track_caller]
fn size(picture: &[u8]) -> (u32, u32) {
    assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn every_kind_of_alert_and_the_summary_reach_mail_and_receivers_with_a_picture() {
    let smtp = or_skip!(Smtp::start(0));
    let (source, model, receiver) = (source(), Model::start(36.0), Receiver::start());
    let anomd = Anomd::new();
    anomd.config(&format!(
        "smtp:\n  host: localhost\n  port: {}\n  security: starttls\n  username: {}\n  password: {}\n  \
         from: anomd@example.com\n  ca_file: '{}'\n",
        smtp.port(),
        SMTP_LOGIN.0,
        SMTP_LOGIN.1,
        smtp.ca_file().display()
    ));
    let batch = anomd.batch("shop", &batch(&source, &model, &receiver));
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 15 * HOUR));
    println!("{}", anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m"]).done().stdout);

    let mails = smtp.mails();
    for mail in &mails {
        println!("{}\n{}\n", mail.header("subject"), mail.text);
    }
    let anomaly = mail(&mails, "load of a:9100 looks anomalous", "was expected");
    let threshold = mail(&mails, "queue of a:9100 is above its limit of 100", "above the limit of 100");
    let change = mail(&mails, "level of a:9100 has changed", "about 10.1 was before");
    let found = mail(&mails, "load of a:9100 looks anomalous to the language model", "far above");
    for alert in [anomaly, threshold, change, found] {
        let [picture] = &alert.pictures[..] else { panic!("{} pictures: {alert:?}", alert.pictures.len()) };
        assert!(size(picture).0 >= 600 && size(picture).1 >= 300);
        assert!(alert.html.contains("cid:"), "{}", alert.html);
    }
    let summary = mail(&mails, "Summary of shop", "load");
    for metric in ["load", "queue", "level"] {
        assert!(summary.text.contains(metric), "{}", summary.text);
    }

    let asked = model.asked();
    assert!(!asked.is_empty());
    for (authorization, body) in &asked {
        assert_eq!(authorization, "Bearer sk-of-the-test");
        assert!(body["model"].is_string() && body["messages"][1]["content"].to_string().contains("load"), "{body}");
    }

    let received: Vec<serde_json::Value> = receiver.received().iter().map(Received::json).collect();
    for kind in ["anomaly", "threshold", "change", "llm"] {
        let told: Vec<_> = received.iter().filter(|message| message["kind"] == kind).collect();
        assert!(told.iter().any(|message| message["state"] == "firing"), "{kind}: {told:#?}");
        let picture = told[0]["chart"]["base64"].as_str().map(|text| STANDARD.decode(text).unwrap());
        assert!(size(&picture.unwrap()).0 >= 600);
    }
    assert!(received.iter().any(|message| message["kind"] == "summary"), "{received:#?}");
    // What did not last is over; what changed for good is not told for ever.
    for kind in ["anomaly", "threshold", "llm"] {
        assert!(received.iter().any(|message| message["kind"] == kind && message["state"] == "resolved"), "{kind}");
    }
    let deliveries = anomd.query(batch, "deliveries");
    assert!(deliveries.iter().all(|delivery| delivery["state"] == "sent"), "{deliveries:#?}");
    assert!(!format!("{deliveries:?}{received:?}").contains("sk-of-the-test"));
}

/// Somebody wants limits to page, and oddities to go where they are read at leisure.
#[test]
fn tholdalert_methods_are_told_of_threshold_alerts_and_of_no_others() {
    let (source, receiver) = (source(), Receiver::start());
    let anomd = Anomd::new();
    let yaml = format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 1d\n\
         ingest_params: {{url: '{}', queries: [queue, level]}}\ndisable_train: true\ndisable_score: true\n\
         tholdalert_thresholds: {{queue: {{upper: 100}}}}\ntholdalert_methods: [webhook]\n\
         disable_change: false\nchange_include_metrics: [level]\nchange_detect_last_n: 5\n\
         alert_methods: [discord]\nalert_params: {{webhook: {{url: '{}'}}, discord: {{chart: false}}}}\n\
         secrets: {{discord: {{discord_webhook_url: '{}'}}}}\n",
        source.url(),
        receiver.url("/limits"),
        receiver.url("/rest")
    );
    let batch = anomd.batch("shop", &yaml);
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 14 * HOUR));
    anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m"]).done();
    let titles = |path: &str, title: &str| -> Vec<String> {
        let received = receiver.received();
        let own = received.iter().filter(|request| request.path == path).map(Received::json);
        own.map(|message| message.pointer(title).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let limits = titles("/limits", "/title");
    assert!(limits.len() == 2 && limits.iter().all(|title| title.starts_with("queue of")), "{limits:?}");
    let rest = titles("/rest", "/embeds/0/title");
    assert!(rest.len() == 1 && rest[0].starts_with("level of"), "{rest:?}");
}
