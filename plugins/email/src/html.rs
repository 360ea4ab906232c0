//! The mail as HTML, for every reader: tables and inline styles alone, no style sheet, no
//! remote image. Colours are readable on white and on what a dark mode makes of it.
//!
//! Titles, labels and bodies may hold anything; no markup of theirs gets in.

use anomd_notifier::text::{beside, came, expected, is_web, links, more, period, score, series, title, worst};
use anomd_notifier::{Alert, Finding, State};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The `cid` of the chart.
pub const CHART: &str = "chart";

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;\
                    line-height:1.45;color:#1f2328";
const NAME: &str = "padding:8px 10px 0;font-family:Menlo,Consolas,monospace;font-size:13px;word-break:break-all";
const HEAD: &str = "padding:6px 10px;border-bottom:2px solid #d0d7de;text-align:left;color:#57606a;font-size:12px";
const CELL: &str = "padding:2px 10px 8px;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top";
const BUTTON: &str = "display:inline-block;padding:7px 14px;margin:0 8px 8px 0;border:1px solid #0969da;\
                      border-radius:6px;color:#0969da;text-decoration:none";

const TABLE: &str = "<table cellpadding=\"6\" cellspacing=\"0\" border=\"1\" bordercolor=\"#d0d7de\" \
                     style=\"border-collapse:collapse;font-size:14px\">";

/// The figures of a series.
const COLUMNS: [&str; 4] = ["Came", "Expected", "Score", "When"];

/// All that the alert says.
pub fn page(alert: &Alert) -> String {
    let (colour, state) = match alert.state {
        _ if alert.kind == "summary" => ("#0969da", "Summary"),
        State::Firing => ("#cf222e", "Firing"),
        State::Resolved => ("#1a7f37", "Resolved"),
    };
    let title = escaped(&title(alert));
    let mut page = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body style=\"margin:0;padding:16px;{FONT}\">\
         <table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"100%\" \
         style=\"max-width:760px;border-collapse:collapse\"><tr><td style=\"border-left:4px solid {colour};\
         padding:2px 0 2px 12px\"><div style=\"color:{colour};font-size:12px;font-weight:bold\">{state}</div>\
         <div style=\"font-size:18px;font-weight:bold\">{title}</div></td></tr><tr><td style=\"padding:8px 0\">"
    );
    page += &body(&alert.body);
    if alert.chart.is_some() {
        let what = worst(alert).first().map(|worst| series(&worst.labels)).unwrap_or_default();
        page += &format!(
            "<p><img src=\"cid:{CHART}\" alt=\"Chart of {}\" style=\"max-width:100%;height:auto;border:0\"></p>",
            escaped(&what)
        );
    }
    let named = beside(alert);
    if !named.is_empty() {
        page += &table(named);
        page.extend(more(alert, named.len()).map(|more| format!("<p>{more}</p>")));
    }
    let links: String = links(alert)
        .map(|(name, url)| format!("<a href=\"{}\" style=\"{BUTTON}\">{}</a>", escaped(url), escaped(name)))
        .collect();
    if !links.is_empty() {
        page += &format!("<p style=\"margin:16px 0 0\">{links}</p>");
    }
    page + "</td></tr></table></body></html>"
}

/// Two rows a series: its name, which may be long, across all columns, and its figures.
fn table(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let head: String =
        COLUMNS.into_iter().map(|name| format!("<th align=\"left\" style=\"{HEAD}\">{name}</th>")).collect();
    let rows: String = findings.iter().map(rows).collect();
    format!(
        "<table cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"100%\" \
         style=\"border-collapse:collapse;{FONT}\"><tr>{head}</tr>{rows}</table>"
    )
}

fn rows(finding: &Finding) -> String {
    let unknown = || "not known".to_owned();
    let cells = [
        format!("<b>{}</b>", escaped(&came(finding))),
        escaped(&expected(finding).unwrap_or_else(unknown)),
        escaped(&score(finding).unwrap_or_else(unknown)),
        escaped(&period(finding)),
    ];
    let cells: String = cells.into_iter().map(|cell| format!("<td style=\"{CELL}\">{cell}</td>")).collect();
    let name = escaped(&series(&finding.labels));
    format!("<tr><td colspan=\"{}\" style=\"{NAME}\">{name}</td></tr><tr>{cells}</tr>", COLUMNS.len())
}

/// Markdown without raw HTML, without images, and with links into the web only.
fn body(markdown: &str) -> String {
    let mut html = String::new();
    let mut dropped = 0usize;
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        // The lines of a text are facts, each on its own.
        Event::SoftBreak => Some(Event::HardBreak),
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
    // A table of the text: raw HTML is escaped, so each is the parser's own.
    html.replace("<table>", TABLE)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
