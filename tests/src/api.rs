//! The API of a node, as a program sees it.

use serde_json::Value;

use crate::runtime::{block, client};

/// A client with a token, or without one.
#[derive(Clone, Debug)]
pub struct Api {
    url: String,
    token: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The media type.
    pub kind: String,
    /// The body as JSON; null where it is none.
    pub json: Value,
    /// The body.
    pub text: String,
}

impl Api {
    /// A client of the node at an address, `http://127.0.0.1:8700`.
    pub fn new(url: &str, token: Option<&str>) -> Self {
        Self { url: url.to_owned(), token: token.map(str::to_owned) }
    }

    /// Sends a request, with a JSON body or a text.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path);
        answer(match body {
            Some(Value::String(text)) => request.header("content-type", "application/yaml").body(text.clone()),
            Some(json) => request.header("content-type", "application/json").body(json.to_string()),
            None => request,
        })
    }

    /// A `GET`.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    /// A `GET` that says which media type it would like.
    pub fn get_as(&self, path: &str, accept: &str) -> Reply {
        answer(self.request("GET", path).header("accept", accept))
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = client().request(method.parse().unwrap(), format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

fn answer(request: reqwest::RequestBuilder) -> Reply {
    block(async {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_owned();
        let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
        Reply { status, kind, json: serde_json::from_str(&text).unwrap_or_default(), text }
    })
}
