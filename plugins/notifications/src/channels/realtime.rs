//! The realtime plugin, where the project has it: tells connected users at once what is stored for them anyway.
//!
//! Nothing here may hold up or fail a message: what cannot be told is counted and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::chain::chain;

const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Events that are on their way at a time; more are dropped, since their messages are stored.
const UNDER_WAY: usize = 64;

/// Whether realtime is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It was switched off.
    Off,
    Connected,
    /// No machine of that name: the plugin is not installed.
    Absent,
    Away(String),
}

/// The address of realtime and the secret it knows us by.
#[derive(Clone)]
pub(crate) struct Realtime {
    base: Option<String>,
    secret: Option<String>,
    client: reqwest::Client,
    slots: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
}

impl Realtime {
    pub(crate) fn new(base: Option<String>, secret: Option<String>, client: reqwest::Client) -> Self {
        let slots = Arc::new(Semaphore::new(UNDER_WAY));
        Self { base, secret, client, slots, dropped: Arc::default() }
    }

    /// Sends an event to a room, without waiting for it.
    pub(crate) fn tell(&self, room: &str, payload: &Value) {
        let Some(base) = &self.base else { return };
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let body = json!({"eventType": "notification", "rooms": [room], "payload": payload});
        let request = self.authorised(self.client.post(format!("{base}/api/broadcast"))).json(&body);
        let dropped = self.dropped.clone();
        tokio::spawn(async move {
            let answer = request.send().await.and_then(reqwest::Response::error_for_status);
            if let Err(error) = answer {
                dropped.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(error = chain(&error), "realtime did not take an event");
            }
            drop(slot);
        });
    }

    /// Who is in a channel now, as realtime sees it; `None` where it cannot be asked.
    pub(crate) async fn members(&self, channel: &str) -> Option<Vec<String>> {
        let mut url = reqwest::Url::parse(self.base.as_ref()?).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().push("presence").push(channel);
        let answer = self.authorised(self.client.get(url)).send().await.ok()?.error_for_status().ok()?;
        let answer: Value = answer.json().await.ok()?;
        let users = answer["users"].as_array()?;
        Some(users.iter().filter_map(|user| user["userId"].as_str().map(str::to_owned)).collect())
    }

    /// How many events were not told since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) async fn probe(&self) -> Presence {
        let Some(base) = &self.base else { return Presence::Off };
        if !self.resolves().await {
            return Presence::Absent;
        }
        let answer = self.client.get(format!("{base}/live")).timeout(ANSWER_WITHIN).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => Presence::Connected,
            Err(error) => Presence::Away(chain(&error)),
        }
    }

    async fn resolves(&self) -> bool {
        let url = self.base.as_deref().and_then(|base| reqwest::Url::parse(base).ok());
        let Some((host, port)) = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
        else {
            return false;
        };
        let host = host.trim_matches(['[', ']']);
        let found = tokio::time::timeout(ANSWER_WITHIN, tokio::net::lookup_host((host, port))).await;
        found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.next().is_some()))
    }

    fn authorised(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = request.timeout(ANSWER_WITHIN);
        match &self.secret {
            Some(secret) => request.header("x-api-key", secret),
            None => request,
        }
    }
}
