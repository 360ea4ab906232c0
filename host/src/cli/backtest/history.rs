//! Where the samples of a backtest come from: the store, the node that has it open, or the
//! batch's source.

use std::ops::Range;

use crate::alert::{Effect, Marker};
use crate::cli::door::Door;
use crate::cli::{CliError, Global, output};
use crate::config::{BatchKey, Limits, Node as NodeConfig};
use crate::desk::{AlertQuery, EventQuery, EventView};
use crate::eval::backtest::{History, Raised, Rows};
use crate::pipeline::BoundBatch;
use crate::schedule::SystemClock;
use crate::series::{Labels, Millis};
use crate::web::ExportRequest;

/// What is sought.
pub struct Sought<'a> {
    /// Of which batch.
    pub key: &'a BatchKey,
    /// Of series whose name holds this text.
    pub metric: Option<&'a str>,
    /// In this span, of which the beginning is learned from.
    pub read: Range<Millis>,
    /// The span that is told of.
    pub told: &'a Range<Millis>,
}

impl Sought<'_> {
    /// What is kept. The store is open no longer than it takes to read it.
    pub async fn kept(&self, global: &Global, node: &NodeConfig) -> Result<History, CliError> {
        let door = Door::open_for(global, &self.key.tenant)?;
        let named = self.key.to_string();
        // Who has no such batch says which there are.
        let query = AlertQuery { batch: Some(named.clone()), all: true, ..AlertQuery::default() };
        let raised = door.all(query, usize::MAX).await;
        let raised = raised.map_err(|error| match error {
            CliError::Usage(text) => CliError::Usage(format!("{text}. With --fetch its source is asked instead.")),
            other => other,
        })?;
        let events = door.all(EventQuery { all: true, ..EventQuery::default() }, usize::MAX).await?;
        let mut history = match &door {
            Door::Store { store, .. } => {
                History::of_store(store, self.key, self.metric, self.read.clone(), &node.limits)?
            }
            Door::Node(client) => {
                let mut rows = Rows::new(self.metric, &node.limits);
                let (from, to) = (Some(self.read.start), Some(self.read.end));
                let request = ExportRequest {
                    batch: Some(named),
                    samples: true,
                    jsonl: true,
                    from,
                    to,
                    ..ExportRequest::default()
                };
                client.stream(&format!("tenants/{}/export", self.key.tenant), &request, &mut rows).await?;
                rows.history()
            }
        };
        drop(door);
        history.raised = raised
            .into_iter()
            .filter(|alert| self.told.contains(&alert.started) && alert.fired.is_some())
            .filter(|alert| self.metric.is_none_or(|text| alert.metric.contains(text)))
            .filter_map(|alert| {
                let labels = Labels::new(alert.labels).ok()?;
                let (kind, started, ended) = (alert.kind, alert.started, alert.ended);
                Some(Raised { kind, labels, started, ended, acknowledged: alert.acknowledged.is_some() })
            })
            .collect();
        history.markers =
            events.into_iter().filter(|event| event.tenant == self.key.tenant).filter_map(marker).collect();
        self.enough(history, "the store has", "With --fetch the batch's source is asked instead.")
    }

    /// What the batch's source gives.
    pub async fn fetched(&self, bound: BoundBatch, limits: &Limits) -> Result<(History, Vec<String>), CliError> {
        let (history, lost) = History::fetched(bound, self.metric, self.read.clone(), limits, &SystemClock).await?;
        let history = self.enough(history, "the batch's source gives", "Does it keep so much?")?;
        Ok((history, lost.into_iter().map(|line| format!("The source gave less than was asked for: {line}")).collect()))
    }

    fn enough(&self, history: History, who: &str, advice: &str) -> Result<History, CliError> {
        let in_span = |series: &crate::eval::backtest::Recorded| {
            series.column.timestamps.iter().any(|time| self.told.contains(time))
        };
        if history.series.iter().any(in_span) {
            return Ok(history);
        }
        let (from, to) = (output::instant(self.told.start), output::instant(self.told.end));
        let which = self.metric.map(|text| format!(" whose name holds `{text}`")).unwrap_or_default();
        Err(CliError::Usage(format!("{who} no samples of {}{which} from {from} to {to}. {advice}", self.key)))
    }
}

fn marker(event: EventView) -> Option<Marker> {
    let effect = match (event.mute, event.widen) {
        (true, _) => Effect::Mute,
        (false, Some(factor)) => Effect::Widen(factor),
        (false, None) => Effect::Note,
    };
    let matchers = event.matchers.parse().ok()?;
    let EventView { id, kind, text, start, end, by, .. } = event;
    Some(Marker { id, kind, text, matchers, start, end, effect, by })
}
