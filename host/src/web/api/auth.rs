//! Who asks, and whether they may: decided here for every request, before a handler runs.
//!
//! A tenant that a token is not for is answered like one that is not there, so that nobody
//! learns who else is hosted.

use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::endpoint::Right;
use super::{Api, Problem};
use crate::config::DEFAULT_TENANT;
use crate::desk::tenants::{Scope, is_same};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    /// Who has the token of the node itself.
    Operator,
    /// Who has a token of a tenant.
    Tenant(String, Scope),
    /// Somebody without a token.
    Nobody,
}

/// The tenant that a request is about, in the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct Asked(pub String);

/// Who looks at a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Visitor {
    /// The tenant whose page it is.
    pub tenant: String,
    /// What they may do there.
    pub scope: Scope,
    /// Whether they are the operator of the node, who sees every tenant.
    pub operator: bool,
    /// Whether they signed in, and can sign out.
    pub signed_in: bool,
    /// What their forms and scripts show, so that no other site acts in their name.
    pub csrf: String,
}

/// What a route asks of those who call it.
#[derive(Clone)]
pub(in crate::web) struct Guarded {
    pub api: Api,
    pub right: Right,
    /// Whether it answers without a token as long as the node is nobody else's.
    pub unshared: bool,
}

impl Api {
    fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        let Some(shown) = headers.get(AUTHORIZATION) else { return Some(Principal::Nobody) };
        let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let token = token.trim();
        if is_same(&self.token, token) {
            return Some(Principal::Operator);
        }
        let holder = self.node.holder_of(token, self.node.clock.now())?;
        Some(Principal::Tenant(holder.tenant, holder.scope))
    }
}

/// Lets a request through, or says why not.
pub(super) async fn guard(
    State(guarded): State<Guarded>,
    params: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let named = params
        .ok()
        .and_then(|params| params.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value.to_owned()));
    match admit(&guarded, request.headers(), named) {
        Ok(visitor) => {
            request.extensions_mut().insert(Asked(visitor.tenant));
            next.run(request).await
        }
        Err(problem) => {
            let unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
            let mut response = problem.into_response();
            if unknown {
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

/// Who asks, of which tenant, if they may.
pub(in crate::web) fn admit(guarded: &Guarded, headers: &HeaderMap, named: Option<String>) -> Result<Visitor, Problem> {
    let Guarded { api, right, unshared } = guarded;
    let unauthorized = || {
        let detail = "show a token as `Authorization: Bearer`: one of the tenant (`anomd tenant token` makes it), or the \
                      node's own, which commands on the same machine find in `node.json` of the data folder";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    };
    let tenant = named.clone().unwrap_or_else(|| DEFAULT_TENANT.to_owned());
    let visitor =
        |scope, operator| Visitor { tenant: tenant.clone(), scope, operator, signed_in: false, csrf: String::new() };
    if *right == Right::Open {
        return Ok(visitor(Scope::Read, false));
    }
    let unseen = || {
        let detail = format!("there is no tenant `{tenant}` that this token may see");
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    match api.principal(headers).ok_or_else(unauthorized)? {
        Principal::Operator if named.is_some() && !api.node.has_tenant(&tenant) => Err(unseen()),
        Principal::Operator => Ok(visitor(Scope::Admin, true)),
        Principal::Nobody if *unshared && !api.node.is_shared() && is_local(headers) => {
            if named.is_some() && !api.node.has_tenant(&tenant) {
                Err(unseen())
            } else {
                Ok(visitor(Scope::Admin, true))
            }
        }
        Principal::Nobody => Err(unauthorized()),
        Principal::Tenant(own, _) if named.is_some() && own != tenant => Err(unseen()),
        Principal::Tenant(_, scope) => match right {
            Right::Tenant(needed) if named.is_some() && scope >= *needed => Ok(visitor(scope, false)),
            Right::Tenant(needed) if named.is_some() => {
                let detail = format!("this token has the scope {scope}, and {needed} is needed; make another token");
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            _ => Err(Problem::new(StatusCode::FORBIDDEN, "this is for the operator of the node alone")),
        },
    }
}

/// Whether a request names this machine: a page of another site that has its name lead here
/// (DNS rebinding) names itself.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(axum::http::header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let url = url::Url::parse(&format!("http://{host}"));
    url.is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_led_here_is_not_this_machine() {
        let host = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static(host));
            is_local(&headers)
        };
        for own in ["localhost:8700", "127.0.0.1:8700", "[::1]:8700"] {
            assert!(host(own), "{own}");
        }
        for other in ["evil.example.com", "localhost.evil.org:8700", ""] {
            assert!(!host(other), "{other}");
        }
    }
}
