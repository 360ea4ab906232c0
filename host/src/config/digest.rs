//! One digest for equal configurations.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256, in hex, of a JSON value with the keys of every object sorted and no white
/// space: the order in which a file names its keys does not matter.
pub fn config_digest(config: &Value) -> String {
    let mut config = config.clone();
    config.sort_all_objects();
    hex(&Sha256::digest(config.to_string()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_their_values_do() {
        let digest = |text: &str| config_digest(&serde_json::from_str(text).unwrap());
        assert_eq!(digest(r#"{"a": [{"x": 1, "y": 2}], "b": null}"#), digest(r#"{"b":null,"a":[{"y":2,"x":1}]}"#));
        assert_ne!(digest(r#"{"a": [1, 2]}"#), digest(r#"{"a": [2, 1]}"#));
        // What `printf '{}' | sha256sum` prints.
        assert_eq!(digest("{ }"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
