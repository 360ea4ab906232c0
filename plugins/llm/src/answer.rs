//! What a model answered, believed only after it was checked.
//!
//! Each error is a sentence for the model, which may try again, and for the operator.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::prose::harmless;
use crate::window::Window;

/// Anomalies that one look may find.
pub const MOST_ANOMALIES: usize = 20;
/// Characters of a description, of an explanation.
const DESCRIPTION: usize = 1_000;
const EXPLANATION: usize = 4_000;
/// Characters of an answer that an error quotes.
const QUOTED: usize = 100;

/// A part of a series that does not fit. The text is harmless Markdown.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    pub start: i64,
    pub end: i64,
    pub score: f64,
    pub text: String,
}

/// The answer to a search: instants are of the series, in order.
pub fn anomalies(text: &str, window: &Window<'_>) -> Result<Vec<Anomaly>, String> {
    #[derive(Deserialize)]
    struct Answer {
        anomalies: Vec<Found>,
    }
    #[derive(Deserialize)]
    struct Found {
        start: String,
        end: String,
        score: f64,
        description: String,
    }
    let Answer { anomalies } = object(text)?;
    if anomalies.len() > MOST_ANOMALIES {
        return Err(format!("there are {} anomalies, where {MOST_ANOMALIES} are allowed", anomalies.len()));
    }
    let check = |(index, found): (usize, Found)| {
        let place = |key: &str| format!("anomalies[{index}].{key}");
        let instant = |key: &str, text: &str| {
            let wrong = || format!("{} is {:?}, which is no time of the series", place(key), excerpt(text));
            window.instant(text).ok_or_else(wrong)
        };
        let (start, end) = (instant("start", &found.start)?, instant("end", &found.end)?);
        if start > end {
            return Err(format!("{} is after its end", place("start")));
        }
        let score = score(&place("score"), found.score)?;
        Ok(Anomaly { start, end, score, text: words(&place("description"), &found.description, DESCRIPTION)? })
    };
    anomalies.into_iter().enumerate().map(check).collect()
}

/// The answer to a check: the candidates that are real, with what is said of them now. One
/// without a verdict is not confirmed.
pub fn confirmed(text: &str, candidates: &[Anomaly]) -> Result<Vec<Anomaly>, String> {
    #[derive(Deserialize)]
    struct Answer {
        verdicts: Vec<Verdict>,
    }
    #[derive(Deserialize)]
    struct Verdict {
        index: usize,
        real: bool,
        score: f64,
        description: String,
    }
    let Answer { verdicts } = object(text)?;
    let mut left: Vec<Option<&Anomaly>> = candidates.iter().map(Some).collect();
    let mut real = Vec::new();
    for (at, verdict) in verdicts.into_iter().enumerate() {
        let place = |key: &str| format!("verdicts[{at}].{key}");
        let candidate = left.get_mut(verdict.index).and_then(Option::take).ok_or_else(|| {
            format!(
                "{} is {}: each of the {} candidates has one verdict",
                place("index"),
                verdict.index,
                candidates.len()
            )
        })?;
        if !verdict.real {
            continue;
        }
        let score = score(&place("score"), verdict.score)?;
        let text = words(&place("description"), &verdict.description, DESCRIPTION)?;
        real.push(Anomaly { score, text, ..*candidate });
    }
    real.sort_by_key(|anomaly| anomaly.start);
    Ok(real)
}

/// The explanation of an alert, and how sure the model is that it is a real anomaly.
pub fn explanation(text: &str) -> Result<(String, f64), String> {
    #[derive(Deserialize)]
    struct Answer {
        explanation: String,
        score: f64,
    }
    let Answer { explanation, score: sure } = object(text)?;
    Ok((words("explanation", &explanation, EXPLANATION)?, score("score", sure)?))
}

/// The JSON object of an answer. Models without structured output put it into a fence, or
/// behind what they thought.
fn object<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let said = text.rsplit_once("</think>").map_or(text, |(_, said)| said);
    let object = match (said.find('{'), said.rfind('}')) {
        (Some(from), Some(to)) => said.get(from..=to),
        _ => None,
    };
    let object = object.ok_or_else(|| format!("there is no JSON object in {:?}", excerpt(said)))?;
    serde_json::from_str(object).map_err(|e| format!("the JSON does not fit the schema: {e}"))
}

fn score(place: &str, score: f64) -> Result<f64, String> {
    if (0.0..=1.0).contains(&score) { Ok(score) } else { Err(format!("{place} is {score}, not 0 to 1")) }
}

fn words(place: &str, text: &str, most: usize) -> Result<String, String> {
    let text = harmless(text, most);
    if text.is_empty() { Err(format!("{place} says nothing")) } else { Ok(text) }
}

fn excerpt(text: &str) -> String {
    text.trim().chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const BEGIN: i64 = 1_767_621_780_000;
    const TIMES: [i64; 3] = [BEGIN, BEGIN + 60_000, BEGIN + 120_000];

    fn found(json: &str) -> Result<Vec<Anomaly>, String> {
        anomalies(json, &Window::new(&TIMES, &[1.0; 3], &[], &Config::default()))
    }

    fn anomaly(start: &str, end: &str, score: &str, text: &str) -> String {
        format!(
            r#"{{"start": "2026-01-05T{start}Z", "end": "2026-01-05T{end}Z", "score": {score}, "description": "{text}"}}"#
        )
    }

    #[test]
    fn an_answer_that_fits_is_taken_from_a_fence_or_from_behind_a_thought() {
        let json = format!(r#"{{"anomalies": [{}]}}"#, anomaly("14:03:00", "14:04:00", "0.9", "**high**"));
        let expected = [Anomaly { start: TIMES[0], end: TIMES[1], score: 0.9, text: "high".into() }];
        assert_eq!(found(&json).unwrap(), expected);
        assert_eq!(found(&format!("Here:\n```json\n{json}\n```\nBye")).unwrap(), expected);
        assert_eq!(found(&format!("<think>{{maybe}}</think>{json}")).unwrap(), expected);
        assert_eq!(found(r#"{"anomalies": []}"#).unwrap(), []);
    }

    #[test]
    fn an_answer_that_lies_is_refused_with_what_is_wrong() {
        let list = |items: &[String]| format!(r#"{{"anomalies": [{}]}}"#, items.join(","));
        let one = |start, end, score, text| found(&list(&[anomaly(start, end, score, text)])).unwrap_err();
        let ok = anomaly("14:03:00", "14:03:00", "0.9", "high");
        assert_eq!(
            one("14:03:30", "14:04:00", "1", "x"),
            "anomalies[0].start is \"2026-01-05T14:03:30Z\", which is no time of the series"
        );
        assert_eq!(one("14:05:00", "14:04:00", "1", "x"), "anomalies[0].start is after its end");
        assert_eq!(one("14:03:00", "14:03:00", "95", "x"), "anomalies[0].score is 95, not 0 to 1");
        assert_eq!(one("14:03:00", "14:03:00", "1", "![](x)"), "anomalies[0].description says nothing");
        assert_eq!(found(&list(&vec![ok; 21])).unwrap_err(), "there are 21 anomalies, where 20 are allowed");
        assert_eq!(found("I cannot help").unwrap_err(), "there is no JSON object in \"I cannot help\"");
        for wrong in [r#"{"anomalies": [{"start": 1}]}"#, "{\"anomalies\": NaN}", "{}", "}{"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
        assert!(one("14:03:00", "14:03:00", "1e999", "x").contains("JSON"));
    }

    #[test]
    fn only_what_is_confirmed_stays() {
        let candidate = |time| Anomaly { start: time, end: time, score: 0.5, text: "odd".into() };
        let candidates = TIMES.map(candidate);
        let check = |verdicts: &str| confirmed(&format!(r#"{{"verdicts": [{verdicts}]}}"#), &candidates);
        let verdict =
            |index: u32, real| format!(r#"{{"index": {index}, "real": {real}, "score": 0.8, "description": "so"}}"#);
        let kept = check(&[verdict(2, true), verdict(1, false), verdict(0, true)].join(",")).unwrap();
        assert_eq!(
            kept.iter().map(|a| (a.start, a.score, a.text.as_str())).collect::<Vec<_>>(),
            [(TIMES[0], 0.8, "so"), (TIMES[2], 0.8, "so")]
        );
        assert_eq!(check("").unwrap(), []);
        let twice = [verdict(0, true), verdict(0, true)].join(",");
        assert_eq!(check(&twice).unwrap_err(), "verdicts[1].index is 0: each of the 3 candidates has one verdict");
        assert!(check(&verdict(3, true)).is_err());
    }

    #[test]
    fn an_explanation_has_words_and_a_score() {
        assert_eq!(explanation(r#"{"explanation": "It rose.", "score": 1}"#).unwrap(), ("It rose.".into(), 1.0));
        assert!(explanation(r#"{"explanation": " ", "score": 1}"#).is_err());
        assert!(explanation(r#"{"explanation": "It rose."}"#).is_err());
        let long = format!(r#"{{"explanation": "{}", "score": 1}}"#, "word ".repeat(5_000));
        assert_eq!(explanation(&long).unwrap().0.chars().count(), EXPLANATION);
    }
}
