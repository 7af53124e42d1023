//! What is known of a job, read leniently: producers in other languages write what they like.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use kit::clock;
use redis::Pipeline;
use serde_json::{Map, Value, json};

use super::counts::State;
use super::{Found, Queues, keys};
use crate::broker::Trouble;
use crate::queue_name::QueueName;

/// The longest reason that a list shows, in characters.
const REASON_CHARACTERS: usize = 1_000;
/// What a list shows of a job; its data and result may be large.
const SUMMARY_FIELDS: [&str; 13] = [
    "name",
    "timestamp",
    "processedOn",
    "finishedOn",
    "atm",
    "ats",
    "progress",
    "failedReason",
    "opts",
    "delay",
    "priority",
    "rjk",
    "pb",
];

/// A job's fields as they are in Redis.
pub(crate) struct Record {
    queue: QueueName,
    id: String,
    fields: HashMap<String, String>,
    state: Option<State>,
}

/// A job in a list.
pub(crate) type Summary = Record;

impl Record {
    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.text(field)?.parse().ok()
    }

    fn parsed(&self, field: &str) -> Value {
        let Some(text) = self.text(field) else {
            return Value::Null;
        };
        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
    }

    /// The job's type: its name.
    pub(crate) fn kind(&self) -> &str {
        self.text("name").unwrap_or_default()
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.state
    }

    pub(crate) fn progress(&self) -> Value {
        match self.parsed("progress") {
            Value::Null => json!(0),
            progress => progress,
        }
    }

    /// How long it ran, where it has ended.
    pub(crate) fn duration(&self) -> Option<u64> {
        self.number("finishedOn")?.checked_sub(self.number("processedOn")?)
    }

    pub(crate) fn finished_on(&self) -> Option<u64> {
        self.number("finishedOn")
    }

    fn time(&self, field: &str) -> Value {
        let Some(milliseconds) = self.number(field) else {
            return Value::Null;
        };
        UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).map_or(Value::Null, |time| json!(clock::iso(time)))
    }

    /// What lists show.
    pub(crate) fn summary(&self) -> Map<String, Value> {
        let options = self.parsed("opts");
        let reason = self.text("failedReason").map(|reason| reason.chars().take(REASON_CHARACTERS).collect::<String>());
        let state = self.state.map_or("unknown", State::plain);
        let view = json!({
            "jobId": self.id,
            "id": self.id,
            "type": self.kind(),
            "name": self.kind(),
            "queue": self.queue.as_str(),
            "queueName": self.queue.as_str(),
            "status": state,
            "state": state,
            "list": self.state.map(State::word),
            "progress": self.progress(),
            "failedReason": reason,
            "attempts": self.number("atm").unwrap_or(0),
            "attemptsMade": self.number("atm").unwrap_or(0),
            "maxAttempts": options["attempts"].as_u64().unwrap_or(1),
            "priority": self.number("priority").unwrap_or(0),
            "delay": self.number("delay").unwrap_or(0),
            "createdAt": self.time("timestamp"),
            "startedAt": self.time("processedOn"),
            "completedAt": self.time("finishedOn"),
            "processedBy": self.text("pb"),
            "scheduleId": self.text("rjk"),
        });
        let Value::Object(mut view) = view else {
            return Map::new();
        };
        // What was not is left out, as BullMQ's clients do.
        for field in ["failedReason", "processedBy", "scheduleId"] {
            if view[field].is_null() {
                view.remove(field);
            }
        }
        view
    }

    /// Everything.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let mut view = self.summary();
        let data = self.parsed("data");
        let is_envelope = data.get("type").is_some_and(Value::is_string) && data.get("payload").is_some();
        view.insert("payload".to_owned(), if is_envelope { data["payload"].clone() } else { data.clone() });
        view.insert("data".to_owned(), data);
        view.insert("result".to_owned(), self.parsed("returnvalue"));
        view.insert("options".to_owned(), self.parsed("opts"));
        if let Some(reason) = self.text("failedReason") {
            view.insert("failedReason".to_owned(), json!(reason));
            view.insert("error".to_owned(), json!(reason));
        }
        view.insert("stacktrace".to_owned(), self.parsed("stacktrace"));
        view
    }
}

impl Queues {
    /// All that is known of a job at one moment; `None` where it has just gone.
    pub(crate) async fn record(&self, found: &Found) -> Result<Option<Record>, Trouble> {
        let (fields, state) = self.look(found).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        Ok(Some(Record { queue: found.name.clone(), id: found.id.clone(), fields, state }))
    }

    /// Where a job is; `None` where it is nowhere.
    pub(crate) async fn state_of(&self, found: &Found) -> Result<Option<State>, Trouble> {
        Ok(self.look(found).await?.1)
    }

    async fn look(&self, found: &Found) -> Result<(HashMap<String, String>, Option<State>), Trouble> {
        let mut pipeline = Pipeline::new();
        // In between two commands a job could end.
        pipeline.atomic();
        for state in State::ALL {
            pipeline.cmd(if state.is_list() { "LPOS" } else { "ZSCORE" }).arg(state.key(&found.name)).arg(&found.id);
        }
        pipeline.cmd("HGETALL").arg(keys(&found.name).job_key(&found.id));
        let mut commands = self.broker.commands()?;
        let mut answers: Vec<redis::Value> =
            self.broker.ask(async { Ok(pipeline.query_async(&mut commands).await?) }).await?;
        let fields = answers.pop().map(redis::from_redis_value).transpose();
        let fields = fields.map_err(|error| Trouble::Refused(redis::RedisError::from(error).into()))?;
        let state = State::ALL.into_iter().zip(answers).find(|(_, answer)| *answer != redis::Value::Nil);
        Ok((fields.unwrap_or_default(), state.map(|(state, _)| state)))
    }

    /// Jobs in a state: the newest first, or the next first where they are still to come.
    pub(crate) async fn list(
        &self,
        name: &QueueName,
        state: State,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<Summary>, Trouble> {
        let Some(last) = limit.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let command = match (state.is_list(), state.has_ended()) {
            (true, _) => "LRANGE",
            (false, true) => "ZREVRANGE",
            (false, false) => "ZRANGE",
        };
        let mut commands = self.broker.commands()?;
        let ids: Vec<String> = self
            .broker
            .ask(async {
                let mut command = redis::cmd(command);
                command.arg(state.key(name)).arg(offset).arg(offset.saturating_add(last));
                Ok(command.query_async(&mut commands).await?)
            })
            .await?;
        self.summaries(name, state, ids).await
    }

    async fn summaries(&self, name: &QueueName, state: State, ids: Vec<String>) -> Result<Vec<Summary>, Trouble> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = keys(name);
        let mut pipeline = Pipeline::new();
        for id in &ids {
            pipeline.cmd("HMGET").arg(keys.job_key(id)).arg(&SUMMARY_FIELDS);
        }
        let mut commands = self.broker.commands()?;
        let rows: Vec<Vec<Option<String>>> =
            self.broker.ask(async { Ok(pipeline.query_async(&mut commands).await?) }).await?;
        let summaries = ids.into_iter().zip(rows).filter_map(|(id, row)| {
            let fields = SUMMARY_FIELDS.iter().zip(row);
            let fields: HashMap<String, String> =
                fields.filter_map(|(field, value)| Some(((*field).to_owned(), value?))).collect();
            // A list may name a job that was removed a moment ago.
            (!fields.is_empty()).then(|| Record { queue: name.clone(), id, fields, state: Some(state) })
        });
        Ok(summaries.collect())
    }
}
