//! Tells a Slack channel: as a bot (`chat.postMessage`) or through an incoming webhook.
//!
//! A guest cannot see whether a secret slot is filled, so the configuration says which way
//! is taken. Slack has no idempotency key: an attempt whose answer was lost is repeated, and
//! the channel may see a message twice. As a bot, that an alert is over is said in the thread
//! of the message that told it; through a webhook, in a message of its own.

mod answer;
mod bot;
mod host;
mod message;
mod mrkdwn;

use anomd_notifier::http::{Method, Request, Target};
use anomd_notifier::{Alert, Descriptor, Error, Notifier, Problem, SecretSlot, clock, export_notifier, http};
use serde::Deserialize;

/// The component.
pub struct Slack;

/// Its configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which way is taken.
    pub via: Via,
    /// Where a bot posts: a name or an id.
    pub channel: Option<String>,
    /// Where Slack's methods are.
    pub api_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { via: Via::Bot, channel: None, api_url: "https://slack.com/api".into() }
    }
}

/// A way to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// A bot token, and a channel by name.
    Bot,
    /// An incoming webhook, which has its channel.
    Webhook,
}

const NO_CHANNEL: &str = "a bot needs a channel: add channel, or set via: webhook";

/// The request to an incoming webhook; the same for every attempt.
fn to_webhook(alert: &Alert) -> Request {
    Request {
        method: Method::Post,
        target: Target::Secret("webhook_url".into()),
        headers: vec![("Content-Type".into(), "application/json; charset=utf-8".into())],
        auth: None,
        blanks: vec![],
        body: message::json(alert).to_string().into_bytes(),
        timeout_ms: None,
    }
}

impl Notifier for Slack {
    type Config = Config;

    fn describe() -> Descriptor {
        let slot = |name: &str, purpose: &str| SecretSlot { name: name.into(), purpose: purpose.into() };
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Tells a Slack channel, as a bot or through an incoming webhook".into(),
            config_schema: include_str!("schema.json").into(),
            origins: [
                "https://slack.com",
                "https://hooks.slack.com",
                // Where charts are uploaded to.
                "https://files.slack.com",
                "{{config.api_url}}",
            ]
            .map(Into::into)
            .into(),
            secrets: vec![
                slot(
                    "bot_token",
                    "A bot token (xoxb-…) with the scopes chat:write and, for charts, files:write; used with via: bot",
                ),
                slot("webhook_url", "The URL of an incoming webhook; used with via: webhook"),
            ],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        let problem = |message: &str| vec![Problem { pointer: "/channel".into(), message: message.into() }];
        match (config.via, &config.channel) {
            (Via::Bot, None) => problem(NO_CHANNEL),
            (Via::Webhook, Some(_)) => problem("an incoming webhook has its own channel: remove channel, or via"),
            (Via::Bot, Some(_)) | (Via::Webhook, None) => Vec::new(),
        }
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        match config.via {
            Via::Bot => {
                let channel = config.channel.as_deref().ok_or_else(|| Error::BadConfig(NO_CHANNEL.into()))?;
                bot::Bot { host: &host::Imports, api_url: &config.api_url, channel }.deliver(alert)
            }
            Via::Webhook => answer::of_webhook(&http::send(&to_webhook(alert))?, clock::now()),
        }
    }
}

export_notifier!(Slack);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_url_of_a_webhook_is_a_secret_that_only_the_host_knows() {
        let request = to_webhook(&message::tests::alert());
        assert_eq!((request.target, request.auth), (Target::Secret("webhook_url".into()), None));
    }

    #[test]
    fn the_channel_belongs_to_the_bot() {
        let pointers = |json| Slack::check(&config(json)).into_iter().map(|p| p.pointer).collect::<Vec<_>>();
        assert_eq!(pointers("{}"), ["/channel"]);
        assert_eq!(pointers(r#"{"via": "webhook", "channel": "ops"}"#), ["/channel"]);
        assert!(pointers(r#"{"channel": "ops"}"#).is_empty());
    }
}
