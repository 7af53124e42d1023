//! Originals that are kept under an id, and what was made of them.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use kit::{Failure, clock};
use object_store::ObjectMeta;
use object_store::path::Path as Key;
use serde_json::{Value, json};

use crate::content::Kind;
use crate::http::Shared;
use crate::http::parameters::Parameters;
use crate::jobs::Thumbnail;
use crate::keys;
use crate::problem::Problem;
use crate::state::App;

/// Content that a browser would run.
const ACTIVE: [&str; 4] = ["image/svg+xml", "text/html", "text/xml", "application/xhtml+xml"];

pub(super) async fn upload(State(app): Shared, request: Request) -> Result<(StatusCode, Json<Value>), Failure> {
    let base = app.links.base(request.headers());
    let mut form = app.intake.receive_one(request).await?;
    let _ticket = app.works.admit()?;
    let upload = form.one_file()?;
    let mut fields = Parameters::new(form.fields);
    let file_id = fields.file_id();
    fields.finish()?;
    let about = |problem: Problem| problem.about(&file_id);
    let mime = upload.kind.mime();
    match upload.kind {
        Kind::Empty => return Err(about(Problem::Broken("it is empty".to_owned()))),
        Kind::Image(_) => drop(app.source(&upload).map_err(about)?),
        _ if ACTIVE.contains(&mime) => return Err(about(Problem::Unsupported(mime.to_owned()))),
        _ => (),
    }
    let key = keys::original(&file_id, upload.name.as_deref(), upload.kind.extension());
    let earlier = app.storage.list(&folder(&file_id)).await.map_err(about)?;
    app.storage.put_file(&key, &upload.path, upload.size).await.map_err(about)?;
    for file in earlier.iter().filter(|file| file.location != key) {
        app.storage.delete(&file.location, file.size).await.map_err(about)?;
    }
    let answer = json!({
        "success": true,
        "id": file_id,
        "fileId": file_id,
        "path": key.as_ref(),
        "filePath": key.as_ref(),
        "url": app.links.url(&base, &format!("/files/{file_id}")),
        "name": upload.name,
        "size": upload.size,
        "mimeType": mime,
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Where a file's original lies.
fn folder(file_id: &str) -> Key {
    Key::from_iter([keys::ORIGINALS, file_id])
}

/// A file's original, where it was kept.
pub(super) async fn original(app: &App, file_id: &str) -> Result<Key, Problem> {
    let missing = || Problem::Missing(format!("there is no file `{file_id}`"));
    if !keys::is_id(file_id) {
        return Err(missing());
    }
    let files = app.storage.list(&folder(file_id)).await?;
    files.into_iter().next().map(|file| file.location).ok_or_else(missing)
}

/// Removes an original and all that was made of it; says whether there was anything.
pub(super) async fn remove(app: &App, file_id: &str) -> Result<bool, Problem> {
    let mut found = app.storage.list(&folder(file_id)).await?;
    found.extend(app.storage.list(&Key::from_iter([keys::THUMBNAILS, file_id])).await?);
    for extension in ["jpeg", "png", "webp", "tiff", "gif"] {
        app.storage.delete(&keys::optimized(file_id, extension), 0).await?;
    }
    for file in &found {
        app.storage.delete(&file.location, file.size).await?;
    }
    Ok(!found.is_empty())
}

pub(super) async fn thumbnails(
    State(app): Shared,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let Path(file_id) = path.map_err(|_| Problem::Missing("there is no such file".to_owned()))?;
    let file_id = keys::checked_id(file_id)?;
    let files = app.storage.list(&Key::from_iter([keys::THUMBNAILS, &file_id])).await?;
    let known = app.desk.latest_of(&file_id).map(|job| job.thumbnails).unwrap_or_default();
    let mut thumbnails: Vec<Thumbnail> = files.iter().filter_map(|file| record(&file_id, file, &known)).collect();
    thumbnails.sort_by_key(|thumbnail| thumbnail.width);
    let base = app.links.base(&headers);
    let address = |thumbnail: &Thumbnail| app.links.url(&base, &format!("/{}", thumbnail.path));
    Ok(Json(thumbnails.iter().map(|thumbnail| thumbnail.view(Some(address(thumbnail)))).collect()))
}

/// What is known of a stored thumbnail: what its job said, else what its name says.
fn record(file_id: &str, file: &ObjectMeta, known: &[Thumbnail]) -> Option<Thumbnail> {
    let path = file.location.to_string();
    if let Some(known) = known.iter().find(|known| known.path == path) {
        return Some(known.clone());
    }
    let (name, format) = file.location.filename()?.split_once('.')?;
    let side = name.parse().ok()?;
    let time = std::time::SystemTime::UNIX_EPOCH
        + std::time::Duration::from_millis(u64::try_from(file.last_modified.timestamp_millis()).unwrap_or_default());
    Some(Thumbnail {
        id: format!("{file_id}-{side}"),
        file_id: file_id.to_owned(),
        format: format.to_owned(),
        width: side,
        height: side,
        size: file.size,
        created_at: clock::iso(time),
        path,
    })
}
