//! Conditions on labels, as Prometheus and Alertmanager spell them.
//!
//! A label that is absent has the empty value, so `team=""` matches what has no team. A
//! regular expression is matched against the whole value, and its size is bounded.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::Labels;

/// The compiled size of a regular expression, in bytes.
const REGEX_BYTES: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Like,
    /// `!~`
    NotLike,
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// How.
    pub op: MatchOp,
    /// With what.
    pub value: String,
    regex: Option<Regex>,
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MatcherError(String);

impl Matcher {
    /// A matcher; an error if the expression does not parse.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Like | MatchOp::NotLike => {
                let whole = format!("^(?s:{value})$");
                let regex = RegexBuilder::new(&whole).size_limit(REGEX_BYTES).build();
                Some(regex.map_err(|_| MatcherError(format!("\"{value}\" is not a regular expression")))?)
            }
        };
        Ok(Self { name, op, value, regex })
    }

    /// Whether a value of the label fulfils it; an absent label is the empty value.
    pub fn matches(&self, value: &str) -> bool {
        let like = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Like => like(),
            MatchOp::NotLike => !like(),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Like => "=~",
            MatchOp::NotLike => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

/// Conditions that must all hold; none: everything matches.
///
/// Its text is that of a PromQL selector, `cpu{job="api",instance=~"a.*"}`, or the same
/// without name and braces: `job="api", instance=~"a.*"`. Quotes may be left out where the
/// value has no comma, brace, quote or space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matchers(pub Vec<Matcher>);

impl Matchers {
    /// Whether all of them match a label set.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_by(|name| labels.get(name))
    }

    /// Whether all of them match what a lookup gives.
    pub fn matches_by<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|matcher| matcher.matches(get(&matcher.name).unwrap_or_default()))
    }
}

impl FromStr for Matchers {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        let text = text.trim();
        let mut matchers = Vec::new();
        let inner = match text.split_once('{') {
            Some((name, rest)) if !name.contains(['=', '!', '"']) => {
                let name = name.trim();
                if !name.is_empty() {
                    matchers.push(Matcher::new(Labels::NAME, MatchOp::Equal, name)?);
                }
                rest.trim_end().strip_suffix('}').ok_or_else(|| MatcherError(format!("{text} has no closing brace")))?
            }
            _ => text,
        };
        let mut rest = inner.trim_start();
        while !rest.is_empty() {
            let (matcher, tail) = one(rest)?;
            matchers.push(matcher);
            let tail = tail.trim_start();
            rest = match tail.strip_prefix(',') {
                Some(more) => more.trim_start(),
                None if tail.is_empty() => tail,
                None => {
                    let text = format!("a comma is wanted before `{tail}`, or quotes round a value with spaces");
                    return Err(MatcherError(text));
                }
            };
        }
        Ok(Self(matchers))
    }
}

/// The first matcher of a text, and what follows it.
fn one(text: &str) -> Result<(Matcher, &str), MatcherError> {
    let wrong = || MatcherError(format!("`{text}` is no matcher; write label=\"value\", or with !=, =~ or !~"));
    let end = text.find(['=', '!']).ok_or_else(wrong)?;
    let (name, rest) = text.split_at(end);
    let name = name.trim();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '/');
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(wrong());
    }
    let ops = [("=~", MatchOp::Like), ("!~", MatchOp::NotLike), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let (op, rest) = ops.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(sign)?))).ok_or_else(wrong)?;
    let rest = rest.trim_start();
    let (value, tail) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted).ok_or_else(|| MatcherError(format!("the quote in `{text}` is not closed")))?,
        None => {
            let end = rest.find([',', '}', '"', ' ']).unwrap_or(rest.len());
            let (value, tail) = rest.split_at(end);
            (value.to_owned(), tail)
        }
    };
    Ok((Matcher::new(name, op, value)?, tail))
}

/// The text up to the closing quote, with its escapes undone, and what follows the quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(index + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                quoted @ ('"' | '\\') => value.push(quoted),
                // As in a regular expression: `\.` stays.
                other => value.extend(['\\', other]),
            },
            _ => value.push(c),
        }
    }
    None
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", texts.join(","))
    }
}

impl TryFrom<String> for Matchers {
    type Error = MatcherError;

    fn try_from(text: String) -> Result<Self, MatcherError> {
        text.parse()
    }
}

impl From<Matchers> for String {
    fn from(matchers: Matchers) -> Self {
        matchers.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))).unwrap()
    }

    #[test]
    fn matchers_read_as_selectors_do() {
        let api = labels(&[("__name__", "cpu"), ("job", "api"), ("instance", "a:1")]);
        for (text, holds) in [
            ("cpu", false),
            ("cpu{}", true),
            ("", true),
            ("{}", true),
            (r#"cpu{job="api"}"#, true),
            (r#"job="api", instance=~"a.*""#, true),
            ("job=api,instance!~b.*", true),
            (r#"job=~"ap""#, false),
            (r#"team="""#, true),
            ("team!=\"\"", false),
            (r#"{job=~"api|db",instance="a:1",}"#, true),
        ] {
            match text.parse::<Matchers>() {
                Ok(matchers) => {
                    assert_eq!(matchers.matches(&api), holds, "{text}");
                    assert_eq!(matchers.to_string().parse::<Matchers>().unwrap(), matchers);
                }
                Err(error) => assert_eq!(text, "cpu", "{error}"),
            }
        }
    }

    #[test]
    fn what_is_no_matcher_is_told_with_the_right_spelling() {
        for (text, why) in [
            ("cpu", "`cpu` is no matcher; write label=\"value\", or with !=, =~ or !~"),
            (r#"a="b"#, "the quote in `a=\"b` is not closed"),
            ("a=b c=d", "a comma is wanted before `c=d`, or quotes round a value with spaces"),
            ("a=~\"(\"", "\"(\" is not a regular expression"),
            ("cpu{a=b", "cpu{a=b has no closing brace"),
        ] {
            assert_eq!(text.parse::<Matchers>().unwrap_err().to_string(), why);
        }
    }
}
