//! Styles and scripts: inside the binary, and kept by browsers for good.
//!
//! All of them stand below one folder whose name is the digest of what is in it, so that
//! modules find each other by relative paths and an upgrade is seen at once.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use tower_http::compression::CompressionLayer;

use crate::desk::hex;

#[derive(RustEmbed)]
#[folder = "assets"]
#[include = "script/*.js"]
#[include = "style/*"]
#[include = "vendor/*.js"]
#[include = "vendor/*.css"]
#[include = "vendor/*.LICENSE"]
struct Served;

/// Where they stand: `/assets/DIGEST`.
pub(super) static ROOT: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for name in Served::iter() {
        digest.update(name.as_bytes());
        digest.update(Served::get(&name).map(|file| file.metadata.sha256_hash()).unwrap_or_default());
    }
    format!("/assets/{}", hex(digest.finalize().get(..6).unwrap_or_default()))
});

pub(super) fn routes() -> Router {
    Router::new().route(&format!("{}/{{*name}}", *ROOT), get(show)).layer(CompressionLayer::new())
}

async fn show(Path(name): Path<String>) -> Response {
    let Some(file) = Served::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, file.metadata.mimetype().to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, file.data).into_response()
}
