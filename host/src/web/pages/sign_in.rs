//! `/sign-in`, where a browser is given a session for a token, and `/sign-out`.

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::frame::{Frame, Part, page};
use crate::desk::DeskError;
use crate::node::{NewSession, SessionHolder};
use crate::web::api::Api;
use crate::web::auth::{self, Gate, Maker, Principal, Refusal, is_encrypted, is_local, show_csrf};

/// What a form may have, in bytes.
const FORM_BYTES: usize = 16 << 10;

/// The two routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/sign-in", get(ask).post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    frame: Frame,
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
        let mut response = page(&self);
        *response.status_mut() = status;
        response
    }

    fn asking(gate: &Gate, headers: &HeaderMap, next: &str) -> Self {
        let known = gate.session(headers).map(|(secret, holder)| SignedIn {
            name: match Principal::from(holder) {
                Principal::Operator => "the operator".to_owned(),
                Principal::Token(holder) => format!("{} of {}", holder.name, holder.tenant),
            },
            csrf: auth::csrf_of(secret),
        });
        Self {
            frame: Frame::bare(Part::Other, "Sign in"),
            next: own_address(next).unwrap_or("/").to_owned(),
            refused: None,
            known,
            open_to_others: !is_encrypted(headers) && !is_local(headers),
        }
    }
}

async fn ask(State(api): State<Api>, headers: HeaderMap, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let next = asked.map(|Query(asked)| asked.next).unwrap_or_default();
    Page::asking(&api.gate, &headers, &next).response(StatusCode::OK)
}

async fn sign_in(State(api): State<Api>, request: Request) -> Response {
    let (gate, headers) = (&api.gate, request.headers().clone());
    let refused = |status, text: String, next: &str| {
        let page = Page::asking(gate, &headers, next);
        Page { refused: Some(text), ..page }.response(status)
    };
    // Else a page of another site could sign a browser in, with a token of its own choice.
    if gate.maker(&headers) == Maker::Other {
        return refused(StatusCode::FORBIDDEN, Refusal::Foreign.detail(), "");
    }
    if let Err(refusal) = gate.attempt(&request) {
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
    let (node, old) = (api.node.clone(), gate.session(&headers).map(|(secret, _)| secret.to_owned()));
    let begun = tokio::task::spawn_blocking(move || {
        if let Some(old) = old {
            node.end_session(&old)?;
        }
        node.begin_session(&holder)
    });
    match begun.await.unwrap_or_else(|_| Err(DeskError::Conflict("The attempt was cut off. Try again.".to_owned()))) {
        Ok(NewSession { secret, expires }) => {
            let to = own_address(&next).filter(|next| *next != "/").unwrap_or(&home);
            let cookie = auth::set(&secret, api.node.clock.now(), expires, is_encrypted(&headers));
            see(to, &[cookie])
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), &next),
    }
}

async fn sign_out(State(api): State<Api>, request: Request) -> Response {
    let gate = &api.gate;
    let headers = request.headers().clone();
    if let Some((secret, _)) = gate.session(&headers) {
        let own = gate.maker(&headers) == Maker::Own;
        let shown = match own {
            true => show_csrf(request, &auth::csrf_of(secret), FORM_BYTES).await.map(drop),
            false => Err(Refusal::Foreign),
        };
        if let Err(refusal) = shown {
            let page = Page::asking(gate, &headers, "/");
            return Page { refused: Some(refusal.detail()), ..page }.response(refusal.status());
        }
        let (node, secret) = (api.node.clone(), secret.to_owned());
        let ended = tokio::task::spawn_blocking(move || node.end_session(&secret)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!("a session that was ended is still kept: {error}");
        }
    }
    see("/sign-in", &auth::clear())
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
