//! The environment variables of Anomstack's mail account and Slack bot.
//!
//! They fill in what `anomd.yaml` and the notifiers' configurations leave open. The bot's
//! token is the tenant `default`'s secret, and is only ever sent to Slack.

use serde_json::{Map, Value};

use super::environment::Environment;
use super::prometheus::fill_open;
use super::section::split_list;
use super::{Mail, MailSecurity, Secret, Tenant};

/// The mail account, where the environment names a server and a sender.
pub(super) fn mail(environment: &Environment) -> Option<Mail> {
    let host = environment.get("ANOMSTACK_ALERT_EMAIL_SMTP_HOST")?;
    let from = environment.get("ANOMSTACK_ALERT_EMAIL_FROM")?;
    let port = environment.get("ANOMSTACK_ALERT_EMAIL_SMTP_PORT").and_then(|port| port.parse().ok()).unwrap_or(587);
    let password = environment.get("ANOMSTACK_ALERT_EMAIL_PASSWORD");
    Some(Mail {
        host: host.to_owned(),
        port,
        security: if port == 465 { MailSecurity::Tls } else { MailSecurity::Starttls },
        login: password.map(|password| (from.to_owned(), Secret::new(password))),
        from: from.to_owned(),
        ca_file: None,
    })
}

/// Fills in the recipients of `email`, and the channel of `slack`.
pub(super) fn fill_notifier(plugin: &str, config: &mut Map<String, Value>, environment: &Environment) {
    match plugin {
        "email" => {
            fill_open(config, "to", || environment.get("ANOMSTACK_ALERT_EMAIL_TO").map(|to| split_list(to).into()));
        }
        "slack" if config.get("via").is_none_or(|via| via == "bot") => {
            fill_open(config, "channel", || environment.get("ANOMSTACK_SLACK_CHANNEL").map(Value::from));
        }
        _ => {}
    }
}

/// Adds the bot's token to a tenant's secrets, unless it has one.
pub(super) fn fill_tenant(tenant: &mut Tenant, environment: &Environment) {
    let Some(token) = environment.get("ANOMSTACK_SLACK_BOT_TOKEN") else { return };
    let slack = || (Secret::new(token), vec!["https://slack.com".to_owned()]);
    tenant.secrets.entry("bot_token".to_owned()).or_insert_with(slack);
}
