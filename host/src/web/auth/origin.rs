//! Where a request comes from, as far as the browser says it.
//!
//! A browser adds its cookies, and its place on this machine, to every request that any page
//! makes. What it says about the page is all that tells them apart; a script cannot set
//! these headers. Programs that are no browsers say nothing, and have nothing to be abused.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method};
use url::Url;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// What proxies add.
const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via"];

/// Whether a page of the node itself has made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Maker {
    /// One of the node's own pages, or the person by the address bar.
    Own,
    /// A page of another site.
    Other,
    /// The browser does not say, or there is none.
    Unsaid,
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Who has made a request. `public` is the address at which others see the node.
pub(super) fn maker(headers: &HeaderMap, public: Option<&Url>) -> Maker {
    match text(headers, SITE) {
        Some("same-origin" | "none") => return Maker::Own,
        Some(_) => return Maker::Other,
        // Browsers send it to addresses that they trust: over TLS, or on the same machine.
        None => {}
    }
    let Some(origin) = text(headers, ORIGIN) else { return Maker::Unsaid };
    let Ok(origin) = Url::parse(origin) else { return Maker::Other };
    let by_host = text(headers, HOST).and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok());
    let own = by_host.iter().chain(public).any(|own| own.origin() == origin.origin());
    if own { Maker::Own } else { Maker::Other }
}

/// Whether a request only reads.
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a browser follows a link or an address, so that the answer becomes a page of its
/// own, which the page with the link cannot read.
pub(super) fn is_navigation(headers: &HeaderMap) -> bool {
    text(headers, MODE).is_some_and(|mode| mode == "navigate")
}

/// Whether a request names this machine: a page of another site that has its name lead here
/// (DNS rebinding) names itself. What a proxy passes on comes from elsewhere, whatever it
/// names.
pub(in crate::web) fn is_local(headers: &HeaderMap) -> bool {
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    let Some(host) = headers.get(HOST) else { return true };
    let url = host.to_str().ok().and_then(|host| Url::parse(&format!("http://{host}")).ok());
    url.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        None => false,
    })
}

/// Whether the browser speaks with the node, or with the proxy before it, over TLS.
pub(in crate::web) fn is_encrypted(headers: &HeaderMap) -> bool {
    let forwarded = text(headers, HeaderName::from_static("x-forwarded-proto"));
    let origin = text(headers, ORIGIN);
    forwarded == Some("https") || origin.is_some_and(|origin| origin.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_name_that_is_led_here_is_not_this_machine() {
        for own in ["localhost:8700", "127.0.0.1:8700", "[::1]:8700"] {
            assert!(is_local(&headers(&[("host", own)])), "{own}");
            assert!(!is_local(&headers(&[("host", own), ("x-forwarded-for", "203.0.113.7")])), "{own} behind a proxy");
        }
        for other in ["evil.example.com", "localhost.evil.org:8700", ""] {
            assert!(!is_local(&headers(&[("host", other)])), "{other}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_told_from_our_own() {
        let host = ("host", "anomd.example.com");
        let public = Url::parse("https://metrics.example.com/").unwrap();
        for (pairs, made) in [
            (vec![("sec-fetch-site", "same-origin")], Maker::Own),
            (vec![("sec-fetch-site", "none")], Maker::Own),
            // Another port of the same machine is the same site, and another origin.
            (vec![("sec-fetch-site", "same-site")], Maker::Other),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://anomd.example.com")], Maker::Other),
            (vec![("origin", "https://anomd.example.com")], Maker::Own),
            (vec![("origin", "http://anomd.example.com:80")], Maker::Own),
            (vec![("origin", "https://anomd.example.com:8443")], Maker::Other),
            (vec![("origin", "https://metrics.example.com")], Maker::Own),
            (vec![("origin", "https://anomd.example.com.evil.org")], Maker::Other),
            (vec![("origin", "null")], Maker::Other),
            (vec![], Maker::Unsaid),
        ] {
            let all: Vec<_> = pairs.iter().copied().chain([host]).collect();
            assert_eq!(maker(&headers(&all), Some(&public)), made, "{pairs:?}");
        }
    }
}
