//! Memory of a store: one sum over all its memories and tables.
//!
//! wasmtime's own limiter bounds each memory by itself, so a component of eight memories
//! would have eight times the limit. What a store has is charged to an account too, which the
//! stores of one owner share.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::account::Account;

/// The meter of a store's memory.
pub(super) struct Memory {
    limit: usize,
    used: usize,
    /// The last growth, to be taken back if the allocation fails after all.
    pending: usize,
    refused: bool,
    account: Arc<Account>,
    /// What its owner may have, where that was in the way.
    account_refused: Option<usize>,
}

impl Memory {
    pub(super) fn new(limit: usize, account: Arc<Account>) -> Self {
        Self { limit, used: 0, pending: 0, refused: false, account, account_refused: None }
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a growth was refused: the trap that follows is then told as what it is.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Whether a growth was refused because its owner has no more: then what it may have.
    pub(super) fn account_refused(&self) -> Option<usize> {
        self.account_refused
    }

    /// A new call begins: what an earlier one was refused does not explain its traps.
    pub(super) fn begin(&mut self) {
        self.refused = false;
        self.account_refused = None;
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        self.pending = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(self.pending);
        if wanted > self.limit {
            self.pending = 0;
            self.refused = true;
            return false;
        }
        if let Err(limit) = self.account.take_memory(self.pending) {
            self.pending = 0;
            self.account_refused = Some(limit);
            return false;
        }
        self.used = wanted;
        true
    }

    fn take_back(&mut self) {
        self.used = self.used.saturating_sub(self.pending);
        self.account.give_memory(self.pending);
        self.pending = 0;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.account.give_memory(self.used);
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let pointers = |elements: usize| elements.saturating_mul(size_of::<usize>());
        Ok(self.grow(pointers(current), pointers(desired)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        super::MODULES as usize
    }

    fn tables(&self) -> usize {
        super::TABLES as usize
    }

    fn memories(&self) -> usize {
        super::MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_one_sum_and_a_failed_growth_is_given_back() {
        let account = Arc::new(Account::default());
        let mut memory = Memory::new(1_000, Arc::clone(&account));
        assert!(memory.memory_growing(0, 600, None).unwrap());
        assert!(!memory.memory_growing(0, 600, None).unwrap());
        assert!(memory.refused());
        assert!(memory.table_growing(0, 50, None).unwrap());
        assert_eq!(memory.used(), 1_000);
        memory.table_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert_eq!(memory.used(), 600);
        assert!(memory.memory_growing(600, 1_000, None).unwrap());
        assert_eq!(account.memory(), 1_000);
        drop(memory);
        assert_eq!(account.memory(), 0);
    }

    #[test]
    fn the_stores_of_one_owner_share_what_it_may_have() {
        let account = Arc::new(Account::default());
        account.bound(Some(1_000), None, None);
        let mut one = Memory::new(800, Arc::clone(&account));
        let mut two = Memory::new(800, Arc::clone(&account));
        assert!(one.memory_growing(0, 700, None).unwrap());
        assert!(!two.memory_growing(0, 400, None).unwrap());
        assert_eq!((two.refused(), two.account_refused()), (false, Some(1_000)));
        drop(one);
        two.begin();
        assert!(two.memory_growing(0, 400, None).unwrap());
        assert_eq!(two.account_refused(), None);
    }
}
