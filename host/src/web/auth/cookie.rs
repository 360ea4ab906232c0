//! The cookie of a session, and the token that its forms show.
//!
//! `HttpOnly`: no script reads it. `SameSite=Lax`, not `Strict`: who follows a link in a mail
//! arrives signed in, and such a request changes nothing; those that do are held to the CSRF
//! token and to what the browser says of their origin. Over TLS it is `Secure` and has the
//! prefix `__Host-`, so that neither a plain connection nor a neighbouring subdomain can set
//! it.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::series::Millis;

/// Its name where the connection is not encrypted.
pub(in crate::web) const PLAIN: &str = "anomd-session";
const SECURE: &str = "__Host-anomd-session";
/// What the CSRF token is a code of.
const PURPOSE: &[u8] = b"csrf of a session of anomd";

/// The secrets of sessions that a request shows, those that came over TLS first.
pub(super) fn shown(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = || {
        let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='))
    };
    let named = move |wanted: &'static str| pairs().filter(move |(name, _)| *name == wanted).map(|(_, value)| value);
    named(SECURE).chain(named(PLAIN))
}

/// `Set-Cookie` of a session that has begun.
pub(in crate::web) fn set(secret: &str, now: Millis, expires: Millis, encrypted: bool) -> String {
    let seconds = expires.saturating_sub(now).max(0) / 1_000;
    let common = format!("={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax");
    if encrypted { format!("{SECURE}{common}; Secure") } else { format!("{PLAIN}{common}") }
}

/// `Set-Cookie` of a session that has ended.
pub(in crate::web) fn clear() -> [String; 2] {
    let common = "=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
    [format!("{PLAIN}{common}"), format!("{SECURE}{common}; Secure")]
}

/// The CSRF token of a session: a code under its secret, so that nothing more has to be kept
/// and nobody gets from the one to the other.
pub(in crate::web) fn csrf_of(secret: &str) -> String {
    let code = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut code| {
        code.update(PURPOSE);
        code.finalize().into_bytes()
    });
    // A key of any length is taken.
    code.map(|code| BASE64URL_NOPAD.encode(&code)).unwrap_or_default()
}

/// Whether a request showed the CSRF token of a session.
pub(super) fn is_csrf(csrf: &str, shown: &str) -> bool {
    !csrf.is_empty() && csrf.as_bytes().ct_eq(shown.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "theme=dark; anomd-session=abc".parse().unwrap());
        headers.append("cookie", "__Host-anomd-session=def;x=y".parse().unwrap());
        assert_eq!(shown(&headers).collect::<Vec<_>>(), ["def", "abc"]);
        assert_eq!(shown(&HeaderMap::new()).count(), 0);
    }

    #[test]
    fn the_token_of_a_form_is_that_of_its_session_alone() {
        let (one, other) = (csrf_of("one"), csrf_of("other"));
        assert!(is_csrf(&one, &one) && !is_csrf(&one, &other) && !is_csrf(&one, "") && !is_csrf("", ""));
        assert!(!one.contains("one") && one.len() == 43);
    }
}
