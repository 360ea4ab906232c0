//! Instants as people and programs read them: RFC 3339 in UTC.
//!
//! As a `#[serde(with = "...")]` it writes them so in JSON and in query strings.

use chrono::DateTime;
use serde::{Deserialize as _, Deserializer, Serializer, de};

use crate::series::Millis;

/// An instant as text; milliseconds where it has some.
pub fn text(time: Millis) -> String {
    let Some(time) = DateTime::from_timestamp_millis(time) else { return time.to_string() };
    if time.timestamp_subsec_millis() == 0 {
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

/// Reads an instant: RFC 3339, or milliseconds since the Unix epoch.
pub fn parse(text: &str) -> Result<Millis, String> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|t| t.timestamp_millis()).map_err(|_| format!("`{text}` is no instant: write 2026-01-31T12:00:00Z"))
}

/// A span in words: `2 h 5 min`, its two largest units.
pub fn span(ms: Millis) -> String {
    const UNITS: [(Millis, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let mut parts = Vec::new();
    let mut rest = ms.abs();
    for (length, unit) in UNITS {
        if rest >= length {
            parts.push(format!("{} {unit}", rest / length));
            rest %= length;
        }
    }
    parts.truncate(2);
    if parts.is_empty() { format!("{ms} ms") } else { parts.join(" ") }
}

/// For [`Millis`].
pub fn serialize<S: Serializer>(time: &Millis, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*time))
}

/// For [`Millis`].
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
    parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For an `Option` of [`Millis`].
pub mod option {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::series::Millis;

    /// For an `Option` of [`Millis`].
    pub fn serialize<S: Serializer>(time: &Option<Millis>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    /// For an `Option` of [`Millis`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| super::parse(&text).map_err(de::Error::custom)).transpose()
    }
}

/// For the half-open span `(from, to)`.
pub mod pair {
    use serde::ser::SerializeTuple as _;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::series::Millis;

    /// For a pair of [`Millis`].
    pub fn serialize<S: Serializer>(pair: &(Millis, Millis), to: S) -> Result<S::Ok, S::Error> {
        let mut tuple = to.serialize_tuple(2)?;
        tuple.serialize_element(&super::text(pair.0))?;
        tuple.serialize_element(&super::text(pair.1))?;
        tuple.end()
    }

    /// For a pair of [`Millis`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(Millis, Millis), D::Error> {
        let (first, last) = <(String, String)>::deserialize(from)?;
        let parse = |text: &str| super::parse(text).map_err(de::Error::custom);
        Ok((parse(&first)?, parse(&last)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_spans_read_as_people_write_them() {
        assert_eq!(text(1_767_225_600_000), "2026-01-01T00:00:00Z");
        assert_eq!(text(1_767_225_600_007), "2026-01-01T00:00:00.007Z");
        assert_eq!(parse("2026-01-01T01:00:00+01:00"), Ok(1_767_225_600_000));
        assert!(parse("tomorrow").unwrap_err().contains("is no instant"));
        assert_eq!(
            (span(7_512_000), span(90_000), span(40)),
            ("2 h 5 min".into(), "1 min 30 s".into(), "40 ms".into())
        );
    }
}
