//! Everything in the store as text, for tests and for operators: two stores with equal
//! dumps answer every question alike.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Write};

use serde::de::DeserializeOwned;

use super::database::{Database, State};
use super::entry::{ModelEntry, decode};
use super::keys::Space;
use super::record::{AlertRecord, Decision, Delivery, FitRecord, SeriesId};
use super::{StoreError, Tally, read};
use crate::config::BatchKey;
use crate::series::Millis;

impl Database {
    /// Writes everything, in an order that depends on nothing but the contents.
    pub fn dump(&self, sink: &mut dyn Write) -> Result<(), StoreError> {
        // Whatever the state gains has to find its place here.
        let (next, batches) = {
            let State { catalogue, active: _, frozen: _, sequence: _ } = &*read(&self.inner.state);
            let batches: Vec<_> = catalogue.names.iter().map(|(key, id)| (*id, key.clone())).collect();
            (catalogue.next, batches)
        };
        for space in Space::ALL {
            line(sink, format_args!("# {space:?}"))?;
            match space {
                Space::Meta => line(sink, format_args!("next batch {next}"))?,
                Space::Batch => {
                    for (id, key) in &batches {
                        line(sink, format_args!("{key} is {id}"))?;
                    }
                }
                Space::Series => {
                    for (_, key) in &batches {
                        for record in self.series(key) {
                            let last = self.last_values(key, &[record.id]);
                            line(sink, format_args!("{key} {record:?} {last:?}"))?;
                        }
                    }
                }
                // With the series.
                Space::Tail => {}
                Space::Tally => {
                    for (_, key) in &batches {
                        self.dump_tallies(key, sink)?;
                    }
                }
                Space::Block => {
                    for (_, key) in &batches {
                        self.dump_points(key, sink)?;
                    }
                }
                Space::Model => {
                    for (id, key) in &batches {
                        for (_, value) in self.inner.scan(&space.batch(*id), None)? {
                            let entry: ModelEntry = decode("a model", &value)?;
                            let model = self.models(key, &entry.tag, &[SeriesId(entry.series)])?;
                            line(sink, format_args!("{key} {model:?}"))?;
                        }
                    }
                }
                Space::Watched => {
                    for (_, key) in &batches {
                        line(sink, format_args!("{key} {:?}", self.watched(key)?))?;
                    }
                }
                Space::Run => {
                    for run in self.runs(&super::RunFilter::default())? {
                        line(sink, format_args!("{run:?}"))?;
                    }
                }
                Space::OpenAlert | Space::ClosedAlert => self.dump_records::<AlertRecord>(space, sink)?,
                Space::Queued | Space::Settled => self.dump_records::<Delivery>(space, sink)?,
                Space::Decision => self.dump_records::<Decision>(space, sink)?,
                Space::Fit => self.dump_records::<FitRecord>(space, sink)?,
                Space::Kv | Space::Document => {
                    for (key, value) in self.inner.scan(&space.key(), None)? {
                        line(sink, format_args!("{} {}", key.escape_ascii(), value.escape_ascii()))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn dump_points(&self, key: &BatchKey, sink: &mut dyn Write) -> Result<(), StoreError> {
        let always = Millis::MIN..Millis::MAX;
        for record in self.series(key) {
            for column in self.values(key, &[record.id], always.clone())? {
                for (time, value) in column.timestamps.iter().zip(&column.values) {
                    line(sink, format_args!("{key} {} {time} {value}", record.name))?;
                }
            }
            for row in self.scores(key, &[record.id], always.clone())?.iter().flat_map(|column| &column.rows) {
                line(sink, format_args!("{key} {} {row:?}", record.name))?;
            }
        }
        Ok(())
    }

    /// Of each series what all of its windows have together: how long these are depends on when
    /// what was sealed.
    fn dump_tallies(&self, key: &BatchKey, sink: &mut dyn Write) -> Result<(), StoreError> {
        let mut all: BTreeMap<SeriesId, Tally> = BTreeMap::new();
        self.tallies(key, &(Millis::MIN..Millis::MAX), |_, series, tally| all.entry(series).or_default().add(tally))?;
        all.iter().try_for_each(|(series, tally)| line(sink, format_args!("{key} {series:?} {tally:?}")))
    }

    fn dump_records<T: DeserializeOwned + Debug>(&self, space: Space, sink: &mut dyn Write) -> Result<(), StoreError> {
        for (id, _) in self.inner.chosen(None) {
            for (_, value) in self.inner.scan(&space.batch(id), None)? {
                line(sink, format_args!("{:?}", decode::<T>("a record", &value)?))?;
            }
        }
        Ok(())
    }
}

fn line(sink: &mut dyn Write, text: std::fmt::Arguments<'_>) -> Result<(), StoreError> {
    writeln!(sink, "{text}").map_err(|e: io::Error| StoreError::io("writing", "the dump".as_ref(), &e))
}
