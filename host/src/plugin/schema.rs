//! A plugin's JSON Schema, and the faults that it finds in a configuration.
//!
//! Schemas are checked by us, outside of the sandbox, where no tick ends a loop. So what a
//! check costs is bounded before it begins: see `bound`.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::Problem;
use super::bound::{self, STEPS};
use crate::capability::log::cut;

/// Bytes of a schema at most.
const SCHEMA_BYTES: usize = 256 << 10;
/// Faults that are told at most.
const PROBLEMS: usize = 100;
/// Bytes of one message at most.
const MESSAGE_BYTES: usize = 400;
/// Bytes of one compiled pattern at most.
const PATTERN_BYTES: usize = 256 << 10;

/// A schema, ready to check with.
pub(super) struct Schema {
    value: Value,
    validator: Validator,
    /// Steps that it takes to check a value at most, for each value inside of it.
    steps: usize,
}

impl Schema {
    /// Compiles a schema. Nothing is fetched for it, and its patterns match in linear time.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES {
            return Err(format!("it has {} bytes; {SCHEMA_BYTES} are allowed", text.len()));
        }
        let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let steps = bound::steps(&value)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES);
        let options = jsonschema::options().with_pattern_options(patterns);
        let validator = options.build(&value).map_err(|e| cut(&e.to_string(), MESSAGE_BYTES).to_owned())?;
        Ok(Self { value, validator, steps })
    }

    /// The schema itself.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// All faults of a configuration.
    pub(super) fn problems(&self, config: &Value) -> Vec<Problem> {
        let values = bound::values(config);
        if values.saturating_mul(self.steps) > STEPS {
            let message = format!("{values} values are too many for a schema of {} steps: write less", self.steps);
            return vec![Problem { pointer: String::new(), message }];
        }
        let mut problems = Vec::new();
        for error in self.validator.iter_errors(config) {
            self.tell(&error, &mut problems);
            if problems.len() >= PROBLEMS {
                break;
            }
        }
        problems.truncate(PROBLEMS);
        problems
    }

    fn tell(&self, error: &ValidationError<'_>, problems: &mut Vec<Problem>) {
        let pointer = error.instance_path().to_string();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = self.known_keys(error);
                for key in unexpected {
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    problems.push(Problem { pointer, message: unknown_key(key, &known) });
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                problems.push(Problem { pointer, message: format!("the key \"{key}\" is missing") });
            }
            // Of several forms the one that was meant: that of the right type.
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                let meant = context.iter().find(|branch| branch.iter().all(|e| !is_type_error(e, &pointer)));
                match meant {
                    Some(branch) => branch.iter().for_each(|error| self.tell(error, problems)),
                    None => problems.push(Problem { message: wrong_type(context, error), pointer }),
                }
            }
            _ => problems.push(Problem { pointer, message: cut(&error.to_string(), MESSAGE_BYTES).to_owned() }),
        }
    }

    /// The keys that the object at fault may have.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let path = error.schema_path().to_string();
        let object = path.rsplit_once('/').map_or("", |(object, _)| object);
        let properties = self.value.pointer(object).and_then(|schema| schema.get("properties"));
        properties.and_then(Value::as_object).map_or_else(Vec::new, |p| p.keys().map(String::as_str).collect())
    }
}

fn is_type_error(error: &ValidationError<'_>, pointer: &str) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.instance_path().to_string() == pointer
}

fn wrong_type(context: &[Vec<ValidationError<'static>>], error: &ValidationError<'_>) -> String {
    let mut types: Vec<String> = Vec::new();
    for kind in context.iter().flatten().map(ValidationError::kind) {
        if let ValidationErrorKind::Type { kind } = kind {
            match kind {
                TypeKind::Single(one) => types.push(one.to_string()),
                TypeKind::Multiple(several) => types.extend(several.iter().map(|one| one.to_string())),
            }
        }
    }
    types.sort();
    types.dedup();
    format!(
        "{} is none of the types that are allowed here: {}",
        cut(&error.instance().to_string(), 100),
        types.join(", ")
    )
}

/// The text for a key that nobody knows.
fn unknown_key(key: &str, known: &[&str]) -> String {
    let key = cut(key, 100);
    match nearest(key, known.iter().copied()) {
        Some(nearest) => format!("unknown key \"{key}\": did you mean \"{nearest}\"?"),
        None if known.is_empty() => format!("unknown key \"{key}\": no keys are allowed here"),
        None => format!("unknown key \"{key}\"; the keys here are {}", known.join(", ")),
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(schema: Value, config: Value) -> String {
        let found = Schema::new(&schema.to_string()).unwrap().problems(&config);
        found.iter().map(|p| format!("{:?} {}\n", p.pointer, p.message)).collect()
    }

    #[test]
    fn all_faults_are_told_at_once_with_pointer_and_nearest_key() {
        let schema = serde_json::json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["url"],
            "properties": {
                "url": {"type": "string"},
                "timeout": {"type": "number", "minimum": 1},
                "auth": {"type": "object", "additionalProperties": false, "properties": {"user/name": {}}},
                "queries": {"oneOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "object", "required": ["query"]}},
                ]},
            },
        });
        let config = serde_json::json!({
            "urll": "x", "timeout": 0, "auth": {"user/nam": 1, "zzz": 2}, "queries": [{"query": "up"}, {}],
        });
        insta::assert_snapshot!(problems(schema.clone(), config), @r#"
        "/timeout" 0 is less than the minimum of 1
        "/auth/user~1nam" unknown key "user/nam": did you mean "user/name"?
        "/auth/zzz" unknown key "zzz"; the keys here are user/name
        "/queries/1" the key "query" is missing
        "/urll" unknown key "urll": did you mean "url"?
        "" the key "url" is missing
        "#);
        let config = serde_json::json!({"url": 3, "queries": 7});
        insta::assert_snapshot!(problems(schema, config), @r#"
        "/url" 3 is not of type "string"
        "/queries" 7 is none of the types that are allowed here: array, string
        "#);
    }

    #[test]
    fn schemas_that_are_none_or_would_fetch_are_refused() {
        for text in ["{", r#"{"type": 7}"#, r#"{"$ref": "https://example.com/schema.json"}"#, r#"{"pattern": "(?=a)"}"#]
        {
            assert!(Schema::new(text).is_err(), "{text}");
        }
        assert!(Schema::new(r#"{"pattern": "(?:[a-z]{1000}){1000}"}"#).is_err(), "a pattern of many megabytes");
    }
}
