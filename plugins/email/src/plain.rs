//! The mail as plain text.

use anomd_notifier::Alert;
use anomd_notifier::text::{headline, links, more, rows, series, worst};

/// All that the alert says.
pub fn text(alert: &Alert) -> String {
    let mut parts = vec![headline(alert)];
    let body = alert.body.trim();
    if !body.is_empty() {
        parts.push(body.into());
    }
    let worst = worst(alert);
    parts.extend(worst.iter().map(|finding| {
        let lines = rows(finding).into_iter().map(|(name, text)| format!("\n  {name:<9} {text}"));
        series(&finding.labels) + &lines.collect::<String>()
    }));
    parts.extend(more(alert, worst.len()));
    let links: Vec<String> = links(alert).map(|(name, url)| format!("{name}: {url}")).collect();
    if !links.is_empty() {
        parts.push(links.join("\n"));
    }
    parts.join("\n\n") + "\n"
}
