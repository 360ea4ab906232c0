//! Reading a mapping key by key, so that all its faults are told at once.
//!
//! Each accessor takes one key, gives its value if it is there and sound, and otherwise
//! notes what is wrong and gives `None`. `finish` refuses the keys that nobody took.
//! A key whose value is null is as good as absent.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::document::{Document, Spans};
use super::duration::parse_span;
use super::metric_set::MetricSet;
use super::pointer;
use super::problem::{Problem, Problems, nearest};
use crate::series::Millis;

/// A mapping of a document that is being read.
pub(super) struct Section<'a> {
    document: &'a Document,
    problems: &'a RefCell<Problems>,
    pointer: String,
    members: Option<&'a Map<String, Value>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// The document's outermost mapping.
    pub fn top(document: &'a Document, problems: &'a RefCell<Problems>) -> Self {
        Self::new(document, problems, String::new(), &document.value)
    }

    fn new(document: &'a Document, problems: &'a RefCell<Problems>, pointer: String, value: &'a Value) -> Self {
        let section = Self { document, problems, pointer, members: value.as_object(), known: RefCell::new(Vec::new()) };
        if section.members.is_none() && !value.is_null() && !section.pointer.is_empty() {
            section.fault_at(
                &section.pointer,
                format!("{} is not a mapping", shown(value)),
                "write `key: value` lines",
            );
        }
        section
    }

    /// The pointer to a key of this mapping.
    pub fn pointer(&self, key: &str) -> String {
        pointer::child(&self.pointer, key)
    }

    /// The pointer to this mapping.
    pub fn own_pointer(&self) -> String {
        self.pointer.clone()
    }

    /// Where the parts of the document were written.
    pub fn spans(&self) -> &'a Spans {
        &self.document.spans
    }

    /// Whether a key has a value.
    pub fn has(&self, key: &str) -> bool {
        self.members.and_then(|members| members.get(key)).is_some_and(|value| !value.is_null())
    }

    /// Notes an error at a key.
    pub fn fault(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.fault_at(&self.pointer(key), message, remedy);
    }

    /// Notes an error at a pointer.
    pub fn fault_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.document.spans.locate(pointer);
        self.problems.borrow_mut().push(Problem::error(place, pointer, message, remedy));
    }

    /// Notes a warning at a pointer.
    pub fn warn_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let place = self.document.spans.locate(pointer);
        self.problems.borrow_mut().push(Problem::warning(place, pointer, message, remedy));
    }

    /// The value of a key, as it stands.
    pub fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(key);
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// A text. A number is not one: YAML would drop its leading zeros.
    pub fn text(&self, key: &'static str) -> Option<&'a str> {
        let value = self.value(key)?;
        self.text_at(&self.pointer(key), value)
    }

    fn text_at(&self, pointer: &str, value: &'a Value) -> Option<&'a str> {
        let text = self.document.text(pointer, value);
        if text.is_none() {
            // Not shown: it may be a secret.
            self.fault_at(pointer, format!("is {} and not a text", kind(value)), "put a text in quotes");
        }
        text
    }

    /// A text that `parse` understands; its error says what is wrong and what to do.
    pub fn parsed<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, (String, String)>) -> Option<T> {
        match parse(self.text(key)?) {
            Ok(value) => Some(value),
            Err((message, remedy)) => {
                self.fault(key, message, remedy);
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.parsed(key, |text| {
            choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
                (format!("\"{text}\" is not a choice"), format!("write one of: {}", names.join(", ")))
            })
        })
    }

    /// True or false.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        if value.as_bool().is_none() {
            self.fault(
                key,
                format!("{} is neither true nor false", shown(value)),
                "write true or false, without quotes",
            );
        }
        value.as_bool()
    }

    /// A whole number within a range.
    pub fn whole(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
            self.fault(key, misfit(value), remedy);
        }
        number
    }

    /// A [`Section::whole`] number of things.
    pub fn count(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<usize> {
        self.whole(key, range).and_then(|number| usize::try_from(number).ok())
    }

    /// A whole number, negative ones too, within a range.
    pub fn integer(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.value(key)?;
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
            self.fault(key, misfit(value), remedy);
        }
        number
    }

    /// A number within a range.
    pub fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(key)?;
        let number = value.as_f64().filter(|number| range.contains(number));
        if number.is_none() {
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.fault(key, misfit(value), remedy);
        }
        number
    }

    /// A number of days, in milliseconds.
    pub fn days(&self, key: &'static str) -> Option<Millis> {
        self.number(key, 0.01..=36_500.0).map(|days| (days * 86_400_000.0) as Millis)
    }

    /// A span of time, `90s` say, in milliseconds.
    pub fn span(&self, key: &'static str, range: RangeInclusive<&'static str>) -> Option<Millis> {
        let value = self.value(key)?;
        let bounds = parse_span(range.start()).unwrap_or(0)..=parse_span(range.end()).unwrap_or(Millis::MAX);
        if value.as_i64() == Some(0) && bounds.contains(&0) {
            return Some(0);
        }
        let Some(text) = self.document.text(&self.pointer(key), value) else {
            self.fault(key, format!("{} has no unit", shown(value)), "write a number and a unit: 60s, 5m, 1h, 7d");
            return None;
        };
        let (message, remedy) = match parse_span(text) {
            Ok(span) if bounds.contains(&span) => return Some(span),
            Ok(_) => (format!("{text} is out of range"), format!("write {} to {}", range.start(), range.end())),
            Err(fault) => (fault, "write a number and a unit: 60s, 5m, 1h, 7d".to_owned()),
        };
        self.fault(key, message, remedy);
        None
    }

    /// Texts: a list of them, or one text with commas.
    pub fn texts(&self, key: &'static str) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let at = self.pointer(key);
        match value {
            Value::Array(items) => {
                let items = items.iter().enumerate().filter(|(_, item)| !item.is_null());
                items.filter_map(|(i, item)| self.text_at(&format!("{at}/{i}"), item)).map(str::to_owned).collect()
            }
            _ => match self.document.text(&at, value) {
                Some(text) => split_list(text),
                None => {
                    self.fault(key, format!("{} is no list of texts", shown(value)), "write [a, b] or \"a,b\"");
                    Vec::new()
                }
            },
        }
    }

    /// Texts, numbers among them, each with its pointer: a list of them, or one.
    pub fn scalars(&self, key: &'static str) -> Vec<(String, String)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let at = self.pointer(key);
        let items: Vec<(String, &Value)> = match value {
            Value::Array(items) => items.iter().enumerate().map(|(i, item)| (format!("{at}/{i}"), item)).collect(),
            one => vec![(at, one)],
        };
        let text = |at: &str, item: &'a Value| match item {
            Value::Number(number) => Some(number.to_string()),
            item => self.text_at(at, item).map(str::to_owned),
        };
        items.into_iter().filter_map(|(at, item)| text(&at, item).map(|text| (at, text))).collect()
    }

    /// A set of metrics: a list of names, globs and selectors, or one text with commas.
    pub fn metrics(&self, key: &'static str) -> MetricSet {
        let mut set = MetricSet::default();
        let whole = self.value(key).is_some_and(|value| !value.is_array());
        for (at, text) in self.scalars(key) {
            match if whole { text.parse() } else { MetricSet::of_entry(&text) } {
                Ok(metrics) => set.extend(metrics),
                Err(fault) => self.fault_at(&at, fault.message, fault.remedy),
            }
        }
        set
    }

    /// A mapping whose keys are told beforehand; an absent one is empty.
    pub fn section(&self, key: &'static str) -> Self {
        Self::new(self.document, self.problems, self.pointer(key), self.value(key).unwrap_or(&Value::Null))
    }

    /// A mapping that is there.
    pub fn optional(&self, key: &'static str) -> Option<Self> {
        self.value(key)?;
        Some(self.section(key))
    }

    /// The members of a mapping whose keys are free, each a mapping itself.
    pub fn sections(&self, key: &'static str) -> Vec<(&'a str, Self)> {
        let outer = self.section(key);
        let members = outer.members.into_iter().flatten();
        members
            .map(|(name, value)| (name.as_str(), Self::new(self.document, self.problems, outer.pointer(name), value)))
            .collect()
    }

    /// The items of a list of mappings.
    pub fn items(&self, key: &'static str) -> Option<Vec<Self>> {
        let value = self.value(key)?;
        let at = self.pointer(key);
        let Some(items) = value.as_array() else {
            self.fault(key, format!("{} is not a list", shown(value)), "write `- key: value` items");
            return None;
        };
        let items = items.iter().enumerate();
        Some(items.map(|(i, item)| Self::new(self.document, self.problems, format!("{at}/{i}"), item)).collect())
    }

    /// A mapping that a plugin's schema will judge; `{}` if absent.
    pub fn object(&self, key: &'static str) -> Map<String, Value> {
        self.section(key).to_object()
    }

    /// The members of this mapping that have a value.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let members = self.members.into_iter().flatten().filter(|(_, value)| !value.is_null());
        members.map(|(name, value)| (name.as_str(), value))
    }

    /// This mapping, for a plugin's schema to judge.
    pub fn to_object(&self) -> Map<String, Value> {
        self.members.cloned().unwrap_or_default()
    }

    /// The text of a member of this mapping.
    pub fn member_text(&self, name: &str, value: &'a Value) -> Option<&'a str> {
        self.text_at(&self.pointer(name), value)
    }

    /// A member of this mapping that is a mapping.
    pub fn member_section(&self, name: &str, value: &'a Value) -> Self {
        Self::new(self.document, self.problems, self.pointer(name), value)
    }

    /// The keys that were asked for.
    #[cfg(test)]
    pub fn known(&self) -> Vec<&'static str> {
        self.known.borrow().clone()
    }

    /// Refuses the keys that nobody took.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (name, _) in self.members.into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str())) {
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None if known.len() <= 12 => format!("known here: {}", known.join(", ")),
                None => "remove it; docs/configuration.md lists the keys".to_owned(),
            };
            let at = self.pointer(name);
            if self.document.is_overlaid(&at) {
                self.warn_at(&at, "is not a parameter of a batch", remedy);
            } else {
                self.fault_at(&at, "is not a key", remedy);
            }
        }
    }
}

/// A text with commas as a list.
pub(super) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Why a value is not the number that is wanted.
fn misfit(value: &Value) -> String {
    let why = if value.is_number() { "out of range" } else { "not a number" };
    format!("{} is {why}", shown(value))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// A value in a message: short, and never a mapping's contents.
fn shown(value: &Value) -> impl Display {
    match value {
        Value::Object(_) | Value::Array(_) => kind(value).to_owned(),
        Value::String(text) if text.chars().count() > 60 => "a long text".to_owned(),
        other => other.to_string(),
    }
}
