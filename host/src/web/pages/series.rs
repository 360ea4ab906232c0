//! One series: a large chart down to the samples, what would have fired under another threshold,
//! its models, and the alerts that it has had.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Pages;
use super::batch::{apart, query_string};
use super::drawing::{Drawing, sentence};
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::{between, number};
use super::range::{Asked, Choice, Range, field, words};
use crate::desk::tenants::Scope;
use crate::desk::{AlertHistory, AlertView, Chart, ChartQuery, ModelQuery, ModelView, WhatIf, WhatIfQuery, instant};
use crate::series::Millis;
use crate::web::api::Api;
use crate::web::auth::Visitor;

/// The size of the chart before its script draws it, in its own units.
const SIZE: (f64, f64) = (1200.0, 360.0);
/// Rows of that.
const POINTS: usize = 800;
/// Models and alerts that are listed.
const MODELS: usize = 8;
const ALERTS: usize = 20;
/// Rows of the table that says what the chart shows.
const LATEST: usize = 30;
/// Alerts that the threshold's sentence lists.
const WOULD_FIRE: usize = 10;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/batches/{batch}/series/{series}", Scope::Read, get(show));
}

/// What the address says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct View {
    #[serde(flatten)]
    range: Range,
    threshold: String,
}

#[derive(Template)]
#[template(path = "series.html")]
struct SeriesPage {
    frame: Frame,
    batch: String,
    /// The address of the batch's page with this span.
    batch_href: String,
    /// The name up to its labels, and these.
    family: String,
    rest: String,
    chart: Chart,
    view: View,
    choices: Vec<Choice>,
    steps: Vec<Step>,
    wrong: Option<String>,
    from: String,
    to: String,
    drawing: Drawing,
    sentence: String,
    what_if: WhatIf,
    would: Vec<String>,
    models: Vec<Model>,
    alerts: Vec<Alert>,
    rows: Vec<Row>,
    /// How long a row of the table is, in words; empty: a point.
    bucket: String,
}

/// A step through time: a link where there is no script, and what script does at once.
struct Step {
    /// What the script calls it.
    name: &'static str,
    words: &'static str,
    sign: &'static str,
    href: String,
}

/// A model in the table.
struct Model {
    view: ModelView,
    fitted: String,
    from: String,
    to: String,
    facts: String,
}

/// An alert in the table.
struct Alert {
    view: AlertView,
    href: String,
    started: String,
    ended: String,
    value: String,
    score: String,
}

/// A row of the chart in words.
struct Row {
    time: String,
    value: String,
    expected: String,
    score: String,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch, metric)): Path<(String, String, String)>,
    Query(view): Query<View>,
) -> Result<Response, ProblemPage> {
    let (asked, mut wrong) = match view.range.asked() {
        Ok(asked) => (asked, None),
        Err(wrong) => (Asked::default(), Some(wrong)),
    };
    let threshold = match view.threshold.trim() {
        "" => None,
        text => text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).or_else(|| {
            wrong.get_or_insert_with(|| format!("“{text}” is no threshold. Choose a number from 0 to 1."));
            None
        }),
    };
    let tenant = visitor.tenant.as_str();
    let refused = |problem| ProblemPage::of(Some(&visitor), problem);
    let Asked { from, to, last_ms } = asked;
    let id = batch.clone();
    let chart = ChartQuery { id, metric, from, to, last_ms, points: Some(POINTS) };
    let chart = api.ask(tenant, chart).await.map_err(refused)?;
    let (id, metric) = (batch.clone(), chart.series.metric.clone());
    let what_if = WhatIfQuery { id, metric, from: Some(chart.from), to: Some(chart.to), last_ms: None, threshold };
    let what_if = api.ask(tenant, what_if).await.map_err(refused)?;
    let (id, metric) = (batch.clone(), chart.series.metric.clone());
    let models = ModelQuery { id, metric, limit: Some(MODELS), cursor: None };
    let models = api.ask(tenant, models).await.map_err(refused)?.items;
    let (id, metric) = (batch.clone(), chart.series.metric.clone());
    let alerts = AlertHistory { id, metric, limit: Some(ALERTS), cursor: None };
    let alerts = api.ask(tenant, alerts).await.map_err(refused)?.items;

    let frame = Frame::new(&visitor, Part::Overview, format!("{} · {batch}", chart.series.metric));
    let (family, rest) = apart(&chart.series.metric);
    let (family, rest) = (family.to_owned(), rest.to_owned());
    let span = query_string(view.range.query());
    let batch_href = frame.at(&format!("/batches/{}{span}", encoded(&batch)));
    let alert = |view: AlertView| Alert {
        href: frame.at(&format!("/alerts/{}", encoded(&view.id))),
        started: words(view.started),
        ended: view.ended.map(words).unwrap_or_default(),
        value: view.value.map(number).unwrap_or_default(),
        score: view.score.map(|score| format!("{score:.2}")).unwrap_or_default(),
        view,
    };
    Ok(page(&SeriesPage {
        alerts: alerts.into_iter().map(alert).collect(),
        models: models.into_iter().map(Model::of).collect(),
        would: what_if.alerts.iter().rev().take(WOULD_FIRE).map(would).collect(),
        choices: view.range.choices(),
        steps: steps(chart.from, chart.to, &view.threshold),
        from: field(chart.from),
        to: field(chart.to),
        drawing: Drawing::of(&chart, SIZE.0, SIZE.1),
        sentence: sentence(&chart),
        rows: rows(&chart),
        bucket: chart.bucket_ms.map(instant::span).unwrap_or_default(),
        frame,
        batch,
        batch_href,
        family,
        rest,
        chart,
        view,
        wrong,
        what_if,
    }))
}

/// Half of the span back and on, half of it and twice of it, and the newest.
fn steps(from: Millis, to: Millis, threshold: &str) -> Vec<Step> {
    let half = to.saturating_sub(from) / 2;
    let quarter = half / 2;
    let step = |name, words, sign, span: Option<(Millis, Millis)>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some((from, to)) = span {
            query.append_pair("from", &instant::text(from)).append_pair("to", &instant::text(to));
        }
        if !threshold.is_empty() {
            query.append_pair("threshold", threshold);
        }
        Step { name, words, sign, href: format!("?{}", query.finish()) }
    };
    let moved = |left: Millis, right: Millis| Some((from.saturating_add(left), to.saturating_add(right)));
    vec![
        step("back", "Earlier", "←", moved(-half, -half)),
        step("on", "Later", "→", moved(half, half)),
        step("in", "Zoom in", "+", moved(quarter, -quarter)),
        step("out", "Zoom out", "−", moved(-half, half)),
        step("newest", "The newest points", "Newest", None),
    ]
}

/// An alert that would have fired, in words.
fn would(alert: &crate::desk::WouldFire) -> String {
    let until = match alert.ended {
        Some(ended) => format!("for {}", instant::span(ended - alert.fired)),
        None => "and goes on".to_owned(),
    };
    format!("{} UTC, {until}, score up to {:.2}", words(alert.fired), alert.score)
}

impl Model {
    fn of(view: ModelView) -> Self {
        let facts: Vec<String> = view.facts.iter().map(|(name, value)| fact(name, value)).collect();
        Self {
            fitted: words(view.fitted),
            from: words(view.data.0),
            to: words(view.data.1),
            facts: facts.join(", "),
            view,
        }
    }

    /// As much of a digest as tells it from others.
    fn short(digest: &str) -> &str {
        digest.get(..12).unwrap_or(digest)
    }

    fn version(&self) -> &str {
        Self::short(&self.view.model_digest)
    }

    fn plugin_version(&self) -> &str {
        Self::short(&self.view.plugin_digest)
    }
}

/// What a model knows, in words: a season is told in seconds.
fn fact(name: &str, value: &str) -> String {
    match value.parse::<i64>() {
        Ok(seconds) if name == "season" => format!("season of {}", instant::span(seconds.saturating_mul(1_000))),
        _ => format!("{name} {value}"),
    }
}

/// The latest rows of a chart, the newest first.
fn rows(chart: &Chart) -> Vec<Row> {
    let cell = |column: &[Option<f64>], at: usize| column.get(at).copied().flatten();
    let row = |(at, time): (usize, &i64)| Row {
        time: words(*time),
        value: between((cell(&chart.value_min, at), cell(&chart.value_max, at))),
        expected: between((cell(&chart.lower, at), cell(&chart.upper, at))),
        score: cell(&chart.score, at).map(|score| format!("{score:.2}")).unwrap_or_default(),
    };
    chart.t.iter().enumerate().rev().map(row).filter(|row| !row.value.is_empty()).take(LATEST).collect()
}
