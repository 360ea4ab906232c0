//! `anomd demo`: a made-up system, two weeks of it, seven incidents, and what anomd finds,
//! with nothing but this binary.
//!
//! The batch is run through the history on a logical clock, twice: once with the incidents
//! and once without. Then, unless `--once` is given, it goes on live.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use clap::Args;
use indicatif::{MultiProgress, ProgressBar};
use serde_json::json;

mod seeds;

use super::serve::Front;
use super::{CliError, Global, open, output};
use crate::config::{self, Environment, Job};
use crate::demo::endpoint::{self, Endpoint};
use crate::demo::history::History;
use crate::demo::table::{Alert, Table, static_threshold};
use crate::message::AlertKind;
use crate::node::{Node, Ticker};
use crate::pipeline::BoundBatch;
use crate::schedule::{Clock, ManualClock, SystemClock};
use crate::series::Millis;
use crate::store::{AlertFilter, AlertRecord, Database, Durability};

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// The days that are only learnt from, and all days.
const LEARNT_DAYS: Millis = 7;
const ALL_DAYS: Millis = 14;
/// The batch file, as it is in `batches/`.
const BATCH: &str = include_str!("../../../batches/demo.yaml");

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Ends after the table.
    #[arg(long)]
    once: bool,
    /// Which history; taken from the clock where it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs several histories, 1-10 say, and prints a table of them; then it ends.
    #[arg(long, conflicts_with = "seed")]
    seeds: Option<seeds::Seeds>,
    /// Keeps what each of --seeds gave; whoever starts again does only the rest.
    #[arg(long, requires = "seeds", value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Fails, with exit code 1, where all of --seeds together have fewer incidents found.
    #[arg(long, requires = "seeds", value_name = "INCIDENTS")]
    min_found: Option<usize>,
    /// Fails where one of --seeds has more other alerts a day.
    #[arg(long, requires = "seeds", value_name = "ALERTS")]
    max_others: Option<f64>,
    /// Fails where one of --seeds did not foretell its limit so long before it was reached.
    #[arg(long, requires = "seeds", value_name = "HOURS")]
    min_foretold: Option<f64>,
}

/// What came of a history.
struct Acts {
    /// Alerts against its incidents.
    judged: Table,
    /// The same history without them.
    quiet: Table,
    /// What a static threshold would have found.
    threshold: Table,
}

/// A clock that is moved by hand and later let go.
struct DemoClock {
    manual: ManualClock,
    live: AtomicBool,
}

#[async_trait]
impl Clock for DemoClock {
    fn now(&self) -> Millis {
        if self.live.load(Ordering::SeqCst) { SystemClock.now() } else { self.manual.now() }
    }

    async fn sleep_until(&self, time: Millis) {
        if self.live.load(Ordering::SeqCst) {
            SystemClock.sleep_until(time).await;
        } else {
            self.manual.sleep_until(time).await;
        }
    }
}

/// One history, the endpoint that serves it, and the node that watches it.
struct Stage {
    clock: Arc<DemoClock>,
    history: Arc<History>,
    node: Arc<Node>,
    bound: Arc<BoundBatch>,
    endpoint: Endpoint,
    start: Millis,
}

pub(super) async fn demo(global: &Global, args: DemoArgs) -> Result<(), CliError> {
    if let Some(seeds) = &args.seeds {
        return seeds::run(global, &args, seeds).await;
    }
    let now = SystemClock.now();
    let seed = args.seed.unwrap_or_else(|| u64::try_from(now / 1_000).unwrap_or(0));
    let start = monday(now - ALL_DAYS * DAY);
    let folder = tempfile::Builder::new().prefix("anomd-demo-").tempdir()?;
    eprintln!("seed {seed}: two weeks of a made-up system at one minute, served as a Prometheus on loopback");

    let data = match &global.data {
        Some(kept) if kept.read_dir().is_ok_and(|mut entries| entries.next().is_some()) => {
            return Err(CliError::Usage(format!(
                "{} is not empty, and the demo makes a store of its own; name a new folder with --data",
                kept.display()
            )));
        }
        Some(kept) => kept.clone(),
        None => folder.path().join("data"),
    };
    let (acts, with) = perform(global, seed, start, folder.path(), &data).await?;
    show(global, seed, &acts.judged, &acts.quiet, &acts.threshold)?;
    if args.once {
        return Ok(());
    }
    with.go_live(now, &data).await
}

/// Replays a history with its incidents and without; the stage of the first, whose store is in
/// `data`.
async fn perform(
    global: &Global,
    seed: u64,
    start: Millis,
    folder: &Path,
    data: &Path,
) -> Result<(Acts, Stage), CliError> {
    let with = Stage::open(global, &folder.join("with"), data, seed, start, true).await?;
    let quiet_data = folder.join("quiet");
    let without = Stage::open(global, &folder.join("without"), &quiet_data, seed, start, false).await?;
    eprintln!("{} series; anomd sees week one, then lives through week two hour by hour", with.history.series().len());
    let bars = MultiProgress::new();
    let replay = |stage, name| Stage::replay(stage, bars.add(output::bar(168, name)));
    let (first, second) = tokio::join!(replay(&with, "with incidents"), replay(&without, "without"));
    first?;
    second?;

    let acts = Acts { judged: with.judge()?, quiet: without.judge()?, threshold: with.judge_threshold()? };
    Ok((acts, with))
}

impl Stage {
    async fn open(
        global: &Global,
        batches: &Path,
        data: &Path,
        seed: u64,
        start: Millis,
        incidents: bool,
    ) -> Result<Self, CliError> {
        let history = Arc::new(History::generate(seed, start, incidents));
        let clock = Arc::new(DemoClock { manual: ManualClock::at(start), live: AtomicBool::new(false) });
        let endpoint = endpoint::serve(history.clone(), clock.clone(), ([127, 0, 0, 1], 0).into()).await?;
        let url = format!("http://{}", endpoint.address());
        let environment = Environment::from([("PROMETHEUS_URL", url.as_str())]);
        let mut config = open::node_config(global, &environment)?;
        config.data = data.to_owned();
        config.batches = batches.to_owned();
        std::fs::create_dir_all(&config.batches)?;
        let path: PathBuf = config.batches.join("demo.yaml");
        std::fs::write(&path, BATCH)?;
        let mut batch = config::load_batch(&path, &config, &environment)?;
        // The file is stopped for whoever serves the folder that it lies in.
        if let Some(ingest) = batch.schedules.get_mut(&Job::Ingest) {
            ingest.enabled = true;
        }
        // What is replayed can be replayed again: nothing here has to survive a power cut.
        let store = Database::open(&config.data, &config.limits)?;
        store.set_durability(Durability::Relaxed)?;
        let (node, faults) = Node::open(config, store, clock.clone()).await?;
        faults.iter().for_each(|fault| eprintln!("{fault}"));
        let bound = node.take_up(batch).await?;
        Ok(Self { clock, history, node, bound, endpoint, start })
    }

    /// Week one as history, then week two hour by hour.
    async fn replay(&self, bar: ProgressBar) -> Result<(), CliError> {
        let mut now = self.start + LEARNT_DAYS * DAY;
        while now <= self.start + ALL_DAYS * DAY {
            self.run(now).await?;
            bar.inc(1);
            now += HOUR;
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn run(&self, now: Millis) -> Result<(), CliError> {
        self.clock.manual.advance_to(now);
        for run in self.node.run_chain(&self.bound, now, "demo").await? {
            if let Some(error) = run.error {
                return Err(CliError::Run(format!("{}: {error}", run.slot)));
            }
        }
        Ok(())
    }

    /// The alerts of week two, against the incidents of the history.
    fn judge(&self) -> Result<Table, CliError> {
        let filter = AlertFilter { key: Some(self.bound.batch.key.clone()), ..AlertFilter::default() };
        let alerts = self.node.store.alerts(&filter)?.into_iter();
        // What is foretold is known when its column is whole, and told by the run after that.
        let told = |fired: Millis| (fired + self.foreseen_ms()).div_euclid(HOUR) * HOUR + HOUR;
        let alert = |a: AlertRecord| Alert {
            began: a.started,
            score: a.worst.score,
            foretold: a.fired.filter(|_| a.kind == AlertKind::Capacity).map(told),
            labels: a.labels,
        };
        let alerts: Vec<_> = alerts.map(alert).collect();
        Ok(Table::judge(self.history.incidents(), self.history.series(), &alerts, self.week_two()))
    }

    /// The columns on which limits are foretold, in milliseconds.
    fn foreseen_ms(&self) -> Millis {
        self.bound.batch.capacity.limits.iter().map(|limit| Millis::from(limit.step_ms)).max().unwrap_or(0)
    }

    /// What a threshold at the extremes of week one would have found.
    fn judge_threshold(&self) -> Result<Table, CliError> {
        let key = &self.bound.batch.key;
        let snooze = Millis::from(self.bound.batch.judged.step_ms) * self.bound.batch.alert.snooze_n as Millis;
        let mut alerts = Vec::new();
        for series in self.node.store.series(key) {
            for column in self.node.store.values(key, &[series.id], self.start..self.week_two().end)? {
                alerts.extend(static_threshold(
                    &series.labels,
                    &column.timestamps,
                    &column.values,
                    self.start..self.week_two().start,
                    self.week_two(),
                    snooze,
                ));
            }
        }
        Ok(Table::judge(self.history.incidents(), self.history.series(), &alerts, self.week_two()))
    }

    fn week_two(&self) -> Range<Millis> {
        self.start + LEARNT_DAYS * DAY..self.start + ALL_DAYS * DAY
    }

    /// Catches up with the wall clock, then runs the schedule until it is interrupted.
    async fn go_live(self, now: Millis, data: &Path) -> Result<(), CliError> {
        let mut at = self.start + ALL_DAYS * DAY;
        while at + HOUR < now {
            at += HOUR;
            self.run(at).await?;
        }
        self.clock.live.store(true, Ordering::SeqCst);
        let front = Front::open(([127, 0, 0, 1], 0).into(), &self.node).await?;
        let data = data.display();
        eprintln!(
            "the dashboard, with these two weeks and what comes live: http://{}/?range=14d\n\
             the schedule runs each minute against http://{}; interrupt to stop. From another terminal:\n  \
             anomd --data {data} alert list --all demo\n  \
             anomd --data {data} query demo --what runs",
            front.address,
            self.endpoint.address(),
        );
        let cut_off = Ticker::new(self.node.clone()).run(super::serve::stop_signal()).await;
        self.node.store.set_durability(Durability::Durable)?;
        drop(front);
        self.endpoint.stop().await?;
        eprintln!("stopped; {cut_off} runs were cut off");
        Ok(())
    }
}

/// The table: an incident a row, then what must not alarm, then what a threshold would do.
fn show(global: &Global, seed: u64, judged: &Table, quiet: &Table, threshold: &Table) -> Result<(), CliError> {
    let at = |time: Millis| {
        let into = time - judged.span.start + LEARNT_DAYS * DAY;
        format!("day {} {:02}:{:02}", into / DAY + 1, into % DAY / HOUR, into % HOUR / 60_000)
    };
    if global.json {
        let row = |row: &crate::demo::table::Row| {
            json!({
                "scenario": row.scenario.name(), "title": row.title,
                "start": output::instant(row.span.start), "end": output::instant(row.span.end),
                "found": row.found.as_ref().map(|f| json!({
                    "delay_ms": f.delay_ms, "score": f.score, "series": f.labels.to_string(),
                })),
                "limit_foretold_ms": row.ahead_ms,
            })
        };
        return output::json(&json!({
            "seed": seed,
            "incidents": judged.rows.iter().map(row).collect::<Vec<_>>(),
            "found": judged.found(),
            "others_a_day": judged.others_a_day(),
            "others_a_day_without_incidents": quiet.others_a_day(),
            "static_threshold": { "found": threshold.found(), "others_a_day": threshold.others_a_day() },
        }));
    }
    let mut table = output::table(["scenario", "what happened", "when", "found after", "score", "in"]);
    for row in &judged.rows {
        let when = format!("{}, {} min", at(row.span.start), (row.span.end - row.span.start) / 60_000);
        let found = row.found.as_ref().map(|f| (format!("{} min", f.delay_ms / 60_000), f));
        let (after, score, series) = match found {
            Some((after, f)) => (after, format!("{:.2}", f.score), f.labels.to_string()),
            None => ("missed".to_owned(), String::new(), String::new()),
        };
        table.add_row([row.scenario.name(), row.title, &when, &after, &score, &series]);
    }
    output::line(table);
    for ahead in judged.rows.iter().filter_map(|row| row.ahead_ms) {
        output::line(format!(
            "the limit of the disk: foretold {:.1} h before it was reached",
            ahead as f64 / HOUR as f64
        ));
    }
    output::line(format!(
        "seed {seed}: {} of {} incidents found; {:.2} other alerts a day over all series",
        judged.found(),
        judged.rows.len(),
        judged.others_a_day()
    ));
    output::line(format!("the same history without incidents: {:.2} alerts a day", quiet.others_a_day()));
    output::line(format!(
        "a static threshold at the extremes of week one: {} of {} found, {:.2} other alerts a day",
        threshold.found(),
        threshold.rows.len(),
        threshold.others_a_day()
    ));
    Ok(())
}

/// The Monday at or before an instant, at midnight UTC: week one begins on a Monday, so that
/// both weeks end in a weekend.
fn monday(time: Millis) -> Millis {
    // The Unix epoch was a Thursday.
    (time + 3 * DAY).div_euclid(7 * DAY) * 7 * DAY - 3 * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        let monday_in_june = 1_780_272_000_000; // 2026-06-01
        assert_eq!(monday(monday_in_june), monday_in_june);
        assert_eq!(monday(monday_in_june + 7 * DAY - 1), monday_in_june);
        assert_eq!(monday(monday_in_june - 1), monday_in_june - 7 * DAY);
    }
}
