//! Keeps jobs on the volume, so that one that was accepted outlives the process.
//!
//! A redb database: one file, written in transactions that are on disk when they return, readable after a kill at
//! any moment, and without a server or C. It must not decide anything about jobs.

use std::path::Path;
use std::sync::Arc;

use kit::ConfigurationError;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::jobs::Job;

const JOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("jobs");
/// Memory for the database's pages: it holds few and small records.
const CACHE_BYTES: usize = 4 << 20;

/// The file with all jobs.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Database>);

impl Journal {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigurationError> {
        create_private(path).map_err(|error| {
            let path = path.display();
            ConfigurationError::new(format!(
                "the jobs' journal `{path}` cannot be made: {error}; mount a volume there that this user may write, or set \
                 `FILE_PROCESSING_DATA_DIR`"
            ))
        })?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path);
        let journal = database.map(|database| Self(Arc::new(database))).map_err(|error| {
            ConfigurationError::new(format!(
                "the jobs' journal `{}` cannot be opened: {error}; one server at a time may use a volume",
                path.display()
            ))
        })?;
        journal.write(|_| Ok(())).map_err(|error| {
            ConfigurationError::new(format!("the jobs' journal `{}` cannot be written: {error}", path.display()))
        })?;
        Ok(journal)
    }

    /// All jobs; one that cannot be read is left out and told in the log.
    pub(crate) fn load(&self) -> Result<Vec<Job>, ConfigurationError> {
        self.read().map_err(|error| ConfigurationError::new(format!("the jobs' journal cannot be read: {error}")))
    }

    fn read(&self) -> Result<Vec<Job>, redb::Error> {
        let transaction = self.0.begin_read()?;
        let table = transaction.open_table(JOBS)?;
        let mut jobs = Vec::new();
        for entry in table.iter()? {
            let (id, record) = entry?;
            match serde_json::from_slice(record.value()) {
                Ok(job) => jobs.push(job),
                Err(error) => tracing::error!(job = id.value(), %error, "a job's record cannot be read"),
            }
        }
        Ok(jobs)
    }

    /// Writes a job; it is on disk once this returns.
    pub(crate) async fn put(&self, job: &Job) -> Result<(), String> {
        let record = serde_json::to_vec(job).map_err(|error| error.to_string())?;
        let (journal, id) = (self.clone(), job.id.clone());
        let write = move || journal.write(|table| table.insert(id.as_str(), record.as_slice()).map(drop));
        off_thread(write).await
    }

    /// Removes jobs.
    pub(crate) async fn remove(&self, ids: Vec<String>) -> Result<(), String> {
        let journal = self.clone();
        let write = move || journal.write(|table| ids.iter().try_for_each(|id| table.remove(id.as_str()).map(drop)));
        off_thread(write).await
    }

    fn write(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &str, &[u8]>) -> Result<(), redb::StorageError>,
    ) -> Result<(), redb::Error> {
        let transaction = self.0.begin_write()?;
        change(&mut transaction.open_table(JOBS)?)?;
        transaction.commit()?;
        Ok(())
    }
}

/// Jobs hold the secrets of webhooks: nobody else reads the file.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

async fn off_thread(write: impl FnOnce() -> Result<(), redb::Error> + Send + 'static) -> Result<(), String> {
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| error.to_string())?;
    written.map_err(|error| error.to_string())
}
