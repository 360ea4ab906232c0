//! A stream of server-sent events, as a browser hears it.

use serde_json::Value;

use crate::runtime::{block, client};

/// A stream that is open.
#[derive(Debug)]
pub struct Live {
    response: reqwest::Response,
    text: String,
}

/// An event of it.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its number, where it has one.
    pub id: String,
    /// What it says.
    pub data: Value,
}

impl Live {
    /// Listens at an address; `last`: the last event that was heard before.
    #[track_caller]
    pub fn open(address: &str, token: Option<&str>, last: Option<&str>) -> Self {
        Self::try_open(address, token, last).unwrap_or_else(|status| panic!("{address}: {status}"))
    }

    /// The same; the status where it is refused.
    pub fn try_open(address: &str, token: Option<&str>, last: Option<&str>) -> Result<Self, u16> {
        let mut request = client().get(address);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = block(async { request.send().await.unwrap() });
        if response.status() != 200 {
            return Err(response.status().as_u16());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, text: String::new() })
    }

    /// Waits for the first event that is wanted; those before it are passed over.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        block(async {
            let heard = tokio::time::timeout(std::time::Duration::from_secs(60), async {
                loop {
                    while let Some((event, rest)) = self.text.split_once("\n\n") {
                        let (event, rest) = (parse(event), rest.to_owned());
                        self.text = rest;
                        if wanted(&event) {
                            return event;
                        }
                    }
                    let part = self.response.chunk().await.unwrap();
                    let part = part.unwrap_or_else(|| panic!("the stream ended before {what}"));
                    self.text.push_str(&String::from_utf8_lossy(&part));
                }
            });
            heard.await.unwrap_or_else(|_| panic!("waited a minute in vain: {what}"))
        })
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(':') {
            Some(("event", name)) => event.name = name.trim().to_owned(),
            Some(("id", id)) => event.id = id.trim().to_owned(),
            Some(("data", data)) => event.data = serde_json::from_str(data.trim()).unwrap(),
            _ => {}
        }
    }
    event
}
