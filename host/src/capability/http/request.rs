//! A request on the wire: what a plugin may say in it, and what the host says.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method as Verb, Uri};
use url::Url;

use super::{Fault, Method, Origin};

/// Bytes of all headers of a request or an answer at most; of a URL, too.
pub(super) const HEADER_BYTES: usize = 64 << 10;
/// Headers of a request or an answer at most.
pub(super) const HEADERS: usize = 100;
/// Headers that belong to the connection or to us. An encoding that we don't know would
/// hide secrets in the answer from us, but not from the plugin.
const RESERVED: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers that a plugin gave.
pub(super) fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, Fault> {
    if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADER_BYTES {
        return Err(Fault::TooLarge(HEADER_BYTES));
    }
    if pairs.len() > HEADERS {
        return Err(Fault::Invalid(format!("a request has at most {HEADERS} headers, not {}", pairs.len())));
    }
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let (name, value) = header(name, value)?;
        map.append(name, value);
    }
    Ok(map)
}

/// A header of a plugin.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let name = HeaderName::try_from(name).map_err(|_| Fault::Invalid(format!("{name:?} is no header name")))?;
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("proxy-") {
        return Err(Fault::Invalid(format!("header {name} belongs to the host")));
    }
    // The value may be a secret.
    let value = HeaderValue::try_from(value)
        .map_err(|_| Fault::Invalid(format!("the value of header {name} has a character that no header may have")))?;
    Ok((name, value))
}

/// What is sent over a connection to `origin`. The target is a path and never a whole URL:
/// so no server takes it for a proxy's.
pub(super) fn compose(
    method: Method,
    url: &Url,
    origin: &Origin,
    mut headers: HeaderMap,
    body: Vec<u8>,
) -> Result<hyper::Request<Full<Bytes>>, Fault> {
    // Neither text shows the URL, which may hold secrets.
    let unsendable = || Fault::Invalid("the path of the URL has a character that HTTP cannot send".into());
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let target = PathAndQuery::try_from(target).map_err(|_| unsendable())?;
    let host = HeaderValue::try_from(origin.authority())
        .map_err(|_| Fault::Invalid("the URL has a host that HTTP cannot send".into()))?;
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    let agent = HeaderValue::from_static(concat!("anomd/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(agent);
    let method = match method {
        Method::Get => Verb::GET,
        Method::Head => Verb::HEAD,
        Method::Post => Verb::POST,
        Method::Put => Verb::PUT,
        Method::Delete => Verb::DELETE,
        Method::Patch => Verb::PATCH,
    };
    if !body.is_empty() || [Verb::POST, Verb::PUT, Verb::PATCH].contains(&method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut request = hyper::Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    Ok(request)
}
