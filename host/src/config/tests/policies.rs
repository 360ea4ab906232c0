//! The keys of thresholds, changes, language models, alert life, and the coarser grid.

use super::*;
use crate::series::Millis;

const MINUTE: Millis = 60_000;

fn refused(text: &str) -> String {
    let read = load_batch_text(Path::new("b.yaml"), &format!("{SMALL}{text}"), &Environment::default());
    read.map(|_| String::new()).unwrap_or_else(|problems| problems.to_string())
}

fn named(name: &str) -> Labels {
    Labels::new([("__name__".to_owned(), name.to_owned())]).unwrap()
}

#[test]
fn every_key_of_an_alerts_life_is_taken() {
    let alert = batch(
        "alert_direction: Above\nalert_min_deviation: 10%\nalert_for: 5m\nalert_resolve_n: 4\nalert_flap_n: 6\n\
         alert_flap_window: 1h\nalert_no_data_after: 15m\nalert_group_by: [team, batch]\nalert_group_wait: 30s\n\
         alert_group_interval: 2m\nalert_repeat_interval: 1d12h\nalert_send_resolved: false\nalert_max_n: 100\n\
         alert_title: '{{ batch }}'\nalert_body: see\nalert_include_metrics: [cpu_*]\n",
    )
    .alert;
    assert_eq!((alert.direction, alert.min_deviation), (Direction::Above, Some(Deviation::Relative(0.1))));
    assert_eq!((alert.for_ms, alert.resolve_n, alert.flap_n), (5 * MINUTE, 4, Some(6)));
    assert_eq!((alert.flap_window_ms, alert.no_data_ms), (60 * MINUTE, Some(15 * MINUTE)));
    let by = Some(vec!["team".to_owned(), "batch".to_owned()]);
    let grouping = Grouping { by, wait_ms: 30_000, interval_ms: 2 * MINUTE, repeat_ms: 36 * 60 * MINUTE };
    assert_eq!(alert.grouping, grouping);
    assert!(!alert.send_resolved);
    assert_eq!((alert.chart_n, alert.title.as_deref(), alert.body.as_deref()), (100, Some("{{ batch }}"), Some("see")));
    assert!(alert.selects("cpu_idle", &named("cpu_idle")) && !alert.selects("disk", &named("disk")));

    let each = batch("alert_group_by: ...\nalert_flap_n: 0\nalert_for: 0\nalert_min_deviation: 5\n").alert;
    assert_eq!((each.grouping.by, each.flap_n, each.for_ms), (None, None, 0));
    assert_eq!(each.min_deviation, Some(Deviation::Absolute(5.0)));
}

#[test]
fn a_word_of_the_methods_is_the_tenants_routes() {
    let routed = |text: &str| {
        let alert = batch(text).alert;
        (alert.notifiers.into_iter().map(|notifier| notifier.plugin).collect::<Vec<_>>(), alert.routed)
    };
    assert_eq!(routed(""), (vec![], true));
    assert_eq!(routed("alert_methods: []\n"), (vec![], true));
    assert_eq!(routed("alert_methods: slack\n"), (vec!["slack".to_owned()], false));
    assert_eq!(routed("alert_methods: slack,route\n"), (vec!["slack".to_owned()], true));
    let idle = "alert_methods: route\nalert_params: {route: {receiver: ops}}\n";
    assert!(warnings_of(idle).contains("route is no notifier; write `alerting` in anomd.yaml"));
}

#[test]
fn thresholds_are_on_once_they_are_given() {
    let text = "tholdalert_thresholds:\n  'c*': {lower: 0, upper: 95}\n  '{job=\"api\"}': {upper: 5}\n  cpu: {upper: 99}\n\
                tholdalert_exclude_metrics: [cpu_idle]\ntholdalert_recent_n: 2\ntholdalert_snooze_n: 4\n\
                alert_methods: slack,email\ntholdalert_methods: 'email, slack'\n";
    let policy = batch(text).threshold;
    assert!(policy.enabled && policy.methods.is_none());
    assert_eq!((policy.recent_n, policy.snooze_n), (Some(2), 4));
    // What is said of one metric by its name goes before what is said of many.
    let bounds = |name: &str| policy.bounds(name, &named(name));
    assert_eq!(bounds("cpu"), Some(Bounds { lower: None, upper: Some(99.0) }));
    assert_eq!(bounds("cpu_user"), Some(Bounds { lower: Some(0.0), upper: Some(95.0) }));
    assert_eq!((bounds("cpu_idle"), bounds("disk")), (None, None));

    assert!(!batch(&format!("disable_tholdalert: true\n{text}")).threshold.enabled);
    assert!(warnings_of("disable_tholdalert: false\n").contains("there are no tholdalert_thresholds"));
    let own = batch("alert_methods: slack\ntholdalert_methods: route\ntholdalert_thresholds: {a: {upper: 1}}\n");
    let methods = own.threshold.methods.unwrap();
    assert!(methods.notifiers.is_empty() && methods.routed && !own.alert.routed);
}

#[test]
fn change_detection_is_on_when_it_is_asked_for_in_any_way() {
    let on = |text: &str| {
        let batch = batch(text);
        assert_eq!(batch.change.enabled && !text.contains("STOPPED"), batch.runs(Job::Change), "{text}");
        batch.change.enabled
    };
    assert!(!on(""));
    assert!(on("disable_change: false\n") && on("change_threshold: 4\n") && on("change_cron_schedule: 0 * * * *\n"));
    assert!(on("change_default_schedule_status: STOPPED\n"));
    assert!(!on("disable_change: true\nchange_threshold: 4\n") && !on("change_sql: select 1\n"));
    let policy = batch(
        "change_threshold: 5\nchange_detect_last_n: 2\nchange_max_n: 100\nchange_smooth_n: 3\nchange_snooze_n: 1\n\
         change_metric_timestamp_max_days_ago: 2\nchange_include_metrics: cpu*,disk\nchange_exclude_metrics: cpu_idle\n",
    )
    .change;
    assert_eq!((policy.threshold, policy.last_n, policy.max_n), (5.0, 2, 100));
    assert_eq!((policy.smooth_n, policy.snooze_n, policy.max_age_ms), (3, 1, 2 * 86_400_000));
    let picked = ["cpu_user", "cpu_idle", "disk", "net"].map(|name| policy.selects(name, &named(name)));
    assert_eq!(picked, [true, false, true, false]);
}

#[test]
fn a_trend_has_one_limit_a_metric_and_a_horizon() {
    let policy = batch(
        "capacity_limits:\n  '*_used_bytes': {upper: 90%, of: disk_total_bytes}\n  free: {lower: 3, horizon: 1d}\n\
         capacity_horizon: 14d\n",
    )
    .capacity;
    assert!(policy.enabled);
    let limit = |name: &str| policy.limit(name, &named(name)).map(|place| policy.limits[place].clone());
    let (disk, free) = (limit("disk_used_bytes").unwrap(), limit("free").unwrap());
    assert_eq!((disk.bounds, disk.of.as_deref()), (Bounds { lower: None, upper: Some(0.9) }, Some("disk_total_bytes")));
    assert_eq!((disk.step_ms, free.step_ms), (1_200_000, 120_000));
    assert_eq!(free.detector.config, serde_json::json!({"lower": 3.0, "horizon": 86_400}));
    assert_eq!(limit("cpu").map(|limit| limit.horizon_ms), None);

    let on = |text: &str| batch(text).runs(Job::Capacity);
    assert!(on("capacity_limits: {a: {upper: 1}}\n"));
    assert!(!on("") && !on("disable_capacity: true\ncapacity_limits: {a: {upper: 1}}\n"));
    assert!(warnings_of("disable_capacity: false\n").contains("there are no capacity_limits"));
}

#[test]
fn a_language_model_has_its_keys_in_its_own_words() {
    let text = "disable_llmalert: false\nllmalert_explain: true\nllmalert_model: gpt-5\nllmalert_metric_rounding: -1\n\
                llmalert_prompt_max_n: 500\nllmalert_include_plot: false\nllmalert_recent_n: 3\nllmalert_smooth_n: 2\n\
                llmalert_anomaly_agent_detection_prompt: find\nllmalert_anomaly_agent_verification_prompt: check\n\
                llmalert_metric_timestamp_max_days_ago: 7\nllmalert_budget_calls: 10\nllmalert_budget_tokens: 5000\n\
                llmalert_include_metrics: [cpu]\nllmalert_exclude_metrics: [disk]\nllmalert_params: {temperature: 0}\n";
    let one = batch(text);
    let llm = &one.llm;
    let analyst = llm.analyst.as_ref().unwrap();
    let expected = json!({
        "temperature": 0, "model": "gpt-5", "detection_prompt": "find", "verification_prompt": "check", "rounding": -1,
        "max_points": 500, "include_chart": false,
    });
    assert_eq!((&*analyst.plugin, &analyst.config, &*analyst.pointer), ("llm", &expected, "/llmalert_params"));
    assert!(llm.detect && llm.explain && !llm.chart && one.runs(Job::LlmAlert));
    assert_eq!((llm.recent_n, llm.smooth_n, llm.max_n, llm.max_age_ms), (3, 2, 500, 7 * 86_400_000));
    assert_eq!((llm.calls_per_day, llm.tokens_per_day), (10, 5_000));
    assert!(llm.selects("cpu", &named("cpu")) && !llm.selects("disk", &named("disk")));

    let explains = batch("llmalert_explain: true\nllmalert_fn: oracle\n");
    assert!(explains.llm.analyst.is_some_and(|analyst| analyst.plugin == "oracle"));
    assert!(!batch("llmalert_explain: true\n").runs(Job::LlmAlert));
    assert!(batch("llmalert_model: gpt-5\n").llm.analyst.is_none());
    let twice = "llmalert_model: a\nllmalert_params: {model: b}\n";
    assert!(warnings_of(twice).contains("has no effect: llmalert_params sets model; remove one of the two"));
}

#[test]
fn the_environment_names_the_server_of_a_language_model_and_its_key_goes_there_only() {
    let environment = Environment::from([
        ("OPENAI_API_KEY", "sk-1"),
        ("OPENAI_BASE_URL", "http://localhost:11434/v1"),
        ("ANOMSTACK_LLMALERT_MODELS", "a, b"),
    ]);
    let batch = batch_with("llmalert_explain: true\nllmalert_model: random\n", &environment);
    let analyst = batch.llm.analyst.as_ref().unwrap();
    let expected = json!({"model": "random", "url": "http://localhost:11434/v1", "models": ["a", "b"]});
    assert_eq!(analyst.config, expected);
    let secrets = |environment: &Environment| {
        let node = load_node(None, environment).unwrap();
        let slots = ["openai_api_key".to_owned()];
        let wishes = Wishes { origins: &[], slots: &slots };
        let (_, secrets) = batch.grants_for("llm", &json!({"url": "https://other.example.com"}), wishes, &node);
        secrets.into_values().map(|(secret, origins)| (secret.expose().to_owned(), origins)).collect::<Vec<_>>()
    };
    assert_eq!(secrets(&environment), [("sk-1".to_owned(), vec!["http://localhost:11434".to_owned()])]);
    let router = Environment::from([("OPENAI_API_KEY", "sk-2"), ("ANOMSTACK_LLM_PLATFORM", "openrouter")]);
    assert_eq!(secrets(&router), [("sk-2".to_owned(), vec!["https://openrouter.ai".to_owned()])]);
    let plain = Environment::from([("OPENAI_API_KEY", "sk-3")]);
    assert_eq!(secrets(&plain), [("sk-3".to_owned(), vec!["https://api.openai.com".to_owned()])]);
}

#[test]
fn schedules_of_the_further_jobs_are_read_and_a_job_can_be_stopped_in_each_way() {
    let batch = batch(
        "plot_cron_schedule: '*/30 * * * *'\nsummary_cron_schedule: 0 8 * * MON\ndisable_summary: false\n\
         delete_cron_schedule: 0 5 * * *\ndelete_default_schedule_status: STOPPED\ndelete_after_n_days: 30\n\
         llmalert_cron_schedule: '*/20 * * * *'\nsummary_metric_timestamp_max_days_ago: 7\n",
    );
    let jobs = [Job::Plot, Job::Summary, Job::Delete, Job::LlmAlert];
    let crons = jobs.map(|job| batch.schedules[&job].cron.as_str());
    assert_eq!(crons, ["*/30 * * * *", "0 8 * * MON", "0 5 * * *", "*/20 * * * *"]);
    assert_eq!(jobs.map(|job| batch.runs(job)), [true, true, false, false]);
    assert_eq!((batch.delete_after_ms, batch.summary_ms), (30 * 86_400_000, 7 * 86_400_000));
    assert!(batch.runs(Job::Notify) && batch.runs(Job::Deliver));
    assert!(refused("deliver_cron_schedule: '* * * * *'\n").contains("deliver_cron_schedule): is not a key"));
}

/// Anomstack reads `disable_alerts`, and so nobody could switch alerts off as documented.
#[test]
fn b16_disable_alert_switches_alerts_off() {
    let batch = batch("disable_alert: true\nalert_methods: slack\n");
    assert!(!batch.runs(Job::Alert) && batch.runs(Job::Score));
}

/// Who judges hourly what comes each minute wants hourly alerts; Anomstack had none then.
#[test]
fn b10_freq_is_the_grid_that_is_judged() {
    let judged = |text: &str| {
        let JudgedGrid { step_ms, aggregate } = batch(text).judged;
        (Millis::from(step_ms) / MINUTE, aggregate)
    };
    assert_eq!(judged("preprocess_params: {freq: 10min}\n"), (10, Aggregate::Mean));
    assert_eq!(judged("preprocess_params: {freq: 1h, freq_agg: sum}\nstep: 5m\n"), (60, Aggregate::Sum));
    assert_eq!(judged("preprocess_params: {freq: 1D, freq_agg: max}\n"), (1_440, Aggregate::Max));
    assert_eq!(judged("preprocess_params: {freq: null, freq_agg: mean}\n"), (1, Aggregate::Last));
    assert_eq!(
        refused("step: 2m\npreprocess_params: {freq: 15T}\n"),
        "b.yaml:4:21: freq (/preprocess_params/freq): 15T is not a multiple of step, 2m; \
         write a multiple of it, or a step that divides 15T: step: 1m"
    );
    assert!(
        refused("preprocess_params: {freq: 1M}\n").contains("\"1M\" is no span of time; write a number and a unit")
    );
}

/// Anomstack put these lists into SQL without quotes, and the job failed.
#[test]
fn b12_metrics_are_left_out_by_name_glob_and_selector_whatever_is_in_their_names() {
    let batch = batch(
        "train_exclude_metrics: [\"it's\", 'a\"b', cpu_*, '*{host?}*', '{job=\"api\"}', 7]\n\
         score_exclude_metrics: \"it's, cpu_*, cpu{mode=\\\"idle\\\",job=\\\"x\\\"}\"\n\
         score_include_metrics: [cpu*, \"it's\", disk]\n",
    );
    let trained = |name: &str| batch.train.selects(name, &named(name));
    for name in ["it's", "a\"b", "cpu_idle", "disk{host1} of it", "7"] {
        assert!(!trained(name), "{name}");
    }
    assert!(trained("it") && trained("cpu"));
    let of_job = |job: &str| Labels::new([("job".to_owned(), job.to_owned())]).unwrap();
    assert!(!batch.train.selects("x", &of_job("api")) && batch.train.selects("x", &of_job("db")));
    let scored = |name: &str| batch.score.selects(name, &named(name));
    assert_eq!(["it's", "cpu_idle", "cpu", "disk", "net"].map(scored), [false, false, true, true, false]);
}

#[test]
fn tags_are_those_of_all_entries_and_the_closest_goes_before_the_others() {
    let text = "metric_tags: {'*': {team: all, site: eu}, cpu_a: {team: web}, 'cpu*': {team: infra, page: no}, \
                'disk{a=\"1\"}': {team: disk}, cpu: {team: cpu, tier: 1}}\n";
    let tags = batch(text).alert.metric_tags;
    let of = |name: &str, family: &str| {
        let labels = named(family);
        tags.of(name, &labels).into_iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(of("cpu_a", "cpu"), ["page=no", "site=eu", "team=web", "tier=1"]);
    assert_eq!(of("cpu_b", "cpu"), ["page=no", "site=eu", "team=cpu", "tier=1"]);
    assert_eq!(of("cpus", "cpus"), ["page=no", "site=eu", "team=infra"]);
    assert_eq!(of("disk", "disk"), ["site=eu", "team=all"]);
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_write() {
    for (text, said) in [
        (
            "alert_min_deviation: much\n",
            "is no deviation; write a number in the unit of the series, 5, or a percentage",
        ),
        ("alert_direction: up\n", "\"up\" is not a choice; write one of: both, above, below"),
        ("alert_group_by: [..., batch]\n", "each alert by itself, beside labels; write ... alone"),
        ("alert_group_by: [a, a]\n", "names a twice"),
        ("alert_group_interval: 0\n", "0 has no unit"),
        ("alert_no_data_after: 5\n", "5 has no unit; write a number and a unit"),
        ("tholdalert_thresholds: {a: {}}\n", "has neither lower nor upper"),
        ("tholdalert_thresholds: {a: {upper: 1, lower: 2}}\n", "every value is outside: lower is 2 and upper 1"),
        ("tholdalert_thresholds: {a: {uper: 1}}\n", "did you mean upper?"),
        ("tholdalert_thresholds: {'{a=~\"(\"}': {upper: 1}}\n", "is no selector"),
        ("alert_exclude_metrics: [{job=\"api\"}]\n", "is a mapping and not a text; put a text in quotes"),
        ("alert_exclude_metrics: ['{job=~\"(\"}']\n", "b.yaml:3:25: 0 (/alert_exclude_metrics/0)"),
        (
            "alert_title: '{{ bach }}'\n",
            "is no template: line 1: there is no `bach`; did you mean `batch`?; docs/templates.md",
        ),
        ("alert_body: '{% if %}'\n", "alert_body): is no template: "),
        ("llmalert_metric_rounding: -2\n", "write a whole number from -1 to 12"),
        ("change_treshold: 2\n", "did you mean change_threshold?"),
        ("preprocess_params: {freq: 10min, freq_agg: median}\n", "write one of: mean, sum, last, min, max"),
    ] {
        assert!(refused(text).contains(said), "{text}{}", refused(text));
    }
}
