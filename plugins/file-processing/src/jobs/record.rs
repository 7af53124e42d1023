//! What a job is, on disk and for callers.

use kit::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::images::Description;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Processing,
    Completed,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    pub(crate) fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What a job does with its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Thumbnail,
    Optimize,
    Scan,
    Metadata,
}

impl Operation {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "thumbnail" | "thumbnails" => Self::Thumbnail,
            "optimize" => Self::Optimize,
            "scan" => Self::Scan,
            "metadata" => Self::Metadata,
            _ => return None,
        })
    }
}

/// How a job changes an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Options {
    /// A box that an optimised image fits into.
    pub(crate) within: Option<(u32, u32)>,
    pub(crate) quality: Option<u8>,
}

/// A thumbnail that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thumbnail {
    pub(crate) id: String,
    pub(crate) file_id: String,
    /// Its key in the storage.
    pub(crate) path: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) format: String,
    /// RFC 3339.
    pub(crate) created_at: String,
}

impl Thumbnail {
    /// As callers read it, with an address where there is one.
    pub(crate) fn view(&self, url: Option<String>) -> Value {
        let mut view = json!(self);
        if let Some(url) = url {
            view["url"] = json!(url);
        }
        view
    }
}

/// What optimising brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Optimization {
    pub(crate) path: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) format: String,
    pub(crate) original_size: u64,
    pub(crate) optimized_size: u64,
    pub(crate) savings_bytes: i64,
    pub(crate) savings_percent: f64,
}

/// What scanning brought: nothing while the scanner is off, and never the word clean.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scan {
    pub(crate) file_id: String,
    pub(crate) status: String,
    pub(crate) is_clean: bool,
    pub(crate) threats_found: u32,
    pub(crate) threat_names: Vec<String>,
    pub(crate) error: String,
}

impl Scan {
    /// The answer of a scanner that is off.
    pub(crate) fn off(file_id: &str) -> Self {
        Self {
            file_id: file_id.to_owned(),
            status: "error".to_owned(),
            is_clean: false,
            threats_found: 0,
            threat_names: Vec::new(),
            error: "virus scanning is off: this file was not scanned".to_owned(),
        }
    }
}

/// A job with all that is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    /// Its place in the order of arrival.
    pub(crate) number: u64,
    pub(crate) file_id: String,
    /// The key of its file in the storage.
    pub(crate) file_path: Option<String>,
    /// The address of its file, where it is fetched.
    pub(crate) file_url: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) file_size: Option<u64>,
    pub(crate) mime_type: Option<String>,
    pub(crate) operations: Vec<Operation>,
    #[serde(default)]
    pub(crate) options: Options,
    /// Lower numbers go first.
    pub(crate) priority: u64,
    pub(crate) webhook_url: Option<String>,
    pub(crate) webhook_secret: Option<String>,
    pub(crate) callback_data: Option<Value>,
    pub(crate) state: State,
    /// How often it was begun.
    pub(crate) attempts: u32,
    /// Milliseconds since 1970.
    pub(crate) created_at: u64,
    pub(crate) started_at: Option<u64>,
    pub(crate) ended_at: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) thumbnails: Vec<Thumbnail>,
    pub(crate) metadata: Option<Description>,
    pub(crate) optimization: Option<Optimization>,
    pub(crate) scan: Option<Scan>,
    /// The key of what a caller fetches as the result.
    pub(crate) result_path: Option<String>,
    /// Whether its end is still to be told, and how often that was tried.
    pub(crate) webhook_due: bool,
    pub(crate) webhook_attempts: u32,
}

impl Job {
    /// A job for a file, with nothing done.
    pub(crate) fn new(id: String, file_id: String, now: u64) -> Self {
        Self {
            id,
            number: 0,
            file_id,
            file_path: None,
            file_url: None,
            file_name: None,
            file_size: None,
            mime_type: None,
            operations: Vec::new(),
            options: Options::default(),
            priority: 5,
            webhook_url: None,
            webhook_secret: None,
            callback_data: None,
            state: State::Pending,
            attempts: 0,
            created_at: now,
            started_at: None,
            ended_at: None,
            error: None,
            thumbnails: Vec::new(),
            metadata: None,
            optimization: None,
            scan: None,
            result_path: None,
            webhook_due: false,
            webhook_attempts: 0,
        }
    }

    /// How long it took, once it came to its end.
    pub(crate) fn duration_ms(&self) -> Option<u64> {
        Some(self.ended_at?.saturating_sub(self.started_at?))
    }

    /// As callers read it; secrets and where its webhook goes are left out.
    pub(crate) fn view(&self) -> Map<String, Value> {
        let iso = |time: u64| clock::iso(clock::at(time));
        let mut view = Map::new();
        let mut put = |field: &str, value: Value| {
            if !value.is_null() {
                view.insert(field.to_owned(), value);
            }
        };
        put("id", json!(self.id));
        put("fileId", json!(self.file_id));
        put("filePath", json!(self.file_path));
        put("fileName", json!(self.file_name));
        put("fileSize", json!(self.file_size));
        put("mimeType", json!(self.mime_type));
        put("operations", json!(self.operations));
        put("priority", json!(self.priority));
        put("status", json!(self.state.as_str()));
        put("attempts", json!(self.attempts));
        put("createdAt", json!(iso(self.created_at)));
        put("startedAt", json!(self.started_at.map(iso)));
        put("completedAt", json!(self.ended_at.map(iso)));
        put("durationMs", json!(self.duration_ms()));
        put("error", json!(self.error));
        put("thumbnails", json!(self.thumbnails));
        put("callbackData", json!(self.callback_data));
        view
    }

    /// What its webhook is told.
    pub(crate) fn report(&self, thumbnails: &[Value]) -> Value {
        let event = if self.state == State::Completed { "job.completed" } else { "job.failed" };
        let mut report = json!({
            "event": event,
            "jobId": self.id,
            "fileId": self.file_id,
            "status": self.state.as_str(),
            "durationMs": self.duration_ms().unwrap_or_default(),
        });
        let mut put = |field: &str, value: Value| {
            if !value.is_null() {
                report[field] = value;
            }
        };
        if !thumbnails.is_empty() {
            put("thumbnails", json!(thumbnails));
        }
        put("metadata", json!(self.metadata));
        put("scan", json!(self.scan));
        put("optimization", json!(self.optimization));
        put("callbackData", json!(self.callback_data));
        put("error", json!(self.error));
        report
    }
}
