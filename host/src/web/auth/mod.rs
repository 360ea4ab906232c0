//! Who asks, and whether they may: decided here for every request of the API and of the
//! pages, before a handler runs.
//!
//! Somebody is known by a token (`Authorization: Bearer`), or by the session of a browser in
//! which such a token was entered, or, as long as the node is nobody else's, by sitting at
//! this machine. A browser shows the last two with every request, whoever made it; so
//! requests that come with them and change something must come from a page of the node
//! itself, and those with a session must show its CSRF token as well. A tenant that a token
//! is not for is answered like one that is not there, so that nobody learns who else is
//! hosted.

mod cookie;
mod origin;
mod refusal;
mod right;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
pub(super) use cookie::{PLAIN as COOKIE, clear, csrf_of, set};
pub(super) use origin::{Maker, is_encrypted, is_local};
use origin::{is_navigation, is_safe, maker};
pub use refusal::Refusal;
pub use right::Right;

use super::throttle::{Throttle, address_of};
use crate::config::DEFAULT_TENANT;
use crate::desk::tenants::{Scope, hash_of, is_same};
use crate::node::{Node, SessionHolder, TokenHolder};

/// Where a script shows the CSRF token.
pub(super) const CSRF_HEADER: &str = "x-csrf-token";
/// Where a form does.
const CSRF_FIELD: &str = "csrf";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Who has the token of the node itself, or sits at the machine of a node that nobody
    /// shares.
    Operator,
    /// Who has a token of a tenant.
    Token(TokenHolder),
}

/// Who looks, at which tenant, and what they may do there: in the extensions of each request
/// that was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who it is.
    pub principal: Principal,
    /// The tenant that the request is about.
    pub tenant: String,
    /// What they may do there; an operator everything.
    pub scope: Scope,
    /// Whether they are the operator of the node, who sees every tenant.
    pub operator: bool,
    /// Whether they signed in, and can sign out.
    pub signed_in: bool,
    /// What forms carry in their field `csrf`, and scripts in `X-CSRF-Token`, so that no other
    /// site acts in their name; empty where there is no session.
    pub csrf: String,
}

impl Visitor {
    /// What they are called, as far as they showed it: their token's name. `None`: whoever sits at
    /// this machine.
    pub fn name(&self) -> Option<&str> {
        match &self.principal {
            Principal::Token(holder) => Some(&holder.name),
            Principal::Operator => self.signed_in.then_some("the operator"),
        }
    }

    /// Whether they may do what needs a scope.
    pub fn may(&self, needed: Scope) -> bool {
        self.scope >= needed
    }
}

/// The tenant that a request is about, in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub String);

/// What knows people by what they show.
#[derive(Clone)]
pub(super) struct Gate {
    node: Arc<Node>,
    /// The hash of the node's own token.
    token: [u8; 32],
    wrong_tokens: Arc<Throttle>,
    sign_ins: Arc<Throttle>,
}

/// As whom somebody is known, and by what.
enum Known {
    /// A token that no browser sends by itself.
    Bearer(Principal),
    /// The session of a browser, with its CSRF token.
    Session(Principal, String),
    /// A place at this machine.
    Keyboard,
}

/// How a route answers those whom it does not let through.
#[derive(Clone, Copy)]
pub(super) enum Face {
    /// With a problem.
    Api,
    /// With a page, or the way to `/sign-in`.
    Page(fn(&Refusal) -> Response),
}

/// What a route asks of those who call it.
#[derive(Clone)]
pub(super) struct Guarded {
    pub gate: Gate,
    pub right: Right,
    pub face: Face,
}

impl Gate {
    /// A gate that knows the node's own token as the operator's.
    pub fn new(node: Arc<Node>, token: &str) -> Self {
        let limits = &node.config.limits;
        let throttle = |per_minute| Arc::new(Throttle::new(per_minute, limits.throttled_addresses));
        let (wrong_tokens, sign_ins) = (throttle(limits.wrong_tokens_per_minute), throttle(limits.sign_ins_per_minute));
        Self { token: hash_of(token), wrong_tokens, sign_ins, node }
    }

    /// Who has made a request, as far as its browser says it.
    pub fn maker(&self, headers: &HeaderMap) -> Maker {
        maker(headers, self.node.config.public_url.as_ref())
    }

    /// Takes one of the attempts to sign in that an address has.
    pub fn attempt(&self, request: &Request) -> Result<(), Refusal> {
        let address = address_of(peer(request.extensions()), request.headers());
        self.sign_ins.spend(address).map_err(Refusal::TooOften)
    }

    /// The tenant whose pages somebody is led to who names none; `None`: they have to sign in.
    pub fn home_of(&self, request: &Request) -> Option<String> {
        match self.known(request.headers(), peer(request.extensions())).ok()?? {
            Known::Bearer(Principal::Token(holder)) | Known::Session(Principal::Token(holder), _) => {
                Some(holder.tenant)
            }
            _ => Some(DEFAULT_TENANT.to_owned()),
        }
    }

    /// Whose a token is.
    pub fn holder_of(&self, token: &str) -> Option<SessionHolder> {
        if is_same(&self.token, token) {
            return Some(SessionHolder::Operator);
        }
        self.node.holder_of(token, self.node.clock.now()).map(SessionHolder::Token)
    }

    /// As whom somebody is known. A right token is never refused for the wrong ones that came
    /// from its address.
    fn known(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Option<Known>, Refusal> {
        if let Some(shown) = headers.get(AUTHORIZATION) {
            let token = shown.to_str().ok().and_then(|shown| {
                let (scheme, token) = shown.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
            });
            if let Some(holder) = token.and_then(|token| self.holder_of(token)) {
                return Ok(Some(Known::Bearer(holder.into())));
            }
            self.wrong_tokens.spend(address_of(peer, headers)).map_err(Refusal::TooOften)?;
            return Err(Refusal::Unknown);
        }
        if let Some((secret, holder)) = self.session(headers) {
            return Ok(Some(Known::Session(holder.into(), csrf_of(secret))));
        }
        Ok(self.is_at_keyboard(headers, peer).then_some(Known::Keyboard))
    }

    /// The session that a request shows, by its secret.
    pub fn session<'h>(&self, headers: &'h HeaderMap) -> Option<(&'h str, SessionHolder)> {
        cookie::shown(headers).find_map(|secret| Some((secret, self.node.holder_of_session(secret)?)))
    }

    /// Whether a request comes from the person at this machine, and the node is nobody else's;
    /// or from anybody, where the operator has said so.
    fn is_at_keyboard(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        if self.node.is_shared() {
            return false;
        }
        if !self.node.config.allow_unauthenticated {
            return peer.to_canonical().is_loopback() && is_local(headers);
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let public = self.node.config.public_url.as_ref().map(url::Url::authority);
        is_local(headers) || (host.is_some() && host == public)
    }

    /// Who makes a request with a right about a tenant, where it names one.
    fn admit(
        &self,
        right: Right,
        named: Option<&str>,
        request: &Request,
    ) -> Result<(Visitor, Option<String>), Refusal> {
        let headers = request.headers();
        let known = self.known(headers, peer(request.extensions()))?.ok_or(Refusal::Unknown)?;
        let safe = is_safe(request.method());
        let made = self.maker(headers);
        let (principal, session) = match known {
            Known::Bearer(principal) => (principal, None),
            // What another page may have a browser fetch is a page to look at, and nothing else.
            _ if made == Maker::Other && !(safe && is_navigation(headers)) => return Err(Refusal::Foreign),
            // A browser does say who made a request that changes something.
            Known::Session(..) if made == Maker::Unsaid && !safe => return Err(Refusal::Foreign),
            Known::Session(principal, csrf) => (principal, Some(csrf)),
            Known::Keyboard => (Principal::Operator, None),
        };
        let tenant = named.unwrap_or(DEFAULT_TENANT).to_owned();
        let scope = match (&principal, right) {
            (Principal::Operator, _) if named.is_some() && !self.node.has_tenant(&tenant) => {
                return Err(Refusal::Unseen(tenant));
            }
            (Principal::Operator, _) => Scope::Admin,
            (Principal::Token(holder), _) if named.is_some() && holder.tenant != tenant => {
                return Err(Refusal::Unseen(tenant));
            }
            (Principal::Token(holder), Right::Tenant(needed)) if named.is_some() => match holder.scope >= needed {
                true => holder.scope,
                false => return Err(Refusal::Narrow { has: holder.scope, needed }),
            },
            (Principal::Token(holder), Right::Node) if holder.tenant == DEFAULT_TENANT => Scope::Read,
            (Principal::Token(_), _) => return Err(Refusal::Operators),
        };
        let owed = session.clone().filter(|_| !safe);
        let operator = principal == Principal::Operator;
        let (signed_in, csrf) = (session.is_some(), session.unwrap_or_default());
        Ok((Visitor { principal, tenant, scope, operator, signed_in, csrf }, owed))
    }
}

impl From<SessionHolder> for Principal {
    fn from(holder: SessionHolder) -> Self {
        match holder {
            SessionHolder::Operator => Self::Operator,
            SessionHolder::Token(holder) => Self::Token(holder),
        }
    }
}

/// The address at the other end; one that is nowhere, where the server does not say it.
fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}

/// Lets a request through, or says why not.
pub(super) async fn guard(
    State(guarded): State<Guarded>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let named = params
        .ok()
        .and_then(|params| params.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value.to_owned()));
    if guarded.right == Right::Open {
        return next.run(request).await;
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let admitted = match guarded.gate.admit(guarded.right, named.as_deref(), &request) {
        Ok((visitor, Some(csrf))) => {
            let most = guarded.gate.node.config.limits.form_bytes;
            show_csrf(request, &csrf, most).await.map(|request| (visitor, request))
        }
        Ok((visitor, None)) => Ok((visitor, request)),
        Err(refusal) => Err(refusal),
    };
    match (admitted, guarded.face) {
        (Ok((visitor, mut request)), _) => {
            request.extensions_mut().insert(Asked(visitor.tenant.clone()));
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        (Err(refusal), Face::Api) => refusal.problem(),
        (Err(refusal), Face::Page(page)) => refusal.detour(&method, &uri).unwrap_or_else(|| {
            let mut response = page(&refusal);
            *response.status_mut() = refusal.status();
            refusal.tell(&mut response);
            response
        }),
    }
}

/// Gives a request back if it shows the CSRF token, in its header or as a field of its form,
/// which is read for it.
pub(super) async fn show_csrf(request: Request, csrf: &str, most: usize) -> Result<Request, Refusal> {
    if let Some(shown) = request.headers().get(CSRF_HEADER) {
        let same = shown.to_str().is_ok_and(|shown| cookie::is_csrf(csrf, shown));
        return if same { Ok(request) } else { Err(Refusal::Csrf) };
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Err(Refusal::Csrf);
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, most).await.map_err(|_| Refusal::Long)?;
    let same =
        url::form_urlencoded::parse(&bytes).any(|(name, value)| name == CSRF_FIELD && cookie::is_csrf(csrf, &value));
    if same { Ok(Request::from_parts(parts, Body::from(bytes))) } else { Err(Refusal::Csrf) }
}
