//! What stands in an alert, as people read it.
//!
//! All of it is made of the alert alone, so that each attempt to deliver it says the same.
//! Instants are in UTC and say so: the rules of all time zones are too large for a guest.

use std::time::{Duration, SystemTime};

use crate::{Alert, Finding, State};

/// Series that a message describes; the rest are counted.
pub const NAMED: usize = 10;

/// The series that a message describes, the worst first.
pub fn worst(alert: &Alert) -> &[Finding] {
    alert.findings.get(..NAMED).unwrap_or(&alert.findings)
}

/// The series that a message describes beside the alert's own text: none where there is one,
/// since it says of each what came and what was expected, in the reader's time zone.
pub fn beside(alert: &Alert) -> &[Finding] {
    if alert.body.trim().is_empty() { worst(alert) } else { &[] }
}

/// What a message that describes `shown` series says of the others: `and 7 more series`.
pub fn more(alert: &Alert, shown: usize) -> Option<String> {
    let more = alert.findings.len().saturating_sub(shown) + alert.more as usize;
    (more > 0).then(|| format!("and {} more series", grouped(&more.to_string())))
}

/// The alert's page and what the reader can do, as names and URLs of the web.
pub fn links(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let open = alert.link.iter().map(|url| ("Open", url.as_str()));
    let actions = alert.actions.iter().map(|action| (action.name.as_str(), action.url.as_str()));
    open.chain(actions).filter(|(_, url)| is_web(url))
}

/// Whether a URL is one of the web, with nothing in it that a URL cannot have.
pub fn is_web(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// The alert in one line, for what shows no more: the title and the worst series.
pub fn line(alert: &Alert) -> String {
    match alert.findings.first() {
        Some(worst) => format!("{}: {}", headline(alert), in_a_line(worst)),
        None => headline(alert),
    }
}

/// A series in a line: `load came as 42, expected 12 to 15`.
pub fn in_a_line(finding: &Finding) -> String {
    let expected = expected(finding).map(|expected| format!(", expected {expected}")).unwrap_or_default();
    format!("{} came as {}{expected}", shortened(&series(&finding.labels), 200), came(finding))
}

/// What is known of a series, as names and texts.
pub fn rows(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Came", came(finding))];
    rows.extend(expected(finding).map(|expected| ("Expected", expected)));
    rows.extend(score(finding).map(|score| ("Score", score)));
    rows.push(("When", period(finding)));
    rows
}

/// At most so many characters, counted in UTF-16 as the services do that count most.
pub fn shortened(text: &str, most: usize) -> String {
    let mut length = 0;
    let mut cut = 0;
    for (at, c) in text.char_indices() {
        length += c.len_utf16();
        // One is kept for the ellipsis.
        if length < most {
            cut = at + c.len_utf8();
        }
        if length > most {
            return text.get(..cut).unwrap_or_default().to_owned() + "…";
        }
    }
    text.into()
}

/// The title in one line.
pub fn title(alert: &Alert) -> String {
    alert.title.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The title, which says whether the alert is over.
pub fn headline(alert: &Alert) -> String {
    let title = title(alert);
    match alert.state {
        State::Resolved if !title.to_lowercase().starts_with("resolved") => format!("Resolved: {title}"),
        State::Resolved | State::Firing => title,
    }
}

/// A series as PromQL spells it: `up{job="node"}`.
pub fn series(labels: &[(String, String)]) -> String {
    let (name, rest): (Vec<_>, Vec<_>) = labels.iter().partition(|(label, _)| label == "__name__");
    let name = name.first().map_or("", |(_, value)| value);
    let rest: Vec<String> = rest.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    match (name, rest.as_slice()) {
        ("", []) => "{}".into(),
        (name, []) => name.into(),
        (name, rest) => format!("{name}{{{}}}", rest.join(",")),
    }
}

/// What came: `42`, or `no value`.
pub fn came(finding: &Finding) -> String {
    match finding.value {
        value if value.is_nan() => "no value".into(),
        value => rounded(value, decimals(&numbers(finding))),
    }
}

/// What was expected, if that is known: `12 to 15, most likely 13.4`.
pub fn expected(finding: &Finding) -> Option<String> {
    let decimals = decimals(&numbers(finding));
    let known = |x: f64| x.is_finite().then(|| rounded(x, decimals));
    let likely = known(finding.expected);
    let range = match (known(finding.lower), known(finding.upper)) {
        (Some(lower), Some(upper)) => format!("{lower} to {upper}"),
        (Some(lower), None) => format!("at least {lower}"),
        (None, Some(upper)) => format!("at most {upper}"),
        (None, None) => return likely.map(|likely| format!("about {likely}")),
    };
    Some(match likely {
        Some(likely) => format!("{range}, most likely {likely}"),
        None => range,
    })
}

/// The score and what made it, if there is one: `0.93 (shape 0.82, level 0.31)`.
pub fn score(finding: &Finding) -> Option<String> {
    let score = finding.score.is_finite().then(|| format!("{:.2}", finding.score))?;
    Some(match terms(finding) {
        terms if terms.is_empty() => score,
        terms => format!("{score} ({terms})"),
    })
}

/// What made the score: `shape 0.82, level 0.31`. Empty: it was not told.
pub fn terms(finding: &Finding) -> String {
    let terms = finding.terms.iter().map(|(name, value)| format!("{} {value:.2}", name.replace(['_', '-'], " ")));
    terms.collect::<Vec<_>>().join(", ")
}

/// When it was: `since 2026-01-05 14:03 UTC`, or from when to when and how long.
pub fn period(finding: &Finding) -> String {
    match finding.ended {
        None => format!("since {}", time(finding.started)),
        Some(ended) => {
            let lasted = duration(ended.saturating_sub(finding.started));
            format!("{} to {}, {lasted}", time(finding.started), time(ended))
        }
    }
}

/// A number with four significant digits, or all before the point: `0.01235`, `1,234,568`.
pub fn number(x: f64) -> String {
    rounded(x, decimals(&[x]))
}

/// A span in words, in its largest unit and the next: `1 hour 5 minutes`.
pub fn duration(millis: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let seconds = millis / 1000;
    let mut words = Vec::new();
    let mut rest = seconds;
    for (name, length) in UNITS.into_iter().skip_while(|(_, length)| seconds < *length).take(2) {
        match rest / length {
            0 => {}
            1 => words.push(format!("1 {name}")),
            count => words.push(format!("{count} {name}s")),
        }
        rest %= length;
    }
    if words.is_empty() { "less than a second".into() } else { words.join(" ") }
}

/// An instant: `2026-01-05 14:03 UTC`; with seconds if they are not 0.
pub fn time(millis: i64) -> String {
    let iso = iso(millis);
    let (Some((day, clock)), true) = (iso.split_once('T'), iso.ends_with('Z')) else { return iso };
    let second = clock.split('.').next().unwrap_or(clock);
    format!("{day} {} UTC", second.strip_suffix(":00").unwrap_or(second))
}

/// An instant as RFC 3339 in UTC, to the millisecond: `2026-01-05T14:03:00.000Z`.
pub fn iso(millis: i64) -> String {
    const YEAR_10000: u64 = 253_402_300_800_000;
    match u64::try_from(millis) {
        Ok(since) if since < YEAR_10000 => {
            humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_millis(since)).to_string()
        }
        _ => format!("{millis} ms since 1970"),
    }
}

/// The numbers of a finding that are shown beside each other.
fn numbers(finding: &Finding) -> [f64; 4] {
    [finding.value, finding.expected, finding.lower, finding.upper]
}

/// Decimals that give the largest number four significant digits, and the least difference
/// between two of them two: a value just outside its bounds must not look like the bound.
fn decimals(numbers: &[f64]) -> usize {
    let mut known: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let after_point = |x: f64, significant: i32| significant - 1 - x.abs().log10().floor() as i32;
    let largest = known.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let least = known.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > largest * 1e-9).reduce(f64::min);
    let magnitude = if largest > 0.0 { after_point(largest, 4) } else { 0 };
    let difference = least.map_or(0, |gap| after_point(gap, 2));
    magnitude.max(difference).clamp(0, 12) as usize
}

fn rounded(x: f64, decimals: usize) -> String {
    if x.is_nan() {
        return "unknown".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "infinity".into() } else { "-infinity".into() };
    }
    if x != 0.0 && !(1e-9..1e15).contains(&x.abs()) {
        return format!("{x:.3e}");
    }
    let text = format!("{x:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, String::new()), |(w, f)| (w, format!(".{f}")));
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    format!("{sign}{}{fraction}", grouped(whole))
}

/// A comma every three digits, from five digits on.
fn grouped(digits: &str) -> String {
    if digits.len() < 5 {
        return digits.into();
    }
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(value: f64, expected: f64, lower: f64, upper: f64) -> Finding {
        Finding {
            labels: vec![],
            value,
            expected,
            lower,
            upper,
            score: 0.934,
            terms: vec![("window_shape".into(), 0.82), ("level".into(), 0.314)],
            started: 1_767_621_780_000,
            ended: None,
        }
    }

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let texts = [0.0, -0.00001, 0.012345678, 99.996, 1234.56, 1234567.8, -4e12, 3e300, 2e-12, f64::NAN].map(number);
        let expected = [
            "0",
            "-0.00001",
            "0.01235",
            "100",
            "1235",
            "1,234,568",
            "-4,000,000,000,000",
            "3.000e300",
            "2.000e-12",
            "unknown",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_value_just_outside_its_bounds_does_not_look_like_the_bound() {
        let near = finding(12.0031, 12.0, 11.9991, 12.0012);
        assert_eq!(came(&near), "12.0031");
        assert_eq!(expected(&near).unwrap(), "11.9991 to 12.0012, most likely 12");
        let far = finding(42.0, 13.37, 12.04, 15.2);
        assert_eq!((came(&far).as_str(), expected(&far).unwrap().as_str()), ("42", "12.04 to 15.2, most likely 13.37"));
    }

    #[test]
    fn only_what_is_known_is_said() {
        let nan = f64::NAN;
        assert_eq!(expected(&finding(1.0, nan, nan, nan)), None);
        assert_eq!(expected(&finding(1.0, 2.0, nan, nan)).unwrap(), "about 2");
        assert_eq!(expected(&finding(1.0, nan, f64::NEG_INFINITY, 0.5)).unwrap(), "at most 0.5");
        assert_eq!(came(&finding(nan, 2.0, 1.0, 3.0)), "no value");
        let mut scored = finding(1.0, nan, nan, nan);
        assert_eq!(score(&scored).unwrap(), "0.93 (window shape 0.82, level 0.31)");
        scored.score = nan;
        assert_eq!(score(&scored), None);
        assert_eq!(rows(&scored), [("Came", "1".to_owned()), ("When", "since 2026-01-05 14:03 UTC".to_owned())]);
    }

    #[test]
    fn ten_series_are_described_and_the_others_counted_however_they_were_left_out() {
        let mut alert = Alert {
            id: "a1".into(),
            incident: "i1".into(),
            state: State::Firing,
            kind: "anomaly".into(),
            labels: vec![],
            title: "500 series look anomalous".into(),
            body: String::new(),
            link: Some("javascript:alert(1)".into()),
            actions: vec![],
            chart: None,
            findings: vec![finding(42.0, 13.0, 12.0, 15.0); 20],
            more: 480,
        };
        assert_eq!(worst(&alert).len(), 10);
        assert_eq!(more(&alert, 10).unwrap(), "and 490 more series");
        assert_eq!(line(&alert), "500 series look anomalous: {} came as 42, expected 12 to 15, most likely 13");
        assert_eq!(links(&alert).count(), 0);
        (alert.findings, alert.more) = (alert.findings.split_off(17), 0);
        assert_eq!((worst(&alert).len(), more(&alert, 3)), (3, None));
        assert_eq!(more(&alert, 1).unwrap(), "and 2 more series");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(shortened("😀😀😀", 5), "😀😀…");
        assert_eq!(shortened("😀", 1), "…");
    }

    #[test]
    fn times_and_spans_are_in_words() {
        let spans = [0, 999, 1_000, 61_000, 3_600_000, 3_605_000, 90_000_000, 172_800_000, -5_000].map(duration);
        let words = [
            "less than a second",
            "less than a second",
            "1 second",
            "1 minute 1 second",
            "1 hour",
            "1 hour",
            "1 day 1 hour",
            "2 days",
            "less than a second",
        ];
        assert_eq!(spans, words);
        assert_eq!(time(1_767_621_780_000), "2026-01-05 14:03 UTC");
        assert_eq!(time(1_767_621_781_500), "2026-01-05 14:03:01 UTC");
        assert_eq!(iso(1_767_621_781_500), "2026-01-05T14:03:01.500Z");
        assert_eq!(time(i64::MIN), "-9223372036854775808 ms since 1970");
        let mut over = finding(1.0, 1.0, 1.0, 1.0);
        over.ended = Some(over.started + 4_020_000);
        assert_eq!(period(&over), "2026-01-05 14:03 UTC to 2026-01-05 15:10 UTC, 1 hour 7 minutes");
    }

    #[test]
    fn series_are_spelled_as_in_promql() {
        let labels =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>();
        assert_eq!(series(&labels(&[("__name__", "up"), ("job", "a\"b")])), r#"up{job="a\"b"}"#);
        assert_eq!(series(&labels(&[("__name__", "up")])), "up");
        assert_eq!(series(&[]), "{}");
    }
}
