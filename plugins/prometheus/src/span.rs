//! Lengths of time as Prometheus writes them.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

/// A length of time in milliseconds, read from seconds (`30`, `"30"`, `0.5`) or from
/// Prometheus' spelling (`30s`, `1h30m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(u32);

impl Span {
    /// So many seconds.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// In milliseconds; never 0.
    pub fn millis(self) -> u32 {
        self.0
    }

    fn new(millis: f64) -> Result<Self, String> {
        if millis >= 1.0 && millis <= f64::from(u32::MAX) {
            Ok(Self(millis.round() as u32))
        } else {
            Err("a length of time lies between 1ms and 49d".into())
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            return Self::new(seconds * 1000.0);
        }
        let wrong = || format!("\"{text}\" is no length of time: write seconds, or `30s`, `5m`, `1h30m`");
        let (mut rest, mut millis) = (text, 0.0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let unit = match unit {
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3600e3,
                "d" => 86_400e3,
                "w" => 7.0 * 86_400e3,
                "y" => 365.0 * 86_400e3,
                _ => return Err(wrong()),
            };
            millis += number.parse::<f64>().map_err(|_| wrong())? * unit;
            rest = tail;
        }
        Self::new(millis)
    }
}

/// The spelling of the API's `timeout` parameter.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 1000, self.0 % 1000) {
            (seconds, 0) => write!(f, "{seconds}s"),
            _ => write!(f, "{}ms", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds, or a length of time such as `30s`")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
                Span::new(seconds as f64 * 1000.0).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
                Span::new(seconds * 1000.0).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_prometheus_spelling_are_read() {
        for (text, millis) in [("30", 30_000), ("0.5", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("250ms", 250)] {
            assert_eq!(Span::parse(text).map(Span::millis), Ok(millis), "{text}");
        }
        for text in ["", "s", "5", "-5", "5 m", "0s", "1x", "99y", "m5", "nan", "inf"] {
            assert_eq!(Span::parse(text).is_ok(), text == "5", "{text}");
        }
        assert_eq!(Span::parse("90s").unwrap().to_string(), "90s");
        assert_eq!(Span::parse("1500ms").unwrap().to_string(), "1500ms");
    }
}
