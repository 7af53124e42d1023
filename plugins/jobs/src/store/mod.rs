//! The queues in Redis: which there are, what is in them, and what may be done to a job.
//!
//! Adding and moving jobs is done by BullMQ's own scripts; what they cannot tell or do is read and done here in the
//! layout of npm's bullmq 5. It must not know HTTP, nor what a job's type means.

mod counts;
mod pause;
mod record;

use std::collections::HashMap;
use std::sync::Arc;

use bullmq::{Queue, QueueKeys};
use redis::Script;
use tokio::sync::{Mutex, watch};

use crate::broker::{Broker, Trouble};
use crate::queue_name::QueueName;

pub(crate) use counts::State;
pub(crate) use record::Summary;

/// The most queues; each has a worker with two connections.
const MOST_QUEUES: usize = 64;
/// The names that requests brought, so that other instances and the next start know them.
const NAMES_KEY: &str = "nself-jobs:queues";

/// Tells which of the given keys is a job: a hash with what every job has. Other keys of a queue look alike.
const FIND_SCRIPT: &str = r"
for index, key in ipairs(KEYS) do
  if redis.call('TYPE', key)['ok'] == 'hash' and redis.call('HEXISTS', key, 'timestamp') == 1
    and redis.call('HEXISTS', key, 'name') == 1 then
    return index
  end
end
return 0";

/// Adds a name unless there are too many. KEYS: the names. ARGV: a name, the most names. Tells whether it is there.
const REMEMBER_SCRIPT: &str = r"
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
return redis.call('SADD', KEYS[1], ARGV[1])";

/// A job and the queue that it is in.
pub(crate) struct Found {
    pub(crate) name: QueueName,
    pub(crate) queue: Arc<Queue>,
    pub(crate) id: String,
}

/// All queues that are served.
pub(crate) struct Queues {
    broker: Arc<Broker>,
    /// Those that settings name; they cannot be removed.
    configured: Vec<QueueName>,
    names: watch::Sender<Vec<QueueName>>,
    /// Held while names are read or changed in Redis, so that what is known here follows in the same order.
    changing: Mutex<()>,
    opened: Mutex<HashMap<QueueName, Arc<Queue>>>,
}

impl Queues {
    pub(crate) fn new(broker: Arc<Broker>, names: Vec<QueueName>) -> Self {
        let configured = names.clone();
        Self {
            broker,
            configured,
            names: watch::Sender::new(names),
            changing: Mutex::default(),
            opened: Mutex::default(),
        }
    }

    /// The names, in the order in which they became known.
    pub(crate) fn names(&self) -> Vec<QueueName> {
        self.names.borrow().clone()
    }

    /// Tells when a name comes to them.
    pub(crate) fn watch_names(&self) -> watch::Receiver<Vec<QueueName>> {
        self.names.subscribe()
    }

    /// A known queue of this name.
    pub(crate) fn known(&self, name: &str) -> Option<QueueName> {
        self.names.borrow().iter().find(|known| known.as_str() == name).cloned()
    }

    /// Whether settings name it.
    pub(crate) fn is_configured(&self, name: &QueueName) -> bool {
        self.configured.contains(name)
    }

    /// Makes a queue known here, to other instances and after a restart; tells whether there was room for it.
    pub(crate) async fn remember(&self, name: &QueueName) -> Result<bool, Trouble> {
        if self.known(name.as_str()).is_some() {
            return Ok(true);
        }
        let _changing = self.changing.lock().await;
        let mut commands = self.broker.commands()?;
        let script = Script::new(REMEMBER_SCRIPT);
        let mut call = script.key(NAMES_KEY);
        call.arg(name.as_str()).arg(MOST_QUEUES.saturating_sub(self.configured.len()));
        let is_there: bool = self.broker.ask(async { Ok(call.invoke_async(&mut commands).await?) }).await?;
        if is_there {
            self.names.send_if_modified(|known| {
                let is_new = !known.contains(name);
                if is_new {
                    known.push(name.clone());
                }
                is_new
            });
        }
        Ok(is_there)
    }

    /// Forgets a queue here, in other instances and after a restart.
    pub(crate) async fn forget(&self, name: &QueueName) -> Result<(), Trouble> {
        let _changing = self.changing.lock().await;
        let mut commands = self.broker.commands()?;
        let mut command = redis::cmd("SREM");
        command.arg(NAMES_KEY).arg(name.as_str());
        self.broker.ask(async { Ok(command.query_async::<()>(&mut commands).await?) }).await?;
        self.names.send_modify(|known| known.retain(|known| known != name));
        self.opened.lock().await.remove(name);
        Ok(())
    }

    /// Learns what other instances made known or removed.
    pub(crate) async fn learn(&self) -> Result<(), Trouble> {
        let _changing = self.changing.lock().await;
        let mut commands = self.broker.commands()?;
        let names = self.broker.ask(async {
            let names: Vec<String> = redis::cmd("SMEMBERS").arg(NAMES_KEY).query_async(&mut commands).await?;
            Ok(names)
        });
        let names: Vec<QueueName> = names.await?.iter().filter_map(|name| QueueName::parse(name).ok()).collect();
        self.names.send_if_modified(|known| {
            let before = known.len();
            known.retain(|known| self.configured.contains(known) || names.contains(known));
            let mut is_changed = known.len() != before;
            for name in names {
                if !known.contains(&name) && known.len() < MOST_QUEUES {
                    known.push(name);
                    is_changed = true;
                }
            }
            is_changed
        });
        Ok(())
    }

    /// BullMQ's handle of a queue.
    pub(crate) async fn open(&self, name: &QueueName) -> Result<Arc<Queue>, Trouble> {
        if let Some(queue) = self.opened.lock().await.get(name) {
            return Ok(queue.clone());
        }
        let connection = self.broker.connection()?.clone();
        let opening = Queue::with_connection(name.as_str(), connection, bullmq::QueueOptions::default());
        let queue = Arc::new(self.broker.ask(opening).await?);
        self.opened.lock().await.insert(name.clone(), queue.clone());
        Ok(queue)
    }

    /// Finds a job by its id, in one queue or in all. Ids that BullMQ counts itself may be in several; the first wins.
    pub(crate) async fn find(&self, id: &str, within: Option<&QueueName>) -> Result<Option<Found>, Trouble> {
        let names = within.map_or_else(|| self.names(), |name| vec![name.clone()]);
        let mut commands = self.broker.commands()?;
        let script = Script::new(FIND_SCRIPT);
        let mut call = script.prepare_invoke();
        for name in &names {
            call.key(keys(name).job_key(id));
        }
        let index: usize = self.broker.ask(async { Ok(call.invoke_async(&mut commands).await?) }).await?;
        let Some(name) = index.checked_sub(1).and_then(|index| names.get(index)) else {
            return Ok(None);
        };
        let queue = self.open(name).await?;
        Ok(Some(Found { name: name.clone(), queue, id: id.to_owned() }))
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The broker, to be kept.
    pub(crate) fn broker_handle(&self) -> Arc<Broker> {
        self.broker.clone()
    }
}

/// The keys of a queue.
pub(crate) fn keys(name: &QueueName) -> QueueKeys {
    QueueKeys::new(name.as_str(), Some("bull"))
}
