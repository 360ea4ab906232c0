//! From text to an expression, by recursive descent.

use std::fmt;

use regex::Regex;

use super::{Aggregation, Expr, Grouping, Matcher, Operator, Selector, Test};
use crate::series::{Labels, Millis};

/// Why a text is no query, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Characters before the place, on its line.
    column: usize,
    line: usize,
    text: String,
}

/// As Prometheus puts it: `1:5: parse error: …`.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.text)
    }
}

/// So deep may a query be nested, and so many parts may it have: both bound the stack.
const DEEPEST: usize = 64;
const MOST_NODES: usize = 2000;

/// Reads a query.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser { query, rest: query, depth: 0, nodes: 0 };
    parser.space();
    if parser.rest.is_empty() {
        return Err(parser.error("no expression found in input"));
    }
    let expr = parser.sum()?;
    match parser.rest.chars().next() {
        None => Ok(expr),
        Some(next) => Err(parser.unexpected(next)),
    }
}

/// Reads a query that is a selector, as `match[]` has them.
pub fn parse_selector(query: &str) -> Result<Selector, ParseError> {
    match parse(query)? {
        Expr::Vector(selector) => Ok(selector),
        _ => Err(ParseError { line: 1, column: 1, text: "expected a vector selector".into() }),
    }
}

/// Reads a length of time, `1h30m` say, in milliseconds.
pub fn parse_duration(text: &str) -> Option<Millis> {
    let (mut rest, mut total) = (text, 0_i64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let unit: Millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<Millis>().ok()?.checked_mul(unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

struct Parser<'a> {
    query: &'a str,
    rest: &'a str,
    depth: usize,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, text: impl Into<String>) -> ParseError {
        let before = self.query.get(..self.query.len() - self.rest.len()).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        ParseError { line: before.matches('\n').count() + 1, column: line.chars().count() + 1, text: text.into() }
    }

    fn unexpected(&self, next: char) -> ParseError {
        let what = match next {
            '%' | '^' | '=' | '!' | '<' | '>' => "only + - * / are supported here: unexpected",
            '[' => "a range is supported inside rate() alone: unexpected",
            '@' => "the @ modifier is not supported here: unexpected",
            _ => match self.word() {
                Some("offset") => return self.error("the offset modifier is not supported here"),
                Some(word @ ("and" | "or" | "unless" | "on" | "ignoring" | "group_left" | "group_right" | "bool")) => {
                    return self.error(format!("\"{word}\" is not supported here"));
                }
                _ => "unexpected",
            },
        };
        self.error(format!("{what} character: {next:?}"))
    }

    /// White space and comments.
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    /// Takes a token and the space after it.
    fn take(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        self.space();
        true
    }

    fn require(&mut self, token: &str, place: &str) -> Result<(), ParseError> {
        if self.take(token) {
            return Ok(());
        }
        match self.rest.chars().next() {
            None if token == ")" => Err(self.error("unclosed left parenthesis")),
            None => Err(self.error(format!("unexpected end of input {place}, expected {token:?}"))),
            Some(next) => Err(self.error(format!("unexpected {next:?} {place}, expected {token:?}"))),
        }
    }

    /// The identifier that comes next; a colon counts as a letter.
    fn word(&self) -> Option<&'a str> {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = self.rest.find(|c| !inner(c)).unwrap_or(self.rest.len());
        let word = self.rest.get(..end)?;
        word.starts_with(|c: char| inner(c) && !c.is_ascii_digit()).then_some(word)
    }

    fn take_word(&mut self) -> Option<&'a str> {
        let word = self.word()?;
        self.take(word);
        Some(word)
    }

    fn node(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.error(format!("more than {MOST_NODES} parts are not supported here")));
        }
        Ok(expr)
    }

    fn sum(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take("+") {
                Operator::Add
            } else if self.take("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.node(Expr::Binary(operator, Box::new(left), Box::new(right)))?;
        }
    }

    fn product(&mut self) -> Result<Expr, ParseError> {
        let mut left = self.unary()?;
        loop {
            let operator = if self.take("*") {
                Operator::Multiply
            } else if self.take("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = self.node(Expr::Binary(operator, Box::new(left), Box::new(right)))?;
        }
    }

    /// A sign, or what has none. This is the one way down, so it counts the depth.
    fn unary(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error(format!("nesting deeper than {DEEPEST} is not supported here")));
        }
        let expr = if self.take("-") {
            let inner = self.unary()?;
            // -1 * x drops the name as -x does.
            self.node(Expr::Binary(Operator::Multiply, Box::new(Expr::Number(-1.0)), Box::new(inner)))
        } else if self.take("+") {
            self.unary()
        } else {
            self.primary()
        };
        self.depth -= 1;
        expr
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        if self.take("(") {
            let inner = self.sum()?;
            self.require(")", "in paren expression")?;
            return Ok(inner);
        }
        let Some(next) = self.rest.chars().next() else { return Err(self.error("unexpected end of input")) };
        if next.is_ascii_digit() || next == '.' {
            return self.number();
        }
        if next == '{' {
            let selector = self.selector(None)?;
            return self.node(Expr::Vector(selector));
        }
        if matches!(next, '"' | '\'' | '`') {
            return Err(self.error("text literals are not supported here"));
        }
        let before = self.rest;
        let Some(word) = self.take_word() else { return Err(self.unexpected(next)) };
        if word.eq_ignore_ascii_case("inf") {
            return self.node(Expr::Number(f64::INFINITY));
        }
        if word.eq_ignore_ascii_case("nan") {
            return self.node(Expr::Number(f64::NAN));
        }
        let aggregation = match word {
            "sum" => Some(Aggregation::Sum),
            "avg" => Some(Aggregation::Avg),
            "min" => Some(Aggregation::Min),
            "max" => Some(Aggregation::Max),
            _ => None,
        };
        match (aggregation, self.rest.chars().next()) {
            (Some(aggregation), Some('(')) => self.aggregate(aggregation),
            (Some(aggregation), Some(_)) if matches!(self.word(), Some("by" | "without")) => {
                self.aggregate(aggregation)
            }
            (None, Some('(')) if word == "rate" => self.rate(),
            (None, Some('(')) => {
                self.rest = before;
                Err(self.error(format!("the function \"{word}\" is not supported here")))
            }
            _ => {
                let selector = self.selector(Some(word))?;
                self.node(Expr::Vector(selector))
            }
        }
    }

    fn number(&mut self) -> Result<Expr, ParseError> {
        let mut end = 0;
        for (at, c) in self.rest.char_indices() {
            let sign = matches!(c, '+' | '-') && self.rest.get(..at).is_some_and(|text| text.ends_with(['e', 'E']));
            if !(c.is_ascii_alphanumeric() || c == '.' || sign) {
                break;
            }
            end = at + c.len_utf8();
        }
        let (text, rest) = self.rest.split_at(end);
        let value = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|value| value as f64),
            None => text.parse().ok(),
        };
        let value = value.ok_or_else(|| self.error(format!("bad number or duration syntax: {text:?}")))?;
        self.rest = rest;
        self.space();
        self.node(Expr::Number(value))
    }

    fn aggregate(&mut self, aggregation: Aggregation) -> Result<Expr, ParseError> {
        let mut grouping = self.grouping()?;
        self.require("(", "in aggregation")?;
        let start = self.rest;
        let inner = self.sum()?;
        if inner.is_scalar() {
            self.rest = start;
            return Err(self.error("expected type instant vector in aggregation expression, got scalar"));
        }
        self.require(")", "in aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let grouping = grouping.unwrap_or_else(|| Grouping::By(Vec::new()));
        self.node(Expr::Aggregate(aggregation, grouping, Box::new(inner)))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        let by = match self.word() {
            Some("by") => true,
            Some("without") => false,
            _ => return Ok(None),
        };
        self.take_word();
        self.require("(", "in grouping opts")?;
        let mut labels = Vec::new();
        while !self.take(")") {
            let Some(label) = self.take_word() else {
                return Err(self.error("unexpected input in grouping opts, expected label"));
            };
            labels.push(label.to_owned());
            if !self.take(",") {
                self.require(")", "in grouping opts")?;
                break;
            }
        }
        Ok(Some(if by { Grouping::By(labels) } else { Grouping::Without(labels) }))
    }

    fn rate(&mut self) -> Result<Expr, ParseError> {
        self.require("(", "in call")?;
        let name = self.take_word();
        let selector = self.selector(name)?;
        if !self.take("[") {
            return Err(self.error("expected type range vector in call to function \"rate\", as in rate(x[5m])"));
        }
        let end = self.rest.find(']').unwrap_or(self.rest.len());
        let (range, rest) = self.rest.split_at(end);
        let Some(range) = parse_duration(range.trim()).filter(|range| *range > 0) else {
            return Err(self.error(format!("not a valid duration string: {:?}", range.trim())));
        };
        self.rest = rest;
        self.require("]", "in range selector")?;
        self.require(")", "in call")?;
        self.node(Expr::Rate(selector, range))
    }

    fn selector(&mut self, name: Option<&str>) -> Result<Selector, ParseError> {
        let mut matchers = Vec::new();
        if let Some(name) = name {
            matchers.push(Matcher { label: Labels::NAME.into(), test: Test::Equal(name.into()), negated: false });
        }
        let start = self.rest;
        if self.take("{") {
            while !self.take("}") {
                matchers.push(self.matcher()?);
                if !self.take(",") {
                    self.require("}", "in label matching")?;
                    break;
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            self.rest = start;
            return Err(self.error("vector selector must contain at least one non-empty matcher"));
        }
        Ok(Selector(matchers))
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let Some(label) = self.take_word().filter(|word| !word.contains(':')) else {
            return Err(self.error("unexpected input in label matching, expected identifier or \"}\""));
        };
        let (regex, negated) = if self.take("=~") {
            (true, false)
        } else if self.take("!~") {
            (true, true)
        } else if self.take("!=") {
            (false, true)
        } else if self.take("=") {
            (false, false)
        } else {
            return Err(self.error("unexpected input in label matching, expected label matching operator"));
        };
        let start = self.rest;
        let value = self.text()?;
        let test = if regex {
            match Regex::new(&format!("^(?s:{value})$")) {
                Ok(regex) => Test::Regex(regex),
                Err(error) => {
                    self.rest = start;
                    let line = error.to_string().lines().last().unwrap_or_default().to_owned();
                    return Err(self.error(format!("error parsing regexp: {line}")));
                }
            }
        } else {
            Test::Equal(value)
        };
        Ok(Matcher { label: label.to_owned(), test, negated })
    }

    /// A text in quotes. Of Go's escapes those are known that a label value may need.
    fn text(&mut self) -> Result<String, ParseError> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            return Err(self.error("unexpected input in label matching, expected string"));
        };
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = self.rest.get(at + c.len_utf8()..).unwrap_or_default();
                    self.space();
                    return Ok(value);
                }
                '\\' if quote != '`' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('\\' | '"' | '\''))) => value.push(c),
                    _ => return Err(self.error("unknown escape sequence")),
                },
                c => value.push(c),
            }
        }
        Err(self.error("unterminated quoted string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_bind_closer_than_sums_and_signs_closest() {
        let shape = |query: &str| format!("{:?}", parse(query).unwrap());
        assert_eq!(shape("1 + 2 * 3"), shape("1 + (2 * 3)"));
        assert_eq!(shape("1 - 2 - 3"), shape("(1 - 2) - 3"));
        assert_eq!(shape("-1e-3 / 0x10"), shape("(-0.001) / 16"));
        assert_eq!(shape("sum by (a, b) (x)"), shape("sum(x) by (a,b,)"));
        assert_eq!(
            shape("sum"),
            "Vector(Selector([Matcher { label: \"__name__\", test: Equal(\"sum\"), negated: false }]))"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (query, text) in [
            ("", "1:1: parse error: no expression found in input"),
            ("sum(", "1:5: parse error: unexpected end of input"),
            ("sum(x", "1:6: parse error: unclosed left parenthesis"),
            ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
            ("x{a=~\".*\"", "1:10: parse error: unexpected end of input in label matching, expected \"}\""),
            ("x[5m]", "1:2: parse error: a range is supported inside rate() alone: unexpected character: '['"),
            ("x > 1", "1:3: parse error: only + - * / are supported here: unexpected character: '>'"),
            ("x offset 5m", "1:3: parse error: the offset modifier is not supported here"),
            ("x and y", "1:3: parse error: \"and\" is not supported here"),
            ("1 + irate(x[5m])", "1:5: parse error: the function \"irate\" is not supported here"),
            ("rate(x)", "1:7: parse error: expected type range vector in call to function \"rate\", as in rate(x[5m])"),
            ("sum(1 + 2)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
            ("rate(x[0s])", "1:8: parse error: not a valid duration string: \"0s\""),
            ("rate(x[5])", "1:8: parse error: not a valid duration string: \"5\""),
            ("1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.3\""),
            ("\"x\"", "1:1: parse error: text literals are not supported here"),
            ("x\n  + é", "2:5: parse error: unexpected character: 'é'"),
        ] {
            assert_eq!(parse(query).map(|_| ()).map_err(|e| e.to_string()), Err(text.to_owned()), "{query}");
        }
        assert!(parse("x{a=~\"(\"}").unwrap_err().to_string().starts_with("1:6: parse error: error parsing regexp"));
    }

    #[test]
    fn a_hostile_query_is_refused_and_not_a_stack_overflow() {
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"-".repeat(100_000)).is_err());
        assert!(parse(&format!("1{}", "+1".repeat(100_000))).is_err());
        assert!(parse(&format!("1{}", "+1".repeat(900))).is_ok());
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(parse_duration("1h30m"), Some(5_400_000));
        assert_eq!(parse_duration("250ms"), Some(250));
        assert_eq!(parse_duration("0s"), Some(0));
        for text in ["", "5", "m", "5x", "-5m", "99999999999999999y", "5m "] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
