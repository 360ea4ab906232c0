//! Secrets: put into a request after it left the sandbox, for their own origins only.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Sha256, Sha512};

use super::redact::Redaction;
use super::request::HEADER_BYTES;
use super::{Fault, Origin, Pattern};
use crate::capability::{Holder, Ungranted};
use crate::config::Secret;

/// All but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Blanks of a request at most.
const BLANKS: usize = 16;

/// Credentials that the host adds. Names of slots stand for secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer`, from a slot.
    Bearer(String),
    /// `Authorization: Basic`: user name, slot.
    Basic(String, String),
    /// Header name, slot.
    Header(String, String),
    /// A signature of the body.
    Hmac(Signature),
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// An HMAC of the body, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The slot of the key.
    pub slot: String,
    /// The hash.
    pub digest: Digest,
    /// The header that it goes into.
    pub header: String,
    /// Written before the digits.
    pub prefix: String,
}

/// A place in path, query and body that a secret fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blank {
    /// What is replaced.
    pub placeholder: String,
    /// The slot.
    pub slot: String,
}

/// The secrets of one use of a plugin.
#[derive(Default)]
pub(super) struct Secrets(BTreeMap<String, Slot>);

struct Slot {
    secret: Secret,
    origins: Vec<Pattern>,
    // Made when the secret is used first: most are never.
    redaction: OnceLock<Result<Redaction, String>>,
}

impl Secrets {
    pub(super) fn new(holder: &Holder, slots: BTreeMap<String, (Secret, Vec<String>)>) -> Result<Self, Ungranted> {
        let mut parsed = BTreeMap::new();
        for (slot, (secret, origins)) in slots {
            let origins: Result<_, String> = origins.iter().map(|origin| origin.parse()).collect();
            let origins = origins.map_err(|message| Ungranted {
                message,
                remedy: format!("correct tenants.{}.secrets.{slot}.origins in anomd.yaml", holder.tenant),
            })?;
            parsed.insert(slot, Slot { secret, origins, redaction: OnceLock::new() });
        }
        Ok(Self(parsed))
    }

    /// A secret, without regard to where it goes: for a URL that is one.
    pub(super) fn url(&self, slot: &str, holder: &Holder) -> Result<&str, Fault> {
        self.slot(slot, holder).map(|slot| slot.secret.expose())
    }

    /// A secret that is sent to `origin`.
    pub(super) fn reveal(&self, slot: &str, origin: &Origin, holder: &Holder) -> Result<&str, Fault> {
        let Slot { secret, origins, .. } = self.slot(slot, holder)?;
        if origins.iter().any(|pattern| pattern.matches(origin)) {
            return Ok(secret.expose());
        }
        Err(Fault::Denied(format!(
            "secret \"{slot}\" of tenant \"{tenant}\" may not be sent to {origin}: \
             add \"{origin}\" to tenants.{tenant}.secrets.{slot}.origins in anomd.yaml",
            tenant = holder.tenant
        )))
    }

    /// What takes a secret out of an answer.
    pub(super) fn redaction(&self, slot: &str, holder: &Holder) -> Result<&Redaction, Fault> {
        let Slot { secret, redaction, .. } = self.slot(slot, holder)?;
        let redaction = redaction.get_or_init(|| Redaction::new(secret.expose())).as_ref();
        redaction.map_err(|why| Fault::Invalid(format!("the secret in slot \"{slot}\" cannot be sent: {why}")))
    }

    fn slot(&self, slot: &str, holder: &Holder) -> Result<&Slot, Fault> {
        self.0.get(slot).ok_or_else(|| {
            Fault::Denied(format!(
                "secret slot \"{slot}\" is empty: add secrets.{slot} to the batch, \
                 or tenants.{}.secrets.{slot} to anomd.yaml",
                holder.tenant
            ))
        })
    }
}

/// What blanks were filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    /// The URL, as text; `None` where there is nothing to fill.
    pub url: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Fills the blanks of a URL, if there is one to fill, and of a body of at most `most` bytes.
///
/// All placeholders are found before the first is filled: one that was looked for in a filled
/// text could be a guess at the secret there, and would let parts of it past the redaction.
pub(super) fn fill(
    url: Option<&str>,
    body: Vec<u8>,
    blanks: &[Blank],
    most: usize,
    mut reveal: impl FnMut(&str) -> Result<String, Fault>,
) -> Result<Filled, Fault> {
    if blanks.is_empty() {
        return Ok(Filled { url: None, body });
    }
    if blanks.len() > BLANKS {
        return Err(Fault::Invalid(format!("a request has at most {BLANKS} blanks, not {}", blanks.len())));
    }
    if blanks.iter().any(|blank| blank.placeholder.is_empty()) {
        return Err(Fault::Invalid("a placeholder is empty".into()));
    }
    let secrets: Vec<String> = blanks.iter().map(|blank| reveal(&blank.slot)).collect::<Result<_, _>>()?;
    let body = String::from_utf8(body).map_err(|_| Fault::Invalid("a body with blanks is UTF-8".into()))?;
    let in_json = secrets.iter().map(|secret| {
        let escaped = serde_json::Value::String(secret.clone()).to_string();
        escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
    });
    let body = replace(&body, blanks, &in_json.collect::<Vec<_>>(), most)?;
    let url = url.map(|url| {
        // What is before the path is never filled, or a secret could choose the host.
        let authority = url.find("://").map_or(0, |at| at + 3);
        let (head, rest) = url.split_at(authority);
        let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let in_url: Vec<String> = secrets.iter().map(|s| utf8_percent_encode(s, ENCODED).to_string()).collect();
        Ok(format!("{head}{host}{}", replace(rest, blanks, &in_url, HEADER_BYTES)?))
    });
    Ok(Filled { url: url.transpose()?, body: body.into_bytes() })
}

/// A text with each placeholder replaced by its secret, from left to right; of placeholders
/// that begin at one place the longest is meant. It grows to at most `most` bytes.
fn replace(text: &str, blanks: &[Blank], secrets: &[String], most: usize) -> Result<String, Fault> {
    let placeholders = blanks.iter().map(|blank| blank.placeholder.as_str());
    let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(placeholders);
    let finder = finder.map_err(|_| Fault::Invalid("the placeholders are too long".into()))?;
    let mut filled = String::new();
    let mut whole = true;
    finder.replace_all_with(text, &mut filled, |found, _, filled| {
        filled.push_str(secrets.get(found.pattern().as_usize()).map_or("", String::as_str));
        // A short placeholder that stands everywhere must not cost memory without bounds.
        whole = filled.len() <= most;
        whole
    });
    if whole && filled.len() <= most { Ok(filled) } else { Err(Fault::TooLarge(most)) }
}

/// The header of some credentials.
pub(super) fn header(auth: &Auth, body: &[u8], secret: &str) -> Result<(String, String), Fault> {
    Ok(match auth {
        Auth::Bearer(_) => ("authorization".to_owned(), format!("Bearer {secret}")),
        Auth::Basic(user, _) => {
            if user.contains(':') {
                return Err(Fault::Invalid("a user name of basic credentials has no colon".into()));
            }
            ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))))
        }
        Auth::Header(name, _) => (name.clone(), secret.to_owned()),
        Auth::Hmac(signature) => {
            let digits = sign(signature.digest, secret.as_bytes(), body)?;
            (signature.header.clone(), format!("{}{digits}", signature.prefix))
        }
    })
}

impl Auth {
    /// The slot that it needs.
    pub(super) fn slot(&self) -> &str {
        match self {
            Self::Bearer(slot) | Self::Basic(_, slot) | Self::Header(_, slot) => slot,
            Self::Hmac(signature) => &signature.slot,
        }
    }
}

fn sign(digest: Digest, key: &[u8], body: &[u8]) -> Result<String, Fault> {
    // HMAC takes keys of any length, so this does not happen.
    let unusable = |_| Fault::Invalid("the key of a signature cannot be used".into());
    Ok(match digest {
        Digest::Sha256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(unusable)?;
            mac.update(body);
            HEXLOWER.encode(&mac.finalize().into_bytes())
        }
        Digest::Sha512 => {
            let mut mac = Hmac::<Sha512>::new_from_slice(key).map_err(unusable)?;
            mac.update(body);
            HEXLOWER.encode(&mac.finalize().into_bytes())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let body = b"what do ya want for nothing?";
        assert_eq!(
            sign(Digest::Sha256, b"Jefe", body).unwrap(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(
            sign(Digest::Sha512, b"Jefe", body).unwrap().starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e83")
        );
    }

    #[test]
    fn blanks_are_filled_in_path_query_and_body_and_never_in_the_host() {
        let blank = |placeholder: &str| Blank { placeholder: placeholder.into(), slot: "s".into() };
        let filled = |url: &str, body: &str, placeholder: &str| {
            let blanks = [blank(placeholder)];
            let filled = fill(Some(url), body.into(), &blanks, 1_000, |_| Ok("a/b\"c ä".into())).unwrap();
            (filled.url.unwrap(), String::from_utf8(filled.body).unwrap())
        };
        assert_eq!(
            filled("https://api.example/botTOKEN/x?t=TOKEN", r#"{"k":"TOKEN"}"#, "TOKEN"),
            ("https://api.example/bota%2Fb%22c%20%C3%A4/x?t=a%2Fb%22c%20%C3%A4".into(), r#"{"k":"a/b\"c ä"}"#.into())
        );
        assert_eq!(filled("https://TOKEN.example?q", "", "TOKEN").0, "https://TOKEN.example?q");
        assert_eq!(filled("https://TOKEN.example", "", "TOKEN").0, "https://TOKEN.example");
        assert!(fill(None, Vec::new(), &[blank("")], 1_000, |_| Ok(String::new())).is_err());
    }

    #[test]
    fn a_placeholder_is_never_found_inside_a_secret() {
        // The second would tell whether the first secret has "s3" in it, and pull it apart.
        let blank = |placeholder: &str, slot: &str| Blank { placeholder: placeholder.into(), slot: slot.into() };
        let blanks = [blank("TOKEN", "token"), blank("s3", "other"), blank("TOK", "other")];
        let reveal = |slot: &str| Ok(if slot == "token" { "s3cr3t" } else { "[TOKEN]" }.to_owned());
        let filled = fill(Some("https://a/TOKEN/s3"), b"TOKEN s3 TOK".to_vec(), &blanks, 1_000, reveal).unwrap();
        assert_eq!(filled.url.unwrap(), "https://a/s3cr3t/%5BTOKEN%5D");
        assert_eq!(String::from_utf8(filled.body).unwrap(), "s3cr3t [TOKEN] [TOKEN]");
    }

    #[test]
    fn a_blank_that_stands_everywhere_costs_no_more_than_a_body_may_have() {
        let blank = [Blank { placeholder: "x".into(), slot: "s".into() }];
        let secret = "y".repeat(10_000);
        let filled = |url, body: usize, most| fill(url, vec![b'x'; body], &blank, most, |_| Ok(secret.clone()));
        assert_eq!(filled(None, 1 << 20, 1 << 20).unwrap_err(), Fault::TooLarge(1 << 20));
        assert_eq!(filled(Some("https://a/xxxxxxxxxx"), 0, 1).unwrap_err(), Fault::TooLarge(HEADER_BYTES));
        assert_eq!(filled(None, 2, 20_000).unwrap().body.len(), 20_000);
    }
}
