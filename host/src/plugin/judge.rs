//! A detector's calls with tables: the optional export `vectors`.
//!
//! A table goes in one call, so it is bounded by `limits.detector_call_bytes`; whoever has
//! more rows to score makes several calls.

use std::sync::Arc;

use async_trait::async_trait;

use super::binding::Binding;
use super::runtime::{Complaint, Work};
use super::{Call, Judge, Judged, Table, checked};
use crate::fault::{Blame, Fault};

#[async_trait]
impl Judge for Binding {
    async fn fit(&self, call: &Call, config: &str, history: &Table) -> Result<Vec<u8>, Fault> {
        self.fits(history, "fit-vectors")?;
        let config = self.config(config, "fit-vectors")?;
        let (limits, history) = (Arc::clone(self.limits()), history.clone());
        let work: Work<Vec<u8>> = Box::new(move |guest, store| {
            Box::pin(async move {
                let model = match guest.fit_vectors(store, &config, &history).await? {
                    Ok(model) => model,
                    Err(error) => return Ok(Err(error.into())),
                };
                Ok(checked::model(model, &limits).map_err(Complaint::Forbidden))
            })
        });
        self.call(call, "fit-vectors", work).await
    }

    async fn score(&self, call: &Call, config: &str, model: &Arc<[u8]>, recent: &Table) -> Result<Judged, Fault> {
        self.fits(recent, "score-vectors")?;
        if recent.rows == 0 {
            return Ok(Judged::default());
        }
        let config = self.config(config, "score-vectors")?;
        let (model, recent) = (Arc::clone(model), recent.clone());
        let work: Work<Judged> = Box::new(move |guest, store| {
            Box::pin(async move {
                let judged = match guest.score_vectors(store, &config, &model, &recent).await? {
                    Ok(judged) => judged,
                    Err(error) => return Ok(Err(error.into())),
                };
                Ok(checked::judged(judged, recent.rows).map_err(Complaint::Forbidden))
            })
        });
        self.call(call, "score-vectors", work).await
    }
}

impl Binding {
    /// Whether a table has the shape that it says, and fits into a call.
    fn fits(&self, table: &Table, export: &'static str) -> Result<(), Fault> {
        let Table { features, rows, values } = table;
        if features.is_empty() || rows.checked_mul(features.len()) != Some(values.len()) {
            let what = format!("{rows} rows of {} features with {} values", features.len(), values.len());
            return Err(self.site(export).fault(Blame::Host, what, ""));
        }
        let (bytes, most) = (size_of_val(values.as_slice()), self.limits().detector_call_bytes);
        if bytes > most {
            let what = format!("a table of {bytes} bytes, where {most} fit into a call");
            let remedy = "pass fewer rows, or raise limits.detector_call_bytes in anomd.yaml";
            return Err(self.site(export).fault(Blame::Operator, what, remedy));
        }
        Ok(())
    }
}
