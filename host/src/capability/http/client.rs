//! The client of one use of a plugin: its checks, its connections, its caps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use tokio::time::timeout;
use url::Url;

use super::answer::{failed, receive};
use super::connect::Connection;
use super::net::Lanes;
use super::redact::Redaction;
use super::request::{HEADER_BYTES, compose, header, headers};
use super::secret::{self, Auth, Secrets};
use super::{Answer, Fault, Net, Origin, Pattern, Request, Target, Unreachable, addresses};
use crate::capability::{Holder, Ungranted};
use crate::config::{Grants, Limits, Secret};

/// The right to send requests.
#[derive(Clone)]
pub struct Grant(Arc<Granted>);

struct Granted {
    holder: Arc<Holder>,
    origins: Vec<Pattern>,
    networks: Vec<IpNet>,
    secrets: Secrets,
    limits: Limits,
    net: Net,
    lanes: Lanes,
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
        let lanes = net.lanes(&holder, limits);
        let networks = grants.networks.clone();
        let (limits, net) = (limits.clone(), net.clone());
        Ok(Self(Arc::new(Granted { holder, origins, networks, secrets, limits, net, lanes })))
    }

    /// For one call.
    pub fn open(&self) -> Http {
        Http { granted: Arc::clone(&self.0), sent: 0, connection: None }
    }
}

/// Requests of one call, one after the other.
pub struct Http {
    granted: Arc<Granted>,
    sent: u32,
    // To the origin of the last request: no connection outlives a call.
    connection: Option<Connection>,
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
        let granted = Arc::clone(&self.granted);
        timeout(time, self.exchange(&granted, request)).await.unwrap_or(Err(Fault::Timeout))
    }

    async fn exchange(&mut self, granted: &Granted, request: Request) -> Result<Answer, Fault> {
        let Granted { holder, secrets, limits, .. } = granted;
        let text = match &request.target {
            Target::Url(url) => url.as_str(),
            Target::Secret(slot) => secrets.url(slot, holder)?,
        };
        let (url, origin) = parse(text)?;
        granted.permit(&origin)?;
        let _room = granted.lanes.enter().await?;
        let addresses = granted.addresses(&url, &origin).await?;

        let reveal = |slot: &str| secrets.reveal(slot, &origin, holder);
        if let Target::Secret(slot) = &request.target {
            reveal(slot)?;
        }
        let redactions = granted.redactions(&request)?;
        // In the URL that is a secret a plugin's placeholder would be a guess at the secret.
        let fillable = matches!(request.target, Target::Url(_)).then_some(text);
        let filled = secret::fill(fillable, request.body, &request.blanks, limits.http_request_bytes, |slot| {
            reveal(slot).map(str::to_owned)
        })?;
        let url = match filled.url {
            None => url,
            Some(text) => match parse(&text)? {
                (url, same) if same == origin => url,
                _ => return Err(Fault::Invalid("a blank would change the origin".into())),
            },
        };
        let mut headers = headers(&request.headers)?;
        // Parts of an answer may be parts of a secret, which are not found.
        if !redactions.is_empty() && headers.contains_key("range") {
            return Err(Fault::Invalid("a request with secrets asks for the whole answer: leave out range".into()));
        }
        if let Some(auth) = &request.auth {
            let (name, value) = secret::header(auth, &filled.body, reveal(auth.slot())?)?;
            let (name, mut value) = header(&name, &value)?;
            value.set_sensitive(true);
            if headers.insert(name.clone(), value).is_some() {
                return Err(Fault::Invalid(format!("header {name} is set twice, once as credentials")));
            }
        }
        let message = compose(request.method, &url, &origin, headers, filled.body)?;

        // Who says how long it takes, knows when the answer begins.
        let first = request.timeout.unwrap_or(Duration::from_millis(limits.http_first_byte_ms));
        let response = timeout(first, self.respond(granted, &origin, &addresses, message)).await;
        let answer = match response.unwrap_or(Err(Fault::Timeout)) {
            Ok(response) => receive(response, &redactions, limits.http_response_bytes).await,
            Err(fault) => Err(fault),
        };
        let (status, bytes) = answer.as_ref().map_or((0, 0), |answer| (answer.status, answer.body.len()));
        // No path and no query: they may hold tokens.
        let Holder { tenant, plugin } = holder.as_ref();
        tracing::debug!(tenant, plugin, %origin, status, bytes, "request");
        answer
    }

    /// Sends a message over the connection that is there, or over a new one.
    async fn respond(
        &mut self,
        granted: &Granted,
        origin: &Origin,
        addresses: &[SocketAddr],
        mut message: Message,
    ) -> Result<hyper::Response<Incoming>, Fault> {
        if let Some(mut open) = self.connection.take().filter(|open| open.leads_to(origin, addresses))
            && open.sender.ready().await.is_ok()
        {
            match open.sender.try_send_request(message).await {
                Ok(response) => {
                    self.connection = Some(open);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    // The server had closed it, and has seen nothing of this.
                    Some(unsent) => message = unsent,
                    None => return Err(failed(&error.into_error())),
                },
            }
        }
        let time = Duration::from_millis(granted.limits.http_connect_ms);
        let mut open = Connection::open(granted.net.connector.as_ref(), origin, addresses, time).await?;
        let response = open.sender.send_request(message).await.map_err(|e| failed(&e))?;
        self.connection = Some(open);
        Ok(response)
    }
}

type Message = hyper::Request<Full<Bytes>>;

impl Granted {
    fn permit(&self, origin: &Origin) -> Result<(), Fault> {
        if self.origins.iter().any(|pattern| pattern.matches(origin)) {
            return Ok(());
        }
        let Holder { tenant, plugin } = self.holder.as_ref();
        // What a batch of the default tenant names is granted to it.
        let name = if self.holder.is_default() { "name it in the plugin's parameters in the batch, or " } else { "" };
        Err(Fault::Denied(format!(
            "{origin} is not granted to plugin \"{plugin}\" for tenant \"{tenant}\": {name}{}",
            self.holder.widen("origin", &origin.to_string())
        )))
    }

    /// The addresses of a host that may be connected to; at least one.
    async fn addresses(&self, url: &Url, origin: &Origin) -> Result<Vec<SocketAddr>, Fault> {
        let host = url.host().ok_or_else(|| Fault::Invalid("the URL has no host".into()))?;
        let literal = !matches!(host, url::Host::Domain(_));
        let found = addresses(self.net.resolver.as_ref(), &host, origin.port(), &self.networks).await;
        let is = |address| if literal { format!("{host} is") } else { format!("{host} is {address},") };
        found.map_err(|why| match why {
            Unreachable::Unknown(error) => Fault::Transport(format!("cannot resolve {host}: {error}")),
            Unreachable::Nowhere => Fault::Transport(format!("{host} has no address")),
            Unreachable::Never(address) => Fault::Denied(format!(
                "{} a metadata, link-local or reserved address: no plugin may reach it",
                is(address)
            )),
            Unreachable::Private(address) => Fault::Denied(format!(
                "{} a private address: {}",
                is(address),
                self.holder.widen("network", &IpNet::from(address).to_string())
            )),
        })
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
}

fn parse(text: &str) -> Result<(Url, Origin), Fault> {
    if text.len() > HEADER_BYTES {
        return Err(Fault::TooLarge(HEADER_BYTES));
    }
    // The text may be a secret, so no error shows it.
    let url = Url::parse(text).map_err(|e| Fault::Invalid(format!("the URL does not parse: {e}")))?;
    let origin = Origin::of(&url).map_err(Fault::Invalid)?;
    Ok((url, origin))
}
