//! A test guest: an ingester whose configuration is a request; what came back stands in the
//! labels of the one series that it returns.

use anomd_ingester::{Descriptor, Error, Ingester, Kind, Page, Samples, SecretSlot, Window, export_ingester, http, kv};
use serde::Deserialize;

struct Probe;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    secret_url: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    bearer: Option<String>,
    #[serde(default)]
    basic: Option<(String, String)>,
    #[serde(default)]
    header: Option<(String, String)>,
    #[serde(default)]
    hmac: Option<String>,
    #[serde(default)]
    blanks: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    body_bytes: usize,
    #[serde(default)]
    timeout_ms: Option<u32>,
    #[serde(default)]
    times: usize,
    #[serde(default)]
    keep: Option<String>,
    /// Texts that are looked for in the memory of this instance, each byte XORed with [`MASK`]:
    /// so the configuration is not where they are found.
    #[serde(default)]
    needles: Vec<Vec<u8>>,
}

#[cfg(target_arch = "wasm32")]
const MASK: u8 = 0xa5;

impl Ingester for Probe {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "probe".into(),
            version: "0.1.0".into(),
            summary: "A test guest".into(),
            config_schema: r#"{"type": "object"}"#.into(),
            origins: vec!["{{config.url}}".into(), "https://*.example.com".into()],
            secrets: vec![SecretSlot { name: "token".into(), purpose: "goes into a header".into() }],
        }
    }

    fn fetch(config: &Config, window: Window, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        if let Some(value) = &config.keep {
            let before = kv::get("kept").map_err(|_| Error::Internal("kv.get".into()))?.unwrap_or_default();
            kv::put("kept", value.as_bytes()).map_err(|_| Error::Internal("kv.put".into()))?;
            return Ok(page(&window, vec![("before".into(), String::from_utf8_lossy(&before).into_owned())], None));
        }
        let mut labels = Vec::new();
        for _ in 0..config.times.max(1) {
            labels = send(config)?;
        }
        for needle in &config.needles {
            labels.push((format!("found_{}", labels.len() - 2), occurrences(needle).to_string()));
        }
        // Two pages, to show that the cursor comes back.
        let next = match cursor.as_deref() {
            None => Some(b"second".to_vec()),
            Some(b"second") => None,
            Some(_) => return Err(Error::Internal("a cursor that was never given".into())),
        };
        Ok(page(&window, labels, next))
    }
}

fn page(window: &Window, labels: Vec<(String, String)>, next: Option<Vec<u8>>) -> Page {
    let samples = Samples {
        keys: vec![labels],
        kinds: vec![Kind::Gauge],
        offsets: vec![0, 1],
        timestamps: vec![window.start],
        values: vec![1.0],
    };
    Page { samples, lost: vec![], next }
}

/// Elsewhere than in the sandbox there is no memory of an instance.
#[cfg(not(target_arch = "wasm32"))]
fn occurrences(_: &[u8]) -> usize {
    0
}

/// How often a masked text stands in the whole memory of this instance.
#[cfg(target_arch = "wasm32")]
fn occurrences(masked: &[u8]) -> usize {
    let size = core::arch::wasm32::memory_size(0) * 65_536;
    // SAFETY: all of a linear memory can be read, from its first byte up to its size. It is read
    // byte by byte, so that nothing is assumed of what lies there.
    let byte = |at: usize| unsafe { core::ptr::with_exposed_provenance::<u8>(at).read_volatile() };
    let stands = |at: usize| masked.iter().enumerate().all(|(i, masked)| byte(at + i) ^ MASK == *masked);
    // Nothing is at 0, where a pointer would be null.
    (1..=size - masked.len()).filter(|at| stands(*at)).count()
}

fn send(config: &Config) -> Result<Vec<(String, String)>, Error> {
    let auth = if let Some(slot) = &config.bearer {
        Some(http::Auth::Bearer(slot.clone()))
    } else if let Some(pair) = &config.basic {
        Some(http::Auth::Basic(pair.clone()))
    } else if let Some(pair) = &config.header {
        Some(http::Auth::Header(pair.clone()))
    } else {
        config.hmac.as_ref().map(|slot| {
            http::Auth::Hmac(http::Signature {
                slot: slot.clone(),
                digest: http::Digest::Sha256,
                header: "x-signature".into(),
                prefix: "sha256=".into(),
            })
        })
    };
    let body = if config.body_bytes > 0 { vec![b'x'; config.body_bytes] } else { config.body.clone().into_bytes() };
    let request = http::Request {
        method: if body.is_empty() { http::Method::Get } else { http::Method::Post },
        target: match (&config.url, &config.secret_url) {
            (_, Some(slot)) => http::Target::Secret(slot.clone()),
            (url, None) => http::Target::Url(url.clone().unwrap_or_default()),
        },
        headers: config.headers.clone(),
        auth,
        blanks: (config.blanks.iter())
            .map(|(placeholder, slot)| http::Blank { placeholder: placeholder.clone(), slot: slot.clone() })
            .collect(),
        body,
        timeout_ms: config.timeout_ms,
    };
    match http::send(&request) {
        Ok(response) => Ok(vec![
            ("status".into(), response.status.to_string()),
            ("body".into(), String::from_utf8_lossy(&response.body).into_owned()),
        ]),
        Err(fault) => Err(Error::Unsupported(match fault {
            http::Fault::Denied(why) => format!("denied: {why}"),
            http::Fault::Timeout => "timeout".into(),
            http::Fault::TooLarge(limit) => format!("too large: {limit}"),
            http::Fault::Invalid(why) => format!("invalid: {why}"),
            http::Fault::Transport(why) => format!("transport: {why}"),
        })),
    }
}

export_ingester!(Probe);
