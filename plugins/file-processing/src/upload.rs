//! Brings forms to disk: files are streamed to temporary files on the volume, never into memory, and counted on the
//! way. What is dropped before its end leaves no file behind.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use multer::{Field, Multipart};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

use crate::content::{self, Kind};
use crate::problem::Problem;

/// Text fields of a form, and the bytes of one of them.
const MOST_FIELDS: usize = 64;
const FIELD_BYTES: usize = 64 * 1024;
/// What a form may hold beside its files' bytes.
const FORM_BYTES: u64 = 1 << 20;
/// Files of one form.
const MOST_FILES: usize = 100;

/// How large and how slow uploads may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) file_bytes: u64,
    /// Of all files of one request.
    pub(crate) request_bytes: u64,
    /// Of all files that are under way or in work, together.
    pub(crate) space_bytes: u64,
    /// How long an upload may stand still, and may take before its rate counts.
    pub(crate) idle: Duration,
    /// How long it may take as a whole.
    pub(crate) whole: Duration,
    /// Bytes a second that it must reach.
    pub(crate) least_rate: u64,
}

/// Where uploads go.
pub(crate) struct Intake {
    folder: PathBuf,
    pub(crate) bounds: Bounds,
    used: Arc<AtomicU64>,
}

/// Disk space that a file occupies, given back when it is dropped.
#[derive(Debug)]
struct Claim {
    used: Arc<AtomicU64>,
    most: u64,
    bytes: u64,
}

impl Claim {
    fn grow(&mut self, bytes: u64) -> Result<(), Problem> {
        let most = self.most;
        let more = |used: u64| used.checked_add(bytes).filter(|used| *used <= most);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .map_err(|_| Problem::Full(format!("uploads under way occupy the {most} bytes that they may")))?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// A file on disk that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) path: TempPath,
    pub(crate) size: u64,
    /// The name that its sender gave it.
    pub(crate) name: Option<String>,
    pub(crate) kind: Kind,
    _claim: Claim,
}

/// A form that was received.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) files: Vec<Upload>,
    pub(crate) fields: HashMap<String, String>,
}

impl Form {
    /// Its only file.
    pub(crate) fn one_file(&mut self) -> Result<Upload, Problem> {
        match self.files.len() {
            0 => Err(Problem::field("file", "is required")),
            1 => Ok(self.files.remove(0)),
            _ => Err(Problem::field("file", "must be one file")),
        }
    }
}

impl Intake {
    /// Takes uploads into a folder, which is emptied of what an earlier process left.
    pub(crate) fn new(folder: PathBuf, bounds: Bounds) -> std::io::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let bounds = Bounds { request_bytes: bounds.request_bytes.max(bounds.file_bytes), ..bounds };
        Ok(Self { folder, bounds, used: Arc::default() })
    }

    /// Receives a form with one file.
    pub(crate) async fn receive_one(&self, request: Request) -> Result<Form, Problem> {
        self.receive(request, self.bounds.file_bytes, 1).await
    }

    /// Receives a form with several files.
    pub(crate) async fn receive_many(&self, request: Request) -> Result<Form, Problem> {
        self.receive(request, self.bounds.request_bytes, MOST_FILES).await
    }

    async fn receive(&self, request: Request, total: u64, most_files: usize) -> Result<Form, Problem> {
        let (parts, body) = request.into_parts();
        let boundary = boundary(&parts.headers)?;
        let announced = announced(&parts.headers);
        if let Some(size) = announced.filter(|size| *size > total.saturating_add(FORM_BYTES)) {
            return Err(Problem::TooLarge(Some(size), self.bounds.file_bytes));
        }
        let mut parts = Multipart::new(paced(body.into_data_stream(), self.bounds), boundary);
        let mut form = Form::default();
        let mut left = total;
        while let Some(field) = parts.next_field().await.map_err(|error| broken_form(&error))? {
            if field.file_name().is_none() && !is_file_field(field.name()) {
                Self::read_text(field, &mut form).await?;
                continue;
            }
            if form.files.len() == most_files {
                return Err(Problem::field("file", format!("must not be more than {most_files} files")));
            }
            let upload = self.store(field, left.min(self.bounds.file_bytes), announced).await?;
            left -= upload.size;
            form.files.push(upload);
        }
        Ok(form)
    }

    async fn read_text(mut field: Field<'_>, form: &mut Form) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|error| broken_form(&error))? {
            if bytes.len() + chunk.len() > FIELD_BYTES || form.fields.len() == MOST_FIELDS {
                return Err(Problem::field(&name, "is too long, or the form has too many fields"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).map_err(|_| Problem::field(&name, "must be UTF-8"))?;
        form.fields.insert(name, text.trim().to_owned());
        Ok(())
    }

    async fn store(&self, mut field: Field<'_>, limit: u64, announced: Option<u64>) -> Result<Upload, Problem> {
        let name = field.file_name().map(str::to_owned);
        let (mut file, path, mut claim) = self.temporary().await?;
        let mut size = 0;
        while let Some(chunk) = field.chunk().await.map_err(|error| broken_form(&error))? {
            size += chunk.len() as u64;
            if size > limit {
                return Err(Problem::TooLarge(announced.or(Some(size)), limit));
            }
            claim.grow(chunk.len() as u64)?;
            file.write_all(&chunk).await.map_err(|error| unwritable(&error))?;
        }
        file.flush().await.map_err(|error| unwritable(&error))?;
        drop(file);
        finish(path, size, name, claim).await
    }

    /// Takes a file from elsewhere than a form, such as the storage.
    pub(crate) async fn take<S, E>(&self, mut pieces: S, name: Option<String>) -> Result<Upload, Problem>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let (mut file, path, mut claim) = self.temporary().await?;
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Problem::Storage(format!("reading a file broke off: {error}")))?;
            size += piece.len() as u64;
            if size > self.bounds.file_bytes {
                return Err(Problem::TooLarge(Some(size), self.bounds.file_bytes));
            }
            claim.grow(piece.len() as u64)?;
            file.write_all(&piece).await.map_err(|error| unwritable(&error))?;
        }
        file.flush().await.map_err(|error| unwritable(&error))?;
        drop(file);
        finish(path, size, name, claim).await
    }

    async fn temporary(&self) -> Result<(tokio::fs::File, TempPath, Claim), Problem> {
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || tempfile::NamedTempFile::new_in(folder)).await;
        let (file, path) = made.map_err(|error| unwritable(&error))?.map_err(|error| unwritable(&error))?.into_parts();
        let claim = Claim { used: self.used.clone(), most: self.bounds.space_bytes, bytes: 0 };
        Ok((tokio::fs::File::from_std(file), path, claim))
    }

    /// The folder, for those that look whether it is empty.
    #[cfg(test)]
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl AsRef<Path> for Upload {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

fn is_file_field(name: Option<&str>) -> bool {
    matches!(name, Some("file" | "files" | "files[]"))
}

async fn finish(path: TempPath, size: u64, name: Option<String>, claim: Claim) -> Result<Upload, Problem> {
    let looking = tokio::task::spawn_blocking(move || content::of_file(&path).map(|kind| (path, kind))).await;
    let (path, kind) = looking.map_err(|error| unwritable(&error))?.map_err(|error| unwritable(&error))?;
    Ok(Upload { path, size, name, kind, _claim: claim })
}

/// Why a body was not read to its end.
#[derive(Debug)]
struct TooSlow;

impl std::fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("it came too slowly")
    }
}

impl std::error::Error for TooSlow {}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body, which breaks off where it stands still, is slower than it must be, or takes too long as a whole.
fn paced<S, E>(body: S, bounds: Bounds) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let began = Instant::now();
    stream::unfold((Box::pin(body), 0_u64), move |(mut body, mut received)| async move {
        let earned = Duration::from_secs(received / bounds.least_rate.max(1));
        let due = began + bounds.whole.min(bounds.idle + earned);
        let piece = timeout_at(due.min(Instant::now() + bounds.idle), body.next()).await;
        let piece = match piece {
            Ok(piece) => piece?.map_err(Into::into),
            Err(_) => Err(TooSlow.into()),
        };
        received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Some((piece, (body, received)))
    })
}

fn unwritable(error: &dyn std::fmt::Display) -> Problem {
    Problem::Storage(format!("writing a temporary file failed: {error}"))
}

fn broken_form(error: &multer::Error) -> Problem {
    if let multer::Error::StreamReadFailed(cause) = error
        && cause.is::<TooSlow>()
    {
        return Problem::Slow;
    }
    Problem::field("body", format!("is no whole form: {error}"))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    multer::parse_boundary(kind).map_err(|_| {
        let essence = kind.split(';').next().unwrap_or_default();
        Problem::NoForm(essence.trim().to_owned())
    })
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
