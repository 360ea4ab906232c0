//! What the holder of a link sees and does: the alerts that its token names, and no other.

use std::collections::BTreeSet;

use super::alerts::{act_on, author, comment};
use super::{Action, AlertView, Claim, Desk, DeskError};
use crate::message::{AlertPhase, DeedKind};
use crate::store::{AlertFilter, AlertRecord};

/// Who acts with a link and leaves no name.
const NAMELESS: &str = "somebody with the link";

impl Desk<'_> {
    /// The alerts of a claim, in its order; those that are no longer kept are missing.
    pub fn claimed(&self, claim: &Claim) -> Result<Vec<AlertView>, DeskError> {
        self.records(claim)?.into_iter().map(|record| self.view(record)).collect()
    }

    /// Does what a claim allows about those of its alerts that are not over. Returns how many
    /// those were.
    pub fn act(&self, claim: &Claim, action: Action, by: &str, said: &str) -> Result<usize, DeskError> {
        if !claim.actions.contains(&action) {
            return Err(DeskError::invalid("this link does not allow that; use `anomd alert` on the node"));
        }
        let by = author(if by.trim().is_empty() { NAMELESS } else { by })?;
        let said = comment(said)?;
        let open: Vec<_> =
            self.records(claim)?.into_iter().filter(|alert| alert.phase != AlertPhase::Resolved).collect();
        for record in &open {
            let what = match action.span() {
                None => DeedKind::Acknowledged(said.clone()),
                Some(span) => DeedKind::Snoozed(self.now.saturating_add(span)),
            };
            act_on(self, record, &by, what)?;
        }
        Ok(open.len())
    }

    fn records(&self, claim: &Claim) -> Result<Vec<AlertRecord>, DeskError> {
        let mut wanted: BTreeSet<&str> = claim.alerts.iter().map(String::as_str).collect();
        let mut found: Vec<AlertRecord> = Vec::new();
        for open in [true, false] {
            if wanted.is_empty() {
                break;
            }
            let alerts = self.store.alerts(&AlertFilter { open, ..AlertFilter::default() })?;
            found.extend(
                alerts.into_iter().filter(|alert| alert.key.tenant == claim.tenant && wanted.remove(alert.id.as_str())),
            );
        }
        found.sort_by_key(|alert| claim.alerts.iter().position(|id| *id == alert.id));
        Ok(found)
    }
}
