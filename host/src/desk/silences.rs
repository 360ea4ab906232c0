//! Silences: alerts that match are told to nobody for a while.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alerts::{AlertView, author, comment, order};
use super::page::{Listing, newest_first};
use super::{Ask, Desk, DeskError, Page, hex, instant, random};
use crate::alert::Silence;
use crate::series::{Matchers, Millis};
use crate::store::{AlertFilter, DocumentKind, DocumentWrite};

/// Which silences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceQuery {
    /// Also those that are over.
    pub all: bool,
    /// At most so many, the first to end first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A new silence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceAdd {
    /// What an alert must match, as `job="api", instance=~"a.*"`.
    pub matchers: String,
    /// Who.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
    /// From when on; `None`: from now on.
    #[serde(default, with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub start: Option<Millis>,
    /// To before when.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub end: Millis,
}

/// Asks which alerts a silence with these matchers would hide now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SilencePreview {
    /// What an alert must match, as `job="api", instance=~"a.*"`.
    pub matchers: String,
    /// At most so many, the last started first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// Ends a silence now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceExpire {
    /// Its identity, or a beginning of it that no other has.
    #[serde(default)]
    pub id: String,
}

/// Whether a silence holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It begins later.
    Pending,
    /// It holds.
    Active,
    /// It is over. It is kept, because traces name it.
    Expired,
}

/// A silence as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SilenceView {
    /// Its identity.
    pub id: String,
    /// The tenant.
    pub tenant: String,
    /// Whether it holds.
    pub state: SilenceState,
    /// What an alert must match.
    pub matchers: String,
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
    /// From when on.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub start: Millis,
    /// To before when.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub end: Millis,
    /// How many alerts that are not over match it.
    pub alerts: usize,
}

impl Ask for SilenceQuery {
    type Reply = Page<SilenceView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<SilenceView>, DeskError> {
        let all = desk.store.documents::<Silence>(desk.tenant, DocumentKind::Silence, "")?.into_iter();
        let mut all: Vec<Silence> =
            all.map(|(_, silence)| silence).filter(|silence| self.all || silence.end > desk.now).collect();
        all.sort_by(|a, b| (a.end, &a.id).cmp(&(b.end, &b.id)));
        let key = |silence: &Silence| format!("{} {}", newest_first(!silence.end), silence.id);
        let page = Page::of(all, key, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)?;
        page.map(|silence| desk.silence_view(desk.tenant, silence))
    }
}

impl Listing for SilenceQuery {
    type Item = SilenceView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for SilencePreview {
    type Reply = Page<AlertView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<AlertView>, DeskError> {
        let matchers = matchers(&self.matchers)?;
        let mut open = desk.alerts(&AlertFilter { open: true, ..AlertFilter::default() })?;
        open.retain(|alert| matchers.matches(&desk.labels(alert)));
        let most = desk.config.limits.api_page_items;
        let page = Page::of(open, order, self.cursor.as_deref(), self.limit, most)?;
        let silences = active(desk, desk.tenant)?;
        page.map(|record| AlertView::of(desk, record, &silences))
    }
}

impl Listing for SilencePreview {
    type Item = AlertView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for SilenceAdd {
    type Reply = SilenceView;

    fn ask(&self, desk: &Desk<'_>) -> Result<SilenceView, DeskError> {
        let matchers = matchers(&self.matchers)?;
        let start = self.start.unwrap_or(desk.now);
        if self.end <= start || self.end <= desk.now {
            return Err(DeskError::invalid(format!(
                "a silence from {} to {} is never on; write an end that comes after its start and after now",
                instant::text(start),
                instant::text(self.end)
            )));
        }
        let (author, comment) = (author(&self.author)?, comment(&self.comment)?);
        let id = desk.free_id(desk.tenant, DocumentKind::Silence)?;
        let silence = Silence { id, matchers, author, comment, start, end: self.end };
        desk.write_silence(desk.tenant, &silence)?;
        desk.silence_view(desk.tenant, silence)
    }
}

impl Ask for SilenceExpire {
    type Reply = SilenceView;

    fn ask(&self, desk: &Desk<'_>) -> Result<SilenceView, DeskError> {
        let (tenant, mut silence): (_, Silence) = desk.one_of(DocumentKind::Silence, "silence", &self.id)?;
        if silence.end <= desk.now {
            let text = format!("the silence {} is over since {} already", silence.id, instant::text(silence.end));
            return Err(DeskError::conflict(text));
        }
        silence.end = desk.now;
        silence.start = silence.start.min(desk.now);
        desk.write_silence(&tenant, &silence)?;
        desk.silence_view(&tenant, silence)
    }
}

impl Desk<'_> {
    fn write_silence(&self, tenant: &str, silence: &Silence) -> Result<(), DeskError> {
        let write = DocumentWrite::of(DocumentKind::Silence, &silence.id, silence);
        Ok(self.store.write_documents(tenant, vec![write])?)
    }

    fn silence_view(&self, tenant: &str, silence: Silence) -> Result<SilenceView, DeskError> {
        let state = match silence {
            Silence { end, .. } if end <= self.now => SilenceState::Expired,
            Silence { start, .. } if start > self.now => SilenceState::Pending,
            _ => SilenceState::Active,
        };
        let alerts = self.alerts(&AlertFilter { open: true, ..AlertFilter::default() })?;
        let matches = alerts.iter().filter(|alert| silence.matchers.matches(&self.labels(alert)));
        Ok(SilenceView {
            alerts: matches.count(),
            tenant: tenant.to_owned(),
            state,
            matchers: silence.matchers.to_string(),
            author: silence.author,
            comment: silence.comment,
            start: silence.start,
            end: silence.end,
            id: silence.id,
        })
    }

    /// A name that no document of this kind has, short enough to type.
    pub(super) fn free_id(&self, tenant: &str, kind: DocumentKind) -> Result<String, DeskError> {
        loop {
            let id = hex(&random::<4>()?);
            if self.store.document::<serde::de::IgnoredAny>(tenant, kind, &id)?.is_none() {
                return Ok(id);
            }
        }
    }

    /// The document of this desk's tenant whose name begins so, with its tenant.
    pub(super) fn one_of<T: serde::de::DeserializeOwned>(
        &self,
        kind: DocumentKind,
        what: &str,
        id: &str,
    ) -> Result<(String, T), DeskError> {
        let own = self.store.documents::<T>(self.tenant, kind, "")?.into_iter();
        let own = own.filter(|(name, _)| begins(name, id));
        let mut found: Vec<_> = own.map(|(name, value)| (name, self.tenant.to_owned(), value)).collect();
        if let Some(at) = found.iter().position(|(name, ..)| name == id) {
            let (_, tenant, value) = found.swap_remove(at);
            return Ok((tenant, value));
        }
        match found.pop() {
            None => Err(DeskError::unknown(format!("there is no {what} `{id}`; `anomd {what} list --all` shows them"))),
            Some((_, tenant, value)) if found.is_empty() && !id.is_empty() => Ok((tenant, value)),
            Some(_) => {
                let text = format!("`{id}` is the beginning of {} {what}s; write more of it", found.len() + 1);
                Err(DeskError::conflict(text))
            }
        }
    }
}

/// Whether a name begins so, or what it has after its last `-`: the name of an event has its
/// start in front, which nobody wants to type.
fn begins(name: &str, id: &str) -> bool {
    name.starts_with(id) || name.rsplit_once('-').is_some_and(|(_, tail)| tail.starts_with(id))
}

/// The silences of a tenant that hold now.
pub(super) fn active(desk: &Desk<'_>, tenant: &str) -> Result<Vec<Silence>, DeskError> {
    let all = desk.store.documents::<Silence>(tenant, DocumentKind::Silence, "")?;
    let holds = |silence: &Silence| silence.start <= desk.now && desk.now < silence.end;
    Ok(all.into_iter().map(|(_, silence)| silence).filter(holds).collect())
}

/// Matchers that do not match everything: a slip of the finger must not silence a tenant.
pub(super) fn matchers(text: &str) -> Result<Matchers, DeskError> {
    let matchers: Matchers = text.parse().map_err(|e| DeskError::invalid(format!("{e}")))?;
    if matchers.0.iter().all(|matcher| matcher.matches("")) {
        let what = if text.trim().is_empty() { "an empty text".to_owned() } else { format!("`{text}`") };
        return Err(DeskError::invalid(format!(
            "{what} matches every alert; write at least one label that must be there, as job=\"api\""
        )));
    }
    Ok(matchers)
}
