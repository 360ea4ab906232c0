//! A plugin's requests against a server on the loopback interface.

use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes as Body;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{any, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;
use crate::capability::http::{LoopbackConnector, Resolve};
use crate::config::Secret;
use crate::fault::{Fault, PluginError};

/// What a server got: URI, credentials and body of each request.
type Seen = Arc<Mutex<Vec<String>>>;

/// A server that answers with what it got; its address is `127.0.0.1:PORT`.
async fn server() -> (u16, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let echo = async move |headers: HeaderMap, uri: Uri, body: Body| {
        let header = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        let body = String::from_utf8_lossy(&body).into_owned();
        let got = format!("{uri}|{}|{}|{}|{body}", header("authorization"), header("x-key"), header("x-signature"));
        kept.lock().unwrap().push(got.clone());
        got
    };
    let app = Router::new()
        .route("/echo/{*rest}", any(echo))
        .route("/large", get(async || "x".repeat(100_000)))
        .route("/hang", get(std::future::pending::<()>))
        .route("/away", get(async || (StatusCode::FOUND, [("location", "/echo/followed")])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, seen)
}

/// Knows these names and no others.
struct Names(HashMap<&'static str, Vec<IpAddr>>);

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        self.0.get(host).cloned().ok_or_else(|| std::io::Error::other("no such host"))
    }
}

fn net() -> Net {
    let names = [
        ("metrics.example.com", "127.0.0.1"),
        ("private.example.com", "10.1.2.3"),
        ("metadata.example.com", "169.254.169.254"),
    ];
    let names = names.map(|(name, address)| (name, vec![address.parse().unwrap()]));
    Net::new(Arc::new(Names(HashMap::from(names))), Arc::new(LoopbackConnector))
}

struct Probe {
    limits: Limits,
    usage: Use,
    port: u16,
    seen: Seen,
}

impl Probe {
    /// A probe that may reach the server by address and by name.
    async fn new() -> Self {
        let (port, seen) = server().await;
        let grants = Grants {
            origins: vec![format!("http://127.0.0.1:{port}"), format!("http://*.example.com:{port}")],
            networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..Grants::default()
        };
        Self { limits: small(), usage: Use { grants, ..usage() }, port, seen }
    }

    fn secret(mut self, slot: &str, secret: &str, origins: &[&str]) -> Self {
        let origins = origins.iter().map(|origin| origin.replace("PORT", &self.port.to_string())).collect();
        self.usage.secrets.insert(slot.into(), (Secret::new(secret), origins));
        self
    }

    /// Fetches with a configuration in which `PORT` stands for the server's.
    async fn fetch(self, config: Value) -> (Result<Page, Fault>, u16) {
        let runtime = Runtime::with_net(&self.limits, CACHE.path(), net()).unwrap();
        let ingester = plugin(&runtime, "probe_ingester").await.ingester(self.usage).unwrap();
        let config = config.to_string().replace("PORT", &self.port.to_string());
        let (call, _) = call();
        let window = Window { span: 0..60_000, step_ms: 60_000 };
        (ingester.fetch(&call, &config, &window, None).await, self.port)
    }

    /// What the server got, and what came back of it to the plugin.
    async fn exchange(self, config: Value) -> (String, String) {
        let seen = Arc::clone(&self.seen);
        let answer = self.get(config).await;
        (seen.lock().unwrap().last().cloned().unwrap_or_default(), answer)
    }

    /// What came back, with the port as `PORT`.
    async fn get(self, config: Value) -> String {
        let (page, port) = self.fetch(config).await;
        let text = match page {
            Ok(page) => {
                let (labels, ..) = page.samples.iter().next().unwrap();
                format!("{} {}", labels.get("status").unwrap(), labels.get("body").unwrap_or_default())
            }
            Err(Fault { answer: Some(PluginError::Unsupported(text)), .. }) => text,
            Err(fault) => fault.to_string(),
        };
        text.replace(&port.to_string(), "PORT")
    }
}

#[tokio::test]
async fn what_is_granted_is_reached_by_address_and_by_name() {
    assert_eq!(
        Probe::new().await.get(json!({"url": "http://127.0.0.1:PORT/echo/a?b=c"})).await,
        "200 /echo/a?b=c|-|-|-|"
    );
    let by_name = json!({"url": "http://metrics.example.com:PORT/echo/a", "body": "hello"});
    assert_eq!(Probe::new().await.get(by_name).await, "200 /echo/a|-|-|-|hello");
}

#[tokio::test]
async fn what_is_not_granted_is_denied_with_what_to_add() {
    let mut texts = Vec::new();
    for url in [
        "http://localhost:PORT/",
        "http://127.0.0.1:1/",
        "http://private.example.com:PORT/",
        "http://metadata.example.com:PORT/latest/meta-data",
        "http://unknown.example.com:PORT/",
        "http://user:pass@127.0.0.1:PORT/",
        "file:///etc/passwd",
        "/etc/passwd",
    ] {
        texts.push(Probe::new().await.get(json!({"url": url})).await);
    }
    insta::assert_snapshot!(texts.join("\n"), @r#"
    denied: http://localhost:PORT is not granted to plugin "probe" for tenant "acme": add "http://localhost:PORT" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://localhost:PORT`
    denied: http://127.0.0.1:1 is not granted to plugin "probe" for tenant "acme": add "http://127.0.0.1:1" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://127.0.0.1:1`
    denied: private.example.com is 10.1.2.3, a private address: add "10.1.2.3/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 10.1.2.3/32`
    denied: metadata.example.com is 169.254.169.254, a metadata, link-local or reserved address: no plugin may reach it
    transport: cannot resolve unknown.example.com: no such host
    invalid: a URL with a user name is refused: put credentials into a secret slot
    invalid: the scheme is http or https, not file
    invalid: the URL does not parse: relative URL without a base
    "#);
}

#[tokio::test]
async fn a_private_address_needs_its_network() {
    let mut probe = Probe::new().await;
    probe.usage.grants.networks.clear();
    insta::assert_snapshot!(probe.get(json!({"url": "http://127.0.0.1:PORT/echo/a"})).await, @r#"denied: 127.0.0.1 is a private address: add "127.0.0.1/32" to tenants.acme.grants.probe.networks in anomd.yaml, or run `anomd tenant policy acme --network 127.0.0.1/32`"#);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    assert_eq!(Probe::new().await.get(json!({"url": "http://127.0.0.1:PORT/away"})).await, "302 ");
}

#[tokio::test]
async fn sizes_times_and_numbers_are_limited() {
    let probe = async |limits: Limits| Probe { limits, ..Probe::new().await };
    let limits = Limits { http_response_bytes: 10_000, http_request_bytes: 1_000, ..small() };
    let large = json!({"url": "http://127.0.0.1:PORT/large"});
    assert_eq!(probe(limits.clone()).await.get(large).await, "too large: 10000");
    let body = json!({"url": "http://127.0.0.1:PORT/echo/a", "body_bytes": 2_000});
    assert_eq!(probe(limits).await.get(body).await, "too large: 1000");
    let hang = json!({"url": "http://127.0.0.1:PORT/hang", "timeout_ms": 50});
    assert_eq!(probe(small()).await.get(hang).await, "timeout");
    let short = Limits { http_total_ms: 50, http_longest_ms: 60_000, ..small() };
    assert_eq!(probe(short).await.get(json!({"url": "http://127.0.0.1:PORT/hang"})).await, "timeout");
    let patient = json!({"url": "http://127.0.0.1:PORT/hang", "timeout_ms": 60_000});
    assert_eq!(probe(Limits { http_longest_ms: 50, ..small() }).await.get(patient).await, "timeout");
    let many = json!({"url": "http://127.0.0.1:PORT/echo/a", "times": 4});
    let few = Limits { http_requests_per_call: 3, ..small() };
    insta::assert_snapshot!(probe(few).await.get(many).await, @"denied: more than 3 requests in one call: ask for less at a time, or raise limits.http_requests_per_call in anomd.yaml");
}

#[tokio::test]
async fn a_host_call_that_hangs_ends_with_the_time_of_the_call() {
    let limits = Limits { call_wall_ms: 200, ..small() };
    let probe = Probe { limits, ..Probe::new().await };
    insta::assert_snapshot!(probe.get(json!({"url": "http://127.0.0.1:PORT/hang"})).await, @r"
    tenant acme: plugin probe 0.1.0, fetch: it was not done after the 200ms that a call may take (blame: limit)
      raise limits.call_wall_ms in anomd.yaml, or let the plugin need less
    ");
}

#[tokio::test]
async fn secrets_are_added_for_their_origins_only() {
    let here = ["http://127.0.0.1:PORT"];
    let probe = async || Probe::new().await.secret("token", "s3cr3t/+", &here);
    let url = "http://127.0.0.1:PORT/echo/a";
    let filled = json!({"url": format!("{url}/TOKEN?q=TOKEN"), "blanks": [["TOKEN", "token"]], "body": "\"TOKEN\""});
    // The server echoes them, and the plugin does not see them.
    let exchange = async |config: Value| {
        let (sent, seen) = probe().await.exchange(config).await;
        format!("{sent}\n  {seen}")
    };
    let exchanges = [
        exchange(json!({"url": url, "bearer": "token"})).await,
        exchange(json!({"url": url, "basic": ["bob", "token"]})).await,
        exchange(json!({"url": url, "header": ["x-key", "token"]})).await,
        exchange(filled).await,
    ];
    insta::assert_snapshot!(exchanges.join("\n"), @r#"
    /echo/a|Bearer s3cr3t/+|-|-|
      200 /echo/a|Bearer [secret]|-|-|
    /echo/a|Basic Ym9iOnMzY3IzdC8r|-|-|
      200 /echo/a|Basic Ym9iO[secret]|-|-|
    /echo/a|-|s3cr3t/+|-|
      200 /echo/a|-|[secret]|-|
    /echo/a/s3cr3t%2F%2B?q=s3cr3t%2F%2B|-|-|-|"s3cr3t/+"
      200 /echo/a/[secret]?q=[secret]|-|-|-|"[secret]"
    "#);
    let whole = Probe::new().await.secret("hook", "http://127.0.0.1:1/x", &here);
    let whole = Probe { port: whole.port, ..whole };
    let whole = whole.get(json!({"secret_url": "hook"})).await;
    let other = json!({"url": "http://metrics.example.com:PORT/echo/a", "bearer": "token"});
    let denied = [
        whole,
        probe().await.get(other).await,
        probe().await.get(json!({"url": url, "bearer": "tokn"})).await,
        probe().await.get(json!({"url": url, "bearer": "token", "headers": [["Authorization", "x"]]})).await,
        probe().await.get(json!({"url": url, "headers": [["Host", "x"]]})).await,
        probe().await.get(json!({"url": url, "headers": [["x", "a\nb"]]})).await,
    ];
    insta::assert_snapshot!(denied.join("\n"), @r#"
    denied: http://127.0.0.1:1 is not granted to plugin "probe" for tenant "acme": add "http://127.0.0.1:1" to tenants.acme.grants.probe.origins in anomd.yaml, or run `anomd tenant policy acme --origin http://127.0.0.1:1`
    denied: secret "token" of tenant "acme" may not be sent to http://metrics.example.com:PORT: add "http://metrics.example.com:PORT" to tenants.acme.secrets.token.origins in anomd.yaml
    denied: secret slot "tokn" is empty: add secrets.tokn to the batch, or tenants.acme.secrets.tokn to anomd.yaml
    invalid: header authorization is set twice, once as credentials
    invalid: header host belongs to the host
    invalid: the value of header x has a character that no header may have
    "#);
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_memory_of_a_guest_that_sent_it_and_got_it_back() {
    const SECRET: &str = "s3cr3t/+token-0123456789";
    let url = "http://127.0.0.1:PORT/echo/MARKER-0123456789";
    let percent: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let slashes = SECRET.replace('/', "%2F").replace('+', "%2B");
    let basic = STANDARD.encode(format!("bob:{SECRET}"));
    let forms = [SECRET, &percent, &slashes, &STANDARD.encode(SECRET), &basic, &SECRET.replace('/', "\\/")];
    // The last one is there: the search finds what is to be found.
    let needles = forms.into_iter().chain(["MARKER-0123456789"]);
    let needles: Vec<Vec<u8>> = needles.map(|form| form.bytes().map(|byte| byte ^ 0xa5).collect()).collect();
    let requests = [
        json!({"url": url, "bearer": "token"}),
        json!({"url": url, "basic": ["bob", "token"]}),
        json!({"url": url, "header": ["x-key", "token"]}),
        json!({"url": url, "hmac": "token"}),
        json!({"url": format!("{url}/TOKEN?q=TOKEN"), "blanks": [["TOKEN", "token"]], "body": "\"TOKEN\" TOKEN"}),
    ];
    for mut request in requests {
        request["needles"] = json!(needles);
        let probe = Probe::new().await.secret("token", SECRET, &["http://127.0.0.1:PORT"]);
        // The search reads every byte.
        let limits = Limits { call_cpu_ms: 10_000, ..small() };
        let (page, _) = Probe { limits, ..probe }.fetch(request.clone()).await;
        let page = page.unwrap();
        let (labels, ..) = page.samples.iter().next().unwrap();
        for (nth, form) in forms.iter().enumerate() {
            assert_eq!(labels.get(&format!("found_{nth}")), Some("0"), "{form} after {request}");
        }
        assert_ne!(labels.get(&format!("found_{}", forms.len())), Some("0"), "the marker is in its memory");
    }
}

#[tokio::test]
async fn a_secret_can_be_the_whole_url() {
    let probe = Probe::new().await;
    let url = format!("http://127.0.0.1:{}/echo/T0/B0", probe.port);
    let probe = probe.secret("hook", &url, &["http://127.0.0.1:PORT"]);
    let (sent, seen) = probe.exchange(json!({"secret_url": "hook", "body": "{}"})).await;
    assert_eq!((sent.as_str(), seen.as_str()), ("/echo/T0/B0|-|-|-|{}", "200 [secret]|-|-|-|{}"));
}

#[tokio::test]
async fn a_signature_is_made_over_the_body_that_is_sent() {
    let probe = Probe::new().await.secret("key", "k", &["http://127.0.0.1:PORT"]);
    let url = "http://127.0.0.1:PORT/echo/a";
    let got = probe.get(json!({"url": url, "hmac": "key", "body": "[KEY]", "blanks": [["KEY", "key"]]})).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"k").unwrap();
    mac.update(b"[k]");
    let digits = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    assert_eq!(got, format!("200 /echo/a|-|-|sha256={digits}|[k]"));
}

#[tokio::test]
async fn grants_that_are_no_origins_are_told_when_the_plugin_is_bound() {
    let plugin = plugin(&runtime(&small()), "probe_ingester").await;
    let grants = Grants { origins: vec!["metrics.example.com".into()], ..Grants::default() };
    let Err(fault) = plugin.ingester(Use { grants, ..usage() }) else { panic!("that was no origin") };
    insta::assert_snapshot!(fault.to_string(), @r#"
    tenant acme: plugin probe 0.1.0: "metrics.example.com" is not an origin: write "https://metrics.example.com" (blame: operator)
      correct tenants.acme.grants.probe.origins in anomd.yaml
    "#);
    let config = json!({"url": "http://prometheus:9090/prom"});
    assert_eq!(plugin.origins_with(&config), ["http://prometheus:9090", "https://*.example.com"]);
}

#[tokio::test]
async fn pages_follow_each_other_and_what_is_kept_is_there_next_time() {
    let probe = Probe::new().await;
    let runtime = Runtime::with_net(&small(), CACHE.path(), net()).unwrap();
    let ingester = plugin(&runtime, "probe_ingester").await.ingester(probe.usage).unwrap();
    let (call, _) = call();
    let window = Window { span: 60_000..120_000, step_ms: 60_000 };
    let config = json!({"url": format!("http://127.0.0.1:{}/echo/a", probe.port)}).to_string();
    let first = ingester.fetch(&call, &config, &window, None).await.unwrap();
    assert_eq!(first.samples.iter().next().unwrap().2, [60_000]);
    let second = ingester.fetch(&call, &config, &window, first.next).await.unwrap();
    assert_eq!(second.next, None);
    let kept = async |value: &str| {
        let page = ingester.fetch(&call, &json!({"keep": value}).to_string(), &window, None).await.unwrap();
        page.samples.iter().next().unwrap().0.get("before").unwrap_or_default().to_owned()
    };
    assert_eq!(kept("one").await, "");
    assert_eq!(kept("two").await, "one");
}
