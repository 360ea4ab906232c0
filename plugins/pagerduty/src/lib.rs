//! Opens and resolves alerts in PagerDuty, by its Events API v2.
//!
//! The routing key stands in the body of each event. The host puts it there after the call
//! has left the sandbox. `dedup_key` is the alert's incident, so an event that is repeated
//! changes nothing.

mod event;

use anomd_notifier::http::{Blank, Method, Request, Response, Target};
use anomd_notifier::{Alert, Descriptor, Error, Notifier, Problem, SecretSlot, clock, export_notifier, http};
use serde::Deserialize;

/// The slot of the routing key.
const SLOT: &str = "pagerduty_routing_key";

/// The component.
pub struct PagerDuty;

/// Its configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where events are sent.
    pub url: String,
    /// How grave an alert is; `None`: its labels say.
    pub severity: Option<Grading>,
    /// What PagerDuty shows as the sender.
    pub client: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: "https://events.pagerduty.com/v2/enqueue".into(), severity: None, client: "anomd".into() }
    }
}

/// How grave alerts are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Grading {
    /// All alike.
    Always(Severity),
    /// By the score of the worst series: the least score of each severity.
    Score(Scores),
}

/// The least score of each severity that is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Scores {
    critical: Option<f64>,
    error: Option<f64>,
    warning: Option<f64>,
    info: Option<f64>,
}

/// PagerDuty's severities, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "as PagerDuty names them")]
pub enum Severity {
    Critical,
    Error,
    Warning,
    Info,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Critical, Self::Error, Self::Warning, Self::Info].into_iter().find(|severity| severity.name() == name)
    }
}

impl Scores {
    fn pairs(&self) -> impl DoubleEndedIterator<Item = (Severity, f64)> {
        let Self { critical, error, warning, info } = *self;
        let pairs = [
            (Severity::Critical, critical),
            (Severity::Error, error),
            (Severity::Warning, warning),
            (Severity::Info, info),
        ];
        pairs.into_iter().filter_map(|(severity, least)| Some((severity, least?)))
    }
}

impl Config {
    /// How grave an alert is. One below all scores is as grave as the mildest severity.
    fn severity(&self, alert: &Alert) -> Severity {
        match &self.severity {
            Some(Grading::Always(severity)) => *severity,
            Some(Grading::Score(scores)) => {
                let score = alert.findings.first().map_or(f64::NAN, |worst| worst.score);
                let reached = scores.pairs().find(|(_, least)| score >= *least);
                reached.or_else(|| scores.pairs().next_back()).map_or(Severity::Error, |(severity, _)| severity)
            }
            None => {
                let label = alert.labels.iter().find(|(name, _)| name == "severity");
                label.and_then(|(_, value)| Severity::named(value)).unwrap_or(Severity::Error)
            }
        }
    }

    /// The request that delivers an alert; the same for every attempt.
    fn request(&self, alert: &Alert) -> Request {
        let mut event = event::of(self, alert);
        // A place that nothing else in the event looks like: what a series is called must not
        // be taken for it and show the key to who reads the alert.
        let rest = event.to_string();
        let mut placeholder = "ROUTING-KEY".to_owned();
        while rest.contains(&placeholder) {
            placeholder.push('-');
        }
        event["routing_key"] = placeholder.as_str().into();
        Request {
            method: Method::Post,
            target: Target::Url(self.url.clone()),
            headers: vec![("Content-Type".into(), "application/json".into())],
            auth: None,
            blanks: vec![Blank { placeholder, slot: SLOT.into() }],
            body: event.to_string().into_bytes(),
            timeout_ms: None,
        }
    }
}

/// What PagerDuty's answer means.
fn receipt(response: &Response, now: i64) -> Result<String, Error> {
    match response.status {
        200..300 => Ok(response.excerpt()),
        400 => Err(Error::BadConfig(format!(
            "PagerDuty refused the event: {}; check the secret {SLOT}: it is the integration key of a service's \
             Events API v2 integration",
            response.excerpt()
        ))),
        _ => Err(response.refusal(now)),
    }
}

impl Notifier for PagerDuty {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Opens and resolves alerts in PagerDuty, by its Events API v2".into(),
            config_schema: include_str!("schema.json").into(),
            origins: ["https://events.pagerduty.com", "https://events.eu.pagerduty.com", "{{config.url}}"]
                .map(Into::into)
                .into(),
            secrets: vec![SecretSlot {
                name: SLOT.into(),
                purpose: "The integration key of a service's Events API v2 integration".into(),
            }],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        let Some(Grading::Score(scores)) = &config.severity else { return Vec::new() };
        let pairs: Vec<_> = scores.pairs().collect();
        let wrong = pairs.windows(2).filter_map(|pair| match pair {
            [(graver, a), (milder, b)] if a <= b => Some((graver, milder)),
            _ => None,
        });
        wrong
            .map(|(graver, milder)| Problem {
                pointer: format!("/severity/{}", milder.name()),
                message: format!("{} needs a lower score than {}, or it is never used", milder.name(), graver.name()),
            })
            .collect()
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        if alert.kind == "summary" {
            return Ok("a summary calls nobody, so nothing was sent".into());
        }
        receipt(&http::send(&config.request(alert))?, clock::now())
    }
}

export_notifier!(PagerDuty);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::alert;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_routing_key_is_named_and_never_held() {
        let request = config("{}").request(&alert());
        assert_eq!(request.target, Target::Url("https://events.pagerduty.com/v2/enqueue".into()));
        assert_eq!(request.blanks, [Blank { placeholder: "ROUTING-KEY".into(), slot: SLOT.into() }]);
        let eu = config(r#"{"url": "https://events.eu.pagerduty.com/v2/enqueue"}"#).request(&alert());
        assert_eq!(eu.target, Target::Url("https://events.eu.pagerduty.com/v2/enqueue".into()));
    }

    #[test]
    fn a_series_that_is_called_like_the_place_of_the_key_does_not_get_it() {
        let mut hostile = alert();
        hostile.findings[0].labels[0].1 = "ROUTING-KEY ROUTING-KEY-".into();
        let request = config("{}").request(&hostile);
        let body = String::from_utf8(request.body).unwrap();
        assert_eq!(body.matches(&request.blanks[0].placeholder).count(), 1, "{body}");
    }

    #[test]
    fn severity_is_fixed_or_by_score_or_by_label() {
        let mut alert = alert();
        let severity = |json: &str, alert: &Alert| config(json).severity(alert).name();
        assert_eq!(severity("{}", &alert), "error");
        assert_eq!(severity(r#"{"severity": "info"}"#, &alert), "info");
        let by_score = r#"{"severity": {"critical": 0.99, "warning": 0.9, "info": 0.8}}"#;
        assert_eq!(severity(by_score, &alert), "warning");
        alert.findings[0].score = 0.995;
        assert_eq!(severity(by_score, &alert), "critical");
        alert.findings[0].score = f64::NAN;
        assert_eq!(severity(by_score, &alert), "info");
        alert.labels.push(("severity".into(), "critical".into()));
        assert_eq!(severity("{}", &alert), "critical");
        alert.labels[1].1 = "page".into();
        assert_eq!(severity("{}", &alert), "error");
    }

    #[test]
    fn a_severity_that_is_never_used_is_found_before_it_runs() {
        let problems = |json: &str| PagerDuty::check(&config(json)).into_iter().map(|p| p.pointer).collect::<Vec<_>>();
        assert!(problems(r#"{"severity": {"critical": 0.95, "error": 0.8}}"#).is_empty());
        assert_eq!(problems(r#"{"severity": {"critical": 0.8, "info": 0.9}}"#), ["/severity/info"]);
    }

    #[test]
    fn answers_say_who_must_act() {
        let answer = |status, body: &str| {
            let headers = vec![("Retry-After".to_owned(), "60".to_owned())];
            receipt(&Response { status, headers, body: body.into() }, 0)
        };
        let taken = r#"{"status":"success","message":"Event processed","dedup_key":"i1"}"#;
        assert_eq!(answer(202, taken).unwrap(), taken);
        let refused = answer(400, r#"{"status":"invalid event","errors":["'routing_key' is invalid"]}"#).unwrap_err();
        assert!(matches!(&refused, Error::BadConfig(text) if text.contains("'routing_key' is invalid")
            && text.contains("pagerduty_routing_key")));
        assert_eq!(answer(429, ""), Err(Error::Busy(Some(60_000))));
        assert!(matches!(answer(500, ""), Err(Error::Unavailable(_))));
    }
}
