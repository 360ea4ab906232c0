//! Logical time: the same all through a call, whatever the wall clock says.

use crate::series::Millis;

/// The clock of one call.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Millis);

impl Clock {
    /// A clock that stands at `now`.
    pub fn open(now: Millis) -> Self {
        Self(now)
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(self) -> Millis {
        self.0
    }
}
