//! Templates by which operators say what a message says: Jinja's language.
//!
//! A template reads what it is given and nothing else: no file, no other template, no
//! environment. What it costs is paid in fuel, memory included, so none runs for ever or
//! fills the memory. Texts that it puts into Markdown are escaped unless it says `|safe`, so
//! that a label cannot bring in a link. A name that it is not given is an error; a label that
//! a series does not have is empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Object, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::text::{self, Unit, Wall};
use crate::series::{Labels, Millis};

/// The names that a template is given.
pub const NAMES: [&str; 20] = [
    "state", "kind", "repeat", "title", "body", "batch", "batches", "tenant", "receiver", "method", "labels", "group",
    "findings", "count", "firing", "more", "events", "link", "actions", "now",
];

/// Functions of the language.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// What comes out of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// One line of text.
    Plain,
    /// Markdown.
    Markdown,
}

/// A template and what it may cost.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// Its source.
    pub source: &'a str,
    /// What comes out.
    pub markup: Markup,
    /// The reader's clock, for the filter `time`.
    pub wall: Wall,
    /// What it may cost; one is an instruction, or 64 bytes.
    pub fuel: u64,
    /// The longest text that is taken, in bytes.
    pub bytes: usize,
}

impl Template<'_> {
    /// The text; an error says why there is none, with the line in the template.
    pub fn render(&self, context: Value) -> Result<String, String> {
        let environment = environment(self.markup, self.wall, self.fuel);
        let template = environment.template_from_str(self.source).map_err(|e| told(&e))?;
        let text = template.render(context).map_err(|e| told(&e))?;
        if text.trim().is_empty() {
            return Err("it came to nothing".to_owned());
        }
        if text.len() > self.bytes {
            return Err(format!("it came to {} bytes, and {} are the most", text.len(), self.bytes));
        }
        Ok(text)
    }
}

/// Whether a text is a template and uses only names that it will be given; an error says what
/// is wrong, with the line.
pub fn check_template(source: &str) -> Result<(), String> {
    let wall = Wall { zone: chrono_tz::Tz::UTC, now: 0 };
    let environment = environment(Markup::Plain, wall, 1);
    let template = environment.template_from_str(source).map_err(|e| told(&e))?;
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| !NAMES.contains(&name.as_str()) && !FUNCTIONS.contains(&name.as_str()));
    unknown.sort_unstable();
    match unknown.first() {
        None => Ok(()),
        Some(name) => {
            let near = NAMES.into_iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
            let place = source.lines().position(|line| line.contains(name.as_str())).map_or(1, |line| line + 1);
            Err(format!("line {place}: there is no `{name}`; did you mean `{}`?", near.unwrap_or_default()))
        }
    }
}

/// Labels as a template reads them: one that is not there is empty.
pub fn label_value(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Value::from_object(LabelMap(pairs))
}

#[derive(Debug)]
struct LabelMap(BTreeMap<String, String>);

impl Object for LabelMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        Some(Value::from(key.as_str().and_then(|name| self.0.get(name)).map_or("", String::as_str)))
    }

    fn enumerate(self: &Arc<Self>) -> minijinja::value::Enumerator {
        minijinja::value::Enumerator::Values(self.0.keys().map(|name| Value::from(name.as_str())).collect())
    }
}

fn environment<'a>(markup: Markup, wall: Wall, fuel: u64) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(fuel));
    environment.set_recursion_limit(50);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Else only a build with debug assertions says which name is undefined.
    environment.set_debug(true);
    environment.set_auto_escape_callback(move |_| match markup {
        Markup::Plain => AutoEscape::None,
        Markup::Markdown => AutoEscape::Custom("markdown".into()),
    });
    environment.set_formatter(|out, state, value| {
        let escapes = matches!(state.auto_escape(), AutoEscape::Custom(_)) && !value.is_safe();
        let written = match value.as_str() {
            _ if value.is_undefined() => return Err(Error::from(ErrorKind::UndefinedError)),
            Some(text) if escapes => out.write_str(&text::markdown(text)),
            Some(text) => out.write_str(text),
            None if value.is_none() => Ok(()),
            None if escapes => out.write_str(&text::markdown(&value.to_string())),
            None => write!(out, "{value}"),
        };
        written.map_err(Error::from)
    });
    environment.add_filter("number", |value: Option<f64>| text::number(value.unwrap_or(f64::NAN), Unit::None));
    environment.add_filter("time", move |time: Option<Millis>| time.map(|time| wall.instant(time)).unwrap_or_default());
    environment.add_filter("duration", |span: Option<Millis>| span.map(text::duration).unwrap_or_default());
    environment.add_filter("code", |text: String| Value::from_safe_string(text::code(&text)));
    environment
}

fn told(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    match error.kind() {
        ErrorKind::OutOfFuel => format!("{line}it takes too long (limits.template_fuel)"),
        kind => text::one_line(&format!("{line}{kind}{detail}"), 300),
    }
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn template(source: &str, markup: Markup) -> Template<'_> {
        let wall = Wall { zone: chrono_tz::Europe::Berlin, now: 1_767_621_780_000 };
        Template { source, markup, wall, fuel: 20_000, bytes: 1_000 }
    }

    fn labels() -> Value {
        label_value(&Labels::new([("team".to_owned(), "db [x](http://evil)".to_owned())]).unwrap())
    }

    #[test]
    fn a_template_says_what_it_is_given_and_labels_bring_no_markup() {
        let source =
            "{{ labels.team }} {{ labels.none }}{{ 0.012345|number }} {{ 1767621780000|time }} {{ 90000|duration }}";
        let plain = template(source, Markup::Plain).render(context! { labels => labels() }).unwrap();
        assert_eq!(plain, "db [x](http://evil) 0.01235 15:03 CET 1 min 30 s");
        let source = "**{{ labels.team }}** {{ labels.team|code }} {{ '*'|safe }}";
        let markdown = template(source, Markup::Markdown).render(context! { labels => labels() }).unwrap();
        assert_eq!(markdown, "**db \\[x\\](http://evil)** `db [x](http://evil)` *");
    }

    #[test]
    fn a_template_that_fails_says_where() {
        let fails = |source| template(source, Markup::Plain).render(context! { title => "t" }).unwrap_err();
        assert_eq!(fails("a\n{{ titel }}"), "line 2: undefined value: `titel` is undefined");
        assert!(fails("a\n{{ title|shout }}").starts_with("line 2: unknown filter"), "{}", fails("{{ title|shout }}"));
        assert!(fails("{% if %}").starts_with("line 1: syntax error"));
        assert!(fails("{% include '/etc/passwd' %}").contains("line 1"));
        assert_eq!(fails("{{ '' }} \n"), "it came to nothing");
        assert_eq!(fails("{{ 'x' * 1001 }}"), "it came to 1001 bytes, and 1000 are the most");
        for greedy in [
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
            "{{ 'x' * 90000000 }}",
            "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "{{ title|indent(900000000) }}",
        ] {
            let why = fails(greedy);
            assert!(why.contains("too long") || why.contains("recursion") || why.contains("line 1"), "{greedy}: {why}");
        }
    }

    #[test]
    fn a_check_finds_syntax_and_names() {
        assert_eq!(
            check_template("{{ title }}{% for f in findings %}{{ f.name }}{{ loop.index }}{% endfor %}"),
            Ok(())
        );
        assert_eq!(
            check_template("\n{{ titel }}"),
            Err("line 2: there is no `titel`; did you mean `title`?".to_owned())
        );
        assert!(check_template("a\n{{ title").unwrap_err().starts_with("line 2: syntax error"));
    }
}
