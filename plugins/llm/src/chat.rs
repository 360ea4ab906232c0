//! Chat completions, as OpenAI's API has them and many servers copy it.
//!
//! A request asks for structured output. A server that refuses it with 400 or 422 is asked
//! again in the older dialect: without `response_format`, and with `max_tokens`. An answer
//! that does not fit is told what is wrong, once.

use anomd_analyst::http::{self, Auth as Credentials, Method, Request, Response, Target};
use anomd_analyst::{Error, Usage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Config;
use crate::config::Auth;
use crate::prompt::{self, Task};

/// The slot of the key.
pub const KEY: &str = "openai_api_key";
/// The largest chart that is sent, in bytes: a request has to fit into the host's limit.
const CHART_BYTES: usize = 400 << 10;
/// Models that think take their time, in milliseconds; the host may allow less.
const TIME_MS: u32 = 600_000;
/// Characters of a refused answer that the model is shown again.
const SHOWN: usize = 4_000;
/// Bytes that are about a token, where the server does not count.
const TOKEN_BYTES: usize = 4;

/// The way to the server.
pub trait Server {
    /// Sends a request.
    fn send(&self, request: &Request) -> Result<Response, http::Fault>;
    /// Now, in milliseconds since the Unix epoch.
    fn now(&self) -> i64;
    /// A line for the operator.
    fn warn(&self, message: &str);
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// Nobody else would get one now.
    Server(Error),
    /// Only this question has none.
    Question(Error),
}

impl Failure {
    /// What the host is told.
    pub fn error(&self) -> &Error {
        match self {
            Self::Server(error) | Self::Question(error) => error,
        }
    }
}

/// A message of a conversation.
struct Message {
    role: &'static str,
    text: String,
    chart: Option<String>,
}

impl Message {
    fn text(role: &'static str, text: String) -> Self {
        Self { role, text, chart: None }
    }

    fn json(&self) -> Value {
        let content = match &self.chart {
            None => Value::from(self.text.as_str()),
            Some(chart) => json!([
                {"type": "text", "text": self.text},
                {"type": "image_url", "image_url": {"url": chart}},
            ]),
        };
        json!({"role": self.role, "content": content})
    }
}

/// Questions to one model, and what they cost.
pub struct Chat<'a, S> {
    config: &'a Config,
    server: &'a S,
    model: &'a str,
    /// Whether the server takes the older dialect only.
    older: bool,
    usage: Usage,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Reply,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    content: Value,
    refusal: Option<String>,
}

impl<'a, S: Server> Chat<'a, S> {
    pub fn new(config: &'a Config, server: &'a S, model: &'a str) -> Self {
        Self { config, server, model, older: false, usage: Usage { calls: 0, input_tokens: 0, output_tokens: 0 } }
    }

    /// The model that is asked.
    pub fn model(&self) -> &str {
        self.model
    }

    /// What was used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Asks, and reads the answer; one that cannot be read is told why, once.
    pub fn ask<T>(
        &mut self,
        task: Task,
        text: String,
        chart: Option<&[u8]>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let chart = chart.filter(|png| self.config.include_chart && png.len() <= CHART_BYTES);
        let chart = chart.map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png)));
        let mut messages = vec![Message::text("system", prompt::rules().into()), Message { role: "user", text, chart }];
        let answer = self.complete(task, &messages)?;
        let why = match read(&answer) {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        self.server.warn(&format!("{} is asked again: {why}", self.model));
        messages.push(Message::text("assistant", answer.chars().take(SHOWN).collect()));
        let again = format!("That was not accepted: {why}. Answer again, with one JSON object and nothing else.");
        messages.push(Message::text("user", again));
        read(&self.complete(task, &messages)?).map_err(|why| {
            Failure::Question(Error::Unavailable(format!(
                "model {} gave no usable answer in two tries: {why}: name another model if that goes on",
                self.model
            )))
        })
    }

    /// The text of an answer.
    fn complete(&mut self, task: Task, messages: &[Message]) -> Result<String, Failure> {
        let response = self.send(task, messages)?;
        let response = match response.status {
            400 | 422 if !self.older => {
                self.older = true;
                let second = self.send(task, messages)?;
                // The first refusal is about what was meant, the second maybe about the dialect.
                if matches!(second.status, 400 | 422) { response } else { second }
            }
            _ => response,
        };
        if !response.is_success() {
            return Err(self.refusal(&response));
        }
        let completion: Option<Completion> = serde_json::from_slice(&response.body).ok();
        self.count(completion.as_ref().map(|completion| &completion.usage), messages, &response);
        let choice = completion.and_then(|completion| completion.choices.into_iter().next());
        let Choice { message, finish_reason } = choice.ok_or_else(|| {
            let said = response.excerpt();
            Failure::Question(Error::Unavailable(format!("the server's answer is none of chat completions: {said}")))
        })?;
        if let Some(refusal) = message.refusal {
            let said: String = refusal.chars().take(SHOWN).collect();
            return Err(Failure::Question(Error::Unsupported(format!("model {} refused: {said}", self.model))));
        }
        match finish_reason.as_deref() {
            Some("length") => Err(Failure::Question(Error::BadConfig(format!(
                "the answer of {} was longer than {} tokens: raise max_output_tokens",
                self.model, self.config.max_output_tokens
            )))),
            Some("content_filter") => Err(Failure::Question(Error::Unsupported(format!(
                "the server's content filter stopped the answer of {}",
                self.model
            )))),
            _ => Ok(content(&message.content)),
        }
    }

    fn send(&self, task: Task, messages: &[Message]) -> Result<Response, Failure> {
        self.server.send(&self.request(task, messages)).map_err(|fault| {
            Failure::Server(match fault {
                http::Fault::Denied(text) if text.contains(KEY) => {
                    Error::BadConfig(format!("{text}; a server that needs no key takes auth: none"))
                }
                http::Fault::Timeout => Error::Unavailable(format!(
                    "{} did not answer in time: raise limits.http_longest_ms in anomd.yaml, or lower max_points",
                    self.model
                )),
                fault => fault.into(),
            })
        })
    }

    fn request(&self, task: Task, messages: &[Message]) -> Request {
        let messages: Vec<Value> = messages.iter().map(Message::json).collect();
        let mut body = json!({"model": self.model, "messages": messages});
        if self.older {
            body["max_tokens"] = self.config.max_output_tokens.into();
        } else {
            body["max_completion_tokens"] = self.config.max_output_tokens.into();
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": {"name": task.key(), "strict": true, "schema": task.schema()},
            });
        }
        if let Some(temperature) = self.config.temperature {
            body["temperature"] = temperature.into();
        }
        Request {
            method: Method::Post,
            target: Target::Url(format!("{}/chat/completions", self.config.url.trim_end_matches('/'))),
            headers: vec![("Content-Type".into(), "application/json".into())],
            auth: (self.config.auth == Auth::Bearer).then(|| Credentials::Bearer(KEY.into())),
            blanks: vec![],
            body: body.to_string().into_bytes(),
            timeout_ms: Some(TIME_MS),
        }
    }

    /// A server that does not count is counted for, so that a budget holds there too.
    fn count(&mut self, said: Option<&Value>, messages: &[Message], response: &Response) {
        let count = |key: &str| said.and_then(|usage| usage.get(key)).and_then(Value::as_u64);
        let estimate = |bytes: usize| (bytes / TOKEN_BYTES) as u64;
        let sent = || estimate(messages.iter().map(|message| message.text.len()).sum());
        let received = || estimate(response.body.len());
        let Usage { calls, input_tokens, output_tokens } = self.usage;
        self.usage = Usage {
            calls: calls.saturating_add(1),
            input_tokens: input_tokens.saturating_add(count("prompt_tokens").unwrap_or_else(sent)),
            output_tokens: output_tokens.saturating_add(count("completion_tokens").unwrap_or_else(received)),
        };
    }

    fn refusal(&self, response: &Response) -> Failure {
        let said = response.excerpt();
        match response.refusal(self.server.now()) {
            // OpenAI's word for an account without money; waiting does not help.
            Error::Busy(_) if said.contains("insufficient_quota") => {
                Failure::Server(Error::Unauthorized(format!("the account has nothing left to spend: {said}")))
            }
            Error::Unauthorized(text) => {
                Failure::Server(Error::Unauthorized(format!("the server refused the secret {KEY}: {text}")))
            }
            Error::BadConfig(text) => match response.status {
                // Maybe the prompt is too long for the model: another series may fit.
                400 | 413 | 422 => Failure::Question(Error::BadConfig(text)),
                _ => Failure::Server(Error::BadConfig(format!("{text}: check url and model"))),
            },
            error => Failure::Server(error),
        }
    }
}

/// The text of a message: a string, or parts of which some are text.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")).filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
pub mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// Gives answers in turn, and keeps what it was sent.
    #[derive(Default)]
    pub struct Stub {
        answers: RefCell<VecDeque<Result<Response, http::Fault>>>,
        pub bodies: RefCell<Vec<Value>>,
        pub requests: RefCell<Vec<Request>>,
    }

    impl Stub {
        pub fn answering(answers: impl IntoIterator<Item = Response>) -> Self {
            Self { answers: RefCell::new(answers.into_iter().map(Ok).collect()), ..Self::default() }
        }

        fn failing(fault: http::Fault) -> Self {
            Self { answers: RefCell::new([Err(fault)].into()), ..Self::default() }
        }
    }

    impl Server for Stub {
        fn send(&self, request: &Request) -> Result<Response, http::Fault> {
            self.bodies.borrow_mut().push(serde_json::from_slice(&request.body).unwrap());
            self.requests.borrow_mut().push(request.clone());
            self.answers.borrow_mut().pop_front().expect("one request too many")
        }

        fn now(&self) -> i64 {
            0
        }

        fn warn(&self, _: &str) {}
    }

    pub fn status(status: u16, body: &str) -> Response {
        Response { status, headers: vec![("retry-after".into(), "7".into())], body: body.into() }
    }

    pub fn said(text: &str) -> Response {
        let body = json!({
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        });
        status(200, &body.to_string())
    }

    fn ask(config: &Config, stub: &Stub) -> (Result<u32, Failure>, Usage) {
        let mut chat = Chat::new(config, stub, "m");
        let read = |text: &str| text.parse::<u32>().map_err(|e| e.to_string());
        (chat.ask(Task::Explain, "How many?".into(), Some(b"png"), read), chat.usage())
    }

    #[test]
    fn a_request_asks_for_structured_output_and_names_the_key_only() {
        let stub = Stub::answering([said("7")]);
        let (answer, usage) = ask(&Config::default(), &stub);
        assert_eq!(answer, Ok(7));
        assert_eq!(usage, Usage { calls: 1, input_tokens: 100, output_tokens: 10 });
        let request = &stub.requests.borrow()[0];
        assert_eq!(request.target, Target::Url("https://api.openai.com/v1/chat/completions".into()));
        assert_eq!(request.auth, Some(Credentials::Bearer(KEY.into())));
        let body = &stub.bodies.borrow()[0];
        assert_eq!(body["messages"][0], json!({"role": "system", "content": prompt::rules()}));
        assert_eq!(
            body["messages"][1]["content"],
            json!([
                {"type": "text", "text": "How many?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
            ])
        );
        assert_eq!(body["response_format"]["json_schema"]["schema"], Task::Explain.schema());
        assert_eq!((&body["max_completion_tokens"], body.get("temperature")), (&json!(8000), None));
    }

    #[test]
    fn without_chart_and_key_a_message_is_a_plain_text() {
        let stub = Stub::answering([said("7")]);
        let config = Config {
            url: "http://localhost:11434/v1/".into(),
            auth: Auth::None,
            include_chart: false,
            temperature: Some(0.0),
            ..Config::default()
        };
        assert_eq!(ask(&config, &stub).0, Ok(7));
        let request = &stub.requests.borrow()[0];
        assert_eq!(request.target, Target::Url("http://localhost:11434/v1/chat/completions".into()));
        assert_eq!(request.auth, None);
        assert_eq!(stub.bodies.borrow()[0]["messages"][1]["content"], "How many?");
        assert_eq!(stub.bodies.borrow()[0]["temperature"], 0.0);
    }

    #[test]
    fn a_server_of_the_older_dialect_is_asked_in_it() {
        let stub = Stub::answering([status(400, "unknown response_format"), said("many"), said("7")]);
        let (answer, usage) = ask(&Config::default(), &stub);
        assert_eq!((answer, usage.calls), (Ok(7), 2));
        let bodies = stub.bodies.borrow();
        let dialect = |body: &Value| (body.get("response_format").is_some(), body.get("max_tokens").is_some());
        assert_eq!(bodies.iter().map(dialect).collect::<Vec<_>>(), [(true, false), (false, true), (false, true)]);
        let stub = Stub::answering([status(400, "no images"), status(400, "max_tokens?")]);
        let refused = Failure::Question(Error::BadConfig("HTTP status 400: no images".into()));
        assert_eq!(
            ask(&Config::default(), &stub),
            (Err(refused), Usage { calls: 0, input_tokens: 0, output_tokens: 0 })
        );
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_told_why_once() {
        let stub = Stub::answering([said("seven"), said("7")]);
        assert_eq!(ask(&Config::default(), &stub).0, Ok(7));
        let messages = stub.bodies.borrow()[1]["messages"].clone();
        assert_eq!(messages[2], json!({"role": "assistant", "content": "seven"}));
        assert!(messages[3]["content"].as_str().unwrap().contains("invalid digit"), "{messages}");
        let stub = Stub::answering([said("seven"), said("eight")]);
        let (answer, usage) = ask(&Config::default(), &stub);
        let Err(Failure::Question(Error::Unavailable(text))) = answer else { panic!("{answer:?}") };
        assert!(text.starts_with("model m gave no usable answer in two tries: invalid digit"), "{text}");
        assert_eq!(usage, Usage { calls: 2, input_tokens: 200, output_tokens: 20 });
    }

    #[test]
    fn a_refusal_says_who_must_act() {
        let error = |code, body: &str| {
            ask(&Config::default(), &Stub::answering([status(code, body), status(code, body)])).0.unwrap_err()
        };
        assert_eq!(error(429, "slow down"), Failure::Server(Error::Busy(Some(7_000))));
        assert!(matches!(error(429, r#"{"code": "insufficient_quota"}"#), Failure::Server(Error::Unauthorized(_))));
        assert_eq!(
            error(401, "no such key"),
            Failure::Server(Error::Unauthorized(
                "the server refused the secret openai_api_key: HTTP status 401: no such key".into()
            ))
        );
        assert_eq!(error(500, "oh"), Failure::Server(Error::Unavailable("HTTP status 500: oh".into())));
        assert_eq!(
            error(404, "no model"),
            Failure::Server(Error::BadConfig("HTTP status 404: no model: check url and model".into()))
        );
        assert!(matches!(error(200, "<html>"), Failure::Question(Error::Unavailable(text)) if text.contains("<html>")));
        let denied = Stub::failing(http::Fault::Denied("secret slot \"openai_api_key\" is empty".into()));
        let told = ask(&Config::default(), &denied).0.unwrap_err();
        assert!(matches!(told, Failure::Server(Error::BadConfig(text)) if text.ends_with("takes auth: none")));
        let late = ask(&Config::default(), &Stub::failing(http::Fault::Timeout)).0.unwrap_err();
        assert!(matches!(late, Failure::Server(Error::Unavailable(text)) if text.contains("http_longest_ms")));
    }

    #[test]
    fn an_answer_that_was_cut_or_refused_is_not_asked_for_again() {
        let choice = |choice: Value| {
            let stub = Stub::answering([status(200, &json!({"choices": [choice]}).to_string())]);
            ask(&Config::default(), &stub)
        };
        let (cut, usage) = choice(json!({"message": {"content": "7"}, "finish_reason": "length"}));
        assert!(matches!(cut, Err(Failure::Question(Error::BadConfig(text))) if text.contains("max_output_tokens")));
        // Nobody counted, so we do.
        assert!(usage.calls == 1 && usage.input_tokens > 50 && usage.output_tokens > 10, "{usage:?}");
        let (refused, _) = choice(json!({"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}));
        assert!(matches!(refused, Err(Failure::Question(Error::Unsupported(text))) if text == "model m refused: no"));
        let (parts, _) = choice(json!({"message": {"content": [{"type": "text", "text": "7"}]}}));
        assert_eq!(parts, Ok(7));
    }
}
