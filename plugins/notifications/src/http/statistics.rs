//! Counts for dashboards: what became of deliveries, and what recipients did with them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use kit::{Caller, Failure};
use serde_json::{Value, json};

use super::{Parameters, Shared, failed, fault};
use crate::state::App;
use crate::store::rate;
use crate::time::now;

const DAY: i64 = 86_400_000;
const USUAL_DAYS: i64 = 7;
const MOST_DAYS: i64 = 365;

fn since(parameters: &Parameters) -> Result<i64, Failure> {
    let days = parameters.get("days").map_or(Ok(USUAL_DAYS), |text| text.parse::<i64>());
    match days {
        Ok(days) if (1..=MOST_DAYS).contains(&days) => Ok(now() - days * DAY),
        _ => Err(fault("days", "must be a number from 1 to 365")),
    }
}

/// `GET /api/stats/delivery?days=7`.
pub(super) async fn delivery(
    State(app): Shared,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Value>, Failure> {
    caller.act_for_all()?;
    Ok(Json(json!({"stats": delivery_stats(&app, since(&parameters)?).await?})))
}

/// `GET /api/stats/engagement?days=7`.
pub(super) async fn engagement(
    State(app): Shared,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Value>, Failure> {
    caller.act_for_all()?;
    let metrics = app.store.engagement(since(&parameters)?).await.map_err(failed)?;
    Ok(Json(json!({"metrics": metrics})))
}

/// `GET /api/stats`.
pub(super) async fn all(
    State(app): Shared,
    caller: Caller,
    Query(parameters): Parameters,
) -> Result<Json<Value>, Failure> {
    caller.act_for_all()?;
    let since = since(&Query(parameters))?;
    let metrics = app.store.engagement(since).await.map_err(failed)?;
    let (waiting, scheduled) = app.store.waiting().await.map_err(failed)?;
    Ok(Json(json!({
        "delivery": delivery_stats(&app, since).await?,
        "engagement": metrics,
        "queue": {"waiting": waiting, "scheduled": scheduled},
    })))
}

async fn delivery_stats(app: &App, since: i64) -> Result<Vec<Value>, Failure> {
    let counts = app.store.delivery_counts(since).await.map_err(failed)?;
    let mut channels: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (channel, status, count) in counts {
        channels.entry(channel).or_default().insert(status, count);
    }
    let row = |(channel, states): (String, BTreeMap<String, i64>)| {
        let of = |name: &str| states.get(name).copied().unwrap_or_default();
        let handed_over = of("sent") + of("delivered");
        let tried = handed_over + of("failed") + of("bounced");
        let mut row = json!({
            "channel": channel,
            "total": states.values().sum::<i64>(),
            "delivery_rate": rate(handed_over, tried),
        });
        for name in ["pending", "queued", "sent", "delivered", "failed", "bounced", "skipped", "simulated"] {
            row[name] = json!(of(name));
        }
        row
    };
    Ok(channels.into_iter().map(row).collect())
}
