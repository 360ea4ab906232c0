//! What a failed request means for the one who must act.
//!
//! The rules fit most HTTP APIs. One that answers otherwise (200 with an error inside, a
//! 404 that the operator did not cause) is read by its own plugin first.

use std::time::{Duration, SystemTime};

use crate::{Error, http, mail};

/// Characters of an answer's body that an error quotes.
const QUOTED: usize = 300;

impl Error {
    /// What it says, for a line of the log.
    pub fn text(&self) -> &str {
        match self {
            Self::BadConfig(text)
            | Self::Unauthorized(text)
            | Self::Unavailable(text)
            | Self::Unsupported(text)
            | Self::Internal(text) => text,
            Self::Busy(_) => "the remote side is busy",
        }
    }
}

impl From<http::Fault> for Error {
    fn from(fault: http::Fault) -> Self {
        match fault {
            http::Fault::Denied(text) | http::Fault::Invalid(text) => Self::BadConfig(text),
            http::Fault::Timeout => Self::Unavailable("no answer came in time".into()),
            http::Fault::TooLarge(limit) => {
                Self::Unsupported(format!("the answer is larger than the limit of {limit} bytes"))
            }
            http::Fault::Transport(text) => Self::Unavailable(text),
        }
    }
}

impl From<mail::Fault> for Error {
    fn from(fault: mail::Fault) -> Self {
        match fault {
            mail::Fault::Denied(text) | mail::Fault::Invalid(text) => Self::BadConfig(text),
            mail::Fault::Transport(text) => Self::Unavailable(text),
        }
    }
}

impl http::Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of a name; case does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The beginning of the body as one line, to be quoted in a message.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// The milliseconds of `Retry-After`, given as seconds or as a date; `now` is the
    /// clock's, in milliseconds since the Unix epoch.
    pub fn retry_after(&self, now: i64) -> Option<u32> {
        let value = self.header("Retry-After")?.trim();
        let wait = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.try_into().ok()?);
                httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
            }
        };
        Some(wait.as_millis().try_into().unwrap_or(u32::MAX))
    }

    /// The error that a status other than 2xx stands for.
    ///
    /// 401 and 403: `unauthorized`. 429 and 503: `busy`, until `Retry-After`. 408, 425, other
    /// 5xx and what is no status: `unavailable`. The rest (the other 4xx; 3xx, since the host
    /// follows no redirect): `bad-config`.
    pub fn refusal(&self, now: i64) -> Error {
        let mut said = format!("HTTP status {}", self.status);
        if let Some(place) = self.header("Location") {
            said += &format!(", a redirect to {place}");
        }
        let excerpt = self.excerpt();
        if !excerpt.is_empty() {
            said += &format!(": {excerpt}");
        }
        match self.status {
            401 | 403 => Error::Unauthorized(said),
            429 | 503 => Error::Busy(self.retry_after(now)),
            408 | 425 => Error::Unavailable(said),
            300..500 => Error::BadConfig(said),
            _ => Error::Unavailable(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> http::Response {
        http::Response {
            status,
            headers: headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            body: body.into(),
        }
    }

    #[test]
    fn a_busy_server_is_asked_again_when_it_says() {
        // 1994-11-06 08:49:37 UTC, the example of RFC 9110.
        let now = 784_111_777_000;
        for (value, wait) in [
            ("120", Some(120_000)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(u32::MAX)),
            ("soon", None),
        ] {
            assert_eq!(response(429, &[("retry-after", value)], "").refusal(now), Error::Busy(wait), "{value}");
        }
        assert_eq!(response(503, &[], "").refusal(now), Error::Busy(None));
    }

    #[test]
    fn a_status_says_who_must_act_and_quotes_the_answer() {
        let error = |status| response(status, &[], "no\n  such hook").refusal(0);
        assert_eq!(error(404), Error::BadConfig("HTTP status 404: no such hook".into()));
        assert_eq!(error(403), Error::Unauthorized("HTTP status 403: no such hook".into()));
        assert_eq!(error(502), Error::Unavailable("HTTP status 502: no such hook".into()));
        let moved = response(301, &[("location", "https://b.example/")], "").refusal(0);
        assert_eq!(moved, Error::BadConfig("HTTP status 301, a redirect to https://b.example/".into()));
        let long = response(400, &[], &"ü".repeat(1000)).excerpt();
        assert_eq!(long.chars().count(), QUOTED + 1);
    }
}
