//! What figures must be at least or at most: for CI.

use std::str::FromStr;

use super::CliError;
use crate::eval::Summary;

/// A figure and what it must be at least, or at most.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    figure: String,
    value: f64,
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Summary::FIGURES.join(", ");
        let (figure, value) = text.split_once('=').ok_or("write vus_pr=0.4")?;
        // Up to and with the `@` it is a figure, and after it a threshold.
        let (name, at) = figure.split_at(figure.find('@').map_or(figure.len(), |place| place + 1));
        if !Summary::FIGURES.contains(&name) {
            return Err(format!("{figure:?} is no figure: they are {known}"));
        }
        if name.ends_with('@') {
            threshold(at)?;
        }
        let value = value.parse().map_err(|_| format!("{value:?} is no number: write vus_pr=0.4"))?;
        Ok(Self { figure: figure.to_owned(), value })
    }
}

/// A threshold of the command line.
pub(super) fn threshold(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| format!("{text:?} is no threshold: write a number from 0 to 1"))
}

/// Whether all that was asked for is reached.
pub(super) fn held(min: &[Bound], max: &[Bound], summaries: &[Summary], detector: &str) -> Result<(), CliError> {
    let mut short = Vec::new();
    let bounds = min.iter().map(|bound| (bound, "least")).chain(max.iter().map(|bound| (bound, "most")));
    for (Bound { figure, value }, side) in bounds {
        let own = summaries.iter().filter(|summary| summary.detector == detector);
        let reached: Vec<(&str, f64)> = own.filter_map(|s| Some((s.set.as_str(), s.figure(figure)?))).collect();
        if reached.is_empty() {
            short.push(format!("no set has the figure {figure}: a threshold has to be one of --threshold"));
        }
        let beyond = reached.iter().filter(|(_, is)| if side == "least" { is < value } else { is > value });
        short.extend(
            beyond.map(|(set, is)| format!("{figure} of {detector} on {set} is {is:.4}, where {value} is the {side}")),
        );
    }
    if short.is_empty() { Ok(()) } else { Err(CliError::Run(short.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_too_low_or_not_there_fails() {
        assert_eq!("vus_pr=0.4".parse(), Ok(Bound { figure: "vus_pr".into(), value: 0.4 }));
        assert_eq!("recall@0.7=0.8".parse(), Ok(Bound { figure: "recall@0.7".into(), value: 0.8 }));
        assert!("vus=0.4".parse::<Bound>().unwrap_err().contains("they are vus_pr, auc_pr"));
        assert!("recall@7=0.4".parse::<Bound>().unwrap_err().contains("is no threshold"));
        assert!("vus_pr@0.7=0.4".parse::<Bound>().unwrap_err().contains("is no figure"));
        assert!("f1=much".parse::<Bound>().unwrap_err().contains("is no number"));
        let least = ["nab_standard=50".parse().unwrap()];
        let error = held(&least, &[], &[], "robust").unwrap_err();
        assert!(error.to_string().starts_with("no set has the figure nab_standard"), "{error}");
        assert!(matches!(error, CliError::Run(_)));
    }
}
