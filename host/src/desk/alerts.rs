//! Alerts as people see them, and what they do about one: acknowledge, snooze, rate.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{Listing, newest_first};
use super::silences::active;
use super::{AlertStanding, Ask, Desk, DeskError, Page, instant};
use crate::alert::{Outlook, Silence};
use crate::message::{Act, AlertKind, AlertPhase, Deed, DeedKind, Feedback, Rating};
use crate::series::Millis;
use crate::store::{AlertFilter, AlertRecord, DocumentKind, DocumentWrite};

/// A prefix of an identity must have so many characters.
const PREFIX: usize = 4;
/// Who takes something back and leaves no name.
const NAMELESS: &str = "somebody";
/// The longest text that a person may leave with an act, in bytes.
const COMMENT_BYTES: usize = 4 << 10;

/// Held from reading an act to writing it, so that of two people who act at once neither
/// undoes what the other did.
static ACTS: Mutex<()> = Mutex::new(());

/// Which alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertQuery {
    /// Of this batch; `None`: of all.
    pub batch: Option<String>,
    /// Only series whose name holds this text.
    pub metric: Option<String>,
    /// Only of this kind: `anomaly`, `threshold`, `change`, `llm`, `no-data`, `capacity`.
    #[schema(value_type = Option<String>)]
    pub kind: Option<AlertKind>,
    /// Only those that stand so.
    pub state: Option<AlertStanding>,
    /// Also those that are over.
    pub all: bool,
    /// At most so many, the last started first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertShow {
    /// Its identity, or a beginning of it that no other has.
    #[serde(default)]
    pub id: String,
}

/// Says that somebody looks after an alert: it is not repeated until it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// Its identity, or a beginning of it.
    #[serde(default)]
    pub id: String,
    /// Who.
    pub by: String,
    /// What they want others to know.
    #[serde(default)]
    pub comment: String,
}

/// Takes an acknowledgement back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unacknowledge {
    /// Its identity, or a beginning of it.
    #[serde(default)]
    pub id: String,
    /// Who.
    #[serde(default)]
    pub by: String,
}

/// Tells nobody of an alert until an instant; one that has passed ends a snooze.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Snooze {
    /// Its identity, or a beginning of it.
    #[serde(default)]
    pub id: String,
    /// Who.
    pub by: String,
    /// Until when.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub until: Millis,
}

/// Says of an alert whether it was one. An alert that was (`up`) has its points left out of what
/// the next fits learn from; a false alarm (`down`) is learnt from like all else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Its identity, or a beginning of it.
    #[serde(default)]
    pub id: String,
    /// Who.
    pub by: String,
    /// `up`, `down`; `null` takes a rating back.
    #[schema(value_type = Option<String>)]
    pub rating: Option<Rating>,
}

/// An alert as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertView {
    /// Its identity.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// The batch.
    pub batch: String,
    /// What raised it.
    #[schema(value_type = String)]
    pub kind: AlertKind,
    /// The series' number in the batch.
    pub number: u32,
    /// The series' `metric_name`.
    pub metric: String,
    /// The series' labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    #[schema(value_type = String)]
    pub phase: AlertPhase,
    /// That somebody looks after it.
    pub acknowledged: Option<Acknowledged>,
    /// That nobody is told for a while.
    pub snoozed: Option<Snoozed>,
    /// What somebody said of it.
    pub rated: Option<Rated>,
    /// Silences that match it now.
    pub silenced_by: Vec<String>,
    /// The first point over the threshold.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub started: Millis,
    /// The point at which it began to fire.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub fired: Option<Millis>,
    /// The point at which it was over.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub ended: Option<Millis>,
    /// When its worst point was.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub worst_at: Millis,
    /// What came there.
    pub value: Option<f64>,
    /// The edges of what was expected there; `None` where there is none.
    #[schema(value_type = Vec<Option<f64>>)]
    pub expected: (Option<f64>, Option<f64>),
    /// 0 to 1; for a kind without scores how far over its limit, 1 being at it.
    pub score: Option<f64>,
    /// The threshold that was crossed.
    pub threshold: Option<f64>,
    /// The parts of the worst score, largest first.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub terms: Vec<(String, f64)>,
    /// When its limit will be reached, as it is foreseen.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub limit_at: Option<Millis>,
    /// Hardly before this.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub limit_earliest: Option<Millis>,
    /// Hardly after this.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub limit_latest: Option<Millis>,
    /// Events that were on or had just been.
    pub events: Vec<String>,
    /// Why, in words, where something said so.
    pub explanation: Option<String>,
}

/// That somebody looks after an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// Since when.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub at: Millis,
    /// What they wrote.
    pub comment: String,
}

/// That nobody is told of an alert for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snoozed {
    /// Until when.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub until: Millis,
    /// Who said so.
    pub by: String,
}

/// What somebody said of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rated {
    /// `up`: it was one, and is left out of training. `down`: a false alarm.
    #[schema(value_type = String)]
    pub rating: Rating,
    /// Who.
    pub by: String,
    /// When.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub at: Millis,
}

impl AlertView {
    /// In a word: `acknowledged` and `snoozed` go before `firing`.
    pub fn state(&self) -> &'static str {
        match self.phase {
            AlertPhase::Firing if self.acknowledged.is_some() => "acknowledged",
            AlertPhase::Firing if self.snoozed.is_some() => "snoozed",
            AlertPhase::Firing if !self.silenced_by.is_empty() => "silenced",
            phase => phase.name(),
        }
    }

    /// A record and what people did about it.
    pub(super) fn of(desk: &Desk<'_>, record: AlertRecord, silences: &[Silence]) -> Result<Self, DeskError> {
        let act = act(desk, &record)?;
        let rated: Option<Feedback> = desk.store.document(
            &record.key.tenant,
            DocumentKind::Feedback,
            &Feedback::place(&record.key.batch, &record.id),
        )?;
        let known = |value: f64| value.is_finite().then_some(value);
        let labels = desk.labels(&record);
        let outlook = Outlook::of(&record);
        let over = record.phase == AlertPhase::Resolved;
        let silences = silences.iter().filter(|silence| !over && silence.matchers.matches(&labels));
        Ok(Self {
            silenced_by: silences.map(|silence| silence.id.clone()).collect(),
            id: record.id,
            tenant: record.key.tenant,
            batch: record.key.batch,
            kind: record.kind,
            number: record.series.0,
            metric: record.name,
            labels: record.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            phase: record.phase,
            acknowledged: act.acknowledged.map(|(by, at, comment)| Acknowledged { by, at, comment }),
            snoozed: act
                .snoozed
                .filter(|(until, _)| *until > desk.now && !over)
                .map(|(until, by)| Snoozed { until, by }),
            rated: rated.map(|Feedback { rating, by, at }| Rated { rating, by, at }),
            started: record.started,
            fired: record.fired,
            ended: record.ended,
            worst_at: record.worst.time,
            value: known(record.worst.value),
            expected: (known(record.worst.lower), known(record.worst.upper)),
            score: known(record.worst.score),
            threshold: known(record.threshold),
            limit_at: outlook.expected,
            limit_earliest: outlook.earliest,
            limit_latest: outlook.latest,
            terms: record.terms.into_iter().filter(|(_, part)| part.is_finite()).collect(),
            events: record.events,
            explanation: record.explanation,
        })
    }
}

impl Ask for AlertQuery {
    type Reply = Page<AlertView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<AlertView>, DeskError> {
        let key = self.batch.as_deref().map(|named| desk.batch(named)).transpose()?;
        let all = self.all || self.state == Some(AlertStanding::Resolved);
        let mut records = desk.alerts(&AlertFilter { key, open: !all, ..AlertFilter::default() })?;
        if let Some(text) = &self.metric {
            records.retain(|record| record.name.contains(text.as_str()));
        }
        if let Some(kind) = self.kind {
            records.retain(|record| record.kind == kind);
        }
        let silences = active(desk, desk.tenant)?;
        // How an alert stands says more than its record, so that each is looked at until the page is full.
        let mut failed = None;
        let chosen = records.into_iter().filter(|record| {
            let Some(standing) = self.state.filter(|_| failed.is_none()) else { return true };
            let seen = AlertView::of(desk, record.clone(), &silences);
            seen.map(|alert| alert.stands(standing)).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        });
        let page = Page::of(chosen, order, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)?;
        match failed {
            Some(error) => Err(error),
            None => page.map(|record| AlertView::of(desk, record, &silences)),
        }
    }
}

impl Listing for AlertQuery {
    type Item = AlertView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for AlertShow {
    type Reply = AlertView;

    fn ask(&self, desk: &Desk<'_>) -> Result<AlertView, DeskError> {
        let record = desk.alert(&self.id)?;
        desk.view(record)
    }
}

impl Ask for Acknowledge {
    type Reply = AlertView;

    fn ask(&self, desk: &Desk<'_>) -> Result<AlertView, DeskError> {
        let record = desk.open_alert(&self.id, "acknowledge")?;
        let (by, comment) = (author(&self.by)?, comment(&self.comment)?);
        act_on(desk, &record, &by, DeedKind::Acknowledged(comment))?;
        desk.view(record)
    }
}

impl Ask for Unacknowledge {
    type Reply = AlertView;

    fn ask(&self, desk: &Desk<'_>) -> Result<AlertView, DeskError> {
        let record = desk.alert(&self.id)?;
        let by = if self.by.trim().is_empty() { NAMELESS.to_owned() } else { author(&self.by)? };
        act_on(desk, &record, &by, DeedKind::Unacknowledged)?;
        desk.view(record)
    }
}

impl Ask for Snooze {
    type Reply = AlertView;

    fn ask(&self, desk: &Desk<'_>) -> Result<AlertView, DeskError> {
        let record = desk.open_alert(&self.id, "snooze")?;
        let by = author(&self.by)?;
        let woken = self.until <= desk.now;
        act_on(desk, &record, &by, if woken { DeedKind::Woken } else { DeedKind::Snoozed(self.until) })?;
        desk.view(record)
    }
}

impl Ask for Rate {
    type Reply = AlertView;

    fn ask(&self, desk: &Desk<'_>) -> Result<AlertView, DeskError> {
        let record = desk.alert(&self.id)?;
        let by = author(&self.by)?;
        act_on(desk, &record, &by, DeedKind::Rated(self.rating))?;
        desk.view(record)
    }
}

impl Desk<'_> {
    pub(super) fn view(&self, record: AlertRecord) -> Result<AlertView, DeskError> {
        let silences = active(self, &record.key.tenant)?;
        AlertView::of(self, record, &silences)
    }

    /// The alert whose identity begins so. Open alerts go first, so that the short name of
    /// one that matters now is not that of an old one.
    pub(super) fn alert(&self, id: &str) -> Result<AlertRecord, DeskError> {
        if id.len() < PREFIX {
            return Err(DeskError::invalid(format!(
                "`{id}` is too short for the identity of an alert: write {PREFIX} characters or more, as `anomd alert \
                 list` shows them"
            )));
        }
        for open in [true, false] {
            let mut found = self.alerts(&AlertFilter { open, ..AlertFilter::default() })?;
            found.retain(|record| record.id.starts_with(id));
            if let [_, _, ..] = found.as_slice() {
                let ids: Vec<_> = found.iter().take(20).map(|a| format!("\n  {}  {}", a.id, a.name)).collect();
                return Err(DeskError::conflict(format!(
                    "`{id}` is the beginning of {} alerts; write more of the one you mean:{}",
                    found.len(),
                    ids.concat()
                )));
            }
            if let Some(record) = found.pop() {
                return Ok(record);
            }
        }
        Err(DeskError::unknown(format!("there is no alert `{id}`; `anomd alert list --all` shows those that are kept")))
    }

    fn open_alert(&self, id: &str, what: &str) -> Result<AlertRecord, DeskError> {
        let record = self.alert(id)?;
        match record.ended {
            Some(ended) if record.phase == AlertPhase::Resolved => Err(DeskError::conflict(format!(
                "the alert {} of {} is over since {}, so there is nothing to {what}",
                record.id,
                record.name,
                instant::text(ended)
            ))),
            _ => Ok(record),
        }
    }
}

/// A text that sorts the last started first.
pub(super) fn order(record: &AlertRecord) -> String {
    format!("{} {} {}", newest_first(record.started), record.key, record.id)
}

/// What people did about an alert.
pub(super) fn act(desk: &Desk<'_>, record: &AlertRecord) -> Result<Act, DeskError> {
    Ok(desk.store.document(&record.key.tenant, DocumentKind::Act, &record.id)?.unwrap_or_default())
}

/// Enters what somebody did about an alert, and that they did it.
pub(super) fn act_on(desk: &Desk<'_>, record: &AlertRecord, by: &str, what: DeedKind) -> Result<(), DeskError> {
    let _alone = ACTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut act = act(desk, record)?;
    let (by, at) = (by.to_owned(), desk.now);
    let mut writes = Vec::new();
    match &what {
        DeedKind::Acknowledged(comment) => act.acknowledged = Some((by.clone(), at, comment.clone())),
        DeedKind::Unacknowledged => act.acknowledged = None,
        DeedKind::Snoozed(until) => act.snoozed = Some((*until, by.clone())),
        DeedKind::Woken => act.snoozed = None,
        DeedKind::Rated(rating) => {
            let place = Feedback::place(&record.key.batch, &record.id);
            writes.push(match rating {
                Some(rating) => {
                    let feedback = Feedback { rating: *rating, by: by.clone(), at };
                    DocumentWrite::of(DocumentKind::Feedback, place, &feedback)
                }
                None => DocumentWrite::deletion(DocumentKind::Feedback, place),
            });
        }
    }
    act.history.push(Deed { at, by, what });
    let excess = act.history.len().saturating_sub(desk.config.limits.alert_history);
    act.history.drain(..excess);
    writes.push(DocumentWrite::of(DocumentKind::Act, &record.id, &act));
    Ok(desk.store.write_documents(&record.key.tenant, writes)?)
}

pub(super) fn author(by: &str) -> Result<String, DeskError> {
    let by = by.trim();
    if by.is_empty() || by.len() > 200 {
        return Err(DeskError::invalid("who does this is missing: write a name of up to 200 bytes (--by NAME)"));
    }
    Ok(by.to_owned())
}

pub(super) fn comment(text: &str) -> Result<String, DeskError> {
    if text.len() > COMMENT_BYTES {
        return Err(DeskError::invalid(format!(
            "the comment has more than {COMMENT_BYTES} bytes; write a shorter one"
        )));
    }
    Ok(text.trim().to_owned())
}
