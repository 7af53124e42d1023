//! Pausing in the layout of npm's bullmq 5: what waits in a paused queue is in the list `paused`, not in `wait`.
//!
//! bullmq-official 1.4 leaves it in `wait`. npm's resume renames `paused` over `wait`: whatever were in both would be
//! lost. So pausing and resuming are done here, and what BullMQ's Rust scripts put into `wait` of a paused queue is
//! moved on at once.

use redis::Script;

use super::{Queues, keys};
use crate::broker::Trouble;
use crate::queue_name::QueueName;

/// KEYS: wait, paused, meta, marker, events.
const PAUSE: &str = r"
redis.call('HSET', KEYS[3], 'paused', 1)
while redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) do end
redis.call('DEL', KEYS[4])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 10000, '*', 'event', 'paused')
return 1";

/// KEYS: wait, paused, meta, marker, events, prioritized, delayed. What waited first is taken first.
const RESUME: &str = r"
redis.call('HDEL', KEYS[3], 'paused')
local id = redis.call('LPOP', KEYS[2])
while id do
  redis.call('RPUSH', KEYS[1], id)
  id = redis.call('LPOP', KEYS[2])
end
if redis.call('LLEN', KEYS[1]) + redis.call('ZCARD', KEYS[6]) > 0 then
  redis.call('ZADD', KEYS[4], 0, '0')
else
  local next = redis.call('ZRANGE', KEYS[7], 0, 0, 'WITHSCORES')
  if next[2] then redis.call('ZADD', KEYS[4], tonumber(next[2]) / 0x1000, '1') end
end
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 10000, '*', 'event', 'resumed')
return 1";

/// KEYS: wait, paused and meta of each queue. Tells of each whether it is paused.
const SETTLE: &str = r"
local answers = {}
for index = 1, #KEYS, 3 do
  local is_paused = redis.call('HEXISTS', KEYS[index + 2], 'paused')
  if is_paused == 1 then
    while redis.call('RPOPLPUSH', KEYS[index], KEYS[index + 1]) do end
  end
  answers[#answers + 1] = is_paused
end
return answers";

impl Queues {
    /// Lets no worker take a job any more.
    pub(crate) async fn pause(&self, name: &QueueName) -> Result<(), Trouble> {
        self.run(PAUSE, name).await.map(drop)
    }

    /// Lets workers take jobs again.
    pub(crate) async fn resume(&self, name: &QueueName) -> Result<(), Trouble> {
        self.run(RESUME, name).await.map(drop)
    }

    /// Puts what was added to a paused queue where npm's bullmq looks for it; tells whether the queue is paused.
    pub(crate) async fn settle(&self, name: &QueueName) -> Result<bool, Trouble> {
        let answers = self.settle_all(std::slice::from_ref(name)).await?;
        Ok(answers.first() == Some(&true))
    }

    /// The same for several queues in one call, in their order.
    pub(crate) async fn settle_all(&self, names: &[QueueName]) -> Result<Vec<bool>, Trouble> {
        let script = Script::new(SETTLE);
        let mut call = script.prepare_invoke();
        for name in names {
            let keys = keys(name);
            call.key(keys.wait()).key(keys.paused()).key(keys.meta());
        }
        let mut commands = self.broker.commands()?;
        self.broker.ask(async { Ok(call.invoke_async(&mut commands).await?) }).await
    }

    async fn run(&self, script: &str, name: &QueueName) -> Result<i64, Trouble> {
        let keys = keys(name);
        let script = Script::new(script);
        let mut call = script.prepare_invoke();
        call.key(keys.wait()).key(keys.paused()).key(keys.meta()).key(keys.marker()).key(keys.events());
        call.key(keys.prioritized()).key(keys.delayed());
        let mut commands = self.broker.commands()?;
        self.broker.ask(async { Ok(call.invoke_async(&mut commands).await?) }).await
    }
}
