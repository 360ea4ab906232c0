//! Sends each alert as a mail, through the host's own account.
//!
//! The host chooses server and sender, and lets through only the recipients that the
//! operator grants. The alert's id becomes the `Message-ID`, so an attempt that is repeated
//! is known as a repeat.

mod html;
mod plain;

use anomd_notifier::mail::{Attachment, Message};
use anomd_notifier::text::headline;
use anomd_notifier::{Alert, Descriptor, Error, Notifier, export_notifier, mail};
use serde::Deserialize;

/// The component.
pub struct Email;

/// Its configuration.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// The recipients.
    pub to: Vec<String>,
    /// What stands before the title.
    #[serde(default = "prefix")]
    pub subject_prefix: String,
}

fn prefix() -> String {
    "[anomd] ".into()
}

/// Characters of a subject.
const SUBJECT: usize = 200;

impl Config {
    /// The mail that delivers an alert; the same for every attempt.
    fn message(&self, alert: &Alert) -> Message {
        let subject = format!("{}{}", self.subject_prefix, headline(alert));
        let chart = alert.chart.iter().map(|png| Attachment {
            name: "chart.png".into(),
            media_type: "image/png".into(),
            content_id: Some(html::CHART.into()),
            data: png.clone(),
        });
        Message {
            id: alert.id.clone(),
            to: self.to.clone(),
            subject: subject.chars().filter(|c| !c.is_control()).take(SUBJECT).collect(),
            text: plain::text(alert),
            html: Some(html::page(alert)),
            attachments: chart.collect(),
        }
    }
}

impl Notifier for Email {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Sends alerts as mails through the host's own account".into(),
            config_schema: include_str!("schema.json").into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        mail::send(&config.message(alert))?;
        Ok(format!("the mail server took it for {}", config.to.join(", ")))
    }
}

export_notifier!(Email);

#[cfg(test)]
mod tests {
    use anomd_notifier::{Action, Finding, State};

    use super::*;

    pub fn alert() -> Alert {
        let finding = |name: &str| Finding {
            labels: vec![("__name__".into(), name.into()), ("instance".into(), "<demo>:1".into())],
            value: 0.97,
            expected: f64::NAN,
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
            title: "cpu\r\nBcc: x@example.com".into(),
            body: "**High** load, see [page](https://a.example) <script>".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![Action { name: "Snooze".into(), url: "https://anomd.example/snooze/a1".into() }],
            chart: Some(vec![1, 2, 3]),
            findings: vec![finding("cpu"), finding("load")],
            more: 0,
        }
    }

    #[test]
    fn a_mail_is_known_by_the_alerts_id_and_has_one_subject_line() {
        let config: Config = serde_json::from_str(r#"{"to": ["ops@example.com"]}"#).unwrap();
        let message = config.message(&alert());
        assert_eq!((message.id.as_str(), message.to.as_slice()), ("a1", &["ops@example.com".to_owned()][..]));
        assert_eq!(message.subject, "[anomd] cpu Bcc: x@example.com");
        assert_eq!(message.attachments[0].content_id.as_deref(), Some("chart"));
        assert_eq!(message, config.message(&alert()));
    }

    #[test]
    fn the_text_says_what_came_what_was_expected_and_why() {
        let expected = "cpu{instance=\"<demo>:1\"}\n\
            \x20 Came      0.97\n\
            \x20 Expected  0.1 to 0.2\n\
            \x20 Score     0.93 (level 0.80)\n\
            \x20 When      since 2026-01-05 14:03 UTC\n\
            \n\
            load{instance=\"<demo>:1\"}\n\
            \x20 Came      0.97\n\
            \x20 Expected  0.1 to 0.2\n\
            \x20 Score     0.93 (level 0.80)\n\
            \x20 When      since 2026-01-05 14:03 UTC\n\
            \n\
            Open: https://anomd.example/alerts/a1\n\
            Snooze: https://anomd.example/snooze/a1\n";
        let bare = Alert { body: String::new(), ..alert() };
        assert_eq!(plain::text(&bare), expected);
    }

    #[test]
    fn a_text_that_tells_of_the_series_stands_alone_and_the_title_is_not_said_again() {
        let links = "Open: https://anomd.example/alerts/a1\nSnooze: https://anomd.example/snooze/a1\n";
        let body = "**High** load, see [page](https://a.example) <script>";
        assert_eq!(plain::text(&alert()), format!("{body}\n\n{links}"));
        assert!(!html::page(&alert()).contains("0.1 to 0.2"));
    }

    #[test]
    fn the_page_of_a_summary_does_not_say_that_something_fires() {
        let page = html::page(&Alert { kind: "summary".into(), ..alert() });
        assert!(page.contains(">Summary<") && !page.contains("Firing"), "{page}");
    }

    #[test]
    fn html_says_the_same_and_lets_no_markup_in() {
        let bare = html::page(&Alert { body: String::new(), ..alert() });
        assert!(bare.contains("cpu{instance=&quot;&lt;demo&gt;:1&quot;}") && bare.contains("0.1 to 0.2"), "{bare}");
        let page = html::page(&alert());
        for part in [
            "<strong>High</strong> load",
            "<a href=\"https://a.example\">page</a>",
            "&lt;script&gt;",
            "src=\"cid:chart\"",
            "<a href=\"https://anomd.example/snooze/a1\" style",
            ">Snooze</a>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("<script"));

        let mut hostile = alert();
        hostile.body = "[x](javascript:alert(1)) ![y](https://a.example/pixel.png) <img src=x>".into();
        hostile.link = Some("javascript:alert(1)".into());
        let page = html::page(&hostile);
        assert!(!page.contains("javascript:") && !page.contains("pixel.png") && !page.contains("<img src=x"), "{page}");
    }

    #[test]
    fn the_lines_of_the_text_stay_lines() {
        let lines = Alert { body: "**9** came.\nSince 14:05.\n\n> It leaks.\n> (a model)".into(), ..alert() };
        let page = html::page(&lines);
        assert!(page.contains("came.<br />\nSince") && page.contains("leaks.<br />\n(a model)"), "{page}");
    }

    #[test]
    fn a_table_in_the_text_has_lines() {
        let mut summary = alert();
        summary.body = "| metric | alerts |\n|---|--:|\n| <table> | 12 |\n".into();
        let page = html::page(&summary);
        assert!(page.contains("bordercolor=\"#d0d7de\"") && page.contains("&lt;table&gt;</td>"), "{page}");
    }

    #[test]
    fn many_series_are_counted_and_not_listed() {
        let mut many = alert();
        many.findings = vec![many.findings[0].clone(); 300];
        many.more = 200;
        many.body.clear();
        for text in [plain::text(&many), html::page(&many)] {
            assert!(text.contains("and 490 more series"), "{text}");
            assert_eq!(text.matches("since 2026-01-05 14:03 UTC").count(), 10);
        }
    }
}
