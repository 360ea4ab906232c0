//! Export and backup beside a running node: streams, made on a thread that may block.

use std::io::{self, Write};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::describe::Described;
use super::endpoint::{Right, Verb};
use super::routes::Routes;
use super::{Api, Problem};
use crate::desk::tenants::Scope;
use crate::desk::{self, DeskError};
use crate::series::Millis;
use crate::store::{Database, Export, ExportFilter, ExportFormat, MetricType, StoreError};

/// Bytes of a part of a stream, and how many parts may wait for a slow reader.
const PART_BYTES: usize = 64 << 10;
const PARTS: usize = 8;

/// What to export.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportRequest {
    /// Of this batch; `None`: of all of the tenant.
    pub batch: Option<String>,
    /// The runs instead of samples, scores and alerts.
    pub runs: bool,
    /// The samples alone, without scores and alerts.
    pub samples: bool,
    /// A JSON object a line, instead of comma-separated values.
    pub jsonl: bool,
    /// From this instant on.
    #[serde(with = "desk::instant::option")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Millis>,
    /// To before this instant.
    #[serde(with = "desk::instant::option")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Millis>,
}

/// Asks for a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupRequest {}

impl ExportRequest {
    /// Checks that the batch is there.
    pub fn filter(&self, store: &Database, tenant: &str) -> Result<ExportFilter, DeskError> {
        let key = self.batch.as_deref().map(|named| desk::batch(store, tenant, named)).transpose()?;
        let times = Some(self.from.unwrap_or(Millis::MIN)..self.to.unwrap_or(Millis::MAX));
        let types = self.samples.then(|| vec![MetricType::Metric]);
        Ok(ExportFilter { key, tenant: Some(tenant.to_owned()), types, times })
    }

    /// Writes what was asked for.
    pub fn write(&self, store: &Database, filter: &ExportFilter, sink: &mut dyn Write) -> Result<(), StoreError> {
        let what = if self.runs { Export::Runs } else { Export::Metrics };
        let format = if self.jsonl { ExportFormat::JsonLines } else { ExportFormat::Csv };
        store.export(what, filter, sink, format).map(drop)
    }
}

pub(super) fn register(routes: &mut Routes) {
    let exported = Described {
        verb: Verb::Get,
        path: "/api/v1/tenants/{tenant}/export".to_owned(),
        right: Right::Tenant(Scope::Read),
        summary: "Writes samples, scores and alerts as rows, or the runs",
        query: Some(ExportRequest::schema()),
        body: None,
        reply: (200, "text/csv, application/x-ndjson", None),
    };
    routes.add(exported, get(export));
    let backed_up = Described {
        verb: Verb::Get,
        path: "/api/v1/backup".to_owned(),
        right: Right::Operator,
        summary: "Copies everything that is kept, of all tenants",
        query: None,
        body: None,
        reply: (200, "application/octet-stream", None),
    };
    routes.add(backed_up, get(backup));
}

async fn export(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<ExportRequest>, QueryRejection>,
) -> Response {
    let request = match query {
        Ok(Query(request)) => request,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let store = api.node.store.clone();
    let filter = match request.filter(&store, &tenant) {
        Ok(filter) => filter,
        Err(error) => return Problem::from(error).into_response(),
    };
    let (sender, receiver) = channel(PARTS);
    let jsonl = request.jsonl;
    tokio::task::spawn_blocking(move || {
        let mut parts = Parts { sender, part: Vec::with_capacity(PART_BYTES) };
        let written = request.write(&store, &filter, &mut parts).map_err(io::Error::other);
        if let Err(error) = written.and_then(|()| parts.flush()) {
            // The reader sees a stream that breaks off, and not one that ends.
            let _ = parts.sender.blocking_send(Err(error));
        }
    });
    let kind = if jsonl { "application/x-ndjson" } else { "text/csv" };
    ([(CONTENT_TYPE, kind)], streamed(receiver)).into_response()
}

async fn backup(State(api): State<Api>) -> Response {
    let node = api.node;
    let made = tokio::task::spawn_blocking(move || {
        let name = format!("backup-{}", desk::hex(&desk::random::<8>()?));
        let path = node.config.data.join(name);
        node.backup(&path)?;
        let file = std::fs::File::open(&path);
        // What is open can be read; and nothing is left behind, whatever becomes of the reader.
        let removed = std::fs::remove_file(&path);
        Ok::<_, DeskError>(file.and_then(|file| removed.map(|()| file)))
    });
    let file = match made.await {
        Ok(Ok(Ok(file))) => tokio::fs::File::from_std(file),
        Ok(Ok(Err(error))) => {
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
        Ok(Err(error)) => return Problem::from(error).into_response(),
        Err(error) => return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    let parts = stream::unfold(Some(file), async |file| {
        let mut file = file?;
        let mut part = Vec::with_capacity(PART_BYTES);
        match (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(part)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    ([(CONTENT_TYPE, "application/octet-stream")], Body::from_stream(parts)).into_response()
}

fn streamed(receiver: Receiver<io::Result<Bytes>>) -> Body {
    let parts = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Body::from_stream(parts)
}

/// Writes into a channel, part by part.
struct Parts {
    sender: Sender<io::Result<Bytes>>,
    part: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.sender.blocking_send(Ok(part)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
