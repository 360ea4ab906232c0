//! Tokens: shown once, kept as hashes.
//!
//! A token is `anomd_<id>_<secret>`: a prefix by which scanners of leaked secrets find it, a
//! public part by which it is named and looked up, and 256 random bits. It is kept as one
//! SHA-256. The slow hashes of passwords (Argon2, bcrypt) make a guess dear where a secret
//! has few bits; 256 random ones cannot be guessed at any speed, and a hash that takes a
//! tenth of a second with each request would be a way to bring the node down. Hashes are
//! compared in constant time, so that the time of an answer tells nothing of them.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::super::page::Listing;
use super::{Ask, Desk, DeskError, Page, Scope, TokenRecord, instant};
use crate::desk::{hex, random};
use crate::series::Millis;

/// What each token begins with.
const PREFIX: &str = "anomd_";
/// The longest name of a token, in bytes.
const NAME_BYTES: usize = 200;

/// Which tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenQuery {
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A new token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// What people call it: `grafana`, `laptop of ana`.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// From when on it is refused; left out: never.
    #[serde(default, with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Millis>,
}

/// Revokes a token: it is refused from now on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRevoke {
    /// Its public part.
    pub id: String,
}

/// A token as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its public part.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was made.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub created: Millis,
    /// From when on it is refused.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Millis>,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenCreated {
    /// The token. It is shown here and never again.
    pub token: String,
    /// What is kept of it.
    pub about: TokenView,
}

impl From<&TokenRecord> for TokenView {
    fn from(record: &TokenRecord) -> Self {
        let TokenRecord { id, name, scope, hash: _, created, expires } = record.clone();
        Self { id, name, scope, created, expires }
    }
}

/// The public part of what may be a token.
pub fn parse_token(token: &str) -> Option<&str> {
    token.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

/// What is kept of a token.
pub fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Whether a hash is that of a token, in a time that does not depend on where they differ.
pub fn is_same(hash: &[u8], token: &str) -> bool {
    hash_of(token)[..].ct_eq(hash).into()
}

impl Ask for TokenQuery {
    type Reply = Page<TokenView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<TokenView>, DeskError> {
        let mut tokens: Vec<TokenView> = desk.record()?.tokens.iter().map(TokenView::from).collect();
        tokens.sort_by(|a, b| a.id.cmp(&b.id));
        let most = desk.config.limits.api_page_items;
        Page::of(tokens, |token| token.id.clone(), self.cursor.as_deref(), self.limit, most)
    }
}

impl Listing for TokenQuery {
    type Item = TokenView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for TokenCreate {
    type Reply = TokenCreated;

    fn ask(&self, desk: &Desk<'_>) -> Result<TokenCreated, DeskError> {
        let name = self.name.trim();
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(DeskError::invalid(format!("a token needs a name of 1 to {NAME_BYTES} bytes")));
        }
        if self.expires.is_some_and(|expires| expires <= desk.now) {
            return Err(DeskError::invalid("the token would have expired already; write a time to come"));
        }
        let id = hex(&random::<8>()?);
        let token = format!("{PREFIX}{id}_{}", BASE64URL_NOPAD.encode(&random::<32>()?));
        let record = TokenRecord {
            id,
            name: name.to_owned(),
            scope: self.scope,
            hash: ByteBuf::from(hash_of(&token)),
            created: desk.now,
            expires: self.expires,
        };
        let about = TokenView::from(&record);
        desk.change_record(|tenant| {
            tenant.tokens.retain(|token| token.expires.is_none_or(|expires| expires > desk.now));
            if tenant.tokens.len() >= desk.config.limits.tenant_tokens {
                return Err(DeskError::conflict(format!(
                    "tenant {} has {} tokens, as many as it may (limits.tenant_tokens); revoke one",
                    desk.tenant,
                    tenant.tokens.len()
                )));
            }
            tenant.tokens.push(record);
            Ok(())
        })?;
        Ok(TokenCreated { token, about })
    }
}

impl Ask for TokenRevoke {
    type Reply = TokenView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TokenView, DeskError> {
        desk.change_record(|tenant| {
            let found = tenant.tokens.iter().position(|token| token.id == self.id);
            let found = found.ok_or_else(|| {
                DeskError::unknown(format!(
                    "tenant {0} has no token `{1}`; `anomd tenant token {0}` lists them",
                    desk.tenant, self.id
                ))
            })?;
            Ok(TokenView::from(&tenant.tokens.remove(found)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_told_from_another_by_its_hash_alone() {
        let token = "anomd_0011223344556677_abc_def-ghi";
        assert_eq!(parse_token(token), Some("0011223344556677"));
        assert!(is_same(&hash_of(token), token));
        for other in ["anomd_0011223344556677_abc_def-ghj", "anomd_0011223344556677_", ""] {
            assert!(!is_same(&hash_of(token), other), "{other}");
        }
        assert!(!is_same(&[], token));
        assert_eq!((parse_token("abc"), parse_token("anomd_abc")), (None, None));
    }
}
