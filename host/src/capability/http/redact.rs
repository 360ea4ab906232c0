//! Secrets in answers: taken out before a plugin sees them.
//!
//! A server may send back what it was sent, in an error or because it echoes requests. A
//! secret is found as it stands; percent-encoded, or escaped as in JSON or HTML, each
//! character for itself; and in base64, whatever stands before it. So it is not found in
//! parts, hashed, or in another encoding: against a server that wants to tell a plugin its
//! own credentials there is no help but to send them nowhere else.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use regex::bytes::{NoExpand, Regex, RegexBuilder};
use url::Url;

/// What stands in place of a secret.
const PLACE: &str = "[secret]";
/// Bytes of the shortest secret that is looked for: shorter ones stand in ordinary answers.
const SHORTEST: usize = 8;
/// Memory of a pattern in bytes; secrets of some thousand characters fit.
const PATTERN_BYTES: usize = 64 << 20;

/// Finds one secret.
#[derive(Clone, Debug)]
pub(super) struct Redaction(Option<Regex>);

impl Redaction {
    /// For a secret. Of one that is a URL, path and query are as secret as the whole.
    pub(super) fn new(secret: &str) -> Result<Self, String> {
        let url = Url::parse(secret).ok();
        let path = url.as_ref().map(Url::path);
        let tail = url.as_ref().and_then(|url| Some(format!("{}?{}", url.path(), url.query()?)));
        let texts = [Some(secret), tail.as_deref(), path];
        let texts: Vec<&str> = texts.into_iter().flatten().filter(|text| text.len() >= SHORTEST).collect();
        if texts.is_empty() {
            return Ok(Self(None));
        }
        // The first alternative that fits is taken, so the longest come first.
        let spelled = texts.iter().map(|text| text.chars().map(spellings).collect::<String>());
        let encoded = (0..3).map(|before| in_base64(secret.as_bytes(), before));
        let pattern: Vec<String> = spelled.chain(encoded).collect();
        let built = RegexBuilder::new(&pattern.join("|")).unicode(false).size_limit(PATTERN_BYTES).build();
        // The reason would show the pattern, and the pattern the secret.
        built.map(|regex| Self(Some(regex))).map_err(|_| "it is too long to be kept out of answers".into())
    }

    /// Bytes without the secret.
    pub(super) fn apply(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(regex) = &self.0 else { return bytes };
        match regex.replace_all(&bytes, NoExpand(PLACE.as_bytes())) {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(without) => without,
        }
    }
}

/// A pattern of the ways to write a character.
fn spellings(c: char) -> String {
    let mut ways = String::from("(?:");
    let bytes = c.to_string().into_bytes();
    for byte in &bytes {
        let _ = write!(ways, r"\x{byte:02x}");
    }
    ways.push('|');
    for byte in &bytes {
        let _ = write!(ways, "%(?i:{byte:02x})");
    }
    ways.push('|');
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(ways, r"\\u(?i:{unit:04x})");
    }
    ways += match c {
        ' ' => r"|\+",
        '"' => r#"|\\"|&quot;"#,
        '\\' => r"|\\\\",
        '/' => r"|\\/|&#(?i:x2f|47);",
        '\n' => r"|\\n",
        '\t' => r"|\\t",
        '&' => "|&amp;",
        '<' => "|&lt;",
        '>' => "|&gt;",
        '\'' => "|&#(?i:x27|39);",
        _ => "",
    };
    ways.push(')');
    ways
}

/// A pattern of bytes in base64 of either alphabet, in a text with so many bytes before
/// them, modulo 3. Their first and last digit may be shared with what is around.
fn in_base64(bytes: &[u8], before: usize) -> String {
    const DIGIT: &str = "[A-Za-z0-9+/_-]";
    let padded = [vec![0; before], bytes.to_vec()].concat();
    let digits = STANDARD_NO_PAD.encode(&padded);
    let shared_end = usize::from(!padded.len().is_multiple_of(3));
    let shared_begin = (before * 8).div_ceil(6);
    let own = digits.get(shared_begin..digits.len().saturating_sub(shared_end)).unwrap_or_default();
    let own: String = own
        .chars()
        .map(|digit| match digit {
            '+' => r"(?:[+-]|%2[bB])".into(),
            '/' => r"(?:[/_]|\\/|%2[fF])".into(),
            digit => digit.to_string(),
        })
        .collect();
    let begin = if shared_begin > 0 { format!("{DIGIT}?") } else { String::new() };
    let end = if shared_end > 0 { format!("{DIGIT}?={{0,2}}") } else { String::new() };
    format!("{begin}{own}{end}")
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    const SECRET: &str = "sk-Änd /\"+?>~\\1";

    fn without(secret: &str, text: &str) -> String {
        let text = Redaction::new(secret).unwrap().apply(text.as_bytes().to_vec());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let json = serde_json::Value::from(SECRET).to_string();
        let ascii: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        let percent = utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string();
        let form: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let html = SECRET.replace('"', "&quot;").replace('>', "&gt;");
        let inside = json.trim_matches('"').replace('/', "\\/");
        let lower = percent.replace("%C3%84", "%c3%84");
        for text in [SECRET, &inside, &ascii, &percent, &lower, &form, &html] {
            assert_eq!(without(SECRET, &format!("key {text}!{text}")), "key [secret]![secret]", "{text}");
        }
        assert_eq!(without(SECRET, "nothing of it: sk-Änd"), "nothing of it: sk-Änd");
    }

    #[test]
    fn base64_is_found_whatever_stands_around_the_secret() {
        for secret in [SECRET, "12345678", "123456789", "1234567890", "\u{fb}\u{ff}\u{fe}\u{3ff}\u{7ff}"] {
            for (before, after) in [("", ""), ("a", ""), ("ab", ""), ("abc", "d"), ("Bearer ", "\r\n"), ("user:", "xy")]
            {
                let text = format!("{before}{secret}{after}");
                for engine in [STANDARD, URL_SAFE, URL_SAFE_NO_PAD, STANDARD_NO_PAD] {
                    let shown = without(secret, &engine.encode(&text));
                    assert!(shown.contains(PLACE), "{text:?}: {shown}");
                    // What is left are whole digits of what stood around it.
                    let left = shown.replace(PLACE, "").trim_end_matches('=').len();
                    assert!(left <= (before.len() + after.len()) * 2, "{text:?}: {shown}");
                }
            }
        }
        assert_eq!(without("12345678", "MTIzNDU2Nzg= is it"), "[secret] is it");
    }

    #[test]
    fn of_a_secret_url_the_path_is_a_secret_too() {
        let url = "https://hooks.example/services/T0/B0?token=abc";
        let echoed =
            "POST /services/T0/B0?token=abc of https://hooks.example/services/T0/B0?token=abc, /services/T0/B0";
        assert_eq!(without(url, echoed), "POST [secret] of [secret], [secret]");
        assert_eq!(without("https://hooks.example/", "GET / of hooks.example"), "GET / of hooks.example");
    }

    #[test]
    fn a_short_text_is_left_for_it_stands_in_ordinary_answers() {
        assert_eq!(without("admin", "job=admin"), "job=admin");
    }
}
