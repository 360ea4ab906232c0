//! The message: Block Kit, and a line of text for what shows no blocks.
//!
//! Lengths are Slack's: 150 characters in a header, 3000 in a section, 2000 in a field.

use anomd_notifier::text::{
    beside, came, duration, expected, headline, line, links, more, score, series, shortened, time,
};
use anomd_notifier::{Alert, Finding};
use serde_json::{Value, json};

use crate::mrkdwn::{escaped, link, of_markdown};

/// The message. Its text is what a phone shows before it is unlocked.
pub fn json(alert: &Alert) -> Value {
    json!({
        "text": shortened(&escaped(&line(alert)), 3000),
        "blocks": blocks(alert),
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

fn blocks(alert: &Alert) -> Vec<Value> {
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": shortened(&text, 3000)}});
    let title = shortened(&headline(alert), 150);
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}})];
    let body = of_markdown(&shortened(&alert.body, 2500));
    if !body.is_empty() {
        blocks.push(section(body));
    }
    let named = beside(alert);
    if let Some((worst, others)) = named.split_first() {
        blocks.push(details(worst));
        let lines: Vec<String> = others.iter().map(|finding| format!("• {}", brief(finding))).collect();
        if !lines.is_empty() {
            blocks.push(section(lines.join("\n")));
        }
        blocks.extend(more(alert, named.len()).map(section));
    }
    let links: Vec<String> = links(alert).map(|(name, url)| link(url, name)).collect();
    if !links.is_empty() {
        blocks.push(section(links.join(" · ")));
    }
    blocks
}

/// A series with all that is known of it.
fn details(finding: &Finding) -> Value {
    let mut fields = vec![("Came", escaped(&came(finding)))];
    fields.extend(expected(finding).map(|expected| ("Expected", escaped(&expected))));
    fields.extend(score(finding).map(|score| ("Score", escaped(&score))));
    fields.push(match finding.ended {
        None => ("Since", local_time(finding.started)),
        Some(ended) => (
            "Lasted",
            format!("{} from {}", duration(ended.saturating_sub(finding.started)), local_time(finding.started)),
        ),
    });
    let fields: Vec<Value> = fields
        .into_iter()
        .map(|(name, text)| json!({"type": "mrkdwn", "text": shortened(&format!("*{name}*\n{text}"), 2000)}))
        .collect();
    json!({"type": "section", "text": {"type": "mrkdwn", "text": name(finding)}, "fields": fields})
}

/// A series in a line.
fn brief(finding: &Finding) -> String {
    let expected = expected(finding).map(|expected| format!(", expected {expected}")).unwrap_or_default();
    let score = if finding.score.is_finite() { format!(", score {:.2}", finding.score) } else { String::new() };
    let numbers = format!("{}{expected}{score}", came(finding));
    format!("{}: {}", name(finding), escaped(&numbers))
}

fn name(finding: &Finding) -> String {
    format!("`{}`", escaped(&shortened(&series(&finding.labels), 200)).replace('`', "'"))
}

/// An instant in the reader's own time zone, and in UTC where Slack cannot.
fn local_time(millis: i64) -> String {
    format!("<!date^{}^{{date_short_pretty}} {{time}}|{}>", millis.div_euclid(1000), time(millis))
}

#[cfg(test)]
pub mod tests {
    use anomd_notifier::State;

    use super::*;

    pub fn alert() -> Alert {
        let finding = |name: &str, value: f64| Finding {
            labels: vec![("__name__".into(), name.into()), ("instance".into(), "<demo>:1".into())],
            value,
            expected: 0.13,
            lower: 0.1,
            upper: 0.2,
            score: 0.934,
            terms: vec![("level".into(), 0.8)],
            started: 1_767_621_780_000,
            ended: None,
        };
        Alert {
            id: "a1".into(),
            incident: "i1".into(),
            state: State::Firing,
            kind: "anomaly".into(),
            labels: vec![("batch".into(), "demo".into())],
            title: "cpu is unusual".into(),
            body: "**High** load".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![],
            chart: None,
            findings: vec![finding("cpu", 0.97), finding("load", 12.0)],
            more: 0,
        }
    }

    #[test]
    fn a_message_says_what_came_what_was_expected_and_why() {
        let message = json(&alert());
        assert_eq!(
            message["text"],
            "cpu is unusual: cpu{instance=\"&lt;demo&gt;:1\"} came as 0.97, expected 0.1 to 0.2, most likely 0.13"
        );
        let blocks = message["blocks"].as_array().unwrap();
        assert_eq!(blocks[0]["text"]["text"], "cpu is unusual");
        assert_eq!(blocks[1]["text"]["text"], "*High* load");
        assert_eq!(blocks[2]["text"]["text"], "<https://anomd.example/alerts/a1|Open>");
    }

    #[test]
    fn series_that_no_text_tells_of_are_described() {
        let message = json(&Alert { body: String::new(), ..alert() });
        let blocks = message["blocks"].as_array().unwrap();
        assert_eq!(blocks[1]["text"]["text"], "`cpu{instance=\"&lt;demo&gt;:1\"}`");
        let fields: Vec<&str> =
            blocks[1]["fields"].as_array().unwrap().iter().filter_map(|f| f["text"].as_str()).collect();
        let expected = [
            "*Came*\n0.97",
            "*Expected*\n0.1 to 0.2, most likely 0.13",
            "*Score*\n0.93 (level 0.80)",
            "*Since*\n<!date^1767621780^{date_short_pretty} {time}|2026-01-05 14:03 UTC>",
        ];
        assert_eq!(fields, expected);
        assert!(blocks[2]["text"]["text"].as_str().unwrap().starts_with("• `load{"));
    }

    #[test]
    fn a_resolved_alert_says_how_long_it_lasted() {
        let mut alert = Alert { state: State::Resolved, body: String::new(), ..alert() };
        alert.findings[0].ended = Some(1_767_621_780_000 + 4_020_000);
        let message = json(&alert);
        assert_eq!(message["blocks"][0]["text"]["text"], "Resolved: cpu is unusual");
        let lasted = message["blocks"][1]["fields"][3]["text"].as_str().unwrap();
        assert!(lasted.starts_with("*Lasted*\n1 hour 7 minutes from <!date^"), "{lasted}");
    }

    #[test]
    fn no_alert_is_too_large_for_slack() {
        let mut large = alert();
        large.title = "t".repeat(1000);
        large.body = "<&>".repeat(10_000);
        large.findings = vec![large.findings[0].clone(); 500];
        large.findings[0].labels[0].1 = "`<n>`".repeat(5000);
        let bare = Alert { body: String::new(), ..large.clone() };
        for message in [json(&large), json(&bare)] {
            let blocks = message["blocks"].as_array().unwrap();
            assert!(blocks.len() <= 50);
            assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
            for text in blocks[1..].iter().filter_map(|block| block["text"]["text"].as_str()) {
                assert!(text.chars().count() <= 3000);
            }
        }
        assert_eq!(json(&bare)["blocks"][3]["text"]["text"], "and 490 more series");
    }

    #[test]
    fn an_alert_without_series_is_still_told() {
        let mut bare = alert();
        bare.findings.clear();
        bare.body.clear();
        bare.link = None;
        let message = json(&bare);
        assert_eq!(message["text"], "cpu is unusual");
        assert_eq!(message["blocks"].as_array().unwrap().len(), 1);
    }
}
