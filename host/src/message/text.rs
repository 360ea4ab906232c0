//! Numbers, spans and instants as people read them, and texts of others made harmless.
//!
//! Nothing here looks at a clock or a locale: equal arguments give equal texts.

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;

use crate::series::Millis;

/// What a number counts, by the suffix that Prometheus' naming rules give a metric. No other
/// unit is guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Not known.
    #[default]
    None,
    /// `_bytes`, written in powers of 1024.
    Bytes,
    /// `_seconds`.
    Seconds,
    /// `_ratio`, written in per cent.
    Ratio,
    /// `_total`: a counter, which is judged by its rate.
    PerSecond,
    /// `_bytes_total`.
    BytesPerSecond,
}

/// A unit of a handy size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// How much one of it is.
    pub factor: f64,
    /// What is written after the number, with its space.
    pub suffix: &'static str,
}

const DECIMAL: [(f64, &str); 5] = [(1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1.0, "")];
const PER_SECOND: [(f64, &str); 4] = [(1e9, " G/s"), (1e6, " M/s"), (1e3, " k/s"), (1.0, " /s")];
const BYTES: [(f64, &str); 6] = [
    ((1_u64 << 50) as f64, " PiB"),
    ((1_u64 << 40) as f64, " TiB"),
    ((1_u64 << 30) as f64, " GiB"),
    ((1_u64 << 20) as f64, " MiB"),
    (1024.0, " KiB"),
    (1.0, " B"),
];
const BYTES_PER_SECOND: [(f64, &str); 5] = [
    ((1_u64 << 40) as f64, " TiB/s"),
    ((1_u64 << 30) as f64, " GiB/s"),
    ((1_u64 << 20) as f64, " MiB/s"),
    (1024.0, " KiB/s"),
    (1.0, " B/s"),
];
/// From two days and two hours on, in days and hours.
const SECONDS: [(f64, &str); 6] =
    [(86_400.0, " d"), (3_600.0, " h"), (1.0, " s"), (1e-3, " ms"), (1e-6, " µs"), (1e-9, " ns")];
const RATIO: [(f64, &str); 1] = [(0.01, " %")];

impl Unit {
    /// The unit of a metric, by its `__name__`.
    pub fn of(name: &str) -> Self {
        let ends = |suffix: &str| name.ends_with(suffix);
        match () {
            () if ends("_bytes_total") => Self::BytesPerSecond,
            () if ends("_total") => Self::PerSecond,
            () if ends("_bytes") => Self::Bytes,
            // An instant, and no span.
            () if ends("_timestamp_seconds") || ends("_time_seconds") => Self::None,
            () if ends("_seconds") => Self::Seconds,
            () if ends("_ratio") => Self::Ratio,
            () => Self::None,
        }
    }

    /// The scale in which a number of this size is written.
    pub fn scale(self, size: f64) -> Scale {
        let scales: &[(f64, &'static str)] = match self {
            Self::None => &DECIMAL,
            Self::Bytes => &BYTES,
            Self::Seconds => &SECONDS,
            Self::Ratio => &RATIO,
            Self::PerSecond => &PER_SECOND,
            Self::BytesPerSecond => &BYTES_PER_SECOND,
        };
        // Nobody reads 90 minutes as 1.5 h.
        let least = |factor: f64| if self == Self::Seconds && factor > 1.0 { 2.0 * factor } else { factor };
        let size = if size == 0.0 || !size.is_finite() { 1.0 } else { size.abs() };
        let fitting = scales.iter().find(|(factor, _)| size >= least(*factor)).or(scales.last());
        let (factor, suffix) = fitting.copied().unwrap_or((1.0, ""));
        Scale { factor, suffix }
    }
}

/// A number with four significant digits, or all before the point: `0.01235`, `1.235 M`.
pub fn number(value: f64, unit: Unit) -> String {
    beside(value, &[], unit)
}

/// The same beside others: a value just outside its bounds does not look like the bound.
pub fn beside(value: f64, others: &[f64], unit: Unit) -> String {
    if value.is_nan() {
        return "no value".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinity" } else { "-infinity" }.to_owned();
    }
    let scale = unit.scale(value);
    let scaled = value / scale.factor;
    if scaled != 0.0 && !(1e-5..1e9).contains(&scaled.abs()) {
        return format!("{scaled:.3e}{}", scale.suffix);
    }
    // Decimals that leave so many significant digits of something.
    let after_point = |x: f64, significant: f64| significant - 1.0 - x.abs().log10().floor();
    let size = if scaled == 0.0 { 0.0 } else { after_point(scaled, 4.0) };
    let gaps = others.iter().map(|other| ((other - value) / scale.factor).abs());
    let gap = gaps.filter(|gap| gap.is_finite() && *gap > scaled.abs() * 1e-9 && *gap > 1e-9).reduce(f64::min);
    let decimals = gap.map_or(size, |gap| size.max(after_point(gap, 2.0))).clamp(0.0, 9.0) as usize;
    let text = format!("{scaled:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let sign = if digits == "0" { "" } else { sign };
    format!("{sign}{}{}", grouped(digits), scale.suffix)
}

/// A comma every three digits before the point, from five digits on.
fn grouped(digits: &str) -> String {
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if whole.len() > 4 && index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A span in its largest unit and the next: `2 h 5 min`.
pub fn duration(span: Millis) -> String {
    const UNITS: [(&str, Millis); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = span.max(0) / 1_000;
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (name, length) in UNITS.into_iter().skip_while(|(_, length)| seconds < *length).take(2) {
        if rest / length > 0 {
            parts.push(format!("{} {name}", rest / length));
        }
        rest %= length;
    }
    match parts.as_slice() {
        [] if span > 0 => format!("{span} ms"),
        [] => "0 s".to_owned(),
        parts => parts.join(" "),
    }
}

/// A reader's wall clock: the zone, and the instant at which they read.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    /// The zone in which instants are told.
    pub zone: Tz,
    /// Now: what is on the same day is told without its date.
    pub now: Millis,
}

impl Wall {
    /// An instant: `14:05 CET`, with its date if that is another day: `21 Nov 14:05 CET`.
    pub fn instant(&self, time: Millis) -> String {
        self.written(time, " %Z")
    }

    /// The same without the zone, for what stands beside an instant that names it.
    pub fn bare(&self, time: Millis) -> String {
        self.written(time, "")
    }

    /// An instant that is days away: `Tue 24 Nov 14:00 CET`, with the year if that is another.
    pub fn day(&self, time: Millis) -> String {
        self.dated(time, " %Z")
    }

    /// The same without the zone, for what stands beside an instant that names it.
    pub fn bare_day(&self, time: Millis) -> String {
        self.dated(time, "")
    }

    fn dated(&self, time: Millis, zone: &str) -> String {
        let local = |time| Some(DateTime::from_timestamp_millis(time)?.with_timezone(&self.zone));
        let (Some(then), Some(now)) = (local(time), local(self.now)) else { return format!("{time} ms since 1970") };
        let year = if then.year() == now.year() { "" } else { " %Y" };
        then.format(&format!("%a %-d %b{year} %H:%M{zone}")).to_string()
    }

    fn written(&self, time: Millis, zone: &str) -> String {
        let local = |time| Some(DateTime::from_timestamp_millis(time)?.with_timezone(&self.zone));
        let (Some(then), Some(now)) = (local(time), local(self.now)) else { return format!("{time} ms since 1970") };
        let day = match () {
            () if then.date_naive() == now.date_naive() => "",
            () if then.year() == now.year() => "%-d %b ",
            () => "%-d %b %Y ",
        };
        let clock = if time.rem_euclid(60_000) == 0 { "%H:%M" } else { "%H:%M:%S" };
        then.format(&format!("{day}{clock}{zone}")).to_string()
    }
}

/// A text on one line and without what is not seen: control characters, and those that turn
/// the direction of writing. At most so many characters, the last being `…` if there were more.
pub fn one_line(text: &str, most: usize) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut line = String::new();
    let mut count = 0;
    for word in text.split(|c: char| c.is_whitespace() || hidden(c)).filter(|word| !word.is_empty()) {
        let space = usize::from(count > 0);
        let length = word.chars().count();
        if count + space + length > most {
            let room = most.saturating_sub(count + space + 1);
            if room > 0 && space > 0 {
                line.push(' ');
            }
            line.extend(word.chars().take(room));
            line.push('…');
            break;
        }
        if space > 0 {
            line.push(' ');
        }
        line.push_str(word);
        count += space + length;
    }
    line
}

/// A text as Markdown code: no markup, link or mention in it takes effect.
pub fn code(text: &str) -> String {
    let line = one_line(text, 300).replace('`', "'");
    if line.is_empty() { "` `".to_owned() } else { format!("`{line}`") }
}

/// A text as Markdown that shows the text, on as many lines as it has.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = '\n';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or('\n');
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '~' | '|' | '&' => true,
            '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
            '#' | '-' | '+' | '=' => before == '\n',
            '.' | ')' => before.is_ascii_digit() && after.is_whitespace(),
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        if !c.is_control() || c == '\n' {
            escaped.push(c);
        }
        if before != '\n' || !c.is_whitespace() {
            before = c;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_matters() {
        let texts = [0.0, -0.00001, 0.012345678, 99.996, 1234.56, 123_456.7, 1_234_567.8, -4e12, 3e300, 2e-12]
            .map(|x| number(x, Unit::None));
        let expected =
            ["0", "-0.00001", "0.01235", "100", "1235", "123,457", "1.235 M", "-4 T", "3.000e285 P", "2.000e-12"];
        assert_eq!(texts, expected);
        assert_eq!(number(f64::NAN, Unit::Bytes), "no value");
        assert_eq!(number(f64::NEG_INFINITY, Unit::Bytes), "-infinity");
        assert_eq!(number(-1e-300, Unit::None), "-1.000e-300");
    }

    #[test]
    fn units_are_those_that_a_name_says() {
        let said = |name: &str, value| number(value, Unit::of(name));
        assert_eq!(said("go_memory_bytes", 3_221_225_472.0), "3 GiB");
        assert_eq!(said("net_bytes_total", 2048.0), "2 KiB/s");
        assert_eq!(said("http_requests_total", 1234.0), "1.234 k/s");
        assert_eq!(said("http_latency_seconds", 0.0123), "12.3 ms");
        assert_eq!(said("age_seconds", 90.0), "90 s");
        assert_eq!(said("age_seconds", 10_800.0), "3 h");
        assert_eq!(said("disk_used_ratio", 0.934), "93.4 %");
        assert_eq!(said("process_start_time_seconds", 100.0), "100");
        assert_eq!(said("cpu_usage", 0.934), "0.934");
        assert_eq!(said("a_seconds", 0.0), "0 s");
    }

    #[test]
    fn a_value_just_outside_its_bounds_does_not_look_like_the_bound() {
        assert_eq!(beside(12.0031, &[12.0, 11.9991, 12.0012], Unit::None), "12.0031");
        assert_eq!(beside(12.0012, &[12.0031, 11.9991], Unit::None), "12.0012");
        assert_eq!(beside(42.0, &[13.37, f64::NAN], Unit::None), "42");
    }

    #[test]
    fn spans_and_instants_are_told_in_the_readers_zone() {
        let spans = [0, 12, 1_000, 61_000, 3_600_000, 3_605_000, 90_000_000, -5].map(duration);
        assert_eq!(spans, ["0 s", "12 ms", "1 s", "1 min 1 s", "1 h", "1 h", "1 d 1 h", "0 s"]);
        let wall = Wall { zone: chrono_tz::Europe::Berlin, now: 1_767_621_780_000 };
        assert_eq!(wall.instant(wall.now), "15:03 CET");
        assert_eq!(wall.instant(wall.now - 86_400_000), "4 Jan 15:03 CET");
        assert_eq!(wall.bare(wall.now - 10 * 86_400_000 + 500), "26 Dec 2025 15:03:00");
        assert_eq!(wall.day(wall.now + 2 * 86_400_000), "Wed 7 Jan 15:03 CET");
        assert_eq!(wall.bare_day(wall.now - 10 * 86_400_000), "Fri 26 Dec 2025 15:03");
        assert_eq!(wall.instant(Millis::MAX), "9223372036854775807 ms since 1970");
    }

    #[test]
    fn a_hostile_text_is_only_text() {
        assert_eq!(one_line(" a\r\nBcc:\u{202e} b\u{7}c ", 100), "a Bcc: b c");
        assert_eq!(one_line("abcdef ghi", 5), "abcd…");
        assert_eq!(one_line("abc def ghi", 6), "abc d…");
        assert_eq!(code("a`b <script>\n"), "`a'b <script>`");
        assert_eq!(
            markdown("# [x](javascript:y) <b>*_a_ snake_case 1. one"),
            "\\# \\[x\\](javascript:y) \\<b\\>\\*\\_a\\_ snake_case 1\\. one"
        );
    }
}
