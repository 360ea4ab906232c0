//! Variables: what `${name}` means in the batches of a tenant. They are no secrets: whoever
//! may read a batch may read them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::page::Listing;
use super::{Ask, Desk, DeskError, Page};

/// The longest value, in bytes.
const VALUE_BYTES: usize = 4 << 10;

/// Which variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VariableQuery {
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Declares a variable, or changes its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VariableSet {
    /// Its name: letters, digits and `_`.
    pub id: String,
    /// Its value.
    pub value: String,
}

/// Takes a variable away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VariableDelete {
    /// Its name.
    pub id: String,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VariableView {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

fn is_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Ask for VariableQuery {
    type Reply = Page<VariableView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<VariableView>, DeskError> {
        let mut all = desk.record()?.variables;
        all.extend(desk.config.tenants.get(desk.tenant).into_iter().flat_map(|file| file.variables.clone()));
        let views = all.into_iter().map(|(name, value)| VariableView { name, value });
        let most = desk.config.limits.api_page_items;
        Page::of(views, |view| view.name.clone(), self.cursor.as_deref(), self.limit, most)
    }
}

impl Listing for VariableQuery {
    type Item = VariableView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for VariableSet {
    type Reply = VariableView;

    fn ask(&self, desk: &Desk<'_>) -> Result<VariableView, DeskError> {
        if !is_name(&self.id) {
            let text = format!("{:?} names no variable; write letters, digits and `_`, no digit first", self.id);
            return Err(DeskError::invalid(text));
        }
        if self.value.len() > VALUE_BYTES {
            return Err(DeskError::invalid(format!("a variable has at most {VALUE_BYTES} bytes")));
        }
        let most = desk.config.limits.tenant_variables;
        desk.change_record(|record| {
            record.variables.insert(self.id.clone(), self.value.clone());
            if record.variables.len() > most {
                return Err(DeskError::conflict(format!("a tenant has at most {most} variables")));
            }
            Ok(VariableView { name: self.id.clone(), value: self.value.clone() })
        })
    }
}

impl Ask for VariableDelete {
    type Reply = VariableView;

    fn ask(&self, desk: &Desk<'_>) -> Result<VariableView, DeskError> {
        desk.change_record(|record| match record.variables.remove(&self.id) {
            Some(value) => Ok(VariableView { name: self.id.clone(), value }),
            None => Err(DeskError::unknown(format!("tenant {} has no variable `{}`", desk.tenant, self.id))),
        })
    }
}
