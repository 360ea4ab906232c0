//! Where each kind of record lies among the keys of an engine.
//!
//! The first byte names the space. Numbers are big-endian, so that keys sort as they do;
//! what is read newest first has its time counted down.

use crate::config::Job;
use crate::series::Millis;

/// The kinds of records. Whoever adds one here has to say how it is dumped, and whether it
/// goes with its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Up to where the log is sealed, the next number of a batch, ended batches.
    Meta,
    /// Batch: its name and its windows.
    Batch,
    /// Batch and series: labels, name, kind.
    Series,
    /// Batch and stripe: where each of its series begins and ends.
    Tail,
    /// Batch, kind, window, stripe, part: points.
    Block,
    /// Batch, tag, series: a model, or where it lies.
    Model,
    /// Batch and series: the event rule's memory.
    Watched,
    /// Batch, job, scheduled time counted down.
    Run,
    /// Batch, start counted down, identity: alerts that go on.
    OpenAlert,
    /// The same: alerts that are resolved.
    ClosedAlert,
    /// Batch and identity: deliveries that wait.
    Queued,
    /// The same: deliveries that were sent or given up.
    Settled,
    /// Tenant, plugin, key: what plugins keep.
    Kv,
    /// Batch, series, kind of alert, start counted down: what the event rule made of points.
    Decision,
    /// Batch, tag, series, time counted down: which model stood when.
    Fit,
    /// Tenant, kind, name.
    Document,
    /// Batch, window, stripe: the scores of its series, counted.
    Tally,
}

impl Space {
    pub const ALL: [Self; 17] = [
        Self::Meta,
        Self::Batch,
        Self::Series,
        Self::Tail,
        Self::Block,
        Self::Model,
        Self::Watched,
        Self::Run,
        Self::OpenAlert,
        Self::ClosedAlert,
        Self::Queued,
        Self::Settled,
        Self::Kv,
        Self::Decision,
        Self::Fit,
        Self::Document,
        Self::Tally,
    ];

    fn byte(self) -> u8 {
        match self {
            Self::Meta => b'm',
            Self::Batch => b'c',
            Self::Series => b's',
            Self::Tail => b't',
            Self::Block => b'b',
            Self::Model => b'd',
            Self::Watched => b'w',
            Self::Run => b'r',
            Self::OpenAlert => b'o',
            Self::ClosedAlert => b'a',
            Self::Queued => b'q',
            Self::Settled => b'x',
            Self::Kv => b'k',
            Self::Decision => b'e',
            Self::Fit => b'f',
            Self::Document => b'n',
            Self::Tally => b'y',
        }
    }

    /// Whether the key goes on with the number of a batch, so that it goes with it.
    pub fn of_batch(self) -> bool {
        match self {
            Self::Meta | Self::Kv | Self::Document => false,
            Self::Batch
            | Self::Series
            | Self::Tail
            | Self::Block
            | Self::Model
            | Self::Watched
            | Self::Run
            | Self::OpenAlert
            | Self::ClosedAlert
            | Self::Queued
            | Self::Settled
            | Self::Decision
            | Self::Fit
            | Self::Tally => true,
        }
    }

    /// The first byte of its keys.
    pub fn key(self) -> Key {
        Key(vec![self.byte()])
    }

    /// The beginning of its keys of a batch.
    pub fn batch(self, batch: u32) -> Key {
        self.key().number(batch)
    }
}

/// A key that is being put together.
#[derive(Clone, Debug)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn job(self, job: Job) -> Self {
        self.byte(match job {
            Job::Ingest => 0,
            Job::Train => 1,
            Job::Score => 2,
            Job::Alert => 3,
            Job::Deliver => 4,
            Job::Change => 5,
            Job::LlmAlert => 6,
            Job::Notify => 7,
            Job::Plot => 8,
            Job::Summary => 9,
            Job::Delete => 10,
            Job::Capacity => 11,
        })
    }

    /// A time, ascending.
    pub fn time(mut self, time: Millis) -> Self {
        self.0.extend_from_slice(&(time.cast_unsigned() ^ (1 << 63)).to_be_bytes());
        self
    }

    /// A time, the newest first.
    pub fn newest_first(self, time: Millis) -> Self {
        self.time(!time)
    }

    /// A text that something follows.
    pub fn text(mut self, text: &str) -> Self {
        self = self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.last(text)
    }

    /// A text that ends the key.
    pub fn last(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Takes the number off the end of a key.
pub(super) fn last_number(key: &[u8]) -> Option<u32> {
    key.last_chunk().copied().map(u32::from_be_bytes)
}

/// The least key that is greater than this one.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_times_do() {
        let times = [i64::MIN, -1, 0, 1, 1_700_000_000_000, i64::MAX];
        let up: Vec<_> = times.iter().map(|time| Space::Run.key().time(*time).done()).collect();
        let down: Vec<_> = times.iter().map(|time| Space::Run.key().newest_first(*time).done()).collect();
        assert!(up.is_sorted());
        assert!(down.iter().rev().is_sorted());
    }

    #[test]
    fn no_two_spaces_share_their_first_byte() {
        let bytes: std::collections::BTreeSet<_> = Space::ALL.iter().map(|space| space.byte()).collect();
        assert_eq!(bytes.len(), Space::ALL.len());
    }
}
