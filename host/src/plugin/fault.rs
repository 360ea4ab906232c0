//! From the ways in which a call stops to a fault that says who has to act, and how.

use std::time::Duration;

use super::checked::Wrong;
use super::quarantine::Quarantine;
use crate::capability::Ungranted;
use crate::config::Limits;
use crate::engine::Stop;
use crate::fault::{Blame, Fault, PluginError};
use crate::series::Millis;

/// Functions of a guest that are named in a fault.
const FRAMES: usize = 6;

/// Where a fault arose.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub tenant: String,
    pub plugin: String,
    pub version: String,
    pub export: &'static str,
}

impl Site {
    /// A fault before a plugin is loaded: nobody called it yet.
    pub(super) fn loading(plugin: &str) -> Self {
        Self { tenant: String::new(), plugin: plugin.to_owned(), version: String::new(), export: "" }
    }

    pub(super) fn fault(&self, blame: Blame, message: impl Into<String>, remedy: impl Into<String>) -> Fault {
        Fault {
            blame,
            tenant: self.tenant.clone(),
            plugin: self.plugin.clone(),
            version: self.version.clone(),
            export: self.export.to_owned(),
            message: message.into(),
            remedy: remedy.into(),
            log_tail: Vec::new(),
            answer: None,
            until: None,
        }
    }

    /// The call did not come back. `wall_key` is the limit of its wall-clock time.
    pub(super) fn stopped(&self, stop: Stop, wall_key: &str, limits: &Limits) -> Fault {
        let (blame, message, remedy) = match stop {
            Stop::Memory(limit) => (
                Blame::Limit,
                format!("it wanted more than the {} of memory that an instance may have", bytes(limit)),
                raise("instance_memory_bytes"),
            ),
            Stop::OwnerMemory(limit) => (
                Blame::Limit,
                format!(
                    "the instances of tenant {} wanted more than the {} of memory that they may have together",
                    self.tenant,
                    bytes(limit)
                ),
                format!("raise its quota: `anomd tenant quota {} memory_bytes=…`, or run less at once", self.tenant),
            ),
            Stop::Cpu(limit) => (
                Blame::Limit,
                format!("it used more than the {} of CPU time that a call may use", time(limit)),
                raise("call_cpu_ms"),
            ),
            Stop::Wall(limit) => (
                Blame::Limit,
                format!("it was not done after the {} that a call may take", time(limit)),
                raise(wall_key),
            ),
            Stop::Crossing => (
                Blame::Limit,
                format!("it passed more than the {} that may cross to the host at once", bytes(limits.crossing_bytes)),
                raise("crossing_bytes"),
            ),
            Stop::Stack => (
                Blame::Plugin,
                "its calls nested until the stack was full".to_owned(),
                "tell the plugin's author: a recursion without an end, or very large local arrays".to_owned(),
            ),
            Stop::Trap { cause, frames } => {
                let frames = shown(frames);
                let within = if frames.is_empty() { String::new() } else { format!(", in {}", frames.join(" < ")) };
                (
                    Blame::Plugin,
                    format!("it trapped: {}{within}", cause.trim_start_matches("wasm trap: ")),
                    "tell the plugin's author".to_owned(),
                )
            }
            Stop::Busy => (
                Blame::Host,
                "there was no place for another instance".to_owned(),
                "raise limits.instances in anomd.yaml".to_owned(),
            ),
        };
        self.fault(blame, message, remedy)
    }

    /// It answered what the contract or a limit forbids.
    pub(super) fn forbidden(&self, wrong: impl Into<Wrong>) -> Fault {
        match wrong.into() {
            Wrong { what, limit: Some(key) } => self.fault(Blame::Limit, what, raise(key)),
            Wrong { what, limit: None } => {
                let what = format!("it answered what the contract forbids: {what}");
                self.fault(Blame::Plugin, what, "tell the plugin's author")
            }
        }
    }

    /// It answered with an error.
    pub(super) fn answered(&self, error: PluginError) -> Fault {
        let remedy = match &error {
            PluginError::BadConfig(_) => "correct the plugin's parameters in the batch",
            PluginError::Unauthorized(_) => "correct the credentials: the plugin's secrets in the batch",
            PluginError::Unsupported(_) => "use the plugin for something else, or another plugin for this",
            PluginError::Internal(_) => "tell the plugin's author",
            PluginError::Busy(_) | PluginError::Unavailable(_) => "",
        };
        Fault { answer: Some(error.clone()), ..self.fault(error.blame(), error.to_string(), remedy) }
    }

    /// It was not called: it failed too often.
    pub(super) fn quarantined(&self, quarantine: &Quarantine, now: Millis) -> Fault {
        let Quarantine { until, faults, last } = quarantine;
        let (until, when) = match *until > now {
            true => (*until, format!("until {}", text_of(*until))),
            false => (now, "until the call that tries it has ended".to_owned()),
        };
        let what =
            format!("it was not called: it is in quarantine {when}, after {faults} faults in a row; the last: {last}");
        let remedy = "tell the plugin's author; a version that is installed with `anomd plugin upgrade` begins clean";
        Fault { until: Some(until), ..self.fault(Blame::Plugin, what, remedy) }
    }

    /// The operator's grants make no sense.
    pub(super) fn ungranted(&self, why: Ungranted) -> Fault {
        self.fault(Blame::Operator, why.message, why.remedy)
    }
}

/// An instant as people read it.
pub(super) fn text_of(instant: Millis) -> String {
    let time = chrono::DateTime::from_timestamp_millis(instant);
    time.map_or_else(|| instant.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn raise(key: &str) -> String {
    format!("raise limits.{key} in anomd.yaml, or let the plugin need less")
}

/// The names that an author knows: not those of Rust's own way from a panic to a trap.
fn shown(frames: Vec<String>) -> Vec<String> {
    let machinery = ["__rustc", "__rust_", "rust_", "std::", "core::", "alloc::", "dlmalloc::"];
    let (machinery, own): (Vec<_>, Vec<_>) =
        frames.into_iter().partition(|frame| machinery.iter().any(|prefix| frame.starts_with(prefix)));
    let mut shown = if own.is_empty() { machinery } else { own };
    shown.truncate(FRAMES);
    shown
}

/// `64 MiB`, or bytes where it is no whole number of MiB.
pub(super) fn bytes(count: usize) -> String {
    match count {
        0 => "0 bytes".to_owned(),
        count if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        count if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        count => format!("{count} bytes"),
    }
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
