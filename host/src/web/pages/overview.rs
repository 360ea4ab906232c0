//! What is wrong now, and the batches: how anomalous each was over time, and which series were
//! it most in a span that is brushed over the strips.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Pages;
use super::alert_row::AlertRow;
use super::batch::apart;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::{Moment, local, percent, read};
use crate::desk::tenants::Scope;
use crate::desk::{BatchHealth, FailingJob, Freshness, Overview, OverviewView, Ranking, instant};
use crate::series::Millis;
use crate::web::api::{Api, BatchView};
use crate::web::auth::Visitor;

const HOUR: Millis = 3_600_000;
/// The spans that one can choose, by what stands in the address.
const RANGES: [(&str, &str, Millis); 4] = [
    ("6h", "6 hours", 6 * HOUR),
    ("24h", "24 hours", 24 * HOUR),
    ("7d", "7 days", 168 * HOUR),
    ("14d", "14 days", 336 * HOUR),
];
/// The one that is shown unasked.
const USUAL: (&str, &str, Millis) = ("24h", "24 hours", 24 * HOUR);
/// Cells of a strip, and series in the table.
const CELLS: usize = 72;
const RANKED: usize = 15;

pub(super) fn register(pages: &mut Pages) {
    pages.add("", Scope::Read, get(show));
}

/// What stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    range: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    can_act: bool,
    /// Whether the visitor may write batches.
    writes: bool,
    tiles: Vec<Tile>,
    open: usize,
    alerts: Vec<AlertRow>,
    failing: Vec<FailingRow>,
    batches: Vec<BatchCard>,
    ranges: Vec<Choice>,
    range: &'static str,
    /// The span of the strips, in milliseconds, for the script that brushes.
    start: Millis,
    end: Millis,
    from: String,
    to: String,
    ranked: Vec<RankedRow>,
    ranked_span: String,
    ranked_problem: Option<String>,
}

/// A number that says how it is, and the page that says more.
struct Tile {
    name: &'static str,
    number: usize,
    /// What else there is to say.
    more: String,
    mood: &'static str,
    href: String,
}

struct Choice {
    name: &'static str,
    href: String,
    current: bool,
}

struct FailingRow {
    batch: String,
    job: String,
    state: String,
    href: String,
    since: Moment,
    runs: usize,
    blame: String,
    why: String,
}

struct BatchCard {
    batch: String,
    href: String,
    alerts_href: String,
    series: usize,
    firing: usize,
    unseen: usize,
    failing: usize,
    freshness: &'static str,
    mood: &'static str,
    newest: Option<Moment>,
    paused: bool,
    /// What keeps the batch from being taken up.
    problem: Option<String>,
    rate: String,
    one_of: usize,
    cells: Vec<Cell>,
    /// The strip in words.
    words: String,
}

struct Cell {
    x: usize,
    /// 0 to 5: how much of what was scored is over the threshold.
    level: usize,
    title: String,
}

struct RankedRow {
    batch: String,
    family: String,
    rest: String,
    href: String,
    rate: String,
    mean: String,
    worst: String,
    worst_at: Moment,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let look = look.map(|Query(look)| look).unwrap_or_default();
    let invalid = |text: String| ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, text);
    let range = RANGES.into_iter().find(|(name, ..)| look.range.as_deref() == Some(name)).unwrap_or(USUAL);
    let (from, to) = (read(look.from.as_deref()).map_err(invalid)?, read(look.to.as_deref()).map_err(invalid)?);
    let now = api.node.clock.now();
    let asked = Overview {
        from: Some(now.saturating_sub(range.2)),
        to: Some(now),
        buckets: Some(CELLS),
        ..Overview::default()
    };
    let seen = api.ask(&visitor.tenant, asked).await.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    let known = api.batches(&visitor.tenant).await.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    let (from, to) = (from.unwrap_or(seen.from), to.unwrap_or(seen.to));
    let asked = Ranking { from: Some(from), to: Some(to), limit: Some(RANKED), ..Ranking::default() };
    let (ranked, ranked_problem) = match api.ask(&visitor.tenant, asked).await {
        Ok(page) => (page.items, None),
        Err(problem) => (Vec::new(), Some(problem.detail)),
    };
    let frame = Frame::new(&visitor, Part::Overview, "Overview");
    let choice = |(name, title, _): (&'static str, &'static str, Millis)| Choice {
        name: title,
        href: frame.at(&format!("?range={name}")),
        current: name == range.0,
    };
    let ranked = ranked.into_iter().map(|series| RankedRow {
        href: frame.at(&format!(
            "/batches/{}/series/{}?from={}&to={}",
            encoded(&series.batch),
            encoded(&series.metric),
            instant::text(from),
            instant::text(to)
        )),
        rate: percent(series.rate),
        mean: format!("{:.3}", series.mean),
        worst: format!("{:.2}", series.worst),
        worst_at: Moment::of(series.worst_at, now),
        batch: series.batch,
        family: apart(&series.metric).0.to_owned(),
        rest: apart(&series.metric).1.to_owned(),
    });
    let batches = cards(&seen, &known, &frame);
    Ok(page(&OverviewPage {
        can_act: visitor.scope >= Scope::Operate,
        writes: visitor.scope >= Scope::Admin,
        tiles: tiles(&seen, batches.len(), &frame),
        open: seen.open,
        alerts: seen.alerts.iter().map(|alert| AlertRow::of(alert, &frame, now)).collect(),
        failing: seen.failing.iter().map(|job| failing(job, &frame, now)).collect(),
        batches,
        ranges: RANGES.into_iter().map(choice).collect(),
        range: range.0,
        start: seen.from,
        end: seen.to,
        from: local(from),
        to: local(to),
        ranked: ranked.collect(),
        ranked_span: format!("{} to {}", Moment::of(from, now).short, Moment::of(to, now).short),
        ranked_problem,
        frame,
    }))
}

fn failing(job: &FailingJob, frame: &Frame, now: Millis) -> FailingRow {
    FailingRow {
        batch: if job.batch == "*" { "all batches".to_owned() } else { job.batch.clone() },
        href: frame.at(&format!("/jobs?batch={}", encoded(&job.batch))),
        job: job.job.clone(),
        state: job.state.clone(),
        since: Moment::of(job.since, now),
        runs: job.runs,
        blame: job.blame.clone(),
        why: job.why.clone(),
    }
}

/// How it is, in numbers.
fn tiles(seen: &OverviewView, batches: usize, frame: &Frame) -> Vec<Tile> {
    let sum = |number: fn(&BatchHealth) -> usize| seen.batches.iter().map(number).sum::<usize>();
    let (on, unseen) = (sum(|batch| batch.firing), sum(|batch| batch.unseen));
    let late = seen.batches.iter().filter(|batch| batch.freshness == Freshness::Late).count();
    let mood = |bad: bool| if bad { "bad" } else { "good" };
    let tile = |name, number, more, mood, path: &str| Tile { name, number, more, mood, href: frame.at(path) };
    let seen_to = match on.saturating_sub(unseen) {
        0 => String::new(),
        some => format!("and {some} seen to"),
    };
    let late_words = if late > 0 { format!("{late} late") } else { String::new() };
    let failing = seen.failing.len();
    vec![
        tile("Alerts firing", unseen, seen_to, mood(unseen > 0), "/alerts?state=firing"),
        tile("Failing jobs", failing, String::new(), mood(failing > 0), "/jobs"),
        tile("Batches", batches, late_words, if late > 0 { "bad" } else { "" }, "#batches-title"),
        tile("Series", sum(|batch| batch.series), String::new(), "", "#ranking"),
    ]
}

/// The batches of the overview, and those that have never run.
fn cards(seen: &OverviewView, known: &[BatchView], frame: &Frame) -> Vec<BatchCard> {
    let mut cards: Vec<BatchCard> = seen.batches.iter().map(|batch| card(batch, seen, frame)).collect();
    for view in known {
        if !cards.iter().any(|card| card.batch == view.batch) {
            cards.push(card(&unseen(&view.batch), seen, frame));
        }
        if let Some(card) = cards.iter_mut().find(|card| card.batch == view.batch) {
            card.paused = view.paused;
            card.problem = view.problems.first().filter(|_| !view.active).map(|problem| problem.message.clone());
        }
    }
    cards
}

/// A batch of which nothing is known.
fn unseen(batch: &str) -> BatchHealth {
    BatchHealth {
        batch: batch.to_owned(),
        series: 0,
        firing: 0,
        unseen: 0,
        failing: 0,
        newest: None,
        due: None,
        freshness: Freshness::Unknown,
        threshold: 0.0,
        rate: None,
        mean: None,
        heat: Vec::new(),
        peaks: Vec::new(),
        one_of: 1,
    }
}

fn card(health: &BatchHealth, seen: &OverviewView, frame: &Frame) -> BatchCard {
    let mood = match health.freshness {
        Freshness::Fresh => "good",
        Freshness::Late => "bad",
        Freshness::Empty => "warn",
        Freshness::Stopped | Freshness::Unknown => "",
    };
    let begin = |index: usize| {
        let index = Millis::try_from(index).unwrap_or_default();
        seen.from.saturating_add(seen.bucket_ms.saturating_mul(index))
    };
    let cells = health.heat.iter().zip(&health.peaks).enumerate().filter_map(|(x, (rate, peak))| {
        let (rate, peak) = ((*rate)?, peak.unwrap_or_default());
        let title =
            format!("{}: {} over, highest score {peak:.2}", Moment::of(begin(x), seen.now).short, percent(rate));
        Some(Cell { x, level: level(rate, peak, health.threshold), title })
    });
    let highest = health.heat.iter().enumerate().filter_map(|(x, rate)| Some((x, (*rate)?)));
    let words = match highest.max_by(|a, b| a.1.total_cmp(&b.1)) {
        None => "Nothing was scored.".to_owned(),
        Some((_, 0.0)) => "No point was over the threshold.".to_owned(),
        Some((x, rate)) => {
            format!("Most over the threshold: {} from {} on.", percent(rate), Moment::of(begin(x), seen.now).short)
        }
    };
    BatchCard {
        href: frame.at(&format!("/batches/{}", encoded(&health.batch))),
        alerts_href: frame.at(&format!("/alerts?batch={}", encoded(&health.batch))),
        batch: health.batch.clone(),
        series: health.series,
        firing: health.firing,
        unseen: health.unseen,
        failing: health.failing,
        freshness: health.freshness.name(),
        mood,
        newest: health.newest.map(|newest| Moment::of(newest, seen.now)),
        paused: false,
        problem: None,
        rate: health.rate.map_or("–".to_owned(), percent),
        one_of: health.one_of,
        cells: cells.collect(),
        words,
    }
}

/// How dark a cell is: rates differ by powers of ten, so the levels do too. One point near the
/// threshold is seen, too.
fn level(rate: f64, peak: f64, threshold: f64) -> usize {
    match rate {
        0.0 if peak < threshold * 0.9 => 0,
        0.0 => 1,
        rate if rate < 0.003 => 2,
        rate if rate < 0.01 => 3,
        rate if rate < 0.05 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_darker_the_more_is_over_the_threshold() {
        let levels = [(0.0, 0.1), (0.0, 0.75), (0.001, 0.9), (0.005, 1.0), (0.02, 1.0), (0.5, 1.0)];
        assert_eq!(levels.map(|(rate, peak)| level(rate, peak, 0.8)), [0, 1, 2, 3, 4, 5]);
    }
}
