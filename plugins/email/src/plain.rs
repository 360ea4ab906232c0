//! The mail as plain text.

use anomd_notifier::text::{came, expected, headline, period, score, series};
use anomd_notifier::{Alert, Finding};

/// Series that are described; the rest are counted.
pub const SERIES: usize = 20;

/// All that the alert says.
pub fn text(alert: &Alert) -> String {
    let mut parts = vec![headline(alert)];
    let body = alert.body.trim();
    if !body.is_empty() {
        parts.push(body.into());
    }
    parts.extend(alert.findings.iter().take(SERIES).map(|finding| {
        let lines = rows(finding).into_iter().map(|(name, text)| format!("\n  {name:<9} {text}"));
        series(&finding.labels) + &lines.collect::<String>()
    }));
    parts.extend(more(alert));
    let links: Vec<String> = links(alert).map(|(name, url)| format!("{name}: {url}")).collect();
    if !links.is_empty() {
        parts.push(links.join("\n"));
    }
    parts.join("\n\n") + "\n"
}

/// What is known of a series, as names and texts.
pub fn rows(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Came", came(finding))];
    rows.extend(expected(finding).map(|expected| ("Expected", expected)));
    rows.extend([("Score", score(finding)), ("When", period(finding))]);
    rows
}

/// How many series are not described, if any.
pub fn more(alert: &Alert) -> Option<String> {
    let more = alert.findings.len().saturating_sub(SERIES);
    (more > 0).then(|| format!("and {more} more series"))
}

/// The alert's page and what the reader can do, as names and URLs of the web.
pub fn links(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let open = alert.link.iter().map(|url| ("Open", url.as_str()));
    let actions = alert.actions.iter().map(|action| (action.name.as_str(), action.url.as_str()));
    open.chain(actions).filter(|(_, url)| is_web(url))
}

/// Whether a URL is one of the web.
pub fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
