//! One message about a group of alerts, before it has words.
//!
//! The dispatcher decides whom to tell of what; [`compose_group`](super::compose_group) says
//! it. So everything that a message may speak of is in here, and nothing has to be looked up.

use crate::config::Batch;
use crate::message::{Act, AlertState};
use crate::series::{Labels, Millis};
use crate::store::AlertRecord;

/// One message about a group of alerts, before it has words.
#[derive(Clone, Debug)]
pub struct GroupMessage<'a> {
    /// The message's identity, which its words must keep: the same for every attempt, another
    /// for each notifier, change and repeat.
    pub id: String,
    /// The same from the first message about the group to the one that says that all is over.
    pub incident: String,
    /// Firing while a member is.
    pub state: AlertState,
    /// Nothing changed since the last message: it is told again because it goes on.
    pub repeat: bool,
    /// The tenant.
    pub tenant: &'a str,
    /// Who is told: `batch/<name>` for a batch's own notifiers, else a receiver of the tenant.
    pub receiver: &'a str,
    /// The notifier that will send it: its entry among the receiver's.
    pub method: &'a str,
    /// The labels by which the group was made.
    pub group: Labels,
    /// The labels that all members have in common; at least those of `group`.
    pub common: Labels,
    /// What is told: at least one, in the order in which they began.
    pub members: Vec<Member<'a>>,
    /// Events (deploys, say) that members name, in the order in which they began.
    pub events: Vec<EventNote>,
    /// Findings at most; the rest is counted.
    pub findings: usize,
    /// The logical now.
    pub now: Millis,
    /// Where a reader finds more; `None` where the node has no address that others can reach.
    pub links: Option<Links>,
}

/// An alert in a message.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// The alert.
    pub record: &'a AlertRecord,
    /// Its labels for routing; see [`alert_labels`](super::alert_labels).
    pub labels: Labels,
    /// Its batch; `None` if that has been given up since.
    pub batch: Option<&'a Batch>,
    /// What people did about it.
    pub act: Act,
    /// Whether it is on, as of now.
    pub state: AlertState,
    /// Whether the last message of the group to this receiver did not say so.
    pub fresh: bool,
}

/// An event that was on when a member began, or had just been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// The identity of its document.
    pub id: String,
    /// What happened, in a few words.
    pub title: String,
    /// Its labels.
    pub labels: Labels,
    /// When it began.
    pub start: Millis,
    /// When it was over; `None`: it was an instant, or goes on.
    pub end: Option<Millis>,
}

/// Where a reader finds more, and can act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// A page about the message.
    pub page: String,
    /// What the reader can do: a name and an address each.
    pub actions: Vec<(String, String)>,
}

/// The pairs that all label sets have in common.
pub fn common_labels<'a>(sets: impl IntoIterator<Item = &'a Labels>) -> Labels {
    let mut sets = sets.into_iter();
    let Some(first) = sets.next() else { return Labels::default() };
    let mut common: Vec<(&str, &str)> = first.iter().collect();
    for labels in sets {
        common.retain(|(name, value)| labels.get(name) == Some(value));
    }
    Labels::new(common.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap_or_default()
}
