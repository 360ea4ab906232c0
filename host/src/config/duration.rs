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

#[cfg(test)]
mod tests {
    use super::*;

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
