//! What a check by a JSON Schema may cost: counted before the schema is compiled.
//!
//! A reference counts as what it refers to, so a few lines that refer to each other twice a
//! line are seen for what they are; one that leads back to itself is refused, and so is what
//! nests too deeply for a stack. A schema is applied once at most to each value inside of a
//! configuration, so steps times values bounds the whole.

use std::collections::HashMap;

use serde_json::Value;

/// Steps of a whole check: about a second.
pub(super) const STEPS: usize = 20_000_000;
/// Steps of a schema for one value.
const SCHEMA_STEPS: usize = 50_000;
/// Nested values, references followed.
const DEPTH: usize = 64;
/// Patterns: each takes memory.
const PATTERNS: usize = 64;

/// The steps that a schema takes at most for each value; an error if these are too many.
pub(super) fn steps(schema: &Value) -> Result<usize, String> {
    let mut count = Count { root: schema, known: HashMap::new(), open: Vec::new(), patterns: 0 };
    let steps = count.value(schema, 0)?;
    if count.patterns > PATTERNS {
        return Err(format!("it has {} patterns; {PATTERNS} are allowed", count.patterns));
    }
    Ok(steps)
}

/// How many values a configuration has, all nested ones and keys included.
pub(super) fn values(config: &Value) -> usize {
    match config {
        Value::Array(items) => items.iter().map(values).sum::<usize>() + 1,
        Value::Object(keys) => keys.values().map(values).sum::<usize>() + 1,
        _ => 1,
    }
}

struct Count<'a> {
    root: &'a Value,
    /// Steps of what was referred to, and how deep it is.
    known: HashMap<&'a str, (usize, usize)>,
    open: Vec<&'a str>,
    patterns: usize,
}

impl<'a> Count<'a> {
    fn value(&mut self, value: &'a Value, depth: usize) -> Result<usize, String> {
        self.nested(value, depth).map(|(steps, _)| steps)
    }

    /// Steps, and levels below.
    fn nested(&mut self, value: &'a Value, depth: usize) -> Result<(usize, usize), String> {
        if depth > DEPTH {
            return Err(format!("it nests deeper than {DEPTH} levels, references followed"));
        }
        let mut steps = 1_usize;
        let mut levels = 0;
        let mut add = |(more, below): (usize, usize)| {
            steps = steps.saturating_add(more);
            levels = levels.max(below + 1);
            if steps > SCHEMA_STEPS {
                return Err(format!("it takes more than {SCHEMA_STEPS} steps, references followed"));
            }
            Ok(())
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    add(self.nested(item, depth + 1)?)?;
                }
            }
            Value::Object(keys) => {
                for (key, inner) in keys {
                    match (key.as_str(), inner) {
                        ("$ref", Value::String(target)) => add(self.target(target, depth + 1)?)?,
                        ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                            return Err(format!("{key} is not supported: use $ref"));
                        }
                        ("$id" | "id", Value::String(_)) if depth > 0 => {
                            return Err(format!("{key} stands inside of it: it has to be one document"));
                        }
                        ("pattern", Value::String(_)) => self.patterns += 1,
                        ("patternProperties", Value::Object(patterns)) => {
                            self.patterns += patterns.len();
                            add(self.nested(inner, depth + 1)?)?;
                        }
                        _ => add(self.nested(inner, depth + 1)?)?,
                    }
                }
            }
            _ => {}
        }
        Ok((steps, levels))
    }

    fn target(&mut self, target: &'a str, depth: usize) -> Result<(usize, usize), String> {
        if let Some((steps, levels)) = self.known.get(target) {
            return if depth + levels > DEPTH {
                Err(format!("it nests deeper than {DEPTH} levels, references followed"))
            } else {
                Ok((*steps, *levels))
            };
        }
        let shown = || crate::capability::log::cut(target, 80).to_owned();
        if self.open.contains(&target) || target == "#" {
            return Err(format!("the reference {:?} leads back to itself", shown()));
        }
        let pointer = target.strip_prefix('#').filter(|p| p.starts_with('/') && !p.contains('%'));
        let Some(found) = pointer.and_then(|pointer| self.root.pointer(pointer)) else {
            return Err(format!("the reference {:?} is none to a place in it, as \"#/$defs/name\" is", shown()));
        };
        self.open.push(target);
        let counted = self.nested(found, depth)?;
        self.open.pop();
        self.known.insert(target, counted);
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_counted_as_often_as_they_are_followed() {
        let schema = json!({
            "properties": {"a": {"$ref": "#/$defs/name"}, "b": {"$ref": "#/$defs/name"}},
            "$defs": {"name": {"type": "string"}},
        });
        // The definition itself, and twice what it refers to.
        assert_eq!(steps(&schema).unwrap(), 11);
        assert_eq!(values(&json!({"a": [1, {}], "b": null})), 5);
    }

    #[test]
    fn schemas_that_would_not_end_are_refused() {
        let doubled: serde_json::Map<String, Value> = (0..16)
            .map(|level| {
                let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
                (level.to_string(), json!({"allOf": [next, next]}))
            })
            .chain([("16".to_owned(), json!({}))])
            .collect();
        let chain: serde_json::Map<String, Value> = (0..100)
            .map(|level| (level.to_string(), json!({"$ref": format!("#/$defs/{}", level + 1)})))
            .chain([("100".to_owned(), json!({}))])
            .collect();
        let deep = (0..100).fold(json!({}), |inner, _| json!({"not": inner}));
        let patterns: Vec<_> = (0..100).map(|_| json!({"pattern": "a"})).collect();
        let errors: Vec<String> = [
            json!({"$defs": doubled}),
            json!({"$defs": chain}),
            json!({"items": {"$ref": "#"}}),
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}),
            json!({"$ref": "#name"}),
            json!({"$ref": "https://example.com/"}),
            json!({"$dynamicRef": "#a"}),
            json!({"not": {"$id": "https://example.com/"}}),
            json!({"allOf": patterns}),
            deep,
        ]
        .iter()
        .map(|schema| steps(schema).unwrap_err())
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r##"
        it takes more than 50000 steps, references followed
        it nests deeper than 64 levels, references followed
        the reference "#" leads back to itself
        the reference "#/$defs/b" leads back to itself
        the reference "#/$defs/a" leads back to itself
        the reference "#name" is none to a place in it, as "#/$defs/name" is
        the reference "https://example.com/" is none to a place in it, as "#/$defs/name" is
        $dynamicRef is not supported: use $ref
        $id stands inside of it: it has to be one document
        it has 100 patterns; 64 are allowed
        it nests deeper than 64 levels, references followed
        "##);
    }
}
