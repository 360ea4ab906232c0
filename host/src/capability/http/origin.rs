//! Origins, and the patterns that grant them.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// Scheme, host and port of a URL; the host is normalised as browsers do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL without a user name; the error says what is
    /// wrong with it, and shows nothing of its path.
    pub fn of(url: &Url) -> Result<Self, String> {
        let scheme = url.scheme();
        if !matches!(scheme, "http" | "https") {
            return Err(format!("the scheme is http or https, not {scheme}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name is refused: put credentials into a secret slot".into());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL has no host")?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or("the URL has no port")?;
        Ok(Self { scheme: scheme.to_owned(), host: host.to_owned(), port })
    }

    /// The host, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is reached by TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    /// The host, and the port if it is not the scheme's own: what `Host` says.
    pub fn authority(&self) -> String {
        match (self.scheme.as_str(), self.port) {
            ("http", 80) | ("https", 443) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(&Url::parse(text).map_err(|e| e.to_string())?)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

/// An origin, or with `*.` all that are below a domain: `https://*.slack.com` is
/// `https://hooks.slack.com` and not `https://slack.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    origin: Origin,
    /// `.slack.com`
    suffix: Option<String>,
}

impl Pattern {
    /// Whether it grants an origin.
    pub fn matches(&self, origin: &Origin) -> bool {
        self.origin.scheme == origin.scheme
            && self.origin.port == origin.port
            && match &self.suffix {
                None => self.origin.host == origin.host,
                Some(suffix) => {
                    origin.host.strip_suffix(suffix.as_str()).is_some_and(|below| !below.is_empty() && below != "*")
                }
            }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: String| format!("\"{text}\" is not an origin: {why}");
        let url = Url::parse(text).map_err(|e| match e {
            url::ParseError::RelativeUrlWithoutBase => wrong(format!("write \"https://{text}\"")),
            e => wrong(e.to_string()),
        })?;
        let origin = Origin::of(&url).map_err(wrong)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(format!("it has no path; write \"{origin}\"")));
        }
        let suffix = match origin.host.strip_prefix('*') {
            None if origin.host.contains('*') => return Err(wrong("a * stands at the beginning only".into())),
            None => None,
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*') => {
                Some(suffix.to_owned())
            }
            Some(_) => return Err(wrong("write \"https://*.example.com\"; no pattern grants everything".into())),
        };
        Ok(Self { origin, suffix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_grant_what_they_say_and_no_more() {
        let cases = [
            ("https://hooks.slack.com", "https://hooks.slack.com/services/T", true),
            ("https://hooks.slack.com/", "https://HOOKS.slack.com:443/", true),
            ("https://hooks.slack.com", "http://hooks.slack.com/", false),
            ("https://hooks.slack.com", "https://hooks.slack.com:8443/", false),
            ("https://hooks.slack.com", "https://hooks.slack.com.evil.example/", false),
            ("https://hooks.slack.com", "https://hooks.slack.com./", false),
            ("https://*.slack.com", "https://hooks.slack.com/", true),
            ("https://*.slack.com", "https://a.b.slack.com/", true),
            ("https://*.slack.com", "https://slack.com/", false),
            ("https://*.slack.com", "https://evilslack.com/", false),
            ("http://10.0.0.5:9090", "http://10.0.0.5:9090/api", true),
            ("http://127.0.0.1:9090", "http://127.1:9090/", true),
            ("http://127.0.0.1:9090", "http://0x7f000001:9090/", true),
            ("http://[::1]:9090", "http://[0:0::1]:9090/", true),
            ("https://bücher.example", "https://xn--bcher-kva.example/", true),
        ];
        for (pattern, url, granted) in cases {
            let origin = url.parse().unwrap();
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(&origin), granted, "{pattern} {url}");
        }
    }

    #[test]
    fn wrong_patterns_are_told_how_to_be_right() {
        let texts = ["hooks.slack.com", "https://*", "https://a.*.com", "https://a.com/b", "ftp://a", "https://u:p@a"];
        let errors: Vec<_> = texts.iter().map(|text| text.parse::<Pattern>().unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        "hooks.slack.com" is not an origin: write "https://hooks.slack.com"
        "https://*" is not an origin: write "https://*.example.com"; no pattern grants everything
        "https://a.*.com" is not an origin: a * stands at the beginning only
        "https://a.com/b" is not an origin: it has no path; write "https://a.com"
        "ftp://a" is not an origin: the scheme is http or https, not ftp
        "https://u:p@a" is not an origin: a URL with a user name is refused: put credentials into a secret slot
        "#);
    }
}
