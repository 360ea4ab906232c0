//! What may be a name: of a batch, of a model, of a component.

/// What is wrong with a name, and what to do.
pub type Checked = Result<String, (String, String)>;

/// A name that keys of the store and addresses are made of; the error says what is wrong, and
/// what to do.
pub fn name(text: &str) -> Checked {
    let sound = text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if sound {
        return Ok(text.to_owned());
    }
    let remedy = "use up to 100 letters, digits, `_`, `-` and `.`, with a letter or digit first";
    Err((format!("{text:?} cannot be a name"), remedy.to_owned()))
}

/// A component's name; `prometheus.py` means the component `prometheus`.
pub fn component(text: &str) -> Checked {
    let text = text.trim();
    if text.contains('\n') || text.contains("{%") {
        return Err((
            "is source code or a template of it, which anomd does not run".to_owned(),
            "name a component: prometheus".to_owned(),
        ));
    }
    let stem =
        text.rsplit_once('.').filter(|(_, end)| matches!(*end, "py" | "js" | "wasm")).map_or(text, |(stem, _)| stem);
    let stem = stem.to_lowercase();
    let sound = stem.starts_with(|c: char| c.is_ascii_alphanumeric())
        && stem.len() <= 64
        && stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match sound {
        true => Ok(stem),
        false => Err((format!("{text:?} is not a component's name"), "use letters, digits, `-` and `_`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anomstacks_spelling_of_a_component_is_understood() {
        for (text, plugin) in
            [("prometheus", "prometheus"), ("prometheus.py", "prometheus"), ("PCA", "pca"), ("a-b_2.wasm", "a-b_2")]
        {
            assert_eq!(component(text).as_deref(), Ok(plugin), "{text}");
        }
        for text in ["", "../x", "x.sh", "def ingest():\n  pass", "{% include 'x' %}", "-x"] {
            assert!(component(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_can_stand_in_a_path() {
        assert!(name("orders-eu.2_x").is_ok());
        for text in ["", ".hidden", "a/b", "a b", "ä", &"x".repeat(101)] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
