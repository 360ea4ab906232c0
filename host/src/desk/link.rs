//! Links in messages: a page about the alerts of a message, where its reader can
//! acknowledge or snooze them without an account.
//!
//! A link is a capability: its token names tenant, alerts, what may be done and until when,
//! and is signed with a key that is kept in the store, so that links outlive a restart and a
//! restore. Whoever has the message has the link, so a token can do nothing but that.

use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;

use super::{DeskError, random};
use crate::alert::{self, Message};
use crate::config::DEFAULT_TENANT;
use crate::message::AlertState;
use crate::series::Millis;
use crate::store::{Database, DocumentKind, DocumentWrite};

/// The document that holds the key; it is one for the node.
const KEY: &str = "link-key";
/// How long a link works.
const LIFE_MS: Millis = 14 * 86_400_000;
/// Alerts that one link is about at most: an address must not become too long for mail.
const ALERTS: usize = 20;
/// The longest token that is looked at.
const TOKEN_BYTES: usize = 2_048;
/// Bytes of a signature: half of SHA-256, as RFC 2104 allows.
const SIGNATURE: usize = 16;

/// Held while a key is made, so that two do not make one each.
static MAKING: Mutex<()> = Mutex::new(());

/// What a reader can do about the alerts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Says that somebody looks after them.
    Acknowledge,
    /// Nobody is told for an hour.
    SnoozeHour,
    /// For four hours.
    SnoozeHours,
    /// For a day.
    SnoozeDay,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Acknowledge, Self::SnoozeHour, Self::SnoozeHours, Self::SnoozeDay];

    /// What stands in an address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::SnoozeHour => "snooze-hour",
            Self::SnoozeHours => "snooze-hours",
            Self::SnoozeDay => "snooze-day",
        }
    }

    /// What stands on a button.
    pub fn title(self) -> &'static str {
        match self {
            Self::Acknowledge => "Acknowledge",
            Self::SnoozeHour => "Snooze 1 h",
            Self::SnoozeHours => "Snooze 4 h",
            Self::SnoozeDay => "Snooze 1 day",
        }
    }

    /// How long a snooze is.
    pub fn span(self) -> Option<Millis> {
        match self {
            Self::Acknowledge => None,
            Self::SnoozeHour => Some(3_600_000),
            Self::SnoozeHours => Some(4 * 3_600_000),
            Self::SnoozeDay => Some(86_400_000),
        }
    }
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The tenant.
    pub tenant: String,
    /// The identities of the alerts.
    pub alerts: Vec<String>,
    /// What may be done about them; with none of it they can be looked at.
    pub actions: Vec<Action>,
    /// Until when.
    pub expires: Millis,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It was not made here, or not whole.
    #[error("This link is not whole, or was made by another anomd. Open it again from the message.")]
    Forged,
    /// Its time is over.
    #[error("This link has expired. Open a newer message about the alert, or use `anomd alert` on the node.")]
    Expired,
}

/// Where the readers of a message find more; `None`: nowhere that they can reach.
pub type MessageLinks = dyn Fn(&Message) -> Option<alert::Links> + Send + Sync;

/// Makes links, and reads them.
#[derive(Clone)]
pub struct Links {
    base: Option<Url>,
    key: [u8; 32],
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({:?})", self.base.as_ref().map(Url::as_str))
    }
}

impl Links {
    /// Links below `public_url`; the key is made if there is none. Without an address none are
    /// made, but those that there are can be read. `now` says what time it is.
    pub fn open(
        store: &Database,
        public_url: Option<&Url>,
        now: impl Fn() -> Millis + Send + Sync + 'static,
    ) -> Result<Self, DeskError> {
        let base = public_url.cloned().map(|mut url| {
            // A path is joined behind the last slash.
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            url
        });
        let kept = || store.document::<[u8; 32]>(DEFAULT_TENANT, DocumentKind::State, KEY);
        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match kept()? {
            Some(key) => key,
            None => {
                let key = random()?;
                let write = DocumentWrite::of(DocumentKind::State, KEY, &key);
                store.write_documents(DEFAULT_TENANT, vec![write])?;
                key
            }
        };
        Ok(Self { base, key, now: Arc::new(now) })
    }

    /// The page about the alerts of a message, and what its reader can do, by name and
    /// address. Nothing where the node has no `public_url`. Of more than twenty alerts the
    /// link is about the first twenty: pass the worst first.
    ///
    /// To follow an address changes nothing, because mail scanners follow all of them: it
    /// leads to the page, and its buttons act.
    pub fn for_alert(&self, tenant: &str, alerts: &[String]) -> (Option<String>, Vec<(String, String)>) {
        let claim = Claim {
            tenant: tenant.to_owned(),
            alerts: alerts.iter().take(ALERTS).cloned().collect(),
            actions: Action::ALL.to_vec(),
            expires: (self.now)().saturating_add(LIFE_MS),
        };
        let page =
            self.base.as_ref().filter(|_| !alerts.is_empty()).map(|base| format!("{base}a/{}", self.token(&claim)));
        let action =
            |action: Action| Some((action.title().to_owned(), format!("{}?do={}", page.as_ref()?, action.name())));
        (page.clone(), Action::ALL.into_iter().filter_map(action).collect())
    }

    /// What makes the links of a tenant's messages: those that fire come first.
    pub fn of_messages(&self, tenant: &str) -> Arc<MessageLinks> {
        let (links, tenant) = (self.clone(), tenant.to_owned());
        Arc::new(move |message| {
            let (firing, over): (Vec<_>, Vec<_>) =
                message.told.iter().partition(|(_, state, _)| *state == AlertState::Firing);
            let ids: Vec<String> = firing.into_iter().chain(over).map(|(id, ..)| id.clone()).collect();
            let (page, actions) = links.for_alert(&tenant, &ids);
            // Of what is over there is nothing left to acknowledge.
            let actions = if message.state == AlertState::Firing { actions } else { Vec::new() };
            Some(alert::Links { page: page?, actions })
        })
    }

    /// A claim as a token.
    pub fn token(&self, claim: &Claim) -> String {
        // An array and not a map: an address has to be short.
        let alerts: Vec<_> = claim.alerts.iter().map(|id| Packed::of(id)).collect();
        let mut bytes =
            rmp_serde::to_vec(&(&claim.tenant, alerts, &claim.actions, claim.expires / 1_000)).unwrap_or_default();
        let signature = self.signature(&bytes);
        bytes.extend_from_slice(&signature);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// What a token says, if it was made with this key and its time is not over.
    pub fn read(&self, token: &str) -> Result<Claim, LinkError> {
        if token.len() > TOKEN_BYTES {
            return Err(LinkError::Forged);
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| LinkError::Forged)?;
        let (said, signature) =
            bytes.len().checked_sub(SIGNATURE).and_then(|at| bytes.split_at_checked(at)).ok_or(LinkError::Forged)?;
        self.mac(said).verify_truncated_left(signature).map_err(|_| LinkError::Forged)?;
        let (tenant, alerts, actions, expires): (String, Vec<Packed>, Vec<Action>, i64) =
            rmp_serde::from_slice(said).map_err(|_| LinkError::Forged)?;
        let claim = Claim {
            tenant,
            alerts: alerts.into_iter().map(Packed::text).collect(),
            actions,
            expires: expires.saturating_mul(1_000),
        };
        if (self.now)() >= claim.expires { Err(LinkError::Expired) } else { Ok(claim) }
    }

    fn signature(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        let whole = self.mac(bytes).finalize().into_bytes();
        let mut half = [0; SIGNATURE];
        half.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        half
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A key of the block size is taken as it is, and cannot be of a wrong length.
        let mut block = [0; 64];
        block.iter_mut().zip(self.key).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        // What is signed for says so, should the key ever sign anything else.
        mac.update(b"anomd link 1\n");
        mac.update(bytes);
        mac
    }
}

/// An identity of an alert: hex at half its length.
#[derive(Serialize, Deserialize)]
enum Packed {
    #[serde(rename = "h", with = "serde_bytes")]
    Hex(Vec<u8>),
    #[serde(rename = "t")]
    Text(String),
}

impl Packed {
    fn of(id: &str) -> Self {
        data_encoding::HEXLOWER.decode(id.as_bytes()).map_or_else(|_| Self::Text(id.to_owned()), Self::Hex)
    }

    fn text(self) -> String {
        match self {
            Self::Hex(bytes) => super::hex(&bytes),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    const NOW: Millis = 1_767_225_600_000;

    fn store() -> Database {
        Database::in_memory(&Limits::default()).unwrap()
    }

    #[test]
    fn a_link_is_read_again_after_a_restart_until_it_expires() {
        let store = store();
        let url = Url::parse("https://mon.example.com/anomd").unwrap();
        let ids = ["00112233445566778899aabb".to_owned(), "not hex".to_owned()];
        let (page, actions) = Links::open(&store, Some(&url), || NOW).unwrap().for_alert("shop", &ids);
        let page = page.unwrap();
        let token = page.strip_prefix("https://mon.example.com/anomd/a/").unwrap();
        assert_eq!(actions.len(), 4);
        assert_eq!(actions[1], ("Snooze 1 h".to_owned(), format!("{page}?do=snooze-hour")));

        let read = |now| Links::open(&store, None, move || now).unwrap().read(token);
        let claim = read(NOW + 1).unwrap();
        assert_eq!((claim.tenant.as_str(), claim.alerts.as_slice()), ("shop", ids.as_slice()));
        assert_eq!(read(NOW + LIFE_MS - 1).map(|claim| claim.actions.len()), Ok(4));
        assert_eq!(read(NOW + LIFE_MS), Err(LinkError::Expired));
    }

    #[test]
    fn a_token_that_was_changed_or_made_elsewhere_opens_nothing() {
        let links = Links::open(&store(), None, || NOW).unwrap();
        let claim = Claim { tenant: "a".into(), alerts: vec!["00ff".into()], actions: vec![], expires: NOW + 60_000 };
        let token = links.token(&claim);
        assert_eq!(links.read(&token), Ok(claim.clone()));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(links.read(&changed), Err(LinkError::Forged), "at {at}");
        }
        let other = Links::open(&store(), None, || NOW).unwrap();
        assert_eq!(other.read(&token), Err(LinkError::Forged));
        for text in ["", "AAAA", &"A".repeat(5_000)] {
            assert_eq!(links.read(text), Err(LinkError::Forged));
        }
    }

    #[test]
    fn a_node_without_an_address_puts_no_links_into_messages() {
        let links = Links::open(&store(), None, || NOW).unwrap();
        assert_eq!(links.for_alert("default", &["00".to_owned()]), (None, Vec::new()));
    }

    #[test]
    fn a_link_about_many_alerts_is_still_an_address() {
        let url = Url::parse("https://mon.example.com").unwrap();
        let ids: Vec<_> = (0..500).map(|n| format!("{n:024x}")).collect();
        let (page, _) = Links::open(&store(), Some(&url), || NOW).unwrap().for_alert("default", &ids);
        assert!(page.unwrap().len() < 600);
    }
}
