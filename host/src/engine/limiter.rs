//! Memory of a store: one sum over all its memories and tables.
//!
//! wasmtime's own limiter bounds each memory by itself, so a component of eight memories
//! would have eight times the limit.

use wasmtime::ResourceLimiter;

/// The meter of a store's memory.
pub(super) struct Memory {
    limit: usize,
    used: usize,
    /// The last growth, to be taken back if the allocation fails after all.
    pending: usize,
    refused: bool,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: 0, pending: 0, refused: false }
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

    /// A new call begins: what an earlier one was refused does not explain its traps.
    pub(super) fn begin(&mut self) {
        self.refused = false;
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        self.pending = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(self.pending);
        if wanted > self.limit {
            self.pending = 0;
            self.refused = true;
            return false;
        }
        self.used = wanted;
        true
    }

    fn take_back(&mut self) {
        self.used = self.used.saturating_sub(self.pending);
        self.pending = 0;
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
        let mut memory = Memory::new(1_000);
        assert!(memory.memory_growing(0, 600, None).unwrap());
        assert!(!memory.memory_growing(0, 600, None).unwrap());
        assert!(memory.refused());
        assert!(memory.table_growing(0, 50, None).unwrap());
        assert_eq!(memory.used(), 1_000);
        memory.table_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert_eq!(memory.used(), 600);
        assert!(memory.memory_growing(600, 1_000, None).unwrap());
    }
}
