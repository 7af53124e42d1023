//! `/process`: several operations on one file at once (a form), or ordered for later (JSON).

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use kit::{Failure, Fields, JsonObject, clock};
use serde_json::{Map, Value, json};

use crate::content::Kind;
use crate::http::parameters::Parameters;
use crate::http::request_options::{RequestOptions, read_options};
use crate::http::{Shared, images, jobs, switched_off};
use crate::images::{Output, Recipe, Source, optimize, render};
use crate::jobs::{Job, State as JobState, Thumbnail};
use crate::keys;
use crate::problem::Problem;
use crate::runner::{store_thumbnail, thumbnails};
use crate::state::App;
use crate::upload::Upload;
use crate::works::Control;

pub(super) async fn process(State(app): Shared, request: Request) -> Result<Response, Failure> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("application/json") {
        let headers = request.headers().clone();
        let JsonObject(fields) = JsonObject::from_request(request, &()).await?;
        return jobs::order(&app, &headers, fields, StatusCode::ACCEPTED).await.map(IntoResponse::into_response);
    }
    at_once(&app, request).await.map(IntoResponse::into_response)
}

async fn at_once(app: &Arc<App>, request: Request) -> Result<Json<Value>, Failure> {
    let base = app.links.base(request.headers());
    let mut form = app.intake.receive_one(request).await?;
    let _ticket = app.works.admit()?;
    let upload = form.one_file()?;
    let options = form.fields.remove("options").unwrap_or_else(|| "{}".to_owned());
    let mut fields = Parameters::new(form.fields);
    let file_id = fields.file_id();
    fields.finish()?;
    let options =
        serde_json::from_str(&options).map_err(|error| Problem::field("options", format!("is not JSON: {error}")))?;
    let mut options = Fields::new(options);
    let wishes = read_options(app, &mut options);
    options.finish().map_err(|details| Failure::invalid(&details))?;
    let began = Instant::now();
    let done = make(app, &upload, &file_id, wishes).await;
    app.counters.count("process", done.is_ok(), began.elapsed());
    let (output, thumbnails) = done.map_err(|problem| problem.about(&file_id))?;
    let key = keys::result(output.format);
    app.storage.put(&key, output.bytes.clone()).await?;
    let job = record(app, &upload, &file_id, key.as_ref(), thumbnails).await?;
    Ok(Json(Value::Object(answer(app, &base, &output, &key, &job))))
}

async fn make(
    app: &Arc<App>,
    upload: &Upload,
    file_id: &str,
    wishes: RequestOptions,
) -> Result<(Output, Vec<Thumbnail>), Problem> {
    match upload.kind {
        Kind::Pdf => return Err(switched_off::pdf(upload).await),
        kind if kind.is_video() => return Err(switched_off::no_video()),
        _ => (),
    }
    let source = app.source(upload)?;
    let images = app.config.images.clone();
    let work = move |control: &Control| {
        if !wishes.optimize && !wishes.thumbnail && wishes.within.is_none() {
            let output = source.perform(Recipe::Strip(wishes.rendering(images.quality)), control)?;
            return Ok((output, Vec::new()));
        }
        let header = source.header(control)?;
        source.with_pixels(&header, true, control, |bytes, decoded| {
            let rendering = wishes.rendering(images.quality);
            let Source { limits, .. } = source;
            let output = if wishes.optimize {
                optimize(bytes, decoded, rendering, control, limits)?
            } else {
                render(decoded, rendering, limits, control)?
            };
            let thumbnails =
                if wishes.thumbnail { thumbnails(decoded, &images, &source, control)? } else { Vec::new() };
            Ok((output, thumbnails))
        })
    };
    let (output, made) = app.works.run("process", work).await?;
    let mut stored = Vec::with_capacity(made.len());
    for (side, thumbnail) in made {
        stored.push(store_thumbnail(app, file_id, side, thumbnail).await?);
    }
    Ok((output, stored))
}

/// Notes what was done as a job that has ended, so that `/status/:fileId` and lists know of it.
async fn record(
    app: &App,
    upload: &Upload,
    file_id: &str,
    key: &str,
    thumbnails: Vec<Thumbnail>,
) -> Result<Job, Problem> {
    let now = clock::milliseconds(clock::now());
    let job = Job {
        file_name: upload.name.clone(),
        file_size: Some(upload.size),
        mime_type: Some(upload.kind.mime().to_owned()),
        state: JobState::Completed,
        started_at: Some(now),
        ended_at: Some(now),
        result_path: Some(key.to_owned()),
        thumbnails,
        ..Job::new(keys::new_id(), file_id.to_owned(), now)
    };
    app.desk.accept(job).await
}

fn answer(app: &App, base: &str, output: &Output, key: &object_store::path::Path, job: &Job) -> Map<String, Value> {
    let mut answer = images::answer(app, base, output, key);
    let thumbnails = jobs::thumbnail_views(app, base, &job.thumbnails);
    // The middle one is what lists show.
    let thumbnail = thumbnails.get(thumbnails.len() / 2).map(|view| view["url"].clone());
    let metadata = json!({
        "stripped": true,
        "width": output.width,
        "height": output.height,
        "format": output.format,
        "size": output.bytes.len(),
        "mimeType": format!("image/{}", output.format),
    });
    for (field, value) in [
        ("success", json!(true)),
        ("fileId", json!(job.file_id)),
        ("jobId", json!(job.id)),
        ("status", json!(job.state.as_str())),
        ("originalSize", json!(job.file_size)),
        ("thumbnail", json!(thumbnail)),
        ("thumbnails", json!(thumbnails)),
        ("metadata", metadata),
    ] {
        answer.insert(field.to_owned(), value);
    }
    answer
}
