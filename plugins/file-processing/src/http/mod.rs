//! The HTTP routes. Handlers read requests, have the work done and write answers; they hold no state.

mod downloads;
mod files;
mod images;
mod jobs;
mod parameters;
mod process;
mod request_options;
mod switched_off;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use kit::{Class, Routes, for_all_users};

use crate::state::App;

type Shared = State<Arc<App>>;

/// All routes of the plugin.
pub(crate) fn routes(app: Arc<App>) -> Routes {
    let stored = stored(app.clone()).route_layer(from_fn(for_all_users));
    Routes::new()
        .group(Class::Ordinary, at_once(app.clone()))
        .group(Class::Ordinary, stored)
        .group(Class::Power, power(app.clone()))
        .group(Class::SelfVerified, links(app))
}

/// What works on the caller's own file and puts the result under a new name.
fn at_once(app: Arc<App>) -> Router {
    Router::new()
        .route("/image/resize", post(images::resize))
        .route("/image/optimize", post(images::optimize))
        .route("/image/thumbnail", post(images::thumbnail))
        .route("/image/convert", post(images::convert))
        .route("/image/strip-metadata", post(images::strip_metadata))
        .route("/image/info", post(images::info))
        .route("/batch/optimize", post(images::optimize_batch))
        .route("/video/thumbnail", post(switched_off::video))
        .route("/video/metadata", post(switched_off::video))
        .route("/document/preview", post(switched_off::preview))
        .route("/document/extract-text", post(switched_off::extract_text))
        .route("/scan", post(switched_off::scan))
        .route("/api/scan", post(switched_off::scan))
        .with_state(app)
}

/// Files and jobs under names that callers choose. They belong to no user, so users' tokens get in only with an
/// administrator's role.
fn stored(app: Arc<App>) -> Router {
    Router::new()
        .route("/process", post(process::process))
        .route("/status/{file_id}", get(jobs::status))
        .route("/api/jobs", post(jobs::create).get(jobs::list))
        .route("/api/jobs/{job_id}", get(jobs::show))
        .route("/api/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/api/stats", get(jobs::stats))
        .route("/api/files/{file_id}/thumbnails", get(files::thumbnails))
        .route("/files", post(files::upload))
        .route("/upload", post(files::upload))
        .with_state(app)
}

/// What removes other people's files.
fn power(app: Arc<App>) -> Router {
    Router::new().route("/files/{file_id}", delete(downloads::remove)).with_state(app)
}

/// Routes that a signed link opens, so that pages can show what was made.
fn links(app: Arc<App>) -> Router {
    Router::new()
        .route("/results/{name}", get(downloads::result))
        .route("/optimized/{name}", get(downloads::optimized))
        .route("/thumbnails/{file_id}/{name}", get(downloads::thumbnail))
        .route("/files/{file_id}", get(downloads::original))
        .with_state(app)
}
