//! The message: one embed, within Discord's lengths.
//!
//! They are 256 characters of title and of a field's name, 4096 of description, 1024 of a
//! field, 25 fields, and 6000 of all text together.

use anomd_notifier::text::{beside, headline, is_web, iso, line, links, more, rows, series, shortened};
use anomd_notifier::{Alert, Finding, State};
use serde_json::{Value, json};

/// The name of the file with the chart.
pub const CHART: &str = "chart.png";

/// Characters of all text of an embed, with room for the count of what does not fit.
const ALL: usize = 5_900;
/// Characters of the alert's own text.
const BODY: usize = 2_000;
/// Characters of all links.
const LINKS: usize = 1_500;

const RED: u32 = 0x00cf_222e;
const GREEN: u32 = 0x001a_7f37;
const BLUE: u32 = 0x0009_69da;

/// The message; `chart`: a file with the chart comes with it.
pub fn message(alert: &Alert, chart: bool) -> Value {
    let title = shortened(&escaped(&headline(alert)), 256);
    let description = description(alert);
    let mut room = ALL.saturating_sub(length(&title) + length(&description));
    let mut fields = Vec::new();
    let named = beside(alert);
    for finding in named {
        let (name, value) = field(finding);
        let Some(rest) = room.checked_sub(length(&name) + length(&value)) else { break };
        room = rest;
        fields.push(json!({"name": name, "value": value}));
    }
    let mut embed = json!({
        "title": title,
        "description": description,
        "color": match alert.state {
            _ if alert.kind == "summary" => BLUE,
            State::Firing => RED,
            State::Resolved => GREEN,
        },
    });
    if let Some(more) = more(alert, fields.len()).filter(|_| !named.is_empty()) {
        embed["footer"] = json!({"text": more});
    }
    embed["fields"] = fields.into();
    if let Some(worst) = alert.findings.first() {
        embed["timestamp"] = iso(worst.ended.unwrap_or(worst.started)).into();
    }
    if let Some(url) = alert.link.as_deref().filter(|url| is_web(url) && length(url) <= LINKS) {
        embed["url"] = url.into();
    }
    if chart {
        embed["image"] = json!({"url": format!("attachment://{CHART}")});
    }
    let mut message = json!({
        "embeds": [embed],
        // Nothing that a label or a model says can call anybody.
        "allowed_mentions": {"parse": []},
    });
    if chart {
        let about = shortened(&line(alert), 1_000);
        message["attachments"] = json!([{"id": 0, "filename": CHART, "description": about}]);
    }
    message
}

/// The text of the alert, which is Markdown as Discord's own, and what the reader can do.
fn description(alert: &Alert) -> String {
    let mut text = fenced(&shortened(alert.body.trim(), BODY));
    let mut room = LINKS;
    // A link that is cut is none, so a long one is left out.
    let links: Vec<String> = links(alert)
        .map(|(name, url)| format!("[{}]({})", escaped(name), url.replace(')', "%29")))
        .take_while(|link| {
            let rest = room.checked_sub(length(link) + 3);
            room = rest.unwrap_or_default();
            rest.is_some()
        })
        .collect();
    if !links.is_empty() {
        text += &format!("\n\n{}", links.join(" · "));
    }
    text.trim_start().into()
}

/// Markdown whose tables are shown as they are written: Discord has none.
fn fenced(markdown: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in markdown.lines() {
        let row = line.trim_start().starts_with('|');
        if row != inside {
            text += "```\n";
            inside = row;
        }
        text += line;
        text.push('\n');
    }
    if inside {
        text += "```";
    }
    text.trim_end().into()
}

/// A series, as the name and the text of a field.
fn field(finding: &Finding) -> (String, String) {
    let rows: Vec<String> =
        rows(finding).into_iter().map(|(name, text)| format!("**{name}** {}", escaped(&text))).collect();
    (shortened(&escaped(&series(&finding.labels)), 256), shortened(&rows.join("\n"), 1_024))
}

/// Text that stands for itself.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\*_~`|>#[]()<@".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
pub mod tests {
    use anomd_notifier::Action;

    use super::*;

    pub fn alert() -> Alert {
        Alert {
            id: "a1".into(),
            incident: "i1".into(),
            state: State::Firing,
            kind: "anomaly".into(),
            labels: vec![],
            title: "node_load1 looks anomalous".into(),
            body: "**Batch** demo.".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![Action { name: "Snooze 1 h".into(), url: "https://anomd.example/snooze/(a1)".into() }],
            chart: None,
            findings: vec![Finding {
                labels: vec![("__name__".into(), "node_load1".into())],
                value: 42.0,
                expected: f64::NAN,
                lower: 1.0,
                upper: 2.0,
                score: 0.934,
                terms: vec![],
                started: 1_767_621_780_000,
                ended: None,
            }],
            more: 0,
        }
    }

    #[test]
    fn a_message_says_what_came_what_was_expected_and_where_to_look() {
        let expected = json!({
            "embeds": [{
                "title": "node\\_load1 looks anomalous",
                "description": "**Batch** demo.\n\n[Open](https://anomd.example/alerts/a1) · \
                                [Snooze 1 h](https://anomd.example/snooze/(a1%29)",
                "url": "https://anomd.example/alerts/a1",
                "color": RED,
                "fields": [],
                "timestamp": "2026-01-05T14:03:00.000Z",
            }],
            "allowed_mentions": {"parse": []},
        });
        assert_eq!(message(&alert(), false), expected);
    }

    #[test]
    fn series_that_no_text_tells_of_are_described() {
        let fields = message(&Alert { body: String::new(), ..alert() }, false)["embeds"][0]["fields"].clone();
        let value = "**Came** 42\n**Expected** 1 to 2\n**Score** 0.93\n**When** since 2026-01-05 14:03 UTC";
        assert_eq!(fields, json!([{"name": "node\\_load1", "value": value}]));
    }

    #[test]
    fn a_summary_is_not_red() {
        let summary = Alert { kind: "summary".into(), ..alert() };
        assert_eq!(message(&summary, false)["embeds"][0]["color"], BLUE);
    }

    #[test]
    fn a_table_is_shown_as_it_is_written() {
        let summary = Alert { body: "Today:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd".into(), link: None, ..alert() };
        let summary = Alert { actions: vec![], ..summary };
        let text = "Today:\n\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n```\n\nEnd";
        assert_eq!(message(&summary, false)["embeds"][0]["description"], text);
    }

    #[test]
    fn what_is_over_is_green_and_says_when() {
        let mut over = alert();
        over.state = State::Resolved;
        over.findings[0].ended = Some(1_767_621_840_000);
        let embed = &message(&over, true)["embeds"][0];
        assert_eq!((&embed["color"], &embed["timestamp"]), (&json!(GREEN), &json!("2026-01-05T14:04:00.000Z")));
        assert_eq!(embed["image"]["url"], "attachment://chart.png");
    }

    #[test]
    fn no_alert_is_too_large_for_discord() {
        let mut large = alert();
        large.title = "😀".repeat(500);
        large.findings = vec![large.findings[0].clone(); 500];
        large.findings.iter_mut().for_each(|finding| finding.labels[0].1 = "_".repeat(10_000));
        large.findings[0].terms = vec![("t".repeat(2_000), 0.5)];
        large.actions = vec![Action { name: "Go".into(), url: format!("https://a.example/{}", "x".repeat(700)) }; 9];
        large.body.clear();
        let text = |value: &Value| length(value.as_str().unwrap());
        let told = Alert { body: "*b* ".repeat(5_000), ..large.clone() };
        let told = message(&told, true)["embeds"][0].clone();
        assert!(text(&told["title"]) + text(&told["description"]) <= 6_000 && text(&told["description"]) <= 4_096);
        let embed = message(&large, true)["embeds"][0].clone();
        let fields = embed["fields"].as_array().unwrap();
        assert!(text(&embed["title"]) <= 256 && text(&embed["description"]) <= 4_096);
        assert!(fields.iter().all(|field| text(&field["name"]) <= 256 && text(&field["value"]) <= 1_024));
        let all = text(&embed["title"]) + text(&embed["description"]) + text(&embed["footer"]["text"]);
        let all = all + fields.iter().map(|field| text(&field["name"]) + text(&field["value"])).sum::<usize>();
        assert!(all <= 6_000, "{all}");
        assert_eq!(embed["footer"]["text"], format!("and {} more series", 500 - fields.len()));
        assert!(!fields.is_empty());
    }

    #[test]
    fn nothing_in_an_alert_calls_people() {
        let mut hostile = alert();
        hostile.title = "@everyone <@1>".into();
        hostile.body = "@here".into();
        let message = message(&hostile, false);
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
        assert_eq!(message.get("content"), None);
        assert_eq!(message["embeds"][0]["title"], "\\@everyone \\<\\@1\\>");
    }
}
