//! Times at which a route tells nobody.

use super::{Target, Why};
use crate::config::Routing;
use crate::series::Millis;

/// Why a route tells nobody now; `None` if it does.
pub(super) fn muted(routing: &Routing, target: &Target<'_>, now: Millis) -> Option<Why> {
    let is_on =
        |name: &&String| routing.intervals.get(*name).is_some_and(|spans| spans.iter().any(|span| span.contains(now)));
    if !target.active.is_empty() && !target.active.iter().any(|name| is_on(&name)) {
        return Some(Why::Inactive);
    }
    target.mute.iter().find(is_on).map(|name| Why::Muted(name.clone()))
}
