//! Something to scrape, in both exposition formats.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::runtime::{Task, serve};

/// An exporter. `/text` speaks the text format 0.0.4 and `/openmetrics` OpenMetrics 1.0.
///
/// Each scrape adds 5 to every counter and to every count and sum of a histogram; they begin
/// at a million, so that a rate cannot be taken for a raw value.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    _task: Task,
}

impl Exporter {
    /// Starts one.
    pub fn start() -> Self {
        let page = |kind: &'static str, render: fn(u64) -> String| {
            let scrapes = Arc::new(AtomicU64::new(0));
            get(move || {
                let count = 1_000_000 + 5 * scrapes.fetch_add(1, Ordering::Relaxed);
                async move { ([(CONTENT_TYPE, kind)], render(count)) }
            })
        };
        let router = Router::new()
            .route("/text", page("text/plain; version=0.0.4; charset=utf-8", text))
            .route("/openmetrics", page("application/openmetrics-text; version=1.0.0; charset=utf-8", openmetrics));
        let (address, task) = serve(router);
        Self { address, _task: task }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// Here a counter's family has the name of its one series, whatever that is.
fn text(count: u64) -> String {
    format!(
        "# HELP shop_orders_total Orders.\n\
         # TYPE shop_orders_total counter\n\
         shop_orders_total {count}\n\
         # TYPE shop_visits counter\n\
         shop_visits {count}\n\
         # TYPE shop_stock_total gauge\n\
         shop_stock_total {count}\n\
         # TYPE shop_wait_seconds histogram\n\
         shop_wait_seconds_bucket{{le=\"1\"}} {count}\n\
         shop_wait_seconds_bucket{{le=\"+Inf\"}} {count}\n\
         shop_wait_seconds_sum {count}\n\
         shop_wait_seconds_count {count}\n"
    )
}

/// Here a counter's family lacks the `_total` of its series.
fn openmetrics(count: u64) -> String {
    format!(
        "# HELP depot_orders Orders.\n\
         # TYPE depot_orders counter\n\
         depot_orders_total {count}\n\
         # TYPE depot_stock gauge\n\
         depot_stock {count}\n\
         # TYPE depot_wait_seconds histogram\n\
         # UNIT depot_wait_seconds seconds\n\
         depot_wait_seconds_bucket{{le=\"1.0\"}} {count}\n\
         depot_wait_seconds_bucket{{le=\"+Inf\"}} {count}\n\
         depot_wait_seconds_sum {count}\n\
         depot_wait_seconds_count {count}\n\
         # EOF\n"
    )
}
