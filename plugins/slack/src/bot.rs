//! Posting as a bot: the message, the thread that it belongs to, and the chart.
//!
//! Kept in `kv`, both small texts: `channel/NAME`, the id of a channel that had to be looked
//! up; `thread/INCIDENT/CHANNEL`, the message that an incident was told with, until it is
//! told that it is over. What cannot be kept or was lost costs the thread, not the message.

use anomd_notifier::http::{Auth, Method, Request, Response, Target};
use anomd_notifier::text::{line, shortened};
use anomd_notifier::{Alert, Error, State};
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use crate::answer::{self, Answer};
use crate::host::Host;
use crate::message;

/// Pages of channels that are read at most, of up to 1000 channels each.
const PAGES: usize = 50;

/// A bot, and where it posts.
pub struct Bot<'a> {
    /// The host.
    pub host: &'a dyn Host,
    /// Where Slack's methods are.
    pub api_url: &'a str,
    /// The channel as the operator names it.
    pub channel: &'a str,
}

/// A message that was posted.
struct Posted {
    /// The id of its channel, as far as it is known.
    channel: String,
    ts: String,
}

impl Bot<'_> {
    /// Posts the message, then its chart below it. A chart that does not get through is
    /// told by the log and the receipt, and does not fail the delivery.
    pub fn deliver(&self, alert: &Alert) -> Result<String, Error> {
        let key = format!("thread/{}/{}", alert.incident, self.channel);
        let kept = match alert.state {
            State::Resolved => self.host.recall(&key),
            State::Firing => None,
        };
        let thread = kept.as_deref().and_then(Posted::parse);
        let posted = self.post(alert, thread.as_ref())?;
        match (alert.state, &kept) {
            // A repeat is told in the channel, and the end belongs to what was told last.
            (State::Firing, _) => self.remember(&key, &posted.text()),
            (State::Resolved, Some(kept)) => self.host.forget(&key, kept),
            (State::Resolved, None) => {}
        }
        let mut receipt = format!("posted to {} as {}", self.channel, posted.ts);
        if let Some(png) = &alert.chart {
            // A file belongs to the first message of a thread, never to an answer in it.
            match self.upload(png, &line(alert), thread.as_ref().unwrap_or(&posted)) {
                Ok(()) => receipt += ", with its chart",
                Err(error) => {
                    self.host.warn(&format!("the chart was not uploaded to {}: {}", self.channel, error.text()));
                    receipt += &format!(", without its chart: {}", error.text());
                }
            }
        }
        Ok(receipt)
    }

    /// Keeps the message of an incident. One that is never told to be over leaves its own for
    /// ever, so where there is no room the older half of some goes.
    fn remember(&self, key: &str, text: &str) {
        if self.host.keep(key, text) {
            return;
        }
        let when = |text: &str| Posted::parse(text).and_then(|posted| posted.ts.parse::<f64>().ok()).unwrap_or(0.0);
        let keys = self.host.kept("thread/").into_iter();
        let mut threads: Vec<(String, String)> =
            keys.filter_map(|key| self.host.recall(&key).map(|text| (key, text))).collect();
        threads.sort_by(|(_, a), (_, b)| when(a).total_cmp(&when(b)));
        threads.truncate(threads.len().div_ceil(2));
        threads.iter().for_each(|(key, text)| self.host.forget(key, text));
        self.host.keep(key, text);
    }

    /// `chat.postMessage`. Slack takes most names of channels as they are; one that it does
    /// not know so is looked up.
    fn post(&self, alert: &Alert, thread: Option<&Posted>) -> Result<Posted, Error> {
        let kept = format!("channel/{}", self.channel);
        let mut thread = thread;
        let mut found: Option<String> = None;
        let mut channel = match thread {
            Some(thread) => thread.channel.clone(),
            None => self.host.recall(&kept).unwrap_or_else(|| self.channel.to_owned()),
        };
        loop {
            let mut body = message::json(alert);
            body["channel"] = channel.as_str().into();
            if let Some(thread) = thread {
                body["thread_ts"] = thread.ts.as_str().into();
                // Who reads the channel only has to see that it is over.
                body["reply_broadcast"] = true.into();
            }
            let (answer, response) = self.json("chat.postMessage", &body)?;
            if answer.ok {
                if let Some(id) = &found {
                    self.host.keep(&kept, id);
                }
                return Ok(Posted { channel: answer.channel.unwrap_or(channel), ts: answer.ts });
            }
            match answer.error.as_str() {
                "channel_not_found" if found.is_none() && !is_id(self.channel) => {
                    let id = self.look_up()?;
                    channel = found.insert(id).clone();
                    thread = None;
                }
                // The message was deleted, say.
                "thread_not_found" | "invalid_thread_ts" | "cannot_reply_to_message" if thread.is_some() => {
                    thread = None;
                }
                _ => return Err(answer::refusal(&answer, &response, self.channel, self.host.now())),
            }
        }
    }

    /// The id of the channel by its name: every page of `conversations.list`, up to a bound.
    fn look_up(&self) -> Result<String, Error> {
        let name = self.channel.trim_start_matches('#');
        let mut types = "public_channel,private_channel";
        let mut cursor = String::new();
        let mut pages = 0;
        while pages < PAGES {
            let mut form = vec![("types", types), ("exclude_archived", "true"), ("limit", "1000")];
            if !cursor.is_empty() {
                form.push(("cursor", &cursor));
            }
            let (answer, response) = self.form("conversations.list", &form)?;
            match answer.error.as_str() {
                _ if answer.ok => {}
                "missing_scope" if types.contains("private") => {
                    types = "public_channel";
                    continue;
                }
                "missing_scope" => {
                    return Err(Error::BadConfig(format!(
                        "Slack knows no channel {} by name: give its id as channel, or give the bot token the scope \
                         channels:read (and groups:read for private channels), so that it can be looked up",
                        self.channel
                    )));
                }
                _ => return Err(answer::refusal(&answer, &response, self.channel, self.host.now())),
            }
            if let Some(channel) = answer.channels.into_iter().find(|channel| channel.name.eq_ignore_ascii_case(name)) {
                return Ok(channel.id);
            }
            cursor = answer.response_metadata.next_cursor;
            pages += 1;
            if cursor.is_empty() {
                return Err(Error::BadConfig(format!(
                    "Slack knows no channel {}, or the bot may not see it: correct channel, or invite the bot",
                    self.channel
                )));
            }
        }
        Err(Error::BadConfig(format!(
            "{} is not among the first {PAGES} pages of channels: give its id as channel",
            self.channel
        )))
    }

    /// Uploads a PNG into the thread of a message, as Slack wants it: ask for a place, send
    /// the bytes there, say whom they are for.
    fn upload(&self, png: &[u8], about: &str, thread: &Posted) -> Result<(), Error> {
        let (length, about) = (png.len().to_string(), shortened(about, 1000));
        let form = [("filename", "chart.png"), ("length", length.as_str()), ("alt_txt", about.as_str())];
        let (place, response) = self.form("files.getUploadURLExternal", &form)?;
        self.done(&place, &response)?;
        let sent = self.host.send(&Request {
            method: Method::Post,
            target: Target::Url(place.upload_url),
            headers: vec![("Content-Type".into(), "image/png".into())],
            // The URL itself is the permission; the token stays here.
            auth: None,
            blanks: vec![],
            body: png.to_vec(),
            timeout_ms: None,
        })?;
        if !sent.is_success() {
            return Err(sent.refusal(self.host.now()));
        }
        let (done, response) = self.json(
            "files.completeUploadExternal",
            &json!({
                "files": [{"id": place.file_id, "title": about}],
                "channel_id": thread.channel,
                "thread_ts": thread.ts,
            }),
        )?;
        self.done(&done, &response)
    }

    fn done(&self, answer: &Answer, response: &Response) -> Result<(), Error> {
        match answer.ok {
            true => Ok(()),
            false => Err(answer::refusal(answer, response, self.channel, self.host.now())),
        }
    }

    fn json(&self, method: &str, body: &Value) -> Result<(Answer, Response), Error> {
        self.call(method, "application/json; charset=utf-8", body.to_string())
    }

    /// Some methods read forms only.
    fn form(&self, method: &str, pairs: &[(&str, &str)]) -> Result<(Answer, Response), Error> {
        let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.call(method, "application/x-www-form-urlencoded", body)
    }

    fn call(&self, method: &str, media_type: &str, body: String) -> Result<(Answer, Response), Error> {
        let response = self.host.send(&Request {
            method: Method::Post,
            target: Target::Url(format!("{}/{method}", self.api_url.trim_end_matches('/'))),
            headers: vec![("Content-Type".into(), media_type.into())],
            auth: Some(Auth::Bearer("bot_token".into())),
            blanks: vec![],
            body: body.into_bytes(),
            timeout_ms: None,
        })?;
        Ok((answer::read(&response, self.host.now())?, response))
    }
}

impl Posted {
    fn text(&self) -> String {
        format!("{} {}", self.channel, self.ts)
    }

    fn parse(text: &str) -> Option<Self> {
        let (channel, ts) = text.rsplit_once(' ')?;
        Some(Self { channel: channel.into(), ts: ts.into() })
    }
}

/// Whether a channel is named by its id: `C0NF841BK`.
fn is_id(channel: &str) -> bool {
    channel.len() >= 9
        && channel.starts_with(['C', 'D', 'G', 'U'])
        && channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
