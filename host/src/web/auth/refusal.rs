//! Why a request is not let through, as the API says it and as a page does.

use std::time::Duration;

use axum::http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::desk::tenants::Scope;
use crate::web::api::Problem;

/// What stands unescaped in the query string of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows who asks.
    Unknown,
    /// There is no such tenant, or it is not for who asks: nobody learns which.
    Unseen(String),
    /// The token allows less than is needed.
    Narrow {
        /// What it allows.
        has: Scope,
        /// What is needed.
        needed: Scope,
    },
    /// It is for the operator alone.
    Operators,
    /// A page of another site has made the request.
    Foreign,
    /// The form or the script did not show the token of the session.
    Csrf,
    /// The form is too long.
    Long,
    /// Too many attempts; how long to wait.
    TooOften(Duration),
}

impl Refusal {
    /// The status that says it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::UNAUTHORIZED,
            Self::Unseen(_) => StatusCode::NOT_FOUND,
            Self::Narrow { .. } | Self::Operators | Self::Foreign | Self::Csrf => StatusCode::FORBIDDEN,
            Self::Long => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// What is wrong, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Self::Unknown => "show a token as `Authorization: Bearer`: one of the tenant (`anomd tenant token` makes \
                              it), or the node's own, which commands on the same machine find in `node.json` of the \
                              data folder; people sign in with it at /sign-in"
                .to_owned(),
            Self::Unseen(tenant) => format!("there is no tenant `{tenant}` that this token may see"),
            Self::Narrow { has, needed } => {
                format!("this token has the scope {has}, and {needed} is needed; make another token")
            }
            Self::Operators => "this is for the operator of the node alone".to_owned(),
            Self::Foreign => "a page of another site has made this request, so nothing was done; open the page of \
                              anomd itself and do it there"
                .to_owned(),
            Self::Csrf => "the request does not show the token of the session (the field `csrf` of a form, or the \
                           header X-CSRF-Token), so nothing was done; load the page again and repeat it"
                .to_owned(),
            Self::Long => "the form is longer than limits.form_bytes".to_owned(),
            Self::TooOften(wait) => {
                format!("too many attempts with wrong tokens came from this address; wait {} s", seconds(*wait))
            }
        }
    }

    /// The answer of the API.
    pub fn problem(&self) -> Response {
        let mut response = Problem::new(self.status(), self.detail()).into_response();
        self.tell(&mut response);
        if *self == Self::Unknown {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// Where a browser goes instead of a page, if it is to sign in first.
    pub fn detour(&self, method: &Method, uri: &Uri) -> Option<Response> {
        if *self != Self::Unknown {
            return None;
        }
        let asked = uri.path_and_query().map_or("/", |path| path.as_str());
        let address = match *method {
            Method::GET => format!("/sign-in?next={}", utf8_percent_encode(asked, PLAIN)),
            _ => "/sign-in".to_owned(),
        };
        let location = HeaderValue::from_str(&address).ok()?;
        Some((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
    }

    /// Adds the headers that say it to programs.
    pub fn tell(&self, response: &mut Response) {
        if let Self::TooOften(wait) = self {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(*wait)));
        }
    }
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(1)
}
