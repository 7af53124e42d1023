//! One image in, one answer out: resize, optimize, thumbnail, convert, strip-metadata, info; and many at once.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use futures_util::{StreamExt, stream};
use kit::Failure;
use serde_json::{Map, Value, json};

use crate::http::Shared;
use crate::http::parameters::Parameters;
use crate::images::{Fit, Output, Recipe, Rendering, Shape};
use crate::keys;
use crate::problem::Problem;
use crate::runner::savings_percent;
use crate::state::App;
use crate::upload::Upload;

type Answer = Result<Json<Value>, Failure>;

/// The quality of an image that is only written anew because its metadata cannot be taken out otherwise.
const FAITHFUL_QUALITY: u8 = 95;

fn rendering(quality: u8) -> Rendering {
    Rendering { shape: None, format: None, quality, progressive: false, small: false }
}

pub(super) async fn resize(State(app): Shared, request: Request) -> Answer {
    operate(&app, request, "resize", |app, fields| {
        let (width, height) = (fields.side("width"), fields.side("height"));
        if width.is_none() && height.is_none() {
            fields.reject("width", "or `height` is required");
        }
        let enlarge = !fields.flag("withoutEnlargement", false);
        let shape = Shape { width, height, fit: fields.fit("fit", Fit::Cover), enlarge };
        let format = fields.format();
        Recipe::Render(Rendering { shape: Some(shape), format, ..rendering(fields.quality(app.config.images.quality)) })
    })
    .await
}

pub(super) async fn optimize(State(app): Shared, request: Request) -> Answer {
    operate(&app, request, "optimize", optimizing).await
}

fn optimizing(app: &App, fields: &mut Parameters) -> Recipe {
    let progressive = fields.flag("progressive", true);
    // Read so that a wrong value is told; metadata goes either way.
    fields.flag("stripMetadata", true);
    let format = fields.format();
    let quality = fields.quality(app.config.images.quality);
    Recipe::Optimize(Rendering { format, progressive, small: true, ..rendering(quality) })
}

pub(super) async fn thumbnail(State(app): Shared, request: Request) -> Answer {
    operate(&app, request, "thumbnail", |app, fields| {
        let size = fields.side("size").unwrap_or(app.config.images.thumbnail_size);
        let width = fields.side("width").unwrap_or(size);
        let height = fields.side("height").unwrap_or(size);
        let fit = if fields.flag("crop", true) { Fit::Cover } else { Fit::Inside };
        let shape = Shape { width: Some(width), height: Some(height), fit, enlarge: false };
        let format = fields.format();
        let quality = fields.quality(app.config.images.thumbnail_quality);
        Recipe::Render(Rendering { shape: Some(shape), format, ..rendering(quality) })
    })
    .await
}

pub(super) async fn convert(State(app): Shared, request: Request) -> Answer {
    operate(&app, request, "convert", |app, fields| {
        if !fields.has("format") {
            fields.reject("format", "is required: jpeg, png, webp or tiff");
        }
        let format = fields.format();
        let progressive = fields.flag("progressive", false);
        let quality = fields.quality(app.config.images.quality);
        Recipe::Render(Rendering { format, progressive, ..rendering(quality) })
    })
    .await
}

pub(super) async fn strip_metadata(State(app): Shared, request: Request) -> Answer {
    operate(&app, request, "strip-metadata", |_, _| Recipe::Strip(rendering(FAITHFUL_QUALITY))).await
}

pub(super) async fn info(State(app): Shared, request: Request) -> Answer {
    let mut form = app.intake.receive_one(request).await?;
    let _ticket = app.works.admit()?;
    let upload = form.one_file()?;
    let mut fields = Parameters::new(form.fields);
    let file_id = fields.file_id();
    fields.finish()?;
    let began = Instant::now();
    let info = async {
        let source = app.source(&upload)?;
        app.works.run("info", move |control| source.info(control)).await
    }
    .await;
    app.counters.count("info", info.is_ok(), began.elapsed());
    let mut info = info.map_err(|problem| problem.about(&file_id))?;
    info.insert("success".to_owned(), json!(true));
    info.insert("fileId".to_owned(), json!(file_id));
    Ok(Json(Value::Object(info)))
}

/// Receives one image, does one operation on it, stores the result and names it.
async fn operate(
    app: &Arc<App>,
    request: Request,
    operation: &'static str,
    recipe: impl FnOnce(&App, &mut Parameters) -> Recipe,
) -> Answer {
    let base = app.links.base(request.headers());
    let mut form = app.intake.receive_one(request).await?;
    let _ticket = app.works.admit()?;
    let upload = form.one_file();
    let mut fields = Parameters::new(form.fields);
    let file_id = fields.file_id();
    let recipe = recipe(app, &mut fields);
    let upload = upload?;
    fields.finish()?;
    let made = make(app, &upload, recipe, operation).await;
    let (output, key) = made.map_err(|problem| problem.about(&file_id))?;
    let mut answer = answer(app, &base, &output, &key);
    answer.insert("success".to_owned(), json!(true));
    answer.insert("fileId".to_owned(), json!(file_id));
    answer.insert("originalSize".to_owned(), json!(upload.size));
    answer.insert("savingsPercent".to_owned(), json!(savings_percent(upload.size, output.bytes.len() as u64)));
    if operation == "strip-metadata" {
        answer.insert("metadata".to_owned(), json!({"stripped": true}));
    }
    Ok(Json(Value::Object(answer)))
}

/// Does one operation on one upload and stores the result.
async fn make(
    app: &Arc<App>,
    upload: &Upload,
    recipe: Recipe,
    operation: &'static str,
) -> Result<(Output, object_store::path::Path), Problem> {
    let began = Instant::now();
    let made = async {
        let source = app.source(upload)?;
        let output = app.works.run(operation, move |control| source.perform(recipe, control)).await?;
        let key = keys::result(output.format);
        app.storage.put(&key, output.bytes.clone()).await?;
        Ok((output, key))
    }
    .await;
    app.counters.count(operation, made.is_ok(), began.elapsed());
    made
}

/// What is told of a stored result.
pub(super) fn answer(app: &App, base: &str, output: &Output, key: &object_store::path::Path) -> Map<String, Value> {
    let size = output.bytes.len();
    let answer = json!({
        "url": app.links.to_key(base, key),
        "path": key.as_ref(),
        "width": output.width,
        "height": output.height,
        "format": output.format,
        "mimeType": format!("image/{}", output.format),
        "size": size,
        "processedSize": size,
    });
    match answer {
        Value::Object(answer) => answer,
        _ => Map::new(),
    }
}

pub(super) async fn optimize_batch(State(app): Shared, headers: HeaderMap, request: Request) -> Answer {
    let form = app.intake.receive_many(request).await?;
    let _ticket = app.works.admit()?;
    let mut fields = Parameters::new(form.fields);
    if form.files.is_empty() {
        fields.reject("files", "must hold at least one file");
    }
    let recipe = optimizing(&app, &mut fields);
    fields.finish()?;
    let base = app.links.base(&headers);
    let one = |upload: Upload| optimize_one(&app, &base, upload, recipe);
    let results: Vec<Value> = stream::iter(form.files).map(one).buffered(app.config.concurrency).collect().await;
    let processed = results.iter().filter(|result| result["success"] == true).count();
    Ok(Json(json!({
        "success": processed > 0,
        "processed": processed,
        "failed": results.len() - processed,
        "results": results,
    })))
}

async fn optimize_one(app: &Arc<App>, base: &str, upload: Upload, recipe: Recipe) -> Value {
    let name = upload.name.clone().unwrap_or_default();
    match make(app, &upload, recipe, "optimize").await {
        Err(problem) => json!({
            "success": false,
            "filename": name,
            "originalSize": upload.size,
            "error": problem.to_string(),
        }),
        Ok((output, key)) => {
            let mut answer = answer(app, base, &output, &key);
            answer.insert("success".to_owned(), json!(true));
            answer.insert("filename".to_owned(), json!(name));
            answer.insert("originalSize".to_owned(), json!(upload.size));
            answer.insert("savings".to_owned(), json!(savings_percent(upload.size, output.bytes.len() as u64)));
            Value::Object(answer)
        }
    }
}
