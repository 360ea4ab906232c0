//! A browser as far as the sign-in goes: it keeps cookies and says where its requests come
//! from. It runs no script.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::runtime::{block, client};

/// A browser on a page of a node.
#[derive(Debug)]
pub struct Visitor {
    url: String,
    cookies: BTreeMap<String, String>,
}

/// What a node answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers; `Set-Cookie` is apart.
    pub headers: BTreeMap<String, String>,
    /// `Set-Cookie`, as often as it came.
    pub set_cookies: Vec<String>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// A header; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The CSRF token of the forms on the page.
    pub fn csrf(&self) -> Option<String> {
        let (_, after) = self.text.split_once("name=\"csrf\" value=\"")?;
        Some(after.split_once('"')?.0.to_owned())
    }
}

impl Visitor {
    /// A new one, without cookies, for the node at an address.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), cookies: BTreeMap::new() }
    }

    /// Whether it has a session.
    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    /// Sends a request with the browser's cookies and these headers; keeps the cookies of the
    /// answer, and follows no detour.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let mut request = client().request(method.parse().unwrap(), format!("{}{path}", self.url));
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = block(async {
            let response = request.send().await.unwrap();
            let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
            let set_cookies = response.headers().get_all("set-cookie").iter().map(text).collect();
            let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let status = response.status().as_u16();
            let text = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
            Answer { status, headers, set_cookies, text }
        });
        for cookie in &answer.set_cookies {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Opens a page, or has a script of a page of the node read something.
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[("sec-fetch-site", "same-origin")], None)
    }

    /// Sends a form of a page of the node.
    pub fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = self.url.clone();
        self.submit_from(&origin, path, fields)
    }

    /// Sends a form of a page of this origin.
    pub fn submit_from(&mut self, origin: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = reqwest::Url::parse_with_params("http://form", fields).unwrap();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[("origin", origin), kind], form.query().map(str::to_owned))
    }

    /// Has a script of a page of the node change something.
    pub fn change(&mut self, method: &str, path: &str, csrf: &str, body: &Value) -> Answer {
        let site = ("sec-fetch-site", "same-origin");
        let kind = ("content-type", "application/json");
        self.send(method, path, &[site, kind, ("x-csrf-token", csrf)], Some(body.to_string()))
    }

    /// Signs in with a token.
    pub fn sign_in(&mut self, token: &str) -> Answer {
        self.submit("/sign-in", &[("token", token)])
    }
}
