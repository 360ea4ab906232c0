use std::cell::RefCell;
use std::collections::BTreeMap;

use anomd_notifier::http;

use super::*;
use crate::message::tests::alert;

/// A workspace with one channel, `#ops`, that is known by its id alone.
struct Workspace {
    /// Names of the channels before it, a page each.
    before: usize,
    /// Whether Slack takes the name too.
    by_name: bool,
    /// Keys that there is room for.
    room: usize,
    /// What the upload of bytes is answered with.
    upload: u16,
    sent: RefCell<Vec<(String, String)>>,
    kept: RefCell<BTreeMap<String, String>>,
    warned: RefCell<Vec<String>>,
}

impl Workspace {
    fn new() -> Self {
        Self {
            before: 0,
            by_name: true,
            room: usize::MAX,
            upload: 200,
            sent: RefCell::default(),
            kept: RefCell::default(),
            warned: RefCell::default(),
        }
    }

    fn deliver(&self, alert: &Alert) -> Result<String, Error> {
        Bot { host: self, api_url: "https://slack.com/api", channel: "#ops" }.deliver(alert)
    }

    /// The requests so far, the last part of each URL.
    fn calls(&self) -> Vec<String> {
        self.sent.borrow().iter().map(|(url, _)| url.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// The newest body that a method got, as JSON.
    fn body(&self, method: &str) -> Value {
        let sent = self.sent.borrow();
        let (_, body) = sent.iter().rfind(|(url, _)| url.ends_with(method)).unwrap();
        serde_json::from_str(body).unwrap()
    }

    fn answer(&self, method: &str, body: &str) -> (u16, Value) {
        let posts = self.calls().iter().filter(|call| *call == "chat.postMessage").count();
        let answer = match method {
            "chat.postMessage" => {
                let message: Value = serde_json::from_str(body).unwrap();
                match message["channel"].as_str().unwrap() {
                    _ if message["thread_ts"] == "gone" => json!({"ok": false, "error": "thread_not_found"}),
                    "#ops" if !self.by_name => json!({"ok": false, "error": "channel_not_found"}),
                    "#ops" | "C00000OPS" => json!({"ok": true, "channel": "C00000OPS", "ts": posts.to_string()}),
                    other => panic!("posted to {other}"),
                }
            }
            "conversations.list" => {
                let pairs: BTreeMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                let page: usize = pairs.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
                match page {
                    last if last == self.before => {
                        json!({"ok": true, "channels": [{"id": "C00000OPS", "name": "ops"}]})
                    }
                    page => json!({
                        "ok": true,
                        "channels": [{"id": format!("C{page:08}"), "name": format!("other{page}")}],
                        "response_metadata": {"next_cursor": (page + 1).to_string()},
                    }),
                }
            }
            "files.getUploadURLExternal" => {
                json!({"ok": true, "upload_url": "https://files.slack.com/upload/v1/x", "file_id": "F1"})
            }
            "x" => return (self.upload, Value::Null),
            "files.completeUploadExternal" => json!({"ok": true, "files": [{"id": "F1"}]}),
            other => panic!("no method {other}"),
        };
        (200, answer)
    }
}

impl Host for Workspace {
    fn send(&self, request: &Request) -> Result<Response, http::Fault> {
        let Target::Url(url) = &request.target else { panic!("{:?}", request.target) };
        assert_eq!(request.auth.is_some(), url.starts_with("https://slack.com/api/"), "{url}");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        self.sent.borrow_mut().push((url.clone(), body.clone()));
        let (status, answer) = self.answer(url.rsplit('/').next().unwrap(), &body);
        Ok(Response { status, headers: vec![], body: answer.to_string().into_bytes() })
    }

    fn recall(&self, key: &str) -> Option<String> {
        self.kept.borrow().get(key).cloned()
    }

    fn keep(&self, key: &str, text: &str) -> bool {
        let mut kept = self.kept.borrow_mut();
        let room = kept.len() < self.room || kept.contains_key(key);
        if room {
            kept.insert(key.into(), text.into());
        }
        room
    }

    fn kept(&self, prefix: &str) -> Vec<String> {
        self.kept.borrow().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    fn forget(&self, key: &str, text: &str) {
        assert_eq!(self.kept.borrow_mut().remove(key).as_deref(), Some(text));
    }

    fn warn(&self, message: &str) {
        self.warned.borrow_mut().push(message.into());
    }

    fn now(&self) -> i64 {
        0
    }
}

fn resolved() -> Alert {
    Alert { state: State::Resolved, ..alert() }
}

/// A workspace has thousands of channels, and Slack lists them in pages: whoever names a
/// channel wants it found wherever it stands.
#[test]
fn b20_slack_channels_beyond_the_first_page_are_found() {
    let workspace = Workspace { before: 3, by_name: false, ..Workspace::new() };
    workspace.deliver(&alert()).unwrap();
    let lists = |workspace: &Workspace| workspace.calls().iter().filter(|call| *call == "conversations.list").count();
    assert_eq!(lists(&workspace), 4);
    assert_eq!(workspace.body("chat.postMessage")["channel"], "C00000OPS");
    workspace.deliver(&alert()).unwrap();
    assert_eq!(lists(&workspace), 4, "what was found is known from then on");

    let endless = Workspace { before: usize::MAX, by_name: false, ..Workspace::new() };
    assert!(matches!(endless.deliver(&alert()), Err(Error::BadConfig(text)) if text.contains("give its id")));
    assert_eq!(lists(&endless), PAGES);
}

#[test]
fn a_channel_that_slack_knows_is_posted_to_at_once() {
    let workspace = Workspace::new();
    assert_eq!(workspace.deliver(&alert()).unwrap(), "posted to #ops as 1");
    assert_eq!(workspace.calls(), ["chat.postMessage"]);
    assert_eq!(workspace.body("chat.postMessage")["channel"], "#ops");
}

#[test]
fn that_it_is_over_is_said_in_the_thread_of_what_was_told() {
    let workspace = Workspace::new();
    workspace.deliver(&alert()).unwrap();
    assert_eq!(workspace.kept.borrow().get("thread/i1/#ops").map(String::as_str), Some("C00000OPS 1"));
    assert_eq!(workspace.body("chat.postMessage").get("thread_ts"), None);
    workspace.deliver(&resolved()).unwrap();
    let message = workspace.body("chat.postMessage");
    assert_eq!((&message["thread_ts"], &message["channel"]), (&json!("1"), &json!("C00000OPS")));
    assert_eq!(message["reply_broadcast"], true);
    assert!(workspace.kept.borrow().is_empty(), "nothing is kept of what is over");
}

#[test]
fn incidents_that_never_end_do_not_fill_the_store_for_good() {
    let workspace = Workspace { room: 4, ..Workspace::new() };
    for i in 1..=5 {
        workspace.deliver(&Alert { incident: format!("i{i}"), ..alert() }).unwrap();
    }
    assert_eq!(workspace.kept("thread/"), ["thread/i3/#ops", "thread/i4/#ops", "thread/i5/#ops"]);
}

#[test]
fn a_thread_that_is_gone_costs_the_thread_and_not_the_message() {
    let workspace = Workspace::new();
    workspace.keep("thread/i1/#ops", "C00000OPS gone");
    assert_eq!(workspace.deliver(&resolved()).unwrap(), "posted to #ops as 2");
    assert_eq!(workspace.body("chat.postMessage").get("thread_ts"), None);
    assert_eq!(Workspace::new().deliver(&resolved()).unwrap(), "posted to #ops as 1");
}

#[test]
fn the_chart_goes_below_the_message() {
    let workspace = Workspace::new();
    let with_chart = Alert { chart: Some(b"png".to_vec()), ..alert() };
    assert_eq!(workspace.deliver(&with_chart).unwrap(), "posted to #ops as 1, with its chart");
    let calls = ["chat.postMessage", "files.getUploadURLExternal", "x", "files.completeUploadExternal"];
    assert_eq!(workspace.calls(), calls);
    assert_eq!(workspace.sent.borrow()[2].1, "png");
    assert!(workspace.sent.borrow()[1].1.starts_with("filename=chart.png&length=3&alt_txt=cpu+is+unusual"));
    let shared = workspace.body("files.completeUploadExternal");
    assert_eq!((&shared["channel_id"], &shared["thread_ts"]), (&json!("C00000OPS"), &json!("1")));
    assert_eq!(shared["files"][0]["id"], "F1");

    workspace.deliver(&Alert { state: State::Resolved, ..with_chart }).unwrap();
    assert_eq!(workspace.body("files.completeUploadExternal")["thread_ts"], "1", "never to an answer in a thread");
}

#[test]
fn a_chart_that_does_not_get_through_loses_only_the_picture() {
    let workspace = Workspace { upload: 500, ..Workspace::new() };
    let receipt = workspace.deliver(&Alert { chart: Some(b"png".to_vec()), ..alert() }).unwrap();
    assert!(receipt.starts_with("posted to #ops as 1, without its chart: HTTP status 500"), "{receipt}");
    assert!(workspace.warned.borrow()[0].starts_with("the chart was not uploaded to #ops: HTTP status 500"));
}
