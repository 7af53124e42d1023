//! The HTTP routes. All of them answer at once while Redis is away: 503.

mod add;
mod jobs;
mod queues;
mod schedules;
mod stats;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use kit::{Class, Failure, FieldError, Fields, JsonObject, Routes, for_all_users};
use serde::Deserialize;
use serde_json::json;

use crate::queue_name::QueueName;
use crate::request::Refusal;
use crate::state::App;

pub(crate) use queues::{cleanable, no_queue};

type Shared = State<Arc<App>>;

/// All routes of the plugin. Jobs belong to no single user, so users' tokens get in only with an administrator's role.
pub(crate) fn routes(app: Arc<App>) -> Routes {
    let ordinary = ordinary(app.clone()).route_layer(from_fn(for_all_users));
    Routes::new().group(Class::Ordinary, ordinary).group(Class::Power, power(app))
}

/// What stops other people's jobs or removes them.
fn power(app: Arc<App>) -> Router {
    Router::new()
        .route("/queues/{name}", delete(queues::remove))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route("/queues/{name}/drain", post(queues::drain))
        .route("/queues/{name}/clean", post(queues::clean))
        .with_state(app)
}

fn ordinary(app: Arc<App>) -> Router {
    let one = get(jobs::show).delete(jobs::remove);
    let schedules = get(schedules::list).post(schedules::create);
    let schedule = get(schedules::show).put(schedules::change).patch(schedules::change).delete(schedules::remove);
    Router::new()
        .route("/schedule", post(add::add))
        .route("/jobs", get(jobs::list).post(add::add))
        .route("/api/jobs", get(jobs::list).post(add::add))
        .route("/jobs/{id}", one.clone())
        .route("/api/jobs/{id}", one)
        .route("/status/{id}", get(jobs::show))
        .route("/progress/{id}", get(jobs::progress))
        .route("/jobs/{id}/logs", get(jobs::logs))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/api/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/promote", post(jobs::promote))
        .route("/queues", get(queues::list))
        .route("/queues/{name}", get(queues::show))
        .route("/queues/{name}/stats", get(queues::stats))
        .route("/scheduled", schedules.clone())
        .route("/api/schedules", schedules)
        .route("/scheduled/{name}", schedule.clone())
        .route("/api/schedules/{name}", schedule)
        .route("/stats", get(stats::all))
        .route("/api/stats", get(stats::all))
        .route("/stats/by-type", get(stats::by_type))
        .route("/stats/metrics", get(stats::metrics))
        .with_state(app)
}

fn invalid(field: &str, message: &str) -> Failure {
    Failure::invalid(&[FieldError { field: field.to_owned(), message: message.to_owned() }])
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Invalid(details) => Failure::invalid(&details),
        Refusal::Schedule(reason) => {
            Failure::new(StatusCode::BAD_REQUEST, "the schedule is not valid").with("reason", json!(reason))
        }
    }
}

/// A queue that must be known already.
fn known_queue(app: &App, name: &str) -> Result<QueueName, Failure> {
    app.queues.known(name).ok_or_else(|| no_queue(name))
}

/// `?queue=` of routes that look for a job.
#[derive(Deserialize)]
struct Within {
    queue: Option<String>,
}

impl Within {
    fn queue(&self, app: &App) -> Result<Option<QueueName>, Failure> {
        self.queue.as_deref().map(|name| known_queue(app, name)).transpose()
    }
}

/// The query of a route, with errors as the contract wants them.
struct Asked<T>(T);

impl<T, S> axum::extract::FromRequestParts<S> for Asked<T>
where
    T: serde::de::DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| invalid("query", &error.body_text()))
    }
}

/// A JSON body that may be left out.
struct OptionalObject(Fields);

impl<S: Send + Sync> FromRequest<S> for OptionalObject {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !request.headers().contains_key(CONTENT_TYPE) {
            return Ok(Self(Fields::new(json!({}))));
        }
        JsonObject::from_request(request, state).await.map(|JsonObject(fields)| Self(fields))
    }
}
