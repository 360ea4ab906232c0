//! Asks a language model: to explain an alert that was raised, or to look for anomalies.
//!
//! A search is two questions: one that finds, and one that checks what was found, since a
//! model that is asked to find finds something. Whatever a model answers, and whoever wrote
//! the names that it read, the effect is at most an insight with a bounded, harmless text.

mod answer;
mod chat;
mod config;
mod prompt;
mod prose;
mod template;
mod window;

use anomd_analyst::http::{Fault, Request, Response};
use anomd_analyst::{
    Analysis, Analyst, Descriptor, Error, Insight, Level, Loss, Problem, Samples, SecretSlot, Subject, clock,
    export_analyst, http, log, random, series,
};

pub use config::Config;

use answer::Anomaly;
use chat::{Chat, Failure, Server};
use prompt::{Data, Task};
use window::Window;

/// The component.
pub struct Llm;

impl Analyst for Llm {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Explains alerts and finds anomalies by a language model, over any OpenAI-compatible API".into(),
            config_schema: include_str!("schema.json").into(),
            origins: ["https://api.openai.com", "{{config.url}}"].map(Into::into).into(),
            secrets: vec![SecretSlot {
                name: chat::KEY.into(),
                purpose: "The key of the API; used unless auth: none".into(),
            }],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        config::check(config)
    }

    fn analyse(config: &Config, recent: &Samples, subjects: &[Subject]) -> Result<Analysis, Error> {
        read(&Imports, config, random::seed(), recent, subjects)
    }
}

/// The host's own functions.
struct Imports;

impl Server for Imports {
    fn send(&self, request: &Request) -> Result<Response, Fault> {
        http::send(request)
    }

    fn now(&self) -> i64 {
        clock::now()
    }

    fn warn(&self, message: &str) {
        log::write(Level::Warn, message, &[]);
    }
}

/// Looks at one subject after the other. What stands in the way of all ends the work.
fn read<S: Server>(
    server: &S,
    config: &Config,
    seed: u64,
    recent: &Samples,
    subjects: &[Subject],
) -> Result<Analysis, Error> {
    let mut chat = Chat::new(config, server, config.model(seed));
    let (mut insights, mut lost) = (Vec::new(), Vec::new());
    let mut stopped: Option<Error> = None;
    for (subject, asked) in (0..).zip(subjects) {
        let failure = match &stopped {
            Some(error) => Failure::Server(error.clone()),
            None => match look(&mut chat, config, recent, asked) {
                Ok(found) => {
                    insights.extend(found.into_iter().map(|Anomaly { start, end, score, text }| Insight {
                        subject,
                        start,
                        end,
                        score,
                        text,
                    }));
                    continue;
                }
                Err(failure) => failure,
            },
        };
        if let Failure::Server(error) = &failure {
            stopped = Some(error.clone());
        }
        lost.push(Loss { subject, error: failure.error().clone() });
    }
    let usage = chat.usage();
    match lost.first() {
        Some(loss) if usage.calls == 0 && lost.len() == subjects.len() => Err(loss.error.clone()),
        _ => Ok(Analysis { author: chat.model().into(), insights, lost, usage }),
    }
}

/// What there is to say of one subject.
fn look<S: Server>(
    chat: &mut Chat<'_, S>,
    config: &Config,
    recent: &Samples,
    subject: &Subject,
) -> Result<Vec<Anomaly>, Failure> {
    let unsupported = |text: &str| Failure::Question(Error::Unsupported(text.into()));
    let (times, values) = series(recent, &subject.labels).ok_or_else(|| unsupported("its series is not there"))?;
    let window = Window::new(times, values, &subject.scores, config);
    let (_, last) = window.span().ok_or_else(|| unsupported("its series has no samples"))?;
    let chart = subject.chart.as_deref();
    let data = Data { subject, window, found: &[] };

    if let Some(start) = subject.alert {
        if !times.first().is_some_and(|first| (*first..=last).contains(&start)) {
            return Err(unsupported("the alert began outside of the samples of its series"));
        }
        let text = prompt::request(Task::Explain, config, data);
        let (text, score) = chat.ask(Task::Explain, text, chart, answer::explanation)?;
        return Ok(vec![Anomaly { start, end: last, score, text }]);
    }

    let text = prompt::request(Task::Detect, config, data);
    let found = chat.ask(Task::Detect, text, chart, |text| answer::anomalies(text, &window))?;
    if found.is_empty() || !config.verify {
        return Ok(found);
    }
    let text = prompt::request(Task::Verify, config, Data { found: &found, ..data });
    chat.ask(Task::Verify, text, chart, |text| answer::confirmed(text, &found))
}

export_analyst!(Llm);

#[cfg(test)]
mod tests {
    use anomd_analyst::Usage;
    use serde_json::json;

    use super::*;
    use chat::tests::{Stub, said, status};

    const BEGIN: i64 = 1_767_621_780_000;

    fn labels(name: &str) -> Vec<(String, String)> {
        vec![("__name__".into(), name.into())]
    }

    /// Three samples each of `a` and `b`.
    fn samples() -> Samples {
        let times = [0, 60_000, 120_000].map(|after| BEGIN + after);
        Samples {
            keys: vec![labels("a"), labels("b")],
            kinds: vec![],
            offsets: vec![0, 3, 6],
            timestamps: [times, times].concat(),
            values: vec![1.0, 2.0, 90.0, 3.0, 3.0, 3.0],
        }
    }

    fn subject(name: &str, alert: Option<i64>) -> Subject {
        Subject { labels: labels(name), name: name.into(), alert, scores: vec![], chart: None }
    }

    fn found(times: &[&str]) -> Response {
        let one = |time: &&str| {
            let time = format!("2026-01-05T{time}Z");
            json!({"start": time, "end": time, "score": 0.6, "description": "odd"})
        };
        said(&json!({"anomalies": times.iter().map(one).collect::<Vec<_>>()}).to_string())
    }

    fn look(stub: &Stub, subjects: &[Subject]) -> Result<Analysis, Error> {
        read(stub, &Config::default(), 0, &samples(), subjects)
    }

    #[test]
    fn what_is_found_is_checked_and_what_is_not_found_is_not() {
        let verdicts = json!({"verdicts": [
            {"index": 0, "real": false, "score": 0.1, "description": "noise"},
            {"index": 1, "real": true, "score": 0.95, "description": "Far above."},
        ]});
        let stub = Stub::answering([found(&["14:04:00", "14:05:00"]), said(&verdicts.to_string()), found(&[])]);
        let analysis = look(&stub, &[subject("a", None), subject("b", None)]).unwrap();
        let end = BEGIN + 120_000;
        let insight = Insight { subject: 0, start: end, end, score: 0.95, text: "Far above.".into() };
        assert_eq!(analysis.insights, [insight]);
        assert_eq!((analysis.lost.len(), analysis.usage.calls), (0, 3));
        let verify = stub.bodies.borrow()[1]["messages"][1]["content"].as_str().unwrap().to_owned();
        assert!(verify.contains("candidates: [{\"index\": 0, \"start\": \"2026-01-05T14:04:00Z\""), "{verify}");
    }

    /// Anomstack began its list of alerts anew with each metric, and stored the last one's:
    /// people wanted what was found in every metric of the batch.
    #[test]
    fn b20_what_is_found_in_a_metric_stays_when_the_next_has_nothing() {
        let confirmed = json!({"verdicts": [{"index": 0, "real": true, "score": 0.9, "description": "odd"}]});
        let stub = Stub::answering([found(&["14:05:00"]), said(&confirmed.to_string()), found(&[])]);
        let analysis = look(&stub, &[subject("a", None), subject("b", None)]).unwrap();
        assert_eq!(analysis.insights.iter().map(|insight| insight.subject).collect::<Vec<_>>(), [0]);
        assert_eq!((analysis.author.as_str(), analysis.usage.calls), ("gpt-5-mini", 3));
    }

    /// Anomstack took no notice of the detection prompt while it showed a chart, which it
    /// did by default.
    #[test]
    fn the_operators_prompt_holds_with_a_chart_too() {
        let stub = Stub::answering([found(&[])]);
        let config = Config { detection_prompt: Some("Only drops matter.".into()), ..Config::default() };
        let subject = Subject { chart: Some(b"png".to_vec()), ..subject("a", None) };
        read(&stub, &config, 0, &samples(), &[subject]).unwrap();
        let content = stub.bodies.borrow()[0]["messages"][1]["content"].clone();
        assert!(content[0]["text"].as_str().unwrap().starts_with("Only drops matter.\n\n<data>\n"), "{content}");
        assert_eq!(content[1]["type"], "image_url");
    }

    #[test]
    fn an_alert_is_explained_from_its_beginning() {
        let stub = Stub::answering([said(r#"{"explanation": "It *rose*.", "score": 0.9}"#)]);
        let analysis = look(&stub, &[subject("a", Some(BEGIN + 90_000))]).unwrap();
        let (start, end) = (BEGIN + 90_000, BEGIN + 120_000);
        assert_eq!(analysis.insights, [Insight { subject: 0, start, end, score: 0.9, text: "It rose.".into() }]);
    }

    #[test]
    fn a_subject_without_an_answer_loses_only_itself() {
        let stub = Stub::answering([said("no"), said("no"), found(&[])]);
        let analysis = look(&stub, &[subject("a", None), subject("b", None), subject("c", None)]).unwrap();
        let lost: Vec<_> = analysis.lost.iter().map(|loss| (loss.subject, &loss.error)).collect();
        assert!(matches!(lost[..], [(0, Error::Unavailable(_)), (2, Error::Unsupported(_))]), "{lost:?}");
        assert_eq!(analysis.usage, Usage { calls: 3, input_tokens: 300, output_tokens: 30 });
    }

    #[test]
    fn a_server_that_is_busy_is_left_alone_and_what_was_paid_for_is_kept() {
        let stub = Stub::answering([found(&[]), status(429, "")]);
        let subjects = [subject("a", None), subject("b", None), subject("a", None)];
        let analysis = look(&stub, &subjects).unwrap();
        let lost: Vec<_> = analysis.lost.iter().map(|loss| (loss.subject, loss.error.clone())).collect();
        assert_eq!(lost, [(1, Error::Busy(Some(7_000))), (2, Error::Busy(Some(7_000)))]);
        let stub = Stub::answering([status(429, "")]);
        assert_eq!(look(&stub, &subjects).unwrap_err(), Error::Busy(Some(7_000)));
    }

    #[test]
    fn an_alert_outside_of_its_samples_cannot_be_explained() {
        for alert in [BEGIN - 1, BEGIN + 120_001] {
            let error = look(&Stub::default(), &[subject("a", Some(alert))]).unwrap_err();
            assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
        }
    }
}
