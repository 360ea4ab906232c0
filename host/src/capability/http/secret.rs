//! Secrets: put into a request after it left the sandbox, for their own origins only.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Sha256, Sha512};

use super::redact::Redaction;
use super::{Fault, Origin, Pattern};
use crate::capability::{Holder, Ungranted};
use crate::config::Secret;

/// All but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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

/// A URL and a body with their blanks filled; the URL as text, for it may hold secrets.
pub(super) fn fill(
    url: &str,
    body: Vec<u8>,
    blanks: &[Blank],
    mut reveal: impl FnMut(&str) -> Result<String, Fault>,
) -> Result<(String, Vec<u8>), Fault> {
    if blanks.is_empty() {
        return Ok((url.to_owned(), body));
    }
    // What is before the path is never filled, or a secret could choose the host.
    let authority = url.find("://").map_or(0, |at| at + 3);
    let (head, rest) = url.split_at(authority);
    let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let mut rest = rest.to_owned();
    let mut body = String::from_utf8(body).map_err(|_| Fault::Invalid("a body with blanks is UTF-8".into()))?;
    for Blank { placeholder, slot } in blanks {
        if placeholder.is_empty() {
            return Err(Fault::Invalid("a placeholder is empty".into()));
        }
        let secret = reveal(slot)?;
        let escaped = serde_json::Value::String(secret.clone()).to_string();
        let inside = escaped.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
        rest = rest.replace(placeholder.as_str(), &utf8_percent_encode(&secret, ENCODED).to_string());
        body = body.replace(placeholder.as_str(), inside);
    }
    Ok((format!("{head}{host}{rest}"), body.into_bytes()))
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
            let (url, body) = fill(url, body.into(), &[blank(placeholder)], |_| Ok("a/b\"c ä".into())).unwrap();
            (url, String::from_utf8(body).unwrap())
        };
        assert_eq!(
            filled("https://api.example/botTOKEN/x?t=TOKEN", r#"{"k":"TOKEN"}"#, "TOKEN"),
            ("https://api.example/bota%2Fb%22c%20%C3%A4/x?t=a%2Fb%22c%20%C3%A4".into(), r#"{"k":"a/b\"c ä"}"#.into())
        );
        assert_eq!(filled("https://TOKEN.example?q", "", "TOKEN").0, "https://TOKEN.example?q");
        assert_eq!(filled("https://TOKEN.example", "", "TOKEN").0, "https://TOKEN.example");
        assert!(fill("https://a/", Vec::new(), &[blank("")], |_| Ok(String::new())).is_err());
    }
}
