//! What plugins say, for the operator and the author: bounded in number and length.
//!
//! A message of several lines is several lines. The last lines of a call are kept even
//! when the cap is reached, since the one before a trap says why.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Holder;
use crate::config::Limits;

/// Lines that are kept to be shown with a fault.
const TAIL: usize = 8;
/// Fields of one message; more are cut.
const FIELDS: usize = 16;

/// Where the log lines of a call go.
pub trait LogSink: Send + Sync + std::fmt::Debug {
    /// One line.
    fn line(&self, level: tracing::Level, plugin: &str, line: &str);
}

/// How much a use of a plugin may log.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    lines: usize,
    line_bytes: usize,
}

impl Grant {
    /// So much as the limits say.
    pub fn new(limits: &Limits) -> Self {
        Self { lines: limits.log_lines_per_call, line_bytes: limits.log_line_bytes }
    }

    /// The log of one call.
    pub fn open(self, holder: &Arc<Holder>, sink: Arc<dyn LogSink>) -> Log {
        Log { grant: self, holder: Arc::clone(holder), sink, written: 0, dropped: 0, tail: VecDeque::new() }
    }
}

/// The log of one call.
#[derive(Debug)]
pub struct Log {
    grant: Grant,
    holder: Arc<Holder>,
    sink: Arc<dyn LogSink>,
    written: usize,
    dropped: usize,
    tail: VecDeque<String>,
}

impl Log {
    /// Writes a message, cut to what is allowed.
    pub fn write(&mut self, level: tracing::Level, message: &str, fields: &[(String, String)]) {
        let mut text = cut(message, self.grant.line_bytes).to_owned();
        for (name, value) in fields.iter().take(FIELDS) {
            let left = self.grant.line_bytes.saturating_sub(text.len());
            text.push_str(cut(&format!(" {}={}", cut(name, left), cut(value, left)), left));
        }
        if text.len() < message.len() || fields.len() > FIELDS {
            text.push('…');
        }
        for line in text.lines().filter(|line| !line.is_empty()) {
            self.line(level, printable(line));
        }
    }

    fn line(&mut self, level: tracing::Level, line: String) {
        if self.written < self.grant.lines {
            self.written += 1;
            self.sink.line(level, &self.holder.plugin, &line);
        } else {
            self.dropped += 1;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// Ends the log: says how much was left out, and returns the last lines.
    pub fn close(self) -> Vec<String> {
        if self.dropped > 0 {
            let line = format!("{} more lines dropped (limits.log_lines_per_call)", self.dropped);
            self.sink.line(tracing::Level::WARN, &self.holder.plugin, &line);
        }
        self.tail.into()
    }
}

/// The longest beginning of a text of at most so many bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// A text in which nothing moves the cursor or changes the colour of a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Lines(Mutex<Vec<String>>);

    impl LogSink for Lines {
        fn line(&self, level: tracing::Level, plugin: &str, line: &str) {
            self.0.lock().unwrap().push(format!("{level} {plugin}: {line}"));
        }
    }

    fn open(lines: usize, line_bytes: usize) -> (Log, Arc<Lines>) {
        let limits = Limits { log_lines_per_call: lines, log_line_bytes: line_bytes, ..Limits::default() };
        let sink = Arc::new(Lines::default());
        let holder = Arc::new(Holder { tenant: "acme".into(), plugin: "chatty".into() });
        (Grant::new(&limits).open(&holder, Arc::clone(&sink) as Arc<dyn LogSink>), sink)
    }

    #[test]
    fn lines_beyond_the_cap_are_counted_and_the_last_is_kept_for_the_fault() {
        let (mut log, sink) = open(2, 100);
        for n in 0..20 {
            log.write(tracing::Level::INFO, &format!("line {n}"), &[]);
        }
        assert_eq!(log.close().last().unwrap(), "line 19");
        assert_eq!(
            *sink.0.lock().unwrap(),
            [
                "INFO chatty: line 0",
                "INFO chatty: line 1",
                "WARN chatty: 18 more lines dropped (limits.log_lines_per_call)"
            ]
        );
    }

    #[test]
    fn long_messages_are_cut_and_control_characters_shown_as_such() {
        let (mut log, sink) = open(10, 16);
        log.write(tracing::Level::WARN, &"ä".repeat(100), &[]);
        log.write(tracing::Level::WARN, "\u{1b}[31mred\nsecond", &[]);
        log.write(tracing::Level::INFO, "got", &[("status".into(), "503".into())]);
        assert_eq!(
            *sink.0.lock().unwrap(),
            [
                "WARN chatty: ääääääää…",
                "WARN chatty: \u{fffd}[31mred",
                "WARN chatty: second",
                "INFO chatty: got status=503"
            ]
        );
    }
}
