//! The headers that keep an answer what it is: every page, script and document of the node
//! has them, unless it has stricter ones of its own.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

/// Scripts, styles, pictures, fetches and forms of the node itself; nothing inline, nothing
/// from elsewhere, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src \
                      'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// For every answer.
const ALWAYS: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // No page of another site has it in it.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Not `no-referrer`: a browser then says of our own forms that they come from nowhere.
    (REFERRER_POLICY, "same-origin"),
];

/// For every page.
const PAGE: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Adds them to an answer.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let pages = PAGE.into_iter().filter(|_| is_page);
    for (name, value) in ALWAYS.into_iter().chain(pages) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
