//! What an upgrade of a plugin changes of what it is and may ask for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a plugin is compared by: all that decides what it could do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// The version that it says it is.
    pub version: String,
    /// What it is for.
    pub role: String,
    /// The version of the contract that it was built against.
    pub contract: String,
    /// What it imports: `anomd:plugin/http@0.1.0`.
    pub imports: Vec<String>,
    /// The origins that it would like to reach.
    pub origins: Vec<String>,
    /// The slots of secrets that it can use.
    pub secrets: Vec<String>,
}

/// A thing that is one and becomes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// `version`, `role`, `contract`, `import`, `origin` or `secret`.
    pub what: String,
    /// What goes; `None`: it is new.
    pub old: Option<String>,
    /// What comes; `None`: it is gone.
    pub new: Option<String>,
}

/// All that an upgrade changes; nothing in it where only the code differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Difference {
    /// The changes.
    pub changes: Vec<Change>,
}

impl Difference {
    /// From one to another.
    pub fn between(old: &Profile, new: &Profile) -> Self {
        let mut changes = Vec::new();
        for (what, old, new) in [
            ("version", &old.version, &new.version),
            ("role", &old.role, &new.role),
            ("contract", &old.contract, &new.contract),
        ] {
            if old != new {
                let old = Some(old.clone()).filter(|old| !old.is_empty());
                changes.push(Change { what: what.to_owned(), old, new: Some(new.clone()) });
            }
        }
        for (what, old, new) in [
            ("import", &old.imports, &new.imports),
            ("origin", &old.origins, &new.origins),
            ("secret", &old.secrets, &new.secrets),
        ] {
            let (old, new): (BTreeSet<&String>, BTreeSet<&String>) = (old.iter().collect(), new.iter().collect());
            let gone = old.difference(&new).map(|item| (Some((*item).clone()), None));
            let come = new.difference(&old).map(|item| (None, Some((*item).clone())));
            changes.extend(gone.chain(come).map(|(old, new)| Change { what: what.to_owned(), old, new }));
        }
        Self { changes }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("  it is the same in all that it says of itself; only its code differs");
        }
        for (number, Change { what, old, new }) in self.changes.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match (old, new) {
                (Some(old), Some(new)) => write!(f, "  {what}: {old} → {new}")?,
                (Some(old), None) => write!(f, "  - {what} {old}")?,
                (None, new) => write!(f, "  + {what} {}", new.as_deref().unwrap_or_default())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_comes_goes_or_changes_is_shown() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let old = Profile {
            version: "1.0.0".to_owned(),
            role: "notifier".to_owned(),
            contract: "0.1.0".to_owned(),
            imports: texts(&["anomd:plugin/http@0.1.0", "anomd:plugin/log@0.1.0"]),
            origins: texts(&["https://hooks.example.com"]),
            secrets: texts(&["token"]),
        };
        let new = Profile {
            version: "1.1.0".to_owned(),
            contract: "0.1.1".to_owned(),
            imports: texts(&["anomd:plugin/http@0.1.0", "anomd:plugin/kv@0.1.0"]),
            origins: texts(&["https://elsewhere.example", "https://hooks.example.com"]),
            secrets: texts(&["password"]),
            ..old.clone()
        };
        let told = Difference::between(&old, &new).to_string();
        let lines = [
            "  version: 1.0.0 → 1.1.0",
            "  contract: 0.1.0 → 0.1.1",
            "  - import anomd:plugin/log@0.1.0",
            "  + import anomd:plugin/kv@0.1.0",
            "  + origin https://elsewhere.example",
            "  - secret token",
            "  + secret password",
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), lines);
        assert!(Difference::between(&old, &old).to_string().contains("only its code differs"));
    }
}
