//! Environment variables that set a parameter of a batch: `ANOMSTACK__<BATCH>__<PARAM>`, or
//! the same with `ANOMD__`, which goes before it.
//!
//! The batch's name is in capitals, with `_` for what is neither letter nor digit. A value is
//! typed as in YAML, so `False` is false and `5` a number, and `[a, b]` and `{a: 1}` are a
//! list and a mapping, which is laid into that of the file. What is none of these is a text,
//! as it stands: `*/5 * * * *` needs no quotes. A fault in a value names its variable.

use std::path::Path;

use serde_json::Value;

use super::document::Document;
use super::environment::Environment;
use super::problem::{Place, Problem, Problems, nearest};

const PREFIXES: [&str; 2] = ["ANOMSTACK__", "ANOMD__"];

/// The variable that leaves out what is below a folder `examples`.
const IGNORE_EXAMPLES: &str = "ANOMSTACK_IGNORE_EXAMPLES";

/// Anomstack's own variables that are honoured.
const HONOURED: [&str; 10] = [
    IGNORE_EXAMPLES,
    "ANOMSTACK_ALERT_EMAIL_FROM",
    "ANOMSTACK_ALERT_EMAIL_PASSWORD",
    "ANOMSTACK_ALERT_EMAIL_SMTP_HOST",
    "ANOMSTACK_ALERT_EMAIL_SMTP_PORT",
    "ANOMSTACK_ALERT_EMAIL_TO",
    "ANOMSTACK_LLMALERT_MODELS",
    "ANOMSTACK_LLM_PLATFORM",
    "ANOMSTACK_SLACK_BOT_TOKEN",
    "ANOMSTACK_SLACK_CHANNEL",
];

/// Lays the variables of a batch over its file.
pub(super) fn apply(document: &mut Document, environment: &Environment) -> Problems {
    let mut problems = Problems::default();
    let Some(name) = batch_name(document, environment) else { return problems };
    for prefix in PREFIXES {
        let prefix = format!("{prefix}{}__", in_capitals(&name));
        for (variable, text) in environment.beginning_with(&prefix) {
            let parameter = variable.get(prefix.len()..).unwrap_or_default().to_lowercase();
            match value(Path::new(variable), text) {
                Ok(value) => document.overlay(&parameter, value, text),
                Err(faults) => problems.extend(faults),
            }
        }
    }
    problems
}

/// A key of a batch and its value, as the command line has them.
pub type Change = (String, String);

/// Lays keys of the command line over a batch's file. A value is read as a variable's is; a key
/// with points leads into mappings.
pub(super) fn lay(document: &mut Document, changes: &[Change]) -> Problems {
    let mut problems = Problems::default();
    for (key, text) in changes {
        let place = format!("--set {key}");
        let read = value(Path::new(&place), text).and_then(|read| {
            let mut path = key.split('.').rev().peekable();
            let mut nested = read;
            while let Some(name) = path.next() {
                if path.peek().is_none() {
                    return Ok((name.to_owned(), nested));
                }
                let member = serde_json::json!({ name: nested.value });
                nested = Document::parse(Path::new(&place), &member.to_string())?;
            }
            Ok((key.clone(), nested))
        });
        match read {
            Ok((name, value)) => document.overlay(&name, value, text),
            Err(faults) => problems.extend(faults),
        }
    }
    problems
}

/// `metric_batch` of a file, as it is after its variables are filled in.
pub(super) fn batch_name(document: &Document, environment: &Environment) -> Option<String> {
    let name = document.value.get("metric_batch")?.as_str()?;
    Some(environment.fill(name).map_or_else(|_| name.to_owned(), |filled| filled.text))
}

/// Whether the folders of examples are passed over.
pub(super) fn ignores_examples(environment: &Environment) -> bool {
    let value = environment.get(IGNORE_EXAMPLES).unwrap_or_default();
    ["yes", "true", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Warns of variables that are for no batch, `names` being those of all batches, and of
/// Anomstack's that change nothing here.
pub(super) fn idle(environment: &Environment, names: &[String]) -> Problems {
    let warning = |variable: &str, message: String, remedy: String| {
        Problem::warning(Place::start(Path::new(variable)), "", message, remedy)
    };
    let mut problems = Problems::default();
    let names: Vec<String> = names.iter().map(|name| in_capitals(name)).collect();
    for prefix in PREFIXES {
        for (variable, _) in environment.beginning_with(prefix) {
            let rest = variable.get(prefix.len()..).unwrap_or_default();
            if names.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with("__"))) {
                continue;
            }
            let (batch, parameter) = rest.split_once("__").unwrap_or((rest, ""));
            let remedy = match nearest(batch, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {prefix}{near}__{parameter}?"),
                None if names.is_empty() => "unset it".to_owned(),
                None => format!("the batches are, in capitals: {}", names.join(", ")),
            };
            problems.push(warning(variable, format!("has no effect: there is no batch {batch}"), remedy));
        }
    }
    let globals = environment.beginning_with("ANOMSTACK_").map(|(name, _)| name);
    let mut globals = globals.filter(|name| !name.starts_with("ANOMSTACK__") && !HONOURED.contains(name));
    if let Some(first) = globals.next() {
        let others: Vec<_> = globals.collect();
        let text = match others.is_empty() {
            true => "changes nothing here".to_owned(),
            false => format!("this and {} change nothing here", others.join(", ")),
        };
        problems.push(warning(first, text, "docs/configuration.md has what stands in their place".to_owned()));
    }
    problems
}

fn in_capitals(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The value of a variable.
fn value(variable: &Path, text: &str) -> Result<Document, Problems> {
    let trimmed = text.trim();
    let is_text = || {
        let mut document = Document::empty(variable);
        document.value = Value::String(text.to_owned());
        document
    };
    // The templates of alerts begin so.
    if trimmed.starts_with("{{") || trimmed.starts_with("{%") {
        return Ok(is_text());
    }
    let nested = trimmed.starts_with(['[', '{']);
    let quoted = trimmed.starts_with(['"', '\'']);
    match Document::parse(variable, text) {
        // A selector, {job="api"}, is a mapping in YAML with a key and no value.
        Ok(Document { value: Value::Object(members), .. })
            if !members.is_empty() && members.values().all(Value::is_null) =>
        {
            Ok(is_text())
        }
        Ok(document) => match &document.value {
            Value::Object(_) | Value::Array(_) if !nested => Ok(is_text()),
            Value::String(_) if !quoted => Ok(is_text()),
            // A comment to YAML: #ops.
            Value::Null if !matches!(trimmed, "null" | "~") => Ok(is_text()),
            _ => Ok(document),
        },
        Err(faults) if nested => Err(faults),
        Err(_) => Ok(is_text()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_yaml_takes_it_for_and_else_a_text() {
        let read = |text: &str| value(Path::new("V"), text).unwrap().value;
        for (text, expected) in [
            ("False", json!(false)),
            ("5", json!(5)),
            ("0.5", json!(0.5)),
            ("null", json!(null)),
            ("\"False\"", json!("False")),
            ("[slack, email]", json!(["slack", "email"])),
            ("{}", json!({})),
            ("{diff_n: 1}", json!({"diff_n": 1})),
            ("*/5 * * * *", json!("*/5 * * * *")),
            ("slack,email", json!("slack,email")),
            ("cpu{mode=\"idle\"}", json!("cpu{mode=\"idle\"}")),
            ("{job=\"api\"}", json!("{job=\"api\"}")),
            ("{{ title }}", json!("{{ title }}")),
            ("#ops", json!("#ops")),
            ("a: b", json!("a: b")),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let fault = value(Path::new("ANOMD__X__ALERT_PARAMS"), "{slack: [}").unwrap_err().to_string();
        assert!(fault.starts_with("ANOMD__X__ALERT_PARAMS:1:"), "{fault}");
    }
}
