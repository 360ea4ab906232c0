//! Posts each alert as JSON to a URL, signed if asked for. `README.md` has the shape.
//!
//! The host signs and fills in secrets after the call has left the sandbox; this guest knows
//! the names of slots only. A configuration says which of them are used, since a guest
//! cannot see whether a slot is filled.

mod payload;

use std::collections::BTreeMap;

use anomd_notifier::http::{Auth, Digest, Method, Request, Signature, Target};
use anomd_notifier::{
    Alert, Descriptor, Error, Level, Notifier, Problem, SecretSlot, clock, export_notifier, http, log,
};
use serde::Deserialize;

/// The component.
pub struct Webhook;

/// Its configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where to post; `None`: the secret `url` says.
    pub url: Option<String>,
    /// How the receiver knows us.
    pub auth: Credentials,
    /// What `hmac` hashes with.
    pub digest: Hash,
    /// The header of the signature.
    pub signature_header: Option<String>,
    /// What stands before its hex digits.
    pub signature_prefix: Option<String>,
    /// Whether the chart is sent too.
    pub chart: bool,
    /// More headers.
    pub headers: BTreeMap<String, String>,
}

/// How the receiver knows us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credentials {
    /// It does not, or by the URL.
    #[default]
    None,
    /// An HMAC of the body.
    Hmac,
    /// `Authorization: Bearer`.
    Bearer,
}

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Config {
    fn signature_header(&self) -> &str {
        self.signature_header.as_deref().unwrap_or("X-Anomd-Signature")
    }

    fn auth(&self) -> Option<Auth> {
        let (digest, prefix) = match self.digest {
            Hash::Sha256 => (Digest::Sha256, "sha256="),
            Hash::Sha512 => (Digest::Sha512, "sha512="),
        };
        match self.auth {
            Credentials::None => None,
            Credentials::Bearer => Some(Auth::Bearer("token".into())),
            Credentials::Hmac => Some(Auth::Hmac(Signature {
                slot: "signing_key".into(),
                digest,
                header: self.signature_header().into(),
                prefix: self.signature_prefix.clone().unwrap_or_else(|| prefix.into()),
            })),
        }
    }

    /// The request that delivers an alert; the same for every attempt.
    fn request(&self, alert: &Alert, chart: bool) -> Request {
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Idempotency-Key".to_owned(), alert.id.clone()),
        ];
        headers.extend(self.headers.clone());
        Request {
            method: Method::Post,
            target: self.url.clone().map_or_else(|| Target::Secret("url".into()), Target::Url),
            headers,
            auth: self.auth(),
            blanks: vec![],
            body: payload::json(alert, chart),
            timeout_ms: None,
        }
    }
}

impl Notifier for Webhook {
    type Config = Config;

    fn describe() -> Descriptor {
        let slot = |name: &str, purpose: &str| SecretSlot { name: name.into(), purpose: purpose.into() };
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Posts alerts as JSON to a URL, signed if asked for".into(),
            config_schema: include_str!("schema.json").into(),
            origins: vec!["{{config.url}}".into()],
            secrets: vec![
                slot("url", "Where to post, if the URL itself is a secret; used where the key url is not set"),
                slot("signing_key", "The key of the signature; used with auth: hmac"),
                slot("token", "The token of the Authorization header; used with auth: bearer"),
            ],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        let signature = (config.auth == Credentials::Hmac).then(|| config.signature_header());
        let authorization = (config.auth == Credentials::Bearer).then_some("Authorization");
        let ours = ["Content-Type", "Idempotency-Key"].into_iter().chain(signature).chain(authorization);
        ours.flat_map(|ours| config.headers.keys().filter(move |name| name.eq_ignore_ascii_case(ours)))
            .map(|name| Problem {
                pointer: format!("/headers/{}", name.replace('~', "~0").replace('/', "~1")),
                message: format!("{name} is set by the plugin itself: remove it"),
            })
            .collect()
    }

    fn deliver(config: &Config, alert: &Alert) -> Result<String, Error> {
        let response = match http::send(&config.request(alert, config.chart)) {
            // The alert matters more than its picture.
            Err(http::Fault::TooLarge(most)) if config.chart && alert.chart.is_some() => {
                let why = format!("sent without its chart: together they have more than {most} bytes");
                log::write(Level::Warn, &why, &[]);
                http::send(&config.request(alert, false))?
            }
            sent => sent?,
        };
        if !response.is_success() {
            return Err(response.refusal(clock::now()));
        }
        Ok(format!("HTTP status {} {}", response.status, response.excerpt()).trim_end().into())
    }
}

export_notifier!(Webhook);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_receiver_can_drop_what_it_has_seen() {
        let alert = payload::tests::alert();
        let request =
            config(r#"{"url": "https://a.example/hook", "headers": {"X-Team": "ops"}}"#).request(&alert, false);
        assert_eq!(request.target, Target::Url("https://a.example/hook".into()));
        let expected = [("Content-Type", "application/json"), ("Idempotency-Key", "a1"), ("X-Team", "ops")];
        assert_eq!(request.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(request.auth, None);
    }

    #[test]
    fn secrets_are_named_and_never_held() {
        let alert = payload::tests::alert();
        let signed = config(r#"{"auth": "hmac"}"#).request(&alert, false);
        assert_eq!(signed.target, Target::Secret("url".into()));
        let signature = |digest, header: &str, prefix: &str| {
            let (slot, header, prefix) = ("signing_key".into(), header.into(), prefix.into());
            Some(Auth::Hmac(Signature { slot, digest, header, prefix }))
        };
        assert_eq!(signed.auth, signature(Digest::Sha256, "X-Anomd-Signature", "sha256="));
        let own = r#"{"auth": "hmac", "digest": "sha512", "signature_header": "X-Sign", "signature_prefix": ""}"#;
        assert_eq!(config(own).auth(), signature(Digest::Sha512, "X-Sign", ""));
        assert_eq!(config(r#"{"auth": "bearer"}"#).auth(), Some(Auth::Bearer("token".into())));
    }

    #[test]
    fn headers_that_the_plugin_sets_are_refused() {
        let wrong = config(
            r#"{"auth": "hmac", "headers": {"content-type": "text/plain", "x-anomd-signature": "x", "X-Ok": "y"}}"#,
        );
        let pointers: Vec<String> = Webhook::check(&wrong).into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/headers/content-type", "/headers/x-anomd-signature"]);
    }
}
