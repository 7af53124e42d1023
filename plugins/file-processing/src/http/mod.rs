//! The HTTP routes. Handlers read requests, have the work done and write answers; they hold no state.

mod downloads;
mod files;
mod images;
mod jobs;
mod parameters;
mod process;
mod switched_off;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use kit::{Class, Routes};

use crate::app::App;

type Shared = State<Arc<App>>;

/// All routes of the plugin.
pub(crate) fn routes(app: Arc<App>) -> Routes {
    Routes::new().group(Class::Ordinary, ordinary(app.clone())).group(Class::SelfVerified, links(app))
}

fn ordinary(app: Arc<App>) -> Router {
    Router::new()
        .route("/image/resize", post(images::resize))
        .route("/image/optimize", post(images::optimize))
        .route("/image/thumbnail", post(images::thumbnail))
        .route("/image/convert", post(images::convert))
        .route("/image/strip-metadata", post(images::strip_metadata))
        .route("/image/info", post(images::info))
        .route("/batch/optimize", post(images::optimize_batch))
        .route("/process", post(process::process))
        .route("/status/{file_id}", get(jobs::status))
        .route("/api/jobs", post(jobs::create).get(jobs::list))
        .route("/api/jobs/{job_id}", get(jobs::show))
        .route("/api/jobs/{job_id}/cancel", post(jobs::cancel))
        .route("/api/stats", get(jobs::stats))
        .route("/api/files/{file_id}/thumbnails", get(files::thumbnails))
        .route("/files", post(files::upload))
        .route("/upload", post(files::upload))
        // A link lets read, not remove.
        .route("/files/{file_id}", delete(downloads::remove))
        .route("/video/thumbnail", post(switched_off::video))
        .route("/video/metadata", post(switched_off::video))
        .route("/document/preview", post(switched_off::preview))
        .route("/document/extract-text", post(switched_off::extract_text))
        .route("/scan", post(switched_off::scan))
        .route("/api/scan", post(switched_off::scan))
        .with_state(app)
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
