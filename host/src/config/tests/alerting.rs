//! `alerting` in the node's file: what is taken, what is inherited, what is refused.

use super::*;
use crate::series::Millis;

const SECOND: Millis = 1_000;

fn node_of(text: &str) -> Result<Node, Problems> {
    let folder = Folder::new(&[("anomd.yaml", text)]);
    load_node(Some(&folder.path("anomd.yaml")), &Environment::from([("ANOMSTACK_SLACK_CHANNEL", "#all")]))
}

fn routing_of(text: &str) -> Routing {
    node_of(text).unwrap_or_else(|problems| panic!("{problems}")).tenants[DEFAULT_TENANT].routing.clone()
}

const WHOLE: &str = r##"
alerting:
  route:
    receiver: ops
    group_by: [batch]
    group_interval: 2m
    routes:
      - matchers: [team="web", 'severity=~"page|critical"']
        receiver: web
        group_by: ...
        group_wait: 0s
        continue: true
        mute_time_intervals: [nights]
        routes:
          - matchers: ["{batch=\"orders\",tier!=\"1\"}"]
            repeat_interval: 1d12h
            active_time_intervals: [office]
      - matchers: [kind=no-data]
        receiver: nobody
  receivers:
    - name: ops
      notifiers:
        - plugin: slack
        - {plugin: email, params: {to: [ops@example.com]}}
      secrets: {bot_token: xoxb, email: {token: t}}
    - {name: web, send_resolved: false, notifiers: [{plugin: slack, params: {channel: "#web"}}]}
    - name: nobody
  inhibit_rules:
    - {source_matchers: [kind="no-data"], target_matchers: ['kind!="no-data"'], equal: [instance, batch]}
  time_intervals:
    - name: nights
      time_intervals:
        - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:30"}]
          weekdays: ['monday:friday', Sunday]
          days_of_month: ['1:5', '-3:-1', 15, '20:-2']
          months: ['january:march', 12, May]
          years: [2026, '2028:2030']
          location: Europe/Berlin
    - name: office
      time_intervals: [{weekdays: ['monday:friday']}]
"##;

#[test]
fn a_whole_tree_is_read_and_a_route_has_what_it_inherits() {
    let routing = routing_of(WHOLE);
    let root = routing.route.unwrap();
    let by = |label: &str| Some(vec![label.to_owned()]);
    let grouping = Grouping { by: by("batch"), interval_ms: 120 * SECOND, ..Grouping::default() };
    assert_eq!((root.receiver.as_str(), &root.grouping), ("ops", &grouping));
    assert!(root.matchers.0.is_empty() && !root.continues);
    let [web, nodata] = &root.routes[..] else { panic!("{root:?}") };
    assert_eq!(web.matchers.to_string(), r#"{team="web",severity=~"page|critical"}"#);
    assert_eq!((web.receiver.as_str(), web.continues, &web.mute[..]), ("web", true, &["nights".to_owned()][..]));
    assert_eq!(web.grouping, Grouping { by: None, wait_ms: 0, ..grouping.clone() });
    // Intervals and `continue` are a route's own.
    let [orders] = &web.routes[..] else { panic!("{web:?}") };
    assert_eq!((orders.receiver.as_str(), orders.continues, orders.mute.len()), ("web", false, 0));
    assert_eq!((orders.active.len(), orders.matchers.0.len()), (1, 2));
    assert_eq!(orders.grouping, Grouping { repeat_ms: 36 * 3_600 * SECOND, ..web.grouping.clone() });
    assert_eq!((nodata.receiver.as_str(), &nodata.grouping), ("nobody", &grouping));

    let ops = &routing.receivers["ops"];
    let notifiers: Vec<_> = ops.notifiers.iter().map(|n| (&*n.plugin, n.config.clone(), &*n.pointer)).collect();
    // Anomstack's variables are the operator's, who is this tenant.
    let slack = ("slack", json!({"channel": "#all"}), "/alerting/receivers/0/notifiers/0/params");
    let email = ("email", json!({"to": ["ops@example.com"]}), "/alerting/receivers/0/notifiers/1/params");
    assert_eq!(notifiers, [slack, email]);
    assert!(ops.send_resolved && !routing.receivers["web"].send_resolved);
    assert_eq!(ops.secrets.get("slack", "bot_token").map(Secret::expose), Some("xoxb"));
    assert!(routing.receivers["nobody"].notifiers.is_empty());
    assert_eq!(routing.inhibit[0].source.to_string(), r#"{kind="no-data"}"#);
    assert_eq!((routing.inhibit[0].target.0.len(), routing.inhibit[0].equal.len()), (1, 2));
    let expected = TimeInterval {
        times: vec![(1_320, 1_440), (0, 390)],
        weekdays: vec![(1, 5), (0, 0)],
        days_of_month: vec![(1, 5), (-3, -1), (15, 15), (20, -2)],
        months: vec![(1, 3), (12, 12), (5, 5)],
        years: vec![(2026, 2026), (2028, 2030)],
        location: Some(chrono_tz::Europe::Berlin),
    };
    assert_eq!(routing.intervals["nights"], [expected]);
    assert_eq!(routing.spans.locate("/alerting/receivers/1/name").line, 26);
}

#[test]
fn a_tenant_has_its_own_tree_without_the_operators_environment() {
    let tree = "{route: {receiver: a}, receivers: [{name: a, notifiers: [{plugin: slack}]}]}";
    let node = node_of(&format!("tenants:\n  shop: {{alerting: {tree}}}\n")).unwrap();
    let routing = &node.tenants["shop"].routing;
    assert_eq!(routing.receivers["a"].notifiers[0].config, json!({}));
    assert!(node.tenants[DEFAULT_TENANT].routing.route.is_none());
    assert_eq!(
        routing.error_at("/tenants/shop/alerting/receivers/0", "is odd", "mend it").place.line,
        2,
        "the place is that of the node's file"
    );
    let twice = format!("alerting: {tree}\ntenants: {{default: {{alerting: {tree}}}}}\n");
    assert!(node_of(&twice).unwrap_err().to_string().contains("remove one of the two"));
}

#[test]
fn a_receivers_secret_goes_before_the_tenants() {
    let node = node_of(
        "alerting:\n  route: {receiver: a}\n  receivers:\n    - name: a\n      notifiers: [{plugin: slack}]\n      \
         secrets: {slack: {webhook_url: 'https://hooks.slack.com/services/T'}}\n\
         tenants: {default: {secrets: {webhook_url: {value: x, origins: ['https://a.example.com']}, \
         bot_token: {value: y, origins: ['https://slack.com']}}}}\n",
    )
    .unwrap();
    let receiver = &node.tenants[DEFAULT_TENANT].routing.receivers["a"];
    let slots = ["webhook_url".to_owned(), "bot_token".to_owned()];
    let wishes = Wishes { origins: &[], slots: &slots };
    let (grants, secrets) = node.grants_for(DEFAULT_TENANT, receiver, "slack", &json!({}), wishes);
    let origin = "https://hooks.slack.com".to_owned();
    assert_eq!(
        (secrets["webhook_url"].0.expose(), &secrets["webhook_url"].1),
        ("https://hooks.slack.com/services/T", &vec![origin.clone()])
    );
    assert_eq!(secrets["bot_token"].0.expose(), "y");
    assert!(grants.origins.contains(&origin));
}

/// Each fault stands alone in a tree that is sound otherwise.
#[test]
fn each_fault_is_told_with_its_place_and_what_to_write() {
    let cases = [
        (
            "  route: {group_wait: 1s}\n",
            "2:3: receiver (/alerting/route/receiver): is missing; name one of the receivers",
        ),
        ("  receivers: []\n", "1:1: route (/alerting/route): is missing; name who gets what no other route takes"),
        (
            "  route: {receiver: opps}\n",
            "2:11: receiver (/alerting/route/receiver): there is no receiver \"opps\"; did you mean ops?",
        ),
        (
            "  route: {receiver: ops, matchers: [a=b]}\n",
            "matchers (/alerting/route/matchers): cannot stand at the root",
        ),
        ("  route: {receiver: ops, continue: true}\n", "continue (/alerting/route/continue): cannot stand at the root"),
        (
            "  route: {receiver: ops, routes: [{matchers: [a=b, c]}]}\n",
            "2:52: 1 (/alerting/route/routes/0/matchers/1): `c` is no matcher; write label=\"value\", or with !=, =~ or !~; \
             write a list",
        ),
        (
            "  route: {receiver: ops, routes: [{mute_time_intervals: [night]}]}\n",
            "0 (/alerting/route/routes/0/mute_time_intervals/0): there is no time interval \"night\"; did you mean nights?",
        ),
        ("  route: {receiver: ops, group_interval: 0}\n", "0 has no unit"),
        ("  route: {receiver: ops, repeat_interval: 0s}\n", "0s is out of range; write 1s to 3650d"),
        ("  route: {receiver: ops, group_by: [..., a]}\n", "write ... alone"),
        ("  route: {receiver: ops, reciever: ops}\n", "did you mean receiver?"),
        ("  inhibit_rules: [{source_matchers: [a=b]}]\n", "target_matchers): is missing; say which alerts"),
        (
            "  receivers: [{name: x, slack_configs: [{channel: a}]}]\n",
            "is Alertmanager's own; write notifiers: [{plugin: slack, params: {...}}]",
        ),
        ("  receivers: [{notifiers: []}]\n", "name (/alerting/receivers/0/name): is missing"),
        (
            "  receivers: [{name: x, notifiers: [{params: {}}]}]\n",
            "plugin): is missing; name a notifier: plugin: slack",
        ),
        (
            "  receivers: [{name: x}, {name: x}]\n",
            "name (/alerting/receivers/1/name): \"x\" is also the name of another one",
        ),
        ("  time_intervals: [{name: n}]\n", "time_intervals): is missing"),
        (
            "  time_intervals: [{name: n, time_intervals: [{times: [{start_time: '22:00', end_time: '06:00'}]}]}]\n",
            "end_time (/alerting/time_intervals/0/time_intervals/0/times/0/end_time): is not after start_time; for a night write two",
        ),
        (
            "  time_intervals: [{name: n, time_intervals: [{times: [{start_time: '9:00', end_time: '25:00'}]}]}]\n",
            "\"9:00\" is no time of day",
        ),
        (
            "  time_intervals: [{name: n, time_intervals: [{weekdays: [mondy]}]}]\n",
            "\"mondy\" is not a weekday; did you mean monday?",
        ),
        (
            "  time_intervals: [{name: n, time_intervals: [{weekdays: ['saturday:sunday']}]}]\n",
            "\"saturday:sunday\" ends before it begins; write it as two ranges",
        ),
        ("  time_intervals: [{name: n, time_intervals: [{days_of_month: [0]}]}]\n", "\"0\" is not a day of a month"),
        (
            "  time_intervals: [{name: n, time_intervals: [{days_of_month: ['-3:5']}]}]\n",
            "begins from the end of the month and ends from its start",
        ),
        ("  time_intervals: [{name: n, time_intervals: [{days_of_month: ['-1:-3']}]}]\n", "ends before it begins"),
        (
            "  time_intervals: [{name: n, time_intervals: [{months: [13]}]}]\n",
            "13 is not a month; write 1 to 12, or its name",
        ),
        ("  time_intervals: [{name: n, time_intervals: [{years: [26]}]}]\n", "\"26\" is not a year"),
        ("  time_intervals: [{name: n, time_intervals: [{location: Berlin}]}]\n", "\"Berlin\" is not a time zone"),
        ("  global: {}\n", "global (/alerting/global): is not a key"),
        (
            "  route: {receiver: ops, routes: [{match: {team: web}}]}\n",
            "match (/alerting/route/routes/0/match): is Alertmanager's old spelling; write matchers: ",
        ),
    ];
    for (part, said) in cases {
        let given = part.trim_start().split(':').next().unwrap_or_default();
        let usual = [
            ("route", "  route: {receiver: ops}\n"),
            ("receivers", "  receivers: [{name: ops}]\n"),
            ("time_intervals", "  time_intervals: [{name: nights, time_intervals: [{}]}]\n"),
        ];
        let rest = usual.iter().filter(|(key, _)| *key != given && !said.contains("1:1: route"));
        let text = format!("alerting:\n{part}{}", rest.map(|(_, text)| *text).collect::<String>());
        let problems = node_of(&text).map(|_| String::new()).unwrap_or_else(|problems| problems.to_string());
        assert!(problems.contains(said), "{text}{problems}\nlacks {said}");
    }
}

proptest::proptest! {
    /// Whatever stands in it, a tree is read or refused, and each problem is at a place of it.
    #[test]
    fn no_tree_is_too_odd(cuts in proptest::collection::vec((0_usize..2_000, ODD), 1..6)) {
        let mut text = WHOLE.to_owned();
        for (at, inserted) in cuts {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            text.insert_str(at, &inserted);
        }
        let problems = node_of(&text).err().unwrap_or_default();
        for problem in problems.iter() {
            let line = text.lines().nth(problem.place.line - 1).unwrap_or_default();
            proptest::prop_assert!(problem.place.column <= line.chars().count() + 1, "{problem}\n{line}");
        }
    }
}
