//! What a hosted tenant may grant itself: the bounds within which its own batches name
//! plugins, origins and recipients.
//!
//! Everything that is not named is refused, and the refusal names the command that allows
//! it. The tenant `default` has no such bounds: its operator is the person at the keyboard.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wildmatch::WildMatch;

use super::grant::{parse_network, parse_origin};
use super::name::component;
use super::node_file::recipient;

/// What stands for every public origin.
const ANY: &str = "*";
/// Entries that a list may have.
const ENTRIES: usize = 1_000;

/// The bounds of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPolicy {
    /// Plugins that its batches may use, by name; `*` and `?` are globs. `None`: all that are
    /// bundled with anomd.
    #[serde(default)]
    pub plugins: Option<Vec<String>>,
    /// Origins that its batches may name: `https://prometheus.example.com`,
    /// `https://*.example.com`, or `*` for every public one.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Private networks in which these origins may be: `10.0.0.0/8`. Others are public.
    #[serde(default, with = "as_texts")]
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// Mail addresses that its batches may name: `ops@example.com`, `*@example.com`.
    #[serde(default)]
    pub recipients: Vec<String>,
}

impl TenantPolicy {
    /// Checks and tidies what somebody wrote; the error says what is wrong and what to do.
    pub fn checked(self) -> Result<Self, String> {
        let sentence = |(message, remedy): (String, String)| format!("{message}; {remedy}");
        let lists = [self.plugins.as_deref().unwrap_or_default(), &self.origins, &self.recipients];
        if lists.iter().any(|list| list.len() > ENTRIES) || self.networks.len() > ENTRIES {
            return Err(format!("a list of a policy has more than {ENTRIES} entries; use globs"));
        }
        for plugin in self.plugins.iter().flatten() {
            // A glob is a name once its stars are letters.
            component(&plugin.replace(['*', '?'], "x")).map_err(sentence)?;
        }
        let origin = |text: String| if text == ANY { Ok(text) } else { parse_origin(&text) };
        let origins = self.origins.into_iter().map(origin).collect::<Result<_, _>>().map_err(sentence)?;
        for address in &self.recipients {
            recipient(address).map_err(sentence)?;
        }
        Ok(Self { origins, ..self })
    }

    /// Whether a batch may use a plugin.
    pub fn allows_plugin(&self, name: &str, bundled: bool) -> bool {
        match &self.plugins {
            None => bundled,
            Some(plugins) => plugins.iter().any(|pattern| WildMatch::new(pattern).matches(name)),
        }
    }

    /// Whether a batch may name an origin, as [`origin_of`](super::grant::origin_of) gives it.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| {
            let Some((scheme, host)) = allowed.split_once("://*.") else { return allowed == ANY || allowed == origin };
            let rest = origin.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
            rest.is_some_and(|rest| rest.strip_suffix(host).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')))
        })
    }

    /// Whether a batch may name a mail address.
    pub fn allows_recipient(&self, address: &str) -> bool {
        self.recipients.iter().any(|allowed| match allowed.strip_prefix("*@") {
            Some(domain) => address.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain)),
            None => allowed.eq_ignore_ascii_case(address),
        })
    }
}

/// Networks as people write them.
mod as_texts {
    use ipnet::IpNet;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::parse_network;

    pub fn serialize<S: Serializer>(networks: &[IpNet], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(networks.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let sentence = |(message, remedy)| de::Error::custom(format!("{message}; {remedy}"));
        Vec::<String>::deserialize(from)?.iter().map(|text| parse_network(text).map_err(sentence)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Result<TenantPolicy, String> {
        serde_json::from_str::<TenantPolicy>(json).map_err(|e| e.to_string())?.checked()
    }

    #[test]
    fn what_is_not_named_is_not_allowed() {
        let none = TenantPolicy::default();
        assert!(none.allows_plugin("prometheus", true) && !none.allows_plugin("theirs", false));
        assert!(!none.allows_origin("https://example.com") && !none.allows_recipient("a@example.com"));
    }

    #[test]
    fn a_pattern_allows_what_lies_below_a_domain_and_nothing_that_only_looks_like_it() {
        let policy = policy(
            r#"{"origins": ["https://*.example.com/", "http://10.0.0.5:9090"], "plugins": ["pro*"],
                "recipients": ["*@example.com"]}"#,
        )
        .unwrap();
        for origin in ["https://a.example.com", "https://a.b.example.com", "http://10.0.0.5:9090"] {
            assert!(policy.allows_origin(origin), "{origin}");
        }
        let others = [
            "https://example.com",
            "https://evilexample.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com.evil.org",
            "http://10.0.0.5",
        ];
        for origin in others {
            assert!(!policy.allows_origin(origin), "{origin}");
        }
        assert!(policy.allows_plugin("prometheus", true) && !policy.allows_plugin("slack", true));
        assert!(policy.allows_recipient("Ops@EXAMPLE.com") && !policy.allows_recipient("ops@example.com.evil.org"));
    }

    #[test]
    fn a_policy_that_reaches_too_far_is_refused() {
        assert!(policy(r#"{"networks": ["0.0.0.0/0"]}"#).unwrap_err().contains("where clouds keep credentials"));
        assert!(policy(r#"{"origins": ["https://*.com"]}"#).unwrap_err().contains("too wide"));
        assert!(policy(r#"{"origins": ["*"]}"#).unwrap().allows_origin("https://example.com"));
        assert!(policy(r#"{"plugins": ["../x"]}"#).is_err());
        assert!(policy(r#"{"recipients": ["*@*"]}"#).is_err());
    }
}
