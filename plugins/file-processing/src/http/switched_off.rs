//! What clients ask for and this server does not do: video, pages of documents, virus scans. It says so, and says
//! what is wrong with a file before it says that it could not have processed a right one.

use std::io::{Read, Seek, SeekFrom};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use kit::Failure;
use serde_json::{Value, json};

use crate::content::Kind;
use crate::http::Shared;
use crate::problem::Problem;
use crate::upload::Upload;

/// The longest text that is given back, in bytes.
const TEXT_BYTES: u64 = 4 << 20;
/// The end of a PDF, where it says that it is whole.
const PDF_END_BYTES: i64 = 2048;

pub(super) async fn video(State(app): Shared, request: Request) -> Result<Json<Value>, Failure> {
    let upload = app.intake.receive_one(request).await?.one_file()?;
    let _ticket = app.works.admit()?;
    Err(match upload.kind {
        Kind::Empty => Problem::Broken("it is empty".to_owned()),
        kind if kind.is_video() => no_video(),
        kind => Problem::Unsupported(kind.mime().to_owned()),
    }
    .into())
}

pub(super) fn no_video() -> Problem {
    Problem::Off("video is not processed by this server".to_owned())
}

pub(super) async fn preview(State(app): Shared, request: Request) -> Result<Json<Value>, Failure> {
    let upload = app.intake.receive_one(request).await?.one_file()?;
    let _ticket = app.works.admit()?;
    Err(document(&upload).await.into())
}

async fn document(upload: &Upload) -> Problem {
    match upload.kind {
        Kind::Empty => Problem::Broken("it is empty".to_owned()),
        Kind::Pdf => pdf(upload).await,
        Kind::Text => Problem::Off("previews of documents are not made by this server".to_owned()),
        kind => Problem::Unsupported(kind.mime().to_owned()),
    }
}

/// What is answered to a PDF: broken, or right and not processed.
pub(super) async fn pdf(upload: &Upload) -> Problem {
    let (path, size) = (upload.path.to_path_buf(), upload.size);
    let looked = tokio::task::spawn_blocking(move || is_whole_pdf(&path, size)).await;
    match looked.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(true) => Problem::Off("PDF documents are not processed by this server".to_owned()),
        Ok(false) => Problem::Broken("the PDF ends too early".to_owned()),
        Err(error) => Problem::broken("reading it failed", error),
    }
}

fn is_whole_pdf(path: &std::path::Path, size: u64) -> std::io::Result<bool> {
    let mut file = std::fs::File::open(path)?;
    let length = i64::try_from(size).unwrap_or(i64::MAX);
    file.seek(SeekFrom::End(-length.min(PDF_END_BYTES)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end).into_owned();
    Ok(end.contains("%%EOF") && end.contains("startxref"))
}

pub(super) async fn extract_text(State(app): Shared, request: Request) -> Result<Json<Value>, Failure> {
    let upload = app.intake.receive_one(request).await?.one_file()?;
    let _ticket = app.works.admit()?;
    if upload.kind != Kind::Text {
        return Err(document(&upload).await.into());
    }
    if upload.size > TEXT_BYTES {
        return Err(Problem::TooLarge(Some(upload.size), TEXT_BYTES).into());
    }
    let bytes = tokio::fs::read(&upload.path).await.map_err(|error| Problem::broken("reading it failed", error))?;
    let text = String::from_utf8(bytes).map_err(|_| Problem::Broken("the text is not UTF-8".to_owned()))?;
    let words = text.split_whitespace().count();
    Ok(Json(json!({"success": true, "text": text, "pages": 1, "wordCount": words})))
}

/// Never says that a file is clean: clients take an answer without `isClean` for that.
pub(super) async fn scan(State(app): Shared) -> Failure {
    let (status, text) = if app.config.virus_scan_wanted {
        (StatusCode::SERVICE_UNAVAILABLE, "virus scanning is asked for, but this version has no scanner")
    } else {
        (StatusCode::NOT_IMPLEMENTED, "virus scanning is off: the file was not scanned")
    };
    Failure::new(status, text)
        .with("message", json!(text))
        .with("clean", json!(false))
        .with("isClean", json!(false))
        .with("scanner", json!("none"))
}
