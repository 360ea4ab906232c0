//! A batch: small charts of its series, the oddest first, of which a search shows some.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Pages;
use super::drawing::{Drawing, sentence};
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::number;
use super::range::{Asked, Choice, Range, field};
use crate::desk::tenants::Scope;
use crate::desk::{Chart, ChartsQuery, SeriesOrder};
use crate::series::Millis;
use crate::web::api::Api;
use crate::web::auth::Visitor;

/// The size of a small chart, in its own units.
const SIZE: (f64, f64) = (480.0, 150.0);

pub(super) fn register(pages: &mut Pages) {
    pages.add("/batches/{batch}", Scope::Read, get(show));
}

/// What the address says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct View {
    /// What series are looked for.
    q: String,
    #[serde(flatten)]
    range: Range,
    /// `name`, else by anomaly.
    order: String,
    cursor: Option<String>,
}

impl View {
    fn by_name(&self) -> bool {
        self.order == "name"
    }
}

#[derive(Template)]
#[template(path = "batch.html")]
struct BatchPage {
    frame: Frame,
    batch: String,
    /// The address of this page, without its query.
    at: String,
    view: View,
    choices: Vec<Choice>,
    /// What is wrong with the span.
    wrong: Option<String>,
    from: String,
    to: String,
    /// The span in milliseconds.
    span: (Millis, Millis),
    multiples: Vec<Multiple>,
    /// The address of the page after this one.
    next: Option<String>,
    /// Whether this is a page after the first.
    further: bool,
    /// Whether the batch has any series.
    has_series: bool,
}

/// One small chart.
struct Multiple {
    metric: String,
    /// The name up to its labels, and these.
    family: String,
    rest: String,
    href: String,
    drawing: Drawing,
    sentence: String,
    alerts: usize,
    /// How many points were over the threshold, in words.
    rate: String,
    last: String,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    Query(view): Query<View>,
) -> Result<Response, ProblemPage> {
    let frame = Frame::new(&visitor, Part::Overview, batch.clone());
    let at = frame.at(&format!("/batches/{}", encoded(&batch)));
    let (asked, wrong) = match view.range.asked() {
        Ok(asked) => (asked, None),
        Err(wrong) => (Asked::default(), Some(wrong)),
    };
    let Asked { from, to, last_ms } = asked;
    let query = ChartsQuery {
        id: batch.clone(),
        metric: Some(view.q.trim().to_owned()).filter(|text| !text.is_empty()),
        order: if view.by_name() { SeriesOrder::Name } else { SeriesOrder::Anomaly },
        from,
        to,
        last_ms,
        cursor: view.cursor.clone(),
        ..ChartsQuery::default()
    };
    let searched = query.metric.is_some() || query.cursor.is_some();
    let (charts, next, wrong) = match api.ask(&visitor.tenant, query).await {
        Ok(found) => (found.items, found.next, wrong),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST.as_u16() => {
            (Vec::new(), None, wrong.or(Some(problem.detail)))
        }
        // One that is configured and has not run yet is there, and has nothing.
        Err(problem) if problem.status == StatusCode::NOT_FOUND.as_u16() => {
            let batches = api.batches(&visitor.tenant).await.unwrap_or_default();
            if !batches.iter().any(|known| known.batch == batch) {
                return Err(ProblemPage::of(Some(&visitor), problem));
            }
            (Vec::new(), None, wrong)
        }
        Err(problem) => return Err(ProblemPage::of(Some(&visitor), problem)),
    };
    let span = charts.first().map(|chart| (chart.from, chart.to)).unwrap_or_default();
    let series_query = query_string(view.range.query());
    let multiples: Vec<Multiple> = charts.iter().map(|chart| Multiple::of(chart, &at, &series_query)).collect();
    let next = next.map(|cursor| {
        let order = Some(("order", view.order.as_str())).filter(|_| view.by_name());
        // A page goes on in the span of the one before it, and not in what is the last day by then.
        let (from, to) = (span.0.to_string(), span.1.to_string());
        let own = [("q", view.q.as_str()), ("from", &from), ("to", &to), ("cursor", &cursor)];
        format!("{at}{}", query_string(own.into_iter().chain(order).collect()))
    });
    Ok(page(&BatchPage {
        choices: view.range.choices(),
        has_series: !multiples.is_empty() || searched || wrong.is_some(),
        further: view.cursor.is_some(),
        from: field(span.0),
        to: field(span.1),
        span,
        frame,
        batch,
        at,
        view,
        wrong,
        multiples,
        next,
    }))
}

impl Multiple {
    fn of(chart: &Chart, at: &str, query: &str) -> Self {
        let (family, rest) = apart(&chart.series.metric);
        let anomaly = chart.series.anomaly.unwrap_or_default();
        let percent = anomaly.rate * 100.0;
        Self {
            href: format!("{at}/series/{}{query}", encoded(&chart.series.metric)),
            metric: chart.series.metric.clone(),
            family: family.to_owned(),
            rest: rest.to_owned(),
            drawing: Drawing::of(chart, SIZE.0, SIZE.1),
            sentence: sentence(chart),
            alerts: chart.alerts.len(),
            rate: match (anomaly.points, anomaly.over) {
                (0, _) => "not scored in this span".to_owned(),
                (_, 0) => format!("highest score {:.2}", anomaly.max),
                _ if percent < 0.1 => format!("{} points over, highest score {:.2}", anomaly.over, anomaly.max),
                _ => format!("{percent:.1} % over, highest score {:.2}", anomaly.max),
            },
            last: chart.value_max.iter().rev().flatten().next().map(|last| number(*last)).unwrap_or_default(),
        }
    }
}

/// A name and the labels in it: `cpu{mode="idle"}` in two.
pub(super) fn apart(metric: &str) -> (&str, &str) {
    let at = metric.find('{').filter(|at| *at > 0).unwrap_or(metric.len());
    metric.split_at_checked(at).unwrap_or((metric, ""))
}

/// `?a=1&b=2`, or nothing.
pub(super) fn query_string(members: Vec<(&str, &str)>) -> String {
    let members = members.into_iter().filter(|(_, value)| !value.is_empty());
    let text: Vec<String> = members.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
}
