//! The mail as HTML, simple enough for every reader: no style sheet, no remote image.
//!
//! Titles, labels and bodies may hold anything; no markup of theirs gets in.

use anomd_notifier::text::{headline, series};
use anomd_notifier::{Alert, Finding};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::plain::{SERIES, is_web, links, more, rows};

/// The `cid` of the chart.
pub const CHART: &str = "chart";

/// All that the alert says.
pub fn page(alert: &Alert) -> String {
    let mut page = format!("<html><body style=\"font-family: sans-serif\"><h2>{}</h2>", escaped(&headline(alert)));
    page += &body(&alert.body);
    alert.findings.iter().take(SERIES).for_each(|finding| page += &table(finding));
    page.extend(more(alert).map(|more| format!("<p>{more}</p>")));
    if alert.chart.is_some() {
        page += &format!("<p><img src=\"cid:{CHART}\" alt=\"chart\"></p>");
    }
    let links: Vec<String> =
        links(alert).map(|(name, url)| format!("<a href=\"{}\">{}</a>", escaped(url), escaped(name))).collect();
    page += &format!("<p>{}</p></body></html>", links.join(" &middot; "));
    page
}

fn table(finding: &Finding) -> String {
    let rows: String = rows(finding)
        .into_iter()
        .map(|(name, text)| {
            format!("<tr><td style=\"color: #666; padding-right: 1em\">{name}</td><td>{}</td></tr>", escaped(&text))
        })
        .collect();
    format!("<p><code>{}</code></p><table>{rows}</table>", escaped(&series(&finding.labels)))
}

/// Markdown without raw HTML, without images, and with links into the web only.
fn body(markdown: &str) -> String {
    let mut html = String::new();
    let mut dropped = 0usize;
    let events = Parser::new(markdown).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { ref dest_url, .. }) if is_web(dest_url) && dropped == 0 => Some(event),
        Event::Start(Tag::Link { .. } | Tag::Image { .. }) => {
            dropped += 1;
            None
        }
        Event::End(TagEnd::Link | TagEnd::Image) if dropped > 0 => {
            dropped -= 1;
            None
        }
        _ => Some(event),
    });
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
