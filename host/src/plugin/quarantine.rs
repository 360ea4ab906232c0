//! A plugin that keeps failing is not called for a while.
//!
//! After so many faults in a row of which the plugin is to blame, calls of it are refused for
//! `limits.quarantine_first_ms`; then one call is let through on trial. If that gives a result
//! all is as before; if the plugin fails again, the next wait is twice as long, up to
//! `limits.quarantine_longest_ms`. Faults of others (a remote side, a limit, the operator) end
//! neither a row of faults nor a quarantine.
//!
//! It is reckoned by tenant, so that what one tenant's configuration provokes is not felt by
//! another, and lies with one generation of a plugin: a new one begins clean. Nothing is kept
//! over a restart. The time is the node's; where there is none, in an evaluation, there is no
//! quarantine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Limits;
use crate::fault::{Blame, Fault};
use crate::series::Millis;

/// How a plugin has fared lately with one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Conduct {
    /// Faults of its own since its last result.
    faults: u32,
    /// Quarantines in a row.
    spells: u32,
    /// The end of the quarantine.
    until: Option<Millis>,
    /// Whether a call is under way that decides.
    on_trial: bool,
    /// What it failed with last.
    last: String,
}

/// A quarantine, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// From when on a call is let through on trial.
    pub until: Millis,
    /// Faults in a row, of which the plugin is to blame.
    pub faults: u32,
    /// What the last of them said.
    pub last: String,
}

/// The quarantines of one generation of a plugin, by tenant.
#[derive(Debug, Default)]
pub(super) struct Ward(Arc<Mutex<BTreeMap<String, Conduct>>>);

/// A call that was let through; what became of it is told to [`Admitted::ended`]. One that is
/// dropped before, since nobody waits for it any more, proves nothing.
pub(super) struct Admitted {
    ward: Arc<Mutex<BTreeMap<String, Conduct>>>,
    tenant: String,
    on_trial: bool,
}

impl Ward {
    /// Lets a call through, or says what is in the way.
    pub fn admit(&self, tenant: &str, now: Millis) -> Result<Admitted, Quarantine> {
        let mut ward = lock(&self.0);
        let conduct = ward.entry(tenant.to_owned()).or_default();
        let on_trial = match conduct.until {
            None => false,
            Some(until) if now < until || conduct.on_trial => return Err(conduct.quarantine(until)),
            Some(_) => true,
        };
        conduct.on_trial = on_trial;
        drop(ward);
        Ok(Admitted { ward: Arc::clone(&self.0), tenant: tenant.to_owned(), on_trial })
    }

    /// The quarantine of a tenant, if there is one.
    pub fn of(&self, tenant: &str) -> Option<Quarantine> {
        let ward = lock(&self.0);
        let conduct = ward.get(tenant)?;
        conduct.until.map(|until| conduct.quarantine(until))
    }
}

impl Conduct {
    fn quarantine(&self, until: Millis) -> Quarantine {
        Quarantine { until, faults: self.faults, last: self.last.clone() }
    }

    fn failed(&mut self, fault: &Fault, on_trial: bool, now: Millis, limits: &Limits) {
        self.faults = self.faults.saturating_add(1);
        self.last.clone_from(&fault.message);
        // Calls that were under way when it began have no say in how long it lasts.
        let begins = self.until.is_none() && self.faults >= limits.quarantine_faults.max(1);
        if begins || on_trial {
            let doubled = limits.quarantine_first_ms.saturating_mul(1 << self.spells.min(40));
            self.until = Some(now.saturating_add_unsigned(doubled.min(limits.quarantine_longest_ms)));
            self.spells = self.spells.saturating_add(1);
        }
    }
}

impl Admitted {
    /// Takes note of what became of the call. `true`: with this a quarantine begins, or goes on.
    pub fn ended<T>(self, result: &Result<T, Fault>, now: Millis, limits: &Limits) -> bool {
        let mut ward = lock(&self.ward);
        let conduct = ward.entry(self.tenant.clone()).or_default();
        let before = conduct.until;
        match result {
            // A call that began before the quarantine says nothing of what came since.
            Ok(_) if before.is_none() || self.on_trial => *conduct = Conduct::default(),
            Err(fault) if fault.blame == Blame::Plugin => conduct.failed(fault, self.on_trial, now, limits),
            _ => {}
        }
        conduct.until > before
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.on_trial
            && let Some(conduct) = lock(&self.ward).get_mut(&self.tenant)
        {
            conduct.on_trial = false;
        }
    }
}

fn lock(ward: &Mutex<BTreeMap<String, Conduct>>) -> MutexGuard<'_, BTreeMap<String, Conduct>> {
    // What is under this lock is whole between two calls of it.
    ward.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::fault::Site;
    use super::*;

    fn limits() -> Limits {
        Limits { quarantine_faults: 3, quarantine_first_ms: 1_000, quarantine_longest_ms: 3_000, ..Limits::default() }
    }

    fn fault(blame: Blame) -> Result<(), Fault> {
        Err(Site::loading("theirs").fault(blame, "it trapped", ""))
    }

    /// Makes a call that ends so; `Err` with the end of the quarantine if it was refused.
    fn call(ward: &Ward, tenant: &str, now: Millis, result: &Result<(), Fault>) -> Result<(), Millis> {
        let admitted = ward.admit(tenant, now).map_err(|quarantine| quarantine.until)?;
        admitted.ended(result, now, &limits());
        Ok(())
    }

    #[test]
    fn faults_in_a_row_end_in_quarantine_and_each_further_one_doubles_it() {
        let (ward, failed) = (Ward::default(), fault(Blame::Plugin));
        for now in 0..3 {
            assert_eq!(call(&ward, "shop", now, &failed), Ok(()));
        }
        assert_eq!(call(&ward, "shop", 500, &Ok(())), Err(1_002));
        assert_eq!(call(&ward, "bank", 500, &Ok(())), Ok(()), "another tenant feels nothing of it");
        // The trial fails, and the next, and the next: one, two, and then never more than three seconds.
        for (now, until) in [(1_002, 3_002), (3_002, 6_002), (6_002, 9_002)] {
            assert_eq!(call(&ward, "shop", now, &failed), Ok(()));
            assert_eq!(call(&ward, "shop", now + 1, &failed), Err(until));
        }
        assert_eq!(call(&ward, "shop", 9_002, &Ok(())), Ok(()));
        assert_eq!(ward.of("shop"), None);
        for now in 9_003..9_005 {
            assert_eq!(call(&ward, "shop", now, &failed), Ok(()), "it begins clean");
        }
    }

    #[test]
    fn one_call_is_on_trial_at_a_time_and_one_that_is_given_up_proves_nothing() {
        let (ward, failed) = (Ward::default(), fault(Blame::Plugin));
        for now in 0..3 {
            call(&ward, "shop", now, &failed).unwrap();
        }
        let trial = ward.admit("shop", 2_000).unwrap();
        assert!(ward.admit("shop", 2_000).is_err());
        drop(trial);
        let trial = ward.admit("shop", 2_000).unwrap();
        // It was the remote side this time.
        trial.ended(&fault(Blame::Remote), 2_000, &limits());
        assert!(ward.of("shop").is_some());
        assert!(ward.admit("shop", 2_000).unwrap().ended(&failed, 2_000, &limits()));
        assert_eq!(ward.of("shop").unwrap(), Quarantine { until: 4_000, faults: 4, last: "it trapped".to_owned() });
    }

    #[test]
    fn a_result_in_between_and_faults_of_others_do_not_count() {
        let (ward, failed) = (Ward::default(), fault(Blame::Plugin));
        for now in 0..20 {
            call(&ward, "shop", now, &failed).unwrap();
            call(&ward, "shop", now, &Ok(())).unwrap();
            call(&ward, "shop", now, &fault(Blame::Remote)).unwrap();
            call(&ward, "shop", now, &fault(Blame::Limit)).unwrap();
        }
        assert_eq!(ward.of("shop"), None);
    }

    #[test]
    fn calls_that_were_under_way_neither_lengthen_nor_end_it() {
        let (ward, failed) = (Ward::default(), fault(Blame::Plugin));
        let late: Vec<_> = (0..2).map(|_| ward.admit("shop", 0).unwrap()).collect();
        for now in 0..3 {
            call(&ward, "shop", now, &failed).unwrap();
        }
        let mut late = late.into_iter();
        late.next().unwrap().ended(&failed, 900, &limits());
        late.next().unwrap().ended::<()>(&Ok(()), 900, &limits());
        assert_eq!(ward.of("shop").unwrap().until, 1_002);
    }
}
