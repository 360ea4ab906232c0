//! Prompts of the operator: text with `{{name}}` in it.
//!
//! One pass: what is put in is not looked at again, so a metric named `{{series}}` stays a
//! name.

/// The places of a template: what is before each, and the name in it.
fn places(template: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(template);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some((before, after)) = text.split_once("{{") else { return Some((text, None)) };
        let Some((name, after)) = after.split_once("}}") else { return Some((text, None)) };
        rest = Some(after);
        Some((before, Some(name.trim())))
    })
}

/// The text with its places filled; one that `value` does not know is left empty.
pub fn render(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    for (before, name) in places(template) {
        text += before;
        text += &name.and_then(&value).unwrap_or_default();
    }
    text
}

/// Whether a name has a place.
pub fn has(template: &str, name: &str) -> bool {
    places(template).any(|(_, place)| place == Some(name))
}

/// The first name that is none of the known.
pub fn unknown<'a>(template: &'a str, known: &[&str]) -> Option<&'a str> {
    places(template).filter_map(|(_, name)| name).find(|name| !known.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let value = |name: &str| (name == "name").then(|| "{{series}} {{name}}".to_owned());
        assert_eq!(render("a {{name}} b {{ name }}", value), "a {{series}} {{name}} b {{series}} {{name}}");
        assert_eq!(render("{{other}}x{{", value), "x{{");
        assert_eq!(render("no place", value), "no place");
    }

    #[test]
    fn names_that_nothing_fills_are_found() {
        assert_eq!(unknown("{{name}} {{nmae}}", &["name"]), Some("nmae"));
        assert_eq!(unknown("{{name}} {{", &["name"]), None);
        assert!(has("{{ series }}", "series") && !has("series", "series"));
    }
}
