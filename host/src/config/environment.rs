//! The environment, as a value: what `${NAME}` in a file stands for.
//!
//! The operator's own files see the variables of the process, and some of these set parameters
//! of their batches. A hosted tenant's batch sees the variables that the tenant declared, and
//! nothing else: whatever the process has would tell it what the operator knows.

use std::collections::BTreeMap;
use std::fmt;

use super::grant::DEFAULT_TENANT;

/// Variables and whose they are. Their values are never printed.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// The tenant that declared them; `None`: they are the operator's.
    tenant: Option<String>,
}

impl Environment {
    /// That of this process: the one place that reads it. Variables that are not UTF-8 are
    /// as good as unset.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        let pairs = pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { variables: pairs.collect(), tenant: None }
    }

    /// That of a hosted tenant: what it declared.
    pub fn of_tenant(tenant: impl Into<String>, variables: BTreeMap<String, String>) -> Self {
        Self { variables, tenant: Some(tenant.into()) }
    }

    /// The tenant whose batches see it.
    pub fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(DEFAULT_TENANT)
    }

    /// Whether it is a hosted tenant's, whose files are not the operator's own.
    pub fn is_hosted(&self) -> bool {
        self.tenant.is_some()
    }

    /// The value of a variable of the operator that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named(name).filter(|_| !self.is_hosted())
    }

    fn named(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables, with their values, whose names begin so and go on; those that are empty
    /// are left out.
    pub(super) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self.variables.iter().filter(|_| !self.is_hosted());
        let found =
            own.filter(move |(name, value)| !value.is_empty() && name.len() > prefix.len() && name.starts_with(prefix));
        found.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces `${NAME}` and `${NAME:-default}` by values and `$$` by `$`; any other `$`
    /// stands for itself, as at the end of a regular expression. As in a shell, an empty
    /// variable takes the default too; without a default it is an empty text. What a tenant has
    /// not declared is an error with a default too, so that no slip of a name goes unseen.
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
            filled.push_str(match (self.named(name), default) {
                (Some(value), _) => value,
                (None, _) if self.is_hosted() && !self.variables.contains_key(name) => {
                    return Err(Unfilled::Undeclared(name.to_owned(), self.tenant().to_owned()));
                }
                (None, Some(default)) => default,
                (None, None) if self.variables.contains_key(name) => "",
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
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, tenant: None }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
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
    /// The tenant has not declared the variable.
    Undeclared(String, String),
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
            Self::Undeclared(name, tenant) => (
                format!("{name} is not a variable of the tenant {tenant}"),
                format!(
                    "declare it with `anomd tenant variable {tenant} {name}=VALUE`; batches of a hosted tenant see no \
                     environment"
                ),
            ),
            Self::Name(name) => (
                format!("\"${{{name}}}\" names no variable"),
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
    fn a_hosted_tenant_sees_what_it_declared_and_nothing_of_the_process() {
        let declared = [("region".to_owned(), "eu".to_owned()), ("empty".to_owned(), String::new())];
        let own = Environment::of_tenant("shop", declared.into());
        let text = |text: &str| own.fill(text).map(|filled| filled.text);
        assert_eq!(text("${region}-${empty:-x}"), Ok("eu-x".into()));
        for foreign in ["${PATH}", "${PATH:-/bin}", "a${ANOMD_DATA}b"] {
            let (message, remedy) = text(foreign).unwrap_err().texts();
            assert!(message.contains("is not a variable of the tenant shop"), "{foreign}: {message}");
            assert!(remedy.contains("anomd tenant variable shop"), "{remedy}");
        }
        let named = Environment::of_tenant("shop", [("ANOMD__B__STEP".to_owned(), "1s".to_owned())].into());
        assert_eq!((named.get("ANOMD__B__STEP"), named.beginning_with("ANOMD__").count()), (None, 0));
    }

    #[test]
    fn values_are_not_printed() {
        assert_eq!(format!("{:?}", Environment::from([("TOKEN", "hunter2")])), r#"{"TOKEN"}"#);
    }
}
