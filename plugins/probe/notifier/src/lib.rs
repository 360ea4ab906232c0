//! A test guest: a notifier whose receipt is all that it was told, or what became of a mail.

use anomd_notifier::{Alert, Descriptor, Error, Notifier, export_notifier, mail};
use serde::Deserialize;

struct Probe;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    to: Option<String>,
}

impl Notifier for Probe {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "probe".into(),
            version: "0.1.0".into(),
            summary: "A test guest".into(),
            config_schema: r#"{"type": "object"}"#.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        let Some(to) = &config.to else { return Ok(format!("{alert:?}")) };
        let message = mail::Message {
            id: alert.id.clone(),
            to: vec![to.clone()],
            subject: alert.title.clone(),
            text: alert.body.clone(),
            html: None,
            attachments: vec![],
        };
        match mail::send(&message) {
            Ok(()) => Ok("sent".into()),
            Err(mail::Fault::Denied(why)) => Err(Error::Unsupported(why)),
            Err(mail::Fault::Invalid(why)) => Err(Error::BadConfig(why)),
            Err(mail::Fault::Transport(why)) => Err(Error::Unavailable(why)),
        }
    }
}

export_notifier!(Probe);
