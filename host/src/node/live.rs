//! What goes on, told as it happens: runs, their lines, points that came, alerts.
//!
//! Each tenant has a channel of its own, so that none sees or drowns out another. It is bounded:
//! who is slower than it loses the oldest, and is told that it missed some. Nothing here is
//! kept, and nothing is lost by it: all of it can be asked for. Events are numbered, so that
//! who comes again knows whether it missed any.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use utoipa::ToSchema;

use crate::config::{Limits, Slot};
use crate::desk::instant;
use crate::message::AlertPhase;
use crate::pipeline::{UnderWay, Watch, Written};
use crate::series::Millis;
use crate::store::RunRecord;

/// The runs that are under way, and the channels of what goes on.
pub struct Live {
    /// Which process numbers the events.
    epoch: Millis,
    backlog: usize,
    listeners: usize,
    alerts: usize,
    line_bytes: usize,
    channels: Mutex<BTreeMap<String, Channel>>,
    under_way: Mutex<BTreeMap<Slot, Arc<UnderWay>>>,
}

#[derive(Default)]
struct Channel {
    /// The number of the last event.
    number: u64,
    /// `None` while nobody listens.
    sender: Option<broadcast::Sender<Arc<LiveEvent>>>,
    listeners: usize,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveEvent {
    /// Its number in its channel.
    pub id: String,
    /// What it was.
    pub news: News,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum News {
    /// A run began or ended.
    Run(RunNews),
    /// A run said something.
    Log(LogNews),
    /// Points came.
    Points(PointNews),
    /// An alert began, changed or ended.
    Alert(AlertNews),
}

/// A run began or ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunNews {
    /// Its name in addresses.
    pub run: String,
    /// The batch; `*`: the tenant.
    pub batch: String,
    /// The job.
    pub job: String,
    /// The instant for which it was planned.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub scheduled: Millis,
    /// When it began.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub started: Millis,
    /// `running`, `done`, `partial`, `failed`, `skipped` or `cancelled`.
    pub state: String,
    /// How long it took, in milliseconds, when it has ended.
    pub duration_ms: Option<u64>,
}

/// A line of a run.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LogNews {
    /// Which run.
    pub run: String,
    /// Its place among the lines of the run, from 0.
    pub number: usize,
    /// What it says; a very long one is cut.
    pub line: String,
}

/// Points that came.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PointNews {
    /// The batch.
    pub batch: String,
    /// `samples` or `scores`.
    pub what: String,
    /// The first.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// Behind the last.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
}

/// An alert began, changed or ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlertNews {
    /// `changed`: it began or goes on; `closed`: it is over; `acted`: somebody did something about
    /// alerts, silences, or routes.
    pub change: String,
    /// The batch, where it is one.
    pub batch: Option<String>,
    /// The alert, where it is one.
    pub alert: Option<String>,
    /// Where it is in its life.
    #[schema(value_type = Option<String>)]
    pub phase: Option<AlertPhase>,
}

impl News {
    /// Its name: that of the event of the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Log(_) => "log",
            Self::Points(_) => "points",
            Self::Alert(_) => "alert",
        }
    }

    /// Whether it is about a batch; what is about none is about all.
    pub fn is_of_batch(&self, batch: &str) -> bool {
        let own = match self {
            Self::Run(run) => Some(run.batch.as_str()),
            Self::Log(_) => None,
            Self::Points(points) => Some(points.batch.as_str()),
            Self::Alert(alert) => alert.batch.as_deref(),
        };
        own.is_none_or(|own| own == batch)
    }

    /// Whether it is about a run, or about one of its chain.
    pub fn is_of_run(&self, slot: &Slot) -> bool {
        match self {
            Self::Run(run) => run.batch == slot.key.batch && run.scheduled == slot.scheduled,
            Self::Log(log) => log.run == slot.id(),
            Self::Points(_) | Self::Alert(_) => false,
        }
    }
}

impl RunNews {
    /// The end of a run.
    pub fn ended(run: &RunRecord) -> Self {
        Self {
            state: run.state.name().to_owned(),
            duration_ms: Some(run.duration_ms),
            ..Self::of(&run.slot, run.started)
        }
    }

    /// A run that goes on.
    pub fn of(slot: &Slot, started: Millis) -> Self {
        Self {
            run: slot.id(),
            batch: slot.key.batch.clone(),
            job: slot.job.name().to_owned(),
            scheduled: slot.scheduled,
            started,
            state: "running".to_owned(),
            duration_ms: None,
        }
    }
}

/// Who listens to what goes on for a tenant.
pub struct Listener {
    live: Arc<Live>,
    tenant: String,
    receiver: broadcast::Receiver<Arc<LiveEvent>>,
    /// The last event before it came.
    last: String,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut channels = self.live.channels();
        if let Some(channel) = channels.get_mut(&self.tenant) {
            channel.listeners = channel.listeners.saturating_sub(1);
            if channel.listeners == 0 {
                channel.sender = None;
            }
        }
    }
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Something happened.
    Event(Arc<LiveEvent>),
    /// It was too slow, and missed so many.
    Missed(u64),
    /// The tenant is gone.
    End,
}

impl Listener {
    /// Whether something happened since an event that it saw when it listened before.
    pub fn missed_since(&self, seen: &str) -> bool {
        seen != self.last
    }

    /// What happens next.
    pub async fn next(&mut self) -> Heard {
        match self.receiver.recv().await {
            Ok(event) => Heard::Event(event),
            Err(RecvError::Lagged(missed)) => Heard::Missed(missed),
            Err(RecvError::Closed) => Heard::End,
        }
    }
}

impl Live {
    pub(super) fn new(epoch: Millis, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            backlog: limits.live_backlog.clamp(1, 1 << 20),
            listeners: limits.live_listeners_per_tenant,
            alerts: limits.live_alerts_per_run,
            line_bytes: limits.log_line_bytes,
            channels: Mutex::default(),
            under_way: Mutex::default(),
        })
    }

    /// Listens; `None`: the tenant has as many listeners as it may.
    pub fn listen(self: &Arc<Self>, tenant: &str) -> Option<Listener> {
        let mut channels = self.channels();
        let channel = channels.entry(tenant.to_owned()).or_default();
        if channel.listeners >= self.listeners {
            return None;
        }
        channel.listeners += 1;
        let sender = channel.sender.get_or_insert_with(|| broadcast::Sender::new(self.backlog));
        let (receiver, last) = (sender.subscribe(), self.id(channel.number));
        Some(Listener { live: self.clone(), tenant: tenant.to_owned(), receiver, last })
    }

    /// The runs of a tenant that are under way, the longest first.
    pub fn under_way(&self, tenant: &str) -> Vec<Arc<UnderWay>> {
        let running = self.runs();
        let mut own: Vec<_> = running.values().filter(|run| run.slot.key.tenant == tenant).cloned().collect();
        own.sort_by(|a, b| (a.started, &a.slot).cmp(&(b.started, &b.slot)));
        own
    }

    /// A run that is under way.
    pub fn run(&self, slot: &Slot) -> Option<Arc<UnderWay>> {
        self.runs().get(slot).cloned()
    }

    /// Tells that somebody did something about alerts.
    pub(super) fn acted(&self, tenant: &str) {
        let change = "acted".to_owned();
        self.tell(tenant, News::Alert(AlertNews { change, batch: None, alert: None, phase: None }));
    }

    /// Ends the channel of a tenant that is gone.
    pub(super) fn forget(&self, tenant: &str) {
        self.channels().remove(tenant);
    }

    fn tell(&self, tenant: &str, news: News) {
        let mut channels = self.channels();
        if !channels.contains_key(tenant) {
            channels.insert(tenant.to_owned(), Channel::default());
        }
        let Some(channel) = channels.get_mut(tenant) else { return };
        channel.number += 1;
        if let Some(sender) = &channel.sender {
            // Whoever listened may be gone at this moment.
            let _ = sender.send(Arc::new(LiveEvent { id: self.id(channel.number), news }));
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<Slot, Arc<UnderWay>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Live {
    fn begun(&self, run: &Arc<UnderWay>) {
        self.runs().insert(run.slot.clone(), run.clone());
        self.tell(&run.slot.key.tenant, News::Run(RunNews::of(&run.slot, run.started)));
    }

    fn said(&self, slot: &Slot, number: usize, line: &str) {
        let line = cut(line, self.line_bytes).to_owned();
        self.tell(&slot.key.tenant, News::Log(LogNews { run: slot.id(), number, line }));
    }

    fn gone(&self, run: &UnderWay) {
        self.runs().remove(&run.slot);
    }

    fn kept(&self, run: &RunRecord, written: &Written) {
        let (tenant, batch) = (&run.slot.key.tenant, &run.slot.key.batch);
        let points = |what: &str, span: &Option<Range<Millis>>| {
            span.as_ref().map(|span| {
                let (batch, what) = (batch.clone(), what.to_owned());
                News::Points(PointNews { batch, what, from: span.start, to: span.end })
            })
        };
        let came = [points("samples", &written.samples), points("scores", &written.scores)];
        came.into_iter().flatten().for_each(|news| self.tell(tenant, news));
        let change = |phase| if phase == AlertPhase::Resolved { "closed" } else { "changed" }.to_owned();
        if written.alerts.len() > self.alerts {
            let (change, batch) = ("changed".to_owned(), Some(batch.clone()));
            self.tell(tenant, News::Alert(AlertNews { change, batch, alert: None, phase: None }));
        } else {
            for alert in &written.alerts {
                let news = AlertNews {
                    change: change(alert.phase),
                    batch: Some(batch.clone()),
                    alert: Some(alert.id.clone()),
                    phase: Some(alert.phase),
                };
                self.tell(tenant, News::Alert(news));
            }
        }
        self.tell(tenant, News::Run(RunNews::ended(run)));
    }
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BatchKey, Job};

    fn live(limits: Limits) -> Arc<Live> {
        Live::new(7, &limits)
    }

    fn slot(tenant: &str) -> Slot {
        Slot { key: BatchKey { tenant: tenant.to_owned(), batch: "orders".to_owned() }, job: Job::Ingest, scheduled: 9 }
    }

    #[tokio::test]
    async fn a_tenant_hears_its_own_and_nothing_of_another() {
        let live = live(Limits::default());
        let mut shop = live.listen("shop").unwrap();
        live.said(&slot("rival"), 0, "theirs");
        live.said(&slot("shop"), 0, "ours");
        let Heard::Event(event) = shop.next().await else { panic!("nothing was heard") };
        assert_eq!((event.id.as_str(), event.news.name()), ("7-1", "log"));
        assert!(matches!(&event.news, News::Log(log) if log.line == "ours"));
        live.forget("shop");
        assert_eq!(shop.next().await, Heard::End);
    }

    #[tokio::test]
    async fn who_is_slow_or_comes_again_is_told_that_it_missed_something() {
        let live = live(Limits { live_backlog: 2, ..Limits::default() });
        let mut slow = live.listen("shop").unwrap();
        for n in 0..5 {
            live.said(&slot("shop"), n, "line");
        }
        assert_eq!(slow.next().await, Heard::Missed(3));
        assert!(matches!(slow.next().await, Heard::Event(event) if event.id == "7-4"));
        drop(slow);
        live.said(&slot("shop"), 5, "while nobody listens");
        let back = live.listen("shop").unwrap();
        assert!(back.missed_since("7-5") && back.missed_since("6-6"));
        assert!(!back.missed_since("7-6"));
    }

    #[test]
    fn a_tenant_has_as_many_listeners_as_it_may_and_no_more() {
        let live = live(Limits { live_listeners_per_tenant: 2, ..Limits::default() });
        let (first, _second) = (live.listen("shop").unwrap(), live.listen("shop").unwrap());
        assert!(live.listen("shop").is_none());
        assert!(live.listen("rival").is_some());
        drop(first);
        assert!(live.listen("shop").is_some());
    }

    #[test]
    fn a_long_line_is_cut_between_letters() {
        assert_eq!((cut("ärger", 1), cut("ärger", 2), cut("ab", 9)), ("", "ä", "ab"));
    }
}
