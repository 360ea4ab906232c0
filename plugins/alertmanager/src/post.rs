//! Posting: as many messages in a request as go into it.

use anomd_notifier::http::{self, Request, Response};
use anomd_notifier::{Alert, Error};

use crate::{Config, postable};

/// Bytes of one request's body; well below what the host lets through.
const BODY: usize = 512 << 10;

/// One alert of Alertmanager's, and the message that it belongs to.
type Item = (usize, String);

/// The messages of a call, one result each. A message is delivered when all of its alerts
/// were taken.
pub fn deliver(
    config: &Config,
    alerts: &[Alert],
    now: i64,
    mut send: impl FnMut(&Request) -> Result<Response, http::Fault>,
) -> Vec<Result<String, Error>> {
    let Some(hold) = config.hold() else {
        return vec![Err(Error::BadConfig(format!("hold: \"{}\" is no length of time", config.hold))); alerts.len()];
    };
    let items: Vec<Item> = alerts
        .iter()
        .enumerate()
        // A summary begins and ends nothing: handed over, it would fire until its hold is over.
        .filter(|(_, alert)| alert.kind != "summary")
        .flat_map(|(i, alert)| postable::of(config, hold, alert, now).into_iter().map(move |text| (i, text)))
        .collect();
    let mut results: Vec<Result<String, Error>> = alerts.iter().map(|alert| Ok(receipt(alert))).collect();
    for part in parts(&items) {
        match post(config, part, now, &mut send) {
            Ok(()) => {}
            // Alertmanager takes the good ones of a request and refuses the request all the
            // same, so each message is tried by itself and fails for its own fault only.
            Err(Error::Unsupported(_)) if several(part) => {
                for message in part.chunk_by(|(a, _), (b, _)| a == b) {
                    let result = post(config, message, now, &mut send);
                    fail(&mut results, message, result);
                }
            }
            failed => fail(&mut results, part, failed),
        }
    }
    results
}

fn receipt(alert: &Alert) -> String {
    match (alert.kind.as_str(), alert.findings.len().max(1), alert.more) {
        ("summary", ..) => "a summary is no alert, so nothing was handed over".into(),
        (_, 1, 0) => "Alertmanager took 1 alert".into(),
        (_, count, 0) => format!("Alertmanager took {count} alerts"),
        (_, count, more) => format!("Alertmanager took {count} alerts; {more} more series were not passed on"),
    }
}

/// The first fault of a message stands.
fn fail(results: &mut [Result<String, Error>], part: &[Item], result: Result<(), Error>) {
    let Err(error) = result else { return };
    for (message, _) in part {
        if let Some(result) = results.get_mut(*message).filter(|result| result.is_ok()) {
            *result = Err(error.clone());
        }
    }
}

fn several(part: &[Item]) -> bool {
    part.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a != b))
}

/// Runs of alerts that go into a request together.
fn parts(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    let mut bytes = 0;
    items.chunk_by(move |(_, last), (_, next)| {
        // 0: `last` is the first of its run.
        bytes = if bytes == 0 { last.len() } else { bytes } + 1 + next.len();
        let fits = bytes <= BODY;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

fn post(
    config: &Config,
    part: &[Item],
    now: i64,
    send: &mut impl FnMut(&Request) -> Result<Response, http::Fault>,
) -> Result<(), Error> {
    let texts: Vec<&str> = part.iter().map(|(_, text)| text.as_str()).collect();
    let response = send(&config.request(format!("[{}]", texts.join(","))))?;
    match response.status {
        200..300 => Ok(()),
        400 | 422 => Err(Error::Unsupported(format!("Alertmanager did not take the alert: {}", response.excerpt()))),
        _ => Err(response.refusal(now)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::Value;

    use super::*;
    use crate::postable::tests::{alert, config};

    fn named(name: &str) -> Alert {
        let mut alert = alert();
        alert.findings[0].labels[0].1 = name.into();
        alert
    }

    /// Results, and the metrics of each request. A request with an alert `bad` is refused.
    fn delivered(alerts: &[Alert]) -> (Vec<Result<String, Error>>, Vec<Vec<String>>) {
        let requests = RefCell::new(Vec::new());
        let send = |request: &Request| {
            assert!(request.body.len() <= BODY + 2);
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let metrics = body.as_array().unwrap().iter().map(|alert| alert["labels"]["metric"].as_str().unwrap());
            let metrics: Vec<String> = metrics.map(str::to_owned).collect();
            let bad = metrics.iter().any(|name| name == "bad");
            requests.borrow_mut().push(metrics);
            let (status, body) = if bad { (400, "\"bad name\"") } else { (200, "") };
            Ok(Response { status, headers: vec![], body: body.into() })
        };
        let results = deliver(&config(r#"{"url": "http://am"}"#), alerts, 0, send);
        (results, requests.into_inner())
    }

    #[test]
    fn messages_of_a_call_go_in_one_request() {
        let (results, requests) = delivered(&[named("a"), named("b")]);
        assert_eq!(requests, [["a", "b"]]);
        assert!(results.iter().all(|result| result.as_deref() == Ok("Alertmanager took 1 alert")));
    }

    #[test]
    fn one_that_is_refused_takes_no_other_with_it() {
        let (results, requests) = delivered(&[named("a"), named("bad"), named("c")]);
        assert_eq!(requests.len(), 4);
        assert!(results[0].is_ok() && results[2].is_ok());
        let error = Error::Unsupported("Alertmanager did not take the alert: \"bad name\"".into());
        assert_eq!(results[1], Err(error));
    }

    #[test]
    fn a_storm_goes_in_several_requests_and_loses_nothing() {
        let mut storm = named("a");
        storm.findings = vec![storm.findings[0].clone(); 5_000];
        let (results, requests) = delivered(&[storm]);
        assert!(requests.len() > 1);
        assert_eq!(requests.iter().map(Vec::len).sum::<usize>(), 5_000);
        assert_eq!(results[0].as_deref(), Ok("Alertmanager took 5000 alerts"));
    }

    #[test]
    fn a_summary_is_no_alert() {
        let summary = Alert { kind: "summary".into(), ..alert() };
        let (results, requests) = delivered(&[summary]);
        assert!(requests.is_empty() && results[0].is_ok());
    }

    #[test]
    fn a_busy_or_broken_alertmanager_is_asked_again() {
        let result = |status: u16| {
            let send = |_: &Request| {
                let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
                Ok(Response { status, headers, body: vec![] })
            };
            deliver(&config(r#"{"url": "http://am"}"#), &[alert()], 0, send).pop().unwrap()
        };
        assert_eq!(result(429), Err(Error::Busy(Some(7_000))));
        assert_eq!(result(503), Err(Error::Busy(Some(7_000))));
        assert!(matches!(result(500), Err(Error::Unavailable(_))));
        assert!(matches!(result(401), Err(Error::Unauthorized(_))));
        assert!(matches!(result(404), Err(Error::BadConfig(_))));
    }
}
