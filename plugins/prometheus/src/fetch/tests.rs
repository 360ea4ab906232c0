//! Whole windows against a server that answers in Prometheus' words.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anomd_ingester::http::{Auth, Fault, Method, Request, Response, Target};

use super::*;

const MINUTE: i64 = 60_000;
/// A multiple of a minute.
const T0: i64 = 1_700_000_040_000;

type Curve = fn(i64) -> Option<f64>;

/// Series by the text of the query that gives them, and what goes wrong.
#[derive(Default)]
struct Server {
    series: Vec<(&'static str, &'static str, Curve)>,
    metadata: Option<&'static str>,
    /// Status and body, or a fault, by query or by path.
    troubles: BTreeMap<&'static str, Result<(u16, &'static str), Fault>>,
    /// The largest answer, in points.
    largest: Option<usize>,
    no_post: bool,
    requests: RefCell<Vec<Request>>,
    log: RefCell<Vec<String>>,
}

impl Server {
    fn of(series: &[(&'static str, &'static str, Curve)]) -> Self {
        Self { series: series.to_vec(), metadata: Some(r#"{"c_total":[{"type":"counter"}]}"#), ..Self::default() }
    }

    fn evaluate(&self, path: &str, params: &BTreeMap<String, String>) -> Result<Response, Fault> {
        let time = |name: &str| (params[name].parse::<f64>().unwrap() * 1000.0).round() as i64;
        let times: Vec<i64> = if path.ends_with("query_range") {
            (time("start")..=time("end")).step_by(time("step") as usize).collect()
        } else {
            vec![time("time")]
        };
        if times.len() > 11_000 {
            return Ok(answer(
                400,
                r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution"}"#,
            ));
        }
        let mut size = 0;
        let mut result = Vec::new();
        for (_, metric, curve) in self.series.iter().filter(|(query, ..)| *query == params["query"]) {
            let points: Vec<String> = times
                .iter()
                .filter_map(|time| Some(format!("[{},\"{}\"]", *time as f64 / 1000.0, curve(*time)?)))
                .map(|point| point.replace("inf", "Inf"))
                .collect();
            size += points.len();
            match points.as_slice() {
                [] => {}
                [point] if path.ends_with("/query") => result.push(format!(r#"{{"metric":{metric},"value":{point}}}"#)),
                _ => result.push(format!(r#"{{"metric":{metric},"values":[{}]}}"#, points.join(","))),
            }
        }
        if self.largest.is_some_and(|largest| size > largest) {
            return Err(Fault::TooLarge(1 << 24));
        }
        let kind = if path.ends_with("query_range") { "matrix" } else { "vector" };
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{}]}}}}"#, result.join(","));
        Ok(answer(200, &body))
    }

    /// Everything that a window gives: values by series, losses, and the number of pages.
    fn window(&self, config: &str, start: i64, end: i64) -> Result<Outcome, Error> {
        let config: Config = serde_json::from_str(&config.replacen('{', r#"{"url":"http://prom:9090","#, 1)).unwrap();
        assert_eq!(crate::config::check(&config), []);
        let window = Window { start, end, step: MINUTE as u32 };
        let (mut outcome, mut cursor) = (Outcome::default(), None);
        loop {
            let page = page(self, &config, &window, cursor.as_deref())?;
            outcome.pages += 1;
            outcome.lost.extend(page.lost.into_iter().map(|loss| (loss.part, loss.error)));
            let samples = page.samples;
            assert_eq!(samples.offsets.len(), samples.keys.len() + 1);
            for (i, labels) in samples.keys.into_iter().enumerate() {
                assert!(labels.is_sorted_by(|a, b| a.0 < b.0));
                let range = samples.offsets[i] as usize..samples.offsets[i + 1] as usize;
                let key = labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
                let (kind, points) = outcome.series.entry(key).or_insert((samples.kinds[i], Vec::new()));
                assert_eq!(*kind, samples.kinds[i]);
                for j in range {
                    points.push((samples.timestamps[j], samples.values[j]));
                }
                assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{points:?}");
                assert!(points.iter().all(|point| (start..end).contains(&point.0)));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(outcome),
            }
        }
    }

    fn paths(&self) -> Vec<String> {
        let url = |request: &Request| match &request.target {
            Target::Url(url) => url.trim_start_matches("http://prom:9090/api/v1/").to_owned(),
            Target::Secret(slot) => panic!("the whole URL is the secret {slot}"),
        };
        self.requests.borrow().iter().map(|r| url(r).split('?').next().unwrap().to_owned()).collect()
    }
}

impl Host for Server {
    fn send(&self, request: &Request) -> Result<Response, Fault> {
        self.requests.borrow_mut().push(request.clone());
        let Target::Url(url) = &request.target else { panic!("no URL") };
        let rest = url.strip_prefix("http://prom:9090/api/v1/").unwrap();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let form = if request.method == Method::Post { request.body.as_slice() } else { query.as_bytes() };
        let params: BTreeMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        if request.method == Method::Post && self.no_post {
            return Ok(answer(405, "Method Not Allowed"));
        }
        if let Some(trouble) =
            params.get("query").and_then(|q| self.troubles.get(q.as_str())).or(self.troubles.get(path))
        {
            return trouble.clone().map(|(status, body)| answer(status, body));
        }
        match path {
            "metadata" => match self.metadata {
                Some(data) => Ok(answer(200, &format!(r#"{{"status":"success","data":{data}}}"#))),
                None => Ok(answer(404, "404 page not found")),
            },
            "label/__name__/values" => {
                let names: Vec<_> = self.series.iter().map(|(query, ..)| format!("{query:?}")).collect();
                Ok(answer(200, &format!(r#"{{"status":"success","data":[{}]}}"#, names.join(","))))
            }
            _ => self.evaluate(path, &params),
        }
    }

    fn log(&self, _: Level, message: &str) {
        self.log.borrow_mut().push(message.to_owned());
    }

    fn now(&self) -> i64 {
        T0
    }
}

fn answer(status: u16, body: &str) -> Response {
    let headers = if status == 429 { vec![("Retry-After".into(), "7".into())] } else { Vec::new() };
    Response { status, headers, body: body.into() }
}

#[derive(Debug, Default)]
struct Outcome {
    series: BTreeMap<String, (Kind, Vec<(i64, f64)>)>,
    lost: Vec<(String, Error)>,
    pages: usize,
}

fn minutes(time: i64) -> f64 {
    ((time - T0) / MINUTE) as f64
}

#[test]
fn a_long_history_is_split_and_comes_whole() {
    let server = Server::of(&[("g", r#"{"__name__":"g","job":"a"}"#, |t| Some(minutes(t)))]);
    let outcome = server.window(r#"{"queries":["g"]}"#, T0 - 10_000, T0 + 25_000 * MINUTE).unwrap();
    let (kind, points) = &outcome.series["__name__=g,job=a"];
    assert_eq!((*kind, points.len(), outcome.pages), (Kind::Unknown, 25_000, 3));
    assert!(points.iter().enumerate().all(|(i, point)| *point == (T0 + i as i64 * MINUTE, i as f64)));
    assert_eq!(outcome.lost, []);
}

#[test]
fn a_window_of_one_step_is_an_instant_query_unless_it_is_rated_or_told_otherwise() {
    let server = || {
        Server::of(&[
            ("g", r#"{"__name__":"g"}"#, |t| Some(minutes(t))),
            ("c_total", r#"{"__name__":"c_total"}"#, |t| Some(minutes(t) * 60.0)),
        ])
    };
    let ask = |config: &str| {
        let server = server();
        let outcome = server.window(config, T0, T0 + MINUTE).unwrap();
        (server.paths().join(" "), outcome.series)
    };
    let point = |value| vec![(T0, value)];
    let (paths, series) = ask(r#"{"queries":["g","c_total"]}"#);
    assert_eq!(paths, "metadata query query_range");
    assert_eq!(series["__name__=g"], (Kind::Unknown, point(0.0)));
    assert_eq!(series["__name__=c_total"], (Kind::Gauge, point(1.0)));
    assert_eq!(
        ask(r#"{"queries":["g","c_total"],"instant":false}"#),
        ("metadata query_range query_range".into(), series.clone())
    );
    assert_eq!(ask(r#"{"queries":["g","c_total"],"instant":true}"#), ("metadata query query query".into(), series));
    // With instant queries alone, only the newest step of a longer window is seen.
    let newest = server().window(r#"{"queries":["g"],"instant":true}"#, T0, T0 + 5 * MINUTE).unwrap();
    assert_eq!(newest.series["__name__=g"].1, [(T0 + 4 * MINUTE, 4.0)]);
}

#[test]
fn counters_are_rates_across_resets_and_gaps_wherever_the_range_is_cut() {
    // Counts 1 a second, begins again at minute 40, and is away for 3 minutes and for 10.
    let curve: Curve = |t| match minutes(t) as i64 {
        m @ (..40 | 43..60 | 70..) => Some(if m < 40 { 60.0 * m as f64 + 6e5 } else { 60.0 * (m - 39) as f64 }),
        _ => None,
    };
    let server = Server::of(&[("c_total", r#"{"__name__":"c_total","a":"b"}"#, curve)]);
    let whole = server.window(r#"{"queries":["c_total"]}"#, T0, T0 + 90 * MINUTE).unwrap();
    let (kind, points) = &whole.series["__name__=c_total,a=b"];
    assert_eq!(*kind, Kind::Gauge);
    let at: Vec<i64> = points.iter().map(|point| minutes(point.0) as i64).collect();
    let expected: Vec<i64> = (0..40).chain(43..60).chain(71..90).collect();
    assert_eq!(at, expected, "nothing is given across ten minutes");
    assert!(points.iter().all(|point| point.1 == 1.0), "{points:?}");
    let cut = server.window(r#"{"queries":["c_total"],"max_points":13}"#, T0, T0 + 90 * MINUTE).unwrap();
    assert_eq!((cut.pages, cut.series), (12, whole.series));
}

#[test]
fn a_counter_stays_raw_where_that_is_said() {
    let server = Server::of(&[
        ("c_total", r#"{"__name__":"c_total"}"#, |t| Some(minutes(t))),
        ("x", r#"{"__name__":"x"}"#, |t| Some(minutes(t) * 60.0)),
    ]);
    let queries = r#"{"queries":["c_total",{"name":"raw","query":"c_total","rate":false},{"query":"x","rate":true}]}"#;
    let outcome = server.window(queries, T0 + MINUTE, T0 + 3 * MINUTE).unwrap();
    assert_eq!(outcome.series["__name__=raw"], (Kind::Counter, vec![(T0 + MINUTE, 1.0), (T0 + 2 * MINUTE, 2.0)]));
    assert_eq!(outcome.series["__name__=c_total"].0, Kind::Gauge);
    assert_eq!(outcome.series["__name__=x"].1[0].1, 1.0);
    let raw = server.window(r#"{"queries":["c_total"],"rate":false}"#, T0 + MINUTE, T0 + 2 * MINUTE).unwrap();
    assert_eq!(raw.series["__name__=c_total"], (Kind::Counter, vec![(T0 + MINUTE, 1.0)]));
}

#[test]
fn without_metadata_the_suffix_decides_and_the_run_says_so() {
    let curve: Curve = |t| Some(minutes(t) * 60.0);
    let mut server =
        Server::of(&[("h_count", r#"{"__name__":"h_count"}"#, curve), ("g", r#"{"__name__":"g"}"#, curve)]);
    server.metadata = None;
    let told = |server: &Server| {
        let outcome = server.window(r#"{"queries":["h_count","g"]}"#, T0, T0 + MINUTE).unwrap();
        assert_eq!(outcome.series["__name__=h_count"], (Kind::Gauge, vec![(T0, 1.0)]));
        assert_eq!(outcome.series["__name__=g"], (Kind::Unknown, vec![(T0, 0.0)]));
        server.log.take()
    };
    let log = told(&server);
    assert!(log[0].contains("404") && log[0].contains("_count") && log.len() == 1, "{log:?}");
    server.metadata = Some("{}");
    let log = told(&server);
    assert!(log[0].contains("it lists none") && log.len() == 1, "{log:?}");
    server.metadata = Some(r#"{"g":[{"type":"unknown"}],"other":[{"type":"gauge"}]}"#);
    let log = told(&server);
    assert_eq!(log, ["h_count: the server does not know the type of h_count: by the name it is a counter"]);
    // Not reached is not "tells nothing": the run is tried again.
    server.troubles.insert("metadata", Ok((503, "Service Unavailable")));
    let error = server.window(r#"{"queries":["h_count"]}"#, T0, T0 + MINUTE).unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}

#[test]
fn one_failing_query_of_ten_loses_the_one() {
    let curve: Curve = |t| Some(minutes(t));
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let mut server = Server::of(&names.map(|name| (name, "{}", curve)));
    server.troubles.insert("sum (a) by", Ok((400, include_str!("../../tests/answers/error-400.json"))));
    let queries = format!(r#"{{"queries":["{}","sum (a) by"]}}"#, names.join(r#"",""#));
    let outcome = server.window(&queries, T0, T0 + 3 * MINUTE).unwrap();
    assert_eq!(outcome.series.len(), 9);
    let text = "bad_data: invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis";
    assert_eq!(outcome.lost, [("sum (a) by".to_owned(), Error::BadConfig(text.into()))]);
}

#[test]
fn a_loss_says_who_must_act() {
    let cases = [
        (
            Ok((422, r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#)),
            Error::Unsupported("execution: many-to-many; query: q".into()),
        ),
        (
            Ok((503, include_str!("../../tests/answers/error-503.json"))),
            Error::Unavailable("timeout: query timed out in expression evaluation".into()),
        ),
        (Ok((502, "bad gateway")), Error::Unavailable("HTTP status 502: bad gateway".into())),
        (Ok((429, "slow down")), Error::Busy(Some(7000))),
        (Err(Fault::Timeout), Error::Unavailable("http://prom:9090 did not answer within 30s".into())),
        (
            Err(Fault::Transport("connection refused".into())),
            Error::Unavailable("http://prom:9090: connection refused".into()),
        ),
        (
            Ok((200, include_str!("../../tests/answers/string.json"))),
            Error::Unsupported("the query gives a text and no numbers; query: q".into()),
        ),
    ];
    for (trouble, error) in cases {
        let mut server = Server::of(&[("g", "{}", |t| Some(minutes(t)))]);
        server.troubles.insert("q", trouble);
        let outcome = server.window(r#"{"queries":["g",{"name":"n","query":"q"}]}"#, T0, T0 + 2 * MINUTE).unwrap();
        assert_eq!(outcome.lost, [("n".to_owned(), error.clone())]);
        assert_eq!(outcome.series.len(), 1);
        // Alone, what the server did is the error of the run; the operator's query is a loss.
        let alone = server.window(r#"{"queries":[{"name":"n","query":"q"}]}"#, T0, T0 + 2 * MINUTE);
        match alone {
            Err(told) => assert_eq!(told, error),
            Ok(outcome) => {
                assert_eq!(outcome.lost, [("n".to_owned(), error.clone())]);
                assert!(matches!(error, Error::Unsupported(_)));
            }
        }
    }
}

#[test]
fn what_is_wrong_for_every_query_ends_the_run_at_once() {
    for (trouble, error) in [
        (Err(Fault::Denied("grant http://prom:9090".into())), Error::BadConfig("grant http://prom:9090".into())),
        (
            Ok((401, "Unauthorized")),
            Error::Unauthorized(
                "HTTP status 401: Unauthorized; no credentials were sent: set `username` and the secret `password`, or \
                 `auth: bearer` and the secret `token`"
                    .into(),
            ),
        ),
        (
            Ok((200, "<!DOCTYPE html><title>Sign in</title>")),
            Error::BadConfig(
                "http://prom:9090/api/v1/query does not answer as a Prometheus server does: is `url` right? It says: \
                 <!DOCTYPE html><title>Sign in</title>"
                    .into(),
            ),
        ),
        (
            Ok((404, "404 page not found")),
            Error::BadConfig(
                "http://prom:9090/api/v1/query is not there (404): is `url` the address of a Prometheus server, \
                 without the path of its API?"
                    .into(),
            ),
        ),
    ] {
        let mut server = Server::of(&[("g", "{}", |t| Some(minutes(t)))]);
        server.troubles.insert("query", trouble);
        assert_eq!(server.window(r#"{"queries":["sum(g)","g","up"],"rate":false}"#, T0, T0 + MINUTE).unwrap_err(), error);
        assert_eq!(server.requests.borrow().len(), 1);
    }
}

#[test]
fn too_large_an_answer_is_asked_for_in_halves() {
    let mut server = Server::of(&[("g", "{}", |t| Some(minutes(t))), ("h", "{}", |t| Some(minutes(t)))]);
    server.largest = Some(40);
    let outcome = server.window(r#"{"queries":["g","h"]}"#, T0, T0 + 100 * MINUTE).unwrap();
    assert_eq!(outcome.series["__name__=g"].1.len(), 100);
    assert_eq!(outcome.series["__name__=h"].1.len(), 100);
    assert_eq!(outcome.lost, []);
    server.largest = Some(0);
    let lost = server.window(r#"{"queries":["g"]}"#, T0, T0 + 4 * MINUTE).unwrap().lost;
    assert!(matches!(&lost[0].1, Error::Unsupported(text) if text.contains("one instant")), "{lost:?}");
    server.largest = None;
    server.troubles.insert("h", Ok((422, include_str!("../../tests/answers/error-422-samples.json"))));
    let lost = server.window(r#"{"queries":["h"]}"#, T0, T0 + 4 * MINUTE).unwrap();
    assert_eq!((lost.pages, lost.lost.len()), (3, 1));
}

#[test]
fn a_long_query_is_posted_and_asked_for_again_where_that_is_refused() {
    let long = format!("sum({})", "g+".repeat(1500) + "g");
    let config = format!(r#"{{"queries":["{long}","{long} "]}}"#);
    let mut server = Server::of(&[("g", "{}", |t| Some(minutes(t)))]);
    server.window(&config, T0, T0 + 2 * MINUTE).unwrap();
    let methods = |server: &Server| server.requests.take().iter().map(|r| r.method).collect::<Vec<_>>();
    assert_eq!(methods(&server), [Method::Post, Method::Post]);
    server.no_post = true;
    server.window(&config, T0, T0 + 2 * MINUTE).unwrap();
    assert_eq!(methods(&server), [Method::Post, Method::Get, Method::Get]);
}

#[test]
fn credentials_headers_and_timeout_go_with_every_request() {
    let server = Server::of(&[("g", "{}", |t| Some(minutes(t)))]);
    let config = r#"{"queries":["g"],"username":"admin","timeout":5,"headers":{"X-Scope-OrgID":"team"}}"#;
    server.window(config, T0, T0 + MINUTE).unwrap();
    let requests = server.requests.take();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.auth, Some(Auth::Basic(("admin".into(), "password".into()))));
        assert!(request.headers.contains(&("X-Scope-OrgID".into(), "team".into())));
        assert_eq!(request.timeout_ms, Some(6000));
    }
    server.window(r#"{"queries":["g"],"auth":"bearer"}"#, T0, T0 + MINUTE).unwrap();
    assert_eq!(server.requests.borrow()[1].auth, Some(Auth::Bearer("token".into())));
    let Target::Url(url) = &server.requests.borrow()[1].target else { panic!("no URL") };
    assert!(url.ends_with("/api/v1/query?query=g&time=1700000040&timeout=30s"), "{url}");
}

#[test]
fn names_come_from_the_series_the_operator_or_the_query() {
    let curve: Curve = |t| Some(minutes(t));
    let server = Server::of(&[
        ("g", r#"{"__name__":"g","job":"a"}"#, curve),
        ("sum by (job) (g)", r#"{"job":"a"}"#, curve),
        ("6*7", "{}", |_| Some(42.0)),
    ]);
    let queries = r#"{"queries":["g","sum by (job) (g)","6*7",{"name":"renamed","query":"g"},{"name":"by_job","query":"sum by (job) (g)"}]}"#;
    let outcome = server.window(queries, T0, T0 + MINUTE).unwrap();
    let keys: Vec<_> = outcome.series.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "__name__=6*7",
            "__name__=by_job,job=a",
            "__name__=g,job=a",
            "__name__=renamed,job=a",
            "__name__=sum by (job) (g),job=a"
        ]
    );
    assert_eq!(outcome.lost, []);
}

#[test]
fn a_series_that_two_queries_give_is_told_once_with_both() {
    let curve: Curve = |t| Some(minutes(t));
    let server = Server::of(&[
        ("g", r#"{"__name__":"g","job":"a"}"#, curve),
        (r#"{job="a"}"#, r#"{"__name__":"g","job":"a"}"#, curve),
        (r#"{job="a"}"#, r#"{"__name__":"h","job":"a"}"#, curve),
    ]);
    let config = r#"{"queries":["g","{job=\"a\"}",{"name":"n","query":"{job=\"a\"}"}],"max_points":9}"#;
    let outcome = server.window(config, T0, T0 + 40 * MINUTE).unwrap();
    assert_eq!(outcome.series["__name__=g,job=a"].1.len(), 40);
    assert_eq!(outcome.series["__name__=h,job=a"].1.len(), 40);
    let example = r#"{__name__="g", job="a"}"#;
    let between = format!(
        "1 of its series are given by the query \"g\" before it, {example} for one: give one of the two a name"
    );
    let within =
        r#"1 of its series have the labels of another, {__name__="n", job="a"} for one: do not name the query"#;
    assert_eq!(
        outcome.lost,
        [(r#"{job="a"}"#.to_owned(), Error::BadConfig(between)), ("n".to_owned(), Error::BadConfig(within.to_owned())),]
    );
}

#[test]
fn prefixes_become_queries_and_a_cut_is_told() {
    let curve: Curve = |t| Some(minutes(t) * 60.0);
    let server = Server::of(&[
        ("node_a", r#"{"__name__":"node_a"}"#, curve),
        ("node_b_bucket", r#"{"__name__":"node_b_bucket"}"#, curve),
        ("node_c_total", r#"{"__name__":"node_c_total"}"#, curve),
        ("node_d", r#"{"__name__":"node_d"}"#, curve),
        ("other", r#"{"__name__":"other"}"#, curve),
    ]);
    let all = server.window(r#"{"metrics":"node_,nix"}"#, T0, T0 + MINUTE).unwrap();
    assert_eq!(all.series.keys().collect::<Vec<_>>(), ["__name__=node_a", "__name__=node_c_total", "__name__=node_d"]);
    assert_eq!(all.series["__name__=node_c_total"].1, [(T0, 1.0)]);
    assert_eq!(all.lost, []);
    let log = server.log.take();
    assert!(log[0].contains("no metric begins with nix") && log[1].contains("_bucket"), "{log:?}");
    let cut = server.window(r#"{"metrics":["node_"],"max_metrics":2,"queries":["other"]}"#, T0, T0 + MINUTE).unwrap();
    assert_eq!(cut.series.keys().collect::<Vec<_>>(), ["__name__=node_a", "__name__=node_c_total", "__name__=other"]);
    let text = "3 metrics begin with node_, and the first 2 are taken, up to node_c_total; left out are those up to \
                node_d: raise `max_metrics` or give longer prefixes";
    assert_eq!(cut.lost, [("metrics".to_owned(), Error::Unsupported(text.into()))]);
}

#[test]
fn infinities_warnings_and_native_histograms_are_told() {
    let mut server = Server::of(&[("g", "{}", |t| Some(if minutes(t) < 2.0 { f64::INFINITY } else { 1.0 }))]);
    server.troubles.insert("w", Ok((200, include_str!("../../tests/answers/warnings.json"))));
    server.troubles.insert("nh", Ok((200, include_str!("../../tests/answers/native-histograms.json"))));
    let outcome = server.window(r#"{"queries":["g","w","nh"]}"#, T0, T0 + 5 * MINUTE).unwrap();
    assert_eq!(outcome.series["__name__=g"].1.len(), 3);
    let log = server.log.take();
    assert_eq!(log[0], "g: 2 samples are +Inf or -Inf and are left out");
    assert!(log[1].starts_with("w: the server warns: remote_read"), "{log:?}");
    assert_eq!(outcome.lost.len(), 1);
    assert!(matches!(&outcome.lost[0].1, Error::Unsupported(text) if text.contains("histogram_quantile")));
}

#[test]
fn a_window_without_a_step_in_it_asks_nothing() {
    let server = Server::of(&[]);
    let outcome = server.window(r#"{"queries":["g"]}"#, T0 + 1, T0 + MINUTE - 1).unwrap();
    assert_eq!((outcome.pages, outcome.series.len(), server.requests.borrow().len()), (1, 0, 0));
}
