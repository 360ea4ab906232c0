//! One page of a window.
//!
//! A page is one request for one query, after what the first page has to find out, so its
//! work is bounded by the largest answer that the host lets through. A range whose answer
//! is too large is halved until it fits.
//!
//! A query that fails is a loss and the others stand. Where *no* query is answered and the
//! server is why, the last page is that error, so that the run is tried again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use anomd_ingester::{Error, Kind, Level, Loss, Page, Samples, Window};

use crate::api::{Api, Failure, Host};
use crate::config::Config;
use crate::cursor::{Cursor, Outage, Remark};
use crate::metadata::Source;
use crate::response::{self, Evaluated, Labels, Refusal, Series, visible};
use crate::target::{self, Rating, Target};
use crate::window::{Instants, seconds};
use crate::{address, discover, rate};

/// `ingest.fetch`.
pub fn page(host: &dyn Host, config: &Config, window: &Window, cursor: Option<&[u8]>) -> Result<Page, Error> {
    let (base, path) = address::base(&config.url).map_err(Error::BadConfig)?;
    let Some(mut instants) = Instants::of(window) else {
        return Ok(Builder::default().page(Vec::new(), None));
    };
    if config.instant == Some(true) {
        instants = instants.newest();
    }
    let api = Api { host, base, config, post_refused: false.into() };
    let mut lost = Vec::new();
    let mut cursor = match cursor {
        Some(bytes) => Cursor::decode(bytes)?,
        None => {
            if let Some(path) = path {
                host.log(Level::Info, &format!("`url` is taken without {path}: {base}"));
            }
            first(&api, instants, &mut lost)?
        }
    };
    api.post_refused.set(cursor.post_refused);
    let targets = target::targets(config, &cursor.found);
    let mut builder = Builder::default();
    if let Some(target) = targets.get(cursor.target) {
        let mut step = Step { api: &api, target, targets: &targets, instants, lost: &mut lost };
        step.take(&mut cursor, &mut builder)?;
    }
    let next = if cursor.target < targets.len() {
        cursor.post_refused = api.post_refused.get();
        Some(cursor.encode()?)
    } else if let (false, Some(outage)) = (cursor.answered, cursor.failure) {
        return Err(outage.into_error());
    } else {
        None
    };
    Ok(builder.page(lost, next))
}

/// What has to be found out before the first query.
fn first(api: &Api<'_>, instants: Instants, lost: &mut Vec<Loss>) -> Result<Cursor, Error> {
    let mut cursor = Cursor { from: instants.start, ..Cursor::default() };
    if !api.config.metrics.0.is_empty() {
        match discover::metrics(api, &seconds(instants.start), &seconds(instants.last()), lost) {
            Ok(found) => cursor.found = found,
            Err(error) if api.config.queries.0.is_empty() => return Err(error),
            Err(error) => {
                cursor.failure = Outage::of(&error);
                lost.push(Loss { part: "metrics".into(), error });
            }
        }
    }
    let targets = target::targets(api.config, &cursor.found);
    if targets.iter().any(|target| target.rating == Rating::Counters) {
        (cursor.families, cursor.untyped) = discover::families(api, &targets)?;
    }
    Ok(cursor)
}

/// The work of one page.
struct Step<'a> {
    api: &'a Api<'a>,
    target: &'a Target,
    targets: &'a [Target],
    instants: Instants,
    lost: &'a mut Vec<Loss>,
}

impl Step<'_> {
    /// Sends one request and moves the cursor behind it.
    fn take(&mut self, cursor: &mut Cursor, builder: &mut Builder) -> Result<(), Error> {
        let reach = self.reach(cursor);
        let allowed = i64::from(self.api.config.max_points) - reach / self.instants.step;
        let allowed = u32::try_from(allowed).unwrap_or(0).max(1);
        let part = self.instants.part(cursor.from, cursor.points.unwrap_or(allowed).min(allowed));
        match self.raw(part, reach) {
            Ok((series, warnings)) => {
                cursor.answered = true;
                for warning in warnings {
                    self.log(Level::Warn, &format!("the server warns: {warning}"));
                }
                self.add(series, part, reach, cursor, builder);
                if part.end >= self.instants.end {
                    cursor.advance(self.instants.start);
                } else {
                    cursor.from = part.end;
                }
            }
            Err(Failure::TooMuch(_)) if part.count() > 1 => {
                cursor.points = u32::try_from(part.count() / 2).ok();
            }
            Err(Failure::TooMuch(text)) => {
                self.lose(Error::Unsupported(format!("{text}, for one instant: ask for fewer series")), cursor);
            }
            // What is wrong with the configuration or the way to the server is wrong for all.
            Err(Failure::All(error)) if !cursor.answered || matches!(error, Error::BadConfig(_)) => return Err(error),
            Err(Failure::All(error) | Failure::One(error)) => self.lose(error, cursor),
        }
        Ok(())
    }

    /// How far before a range samples are asked for, in milliseconds: a multiple of the
    /// step, and 0 where nothing is rated.
    fn reach(&self, cursor: &Cursor) -> i64 {
        if !self.target.looks_back(&cursor.families) {
            return 0;
        }
        let steps = i64::from(self.api.config.lookback.millis()) / self.instants.step;
        steps.max(1) * self.instants.step
    }

    /// Asks for a part of the window and what lies so far before it.
    fn raw(&self, part: Instants, reach: i64) -> Result<(Vec<Series>, Vec<String>), Failure> {
        let query = self.target.query.as_str();
        let timeout = self.api.config.timeout.to_string();
        let instant = |time: i64| {
            self.answer("/api/v1/query", &[("query", query), ("time", &seconds(time)), ("timeout", &timeout)])
        };
        match (self.api.config.instant, reach) {
            // One point and the one before it: the cheapest rate without a range.
            (Some(true), 1..) => {
                let (mut before, mut warnings) = instant(part.start - part.step)?;
                let (now, more) = instant(part.start)?;
                warnings.extend(more.into_iter().filter(|warning| !warnings.contains(warning)).collect::<Vec<_>>());
                join(&mut before, now);
                Ok((before, warnings))
            }
            (Some(true), _) => instant(part.start),
            (None, 0) if self.instants.count() == 1 => instant(part.start),
            (None | Some(false), _) => self.answer(
                "/api/v1/query_range",
                &[
                    ("query", query),
                    ("start", &seconds(part.start - reach)),
                    ("end", &seconds(part.last())),
                    ("step", &seconds(part.step)),
                    ("timeout", &timeout),
                ],
            ),
        }
    }

    fn answer(&self, path: &str, params: &[(&str, &str)]) -> Result<(Vec<Series>, Vec<String>), Failure> {
        let answer = self.api.ask(path, params)?;
        let evaluated = if path.ends_with("range") { Evaluated::OverRange } else { Evaluated::AtInstant };
        let read = response::open(&answer.body);
        let read = read.and_then(|open| Ok((response::series(open.data, evaluated)?, open.warnings)));
        read.map_err(|refusal| {
            Failure::One(match refusal {
                Refusal::Unusable(text) => Error::Unsupported(text),
                Refusal::Foreign(text) => Error::Unavailable(format!("the answer cannot be read: {text}")),
                Refusal::Api { kind, text } => Error::Unavailable(format!("{kind}: {text}")),
            })
        })
    }

    /// Rates, names and adds what was answered.
    fn add(&mut self, all: Vec<Series>, part: Instants, reach: i64, cursor: &mut Cursor, builder: &mut Builder) {
        let (mut infinite, mut histograms) = (0, 0);
        let mut guessed: Vec<String> = Vec::new();
        let mut repeats = Repeats::default();
        let mut here = HashSet::new();
        for mut series in all {
            infinite += series.take_infinite(part.start..part.end);
            histograms += usize::from(series.histograms > 0);
            let metric = name_of(&series.labels).unwrap_or_default();
            let (kind, source) = cursor.families.kind(metric);
            let rated = match self.target.rating {
                Rating::All => true,
                Rating::Counters => kind == Kind::Counter,
                Rating::None => false,
            };
            if rated && source == Source::Suffix && self.target.rating == Rating::Counters {
                let metric = metric.to_owned();
                if !guessed.contains(&metric) {
                    guessed.push(metric);
                }
            }
            let (mut times, mut values) = (series.times, series.values);
            if rated {
                (times, values) = rate::per_second(&times, &values, part.start, reach);
            }
            let kept = times.partition_point(|time| *time < part.start)..times.partition_point(|time| *time < part.end);
            if kept.is_empty() {
                continue;
            }
            let labels = self.named(series.labels);
            let hash = hash_of(&labels);
            let owner = cursor.seen.iter().take(cursor.target).position(|hashes| hashes.binary_search(&hash).is_ok());
            if let Some(owner) = owner.or_else(|| (!here.insert(hash)).then_some(cursor.target)) {
                repeats.count(owner, &labels);
                continue;
            }
            builder.add(labels, if rated { Kind::Gauge } else { kind }, &times[kept.clone()], &values[kept]);
        }

        // Sorted, so that the next pages can search; one entry a target up to this one.
        cursor.seen.resize(cursor.target + 1, Vec::new());
        let seen = &mut cursor.seen[cursor.target];
        here.extend(seen.drain(..));
        seen.extend(here);
        seen.sort_unstable();

        if infinite > 0 {
            self.log(Level::Warn, &format!("{infinite} samples are +Inf or -Inf and are left out"));
        }
        if !guessed.is_empty() && !cursor.untyped && part.start == self.instants.start {
            self.log(
                Level::Warn,
                &format!("the server does not know the type of {}: by the name it is a counter", guessed.join(", ")),
            );
        }
        if histograms > 0 && cursor.first(Remark::Histograms) {
            let text = format!(
                "{histograms} series of it are native histograms, which are not one number: ask for \
                 histogram_quantile(0.95, …), histogram_count(…) or histogram_sum(…) of them"
            );
            self.lost.push(Loss { part: self.target.title.clone(), error: Error::Unsupported(text) });
        }
        for (owner, count, example) in repeats.0 {
            if cursor.first(Remark::Repeats(owner)) {
                let text = if owner == cursor.target {
                    format!(
                        "{count} of its series have the labels of another, {example} for one: do not name the query"
                    )
                } else {
                    format!(
                        "{count} of its series are given by the query {:?} before it, {example} for one: give one of \
                         the two a name",
                        self.targets.get(owner).map_or("", |target| target.title.as_str())
                    )
                };
                self.lost.push(Loss { part: self.target.title.clone(), error: Error::BadConfig(text) });
            }
        }
    }

    /// What a recording rule of the target's name would record. A result without a name is
    /// named by its query.
    fn named(&self, mut labels: Labels) -> Labels {
        let name = match (&self.target.name, name_of(&labels)) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => return labels,
            (None, None) => visible(self.target.query.clone()),
        };
        labels.retain(|(label, _)| label != NAME);
        labels.push((NAME.to_owned(), name));
        labels.sort();
        labels
    }

    /// Gives up this target.
    fn lose(&mut self, error: Error, cursor: &mut Cursor) {
        cursor.failure = cursor.failure.take().or_else(|| Outage::of(&error));
        let error = match (error, &self.target.name) {
            (Error::BadConfig(text), Some(_)) => Error::BadConfig(format!("{text}; query: {}", self.target.query)),
            (Error::Unsupported(text), Some(_)) => Error::Unsupported(format!("{text}; query: {}", self.target.query)),
            (error, _) => error,
        };
        self.lost.push(Loss { part: self.target.title.clone(), error });
        cursor.advance(self.instants.start);
    }

    fn log(&self, level: Level, text: &str) {
        self.api.host.log(level, &format!("{}: {text}", self.target.title));
    }
}

const NAME: &str = "__name__";

fn name_of(labels: &Labels) -> Option<&str> {
    labels.iter().find(|(label, _)| label == NAME).map(|(_, name)| name.as_str())
}

/// The same in every instance of one build, which is all that a cursor needs.
fn hash_of(labels: &Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// Appends the points of `later` to the series with the same labels.
fn join(series: &mut Vec<Series>, later: Vec<Series>) {
    for mut new in later {
        match series.iter_mut().find(|old| old.labels == new.labels) {
            Some(old) => {
                old.histograms += new.histograms;
                if old.times.last() < new.times.first() {
                    old.times.append(&mut new.times);
                    old.values.append(&mut new.values);
                }
            }
            None => series.push(new),
        }
    }
}

/// Series that another target, or another series of this one, has given: target, how many,
/// and the first.
#[derive(Default)]
struct Repeats(Vec<(usize, usize, String)>);

impl Repeats {
    fn count(&mut self, owner: usize, labels: &Labels) {
        match self.0.iter_mut().find(|(other, ..)| *other == owner) {
            Some((_, count, _)) => *count += 1,
            None => {
                let pairs: Vec<_> = labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
                self.0.push((owner, 1, format!("{{{}}}", pairs.join(", "))));
            }
        }
    }
}

/// Columns of a page.
#[derive(Default)]
struct Builder {
    keys: Vec<Labels>,
    kinds: Vec<Kind>,
    ends: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
}

impl Builder {
    fn add(&mut self, labels: Labels, kind: Kind, times: &[i64], values: &[f64]) {
        self.keys.push(labels);
        self.kinds.push(kind);
        self.timestamps.extend_from_slice(times);
        self.values.extend_from_slice(values);
        self.ends.push(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
    }

    fn page(self, lost: Vec<Loss>, next: Option<Vec<u8>>) -> Page {
        let offsets = std::iter::once(0).chain(self.ends).collect();
        let samples =
            Samples { keys: self.keys, kinds: self.kinds, offsets, timestamps: self.timestamps, values: self.values };
        Page { samples, lost, next }
    }
}

#[cfg(test)]
mod tests;
