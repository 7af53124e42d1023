//! Owns the states of all jobs: in memory for readers, on disk before anybody sees them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::{ConfigurationError, clock};
use prometheus::IntGauge;
use tokio::sync::Notify;

use crate::jobs::{Job, Journal, State};
use crate::problem::Problem;

/// A job that was begun this often without coming to an end takes the process down each time.
const MOST_ATTEMPTS: u32 = 3;
/// The most ended jobs that are kept, whatever their age.
const MOST_ENDED: usize = 10_000;

/// How many jobs stand where.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) pending: usize,
    pub(crate) processing: usize,
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
    pub(crate) thumbnails: usize,
    /// Milliseconds of all completed jobs together.
    pub(crate) duration_ms: u64,
}

impl Counts {
    fn add(&mut self, job: &Job) {
        self.thumbnails += job.thumbnails.len();
        self.duration_ms += if job.state == State::Completed { job.duration_ms().unwrap_or_default() } else { 0 };
        *self.of(job.state) += 1;
    }

    fn subtract(&mut self, job: &Job) {
        self.thumbnails -= job.thumbnails.len();
        self.duration_ms -= if job.state == State::Completed { job.duration_ms().unwrap_or_default() } else { 0 };
        *self.of(job.state) -= 1;
    }

    fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Pending => &mut self.pending,
            State::Processing => &mut self.processing,
            State::Completed => &mut self.completed,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
        }
    }
}

/// The jobs in memory, with what would take a walk over all of them to find out.
#[derive(Default)]
struct Table {
    jobs: HashMap<String, Job>,
    counts: Counts,
    /// Pending jobs in their order.
    pending: BTreeSet<(u64, u64, String)>,
    /// The newest job of each file.
    latest: HashMap<String, (u64, String)>,
}

impl Table {
    /// Puts a job in and gives back what was in its place.
    fn insert(&mut self, job: Job) -> Option<Job> {
        let before = self.take(&job.id);
        self.counts.add(&job);
        if job.state == State::Pending {
            self.pending.insert((job.priority, job.number, job.id.clone()));
        }
        let newest = (job.number, job.id.clone());
        let latest = self.latest.entry(job.file_id.clone()).or_insert_with(|| newest.clone());
        if *latest < newest {
            *latest = newest;
        }
        self.jobs.insert(job.id.clone(), job);
        before
    }

    /// Removes a job for good.
    fn remove(&mut self, id: &str) {
        let Some(job) = self.take(id) else { return };
        if self.latest.get(&job.file_id).is_some_and(|(_, latest)| latest == id) {
            self.latest.remove(&job.file_id);
        }
    }

    fn take(&mut self, id: &str) -> Option<Job> {
        let job = self.jobs.remove(id)?;
        self.counts.subtract(&job);
        self.pending.remove(&(job.priority, job.number, job.id.clone()));
        Some(job)
    }
}

/// All jobs.
pub(crate) struct Desk {
    journal: Journal,
    table: Mutex<Table>,
    /// Held while a change is on its way to disk, so that changes keep their order.
    writing: tokio::sync::Mutex<u64>,
    most_pending: usize,
    waiting: IntGauge,
    /// Wakes whoever works jobs off.
    pub(crate) news: Notify,
}

impl Desk {
    /// Takes up the jobs of the journal: those that were under way are begun again.
    pub(crate) fn open(journal: Journal, most_pending: usize, waiting: IntGauge) -> Result<Self, ConfigurationError> {
        let mut jobs = journal.load()?;
        let mut last = 0;
        for job in &mut jobs {
            last = last.max(job.number);
            if job.state == State::Processing {
                resume(job);
            }
        }
        let mut table = Table::default();
        for job in jobs {
            table.insert(job);
        }
        waiting.add(i64::try_from(table.counts.pending).unwrap_or(i64::MAX));
        Ok(Self {
            journal,
            table: Mutex::new(table),
            writing: tokio::sync::Mutex::new(last),
            most_pending,
            waiting,
            news: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing in the changes of a table panics.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a job: it is on disk once this returns.
    pub(crate) async fn accept(&self, job: Job) -> Result<Job, Problem> {
        self.accept_once(job).await.map(|(job, _)| job)
    }

    /// Accepts a job unless there is one of its id; gives the job that there is, and whether it was there before.
    pub(crate) async fn accept_once(&self, mut job: Job) -> Result<(Job, bool), Problem> {
        let mut last = self.writing.lock().await;
        if let Some(known) = self.get(&job.id) {
            return Ok((known, true));
        }
        let pending = self.counts().pending;
        if job.state == State::Pending && pending >= self.most_pending {
            return Err(Problem::Busy(pending, self.most_pending));
        }
        *last += 1;
        job.number = *last;
        self.publish(job.clone()).await?;
        self.news.notify_one();
        Ok((job, false))
    }

    /// Changes a job, unless the change says that it does not apply; gives back the job as it then is.
    pub(crate) async fn change(&self, id: &str, change: impl FnOnce(&mut Job) -> bool) -> Result<Option<Job>, Problem> {
        let _writing = self.writing.lock().await;
        let Some(mut job) = self.get(id) else { return Ok(None) };
        if change(&mut job) {
            self.publish(job.clone()).await?;
        }
        Ok(Some(job))
    }

    async fn publish(&self, job: Job) -> Result<(), Problem> {
        let written = self.journal.put(&job).await;
        written.map_err(|error| Problem::Storage(format!("the jobs' journal cannot be written: {error}")))?;
        let is_pending = i64::from(job.state == State::Pending);
        let before = self.lock().insert(job);
        let was_pending = i64::from(before.is_some_and(|before| before.state == State::Pending));
        self.waiting.add(is_pending - was_pending);
        Ok(())
    }

    /// A job by its id.
    pub(crate) fn get(&self, id: &str) -> Option<Job> {
        self.lock().jobs.get(id).cloned()
    }

    /// The newest job of a file.
    pub(crate) fn latest_of(&self, file_id: &str) -> Option<Job> {
        let table = self.lock();
        let (_, id) = table.latest.get(file_id)?;
        table.jobs.get(id).cloned()
    }

    /// Jobs in a state, newest first, and how many there are in all.
    pub(crate) fn list(&self, state: Option<State>, limit: usize, offset: usize) -> (Vec<Job>, usize) {
        let table = self.lock();
        let jobs = table.jobs.values();
        let mut found: Vec<&Job> = jobs.filter(|job| state.is_none_or(|state| job.state == state)).collect();
        found.sort_unstable_by_key(|job| std::cmp::Reverse(job.number));
        let total = found.len();
        (found.into_iter().skip(offset).take(limit).cloned().collect(), total)
    }

    /// How many jobs stand where.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The next job to begin, now processing: lower priority numbers first, then the order of arrival. Jobs that
    /// `waits` tells of are passed over.
    pub(crate) async fn begin_next(&self, waits: impl Fn(&str) -> bool) -> Result<Option<Job>, Problem> {
        let next = {
            let table = self.lock();
            table.pending.iter().map(|(_, _, id)| id).find(|id| !waits(id)).cloned()
        };
        let Some(id) = next else { return Ok(None) };
        let begun = self.change(&id, |job| {
            let is_next = job.state == State::Pending;
            if is_next {
                job.state = State::Processing;
                job.attempts += 1;
                job.started_at = Some(clock::milliseconds(clock::now()));
            }
            is_next
        });
        Ok(begun.await?.filter(|job| job.state == State::Processing))
    }

    /// Cancels a job that has not come to its end.
    pub(crate) async fn cancel(&self, id: &str) -> Result<Job, Problem> {
        let mut before = None;
        let changed = self.change(id, |job| {
            before = Some(job.state);
            let is_open = !job.state.is_end();
            if is_open {
                job.state = State::Cancelled;
                job.ended_at = Some(clock::milliseconds(clock::now()));
            }
            is_open
        });
        let job = changed.await?.ok_or_else(|| Problem::Missing(format!("there is no job `{id}`")))?;
        match before {
            Some(state) if state.is_end() => Err(Problem::Conflict(format!("the job is {} already", state.as_str()))),
            _ => Ok(job),
        }
    }

    /// Puts all jobs that are under way back without counting the attempt, since the server ends in order.
    pub(crate) async fn put_back_all(&self) -> Result<usize, Problem> {
        let under_way: Vec<String> = {
            let table = self.lock();
            let jobs = table.jobs.values().filter(|job| job.state == State::Processing);
            jobs.map(|job| job.id.clone()).collect()
        };
        for id in &under_way {
            self.put_back(id, true).await?;
        }
        Ok(under_way.len())
    }

    /// Lets a job that is under way wait again.
    pub(crate) async fn put_back(&self, id: &str, uncounted: bool) -> Result<(), Problem> {
        let change = self.change(id, |job| {
            let is_ours = job.state == State::Processing;
            if is_ours {
                job.state = State::Pending;
                job.attempts = job.attempts.saturating_sub(u32::from(uncounted));
            }
            is_ours
        });
        change.await.map(drop)
    }

    /// Jobs whose end is still to be told.
    pub(crate) fn untold(&self) -> Vec<Job> {
        self.lock().jobs.values().filter(|job| job.webhook_due).cloned().collect()
    }

    /// Forgets jobs that ended before a time, and the oldest of too many.
    pub(crate) async fn forget_before(&self, time: u64) -> Result<usize, Problem> {
        let _writing = self.writing.lock().await;
        let old: Vec<String> = {
            let table = self.lock();
            let jobs = table.jobs.values();
            let mut ended: Vec<&Job> = jobs.filter(|job| job.state.is_end() && !job.webhook_due).collect();
            ended.sort_unstable_by_key(|job| std::cmp::Reverse(job.number));
            let is_old = |at: usize, job: &Job| at >= MOST_ENDED || job.ended_at.is_none_or(|ended| ended < time);
            ended.iter().enumerate().filter(|(at, job)| is_old(*at, job)).map(|(_, job)| job.id.clone()).collect()
        };
        let removed = self.journal.remove(old.clone()).await;
        removed.map_err(|error| Problem::Storage(format!("the jobs' journal cannot be written: {error}")))?;
        let mut table = self.lock();
        for id in &old {
            table.remove(id);
        }
        Ok(old.len())
    }
}

/// What becomes of a job that was under way when the process ended.
fn resume(job: &mut Job) {
    if job.attempts < MOST_ATTEMPTS {
        job.state = State::Pending;
        return;
    }
    job.state = State::Failed;
    job.ended_at = Some(clock::milliseconds(clock::now()));
    job.error = Some(format!("it was begun {MOST_ATTEMPTS} times and the server ended each time"));
    job.webhook_due = job.webhook_url.is_some();
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
