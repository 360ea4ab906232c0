//! The configuration: what the operator wrote, typed, and what the schema cannot check.

use anomd_analyst::Problem;
use serde::Deserialize;

use crate::prompt::Task;
use crate::template;

/// The model of this name is one of `models`.
const RANDOM: &str = "random";

/// See `schema.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    pub url: String,
    pub auth: Auth,
    pub model: String,
    pub models: Vec<String>,
    pub detection_prompt: Option<String>,
    pub verification_prompt: Option<String>,
    pub explanation_prompt: Option<String>,
    pub verify: bool,
    pub max_points: usize,
    pub rounding: i8,
    pub include_chart: bool,
    pub max_output_tokens: u32,
    pub temperature: Option<f64>,
    /// The zone of the batch, which the host adds.
    pub timezone: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "https://api.openai.com/v1".into(),
            auth: Auth::Bearer,
            model: "gpt-5-mini".into(),
            models: Vec::new(),
            detection_prompt: None,
            verification_prompt: None,
            explanation_prompt: None,
            verify: true,
            max_points: 1000,
            rounding: -1,
            include_chart: true,
            max_output_tokens: 8000,
            temperature: None,
            timezone: "UTC".into(),
        }
    }
}

/// How the server knows us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// By the secret `openai_api_key`.
    Bearer,
    /// It does not.
    None,
}

impl Config {
    /// The operator's own words for a task.
    pub fn prompt(&self, task: Task) -> Option<&str> {
        match task {
            Task::Detect => self.detection_prompt.as_deref(),
            Task::Verify => self.verification_prompt.as_deref(),
            Task::Explain => self.explanation_prompt.as_deref(),
        }
    }

    /// The model of a call, whose seed is the same in every attempt.
    pub fn model(&self, seed: u64) -> &str {
        let count = self.models.len() as u64;
        match usize::try_from(seed.checked_rem(count).unwrap_or(0)) {
            Ok(index) if self.model == RANDOM => self.models.get(index).map_or(RANDOM, String::as_str),
            _ => &self.model,
        }
    }
}

/// What the schema cannot say.
pub fn check(config: &Config) -> Vec<Problem> {
    let problem = |pointer: &str, message: String| Problem { pointer: pointer.into(), message };
    let mut problems = Vec::new();
    match (config.model == RANDOM, config.models.is_empty()) {
        (true, true) => problems.push(problem("/model", "random chooses from models: add models".into())),
        (false, false) => {
            problems
                .push(problem("/models", "only model: random chooses from models: set it, or remove models".into()));
        }
        (true, false) | (false, true) => {}
    }
    for task in Task::ALL {
        let unknown = config.prompt(task).and_then(|text| template::unknown(text, task.variables()));
        if let Some(unknown) = unknown {
            let known: Vec<String> = task.variables().iter().map(|name| format!("{{{{{name}}}}}")).collect();
            problems.push(problem(
                &format!("/{}", task.key()),
                format!("nothing is put in place of {{{{{unknown}}}}}: write one of {}", known.join(", ")),
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_random_model_is_the_same_in_every_attempt_of_a_call() {
        let random = config(r#"{"model": "random", "models": ["a", "b", "c"]}"#);
        assert_eq!([0, 1, 2, 4, u64::MAX].map(|seed| random.model(seed)), ["a", "b", "c", "b", "a"]);
        assert_eq!(config("{}").model(7), "gpt-5-mini");
        assert_eq!(config(r#"{"model": "llama3.2"}"#).model(7), "llama3.2");
    }

    #[test]
    fn what_would_not_do_what_it_says_is_a_problem() {
        let told = |json| {
            let problems = check(&config(json)).into_iter().map(|p| format!("{}: {}", p.pointer, p.message));
            problems.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(r#"{"model": "random"}"#), "/model: random chooses from models: add models");
        assert!(told(r#"{"models": ["a"]}"#).starts_with("/models: "));
        assert_eq!(
            told(r#"{"explanation_prompt": "Why {{ name }}? {{cause}}"}"#),
            "/explanation_prompt: nothing is put in place of {{cause}}: write one of {{name}}, {{labels}}, \
             {{points}}, {{timezone}}, {{series}}, {{alert}}"
        );
        assert!(told(r#"{"detection_prompt": "{{found}}"}"#).starts_with("/detection_prompt: "));
        assert_eq!(told(r#"{"verification_prompt": "{{found}} in {{series}} of {{name}}"}"#), "");
    }
}
