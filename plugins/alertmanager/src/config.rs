//! The configuration.

use std::collections::BTreeMap;

use anomd_notifier::Problem;
use anomd_notifier::http::{self, Method, Request, Target};
use serde::Deserialize;

/// The slot of a password.
pub const PASSWORD: &str = "alertmanager_password";
/// The slot of a token.
pub const BEARER: &str = "alertmanager_bearer";

/// What the operator says.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Alertmanager's address.
    pub url: String,
    /// How long an alert counts as firing without more news, as text.
    #[serde(default = "hold")]
    pub hold: String,
    /// The label `alertname`; `None`: what the host says, or `AnomalyDetected`.
    pub alertname: Option<String>,
    /// More labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How Alertmanager knows us.
    pub auth: Option<Auth>,
    /// For basic authentication.
    pub username: Option<String>,
}

/// How Alertmanager knows us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// It does not.
    None,
    /// User name and password.
    Basic,
    /// A token.
    Bearer,
}

fn hold() -> String {
    "15m".into()
}

impl Config {
    /// `hold` in milliseconds; `None`: it is no length of time, or less than a second.
    pub fn hold(&self) -> Option<i64> {
        let hold = humantime::parse_duration(&self.hold).ok()?.as_millis();
        i64::try_from(hold).ok().filter(|hold| (1_000..=366 * 86_400_000).contains(hold))
    }

    /// What the schema cannot say.
    pub fn check(&self) -> Vec<Problem> {
        let problem = |pointer: &str, message: &str| Problem { pointer: pointer.into(), message: message.into() };
        let mut problems = Vec::new();
        if self.hold().is_none() {
            problems.push(problem("/hold", "hold lies between 1s and 366d, as in 15m"));
        }
        match (self.auth, &self.username) {
            (Some(Auth::Basic), None) => problems
                .push(problem("/auth", "auth: basic needs username; the password is the secret alertmanager_password")),
            (Some(Auth::Bearer | Auth::None), Some(_)) => {
                problems.push(problem("/username", "a user name is sent with auth: basic alone: remove it, or auth"));
            }
            _ => {}
        }
        problems
    }

    /// The request that posts this JSON.
    pub fn request(&self, body: String) -> Request {
        let base = self.url.trim_end_matches('/');
        let base = base.strip_suffix("/api/v2/alerts").or_else(|| base.strip_suffix("/api/v2")).unwrap_or(base);
        Request {
            method: Method::Post,
            target: Target::Url(format!("{base}/api/v2/alerts")),
            headers: vec![("Content-Type".into(), "application/json".into())],
            auth: match (self.auth, &self.username) {
                (Some(Auth::Bearer), _) => Some(http::Auth::Bearer(BEARER.into())),
                (None | Some(Auth::Basic), Some(username)) => {
                    Some(http::Auth::Basic((username.clone(), PASSWORD.into())))
                }
                _ => None,
            },
            blanks: vec![],
            body: body.into_bytes(),
            timeout_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_address_is_alertmanagers_or_that_of_its_api() {
        for url in ["http://am:9093", "http://am:9093/", "http://am:9093/api/v2", "http://am:9093/api/v2/alerts/"] {
            let request = config(&format!(r#"{{"url": "{url}"}}"#)).request("[]".into());
            assert_eq!(request.target, Target::Url("http://am:9093/api/v2/alerts".into()), "{url}");
        }
        let behind = config(r#"{"url": "https://am.example/alerts/"}"#).request("[]".into());
        assert_eq!(behind.target, Target::Url("https://am.example/alerts/api/v2/alerts".into()));
    }

    #[test]
    fn credentials_are_named_and_never_held() {
        let auth = |more: &str| config(&format!(r#"{{"url": "http://am"{more}}}"#)).request("[]".into()).auth;
        assert_eq!(auth(""), None);
        assert_eq!(auth(r#", "username": "u""#), Some(http::Auth::Basic(("u".into(), PASSWORD.into()))));
        assert_eq!(auth(r#", "auth": "bearer""#), Some(http::Auth::Bearer(BEARER.into())));
    }

    #[test]
    fn what_contradicts_itself_is_found_before_it_runs() {
        let pointers = |more: &str| {
            let problems = config(&format!(r#"{{"url": "http://am", {more}}}"#)).check();
            problems.into_iter().map(|problem| problem.pointer).collect::<Vec<_>>()
        };
        assert!(pointers(r#""hold": "1h30m", "username": "u""#).is_empty());
        assert_eq!(pointers(r#""hold": "0s", "auth": "basic""#), ["/hold", "/auth"]);
        assert_eq!(pointers(r#""hold": "9999d", "auth": "bearer", "username": "u""#), ["/hold", "/username"]);
        assert_eq!(config(r#"{"url": "http://am"}"#).hold(), Some(900_000));
    }
}
