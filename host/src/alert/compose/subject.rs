//! How a series is called in a sentence: `cpu_usage of web-1`.

use crate::message::text::one_line;
use crate::series::Labels;
use crate::store::AlertRecord;

/// Labels that say whose a series is, the most telling first.
const OWNERS: [&str; 12] = [
    "instance",
    "pod",
    "host",
    "hostname",
    "node",
    "nodename",
    "service",
    "container",
    "app",
    "device",
    "queue",
    "job",
];
/// Labels that say little beside one of those.
const ASIDE: [&str; 4] = ["job", "namespace", "cluster", "env"];
/// Further labels that are named.
const FURTHER: usize = 3;
/// Characters of a name.
const CHARACTERS: usize = 90;

/// The series of an alert, in a few words. Where the batch has its own way of naming
/// (`metric_name`), that is the name.
pub fn subject(record: &AlertRecord) -> String {
    series_subject(&record.name, &record.labels)
}

/// The same of a series by its `metric_name` and labels.
pub fn series_subject(name: &str, labels: &Labels) -> String {
    let own = !name.is_empty() && name != labels.to_string();
    one_line(&if own { name.to_owned() } else { described(labels) }, CHARACTERS)
}

fn described(labels: &Labels) -> String {
    let name = labels.get(Labels::NAME).unwrap_or("a series");
    let rest: Vec<(&str, &str)> = labels.iter().filter(|(label, _)| *label != Labels::NAME).collect();
    let owner = match rest.as_slice() {
        [] => return name.to_owned(),
        [(_, only)] => return format!("{name} of {only}"),
        _ => OWNERS.into_iter().find_map(|owner| Some((owner, labels.get(owner)?))),
    };
    let is_further = |label: &str| match owner {
        Some((owner, _)) => label != owner && !ASIDE.contains(&label),
        None => true,
    };
    let further: Vec<String> = rest
        .into_iter()
        .filter(|(label, _)| is_further(label))
        .map(|(label, value)| format!("{label} {value}"))
        .collect();
    let mut text = name.to_owned();
    if let Some((_, owner)) = owner {
        text += " of ";
        text += owner;
    }
    let shown = further.get(..FURTHER).unwrap_or(&further);
    if !shown.is_empty() {
        let more = if further.len() > shown.len() { ", …" } else { "" };
        text += &format!(" ({}{more})", shown.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(pairs: &[(&str, &str)]) -> String {
        super::described(&Labels::new(pairs.iter().map(|(n, v)| (n.to_string(), v.to_string()))).unwrap())
    }

    #[test]
    fn a_series_is_called_by_its_name_and_whose_it_is() {
        assert_eq!(described(&[("__name__", "up")]), "up");
        assert_eq!(described(&[("__name__", "cpu_usage"), ("region", "eu")]), "cpu_usage of eu");
        assert_eq!(described(&[("__name__", "cpu"), ("instance", "web-1"), ("job", "node")]), "cpu of web-1");
        let cpu = [("__name__", "cpu"), ("instance", "web-1"), ("mode", "idle"), ("core", "3"), ("job", "node")];
        assert_eq!(described(&cpu), "cpu of web-1 (core 3, mode idle)");
        assert_eq!(described(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]), "a series (a 1, b 2, c 3, …)");
        assert_eq!(described(&[]), "a series");
    }
}
