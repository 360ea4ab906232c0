//! The environment, as a value: what `${NAME}` in the operator's files stands for.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables. Their values are never printed.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// That of this process: the one place that reads it. Variables that are not UTF-8 are
    /// as good as unset.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        Self(pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect())
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables, with their values, whose names begin so and go on; those that are empty
    /// are left out.
    pub(super) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let found = self
            .0
            .iter()
            .filter(move |(name, value)| !value.is_empty() && name.len() > prefix.len() && name.starts_with(prefix));
        found.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces `${NAME}` and `${NAME:-default}` by values and `$$` by `$`; any other `$`
    /// stands for itself, as at the end of a regular expression. As in a shell, an empty
    /// variable takes the default too; without a default it is an empty text.
    pub(super) fn fill(&self, text: &str) -> Result<Filled, Unfilled> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        let mut references = 0;
        let mut last_end = 0;
        while let Some((before, tail)) = rest.split_once('$') {
            filled.push_str(before);
            if let Some(after) = tail.strip_prefix('$') {
                filled.push('$');
                rest = after;
                continue;
            }
            let Some(body) = tail.strip_prefix('{') else {
                filled.push('$');
                rest = tail;
                continue;
            };
            let (inside, after) = body.split_once('}').ok_or(Unfilled::Open)?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            if !is_name(name) {
                return Err(Unfilled::Name(name.to_owned()));
            }
            filled.push_str(match (self.get(name), default) {
                (Some(value), _) => value,
                (None, Some(default)) => default,
                (None, None) if self.0.contains_key(name) => "",
                (None, None) => return Err(Unfilled::Unset(name.to_owned())),
            });
            references += 1;
            last_end = text.len() - after.len();
            rest = after;
        }
        filled.push_str(rest);
        let whole = references == 1 && text.starts_with("${") && last_end == text.len();
        Ok(Filled { text: filled, whole })
    }
}

impl<N: Into<String>, V: Into<String>, const LEN: usize> From<[(N, V); LEN]> for Environment {
    fn from(pairs: [(N, V); LEN]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A scalar after replacement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    /// What it says now.
    pub text: String,
    /// Whether it was wholly one reference, so that `${PORT}` may become a number.
    pub whole: bool,
}

/// Why a scalar cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfilled {
    /// The variable is not set, and there is no default.
    Unset(String),
    /// What stands in the braces is no name.
    Name(String),
    /// A `${` without its `}`.
    Open,
}

impl Unfilled {
    /// What is wrong, and what to do.
    pub fn texts(&self) -> (String, String) {
        match self {
            Self::Unset(name) => (
                format!("the environment variable {name} is not set"),
                format!("set it, or give a default: ${{{name}:-...}}"),
            ),
            Self::Name(name) => (
                format!("\"${{{name}}}\" names no environment variable"),
                "write ${NAME} or ${NAME:-default}, or $$ for a dollar sign".to_owned(),
            ),
            Self::Open => (
                "a \"${\" has no \"}\"".to_owned(),
                "write ${NAME} or ${NAME:-default}, or $$ for a dollar sign".to_owned(),
            ),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_and_other_dollars_stand() {
        let environment = Environment::from([("HOST", "db"), ("PORT", "80"), ("EMPTY", "")]);
        let text = |text: &str| environment.fill(text).map(|filled| filled.text);
        assert_eq!(text("http://${HOST}:${PORT}/"), Ok("http://db:80/".into()));
        assert_eq!(text("${NONE:-https://x.example:1}"), Ok("https://x.example:1".into()));
        assert_eq!(text("${EMPTY:-x}${EMPTY}"), Ok("x".into()));
        assert_eq!(text(r#"up{job=~"a.*$"} $x $"#), Ok(r#"up{job=~"a.*$"} $x $"#.into()));
        assert_eq!(text("$${HOST} costs 5$$"), Ok("${HOST} costs 5$".into()));
        assert_eq!(text("${NONE}"), Err(Unfilled::Unset("NONE".into())));
        assert_eq!(text("${HO ST}"), Err(Unfilled::Name("HO ST".into())));
        assert_eq!(text("a ${HOST"), Err(Unfilled::Open));
    }

    #[test]
    fn only_a_scalar_that_is_one_reference_is_whole() {
        let environment = Environment::from([("PORT", "80")]);
        for (text, whole) in [("${PORT}", true), ("${NONE:-5}", true), ("${PORT}0", false), ("${PORT}${PORT}", false)] {
            assert_eq!(environment.fill(text).map(|filled| filled.whole), Ok(whole), "{text}");
        }
    }

    #[test]
    fn values_are_not_printed() {
        assert_eq!(format!("{:?}", Environment::from([("TOKEN", "hunter2")])), r#"{"TOKEN"}"#);
    }
}
