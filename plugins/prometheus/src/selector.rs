//! As much of PromQL as must be understood before a query is sent: whether it is a plain
//! selector, and whether its brackets and quotes close.
//!
//! A query that is no plain selector is not judged: the server knows its own language,
//! which may be larger than Prometheus' (MetricsQL, say).

/// A query that is one vector selector, without range, offset or `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The metric's name, if the selector allows only one.
    pub name: Option<String>,
}

/// The selector that a query is, if it is nothing else.
///
/// Grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors,
/// with the quoted names of Prometheus 3.
pub fn plain(query: &str) -> Option<Selector> {
    let mut text = Scanner { rest: query };
    text.space();
    let mut name = match text.identifier(':') {
        // `Inf` and `NaN` are numbers in every case.
        Some(word) if ["inf", "nan"].iter().any(|number| word.eq_ignore_ascii_case(number)) => return None,
        word => word.map(str::to_owned),
    };
    text.space();
    if text.take("{") {
        let mut matchers = 0;
        loop {
            text.space();
            if text.take("}") {
                break;
            }
            if let Some(exact) = text.matcher()? {
                name = Some(exact);
            }
            matchers += 1;
            text.space();
            if !text.take(",") {
                text.space();
                if !text.take("}") {
                    return None;
                }
                break;
            }
        }
        if matchers == 0 && name.is_none() {
            return None;
        }
    } else {
        name.as_ref()?;
    }
    text.space();
    text.rest.is_empty().then_some(Selector { name })
}

/// Says what does not close.
pub fn balanced(query: &str) -> Result<(), String> {
    let mut text = Scanner { rest: query };
    let mut open: Vec<(char, usize)> = Vec::new();
    loop {
        text.space();
        let at = query.len() - text.rest.len();
        let Some(next) = text.rest.chars().next() else { break };
        match next {
            '"' | '\'' | '`' => {
                text.string().ok_or_else(|| format!("the {next} at {} is not closed{}", at + 1, excerpt(query, at)))?;
                continue;
            }
            '(' | '[' | '{' => open.push((next, at)),
            ')' | ']' | '}' => match open.pop() {
                Some(('(', _)) if next == ')' => {}
                Some(('[', _)) if next == ']' => {}
                Some(('{', _)) if next == '}' => {}
                Some((other, before)) => {
                    return Err(format!(
                        "the {other} at {} is closed by a {next} at {}{}",
                        before + 1,
                        at + 1,
                        excerpt(query, before)
                    ));
                }
                None => return Err(format!("the {next} at {} closes nothing{}", at + 1, excerpt(query, at))),
            },
            _ => {}
        }
        text.rest = &text.rest[next.len_utf8()..];
    }
    match open.pop() {
        Some((bracket, at)) => Err(format!("the {bracket} at {} is not closed{}", at + 1, excerpt(query, at))),
        None => Ok(()),
    }
}

/// A few characters from a place on, to be appended to a message.
fn excerpt(query: &str, at: usize) -> String {
    format!(": {}", query[at..].chars().take(24).collect::<String>())
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
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

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Letters, digits, `_` and `extra`; a digit is not first.
    fn identifier(&mut self, extra: char) -> Option<&'a str> {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == extra;
        if !self.rest.starts_with(|c: char| inner(c) && !c.is_ascii_digit()) {
            return None;
        }
        let end = self.rest.find(|c: char| !inner(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word)
    }

    /// A matcher, or a quoted metric name. The inner value is the name of the metric, if
    /// this says it.
    fn matcher(&mut self) -> Option<Option<String>> {
        let (label, quoted) = match self.string() {
            Some(label) => (label, true),
            None => (self.identifier('_')?.to_owned(), false),
        };
        self.space();
        let exact = if self.take("=~") || self.take("!~") || self.take("!=") {
            false
        } else if self.take("=") {
            true
        } else {
            return quoted.then_some(Some(label));
        };
        self.space();
        let value = self.string()?;
        Some((exact && label == "__name__").then_some(value))
    }

    /// A string with the escapes of Go; back quotes know none.
    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
        let mut rest = &self.rest[1..];
        let mut value = String::new();
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                c if c == quote => break,
                '\n' if quote != '`' => return None,
                '\\' if quote != '`' => {
                    let (c, tail) = escape(rest)?;
                    value.push(c);
                    rest = tail;
                }
                c => value.push(c),
            }
        }
        self.rest = rest;
        Some(value)
    }
}

/// What a back slash stands for, and what follows it. `\x` and octal escapes above 7f are
/// bytes in Go; no metric name needs them, so they are taken as characters.
fn escape(rest: &str) -> Option<(char, &str)> {
    let c = rest.chars().next()?;
    let tail = &rest[c.len_utf8()..];
    let coded = |text: &'_ str, digits: usize, radix: u32| {
        let code = u32::from_str_radix(text.get(..digits)?, radix).ok()?;
        char::from_u32(code)
    };
    Some(match c {
        'a' => ('\u{7}', tail),
        'b' => ('\u{8}', tail),
        'f' => ('\u{c}', tail),
        'n' => ('\n', tail),
        'r' => ('\r', tail),
        't' => ('\t', tail),
        'v' => ('\u{b}', tail),
        '\\' | '"' | '\'' => (c, tail),
        'x' => (coded(tail, 2, 16)?, tail.get(2..)?),
        'u' => (coded(tail, 4, 16)?, tail.get(4..)?),
        'U' => (coded(tail, 8, 16)?, tail.get(8..)?),
        '0'..='7' => (coded(rest, 3, 8)?, rest.get(3..)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_selectors_are_known_with_their_name() {
        for (query, name) in [
            ("up", Some("up")),
            (" job:requests:rate5m # of all\n", Some("job:requests:rate5m")),
            (r#"node_cpu_seconds_total{mode="idle"}"#, Some("node_cpu_seconds_total")),
            (r#"x{a="}\"{,", b!='c',d=~`e\d`, f!~"g",}"#, Some("x")),
            ("x{}", Some("x")),
            (r#"{__name__="x", job="y"}"#, Some("x")),
            (r#"{__name__="\x78\u0079\172"}"#, Some("xyz")),
            (r#"{"http.requests", job="y"}"#, Some("http.requests")),
            (r#"{__name__=~"node_.*"}"#, None),
            (r#"{job="y"}"#, None),
            ("information", Some("information")),
        ] {
            assert_eq!(plain(query), Some(Selector { name: name.map(str::to_owned) }), "{query}");
        }
    }

    #[test]
    fn expressions_are_no_selectors() {
        for query in [
            "",
            "{}",
            "1",
            "NaN",
            "inf",
            "rate(x[5m])",
            "x[5m]",
            "x offset 5m",
            "x @ 1",
            "x + y",
            "-x",
            "(x)",
            "x{a}",
            "x{a=b}",
            "x{a=\"b\"",
            "x{a=\"b\" c=\"d\"}",
            "x{,}",
            "\"x\"",
            "x{a==\"b\"}",
            "x y",
            "x{a=\"\\q\"}",
        ] {
            assert_eq!(plain(query), None, "{query}");
        }
    }

    #[test]
    fn what_does_not_close_is_told_with_its_place() {
        for query in ["sum(rate(x{a=\"(\"}[5m]))", "x{a='\\''} # (", "`\\`", "a{b=\"é\"}"] {
            assert_eq!(balanced(query), Ok(()), "{query}");
        }
        for (query, text) in [
            ("sum(rate(x[5m])", "the ( at 4 is not closed: (rate(x[5m])"),
            ("x)", "the ) at 2 closes nothing: )"),
            ("rate(x[5m)]", "the [ at 7 is closed by a ) at 10: [5m)]"),
            ("x{é=\"y}", "the \" at 6 is not closed: \"y}"),
        ] {
            assert_eq!(balanced(query), Err(text.to_owned()));
        }
    }
}
