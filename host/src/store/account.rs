//! What tenants have of what their quotas bound, as far as the store decides it: series and
//! samples of a day. Only a writer sees it.

use std::collections::{BTreeSet, HashMap};

use super::StoreError;
use crate::config::Quotas;
use crate::series::Millis;

/// A day of UTC.
const DAY_MS: Millis = 86_400_000;

/// The samples that a tenant has taken in on a day: what stands under the name
/// [`SAMPLES`] among its documents.
pub(super) type Samples = (Millis, u64);

/// The name of the document that counts samples.
pub(super) const SAMPLES: &str = "samples";

/// What tenants have, by name.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    quotas: HashMap<String, Quotas>,
    /// Samples by the day of their run; found out when first needed.
    samples: HashMap<String, Samples>,
    /// Tenants that were deleted: what comes for them late is refused.
    ended: BTreeSet<String>,
}

impl Accounts {
    /// Sets the quotas of a tenant, which from now on is there.
    pub fn set(&mut self, tenant: &str, quotas: Quotas) {
        self.ended.remove(tenant);
        self.quotas.insert(tenant.to_owned(), quotas);
    }

    /// Forgets a tenant, and takes nothing for it until it is made again.
    pub fn end(&mut self, tenant: &str) {
        self.quotas.remove(tenant);
        self.samples.remove(tenant);
        self.ended.insert(tenant.to_owned());
    }

    /// Refuses if the tenant was deleted.
    pub fn check_open(&self, tenant: &str) -> Result<(), StoreError> {
        match self.ended.contains(tenant) {
            true => {
                Err(StoreError::Invalid(format!("something was to be kept for the tenant {tenant}, which is deleted")))
            }
            false => Ok(()),
        }
    }

    /// The quotas of a tenant; none of one of which nobody said any.
    pub fn quotas(&self, tenant: &str) -> Quotas {
        self.quotas.get(tenant).copied().unwrap_or_default()
    }

    /// The samples that a tenant has taken in on the day of `now`, with what was kept of it.
    pub fn samples(&self, tenant: &str, now: Millis, kept: Option<Samples>) -> u64 {
        let known = self.samples.get(tenant).copied().or(kept);
        known.filter(|(day, _)| *day == now.div_euclid(DAY_MS)).map_or(0, |(_, count)| count)
    }

    /// Adds samples at `now`, or says that they would be too many: then nothing is added.
    pub fn take_samples(
        &mut self,
        tenant: &str,
        now: Millis,
        more: u64,
        kept: Option<Samples>,
    ) -> Result<Samples, StoreError> {
        let count = self.samples(tenant, now, kept).saturating_add(more);
        if let Some(limit) = self.quotas(tenant).samples_per_day.filter(|limit| count > *limit) {
            return Err(StoreError::Quota {
                what: format!("tenant {tenant}: its samples of this day would be {count} (its quota samples_per_day)"),
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            });
        }
        let samples = (now.div_euclid(DAY_MS), count);
        self.samples.insert(tenant.to_owned(), samples);
        Ok(samples)
    }

    /// Refuses if a tenant would have more series than it may.
    pub fn check_series(&self, tenant: &str, series: usize) -> Result<(), StoreError> {
        let limit = self.quotas(tenant).series.and_then(|limit| usize::try_from(limit).ok());
        match limit.filter(|limit| series > *limit) {
            Some(limit) => Err(StoreError::Quota {
                what: format!("tenant {tenant}: it would have {series} series (its quota series)"),
                limit,
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(error: Result<Samples, StoreError>) -> usize {
        match error {
            Err(StoreError::Quota { limit, .. }) => limit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn samples_are_counted_by_the_day_and_what_is_refused_is_not_counted() {
        let mut accounts = Accounts::default();
        accounts.set("shop", Quotas { samples_per_day: Some(100), ..Quotas::default() });
        let noon = DAY_MS / 2;
        assert_eq!(accounts.take_samples("shop", noon, 60, Some((0, 30))).unwrap(), (0, 90));
        assert_eq!(quota(accounts.take_samples("shop", noon, 20, Some((0, 30)))), 100);
        assert_eq!(accounts.take_samples("shop", noon, 10, None).unwrap(), (0, 100));
        assert_eq!(accounts.take_samples("shop", noon + DAY_MS, 100, None).unwrap(), (1, 100));
        assert_eq!(accounts.take_samples("other", noon, 1_000, None).unwrap(), (0, 1_000));
    }

    #[test]
    fn a_deleted_tenant_takes_nothing_until_it_is_made_again() {
        let mut accounts = Accounts::default();
        accounts.end("shop");
        assert!(accounts.check_open("shop").is_err());
        assert!(accounts.check_open("other").is_ok());
        accounts.set("shop", Quotas::default());
        assert!(accounts.check_open("shop").is_ok());
    }
}
