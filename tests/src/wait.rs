//! Waiting for a condition, never for a span of time.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; fails the test when none came in a minute.
#[track_caller]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited a minute in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
