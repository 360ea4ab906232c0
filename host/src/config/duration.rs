//! Spans of time as people write them: `60s`, `5m`, `1h 30m`, `7d`.

use crate::series::Millis;

/// A span in milliseconds. A bare number is refused, because its unit would be a guess.
pub(super) fn parse_span(text: &str) -> Result<Millis, String> {
    let span = humantime::parse_duration(text.trim()).map_err(|_| format!("\"{text}\" is no span of time"))?;
    Millis::try_from(span.as_millis()).map_err(|_| format!("\"{text}\" is too long"))
}

/// A span in milliseconds, where a bare number counts seconds: as Prometheus writes steps
/// and time-outs.
pub(super) fn parse_seconds(text: &str) -> Result<Millis, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok((seconds * 1_000.0).round() as Millis),
        Ok(_) => Err(format!("\"{text}\" is no span of time")),
        Err(_) => parse_span(text),
    }
}

/// The units of pandas' offsets that are spans of time.
const OFFSETS: [(&[&str], Millis); 5] = [
    (&["ms", "L"], 1),
    (&["s", "S", "sec"], 1_000),
    (&["m", "min", "T"], 60_000),
    (&["h", "H", "hr"], 3_600_000),
    (&["d", "D"], 86_400_000),
];

/// A span in milliseconds as pandas writes offsets: `5min`, `15T`, `1h30min`, `D`. A unit
/// without a number is one of it. What depends on the calendar, as a month, is refused.
pub(super) fn parse_offset(text: &str) -> Result<Millis, String> {
    let fault = || format!("\"{text}\" is no span of time");
    let mut rest = text.trim();
    let mut span: Millis = 0;
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let tail = tail.trim_start();
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let number: Millis = if number.is_empty() { 1 } else { number.parse().map_err(|_| fault())? };
        let size = OFFSETS.iter().find(|(names, _)| names.contains(&unit)).map(|(_, size)| *size).ok_or_else(fault)?;
        span = number.checked_mul(size).and_then(|part| span.checked_add(part)).ok_or_else(fault)?;
        rest = tail.trim_start();
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_pandas_users_write_them() {
        for (text, minutes) in [
            ("5min", 5),
            ("15T", 15),
            ("1h", 60),
            ("H", 60),
            ("1D", 1_440),
            ("1h30min", 90),
            ("90m", 90),
            ("1 d", 1_440),
        ] {
            assert_eq!(parse_offset(text), Ok(minutes * 60_000), "{text}");
        }
        assert_eq!(parse_offset("30S"), Ok(30_000));
        for text in ["", "5", "1M", "1W", "MS", "-5min", "1.5h", "1h 5", "99999999999999999D"] {
            assert_eq!(parse_offset(text), Err(format!("\"{text}\" is no span of time")));
        }
    }

    #[test]
    fn spans_need_a_unit_unless_seconds_are_understood() {
        assert_eq!(parse_span("60s"), Ok(60_000));
        assert_eq!(parse_span("1h 30m"), Ok(5_400_000));
        assert_eq!(parse_span("7d"), Ok(604_800_000));
        assert_eq!(parse_span("60"), Err("\"60\" is no span of time".into()));
        assert_eq!(parse_span("-5m"), Err("\"-5m\" is no span of time".into()));
        assert_eq!(parse_seconds("30"), Ok(30_000));
        assert_eq!(parse_seconds("0.5"), Ok(500));
        assert_eq!(parse_seconds("30s"), Ok(30_000));
        assert_eq!(parse_seconds("NaN"), Err("\"NaN\" is no span of time".into()));
    }
}
