//! What comes back: bounded, decompressed, without secrets and without what belongs to the
//! connection.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap};

use super::redact::Redaction;
use super::request::{HEADER_BYTES, HEADERS};
use super::{Answer, Fault, reason};

/// Headers of the connection (RFC 9110, 7.6.1), and those that speak of the body as it was
/// before it was decompressed.
const DROPPED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Awaits the whole of an answer with a body of at most `most` bytes, both as it comes and
/// decompressed.
pub(super) async fn receive(
    response: hyper::Response<Incoming>,
    redactions: &[&Redaction],
    most: usize,
) -> Result<Answer, Fault> {
    let (head, mut incoming) = response.into_parts();
    if usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX) > most {
        return Err(Fault::TooLarge(most));
    }
    if head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() > HEADER_BYTES {
        return Err(oversize());
    }
    let mut body = Body::new(&head.headers, most)?;
    while let Some(frame) = incoming.frame().await {
        // Trailers have no place in the contract.
        if let Ok(part) = frame.map_err(|e| failed(&e))?.into_data() {
            body.take(&part)?;
        }
    }
    let redacted = |bytes: Vec<u8>| redactions.iter().fold(bytes, |bytes, redaction| redaction.apply(bytes));
    let text = |bytes: &[u8]| String::from_utf8_lossy(&redacted(bytes.to_vec())).into_owned();
    let headers = kept(&head.headers).map(|(name, value)| (text(name.as_bytes()), text(value))).collect();
    Ok(Answer { status: head.status.as_u16(), headers, body: redacted(body.end()?) })
}

/// Why an exchange broke off. Of what hyper says nothing is the server's own text.
pub(super) fn failed(error: &hyper::Error) -> Fault {
    if error.is_parse_too_large() {
        return oversize();
    }
    Fault::Transport(format!("the exchange failed: {}", reason(error)))
}

fn oversize() -> Fault {
    Fault::Transport(format!("the answer has more than {HEADERS} headers, or {HEADER_BYTES} bytes of them"))
}

/// The headers that are of use to a plugin.
fn kept(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    let nominated: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .collect();
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    pairs.filter(move |(name, _)| !DROPPED.contains(name) && !nominated.iter().any(|nominated| nominated == name))
}

/// A body as it grows.
enum Body {
    Plain(Bounded),
    Gzip { unpacker: Box<MultiGzDecoder<Bounded>>, packed: usize },
}

impl Body {
    fn new(headers: &HeaderMap, most: usize) -> Result<Self, Fault> {
        let bounded = Bounded { bytes: Vec::new(), most, full: false };
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = codings.next().map(|coding| coding.as_bytes().to_ascii_lowercase());
        let another = codings.next().is_some();
        match coding.as_deref() {
            None | Some(b"" | b"identity") if !another => Ok(Self::Plain(bounded)),
            Some(b"gzip" | b"x-gzip") if !another => {
                Ok(Self::Gzip { unpacker: Box::new(MultiGzDecoder::new(bounded)), packed: 0 })
            }
            // What we cannot read we cannot search for secrets either.
            _ => Err(Fault::Transport("the answer has an encoding that was not asked for: only gzip was".into())),
        }
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Plain(bounded) => bounded.write_all(part).map_err(|_| Fault::TooLarge(bounded.most)),
            Self::Gzip { unpacker, packed } => {
                // Members without content grow nothing, so what comes is counted as well.
                *packed = packed.saturating_add(part.len());
                if *packed > unpacker.get_ref().most {
                    return Err(Fault::TooLarge(unpacker.get_ref().most));
                }
                unpacker.write_all(part).map_err(|_| unpacked(unpacker.get_ref()))
            }
        }
    }

    fn end(self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            // To HEAD, say.
            Self::Gzip { packed: 0, .. } => Ok(Vec::new()),
            Self::Gzip { mut unpacker, .. } => {
                unpacker.try_finish().map_err(|_| unpacked(unpacker.get_ref()))?;
                Ok(std::mem::take(&mut unpacker.get_mut().bytes))
            }
        }
    }
}

fn unpacked(bounded: &Bounded) -> Fault {
    if bounded.full { Fault::TooLarge(bounded.most) } else { Fault::Transport("the answer is broken gzip".into()) }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(part.len()) > self.most {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
