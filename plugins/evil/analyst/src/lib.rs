//! A test guest: an analyst that attacks as it is told.

use anomd_analyst::{Analysis, Analyst, Descriptor, Error, Insight, Loss, Samples, Subject, Usage, export_analyst};

struct Evil;

impl Analyst for Evil {
    type Config = serde_json::Value;

    fn describe() -> Descriptor {
        evil::describe()
    }

    fn analyse(config: &serde_json::Value, recent: &Samples, _: &[Subject]) -> Result<Analysis, Error> {
        let at = recent.timestamps.first().copied().unwrap_or_default();
        let one = || Insight { subject: 0, start: at, end: at, score: 0.5, text: "so".into() };
        let usage = Usage { calls: 1, input_tokens: 1, output_tokens: 1 };
        let say = |insights| Analysis { author: "evil".into(), insights, lost: vec![], usage };
        Ok(match evil::begin(&config.to_string(), "analyse").as_str() {
            "complain" => return Err(evil::complain()),
            "other-subject" => say(vec![Insight { subject: u32::MAX, ..one() }]),
            "other-time" => say(vec![Insight { start: i64::MIN, end: i64::MAX, ..one() }]),
            "no-score" => say(vec![Insight { score: f64::NAN, ..one() }]),
            "no-text" => say(vec![Insight { text: " ".into(), ..one() }]),
            "giant-text" => say(vec![Insight { text: "word ".repeat(1 << 20), ..one() }]),
            "many" => say(vec![one(); 50_000]),
            "lost-twice" => {
                let loss = || Loss { subject: 0, error: evil::complain() };
                Analysis { lost: vec![loss(), loss()], ..say(vec![]) }
            }
            "giant-author" => Analysis { author: "me ".repeat(1 << 20), ..say(vec![one()]) },
            _ => say(vec![one()]),
        })
    }
}

export_analyst!(Evil);
