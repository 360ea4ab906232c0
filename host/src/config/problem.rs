//! What is wrong with what the operator wrote: where it stands, what it is, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::pointer;

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// The first character of a file.
    pub fn start(file: &Path) -> Self {
        Self { file: file.into(), line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but something in it does not do what one could think.
    Warning,
}

/// One problem. Its text is
/// `file:line:column: key (pointer): what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// RFC 6901 pointer into the file; empty for the file as a whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub remedy: String,
}

impl Problem {
    /// A problem for which the file cannot be used.
    pub fn error(
        place: Place,
        pointer: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            place,
            severity: Severity::Error,
            pointer: pointer.into(),
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// A problem with which the file can be used.
    pub fn warning(
        place: Place,
        pointer: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, pointer, message, remedy) }
    }

    /// The last name of the pointer.
    fn key(&self) -> String {
        pointer::unescape(self.pointer.rsplit('/').next().unwrap_or_default())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{} ({}): ", self.key(), self.pointer)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// All problems of a file or a folder: as an error, one line each, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one, at its place among the others; the same one twice is once.
    pub fn push(&mut self, problem: Problem) {
        if let Err(at) = self.0.binary_search(&problem) {
            self.0.insert(at, problem);
        }
    }

    /// All of them, by file and line.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        problems.into_iter().for_each(|problem| self.push(problem));
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut all = Self::default();
        all.extend(problems);
        all
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A file that cannot be read at all.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "create it, or name another one",
        std::io::ErrorKind::PermissionDenied => "let the user that anomd runs as read it",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "make it readable",
    };
    Problem::error(Place::start(path), "", format!("cannot be read: {error}"), remedy)
}

/// The known name that is nearest to a mistyped one, if one is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().min(name.len()).div_ceil(3))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_place_key_pointer_and_remedy() {
        let at = |line| Place { file: "b.yaml".into(), line, column: 3 };
        let problems: Problems = [
            Problem::warning(at(9), "/db", "has no effect", ""),
            Problem::error(at(2), "/model_configs/0/model~1params", "is 3", "write 4"),
            Problem::error(at(2), "/model_configs/0/model~1params", "is 3", "write 4"),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            problems.to_string(),
            "b.yaml:2:3: model/params (/model_configs/0/model~1params): is 3; write 4\n\
             b.yaml:9:3: warning: db (/db): has no effect"
        );
        assert!(problems.has_errors());
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["alert_threshold", "train_max_n", "step"];
        assert_eq!(nearest("alert_treshold", known), Some("alert_threshold"));
        assert_eq!(nearest("Step", known), Some("step"));
        assert_eq!(nearest("colour", known), None);
    }
}
