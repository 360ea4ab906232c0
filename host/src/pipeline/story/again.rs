//! What is done once more, and what is cut short.

use super::*;
use crate::pipeline::{UnderWay, Watch, Written};

fn slot(stage: &Stage, job: Job, scheduled: Millis) -> Slot {
    Slot { key: stage.key().clone(), job, scheduled }
}

/// Users find that a source had gaps, or was wrong, and want the past as it is now: without
/// messages about what is over.
#[tokio::test]
async fn a_span_of_the_past_is_fetched_and_scored_again_and_nobody_is_told_of_it() {
    let stage = Stage::new("", Script::default().with("load", odd_in(&[(-100, -95), (-40, -35)])));
    stage.live(0..=60).await;
    assert_eq!(stage.values("load").keys().next(), Some(&-60), "its history begins there");
    let redo = Redo { span: Some(minute(-120)..minute(-30)), refit: false, pushed: None };
    for job in [Job::Ingest, Job::Score] {
        let slot = slot(&stage, job, minute(60) + 1);
        let run = stage.runner().execute_again(&stage.bound, slot, BACKFILL, redo.clone()).await.unwrap();
        assert_eq!(run.state, RunState::Done, "{run:?}");
    }
    assert_eq!(stage.values("load").into_keys().collect::<Vec<_>>(), (-120..60).collect::<Vec<_>>());
    let odd: Vec<Millis> =
        (stage.scores("load").into_iter()).filter(|(_, score)| *score == 1.0).map(|(m, _)| m).collect();
    assert_eq!(odd, (-100..-95).chain(-40..-35).collect::<Vec<_>>(), "what was history is scored too");

    stage.live(61..=70).await;
    assert_eq!(stage.source.asked.lock().unwrap().last(), Some(&(minute(69)..minute(70))), "it goes on where it was");
    assert_eq!(stage.spans(AlertKind::Anomaly), []);
}

/// Users want to try again what failed, when its cause is gone.
#[tokio::test]
async fn a_chain_that_is_run_once_more_takes_the_place_of_the_one_that_failed() {
    let stage = Stage::new("", Script::default().with("load", |_| Some(10.0)));
    stage.chain(minute(0)).await;
    stage.source.fall(true);
    let failed = stage.runner().run_chain(&stage.bound, minute(10), "cron").await.unwrap();
    assert_eq!(failed.last().unwrap().state, RunState::Failed);
    stage.source.fall(false);
    let runs = stage.runner().rerun_chain(&stage.bound, Job::Ingest, minute(10), None, "retry").await.unwrap();
    assert!(runs.len() > 3, "{runs:?}");
    let kept = stage.store.run(&slot(&stage, Job::Ingest, minute(10))).unwrap().unwrap();
    assert_eq!((kept.state, kept.reason.as_str()), (RunState::Done, "retry"));
    assert_eq!(kept.log, ["once more: the run before was failed: the source is down"]);
    assert_eq!(stage.scores("load").len(), 10);
    let span = stage.runner().span_of(&stage.bound, &slot(&stage, Job::Score, minute(10))).unwrap();
    assert_eq!(span, Some(minute(0)..minute(10)), "what the ingest of its chain fetched");
}

/// Ends each run as it begins, and counts what it was told.
#[derive(Default)]
struct Impatient {
    gone: Mutex<usize>,
    kept: Mutex<Vec<RunState>>,
}

impl Watch for Impatient {
    fn begun(&self, run: &Arc<UnderWay>) {
        run.cancel("ana");
        run.cancel("ben");
    }

    fn said(&self, _: &Slot, _: usize, _: &str) {}

    fn gone(&self, _: &UnderWay) {
        *self.gone.lock().unwrap() += 1;
    }

    fn kept(&self, run: &RunRecord, _: &Written) {
        self.kept.lock().unwrap().push(run.state.clone());
    }
}

/// Users want to stop what hangs, and see who did.
#[tokio::test]
async fn a_run_that_is_cancelled_keeps_nothing_and_ends_its_chain() {
    let stage = Stage::new("", Script::default().with("load", |_| Some(10.0)));
    let impatient = Arc::new(Impatient::default());
    let watch: Arc<dyn Watch> = impatient.clone();
    let runner = Runner { watch: Some(&watch), ..stage.runner() };
    let runs = runner.run_chain(&stage.bound, minute(0), "cron").await.unwrap();
    assert_eq!(runs.iter().map(|run| run.state.clone()).collect::<Vec<_>>(), [RunState::Cancelled("ana".into())]);
    assert_eq!(stage.source.asked.lock().unwrap().len(), 0);
    assert_eq!(stage.store.series(stage.key()), []);
    assert_eq!((*impatient.gone.lock().unwrap(), impatient.kept.lock().unwrap().len()), (1, 1));
    // The next slot has nothing of it.
    stage.chain(minute(1)).await;
    assert_eq!(stage.values("load").len(), 60);
}
