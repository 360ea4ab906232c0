//! A YAML file as a JSON value, with the place of each of its parts.
//!
//! serde_yaml reads the values; a second pass of a parser that keeps marks finds where
//! they stand, because serde_yaml tells the line of a syntax error only. A file that
//! cannot be read as YAML gives one problem; everything after that collects problems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::environment::Environment;
use super::pointer;
use super::problem::{Place, Problem, Problems, unreadable};

/// Where the parts of a batch were written: JSON pointer to place. A part may stand in
/// another file than the rest, `defaults.yaml`.
#[derive(Clone, Debug)]
pub struct Spans {
    places: BTreeMap<String, Place>,
    start: Place,
}

impl Default for Spans {
    fn default() -> Self {
        Self::of(Path::new(""))
    }
}

impl Spans {
    fn of(file: &Path) -> Self {
        Self { places: BTreeMap::new(), start: Place::start(file) }
    }

    /// Where the part that `pointer` names was written: for a member of a mapping its key,
    /// for an item of a list the item. A part that was not written gives the place of the
    /// nearest thing that holds it.
    pub fn locate(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return place.clone();
            }
            match pointer::parent(pointer) {
                Some(parent) => pointer = parent,
                None => return self.start.clone(),
            }
        }
    }

    /// Lets what lies under `from` be found under `to` too.
    pub(super) fn alias(&mut self, from: &str, to: &str) {
        let moved: Vec<_> = self
            .places
            .iter()
            .filter_map(|(pointer, place)| {
                let rest = pointer.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
                Some((format!("{to}{rest}"), place.clone()))
            })
            .collect();
        self.places.extend(moved);
    }

    fn forget(&mut self, pointer: &str) {
        let below = format!("{pointer}/");
        self.places.retain(|name, _| name != pointer && !name.starts_with(&below));
    }
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// What it says; `Null` for an empty file.
    pub value: Value,
    /// Where.
    pub spans: Spans,
    /// Pointers of scalars in quotes, which stay texts whatever a variable holds.
    quoted: BTreeSet<String>,
    /// The texts of scalars that were one reference and became a number or a flag.
    texts: BTreeMap<String, String>,
    /// Pointers of members that a variable of the environment set.
    overlaid: BTreeSet<String>,
}

impl Document {
    /// Reads a file of at most `limit` bytes.
    pub fn read(path: &Path, limit: usize) -> Result<Self, Problems> {
        let refuse =
            |message: String, remedy: &str| Err(Problem::error(Place::start(path), "", message, remedy).into());
        let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !about.is_file() {
            return refuse("is not a file".to_owned(), "name a YAML file");
        }
        if about.len() > limit as u64 {
            let message = format!("has {} bytes, more than the {limit} that are read", about.len());
            return refuse(message, "split it, or raise limits.config_bytes in anomd.yaml");
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?)
    }

    /// Reads a text; `path` is what it is called.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problems> {
        let mut marks =
            Marks { document: Self::empty(path), open: Vec::new(), documents: 0, problems: Problems::default() };
        // Where this parser stops, serde_yaml says what is wrong.
        for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
            marks.note(event, span);
        }
        if marks.problems.has_errors() {
            return Err(marks.problems);
        }
        let mut document = marks.document;
        let value = serde_yaml::from_str(text).and_then(|mut value: serde_yaml::Value| {
            value.apply_merge()?;
            Ok(value)
        });
        let value = value.map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let remedy = "look at its indentation (spaces, no tabs), the space after each colon, and quotes round \
                          texts with \": \" or \" #\" in them";
            Problem::error(Place { line, column, ..Place::start(path) }, "", format!("is not YAML: {text}"), remedy)
        })?;
        document.value = json(value, "").map_err(|(pointer, message, remedy)| {
            Problem::error(document.spans.locate(&pointer), pointer, message, remedy)
        })?;
        Ok(document)
    }

    /// A file that says nothing.
    pub fn empty(path: &Path) -> Self {
        Self {
            value: Value::Null,
            spans: Spans::of(path),
            quoted: BTreeSet::new(),
            texts: BTreeMap::new(),
            overlaid: BTreeSet::new(),
        }
    }

    /// This file laid over `defaults`, mapping into mapping; anything else is replaced whole.
    pub fn over(self, defaults: Self) -> Self {
        if !defaults.value.is_object() {
            return self;
        }
        let mut merged = Self { spans: Spans { start: self.spans.start.clone(), ..defaults.spans }, ..defaults };
        let mut value = std::mem::take(&mut merged.value);
        lay(&mut value, self.value, "", &mut |pointer| {
            merged.spans.forget(pointer);
            let below = format!("{pointer}/");
            merged.quoted.retain(|name| name != pointer && !name.starts_with(&below));
        });
        merged.value = value;
        merged.spans.places.extend(self.spans.places);
        merged.quoted.extend(self.quoted);
        merged
    }

    /// Lays a value over a member, mapping into mapping. `text` is what it was read from. No
    /// `${NAME}` in it is replaced later.
    pub fn overlay(&mut self, member: &str, mut over: Self, text: &str) {
        let at = pointer::child("", member);
        let is_scalar = over.value.is_number() || over.value.is_boolean();
        let mut places: BTreeMap<_, _> =
            over.spans.places.into_iter().map(|(below, place)| (format!("{at}{below}"), place)).collect();
        places.insert(at.clone(), over.spans.start);
        keep_dollars(&mut over.value);
        let over = Self {
            value: Value::Object([(member.to_owned(), over.value)].into_iter().collect()),
            spans: Spans { places, start: self.spans.start.clone() },
            ..Self::empty(Path::new(""))
        };
        let base = std::mem::replace(self, Self::empty(Path::new("")));
        *self = over.over(base);
        if is_scalar {
            self.texts.insert(at.clone(), text.trim().to_owned());
        }
        self.overlaid.insert(at);
    }

    /// Whether a variable of the environment set this member.
    pub fn is_overlaid(&self, pointer: &str) -> bool {
        self.overlaid.contains(pointer)
    }

    /// Replaces `${NAME}` in all scalars.
    pub fn fill(&mut self, environment: &Environment) -> Problems {
        let mut problems = Problems::default();
        let mut value = std::mem::take(&mut self.value);
        self.fill_in(&mut value, "", environment, &mut problems);
        self.value = value;
        problems
    }

    fn fill_in(&mut self, value: &mut Value, at: &str, environment: &Environment, problems: &mut Problems) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.fill_in(value, &pointer::child(at, name), environment, problems);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter_mut().enumerate() {
                    self.fill_in(value, &format!("{at}/{index}"), environment, problems);
                }
            }
            Value::String(text) => match environment.fill(text) {
                Ok(filled) => {
                    let typed = filled.whole && !self.quoted.contains(at);
                    *value = match typed.then(|| scalar(&filled.text)).flatten() {
                        Some(scalar) => {
                            self.texts.insert(at.to_owned(), filled.text);
                            scalar
                        }
                        None => Value::String(filled.text),
                    };
                }
                Err(fault) => {
                    let (message, remedy) = fault.texts();
                    problems.push(Problem::error(self.spans.locate(at), at, message, remedy));
                    // One fault is enough: what reads this value finds none.
                    *value = Value::Null;
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The text of a scalar: of a string, or of what a variable held before it was typed.
    pub fn text<'a>(&'a self, pointer: &str, value: &'a Value) -> Option<&'a str> {
        value.as_str().or_else(|| self.texts.get(pointer).map(String::as_str))
    }
}

fn lay(base: &mut Value, over: Value, at: &str, replaced: &mut impl FnMut(&str)) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                match base.get_mut(&name) {
                    Some(slot) => lay(slot, value, &pointer::child(at, &name), replaced),
                    None => {
                        base.insert(name, value);
                    }
                }
            }
        }
        (base, over) => {
            replaced(at);
            *base = over;
        }
    }
}

/// Writes each `$` as that which stands for itself.
fn keep_dollars(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(keep_dollars),
        Value::Object(members) => members.values_mut().for_each(keep_dollars),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The number or flag that a text is in YAML.
fn scalar(text: &str) -> Option<Value> {
    let value = serde_yaml::from_str::<serde_yaml::Value>(text).ok()?;
    json(value, "").ok().filter(|value| value.is_number() || value.is_boolean())
}

type Fault = (String, String, &'static str);

fn json(value: serde_yaml::Value, at: &str) -> Result<Value, Fault> {
    use serde_yaml::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => {
            let whole = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
            match whole.or_else(|| number.as_f64().and_then(Number::from_f64)) {
                Some(number) => Value::Number(number),
                None => return Err((at.to_owned(), format!("{number} is not a finite number"), "write a number")),
            }
        }
        Yaml::Sequence(items) => {
            let items = items.into_iter().enumerate().map(|(index, item)| json(item, &format!("{at}/{index}")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let Yaml::String(name) = name else {
                    let name = serde_yaml::to_string(&name).unwrap_or_default();
                    let message = format!("the key {} is not a text", name.trim());
                    return Err((at.to_owned(), message, "put keys that are not plain words into quotes"));
                };
                let value = json(value, &pointer::child(at, &name))?;
                object.insert(name, value);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            return Err((at.to_owned(), format!("the tag {} means nothing here", tagged.tag), "remove it"));
        }
    })
}

/// Follows the parser's events through the nesting and notes where each part begins.
struct Marks {
    document: Document,
    open: Vec<Open>,
    /// How many documents have begun.
    documents: usize,
    problems: Problems,
}

enum Open {
    /// A mapping: its pointer, and that of the member whose value comes next.
    Mapping(String, Option<String>),
    /// A list: its pointer, and the index of the next item.
    List(String, usize),
}

impl Marks {
    fn note(&mut self, event: Event<'_>, span: Span) {
        let place =
            Place { line: span.start.line(), column: span.start.col() + 1, ..self.document.spans.start.clone() };
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    let remedy = "put each batch into a file of its own";
                    self.problems.push(Problem::error(place, "", "a second document begins", remedy));
                }
            }
            _ if self.documents > 1 => {}
            Event::Scalar(text, style, ..) => {
                let pointer = self.begin(Some(&text), place);
                if let Some(pointer) = pointer.filter(|_| style != ScalarStyle::Plain) {
                    self.document.quoted.insert(pointer);
                }
            }
            Event::Alias(_) => {
                self.begin(None, place);
            }
            Event::MappingStart(..) => {
                let pointer = self.begin(None, place).unwrap_or_default();
                self.open.push(Open::Mapping(pointer, None));
            }
            Event::SequenceStart(..) => {
                let pointer = self.begin(None, place).unwrap_or_default();
                self.open.push(Open::List(pointer, 0));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            Event::DocumentEnd | Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
    }

    /// Notes a node that begins; gives its pointer, or `None` for a key.
    fn begin(&mut self, key: Option<&str>, place: Place) -> Option<String> {
        let places = &mut self.document.spans.places;
        let (at, member) = match self.open.last_mut() {
            None => {
                places.insert(String::new(), place);
                return Some(String::new());
            }
            Some(Open::List(at, index)) => {
                let pointer = format!("{at}/{index}");
                *index += 1;
                places.insert(pointer.clone(), place);
                return Some(pointer);
            }
            Some(Open::Mapping(at, member)) => (at, member),
        };
        if let Some(pointer) = member.take() {
            return Some(pointer);
        }
        // A key that is no scalar is refused later; its mapping is the nearest place.
        let pointer = key.map_or_else(|| at.clone(), |key| pointer::child(at, key));
        *member = Some(pointer.clone());
        match places.get(&pointer) {
            Some(first) if key.is_some() => {
                let message = format!("stands here again, after line {}", first.line);
                self.problems.push(Problem::error(place, pointer, message, "remove one of the two"));
            }
            Some(_) => {}
            None => drop(places.insert(pointer, place)),
        }
        None
    }
}
