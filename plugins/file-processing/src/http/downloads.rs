//! Serves stored files: to who has the key, or a link that this server signed.
//!
//! The links are self-verified routes, so each of them checks its caller itself.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kit::{Failure, clock};
use object_store::path::Path as Key;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Shared, files};
use crate::keys;
use crate::problem::Problem;
use crate::state::App;

type Answer = Result<Response, Failure>;
type Names<T> = Result<Path<T>, PathRejection>;

/// The part of a link that opens it.
#[derive(Default, Deserialize)]
pub(super) struct Opening {
    expires: Option<u64>,
    signature: Option<String>,
}

type Signed = Result<Query<Opening>, QueryRejection>;

pub(super) async fn result(State(app): Shared, name: Names<String>, signed: Signed, parts: Parts) -> Answer {
    serve(&app, &[keys::RESULTS, &one(name)?], signed, &parts).await
}

pub(super) async fn optimized(State(app): Shared, name: Names<String>, signed: Signed, parts: Parts) -> Answer {
    serve(&app, &[keys::OPTIMIZED, &one(name)?], signed, &parts).await
}

pub(super) async fn thumbnail(
    State(app): Shared,
    names: Names<(String, String)>,
    signed: Signed,
    parts: Parts,
) -> Answer {
    let Path((file_id, name)) = names.map_err(|_| nothing())?;
    serve(&app, &[keys::THUMBNAILS, &file_id, &name], signed, &parts).await
}

pub(super) async fn original(State(app): Shared, name: Names<String>, signed: Signed, parts: Parts) -> Answer {
    let file_id = one(name)?;
    let path = format!("/files/{file_id}");
    check_access(&app, &path, signed, &parts).await?;
    let key = files::original(&app, &file_id).await?;
    send(&app, &key, &parts.headers).await
}

pub(super) async fn remove(State(app): Shared, name: Names<String>) -> Result<Json<Value>, Failure> {
    let file_id = one(name)?;
    let file_id = keys::checked_id(file_id)?;
    if !files::remove(&app, &file_id).await? {
        return Err(Problem::Missing(format!("there is no file `{file_id}`")).about(&file_id));
    }
    Ok(Json(json!({"success": true, "fileId": file_id, "deleted": true})))
}

fn nothing() -> Problem {
    Problem::Missing("there is no such file".to_owned())
}

fn one(name: Names<String>) -> Result<String, Problem> {
    name.map(|Path(name)| name).map_err(|_| nothing())
}

/// A link opens its file to everybody; without one, the rules of ordinary routes hold, and a user's token alone opens
/// nothing, since files belong to no user.
async fn check_access(app: &App, path: &str, signed: Signed, parts: &Parts) -> Result<(), Failure> {
    let opening = signed.map(|Query(opening)| opening).unwrap_or_default();
    if app.links.opens(path, opening.expires, opening.signature.as_deref(), clock::now()) {
        return Ok(());
    }
    if opening.signature.is_some() {
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "the link has expired, or its signature is not valid"));
    }
    match app.config.server.access.check_ordinary(parts).await? {
        Some(caller) => caller.act_for_all(),
        None => Ok(()),
    }
}

/// Serves a file whose key is made of plain names only, so that no name leads elsewhere.
async fn serve(app: &App, names: &[&str], signed: Signed, parts: &Parts) -> Answer {
    if !names.iter().all(|name| keys::is_id(name)) {
        return Err(nothing().into());
    }
    let key: Key = names.iter().copied().collect();
    check_access(app, &format!("/{key}"), signed, parts).await?;
    send(app, &key, &parts.headers).await
}

async fn send(app: &App, key: &Key, headers: &HeaderMap) -> Answer {
    let file = app.storage.get(key).await?;
    let name = key.filename().unwrap_or("file");
    let (mime, in_place) = shown_as(name);
    let tag = file.meta.e_tag.as_ref().map(|tag| format!("\"{}\"", tag.trim_matches('"')));
    let size = file.meta.size;
    let fresh = tag.is_some() && headers.get(IF_NONE_MATCH).and_then(|given| given.to_str().ok()) == tag.as_deref();
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let length = HeaderValue::from(size);
        ([(CONTENT_LENGTH, length)], Body::from_stream(file.into_stream())).into_response()
    };
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(CONTENT_TYPE, mime);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Whatever it holds, it runs nothing.
    set(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    set(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    set(CACHE_CONTROL, "private, max-age=300");
    let disposition = if in_place { "inline" } else { "attachment" };
    set(CONTENT_DISPOSITION, &format!("{disposition}; filename=\"{name}\""));
    if let Some(tag) = tag {
        set(ETAG, &tag);
    }
    Ok(response)
}

/// The content type of a stored file, whose ending this server chose by its content; images are shown in place.
fn shown_as(name: &str) -> (&'static str, bool) {
    match name.rsplit('.').next().unwrap_or_default() {
        "jpeg" | "jpg" => ("image/jpeg", true),
        "png" => ("image/png", true),
        "webp" => ("image/webp", true),
        "gif" => ("image/gif", true),
        "bmp" => ("image/bmp", true),
        "tiff" => ("image/tiff", true),
        "txt" => ("text/plain; charset=utf-8", false),
        "pdf" => ("application/pdf", false),
        _ => ("application/octet-stream", false),
    }
}
