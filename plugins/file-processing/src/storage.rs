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
use kit::ConfigurationError;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart,
};
use tokio::io::AsyncReadExt;

use crate::config::Bucket;
use crate::problem::Problem;

/// Files up to this size are written in one request.
const ONE_REQUEST_BYTES: u64 = 8 << 20;
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a request to the bucket is repeated before it counts as failed.
const RETRY_FOR: Duration = Duration::from_secs(5);
/// How long one look at the storage may take.
const CHECK_WITHIN: Duration = Duration::from_secs(4);

/// A storage and what was last seen of it.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    /// `local` or `s3`.
    pub(crate) provider: &'static str,
    /// The bucket's name, or the folder.
    pub(crate) place: Arc<str>,
    used: Arc<AtomicU64>,
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
        Ok(Self::new(Arc::new(store), "local", folder.display().to_string()))
    }

    /// A bucket; whether it can be reached shows later.
    pub(crate) fn bucket(bucket: &Bucket) -> Result<Self, ConfigurationError> {
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
        Self { store, provider, place: place.into(), used: Arc::default() }
    }

    /// Writes a file as a whole; readers see the old one or the new one.
    pub(crate) async fn put(&self, key: &Path, bytes: Bytes) -> Result<(), Problem> {
        let size = bytes.len() as u64;
        self.store.put(key, bytes.into()).await.map_err(|error| self.failed("writing", key, &error))?;
        self.used.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Copies a file from disk, piece by piece.
    pub(crate) async fn put_file(&self, key: &Path, source: &FilePath, size: u64) -> Result<(), Problem> {
        let unreadable = |error: std::io::Error| Problem::Storage(format!("reading a temporary file failed: {error}"));
        if size <= ONE_REQUEST_BYTES {
            let bytes = tokio::fs::read(source).await.map_err(unreadable)?;
            return self.put(key, bytes.into()).await;
        }
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
        self.used.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Opens a file.
    pub(crate) async fn get(&self, key: &Path) -> Result<GetResult, Problem> {
        self.store.get(key).await.map_err(|error| self.failed("reading", key, &error))
    }

    /// Removes a file; whether it was there does not matter.
    pub(crate) async fn delete(&self, key: &Path) -> Result<(), Problem> {
        match self.store.delete(key).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing", key, &error)),
        }
    }

    /// The files below a key.
    pub(crate) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>, Problem> {
        let listed = self.store.list(Some(prefix)).try_collect().await;
        listed.map_err(|error| self.failed("listing", prefix, &error))
    }

    /// Counts the bytes of all files anew.
    pub(crate) async fn measure(&self) -> Result<(), Problem> {
        let mut files = self.store.list(None);
        let mut sum = 0;
        while let Some(file) = files.next().await {
            sum += file.map_err(|error| self.failed("listing", &Path::default(), &error))?.size;
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
            if self.provider == "local" {
                return self.store.put(&key, Bytes::from_static(b"ok").into()).await.map(drop);
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

/// The innermost cause, which says more than its wrappers and holds no address with a signature.
fn brief(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(300).collect()
}
