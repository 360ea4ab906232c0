//! The mail as plain text.

use anomd_notifier::Alert;
use anomd_notifier::text::{beside, links, more, rows, series};

/// All that the alert says, but for its title, which is the subject.
pub fn text(alert: &Alert) -> String {
    let mut parts = Vec::new();
    let body = alert.body.trim();
    if !body.is_empty() {
        parts.push(body.into());
    }
    let named = beside(alert);
    parts.extend(named.iter().map(|finding| {
        let lines = rows(finding).into_iter().map(|(name, text)| format!("\n  {name:<9} {text}"));
        series(&finding.labels) + &lines.collect::<String>()
    }));
    if !named.is_empty() {
        parts.extend(more(alert, named.len()));
    }
    let links: Vec<String> = links(alert).map(|(name, url)| format!("{name}: {url}")).collect();
    if !links.is_empty() {
        parts.push(links.join("\n"));
    }
    parts.join("\n\n") + "\n"
}
