//! Keeps files: in a folder of the volume, or in a bucket of an S3-compatible server.
//!
//! The only file that knows which. What cannot be reached is [`Problem::Storage`], what is not there
//! [`Problem::Missing`].

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use kit::{ConfigurationError, clock};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart,
};
use tokio::io::AsyncReadExt;

use crate::config::Bucket;
use crate::keys;
use crate::problem::Problem;

/// Files up to this size are written in one request.
const ONE_REQUEST_BYTES: u64 = 8 << 20;
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a request to the bucket is repeated before it counts as failed.
const RETRY_FOR: Duration = Duration::from_secs(5);
/// How long one look at the storage may take.
const CHECK_WITHIN: Duration = Duration::from_secs(4);
/// How often the quota may have all files counted, in milliseconds.
const COUNT_AGAIN_MS: u64 = 60_000;
/// The file that a look at the folder writes; no key has such a name.
const PROBE: &str = ".probe";

/// A storage and what was last seen of it.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    /// `local` or `s3`.
    pub(crate) provider: &'static str,
    /// The bucket's name, or the folder.
    pub(crate) place: Arc<str>,
    /// The folder, where it is one.
    folder: Option<Arc<FilePath>>,
    used: Arc<AtomicU64>,
    /// When all files were counted because the quota was reached.
    counted_at: Arc<AtomicU64>,
    quota: Option<u64>,
}

impl Storage {
    /// A folder, which is made where it is missing.
    pub(crate) fn local(folder: &FilePath) -> Result<Self, ConfigurationError> {
        let refuse = |error: &dyn std::fmt::Display| {
            ConfigurationError::new(format!(
                "the folder `{}` cannot be used: {error}; mount a volume there that user 65532 may write, or set \
                 `FILE_PROCESSING_DATA_DIR`",
                folder.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(|error| refuse(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| refuse(&error))?;
        let store = store.with_automatic_cleanup(true).with_fsync(true);
        let storage = Self::new(Arc::new(store), "local", folder.display().to_string());
        Ok(Self { folder: Some(folder.into()), ..storage })
    }

    /// A bucket; whether it can be reached shows later.
    pub(crate) fn bucket(bucket: &Bucket) -> Result<Self, ConfigurationError> {
        // The client needs it; fails only where it was chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: 2, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        let options =
            ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT_WITHIN).with_timeout(ANSWER_WITHIN);
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options)
            .with_retry(retry)
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key)
            .with_secret_access_key(&bucket.secret_key);
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| {
            ConfigurationError::new(format!("the bucket `{}` cannot be used as it is configured: {error}", bucket.name))
        })?;
        Ok(Self::new(Arc::new(store), "s3", bucket.name.clone()))
    }

    fn new(store: Arc<dyn ObjectStore>, provider: &'static str, place: String) -> Self {
        Self {
            store,
            provider,
            place: place.into(),
            folder: None,
            used: Arc::default(),
            counted_at: Arc::default(),
            quota: None,
        }
    }

    /// Refuses files that would make all of them occupy more bytes than this.
    pub(crate) fn with_quota(self, quota: Option<u64>) -> Self {
        Self { quota, ..self }
    }

    /// Counts a file that is about to be written, unless there is no room for it. What was written over is still counted
    /// until all files are counted, so that comes first.
    async fn claim(&self, size: u64) -> Result<Claim<'_>, Problem> {
        if let Ok(claim) = self.try_claim(size) {
            return Ok(claim);
        }
        let now = clock::milliseconds(clock::now());
        let before = self.counted_at.swap(now, Ordering::AcqRel);
        if now.saturating_sub(before) > COUNT_AGAIN_MS {
            self.measure(&keys::FOLDERS).await?;
        }
        self.try_claim(size)
    }

    fn try_claim(&self, size: u64) -> Result<Claim<'_>, Problem> {
        let quota = self.quota.unwrap_or(u64::MAX);
        let more = |used: u64| used.checked_add(size).filter(|used| *used <= quota);
        match self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Claim { used: &self.used, size }),
            Err(_) => Err(Problem::Full(format!(
                "stored files occupy the {quota} bytes that they may (`FILE_PROCESSING_STORAGE_QUOTA`)"
            ))),
        }
    }

    /// Writes a file as a whole; readers see the old one or the new one.
    pub(crate) async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), Problem> {
        let claim = self.claim(bytes.len() as u64).await?;
        self.store.put(key, bytes.into()).await.map_err(|error| self.failed("writing", key, &error))?;
        claim.keep();
        Ok(())
    }

    /// Copies a file from disk, piece by piece.
    pub(crate) async fn put_file(&self, key: &Path, source: &FilePath, size: u64) -> Result<(), Problem> {
        let unreadable = |error: std::io::Error| Problem::Storage(format!("reading a temporary file failed: {error}"));
        if size <= ONE_REQUEST_BYTES {
            let bytes = tokio::fs::read(source).await.map_err(unreadable)?;
            return self.put(key, bytes.into()).await;
        }
        let claim = self.claim(size).await?;
        let mut file = tokio::fs::File::open(source).await.map_err(unreadable)?;
        let upload = self.store.put_multipart(key).await.map_err(|error| self.failed("writing", key, &error))?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, 5 << 20);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = file.read(&mut buffer).await.map_err(unreadable)?;
            if read == 0 {
                break;
            }
            // At most this many parts are under way, each in memory.
            writer.wait_for_capacity(2).await.map_err(|error| self.failed("writing", key, &error))?;
            writer.write(&buffer[..read]);
        }
        writer.finish().await.map_err(|error| self.failed("writing", key, &error))?;
        claim.keep();
        Ok(())
    }

    /// Opens a file.
    pub(crate) async fn get(&self, key: &Path) -> Result<GetResult, Problem> {
        self.store.get(key).await.map_err(|error| self.failed("reading", key, &error))
    }

    /// Removes a file of so many bytes; whether it was there does not matter.
    pub(crate) async fn delete(&self, key: &Path, size: u64) -> Result<(), Problem> {
        match self.store.delete(key).await {
            Ok(()) => {
                let less = |used: u64| Some(used.saturating_sub(size));
                // Always applies.
                let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
                Ok(())
            }
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing", key, &error)),
        }
    }

    /// The files below a key.
    pub(crate) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, Problem> {
        let listed = self.store.list(Some(prefix)).try_collect().await;
        listed.map_err(|error| self.failed("listing", prefix, &error))
    }

    /// Counts the bytes of all files in this server's folders.
    pub(crate) async fn measure(&self, folders: &[&str]) -> Result<(), Problem> {
        let mut sum = 0;
        for folder in folders {
            let folder = Path::from(*folder);
            let mut files = self.store.list(Some(&folder));
            while let Some(file) = files.next().await {
                sum += file.map_err(|error| self.failed("listing", &folder, &error))?.size;
            }
        }
        self.used.store(sum, Ordering::Relaxed);
        Ok(())
    }

    /// About how many bytes are kept.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Looks whether files can be written.
    pub(crate) async fn check(&self) -> Result<(), Problem> {
        let key = Path::from("health/probe");
        let look = async {
            if let Some(folder) = &self.folder {
                // Without waiting for the disk: it is asked often, and says no more than whether files can be made.
                let written = tokio::fs::write(folder.join(PROBE), b"ok").await;
                return written.map_err(|error| Error::Generic { store: "local", source: error.into() });
            }
            self.store.list_with_delimiter(Some(&Path::from("health"))).await.map(drop)
        };
        match tokio::time::timeout(CHECK_WITHIN, look).await {
            Ok(result) => result.map_err(|error| self.failed("checking", &key, &error)),
            Err(_) => Err(Problem::Storage(format!("`{}` took longer than {CHECK_WITHIN:?}", self.place))),
        }
    }

    fn failed(&self, doing: &str, key: &Path, error: &Error) -> Problem {
        match error {
            Error::NotFound { .. } if doing == "reading" => Problem::Missing(format!("there is no file `{key}`")),
            Error::InvalidPath { .. } => Problem::field("filePath", "is no key of the storage"),
            _ => {
                let text = format!("{doing} `{key}` in `{}` ({}) failed: {}", self.place, self.provider, brief(error));
                tracing::warn!("{text}");
                Problem::Storage(text)
            }
        }
    }
}

/// Bytes that are counted before they are written, and not any more where writing fails.
struct Claim<'a> {
    used: &'a AtomicU64,
    size: u64,
}

impl Claim<'_> {
    fn keep(mut self) {
        self.size = 0;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let less = |used: u64| Some(used.saturating_sub(self.size));
        // Always applies.
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }
}

/// The innermost cause, which says more than its wrappers and holds no address with a signature.
fn brief(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(300).collect()
}
