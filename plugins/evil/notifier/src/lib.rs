//! A test guest: a notifier that attacks as it is told.

use anomd_notifier::bindings::exports::anomd::plugin::notify;
use anomd_notifier::{Alert, Descriptor, Error, Notifier, guest};

struct Evil;

impl Notifier for Evil {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        evil::describe()
    }

    fn deliver(_: &serde_json::Value, _: &Alert) -> Result<String, Error> {
        Ok(String::new())
    }
}

impl notify::Guest for Evil {
    fn deliver(config: String, alerts: Vec<Alert>) -> Vec<Result<String, Error>> {
        let all = |receipt: &str| alerts.iter().map(|_| Ok(receipt.to_owned())).collect();
        match evil::begin(&config, "deliver").as_str() {
            "few" => vec![],
            "many" => vec![Ok(String::new()); 100_000],
            "giant" => all(&"thanks! ".repeat(1 << 20)),
            "moving" => all("\u{1b}[2J\u{7}"),
            "complain" => alerts.iter().map(|_| Err(evil::complain())).collect(),
            _ => all("sent"),
        }
    }
}

guest::export_about!(Evil as Notifier);
#[cfg(not(target_family = "wasm"))]
const _: () = guest::keep::<Evil>();
#[cfg(target_family = "wasm")]
anomd_notifier::bindings::export!(Evil with_types_in anomd_notifier::bindings);
