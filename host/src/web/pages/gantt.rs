//! The picture of the last hours: a lane a job, a bar where it ran.
//!
//! A lane has so many places, however many runs there were: those of one place are one bar, which
//! has the state of the worst of them. Pure: what is drawn is passed in.

use std::collections::BTreeMap;

use super::run::{badge, moment};
use crate::desk::RunView;
use crate::series::Millis;

/// How wide a lane is, in units of its picture, and how many of them a place has.
const WIDTH: f64 = 1_000.0;
const PLACE: f64 = 4.0;
/// The narrowest bar.
const THIN: f64 = 3.0;

/// The runs of a job of a batch.
pub(super) struct Lane {
    /// The batch; `*`: the tenant.
    pub batch: String,
    pub job: String,
    /// What the picture shows, for who does not see it.
    pub words: String,
    pub bars: Vec<Bar>,
}

/// Runs that are drawn as one.
pub(super) struct Bar {
    /// Where it begins, in thousandths of the lane.
    pub x: String,
    pub width: String,
    /// How it is coloured.
    pub class: &'static str,
    pub title: String,
    /// The newest of the worst of its runs.
    pub run: String,
}

struct Place<'a> {
    /// Where the last of them ends.
    end: f64,
    worst: &'a RunView,
    count: usize,
}

/// How bad a state is: the worst is drawn over the others.
fn severity(state: &str) -> u8 {
    match state {
        "failed" => 5,
        "running" => 4,
        "cancelled" => 3,
        "partial" => 2,
        "done" => 1,
        _ => 0,
    }
}

/// The lanes of a span, by batch and in the order in which the jobs come; runs that began before
/// the span are left out.
pub(super) fn lanes(runs: &[RunView], from: Millis, to: Millis, most: usize) -> Vec<Lane> {
    let length = to.saturating_sub(from).max(1) as f64;
    let at = |time: Millis| (time.saturating_sub(from) as f64 / length * WIDTH).clamp(0.0, WIDTH);
    let mut lanes: BTreeMap<(&str, usize, &str), BTreeMap<u32, Place<'_>>> = BTreeMap::new();
    let mut counts: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    let order = |job: &str| crate::config::Job::ALL.iter().position(|known| known.name() == job).unwrap_or(usize::MAX);
    for run in runs.iter().filter(|run| run.started >= from && run.started <= to && run.state != "queued") {
        let took = Millis::try_from(run.duration_ms).unwrap_or(Millis::MAX);
        let (start, end) = (at(run.started), at(run.started.saturating_add(took)));
        let lane = lanes.entry((run.batch.as_str(), order(&run.job), run.job.as_str())).or_default();
        // At most 250 of them: the quotient is bounded by the lane's width.
        let place = (start / PLACE) as u32;
        let known = lane.entry(place).or_insert(Place { end, worst: run, count: 0 });
        known.count += 1;
        known.end = known.end.max(end);
        let worse = (severity(&run.state), run.started) > (severity(&known.worst.state), known.worst.started);
        if worse {
            known.worst = run;
        }
        *counts.entry((run.batch.as_str(), run.job.as_str())).or_default().entry(run.state.as_str()).or_default() += 1;
    }
    let lane = |((batch, _, job), places): ((&str, usize, &str), BTreeMap<u32, Place<'_>>)| {
        let words = counts.get(&(batch, job)).into_iter().flatten();
        let words: Vec<String> = words.map(|(state, count)| format!("{count} {state}")).collect();
        Lane {
            batch: batch.to_owned(),
            job: job.to_owned(),
            words: format!("{batch} {job}: {}", words.join(", ")),
            bars: places.into_iter().map(|(place, bar)| bar_of(place, &bar)).collect(),
        }
    };
    lanes.into_iter().take(most).map(lane).collect()
}

fn bar_of(place: u32, bar: &Place<'_>) -> Bar {
    let x = f64::from(place) * PLACE;
    let width = (bar.end - x).max(THIN).min(WIDTH - x).max(0.0);
    let run = bar.worst;
    let title = match bar.count {
        1 => format!("{} {}: {}, {}, took {} ms", run.batch, run.job, run.state, moment(run.started), run.duration_ms),
        count => {
            format!("{} {}: {count} runs about {}, the worst {}", run.batch, run.job, moment(run.started), run.state)
        }
    };
    Bar { x: format!("{x:.1}"), width: format!("{width:.1}"), class: badge(&run.state), title, run: run.id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BatchKey, Job, Slot};

    fn run(job: Job, started: Millis, state: &str) -> RunView {
        let key = BatchKey { tenant: "shop".to_owned(), batch: "orders".to_owned() };
        let slot = Slot { key, job, scheduled: started };
        RunView { duration_ms: 1_000, ..RunView::open(&slot, state, "cron", started, started, Vec::new()) }
    }

    #[test]
    fn a_lane_has_a_bar_a_place_and_the_worst_run_of_a_place_gives_it_its_state() {
        let hour = 3_600_000;
        // A place of the lane is 14.4 s of an hour.
        let runs = [
            run(Job::Score, 0, "done"),
            run(Job::Ingest, 0, "failed"),
            run(Job::Ingest, 5_000, "done"),
            run(Job::Ingest, hour / 2, "done"),
            run(Job::Ingest, -1, "done"),
        ];
        let lanes = lanes(&runs, 0, hour, 10);
        assert_eq!(lanes.iter().map(|lane| lane.job.as_str()).collect::<Vec<_>>(), ["ingest", "score"]);
        let ingest = &lanes[0];
        assert_eq!(ingest.words, "orders ingest: 2 done, 1 failed");
        let bars: Vec<_> = ingest.bars.iter().map(|bar| (bar.x.as_str(), bar.class)).collect();
        assert_eq!(bars, [("0.0", "bad"), ("500.0", "good")]);
        assert!(ingest.bars[0].title.contains("2 runs") && ingest.bars[0].title.contains("the worst failed"));
        assert_eq!(ingest.bars[0].run, "orders.ingest.0");
    }
}
