//! Secrets of a tenant: slots that plugins name. A value goes in and never comes out again,
//! but in requests to the origins that are listed with it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::page::Listing;
use super::{Ask, Desk, DeskError, Page, SecretRecord};
use crate::config::{checked_name, parse_origin};

/// The longest value, in bytes.
const VALUE_BYTES: usize = 16 << 10;
/// Origins of a secret.
const ORIGINS: usize = 100;

/// Which secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretQuery {
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Sets a secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretSet {
    /// Its slot, as plugins name it: `token`, `password`.
    pub id: String,
    /// Its value.
    pub value: String,
    /// Where it may be sent to: `https://hooks.slack.com`.
    pub origins: Vec<String>,
}

/// Takes a secret away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretDelete {
    /// Its slot.
    pub id: String,
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// Its slot.
    pub slot: String,
    /// Where it may be sent to.
    pub origins: Vec<String>,
}

impl Ask for SecretQuery {
    type Reply = Page<SecretView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<SecretView>, DeskError> {
        let own = desk.record()?.secrets;
        let views = own.into_iter().map(|(slot, secret)| SecretView { slot, origins: secret.origins });
        let most = desk.config.limits.api_page_items;
        Page::of(views, |view| view.slot.clone(), self.cursor.as_deref(), self.limit, most)
    }
}

impl Listing for SecretQuery {
    type Item = SecretView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for SecretSet {
    type Reply = SecretView;

    fn ask(&self, desk: &Desk<'_>) -> Result<SecretView, DeskError> {
        let sentence = |(message, remedy): (String, String)| DeskError::invalid(format!("{message}; {remedy}"));
        let slot = checked_name(&self.id).map_err(sentence)?;
        if self.value.is_empty() || self.value.len() > VALUE_BYTES {
            return Err(DeskError::invalid(format!("a secret has 1 to {VALUE_BYTES} bytes")));
        }
        if self.origins.is_empty() || self.origins.len() > ORIGINS {
            let text = format!("list 1 to {ORIGINS} origins that it may be sent to: https://hooks.slack.com");
            return Err(DeskError::invalid(text));
        }
        let origins: Vec<String> =
            self.origins.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>().map_err(sentence)?;
        let most = desk.config.limits.tenant_variables;
        desk.change_record(|record| {
            let secret = SecretRecord { value: self.value.clone(), origins: origins.clone() };
            record.secrets.insert(slot.clone(), secret);
            if record.secrets.len() > most {
                return Err(DeskError::conflict(format!("a tenant has at most {most} secrets")));
            }
            Ok(())
        })?;
        Ok(SecretView { slot, origins })
    }
}

impl Ask for SecretDelete {
    type Reply = SecretView;

    fn ask(&self, desk: &Desk<'_>) -> Result<SecretView, DeskError> {
        desk.change_record(|record| match record.secrets.remove(&self.id) {
            Some(secret) => Ok(SecretView { slot: self.id.clone(), origins: secret.origins }),
            None => Err(DeskError::unknown(format!("tenant {} has no secret `{}`", desk.tenant, self.id))),
        })
    }
}
