//! Variables of the environment that set parameters of batches.

use super::*;

fn two_batches() -> Folder {
    Folder::new(&[
        ("orders.yaml", "metric_batch: web-orders.eu\ningest_fn: prometheus\nalert_threshold: 0.9\n"),
        ("small.yaml", SMALL),
    ])
}

/// `DISABLE_LLMALERT=False` disabled it in Anomstack, as every text that is not empty.
#[test]
fn b14_a_variable_is_typed_so_that_false_is_false() {
    let environment = Environment::from([
        ("ANOMSTACK__SMALL__DISABLE_LLMALERT", "False"),
        ("ANOMSTACK__SMALL__ALERT_SMOOTH_N", "5"),
        ("ANOMSTACK__SMALL__ALERT_THRESHOLD", "0.7"),
        ("ANOMSTACK__SMALL__TRAIN_CRON_SCHEDULE", "*/15 * * * *"),
        ("ANOMSTACK__SMALL__ALERT_METHODS", "[slack, email]"),
        ("ANOMSTACK__SMALL__ALERT_PARAMS", "{slack: {channel: '#$ops'}}"),
        ("ANOMSTACK__SMALL__PREPROCESS_PARAMS", "{freq: 5min}"),
    ]);
    let batch = batch_with(
        "alert_threshold: 0.9\nalert_params: {slack: {via: bot}, email: {to: [a@b.c]}}\n\
         preprocess_params: {freq_agg: sum}\n",
        &environment,
    );
    assert!(batch.llm.detect && batch.runs(Job::LlmAlert));
    assert_eq!((batch.alert.smooth_n, batch.alert.threshold), (5, 0.7));
    assert_eq!(batch.schedules[&Job::Train].cron.as_str(), "*/15 * * * *");
    // A mapping is laid into that of the file, and a dollar sign is one.
    assert_eq!(batch.alert.notifiers[1].config, json!({"via": "bot", "channel": "#$ops"}));
    assert_eq!(batch.judged, JudgedGrid { step_ms: 300_000, aggregate: Aggregate::Sum });
    assert_eq!(batch.warnings.to_string(), "");
}

#[test]
fn digits_stay_a_text_where_one_is_wanted() {
    let environment =
        Environment::from([("ANOMD__SMALL__SECRETS", "{token: '0123'}"), ("ANOMD__SMALL__ALERT_TITLE", "7")]);
    let batch = batch_with("", &environment);
    assert_eq!(batch.secrets.get("slack", "token").map(Secret::expose), Some("0123"));
    assert_eq!(batch.alert.title.as_deref(), Some("7"));
}

#[test]
fn a_name_is_in_capitals_and_underscores_and_ours_goes_before_anomstacks() {
    let environment = Environment::from([
        ("ANOMSTACK__WEB_ORDERS_EU__ALERT_THRESHOLD", "0.5"),
        ("ANOMD__WEB_ORDERS_EU__ALERT_THRESHOLD", "0.6"),
        ("ANOMSTACK__SMALL__DISABLE_BATCH", "true"),
    ]);
    let folder = two_batches();
    let loaded = folder.load(&environment);
    assert_eq!(folder.problems(&loaded.problems), "");
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("orders.yaml")]);
    assert_eq!(loaded.batches[&folder.path("orders.yaml")].alert.threshold, 0.6);
}

#[test]
fn a_fault_in_a_variable_names_it() {
    let environment = Environment::from([
        ("ANOMSTACK__SMALL__ALERT_THRESHOLD", "8"),
        ("ANOMSTACK__SMALL__ALERT_PARAMS", "{slack: [}"),
        ("ANOMSTACK__SMALL__TRAIN_CRON_SCHEDULE", "hourly"),
    ]);
    let problems = load_batch_text(Path::new("b.yaml"), SMALL, &environment).unwrap_err().to_string();
    assert!(problems.contains(
        "ANOMSTACK__SMALL__ALERT_THRESHOLD:1:1: alert_threshold (/alert_threshold): 8 is out of range; \
         write a number from 0 to 1"
    ));
    assert!(problems.contains("ANOMSTACK__SMALL__ALERT_PARAMS:1:10: is not YAML"), "{problems}");
    assert!(problems.contains("ANOMSTACK__SMALL__TRAIN_CRON_SCHEDULE:1:1: train_cron_schedule"), "{problems}");
}

#[test]
fn variables_for_nothing_are_told_with_the_nearest_name() {
    let environment = Environment::from([
        ("ANOMSTACK__SMAL__ALERT_THRESHOLD", "0.5"),
        ("ANOMD__SMALL__ALERT_TRESHOLD", "0.5"),
        ("ANOMSTACK_DUCKDB_PATH", "x.db"),
        ("ANOMSTACK_TABLE_KEY", "metrics"),
        ("ANOMSTACK_SLACK_CHANNEL", "#ops"),
    ]);
    let folder = two_batches();
    let loaded = folder.load(&environment);
    assert_eq!(loaded.batches.len(), 2);
    assert_eq!(
        folder.problems(&loaded.problems),
        "ANOMD__SMALL__ALERT_TRESHOLD:1:1: warning: alert_treshold (/alert_treshold): is not a parameter of a batch; \
         did you mean alert_threshold?\n\
         ANOMSTACK_DUCKDB_PATH:1:1: warning: this and ANOMSTACK_TABLE_KEY change nothing here; \
         docs/configuration.md has what stands in their place\n\
         ANOMSTACK__SMAL__ALERT_THRESHOLD:1:1: warning: has no effect: there is no batch SMAL; \
         did you mean ANOMSTACK__SMALL__ALERT_THRESHOLD?"
    );
}

#[test]
fn examples_can_be_passed_over() {
    let folder =
        Folder::new(&[("examples/x/x.yaml", SMALL), ("mine.yaml", "metric_batch: a\ningest_fn: prometheus\n")]);
    assert_eq!(folder.load(&Environment::default()).batches.len(), 2);
    let environment = Environment::from([("ANOMSTACK_IGNORE_EXAMPLES", "yes")]);
    assert_eq!(folder.load(&environment).batches.keys().collect::<Vec<_>>(), [&folder.path("mine.yaml")]);
}

#[test]
fn anomstacks_mail_account_and_slack_bot_are_taken_where_nothing_else_is_written() {
    let environment = Environment::from([
        ("ANOMSTACK_ALERT_EMAIL_FROM", "anomd@example.com"),
        ("ANOMSTACK_ALERT_EMAIL_PASSWORD", "pw"),
        ("ANOMSTACK_ALERT_EMAIL_SMTP_HOST", "smtp.example.com"),
        ("ANOMSTACK_ALERT_EMAIL_SMTP_PORT", "465"),
        ("ANOMSTACK_ALERT_EMAIL_TO", "a@example.com, b@example.com"),
        ("ANOMSTACK_SLACK_BOT_TOKEN", "xoxb"),
        ("ANOMSTACK_SLACK_CHANNEL", "#ops"),
    ]);
    let node = load_node(None, &environment).unwrap();
    let mail = node.mail.as_ref().unwrap();
    assert_eq!(
        (&*mail.host, mail.port, mail.security, &*mail.from),
        ("smtp.example.com", 465, MailSecurity::Tls, "anomd@example.com")
    );
    assert_eq!(mail.login.as_ref().map(|(name, _)| &**name), Some("anomd@example.com"));
    let (token, origins) = &node.tenants[DEFAULT_TENANT].secrets["bot_token"];
    assert_eq!((token.expose(), &**origins), ("xoxb", &["https://slack.com".to_owned()][..]));

    let configs = |text: &str| {
        let notifiers = batch_with(text, &environment).alert.notifiers;
        notifiers.into_iter().map(|notifier| notifier.config).collect::<Vec<_>>()
    };
    let to = json!({"to": ["a@example.com", "b@example.com"]});
    assert_eq!(configs("alert_methods: email,slack\n"), [to, json!({"channel": "#ops"})]);
    let own = "alert_methods: email,slack\nalert_params: {email: {to: [c@d.e]}, slack: {via: webhook}}\n";
    assert_eq!(configs(own), [json!({"to": ["c@d.e"]}), json!({"via": "webhook"})]);
    // Whoever names no method is not written to.
    assert!(configs("").is_empty());
}
