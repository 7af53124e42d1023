//! The last messages and events of all instances, for those whose connection broke: a channel keeps nothing for who is
//! away, and instances that lost the same Redis come back one after another.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{Pipeline, RedisResult, Script};

const LOG: &str = "{nself:realtime}:replay";
const BYTES: &str = "{nself:realtime}:replay-bytes";
const FIELD: &str = "says";
/// How long an instance may be away without missing anything, and how much is kept for it at most.
const KEPT_FOR: Duration = Duration::from_mins(2);
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Appends to a stream; the oldest go by age and by the size of all.
static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local log, bytes = KEYS[1], KEYS[2]
local field, text, most, kept_for = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('XADD', log, '*', field, text)
local total = redis.call('INCRBY', bytes, #text)
local now = redis.call('TIME')
local limit = now[1] * 1000 + math.floor(now[2] / 1000) - kept_for
while true do
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first then redis.call('SET', bytes, 0) break end
  if total <= most and tonumber(string.match(first[1], '^%d+')) >= limit then break end
  redis.call('XDEL', log, first[1])
  total = redis.call('DECRBY', bytes, #first[2][2])
end
for _, key in ipairs({log, bytes}) do redis.call('PEXPIRE', key, kept_for) end
return 1
",
    )
});

/// Makes the script known to a Redis that may have been started anew.
pub(super) async fn prepare(commands: &mut MultiplexedConnection) -> RedisResult<()> {
    APPEND.load_async(commands).await.map(drop)
}

/// Adds the keeping of what is said to the commands.
pub(super) fn append(pipeline: &mut Pipeline, text: &str) {
    let kept_for = u64::try_from(KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
    pipeline.cmd("EVALSHA").arg(APPEND.get_hash()).arg(2).arg(LOG).arg(BYTES);
    pipeline.arg(FIELD).arg(text).arg(MOST_BYTES).arg(kept_for).ignore();
}

/// How far an instance has read.
#[derive(Debug)]
pub(super) enum Mark {
    /// Nothing yet: it has missed what was said since then.
    Since(Instant),
    /// Up to this entry.
    After(String),
}

impl Mark {
    /// The mark of an instance that has just come.
    pub(super) fn now() -> Self {
        Self::Since(Instant::now())
    }

    /// What was kept since the mark, oldest first; the mark moves on.
    pub(super) async fn read(&mut self, commands: &mut MultiplexedConnection) -> RedisResult<Vec<Vec<u8>>> {
        let last = match self {
            Self::After(last) => last.clone(),
            // By the clock of Redis, which numbers the entries.
            Self::Since(since) => {
                let (seconds, microseconds): (u64, u64) = redis::cmd("TIME").query_async(commands).await?;
                let age = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                let then = (seconds * 1000 + microseconds / 1000).saturating_sub(age);
                // The end of the millisecond before: an entry of this very one was said since.
                format!("{}-{}", then.saturating_sub(1), u64::MAX)
            }
        };
        // An open bound (`(`) is known since Redis 6.2 only.
        let kept: StreamRangeReply = redis::cmd("XRANGE").arg(LOG).arg(&last).arg("+").query_async(commands).await?;
        let missed: Vec<_> = kept.ids.into_iter().filter(|entry| entry.id != last).collect();
        *self = Self::After(missed.last().map_or(last, |entry| entry.id.clone()));
        Ok(missed.into_iter().filter_map(|entry| entry.get(FIELD)).collect())
    }
}
