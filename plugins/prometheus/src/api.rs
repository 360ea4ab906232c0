//! Requests to the server, and what their failures mean.

use std::cell::Cell;

use anomd_ingester::http::{self, Method, Request, Response, Target};
use anomd_ingester::{Error, Level};

use crate::config::{Auth, Config};
use crate::response::{self, Refusal};

/// What this plugin needs of its host; tests have one of their own.
pub trait Host {
    fn send(&self, request: &Request) -> Result<Response, http::Fault>;
    fn log(&self, level: Level, message: &str);
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64;
}

/// Why a request gave nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The answer would be larger than somebody allows: ask for less of it.
    TooMuch(String),
    /// This request failed; others need not.
    One(Error),
    /// Every other request would fail the same way.
    All(Error),
}

/// A longer URL becomes a form that is posted: proxies cut at 2 to 8 kB.
const LONGEST_URL: usize = 2000;

/// The HTTP API of one server.
pub struct Api<'a> {
    pub host: &'a dyn Host,
    pub base: &'a str,
    pub config: &'a Config,
    /// The server answered a POST with 405, so long queries have to go by GET.
    pub post_refused: Cell<bool>,
}

impl Api<'_> {
    /// One request; any status is an answer. `path` begins with `/api/v1/`.
    pub fn send(&self, path: &str, params: &[(&str, &str)]) -> Result<Response, Failure> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let url = format!("{}{path}", self.base);
        if url.len() + 1 + form.len() > LONGEST_URL && !self.post_refused.get() {
            let answer = self.request(Method::Post, url.clone(), form.clone().into_bytes())?;
            if answer.status != 405 {
                return Ok(answer);
            }
            self.post_refused.set(true);
        }
        let url = if form.is_empty() { url } else { format!("{url}?{form}") };
        self.request(Method::Get, url, Vec::new())
    }

    /// [`Self::send`], and an answer that has data, or the failure it stands for.
    pub fn ask(&self, path: &str, params: &[(&str, &str)]) -> Result<Response, Failure> {
        let response = self.send(path, params)?;
        match self.refusal(path, &response) {
            Some(failure) => Err(failure),
            None => Ok(response),
        }
    }

    fn request(&self, method: Method, url: String, body: Vec<u8>) -> Result<Response, Failure> {
        let mut headers: Vec<_> = vec![("Accept".to_owned(), "application/json".to_owned())];
        headers.extend(self.config.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        if method == Method::Post {
            headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
        }
        let auth = match self.config.auth() {
            Auth::None => None,
            Auth::Basic => Some(http::Auth::Basic((self.config.username.clone(), "password".into()))),
            Auth::Bearer => Some(http::Auth::Bearer("token".into())),
        };
        let request = Request {
            method,
            target: Target::Url(url),
            headers,
            auth,
            blanks: Vec::new(),
            body,
            // A little more than the server is given, so that it can say what took so long.
            timeout_ms: Some(self.config.timeout.millis().saturating_add(1000)),
        };
        self.host.send(&request).map_err(|fault| match fault {
            http::Fault::Denied(text) | http::Fault::Invalid(text) => Failure::All(Error::BadConfig(text)),
            http::Fault::Timeout => {
                Failure::One(Error::Unavailable(format!("{} did not answer within {}", self.base, self.config.timeout)))
            }
            http::Fault::TooLarge(limit) => {
                Failure::TooMuch(format!("the answer is larger than the limit of {limit} bytes"))
            }
            http::Fault::Transport(text) => Failure::All(Error::Unavailable(format!("{}: {text}", self.base))),
        })
    }

    /// What an answer without data means.
    fn refusal(&self, path: &str, response: &Response) -> Option<Failure> {
        let said = match response::open(&response.body) {
            Ok(_) if response.is_success() => return None,
            Err(Refusal::Api { kind, text }) => Some((kind, text)),
            Ok(_) | Err(_) => None,
        };
        Some(match (response.status, said) {
            (401, _) => Failure::All(Error::Unauthorized(self.unauthorized(response))),
            (403, _) => Failure::One(Error::Unauthorized(self.unauthorized(response))),
            (429, _) => Failure::One(Error::Busy(response.retry_after(self.host.now()))),
            (503, _) if response.header("Retry-After").is_some() => {
                Failure::One(Error::Busy(response.retry_after(self.host.now())))
            }
            // The status says less than the API's own word: 422 is an error of execution.
            (200..300 | 400 | 422 | 500.., Some((kind, text))) => by_kind(&kind, text),
            (404, _) => Failure::All(Error::BadConfig(format!(
                "{}{path} is not there (404): is `url` the address of a Prometheus server, without the path of its \
                 API?",
                self.base
            ))),
            (300..400, _) => Failure::All(Error::BadConfig(format!(
                "{}{path} is elsewhere, at {:?}: redirects are not followed, so give that address as `url`",
                self.base,
                response.header("Location").unwrap_or_default()
            ))),
            (200..300, None) if !response.body.trim_ascii_start().starts_with(b"{") => {
                Failure::All(Error::BadConfig(format!(
                    "{}{path} does not answer as a Prometheus server does: is `url` right? It says: {}",
                    self.base,
                    response.excerpt()
                )))
            }
            (200..300, None) => Failure::One(Error::Unavailable(format!(
                "{}{path} gave an answer that cannot be read: {}",
                self.base,
                response.excerpt()
            ))),
            _ => Failure::One(response.refusal(self.host.now())),
        })
    }

    fn unauthorized(&self, response: &Response) -> String {
        let used = match self.config.auth() {
            Auth::None => "no credentials were sent: set `username` and the secret `password`, or `auth: bearer` and \
                           the secret `token`"
                .to_owned(),
            Auth::Basic => format!("sent were the user name {:?} and the secret `password`", self.config.username),
            Auth::Bearer => "sent was the secret `token`".to_owned(),
        };
        match response.excerpt() {
            said if said.is_empty() => format!("HTTP status {}; {used}", response.status),
            said => format!("HTTP status {}: {said}; {used}", response.status),
        }
    }
}

/// What the API's `errorType` means.
fn by_kind(kind: &str, text: String) -> Failure {
    let said = if kind.is_empty() { text } else { format!("{kind}: {text}") };
    match kind {
        // `--query.max-samples`: a shorter range may do.
        "execution" if said.contains("too many samples") => Failure::TooMuch(said),
        "bad_data" => Failure::One(Error::BadConfig(said)),
        "execution" | "not_acceptable" | "not_found" => Failure::One(Error::Unsupported(said)),
        _ => Failure::One(Error::Unavailable(said)),
    }
}
