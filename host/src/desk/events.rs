//! Events: deploys and maintenances, as people and their pipelines enter them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alerts::{author, comment};
use super::page::{Listing, newest_first};
use super::silences::matchers;
use super::{Ask, Desk, DeskError, Page, hex, instant, random};
use crate::alert::{Effect, Marker};
use crate::series::{Matchers, Millis};
use crate::store::{DocumentKind, DocumentWrite};

/// How far back events are listed where not all are asked for.
const LISTED_MS: Millis = 7 * 86_400_000;

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventQuery {
    /// Also those that ended more than a week ago.
    pub all: bool,
    /// At most so many, the newest first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A new event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventAdd {
    /// In one word: `deploy`, `maintenance`.
    pub kind: String,
    /// For people: `checkout v2.3`.
    #[serde(default)]
    pub text: String,
    /// Which alerts it is about; empty: all of the tenant.
    #[serde(default)]
    pub matchers: String,
    /// When it began; `None`: now.
    #[serde(default, with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub start: Option<Millis>,
    /// When it ends; `None`: it is one instant.
    #[serde(default, with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub end: Option<Millis>,
    /// No alert that matches begins while it lasts.
    #[serde(default)]
    pub mute: bool,
    /// Alerts that match begin only outside of a band so many times as wide.
    #[serde(default)]
    pub widen: Option<f64>,
    /// Who enters it.
    pub by: String,
}

/// Ends an event now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventEnd {
    /// Its name, or a beginning of it that no other has.
    #[serde(default)]
    pub id: String,
}

/// An event as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its name.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// In one word.
    pub kind: String,
    /// For people.
    pub text: String,
    /// Which alerts it is about.
    pub matchers: String,
    /// When it began.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub start: Millis,
    /// When it ends; `None`: it is one instant.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub end: Option<Millis>,
    /// No alert begins while it lasts.
    pub mute: bool,
    /// How many times as wide the band is while it lasts.
    pub widen: Option<f64>,
    /// Who entered it.
    pub by: String,
}

impl EventView {
    pub(super) fn of(tenant: &str, marker: Marker) -> Self {
        Self {
            id: marker.id,
            tenant: tenant.to_owned(),
            kind: marker.kind,
            text: marker.text,
            matchers: marker.matchers.to_string(),
            start: marker.start,
            end: marker.end,
            mute: marker.effect == Effect::Mute,
            widen: match marker.effect {
                Effect::Widen(factor) => Some(factor),
                Effect::Note | Effect::Mute => None,
            },
            by: marker.by,
        }
    }
}

impl Ask for EventQuery {
    type Reply = Page<EventView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<EventView>, DeskError> {
        let events = desk.store.documents::<Marker>(desk.tenant, DocumentKind::Event, "")?;
        let listed = |marker: &Marker| self.all || marker.end.unwrap_or(marker.start) > desk.now - LISTED_MS;
        let events = events.into_iter().map(|(_, marker)| marker).filter(listed);
        let mut views: Vec<EventView> = events.map(|marker| EventView::of(desk.tenant, marker)).collect();
        views.sort_by(|a, b| b.start.cmp(&a.start).then_with(|| a.id.cmp(&b.id)));
        let key = |view: &EventView| format!("{} {}", newest_first(view.start), view.id);
        Page::of(views, key, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)
    }
}

impl Listing for EventQuery {
    type Item = EventView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for EventAdd {
    type Reply = EventView;

    fn ask(&self, desk: &Desk<'_>) -> Result<EventView, DeskError> {
        let effect = match (self.mute, self.widen) {
            (true, Some(_)) => return Err(DeskError::invalid("an event mutes or widens, and not both; leave one out")),
            (true, None) => Effect::Mute,
            (false, Some(factor)) => Effect::Widen(factor),
            (false, None) => Effect::Note,
        };
        let about = match effect {
            Effect::Note => self.matchers.parse().map_err(|e| DeskError::invalid(format!("{e}")))?,
            // To keep alerts from beginning is as strong as a silence.
            Effect::Mute | Effect::Widen(_) => matchers(&self.matchers)?,
        };
        let about: Matchers = about;
        let start = self.start.unwrap_or(desk.now);
        let marker = Marker {
            id: Marker::id_at(start, &hex(&random::<8>()?)),
            kind: self.kind.trim().to_owned(),
            text: comment(&self.text)?,
            matchers: about,
            start,
            end: self.end,
            effect,
            by: author(&self.by)?,
        };
        marker.check().map_err(|e| DeskError::invalid(e.to_string()))?;
        desk.write_event(desk.tenant, marker)
    }
}

impl Ask for EventEnd {
    type Reply = EventView;

    fn ask(&self, desk: &Desk<'_>) -> Result<EventView, DeskError> {
        let (tenant, mut marker): (_, Marker) = desk.one_of(DocumentKind::Event, "event", &self.id)?;
        match marker.end {
            Some(end) if end <= desk.now => Err(DeskError::conflict(format!(
                "the event {} is over since {} already",
                marker.id,
                instant::text(end)
            ))),
            _ if marker.start >= desk.now => Err(DeskError::conflict(format!(
                "the event {} begins at {}; it cannot end before that",
                marker.id,
                instant::text(marker.start)
            ))),
            _ => {
                marker.end = Some(desk.now);
                desk.write_event(&tenant, marker)
            }
        }
    }
}

impl Desk<'_> {
    fn write_event(&self, tenant: &str, marker: Marker) -> Result<EventView, DeskError> {
        let write = DocumentWrite::of(DocumentKind::Event, &marker.id, &marker);
        self.store.write_documents(tenant, vec![write])?;
        Ok(EventView::of(tenant, marker))
    }
}
