//! What the parts of a score mean, in words.

/// The names that the bundled detectors give the parts of their scores, and what they say.
const WORDS: [(&str, &str); 11] = [
    ("winknn-short", "an unusual spike or kink"),
    ("winknn-mid", "an unusual shape"),
    ("winknn-long", "an unusual course"),
    ("winknn-longest", "an unusual course over hours"),
    ("winknn-level", "an unusual course or level"),
    ("winknn-level-long", "an unusual course or level over hours"),
    ("ewma-resid", "a sudden jump"),
    ("seasonal-resid", "an unusual value for this time"),
    ("level-shift", "another level for some minutes"),
    ("pca", "steps that do not go together as usual"),
    ("knn", "unlike anything before"),
];

/// A part of a score in words; one that nobody knows keeps its name.
pub(super) fn words(term: &str) -> &str {
    WORDS.iter().find(|(name, _)| *name == term).map_or(term, |(_, words)| words)
}
