//! Where a command gets its answers: from the store, or from the node that has it open.

use std::io::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CliError, Global, open};
use crate::capability::tls;
use crate::config::{self, Batch, Environment, Node as NodeConfig};
use crate::desk::{Desk, DeskError, Listing, Page};
use crate::node::Presence;
use crate::schedule::{Clock as _, SystemClock};
use crate::store::{Database, StoreError};
use crate::web::{Endpoint, Problem, Verb};

/// Items that are asked for at once.
const PAGE: usize = 1_000;

/// What answers.
pub enum Door {
    /// The store, which nobody else has open.
    Store {
        /// The store.
        store: Database,
        /// The batches of the folder, those that can be read.
        batches: Vec<Batch>,
        /// The node's file.
        config: Box<NodeConfig>,
        /// The tenant that is meant.
        tenant: String,
    },
    /// The node that has it open.
    Node(Client),
}

/// A running node, as a client sees it.
pub struct Client {
    presence: Presence,
    tenant: String,
    http: reqwest::Client,
}

impl Door {
    /// Opens the store, or finds the node that has it open, for the tenant that is meant.
    pub fn open(global: &Global) -> Result<Self, CliError> {
        Self::open_for(global, &global.tenant)
    }

    /// The same, for another tenant.
    pub fn open_for(global: &Global, tenant: &str) -> Result<Self, CliError> {
        let environment = Environment::of_process();
        let config = open::node_config(global, &environment)?;
        match open::store_of(&config) {
            Ok(store) => {
                // A file that is wrong costs an answer only what it would have said.
                let loaded = config::load_batches(&config.batches, &config, &environment);
                let batches = loaded.batches.into_values().chain(loaded.drafts).collect();
                Ok(Self::Store { store, batches, config: Box::new(config), tenant: tenant.to_owned() })
            }
            Err(CliError::Store(StoreError::InUse { dir, pid })) => match Presence::of(&config.data, pid) {
                Some(presence) => Ok(Self::Node(Client::of(presence, tenant)?)),
                None => Err(StoreError::InUse { dir, pid }.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Asks.
    pub async fn ask<R: Endpoint>(&self, request: &R) -> Result<R::Reply, CliError> {
        match self {
            Self::Store { store, batches, config, tenant } => {
                let batches = batches.iter().map(|batch| (batch.key.clone(), batch)).collect();
                Ok(request.ask(&Desk { store, batches: &batches, config, tenant, now: SystemClock.now() })?)
            }
            Self::Node(client) => client.ask(request).await,
        }
    }

    /// Asks for a list, page by page, for so many items at most.
    pub async fn all<R: Endpoint + Listing>(&self, mut request: R, most: usize) -> Result<Vec<R::Item>, CliError> {
        let mut items: Vec<R::Item> = Vec::new();
        let mut cursor = None;
        loop {
            request.go_on(cursor, most.saturating_sub(items.len()).clamp(1, PAGE));
            let Page { items: more, next } = self.ask(&request).await?;
            items.extend(more);
            if next.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
            cursor = next;
        }
    }
}

impl Client {
    fn of(presence: Presence, tenant: &str) -> Result<Self, CliError> {
        let tls = tls::client().ok_or_else(|| CliError::other("TLS cannot be used"))?;
        let http = reqwest::Client::builder()
            .user_agent(concat!("anomd/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Self { presence, tenant: tenant.to_owned(), http: http.map_err(|e| CliError::other(e.to_string()))? })
    }

    /// Asks.
    pub async fn ask<R: Endpoint>(&self, request: &R) -> Result<R::Reply, CliError> {
        let path = request.path_of(&self.tenant);
        let with_body = |builder: RequestBuilder| {
            let body = serde_json::to_vec(request).map_err(|e| CliError::other(e.to_string()))?;
            Ok::<_, CliError>(builder.header("content-type", "application/json").body(body))
        };
        let request = match R::VERB {
            Verb::Get => self.get(&path, request)?,
            Verb::Post => with_body(self.http.post(self.url(&path)))?,
            Verb::Put => with_body(self.http.put(self.url(&path)))?,
            Verb::Delete => self.http.delete(self.url(&path)),
        };
        self.answer(request).await
    }

    /// Asks for something that only a node knows.
    pub async fn get_as<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.answer(self.http.get(self.url(path))).await
    }

    /// The path below `/api/v1/` of something of the tenant that is meant.
    pub fn path(&self, parts: &[&str]) -> String {
        let encoded = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
        let parts: Vec<String> = parts.iter().map(|part| encoded(part)).collect();
        format!("tenants/{}/{}", encoded(&self.tenant), parts.join("/"))
    }

    /// Asks for something that only a node can do.
    pub async fn post_as<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CliError> {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        self.answer(request.body(body.to_string())).await
    }

    /// Deletes something that only a node can delete.
    pub async fn delete(&self, path: &str) -> Result<(), CliError> {
        self.send(self.http.delete(self.url(path))).await.map(drop)
    }

    /// Sends bytes to something that only a node does.
    pub async fn put_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
        kind: &str,
        bytes: Vec<u8>,
    ) -> Result<T, CliError> {
        let url = self.url_with(path, query)?;
        self.answer(self.http.put(url.as_str()).header("content-type", kind).body(bytes)).await
    }

    /// Asks for something to be done that only a node does.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize) -> Result<T, CliError> {
        let body = serde_json::to_vec(request).map_err(|e| CliError::other(e.to_string()))?;
        self.answer(self.http.post(self.url(path)).header("content-type", "application/json").body(body)).await
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CliError> {
        let body = self.send(request).await?.bytes().await.map_err(|e| self.lost(&e))?;
        serde_json::from_slice(&body)
            .map_err(|e| CliError::other(format!("the node answered what this command does not understand: {e}")))
    }

    /// Writes the body of an answer into a sink as it comes.
    pub async fn stream(&self, path: &str, query: &impl Serialize, sink: &mut dyn Write) -> Result<(), CliError> {
        let mut response = self.send(self.get(path, query)?).await?;
        while let Some(part) = response.chunk().await.map_err(|e| self.lost(&e))? {
            sink.write_all(&part)?;
        }
        Ok(sink.flush()?)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.presence.address)
    }

    fn get(&self, path: &str, query: &impl Serialize) -> Result<RequestBuilder, CliError> {
        Ok(self.http.get(self.url_with(path, query)?.as_str()))
    }

    fn url_with(&self, path: &str, query: &impl Serialize) -> Result<url::Url, CliError> {
        let mut url = url::Url::parse(&self.url(path)).map_err(|e| CliError::other(e.to_string()))?;
        let members = serde_json::to_value(query).map_err(|e| CliError::other(e.to_string()))?;
        for (name, value) in members.as_object().into_iter().flatten() {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            url.query_pairs_mut().append_pair(name, &text);
        }
        Ok(url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.bearer_auth(&self.presence.token).send().await.map_err(|e| self.lost(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|e| self.lost(&e))?;
        let said = serde_json::from_slice::<Problem>(&body).map(|problem| problem.detail);
        let said = said.unwrap_or_else(|_| format!("the node answered {status}"));
        Err(match status {
            StatusCode::NOT_FOUND
            | StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::FORBIDDEN
            | StatusCode::UNPROCESSABLE_ENTITY => CliError::Usage(said),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => CliError::Node(said),
            _ => CliError::other(said),
        })
    }

    fn lost(&self, error: &reqwest::Error) -> CliError {
        let Presence { address, pid, .. } = &self.presence;
        CliError::Node(format!(
            "the node at {address} (process {pid}) has the store open and does not answer: {error}. Try again, or stop \
             it: then commands open the store themselves."
        ))
    }
}

impl From<DeskError> for CliError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown(text) | DeskError::Invalid(text) | DeskError::Conflict(text) => Self::Usage(text),
            DeskError::Store(error) => Self::Store(error),
        }
    }
}
