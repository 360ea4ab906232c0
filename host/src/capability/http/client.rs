//! The client of one use of a plugin: its checks, its connections, its caps.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use super::redact::Redaction;
use super::resolve::{Barrier, barrier};
use super::secret::{self, Auth, Secrets};
use super::{Answer, Fault, Method, Origin, Pattern, Request, Resolve, SystemResolver, Target};
use crate::capability::{Holder, Ungranted, tls};
use crate::config::{Grants, Limits, Secret};

/// Bytes of all headers of a request or an answer at most.
const HEADER_BYTES: usize = 64 << 10;
/// How long a connection waits for another request.
const IDLE: Duration = Duration::from_secs(30);
/// Hosts whose checked addresses are remembered.
const PINS: usize = 1_000;
/// Headers that belong to the connection or to us.
const RESERVED: [&str; 9] =
    ["connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// What the clients of a node share.
#[derive(Clone)]
pub struct Net {
    /// Looks names up.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Net {
    fn default() -> Self {
        Self { resolver: Arc::new(SystemResolver) }
    }
}

/// The right to send requests.
#[derive(Clone)]
pub struct Grant(Arc<Granted>);

struct Granted {
    holder: Arc<Holder>,
    origins: Vec<Pattern>,
    networks: Vec<IpNet>,
    secrets: Secrets,
    limits: Limits,
    resolver: Arc<dyn Resolve>,
    pins: Pins,
    // Made with the first request: most uses have none.
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl Grant {
    /// Checks what the operator granted.
    pub fn new(
        holder: Arc<Holder>,
        grants: &Grants,
        secrets: BTreeMap<String, (Secret, Vec<String>)>,
        net: &Net,
        limits: &Limits,
    ) -> Result<Self, Ungranted> {
        let origins: Result<_, String> = grants.origins.iter().map(|origin| origin.parse()).collect();
        let origins = origins.map_err(|message| Ungranted {
            message,
            remedy: format!("correct tenants.{}.grants.{}.origins in anomd.yaml", holder.tenant, holder.plugin),
        })?;
        let secrets = Secrets::new(&holder, secrets)?;
        Ok(Self(Arc::new(Granted {
            holder,
            origins,
            networks: grants.networks.clone(),
            secrets,
            limits: limits.clone(),
            resolver: Arc::clone(&net.resolver),
            pins: Pins::default(),
            client: OnceLock::new(),
        })))
    }

    /// For one call.
    pub fn open(&self) -> Http {
        Http { granted: Arc::clone(&self.0), sent: 0 }
    }
}

/// Requests of one call.
pub struct Http {
    granted: Arc<Granted>,
    sent: u32,
}

impl Http {
    /// Sends one request and awaits the whole answer.
    pub async fn send(&mut self, request: Request) -> Result<Answer, Fault> {
        let limits = &self.granted.limits;
        if self.sent >= limits.http_requests_per_call {
            return Err(Fault::Denied(format!(
                "more than {} requests in one call: ask for less at a time, \
                 or raise limits.http_requests_per_call in anomd.yaml",
                limits.http_requests_per_call
            )));
        }
        self.sent += 1;
        if request.body.len() > limits.http_request_bytes {
            return Err(Fault::TooLarge(limits.http_request_bytes));
        }
        let time = match request.timeout {
            Some(time) => time.min(Duration::from_millis(limits.http_longest_ms)),
            None => Duration::from_millis(limits.http_total_ms),
        };
        match tokio::time::timeout(time, self.granted.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Timeout),
        }
    }
}

impl Granted {
    async fn exchange(&self, request: Request) -> Result<Answer, Fault> {
        let text = match &request.target {
            Target::Url(url) => url.as_str(),
            Target::Secret(slot) => self.secrets.url(slot, &self.holder)?,
        };
        let (url, origin) = parse(text)?;
        self.permit(&origin)?;
        self.pins.set(origin.host(), self.addresses(&url, &origin).await?);

        let reveal = |slot: &str| self.secrets.reveal(slot, &origin, &self.holder);
        if let Target::Secret(slot) = &request.target {
            reveal(slot)?;
        }
        let redactions = self.redactions(&request)?;
        let (text, body) = secret::fill(text, request.body, &request.blanks, |slot| reveal(slot).map(str::to_owned))?;
        let (url, filled) = parse(&text)?;
        if filled != origin {
            return Err(Fault::Invalid("a blank would change the origin".into()));
        }
        let mut headers = headers(&request.headers)?;
        if let Some(auth) = &request.auth {
            let (name, value) = secret::header(auth, &body, reveal(auth.slot())?)?;
            let (name, mut value) = header(&name, &value)?;
            value.set_sensitive(true);
            if headers.insert(name.clone(), value).is_some() {
                return Err(Fault::Invalid(format!("header {name} is set twice, once as credentials")));
            }
        }

        let client = self.client().map_err(|why| Fault::Transport(why.to_owned()))?;
        let response = client.request(method(request.method), url).headers(headers).body(body).send().await;
        let answer = self.receive(response.map_err(transport)?, &redactions).await;
        let (status, bytes) = answer.as_ref().map_or((0, 0), |answer| (answer.status, answer.body.len()));
        // No path and no query: they may hold tokens.
        let Holder { tenant, plugin } = self.holder.as_ref();
        tracing::debug!(tenant, plugin, %origin, status, bytes, "request");
        answer
    }

    fn permit(&self, origin: &Origin) -> Result<(), Fault> {
        if self.origins.iter().any(|pattern| pattern.matches(origin)) {
            return Ok(());
        }
        let Holder { tenant, plugin } = self.holder.as_ref();
        // What a batch of the default tenant names is granted to it.
        let name = if tenant == "default" { "name it in the plugin's parameters in the batch, or " } else { "" };
        Err(Fault::Denied(format!(
            "{origin} is not granted to plugin \"{plugin}\" for tenant \"{tenant}\": \
             {name}add \"{origin}\" to tenants.{tenant}.grants.{plugin}.origins in anomd.yaml"
        )))
    }

    /// The addresses of a host that may be connected to; at least one.
    async fn addresses(&self, url: &Url, origin: &Origin) -> Result<Vec<SocketAddr>, Fault> {
        let host = origin.host();
        let (found, literal) = match url.host() {
            Some(Host::Ipv4(address)) => (vec![IpAddr::V4(address)], true),
            Some(Host::Ipv6(address)) => (vec![IpAddr::V6(address)], true),
            _ => {
                let found = self.resolver.resolve(host).await;
                (found.map_err(|e| Fault::Transport(format!("cannot resolve {host}: {e}")))?, false)
            }
        };
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in found {
            match barrier(address, &self.networks) {
                None => permitted.push(SocketAddr::new(address, origin.port())),
                Some(why) => refused = Some((address, why)),
            }
        }
        if !permitted.is_empty() {
            return Ok(permitted);
        }
        let Holder { tenant, plugin } = self.holder.as_ref();
        let is = |address: IpAddr| if literal { format!("{host} is") } else { format!("{host} is {address},") };
        Err(match refused {
            None => Fault::Transport(format!("{host} has no address")),
            Some((address, Barrier::Never)) => Fault::Denied(format!(
                "{} a metadata, link-local or reserved address: no plugin may reach it",
                is(address)
            )),
            Some((address, Barrier::Private)) => Fault::Denied(format!(
                "{} a private address: add \"{}\" to tenants.{tenant}.grants.{plugin}.networks in anomd.yaml",
                is(address),
                IpNet::from(address)
            )),
        })
    }

    fn client(&self) -> Result<&reqwest::Client, &str> {
        let build = || {
            let tls = tls::client().ok_or("TLS cannot be used")?;
            let builder = reqwest::Client::builder()
                .user_agent(concat!("anomd/", env!("CARGO_PKG_VERSION")))
                .tls_backend_preconfigured(tls)
                .dns_resolver(self.pins.clone())
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_proxy()
                .connect_timeout(Duration::from_millis(self.limits.http_connect_ms))
                .pool_idle_timeout(IDLE);
            builder.build().map_err(|e| e.to_string())
        };
        self.client.get_or_init(build).as_ref().map_err(String::as_str)
    }

    /// What takes the secrets of a request out of its answer.
    fn redactions(&self, request: &Request) -> Result<Vec<&Redaction>, Fault> {
        let target = match &request.target {
            Target::Secret(slot) => Some(slot.as_str()),
            Target::Url(_) => None,
        };
        let blanks = request.blanks.iter().map(|blank| blank.slot.as_str());
        let slots = target.into_iter().chain(request.auth.as_ref().map(Auth::slot)).chain(blanks);
        slots.map(|slot| self.secrets.redaction(slot, &self.holder)).collect()
    }

    async fn receive(&self, mut response: reqwest::Response, redactions: &[&Redaction]) -> Result<Answer, Fault> {
        let most = self.limits.http_response_bytes;
        let status = response.status().as_u16();
        let pairs = response.headers().iter();
        let redacted = |bytes: Vec<u8>| redactions.iter().fold(bytes, |bytes, redaction| redaction.apply(bytes));
        let headers: Vec<_> = pairs
            .map(|(name, value)| {
                let value = redacted(value.as_bytes().to_vec());
                (name.as_str().to_owned(), String::from_utf8_lossy(&value).into_owned())
            })
            .collect();
        if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADER_BYTES {
            return Err(Fault::Transport(format!("the answer has more than {HEADER_BYTES} bytes of headers")));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > most {
                return Err(Fault::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: redacted(body) })
    }
}

fn parse(text: &str) -> Result<(Url, Origin), Fault> {
    // The text may be a secret, so no error shows it.
    let url = Url::parse(text).map_err(|e| Fault::Invalid(format!("the URL does not parse: {e}")))?;
    let origin = Origin::of(&url).map_err(Fault::Invalid)?;
    Ok((url, origin))
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
        Method::Patch => reqwest::Method::PATCH,
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, Fault> {
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADER_BYTES {
        return Err(Fault::TooLarge(HEADER_BYTES));
    }
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let (name, value) = header(name, value)?;
        map.append(name, value);
    }
    Ok(map)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let name = HeaderName::try_from(name).map_err(|_| Fault::Invalid(format!("{name:?} is no header name")))?;
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
        return Err(Fault::Invalid(format!("header {name} belongs to the host")));
    }
    // The value may be a secret.
    let value = HeaderValue::try_from(value)
        .map_err(|_| Fault::Invalid(format!("the value of header {name} has a character that no header may have")))?;
    Ok((name, value))
}

/// The reason at the bottom, without the URL, which may hold secrets.
fn transport(error: reqwest::Error) -> Fault {
    if error.is_timeout() {
        return Fault::Timeout;
    }
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let what = if error.is_connect() { "cannot connect" } else { "the exchange failed" };
    Fault::Transport(format!("{what}: {reason}"))
}

/// The checked addresses of each host: all that the client's resolver knows. So nothing
/// is looked up between the check and the connection.
#[derive(Clone, Default)]
struct Pins(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Pins {
    fn set(&self, host: &str, addresses: Vec<SocketAddr>) {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A pattern grants any number of hosts. Whose pin is lost asks again.
        if pins.len() >= PINS {
            pins.clear();
        }
        pins.insert(host.to_owned(), addresses);
    }
}

impl reqwest::dns::Resolve for Pins {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let pinned = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name.as_str()).cloned();
        Box::pin(async move {
            let addresses = pinned.ok_or_else(|| format!("{} was not checked", name.as_str()))?;
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}
