//! What calls of plugins cost since the node began, by tenant and plugin.
//!
//! CPU is that of [`crate::engine::Account`]; memory is what an instance had at the end of a
//! call, and since it never gives memory back, the most that it had. A call that was given up
//! half way is counted with what it had used. How many pairs are told apart is bounded: what
//! comes after those is reckoned together, so a stranger's names fill neither memory nor the
//! pages and series made of them. Nothing of it is kept: a start begins at zero.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::Spent;
use crate::fault::Blame;

/// The name under which what is not told apart stands.
pub const OTHER: &str = "other";

/// What some calls cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Calls that ended: with a result, a fault, or because nobody waited any more.
    pub calls: u64,
    /// CPU of all of them.
    pub cpu: Duration,
    /// The most memory that an instance had, in bytes.
    pub memory_peak: usize,
    /// Calls that gave nothing, by who has to act.
    pub faults: BTreeMap<Blame, u64>,
}

impl Cost {
    /// These calls and others.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory_peak = self.memory_peak.max(other.memory_peak);
        for (blame, count) in &other.faults {
            *self.faults.entry(*blame).or_default() += count;
        }
    }
}

/// The costs of all plugins of a node.
#[derive(Debug)]
pub(super) struct Costs {
    /// Pairs of a tenant and a plugin that are told apart.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Plugins, in the order of their first calls: who is told apart once stays so.
    plugins: Vec<String>,
    costs: BTreeMap<(String, String), Cost>,
}

impl Costs {
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// The costs of a tenant's calls, by plugin.
    pub fn of_tenant(&self, tenant: &str) -> BTreeMap<String, Cost> {
        let own = self.kept();
        let own = own.costs.iter().filter(|((of, _), _)| of == tenant);
        own.map(|((_, plugin), cost)| (plugin.clone(), cost.clone())).collect()
    }

    /// The costs of all tenants' calls, by plugin: of so many plugins, and [`OTHER`].
    pub fn by_plugin(&self, most: usize) -> BTreeMap<String, Cost> {
        let kept = self.kept();
        let named = kept.plugins.get(..most).unwrap_or(&kept.plugins);
        let mut sums: BTreeMap<String, Cost> = BTreeMap::new();
        for ((_, plugin), cost) in &kept.costs {
            let name = if named.contains(plugin) { plugin } else { OTHER };
            sums.entry(name.to_owned()).or_default().add(cost);
        }
        sums
    }

    /// Reckons what a tenant's calls cost to nobody: it is gone, and the sums only grow.
    pub fn forget_tenant(&self, tenant: &str) {
        let mut kept = self.kept();
        let (gone, others) = std::mem::take(&mut kept.costs).into_iter().partition(|((of, _), _)| of == tenant);
        kept.costs = others;
        let gone: BTreeMap<(String, String), Cost> = gone;
        for ((_, plugin), cost) in gone {
            self.enter(&mut kept, "", &plugin, &cost);
        }
    }

    fn enter(&self, kept: &mut Kept, tenant: &str, plugin: &str, cost: &Cost) {
        let mut pair = (tenant.to_owned(), plugin.to_owned());
        if !kept.costs.contains_key(&pair) {
            if kept.costs.len() >= self.most {
                pair = (String::new(), OTHER.to_owned());
            } else if !kept.plugins.contains(&pair.1) {
                kept.plugins.push(pair.1.clone());
            }
        }
        kept.costs.entry(pair).or_default().add(cost);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is under this lock is whole between two calls of it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way; entered when it is dropped, however it ended.
pub(super) struct Tally<'a> {
    costs: &'a Costs,
    tenant: &'a str,
    plugin: &'a str,
    /// Its CPU so far.
    pub spent: Arc<Spent>,
    /// The memory of its instance.
    pub memory: usize,
    /// Who has to act, where it gave nothing.
    pub blame: Option<Blame>,
}

impl<'a> Tally<'a> {
    pub fn begin(costs: &'a Costs, tenant: &'a str, plugin: &'a str) -> Self {
        Self { costs, tenant, plugin, spent: Arc::default(), memory: 0, blame: None }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        let cost = Cost {
            calls: 1,
            cpu: self.spent.time(),
            memory_peak: self.memory,
            faults: self.blame.into_iter().map(|blame| (blame, 1)).collect(),
        };
        self.costs.enter(&mut self.costs.kept(), self.tenant, self.plugin, &cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(costs: &Costs, tenant: &str, plugin: &str, memory: usize, blame: Option<Blame>) {
        let mut tally = Tally::begin(costs, tenant, plugin);
        tally.memory = memory;
        tally.blame = blame;
    }

    #[test]
    fn calls_are_summed_by_tenant_and_by_plugin() {
        let costs = Costs::new(10);
        call(&costs, "shop", "robust", 10, None);
        call(&costs, "shop", "robust", 30, Some(Blame::Limit));
        call(&costs, "bank", "robust", 20, Some(Blame::Limit));
        let own = costs.of_tenant("shop");
        assert_eq!((own["robust"].calls, own["robust"].memory_peak), (2, 30));
        let all = costs.by_plugin(10);
        assert_eq!((all["robust"].calls, all["robust"].faults[&Blame::Limit]), (3, 2));
        costs.forget_tenant("shop");
        assert!(costs.of_tenant("shop").is_empty());
        assert_eq!(costs.by_plugin(10), all, "what was counted stays counted");
    }

    #[test]
    fn plugins_that_are_too_many_are_one_and_those_before_keep_their_names() {
        let costs = Costs::new(3);
        for plugin in ["z", "y", "x", "w", "v"] {
            call(&costs, "shop", plugin, 0, None);
        }
        let calls = |most| costs.by_plugin(most).into_iter().map(|(name, cost)| (name, cost.calls)).collect::<Vec<_>>();
        let pairs = |list: &[(&str, u64)]| list.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(calls(10), pairs(&[("other", 2), ("x", 1), ("y", 1), ("z", 1)]));
        assert_eq!(calls(2), pairs(&[("other", 3), ("y", 1), ("z", 1)]));
        call(&costs, "shop", "a", 0, None);
        assert_eq!(calls(2), pairs(&[("other", 4), ("y", 1), ("z", 1)]));
    }
}
