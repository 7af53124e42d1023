//! The last messages and events of all instances, for those whose connection broke: a channel keeps nothing for who is
//! away, and instances that lost the same Redis come back one after another.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{Pipeline, RedisResult, Script};

const LOG: &str = "nself:realtime:replay";
const BYTES: &str = "nself:realtime:replay-bytes";
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
#[derive(Debug, Default)]
pub(super) struct Mark(Option<String>);

impl Mark {
    /// What was kept since the last call, oldest first. The first call gives nothing: who has just come has missed
    /// nothing.
    pub(super) async fn read(&mut self, commands: &mut MultiplexedConnection) -> RedisResult<Vec<Vec<u8>>> {
        let Some(last) = &self.0 else {
            let newest: StreamRangeReply =
                redis::cmd("XREVRANGE").arg(LOG).arg("+").arg("-").arg("COUNT").arg(1).query_async(commands).await?;
            let newest = newest.ids.into_iter().next().map(|entry| entry.id);
            self.0 = Some(newest.unwrap_or_else(|| "0-0".to_owned()));
            return Ok(Vec::new());
        };
        let missed: StreamRangeReply =
            redis::cmd("XRANGE").arg(LOG).arg(format!("({last}")).arg("+").query_async(commands).await?;
        if let Some(newest) = missed.ids.last() {
            self.0 = Some(newest.id.clone());
        }
        Ok(missed.ids.into_iter().filter_map(|entry| entry.get(FIELD)).collect())
    }
}
