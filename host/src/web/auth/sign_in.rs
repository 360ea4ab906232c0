//! `/sign-in`, where a browser is given a session for a token, and `/sign-out`.

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::origin::{Maker, is_encrypted, is_local, maker};
use super::{Gate, Principal, Refusal, address_of, cookie, peer, show_csrf};
use crate::desk::DeskError;
use crate::node::{NewSession, SessionHolder};

/// What a form may have, in bytes.
const FORM_BYTES: usize = 16 << 10;

/// The two routes.
pub(in crate::web) fn routes(gate: Gate) -> Router {
    Router::new()
        .route("/sign-in", get(ask).post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .with_state(gate)
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    /// Where to go then.
    next: String,
    /// What was wrong with the last attempt.
    refused: Option<String>,
    /// As whom the browser is signed in already.
    known: Option<SignedIn>,
    /// Whether others on the way can read what is entered.
    open_to_others: bool,
}

struct SignedIn {
    name: String,
    csrf: String,
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Entered {
    token: String,
    #[serde(default)]
    next: String,
}

/// An address of this node and no other.
fn own_address(next: &str) -> Option<&str> {
    let sound = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t', '\0']);
    sound.then_some(next)
}

impl Page {
    fn response(self, status: StatusCode) -> Response {
        match self.render() {
            Ok(text) => (status, Html(text)).into_response(),
            Err(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made; this is a fault in anomd").into_response()
            }
        }
    }

    fn asking(gate: &Gate, headers: &HeaderMap, next: &str) -> Self {
        let known = gate.session(headers).map(|(secret, holder)| SignedIn {
            name: match Principal::from(holder) {
                Principal::Operator => "the operator".to_owned(),
                Principal::Token(holder) => format!("{} of {}", holder.name, holder.tenant),
            },
            csrf: cookie::csrf_of(secret),
        });
        Self {
            next: own_address(next).unwrap_or("/").to_owned(),
            refused: None,
            known,
            open_to_others: !is_encrypted(headers) && !is_local(headers),
        }
    }
}

async fn ask(State(gate): State<Gate>, headers: HeaderMap, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let next = asked.map(|Query(asked)| asked.next).unwrap_or_default();
    Page::asking(&gate, &headers, &next).response(StatusCode::OK)
}

async fn sign_in(State(gate): State<Gate>, request: Request) -> Response {
    let (headers, peer) = (request.headers().clone(), peer(request.extensions()));
    let refused = |status, text: String, next: &str| {
        let page = Page::asking(&gate, &headers, next);
        Page { refused: Some(text), ..page }.response(status)
    };
    // Else a page of another site could sign a browser in, with a token of its own choice.
    if maker(&headers, gate.node.config.public_url.as_ref()) == Maker::Other {
        return refused(StatusCode::FORBIDDEN, Refusal::Foreign.detail(), "");
    }
    if let Err(wait) = gate.sign_ins.spend(address_of(peer, &headers)) {
        let refusal = Refusal::TooOften(wait);
        let mut response = refused(refusal.status(), refusal.detail(), "");
        refusal.tell(&mut response);
        return response;
    }
    let form: Result<Form<Entered>, FormRejection> = axum::RequestExt::extract(request).await;
    let Entered { token, next } = match form {
        Ok(Form(entered)) => entered,
        Err(rejection) => return refused(rejection.status(), rejection.body_text(), ""),
    };
    let Some(holder) = gate.holder_of(token.trim()) else {
        let text = "This token is not known here. It may have been revoked or have expired.".to_owned();
        return refused(StatusCode::UNAUTHORIZED, text, &next);
    };
    let home = match &holder {
        SessionHolder::Operator => "/".to_owned(),
        SessionHolder::Token(holder) => format!("/t/{}", holder.tenant),
    };
    let (node, old) = (gate.node.clone(), gate.session(&headers).map(|(secret, _)| secret.to_owned()));
    let begun = tokio::task::spawn_blocking(move || {
        if let Some(old) = old {
            node.end_session(&old)?;
        }
        node.begin_session(&holder)
    });
    match begun.await.unwrap_or_else(|_| Err(DeskError::Conflict("The attempt was cut off. Try again.".to_owned()))) {
        Ok(NewSession { secret, expires }) => {
            let to = own_address(&next).filter(|next| *next != "/").unwrap_or(&home);
            let cookie = cookie::set(&secret, gate.node.clock.now(), expires, is_encrypted(&headers));
            see(to, &[cookie])
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), &next),
    }
}

async fn sign_out(State(gate): State<Gate>, request: Request) -> Response {
    let headers = request.headers().clone();
    if let Some((secret, _)) = gate.session(&headers) {
        let own = maker(&headers, gate.node.config.public_url.as_ref()) == Maker::Own;
        let shown = match own {
            true => show_csrf(request, &cookie::csrf_of(secret), FORM_BYTES).await.map(drop),
            false => Err(Refusal::Foreign),
        };
        if let Err(refusal) = shown {
            let page = Page::asking(&gate, &headers, "/");
            return Page { refused: Some(refusal.detail()), ..page }.response(refusal.status());
        }
        let (node, secret) = (gate.node.clone(), secret.to_owned());
        let ended = tokio::task::spawn_blocking(move || node.end_session(&secret)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!("a session that was ended is still kept: {error}");
        }
    }
    see("/sign-in", &cookie::clear())
}

/// Leads to another page of the node.
fn see(address: &str, cookies: &[String]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, location);
    }
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::own_address;

    #[test]
    fn after_the_sign_in_it_goes_on_at_this_node() {
        for own in ["/", "/t/shop/alerts?state=firing"] {
            assert_eq!(own_address(own), Some(own));
        }
        for other in ["", "https://evil.org", "//evil.org", "/\\evil.org", "/a\r\nSet-Cookie: x=y", "t/shop"] {
            assert_eq!(own_address(other), None, "{other:?}");
        }
    }
}
