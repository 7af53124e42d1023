//! Templates over HTTP: list, show, store, remove.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use kit::{Failure, Fields, JsonObject};
use serde_json::{Value, json};

use super::{Shared, busy, checked, failed, fault, not_found, refused};
use crate::draft::{NAME_BYTES, is_name};
use crate::engine::find_template;
use crate::state::App;
use crate::templates::{Template, TemplateError};
use crate::time::now;

/// The longest part, in bytes.
const PART_BYTES: usize = 512 * 1024;

/// `GET /templates`.
pub(super) async fn list(State(app): Shared) -> Result<Json<Value>, Failure> {
    let mut all: BTreeMap<String, Value> =
        app.templates.built_in().map(|template| (template.name.clone(), template.to_json())).collect();
    let stored = app.store.stored_templates().await.map_err(failed)?;
    all.extend(stored.into_iter().map(|template| (template.name.clone(), template.to_json())));
    let templates: Vec<Value> = all.into_values().collect();
    Ok(Json(json!({"total": templates.len(), "templates": templates})))
}

/// `GET /templates/:name`.
pub(super) async fn show(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    let template = find_template(&app, &name).await.map_err(refused)?;
    Ok(Json(json!({"template": template.ok_or_else(|| not_found("template"))?.to_json()})))
}

/// `POST /templates`.
pub(super) async fn create(
    State(app): Shared,
    JsonObject(mut fields): JsonObject,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let name = fields.text("name");
    Ok((StatusCode::CREATED, store(&app, name, fields).await?))
}

/// `PUT /templates/:name`.
pub(super) async fn replace(
    State(app): Shared,
    Path(name): Path<String>,
    JsonObject(fields): JsonObject,
) -> Result<Json<Value>, Failure> {
    store(&app, name, fields).await
}

/// `DELETE /templates/:name`: a seed of the same name is there again afterwards.
pub(super) async fn remove(State(app): Shared, Path(name): Path<String>) -> Result<Json<Value>, Failure> {
    if !app.store.remove_template(&name).await.map_err(failed)? {
        return Err(not_found("stored template"));
    }
    Ok(Json(json!({"success": true})))
}

async fn store(app: &App, name: String, mut fields: Fields) -> Result<Json<Value>, Failure> {
    if !name.is_empty() && !is_name(&name, NAME_BYTES) {
        fields.reject("name", "must be printable and not longer than 200 bytes");
    }
    let variables = if fields.has("variables") { fields.texts("variables", 200) } else { Vec::new() };
    let template = Template {
        name,
        description: fields.optional_text("description").unwrap_or_default(),
        category: fields.optional_text("category").unwrap_or_default(),
        subject: part(&mut fields, &["subject"]),
        html: part(&mut fields, &["html", "body_html", "bodyHtml"]),
        text: part(&mut fields, &["text", "body_text", "bodyText", "body"]),
        push_title: part(&mut fields, &["push_title", "pushTitle"]),
        push_body: part(&mut fields, &["push_body", "pushBody"]),
        sms: part(&mut fields, &["sms", "sms_body", "smsBody"]),
        variables,
        source: "stored".to_owned(),
    };
    if [&template.html, &template.text, &template.push_body, &template.sms].into_iter().all(Option::is_none) {
        fields.reject("text", "one of text, html, push_body, sms is required");
    }
    checked(fields)?;
    app.templates.check(&template).await.map_err(|error| match error {
        TemplateError::Broken { part, why } => fault(part, &why),
        TemplateError::Busy => busy(),
    })?;
    app.store.store_template(&template, now()).await.map_err(failed)?;
    Ok(Json(json!({"success": true, "template": template.to_json()})))
}

fn part(fields: &mut Fields, names: &[&str]) -> Option<String> {
    let mut found = None;
    for name in names {
        let text = fields.optional_text(name);
        if text.as_ref().is_some_and(|text| text.len() > PART_BYTES) {
            fields.reject(name, "must not be longer than 512 KiB");
        }
        found = found.or(text);
    }
    found
}
