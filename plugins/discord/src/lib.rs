//! Tells a Discord channel, through a webhook of it.
//!
//! Discord has no idempotency key: an attempt whose answer was lost is repeated, and the
//! channel may see a message twice.

mod embed;
mod multipart;

use anomd_notifier::http::{Method, Request, Response, Target};
use anomd_notifier::{Alert, Descriptor, Error, Level, Notifier, SecretSlot, clock, export_notifier, http, log};
use serde::Deserialize;

/// The slot of the webhook's URL.
const SLOT: &str = "discord_webhook_url";

/// The component.
pub struct Discord;

/// Its configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The name that the message is posted under.
    pub username: Option<String>,
    /// Whether charts are posted too.
    pub chart: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { username: None, chart: true }
    }
}

impl Config {
    /// The request that delivers an alert; the same for every attempt.
    fn request(&self, alert: &Alert, chart: Option<&[u8]>) -> Request {
        let mut message = embed::message(alert, chart.is_some());
        if let Some(username) = &self.username {
            message["username"] = username.as_str().into();
        }
        let message = message.to_string();
        let (media_type, body) = match chart {
            None => ("application/json".to_owned(), message.into_bytes()),
            Some(png) => multipart::form(&message, embed::CHART, png),
        };
        Request {
            method: Method::Post,
            target: Target::Secret(SLOT.into()),
            headers: vec![("Content-Type".into(), media_type)],
            auth: None,
            blanks: vec![],
            body,
            timeout_ms: None,
        }
    }

    /// Sends the message; without its chart where both are too large together.
    fn send(
        &self,
        alert: &Alert,
        mut send: impl FnMut(&Request) -> Result<Response, http::Fault>,
        warn: impl FnOnce(&str),
    ) -> Result<Response, Error> {
        let chart = alert.chart.as_deref().filter(|_| self.chart);
        let sent = send(&self.request(alert, chart));
        let too_large = match &sent {
            Ok(response) => response.status == 413,
            Err(fault) => matches!(fault, http::Fault::TooLarge(_)),
        };
        if too_large && chart.is_some() {
            warn("posted without its chart: together they are too large");
            return Ok(send(&self.request(alert, None))?);
        }
        Ok(sent?)
    }
}

/// What Discord says when it is busy.
#[derive(Deserialize)]
struct Busy {
    /// In seconds, with a fraction.
    retry_after: f64,
}

/// What Discord's answer means.
fn receipt(response: &Response, now: i64) -> Result<String, Error> {
    let said = response.excerpt();
    match response.status {
        200..300 => Ok(format!("HTTP status {} {said}", response.status).trim_end().into()),
        400 => Err(Error::Internal(format!("Discord did not take the message: {said}"))),
        401 | 403 | 404 => {
            Err(Error::Unauthorized(format!("Discord answered {said}: the webhook is gone, so make a new {SLOT}")))
        }
        429 => {
            // Finer than the header, which is in whole seconds.
            let busy = serde_json::from_slice::<Busy>(&response.body).ok();
            let wait = busy.map(|busy| (busy.retry_after * 1000.0).ceil() as u32);
            Err(Error::Busy(wait.or_else(|| response.retry_after(now))))
        }
        _ => Err(response.refusal(now)),
    }
}

impl Notifier for Discord {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Tells a Discord channel, through a webhook of it".into(),
            config_schema: include_str!("schema.json").into(),
            origins: vec!["https://discord.com".into()],
            secrets: vec![SecretSlot { name: SLOT.into(), purpose: "The URL of a webhook of the channel".into() }],
        }
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        let response = config.send(alert, http::send, |message| log::write(Level::Warn, message, &[]))?;
        receipt(&response, clock::now())
    }
}

export_notifier!(Discord);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::tests::alert;

    fn answer(status: u16, body: &str) -> Response {
        Response { status, headers: vec![("Retry-After".into(), "2".into())], body: body.into() }
    }

    #[test]
    fn the_chart_is_a_file_of_the_message() {
        let with_chart = Alert { chart: Some(b"png".to_vec()), ..alert() };
        let config = Config { username: Some("anomd".into()), ..Config::default() };
        let request = config.request(&with_chart, with_chart.chart.as_deref());
        assert_eq!(request.target, Target::Secret(SLOT.into()));
        assert!(request.headers[0].1.starts_with("multipart/form-data; boundary="));
        let body = String::from_utf8(request.body).unwrap();
        assert!(body.contains("attachment://chart.png") && body.contains("\r\n\r\npng\r\n"), "{body}");
        assert!(body.contains(r#""username":"anomd""#));

        let plain = config.request(&alert(), None);
        assert_eq!(plain.headers[0].1, "application/json");
        assert!(!String::from_utf8(plain.body).unwrap().contains("attachment://"));
    }

    #[test]
    fn a_chart_that_is_too_large_loses_only_the_picture() {
        let with_chart = Alert { chart: Some(vec![0; 100]), ..alert() };
        for refusal in [Ok(answer(413, "")), Err(http::Fault::TooLarge(10))] {
            let mut answers = vec![Ok(answer(204, "")), refusal];
            let mut sent = Vec::new();
            let send = |request: &Request| {
                sent.push(request.headers[0].1.clone());
                answers.pop().unwrap()
            };
            let mut warned = String::new();
            let response = Config::default().send(&with_chart, send, |message| warned = message.into()).unwrap();
            assert_eq!(response.status, 204);
            assert!(sent[0].starts_with("multipart/") && sent[1] == "application/json");
            assert!(warned.contains("without its chart"));
        }
    }

    #[test]
    fn answers_say_who_must_act() {
        assert_eq!(receipt(&answer(204, ""), 0).unwrap(), "HTTP status 204");
        let busy = receipt(&answer(429, r#"{"message": "slow", "retry_after": 0.357, "global": false}"#), 0);
        assert_eq!(busy, Err(Error::Busy(Some(357))));
        assert_eq!(receipt(&answer(429, "<html>"), 0), Err(Error::Busy(Some(2_000))));
        let gone = receipt(&answer(404, r#"{"message": "Unknown Webhook", "code": 10015}"#), 0);
        assert!(matches!(gone, Err(Error::Unauthorized(text)) if text.contains("Unknown Webhook")));
        assert!(matches!(receipt(&answer(502, ""), 0), Err(Error::Unavailable(_))));
    }
}
