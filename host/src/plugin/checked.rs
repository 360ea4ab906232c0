//! What plugins return, checked before anything else sees it.
//!
//! A text says what was wrong and where, for the author. Texts of plugins are cut and
//! cleaned of control characters rather than refused.

use std::collections::HashSet;

use super::{Analysis, Cause, Fitted, Insight, Judged, Loss, Needs, Page, Problem, Scored, Skip, Unread};
use crate::capability::log::{cut, printable};
use crate::config::Limits;
use crate::fault::PluginError;
use crate::series::{Kind, Labels, Millis, Samples};

/// Bytes of an error or a receipt.
const TEXT_BYTES: usize = 4 << 10;
/// Facts of a model, and the bytes of a name or value of one.
const FACTS: usize = 16;
const FACT_BYTES: usize = 128;
/// Bytes of a reason for one row, of the name of a part.
const REASON_BYTES: usize = 500;
/// Losses of one page.
const LOSSES: usize = 1_000;
/// Bytes of a cursor.
const CURSOR_BYTES: usize = 64 << 10;
/// Labels of one series.
const LABELS: usize = 128;
/// Bytes of a label's name, of its value.
const LABEL_BYTES: (usize, usize) = (1 << 10, 16 << 10);
/// Terms of a score.
const TERMS: usize = 32;
/// Bytes of a term's name.
const TERM_BYTES: usize = 64;
/// The last instant of the year 9999.
const LATEST: Millis = 253_402_300_799_999;
/// How far rounding may carry a score beyond 1.
const SLACK: f64 = 1e-9;
/// Problems of a configuration.
const PROBLEMS: usize = 100;

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong with it.
    pub what: String,
    /// The limit that it is over, if that is all: its key in `limits` of `anomd.yaml`.
    pub limit: Option<&'static str>,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { what, limit: None }
    }
}

/// An answer, or why it is refused.
pub(super) type Checked<T> = Result<T, Wrong>;

fn wrong<T>(what: String) -> Checked<T> {
    Err(what.into())
}

fn over<T>(limit: &'static str, what: String) -> Checked<T> {
    Err(Wrong { what, limit: Some(limit) })
}

/// Cut to a bound, without control characters.
pub(super) fn text(text: &str, bytes: usize) -> String {
    let kept = cut(text, bytes);
    let ellipsis = if kept.len() < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", printable(kept))
}

/// An error with bounded texts.
pub(super) fn error(error: PluginError) -> PluginError {
    let bounded = |message: String| text(&message, TEXT_BYTES);
    match error {
        PluginError::BadConfig(message) => PluginError::BadConfig(bounded(message)),
        PluginError::Unauthorized(message) => PluginError::Unauthorized(bounded(message)),
        PluginError::Busy(after) => PluginError::Busy(after),
        PluginError::Unavailable(message) => PluginError::Unavailable(bounded(message)),
        PluginError::Unsupported(message) => PluginError::Unsupported(bounded(message)),
        PluginError::Internal(message) => PluginError::Internal(bounded(message)),
    }
}

/// The columns of a page as they crossed.
pub(super) struct RawPage {
    pub keys: Vec<Vec<(String, String)>>,
    pub kinds: Vec<Kind>,
    pub offsets: Vec<u32>,
    pub timestamps: Vec<i64>,
    pub values: Vec<f64>,
    pub lost: Vec<Loss>,
    pub next: Option<Vec<u8>>,
}

/// A page of samples.
pub(super) fn page(raw: RawPage, limits: &Limits) -> Checked<Page> {
    if raw.keys.len() > limits.series_per_batch {
        let what = format!("it gave {} series, where {} are allowed", raw.keys.len(), limits.series_per_batch);
        return over("series_per_batch", what);
    }
    if let Some(time) = raw.timestamps.iter().find(|time| !(0..=LATEST).contains(*time)) {
        return wrong(format!("timestamp {time} is not within the years 1970 to 9999; the unit is milliseconds"));
    }
    if let Some(index) = raw.values.iter().position(|value| value.is_infinite()) {
        return wrong(format!("value {index} is infinite; NaN stands for a value that is missing"));
    }
    if raw.lost.len() > LOSSES {
        return wrong(format!("{} losses in one page, where {LOSSES} are allowed", raw.lost.len()));
    }
    let lost = raw.lost.into_iter();
    let mut lost: Vec<_> =
        lost.map(|loss| Loss { part: text(&loss.part, REASON_BYTES), error: error(loss.error) }).collect();
    // Labels are the remote side's: one series that we cannot keep is its own loss alone.
    let mut keys: Vec<Option<Labels>> = Vec::with_capacity(raw.keys.len());
    for (index, pairs) in raw.keys.into_iter().enumerate() {
        let key = labels(pairs);
        if let Err(why) = &key
            && lost.len() < LOSSES
        {
            lost.push(Loss { part: format!("series {index}"), error: PluginError::Unsupported(why.what.clone()) });
        }
        keys.push(key.ok());
    }
    let offsets = raw.offsets.into_iter().map(|offset| offset as usize).collect();
    let samples = Samples::new(keys, raw.kinds, offsets, raw.timestamps, raw.values)
        .map_err(|why| text(&why.to_string(), TEXT_BYTES))?;
    if let Some(next) = &raw.next
        && next.len() > CURSOR_BYTES
    {
        return wrong(format!("a cursor of {} bytes, where {CURSOR_BYTES} are allowed", next.len()));
    }
    Ok(Page { samples, lost, next: raw.next })
}

/// The labels of a series.
pub(super) fn labels(pairs: Vec<(String, String)>) -> Checked<Labels> {
    if pairs.len() > LABELS {
        return wrong(format!("a series of {} labels, where {LABELS} are allowed", pairs.len()));
    }
    for (name, value) in &pairs {
        if name.len() > LABEL_BYTES.0 || value.len() > LABEL_BYTES.1 {
            return wrong(format!(
                "label {:?} has a name of {} bytes and a value of {}, where {} and {} are allowed",
                text(name, 60),
                name.len(),
                value.len(),
                LABEL_BYTES.0,
                LABEL_BYTES.1
            ));
        }
        if name.chars().chain(value.chars()).any(char::is_control) {
            return wrong(format!("label {:?} has a control character", text(name, 60)));
        }
    }
    Ok(Labels::new(pairs).map_err(|why| why.to_string())?)
}

/// What a detector wants.
pub(super) fn needs(needs: Needs, limits: &Limits) -> Checked<Needs> {
    let most = limits.detector_call_bytes / size_of::<f64>();
    let wanted = needs.history.max(needs.context);
    if wanted > most {
        return over("detector_call_bytes", format!("it wants {wanted} columns at once, where {most} fit into a call"));
    }
    if needs.history == 0 {
        return wrong("it wants 0 columns of history".into());
    }
    Ok(needs)
}

/// One model a row, and one head: the whole where the plugin told none.
pub(super) fn fitted(fitted: Fitted, rows: usize, limits: &Limits) -> Checked<Fitted> {
    if fitted.models.len() != rows {
        return wrong(format!("{} models for {rows} rows", fitted.models.len()));
    }
    if let Some((row, model)) = fitted.models.iter().enumerate().find(|(_, model)| model.len() > limits.model_bytes) {
        let what =
            format!("the model of row {row} has {} bytes, where {} are allowed", model.len(), limits.model_bytes);
        return over("model_bytes", what);
    }
    let heads = if fitted.heads.is_empty() { fitted.models.iter().map(Vec::len).collect() } else { fitted.heads };
    if heads.len() != rows {
        return wrong(format!("{} heads of models for {rows} rows", heads.len()));
    }
    if let Some((row, (head, model))) =
        heads.iter().zip(&fitted.models).enumerate().find(|(_, (head, model))| **head > model.len())
    {
        return wrong(format!("the head of row {row} has {head} bytes, where its model has {}", model.len()));
    }
    let short = |(name, value): (String, String)| (text(&name, FACT_BYTES), text(&value, FACT_BYTES));
    let mut facts: Vec<Vec<_>> =
        (fitted.facts.into_iter()).map(|said| said.into_iter().take(FACTS).map(short).collect()).collect();
    facts.resize(rows, Vec::new());
    Ok(Fitted { models: fitted.models, heads, skipped: skipped(fitted.skipped, rows)?, facts })
}

/// The model of a table.
pub(super) fn model(model: Vec<u8>, limits: &Limits) -> Checked<Vec<u8>> {
    let (bytes, most) = (model.len(), limits.model_bytes);
    if bytes > most {
        return over("model_bytes", format!("the model has {bytes} bytes, where {most} are allowed"));
    }
    Ok(model)
}

/// Scores and terms, one a row of a table: as if each row were a series of one column.
pub(super) fn judged(judged: Judged, rows: usize) -> Checked<Judged> {
    let Judged { scores, terms } = judged;
    let Scored { scores, terms, .. } = scored(Scored { scores, terms, ..Scored::default() }, rows, 1)?;
    Ok(Judged { scores, terms })
}

/// Columns of `rows * tail` cells.
pub(super) fn scored(mut scored: Scored, rows: usize, tail: usize) -> Checked<Scored> {
    let cells = rows.saturating_mul(tail);
    scored.skipped = skipped(scored.skipped, rows)?;
    let without: HashSet<usize> = scored.skipped.iter().map(|skip| skip.row).collect();
    if scored.scores.len() != cells {
        return wrong(format!("{} scores for {rows} rows of {tail} columns", scored.scores.len()));
    }
    for (name, column) in [("expected", &scored.expected), ("lower", &scored.lower), ("upper", &scored.upper)] {
        if !column.is_empty() {
            finite(name, column, cells, tail, &without)?;
        }
    }
    if scored.terms.len() > TERMS {
        return wrong(format!("{} terms, where {TERMS} are allowed", scored.terms.len()));
    }
    let mut names = HashSet::new();
    for term in &scored.terms {
        let sound = !term.name.is_empty() && term.name.len() <= TERM_BYTES && !term.name.chars().any(char::is_control);
        if !sound {
            return wrong(format!("{:?} is no name of a term: 1 to {TERM_BYTES} bytes", text(&term.name, TERM_BYTES)));
        }
        if !names.insert(&term.name) {
            return wrong(format!("the term {:?} stands twice", term.name));
        }
        finite(&format!("term {:?}", term.name), &term.values, cells, tail, &without)?;
    }
    for (cell, score) in scored.scores.iter_mut().enumerate() {
        let row = cell / tail.max(1);
        if without.contains(&row) {
            *score = f64::NAN;
        } else if !score.is_nan() {
            if !(-SLACK..=1.0 + SLACK).contains(score) {
                return wrong(format!("the score of row {row}, column {}, is {score}, not 0 to 1", cell % tail.max(1)));
            }
            *score = score.clamp(0.0, 1.0);
        }
    }
    Ok(scored)
}

fn finite(name: &str, values: &[f64], cells: usize, tail: usize, without: &HashSet<usize>) -> Checked<()> {
    if values.len() != cells {
        return wrong(format!("{name} has {} values for {cells} scores", values.len()));
    }
    let tail = tail.max(1);
    match values.iter().enumerate().find(|(cell, value)| value.is_infinite() && !without.contains(&(cell / tail))) {
        Some((cell, value)) => {
            wrong(format!("{name} of row {}, column {}, is {value}; NaN stands for none", cell / tail, cell % tail))
        }
        None => Ok(()),
    }
}

fn skipped(skips: Vec<Skip>, rows: usize) -> Checked<Vec<Skip>> {
    let mut seen = HashSet::new();
    let mut checked = Vec::with_capacity(skips.len().min(rows));
    for skip in skips {
        if skip.row >= rows {
            return wrong(format!("it skips row {} of {rows}", skip.row));
        }
        if !seen.insert(skip.row) {
            return wrong(format!("it skips row {} twice", skip.row));
        }
        let cause = match skip.cause {
            Cause::Warming => Cause::Warming,
            Cause::Failed(why) => Cause::Failed(text(&why, REASON_BYTES)),
        };
        checked.push(Skip { row: skip.row, cause });
    }
    Ok(checked)
}

/// One result an alert.
pub(super) fn delivered(
    results: Vec<Result<String, PluginError>>,
    alerts: usize,
) -> Checked<Vec<Result<String, PluginError>>> {
    if results.len() != alerts {
        return wrong(format!("{} results for {alerts} alerts", results.len()));
    }
    Ok(results.into_iter().map(|result| result.map(|said| text(&said, TEXT_BYTES)).map_err(error)).collect())
}

/// What an analyst says of subjects, each with the first and the last instant of its samples.
pub(super) fn analysis(raw: Analysis, spans: &[(Millis, Millis)], limits: &Limits) -> Checked<Analysis> {
    let count = raw.insights.len();
    if count > limits.insights_per_call {
        let what = format!("it gave {count} insights, where {} are allowed", limits.insights_per_call);
        return over("insights_per_call", what);
    }
    let mut insights = Vec::with_capacity(count);
    for (index, Insight { subject, span: (start, end), score, text: said }) in raw.insights.into_iter().enumerate() {
        let Some((first, last)) = spans.get(subject) else {
            return wrong(format!("insight {index} is about subject {subject} of {}", spans.len()));
        };
        if start > end || start < *first || end > *last {
            return wrong(format!(
                "insight {index} is from {start} to {end}, where the samples of its subject are from {first} to {last}"
            ));
        }
        if !(-SLACK..=1.0 + SLACK).contains(&score) {
            return wrong(format!("the score of insight {index} is {score}, not 0 to 1"));
        }
        let said = text(said.trim(), limits.insight_text_bytes);
        if said.is_empty() {
            return wrong(format!("insight {index} has no text"));
        }
        insights.push(Insight { subject, span: (start, end), score: score.clamp(0.0, 1.0), text: said });
    }
    insights.sort_by_key(|insight| (insight.subject, insight.span));
    let mut seen = HashSet::new();
    let mut lost = Vec::new();
    for Unread { subject, error: why } in raw.lost {
        if subject >= spans.len() || !seen.insert(subject) {
            return wrong(format!("it lost subject {subject} of {}, or lost it twice", spans.len()));
        }
        lost.push(Unread { subject, error: error(why) });
    }
    Ok(Analysis { author: text(&raw.author, REASON_BYTES), insights, lost, usage: raw.usage })
}

/// Faults that a plugin found in its configuration.
pub(super) fn problems(problems: Vec<Problem>) -> Vec<Problem> {
    let bounded = |problem: Problem| {
        let pointer = text(&problem.pointer, REASON_BYTES);
        // A pointer that is none would lead nowhere: the whole configuration, then.
        let pointer = if pointer.is_empty() || pointer.starts_with('/') { pointer } else { String::new() };
        Problem { pointer, message: text(&problem.message, TEXT_BYTES) }
    };
    problems.into_iter().take(PROBLEMS).map(bounded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Term;

    fn limits() -> Limits {
        Limits { series_per_batch: 3, model_bytes: 8, detector_call_bytes: 800, ..Limits::default() }
    }

    fn raw() -> RawPage {
        RawPage {
            keys: vec![vec![("__name__".into(), "up".into())]],
            kinds: vec![],
            offsets: vec![0, 2],
            timestamps: vec![1, 2],
            values: vec![1.0, f64::NAN],
            lost: vec![],
            next: None,
        }
    }

    #[test]
    fn pages_that_lie_are_refused_with_what_is_wrong() {
        assert!(page(raw(), &limits()).is_ok());
        let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let errors: Vec<String> = [
            RawPage { offsets: vec![0, 1_000_000_000], ..raw() },
            RawPage { offsets: vec![0], ..raw() },
            RawPage { timestamps: vec![2, 1], ..raw() },
            RawPage { timestamps: vec![-1, 1], ..raw() },
            RawPage { values: vec![1.0, f64::INFINITY], ..raw() },
            RawPage { kinds: vec![Kind::Gauge; 2], ..raw() },
            RawPage { keys: vec![vec![]; 4], ..raw() },
            RawPage { keys: vec![label("a", "b"); 2], offsets: vec![0, 1, 2], ..raw() },
            RawPage { next: Some(vec![0; 70_000]), ..raw() },
        ]
        .into_iter()
        .map(|page| super::page(page, &limits()).map(|_| ()).unwrap_err().what)
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        the offsets of series 0 are not in order
        1 series have 0 kinds, 1 offsets, 2 timestamps and 2 values
        the timestamps of series up do not ascend
        timestamp -1 is not within the years 1970 to 9999; the unit is milliseconds
        value 1 is infinite; NaN stands for a value that is missing
        1 series have 2 kinds, 2 offsets, 2 timestamps and 2 values
        it gave 4 series, where 3 are allowed
        series {a="b"} stands twice
        a cursor of 70000 bytes, where 65536 are allowed
        "#);
    }

    #[test]
    fn a_series_whose_labels_cannot_be_kept_is_lost_alone() {
        let label = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let page = page(
            RawPage {
                keys: vec![label("a\u{7}", "b"), label("a", "b"), label("a", &"b".repeat(20_000))],
                offsets: vec![0, 1, 3, 4],
                timestamps: vec![1, 1, 2, 1],
                values: vec![1.0, 2.0, 3.0, 4.0],
                ..raw()
            },
            &limits(),
        )
        .unwrap();
        let kept: Vec<_> =
            page.samples.iter().map(|(key, _, times, values)| (key.to_string(), times, values)).collect();
        assert_eq!(kept, [(r#"{a="b"}"#.to_owned(), &[1, 2][..], &[2.0, 3.0][..])]);
        let lost: Vec<_> = page.lost.iter().map(|loss| format!("{}: {}", loss.part, loss.error)).collect();
        insta::assert_snapshot!(lost.join("\n"), @r#"
        series 0: not supported: label "a�" has a control character
        series 2: not supported: label "a" has a name of 1 bytes and a value of 20000, where 1024 and 16384 are allowed
        "#);
    }

    #[test]
    fn scores_that_lie_are_refused_with_what_is_wrong() {
        let sound = Scored { scores: vec![0.0, 1.0, f64::NAN, 1.0 + 1e-12], ..Scored::default() };
        assert_eq!(scored(sound.clone(), 2, 2).unwrap().scores[3], 1.0);
        let term = |name: &str, values: Vec<f64>| Term { name: name.into(), values };
        let skip = |row| Skip { row, cause: Cause::Warming };
        let errors: Vec<String> = [
            Scored { scores: vec![0.0; 3], ..sound.clone() },
            Scored { scores: vec![0.0, 1.0, 0.0, 1.5], ..sound.clone() },
            Scored { scores: vec![0.0, 1.0, f64::NEG_INFINITY, 0.5], ..sound.clone() },
            Scored { lower: vec![0.0; 3], ..sound.clone() },
            Scored { upper: vec![0.0, 0.0, 0.0, f64::INFINITY], ..sound.clone() },
            Scored { terms: vec![term("", vec![0.0; 4])], ..sound.clone() },
            Scored { terms: vec![term("a", vec![0.0; 4]), term("a", vec![0.0; 4])], ..sound.clone() },
            Scored { terms: vec![term("a", vec![0.0; 5])], ..sound.clone() },
            Scored { skipped: vec![skip(2)], ..sound.clone() },
            Scored { skipped: vec![skip(1), skip(1)], ..sound.clone() },
        ]
        .into_iter()
        .map(|scored| super::scored(scored, 2, 2).unwrap_err().what)
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        3 scores for 2 rows of 2 columns
        the score of row 1, column 1, is 1.5, not 0 to 1
        the score of row 1, column 0, is -inf, not 0 to 1
        lower has 3 values for 4 scores
        upper of row 1, column 1, is inf; NaN stands for none
        "" is no name of a term: 1 to 64 bytes
        the term "a" stands twice
        term "a" has 5 values for 4 scores
        it skips row 2 of 2
        it skips row 1 twice
        "#);
        // What stands in a skipped row does not matter, and is not passed on.
        let skipped = Scored { scores: vec![7.0, 9.0, 0.1, 0.2], skipped: vec![skip(0)], ..Scored::default() };
        assert!(scored(skipped, 2, 2).unwrap().scores[1].is_nan());
    }

    #[test]
    fn judgements_of_rows_that_lie_are_refused_with_what_is_wrong() {
        let sound = Judged { scores: vec![0.0, f64::NAN, 1.0 + 1e-12], terms: vec![] };
        assert_eq!(judged(sound.clone(), 3).unwrap().scores[2], 1.0);
        let errors = [
            judged(sound.clone(), 2),
            judged(Judged { scores: vec![0.0, 1.5], ..sound.clone() }, 2),
            judged(
                Judged { terms: vec![Term { name: "decision".into(), values: vec![f64::INFINITY; 3] }], ..sound },
                3,
            ),
        ];
        let errors: Vec<String> = errors.into_iter().map(|answer| answer.unwrap_err().what).collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        3 scores for 2 rows of 1 columns
        the score of row 1, column 0, is 1.5, not 0 to 1
        term "decision" of row 0, column 0, is inf; NaN stands for none
        "#);
        assert_eq!(model(vec![0; 9], &limits()).unwrap_err().what, "the model has 9 bytes, where 8 are allowed");
    }

    #[test]
    fn insights_that_lie_are_refused_with_what_is_wrong() {
        let limits = Limits { insights_per_call: 2, insight_text_bytes: 8, ..Limits::default() };
        let insight = |subject, span, score, text: &str| Insight { subject, span, score, text: text.to_owned() };
        let check = |insights: Vec<Insight>, lost: &[usize]| {
            let error = PluginError::Busy(None);
            let lost = lost.iter().map(|subject| Unread { subject: *subject, error: error.clone() }).collect();
            analysis(Analysis { insights, lost, ..Analysis::default() }, &[(10, 20), (15, 15)], &limits)
        };
        let sound = insight(1, (15, 15), 1.0 + 1e-12, "a rather\u{1b} long text");
        let taken = check(vec![sound.clone(), insight(0, (10, 20), 0.0, "ok")], &[1]).unwrap();
        assert_eq!(
            taken.insights.iter().map(|i| (i.subject, i.text.as_str())).collect::<Vec<_>>(),
            [(0, "ok"), (1, "a rather…")]
        );
        assert_eq!(taken.insights[1].score, 1.0);
        let one = |subject, span, score, text: &str| check(vec![insight(subject, span, score, text)], &[]);
        let errors = [
            one(2, (15, 15), 1.0, "x"),
            one(0, (9, 15), 1.0, "x"),
            one(1, (15, 16), 1.0, "x"),
            one(0, (16, 15), 1.0, "x"),
            one(0, (15, 16), f64::NAN, "x"),
            one(0, (15, 16), 1.1, "x"),
            one(0, (15, 16), 1.0, " \n"),
            check(vec![sound; 3], &[]),
            check(vec![], &[2]),
            check(vec![], &[0, 0]),
        ];
        let errors: Vec<String> = errors.into_iter().map(|answer| answer.unwrap_err().what).collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        insight 0 is about subject 2 of 2
        insight 0 is from 9 to 15, where the samples of its subject are from 10 to 20
        insight 0 is from 15 to 16, where the samples of its subject are from 15 to 15
        insight 0 is from 16 to 15, where the samples of its subject are from 10 to 20
        the score of insight 0 is NaN, not 0 to 1
        the score of insight 0 is 1.1, not 0 to 1
        insight 0 has no text
        it gave 3 insights, where 2 are allowed
        it lost subject 2 of 2, or lost it twice
        it lost subject 0 of 2, or lost it twice
        ");
    }

    #[test]
    fn models_needs_and_receipts_have_bounds() {
        let check = |models: Vec<Vec<u8>>, heads: Vec<usize>| {
            let rows = models.len().max(1);
            fitted(Fitted { models, heads, skipped: vec![], facts: vec![] }, rows, &limits())
        };
        let fit = |models: Vec<Vec<u8>>| check(models, vec![]).unwrap_err().what;
        let head = |heads: Vec<usize>| check(vec![vec![0; 4], vec![]], heads).map(|fitted| fitted.heads);
        let want = |history| needs(Needs { history, context: 0, refit: 0, joint: false }, &limits()).unwrap_err().what;
        let receipts = delivered(vec![], 1).unwrap_err().what;
        let heads = |heads: Vec<usize>| head(heads).unwrap_err().what;
        let heads = [heads(vec![4]), heads(vec![4, 0, 0]), heads(vec![5, 0]), heads(vec![0, 1])];
        let errors = [fit(vec![]), fit(vec![vec![0; 9]]), want(101), want(0), receipts].into_iter().chain(heads);
        let errors: Vec<String> = errors.collect();
        insta::assert_snapshot!(errors.join("\n"), @r"
        0 models for 1 rows
        the model of row 0 has 9 bytes, where 8 are allowed
        it wants 101 columns at once, where 100 fit into a call
        it wants 0 columns of history
        0 results for 1 alerts
        1 heads of models for 2 rows
        3 heads of models for 2 rows
        the head of row 0 has 5 bytes, where its model has 4
        the head of row 1 has 1 bytes, where its model has 0
        ");
        assert_eq!(head(vec![]).unwrap(), [4, 0], "where none is told, it is the whole");
        assert_eq!(head(vec![3, 0]).unwrap(), [3, 0]);
        assert_eq!(delivered(vec![Ok("ok\u{1b}".into())], 1).unwrap(), [Ok("ok\u{fffd}".to_owned())]);
    }
}
