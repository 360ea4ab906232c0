//! The other end of a webhook.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::runtime::{Task, serve};

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its path.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
    /// What was answered; 0: nothing.
    pub status: u16,
}

impl Received {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header; fails the test where it is missing.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }
}

#[derive(Debug)]
struct Book {
    received: Vec<Received>,
    /// The next answers, the very next one last.
    answers: Vec<u16>,
    body: String,
}

/// Takes every request, keeps it, and answers with 200 as Slack's API does, unless told otherwise.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    book: Arc<Mutex<Book>>,
    _task: Task,
}

impl Receiver {
    /// Starts one.
    pub fn start() -> Self {
        let body = r#"{"ok":true,"ts":"1.0"}"#.to_owned();
        let book = Arc::new(Mutex::new(Book { received: Vec::new(), answers: Vec::new(), body }));
        let (address, task) = serve(Router::new().fallback(take).with_state(book.clone()));
        Self { address, book, _task: task }
    }

    /// The address of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Says this where it answers with 200.
    pub fn say(&self, body: &str) {
        self.book.lock().unwrap().body = body.to_owned();
    }

    /// Answers the next requests with these codes; 0 is no answer at all, however long one waits.
    pub fn answer(&self, codes: &[u16]) {
        self.book.lock().unwrap().answers = codes.iter().rev().copied().collect();
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.book.lock().unwrap().received.clone()
    }
}

async fn take(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let (status, answer) = {
        let mut book = book.lock().unwrap();
        let status = book.answers.pop().unwrap_or(200);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        book.received.push(Received { path: uri.path().to_owned(), headers, body: body.to_vec(), status });
        (status, if status == 200 { book.body.clone() } else { "not now".to_owned() })
    };
    match StatusCode::from_u16(status) {
        Ok(status) => (status, answer),
        Err(_) => std::future::pending().await,
    }
}
