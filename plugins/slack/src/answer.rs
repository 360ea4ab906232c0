//! What Slack's answers mean for the one who must act.
//!
//! The methods answer 200 to nearly everything, with `ok` and the name of an error inside.
//! Incoming webhooks answer with a status and the name of an error as text.

use anomd_notifier::{Error, http};
use serde::Deserialize;

/// The answer of a method: the fields of those that are called here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Whether it did what was asked.
    pub ok: bool,
    /// Why not.
    pub error: String,
    /// The scope that the token lacks.
    pub needed: Option<String>,
    /// `chat.postMessage`: the id of the channel.
    pub channel: Option<String>,
    /// `chat.postMessage`: the message.
    pub ts: String,
    /// `conversations.list`: one page.
    pub channels: Vec<Channel>,
    /// `conversations.list`: where the next page begins.
    pub response_metadata: Metadata,
    /// `files.getUploadURLExternal`: where the bytes go.
    pub upload_url: String,
    /// `files.getUploadURLExternal`: the file.
    pub file_id: String,
}

/// A channel of a page.
#[derive(Debug, Deserialize)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Its name, without `#`; direct messages have none.
    #[serde(default)]
    pub name: String,
}

/// What stands beside a page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Empty: there is no further page.
    pub next_cursor: String,
}

/// Reads what a method answered, which may be that it did nothing.
pub fn read(response: &http::Response, now: i64) -> Result<Answer, Error> {
    if !response.is_success() {
        return Err(response.refusal(now));
    }
    serde_json::from_slice(&response.body).map_err(|_| no_answer(response))
}

fn no_answer(response: &http::Response) -> Error {
    Error::Unavailable(format!("no answer of Slack's: {}", response.excerpt()))
}

/// What it means that a method did nothing.
pub fn refusal(answer: &Answer, response: &http::Response, channel: &str, now: i64) -> Error {
    let error = answer.error.as_str();
    match error {
        "ratelimited" | "rate_limited" => Error::Busy(response.retry_after(now)),
        "missing_scope" => {
            let needed = answer.needed.as_deref().unwrap_or("chat:write");
            Error::Unauthorized(format!("the bot token lacks the scope {needed}: add it and install the app again"))
        }
        "access_denied"
        | "account_inactive"
        | "ekm_access_denied"
        | "invalid_auth"
        | "no_permission"
        | "not_authed"
        | "not_allowed_token_type"
        | "org_login_required"
        | "team_access_not_granted"
        | "token_expired"
        | "token_revoked" => Error::Unauthorized(format!("Slack answered {error}: check the secret bot_token")),
        "fatal_error" | "internal_error" | "request_timeout" | "service_unavailable" | "team_added_to_org" => {
            Error::Unavailable(format!("Slack answered {error}"))
        }
        "channel_not_found" => Error::BadConfig(format!(
            "Slack knows no channel {channel}, or the bot may not see it: correct channel, or invite the bot"
        )),
        "not_in_channel" => Error::BadConfig(format!("the bot is no member of {channel}: invite it there")),
        "is_archived" => Error::BadConfig(format!("channel {channel} is archived: name another")),
        "invalid_blocks" | "invalid_blocks_format" | "invalid_json" | "msg_too_long" | "no_text" => {
            Error::Internal(format!("Slack did not take the message: {}", response.excerpt()))
        }
        "" => no_answer(response),
        _ => Error::BadConfig(format!("Slack did not post to {channel}: {error}")),
    }
}

/// The answer of an incoming webhook.
pub fn of_webhook(response: &http::Response, now: i64) -> Result<String, Error> {
    if response.is_success() {
        return Ok(response.excerpt());
    }
    let said = response.excerpt();
    Err(match (response.status, said.as_str()) {
        (_, "no_service" | "no_team" | "invalid_token" | "no_active_hooks") => {
            Error::Unauthorized(format!("Slack answered {said}: the webhook is gone, so make a new webhook_url"))
        }
        (
            _,
            "channel_not_found" | "channel_is_archived" | "posting_to_general_channel_denied" | "action_prohibited",
        ) => Error::BadConfig(format!("Slack answered {said}: make a webhook_url for another channel")),
        (400, _) => Error::Internal(format!("Slack did not take the message: {said}")),
        _ => response.refusal(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> http::Response {
        http::Response { status, headers: vec![("retry-after".into(), "30".into())], body: body.into() }
    }

    fn api(status: u16, body: &str) -> Result<String, Error> {
        let response = response(status, body);
        match read(&response, 0)? {
            answer if answer.ok => Ok(answer.ts),
            answer => Err(refusal(&answer, &response, "#ops", 0)),
        }
    }

    #[test]
    fn an_error_inside_a_200_is_an_error() {
        assert_eq!(api(200, r#"{"ok":true,"ts":"1.2"}"#).unwrap(), "1.2");
        let auth = api(200, r#"{"ok":false,"error":"invalid_auth"}"#).unwrap_err();
        assert_eq!(auth, Error::Unauthorized("Slack answered invalid_auth: check the secret bot_token".into()));
        let scope = api(200, r#"{"ok":false,"error":"missing_scope","needed":"chat:write.public"}"#).unwrap_err();
        assert!(matches!(scope, Error::Unauthorized(text) if text.contains("scope chat:write.public")));
        let channel = api(200, r#"{"ok":false,"error":"channel_not_found"}"#).unwrap_err();
        assert!(matches!(channel, Error::BadConfig(text) if text.contains("#ops")));
        assert!(matches!(api(200, r#"{"ok":false,"error":"new_thing"}"#), Err(Error::BadConfig(_))));
        assert!(matches!(api(200, r#"{"ok":false,"error":"internal_error"}"#), Err(Error::Unavailable(_))));
    }

    #[test]
    fn a_busy_slack_is_asked_again_when_it_says() {
        assert_eq!(api(429, ""), Err(Error::Busy(Some(30_000))));
        assert_eq!(api(200, r#"{"ok":false,"error":"ratelimited"}"#), Err(Error::Busy(Some(30_000))));
        assert_eq!(of_webhook(&response(429, ""), 0), Err(Error::Busy(Some(30_000))));
    }

    #[test]
    fn what_is_no_answer_of_slacks_is_tried_again() {
        assert!(matches!(api(200, "<html>proxy</html>"), Err(Error::Unavailable(text)) if text.contains("proxy")));
        assert!(matches!(api(502, ""), Err(Error::Unavailable(_))));
    }

    #[test]
    fn a_webhook_that_is_gone_has_to_be_made_anew() {
        let webhook = |status, body| of_webhook(&response(status, body), 0);
        assert_eq!(webhook(200, "ok").unwrap(), "ok");
        assert!(matches!(webhook(404, "no_service"), Err(Error::Unauthorized(text)) if text.contains("webhook_url")));
        assert!(matches!(webhook(410, "channel_is_archived"), Err(Error::BadConfig(_))));
        assert!(matches!(webhook(400, "invalid_payload"), Err(Error::Internal(_))));
        assert!(matches!(webhook(500, "rollup_error"), Err(Error::Unavailable(_))));
    }
}
