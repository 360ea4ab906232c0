//! Browsers that are signed in: each has 256 random bits, and the node has their hash.
//!
//! A session is worth what the token is worth with which it was begun: it ends when that is
//! revoked or expires, and at the latest after `limits.session_ms`. Sessions of tenants'
//! tokens outlive the process. Those of the node's own token, which is new with each start,
//! are in memory alone. What a request shows is found by its hash, so the time of an answer
//! tells nothing of what others have.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Node, TokenHolder};
use crate::desk::{DeskError, hex, random};
use crate::series::Millis;
use crate::store::{DocumentKind, DocumentWrite, StoreError};

type Hash = [u8; 32];

/// Where a node keeps them.
pub(super) type Sessions = Mutex<BTreeMap<Hash, Session>>;

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Tenant and public part of the token; `None`: the node's own token.
    token: Option<(String, String)>,
    expires: Millis,
}

/// A session of a tenant's token, as it is kept.
#[derive(Serialize, Deserialize)]
struct SessionRecord {
    /// The public part of the token.
    token: String,
    /// From when on it is refused.
    expires: Millis,
}

/// Whose a session is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionHolder {
    /// Who had the token of the node.
    Operator,
    /// Who had a token of a tenant.
    Token(TokenHolder),
}

/// A session that was just begun.
#[derive(Debug)]
pub struct NewSession {
    /// What the browser is given; it is kept nowhere.
    pub secret: String,
    /// From when on it is refused.
    pub expires: Millis,
}

fn hash_of(secret: &str) -> Hash {
    Sha256::digest(secret).into()
}

impl Session {
    fn tenant(&self) -> Option<&str> {
        self.token.as_ref().map(|(tenant, _)| tenant.as_str())
    }
}

impl Node {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<Hash, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the sessions that were kept. Those that are over go when the next one begins: a
    /// node whose disk is full starts all the same.
    pub(super) fn read_sessions(&self) -> Result<(), StoreError> {
        for tenant in self.tenant_names() {
            for (id, kept) in self.store.documents::<SessionRecord>(&tenant, DocumentKind::Session, "")? {
                let hash = data_encoding::HEXLOWER.decode(id.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
                let Some(hash) = hash else { continue };
                let session = Session { token: Some((tenant.clone(), kept.token)), expires: kept.expires };
                self.sessions().insert(hash, session);
            }
        }
        Ok(())
    }

    /// Begins a session for whoever has shown a token. Blocks.
    pub fn begin_session(&self, holder: &SessionHolder) -> Result<NewSession, DeskError> {
        self.end_sessions_without_token()?;
        let limits = &self.config.limits;
        let longest = i64::try_from(limits.session_ms).unwrap_or(Millis::MAX);
        let mut expires = self.clock.now().saturating_add(longest);
        let token = match holder {
            SessionHolder::Operator => None,
            SessionHolder::Token(holder) => {
                expires = expires.min(holder.expires.unwrap_or(Millis::MAX));
                Some((holder.tenant.clone(), holder.id.clone()))
            }
        };
        let session = Session { token, expires };
        let own = |other: &Session| other.tenant() == session.tenant();
        let surplus = {
            let sessions = self.sessions();
            let mut all: Vec<(Hash, Session)> =
                sessions.iter().filter(|(_, other)| own(other)).map(|(hash, other)| (*hash, other.clone())).collect();
            all.sort_by_key(|(_, other)| other.expires);
            let surplus = (all.len() + 1).saturating_sub(limits.tenant_sessions.max(1));
            all.truncate(surplus);
            all
        };
        self.end_all(surplus)?;
        let secret = BASE64URL_NOPAD.encode(&random::<32>()?);
        let hash = hash_of(&secret);
        if let Some((tenant, token)) = &session.token {
            let kept = SessionRecord { token: token.clone(), expires };
            let write = DocumentWrite::of(DocumentKind::Session, hex(&hash), &kept);
            self.store.write_documents(tenant, vec![write])?;
        }
        self.sessions().insert(hash, session);
        Ok(NewSession { secret, expires })
    }

    /// Whose a session is now; `None`: it is nobody's, or over.
    pub fn holder_of_session(&self, secret: &str) -> Option<SessionHolder> {
        let now = self.clock.now();
        let session = self.sessions().get(&hash_of(secret)).cloned()?;
        if session.expires <= now {
            return None;
        }
        match session.token {
            None => Some(SessionHolder::Operator),
            // What the token allows now, and not what it did then.
            Some((tenant, id)) => {
                let holder = self.holder_by_id(&id, now).filter(|holder| holder.tenant == tenant)?;
                Some(SessionHolder::Token(holder))
            }
        }
    }

    /// Ends a session. Blocks.
    pub fn end_session(&self, secret: &str) -> Result<(), StoreError> {
        let hash = hash_of(secret);
        let session = self.sessions().get(&hash).cloned();
        self.end_all(session.map(|session| (hash, session)))
    }

    /// Ends the sessions whose token is gone, and those whose time is over. Blocks.
    pub(super) fn end_sessions_without_token(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let lives = |session: &Session| {
            session.expires > now
                && session.token.as_ref().is_none_or(|(_, token)| self.holder_by_id(token, now).is_some())
        };
        let all: Vec<(Hash, Session)> =
            self.sessions().iter().map(|(hash, session)| (*hash, session.clone())).collect();
        self.end_all(all.into_iter().filter(|(_, session)| !lives(session)))
    }

    fn end_all(&self, ended: impl IntoIterator<Item = (Hash, Session)>) -> Result<(), StoreError> {
        for (hash, session) in ended {
            // First here, so that it is over even where the store cannot be written.
            self.sessions().remove(&hash);
            if let Some(tenant) = session.tenant().filter(|tenant| self.has_tenant(tenant)) {
                let gone = DocumentWrite::deletion(DocumentKind::Session, hex(&hash));
                self.store.write_documents(tenant, vec![gone])?;
            }
        }
        Ok(())
    }
}
