//! A test guest: an ingester that attacks as it is told.

use anomd_ingester::{
    Descriptor, Error, Ingester, Kind, Page, Problem, Samples, Window, bindings::exports::anomd::plugin::ingest::Loss,
    export_ingester, http, kv,
};

struct Evil;

impl Ingester for Evil {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        evil::describe()
    }

    fn check(config: &serde_json::Value) -> Vec<Problem> {
        evil::begin(&config.to_string(), "check");
        vec![]
    }

    fn fetch(config: &serde_json::Value, window: Window, _: Option<Vec<u8>>) -> Result<Page, Error> {
        let start = window.start;
        let key = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let one = || Samples {
            keys: vec![key("__name__", "up")],
            kinds: vec![],
            offsets: vec![0, 2],
            timestamps: vec![start, start + 1],
            values: vec![1.0, f64::NAN],
        };
        let two = |keys| Samples { keys, offsets: vec![0, 1, 2], ..one() };
        let page = |samples| Page { samples, lost: vec![], next: None };
        Ok(match evil::begin(&config.to_string(), "fetch").as_str() {
            "complain" => return Err(evil::complain()),
            "unsorted" => page(Samples { timestamps: vec![start + 1, start], ..one() }),
            "same-instant" => page(Samples { timestamps: vec![start, start], ..one() }),
            "before-time" => page(Samples { timestamps: vec![i64::MIN, start], ..one() }),
            "after-time" => page(Samples { timestamps: vec![start, i64::MAX], ..one() }),
            "infinite" => page(Samples { values: vec![1.0, f64::INFINITY], ..one() }),
            "billion" => page(Samples { offsets: vec![0, 1_000_000_000], ..one() }),
            "backwards" => page(Samples { offsets: vec![2, 0], ..one() }),
            "few-values" => page(Samples { values: vec![1.0], ..one() }),
            "few-offsets" => page(Samples { offsets: vec![], ..one() }),
            "many-kinds" => page(Samples { kinds: vec![Kind::Gauge; 100_000], ..one() }),
            "many-series" => page(Samples {
                keys: vec![vec![]; 200_000],
                offsets: vec![0; 200_001],
                timestamps: vec![],
                values: vec![],
                kinds: vec![],
            }),
            "same-series" => page(two(vec![key("a", "b"), key("a", "b")])),
            "same-labels" => page(two(vec![key("a", "b"), [key("a", "b"), key("a", "c")].concat()])),
            "unsorted-labels" => page(two(vec![key("a", "b"), [key("b", "c"), key("a", "c")].concat()])),
            "giant-labels" => page(two(vec![key("a", "b"), key(&"a".repeat(1 << 20), &"b".repeat(1 << 20))])),
            "many-labels" => page(two(vec![key("a", "b"), vec![("a".into(), "b".into()); 100_000]])),
            "moving-labels" => page(two(vec![key("a", "b"), key("a\u{1b}[2J", "\u{0}\u{7}")])),
            "many-losses" => Page {
                lost: vec![Loss { part: "p".into(), error: Error::Internal("e".into()) }; 100_000],
                ..page(one())
            },
            "giant-loss" => {
                Page { lost: vec![Loss { part: "p".repeat(1 << 20), error: evil::complain() }], ..page(one()) }
            }
            "giant-cursor" => Page { next: Some(vec![0; 8 << 20]), ..page(one()) },
            "endless-pages" => Page { next: Some(vec![0]), ..page(one()) },
            "http" => {
                let url = config.get("url").and_then(|url| url.as_str()).unwrap_or_default();
                send(url, vec![], vec![])?;
                page(one())
            }
            "http-at-length" => {
                let refused = [
                    send(&format!("http://127.0.0.1/{}", "x".repeat(4 << 20)), vec![], vec![]),
                    send("http://127.0.0.1/", vec![("x-a".into(), "x".repeat(1 << 20))], vec![]),
                    send("http://127.0.0.1/", vec![("x-a".into(), "x".into()); 100_000], vec![]),
                    send("http://127.0.0.1/", vec![], vec![0; 8 << 20]),
                ];
                if refused.iter().any(Result::is_ok) {
                    return Err(Error::Internal("a request was sent that must not be".into()));
                }
                page(one())
            }
            "http-without-end" => loop {
                let _ = send("http://127.0.0.1/", vec![], vec![]);
            },
            "kv-without-end" => loop {
                let _ = kv::put("key", b"value");
                let _ = kv::get("key");
            },
            "kv-bomb" => {
                for number in 0.. {
                    if kv::put(&format!("key {number}"), &[0; 60_000]).is_err() {
                        return Err(Error::Internal(format!("after {number} keys there was an end")));
                    }
                }
                page(one())
            }
            "kv-giants" => {
                let refused = [kv::put(&"k".repeat(1 << 20), b"").is_err(), kv::put("k", &vec![0; 4 << 20]).is_err()];
                if refused.contains(&false) {
                    return Err(Error::Internal("a giant was kept".into()));
                }
                page(one())
            }
            _ => page(one()),
        })
    }
}

fn send(url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Result<http::Response, Error> {
    let request = http::Request {
        method: http::Method::Post,
        target: http::Target::Url(url.to_owned()),
        headers,
        auth: None,
        blanks: vec![],
        body,
        timeout_ms: None,
    };
    Ok(http::send(&request)?)
}

export_ingester!(Evil);
