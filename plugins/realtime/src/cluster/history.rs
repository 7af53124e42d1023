//! The last messages of each room as all instances know them: one script writes, one makes space, three commands read.
//!
//! Redis gives each message its final position, under which every instance finds it: greater than that of any message
//! that was stored in the room before, so that no reader's cursor can be past a message that is still to come.
//! All keys share one hash slot and every script declares what it touches, as a Redis Cluster demands.

use std::sync::LazyLock;
use std::time::Duration;

use kit::clock;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Script};

use super::wire::Message;
use crate::hub::{InstanceId, KEPT_FOR, MOST_BYTES, MOST_IN_ROOM, Room};

const ROOMS: &str = "{nself:realtime}:messages:";
/// The rooms by their bytes, and by the time of their last message.
const SIZES: &str = "{nself:realtime}:sizes";
const USED: &str = "{nself:realtime}:used";
/// The bytes of all rooms together.
const TOTAL: &str = "{nself:realtime}:total";
/// Since when every message is here: a Redis that was emptied, or refused to write, begins again.
const BEGAN: &str = "{nself:realtime}:began";
/// Keys that nothing is written to any more expire, later than what they hold.
const EXPIRES_AFTER: Duration = Duration::from_hours(25);
/// The most scripts that make space after one message: what is left over is dropped after the next.
const MOST_EVICTIONS: usize = 64;

/// Stores a message unless it is there; returns a room that must give up messages, or an empty text.
///
/// A member is a unique mark, a space and the message. The position is the sender's time, the clock of Redis or one more
/// than the last position of the room, whichever is greatest.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local room, sizes, used, total = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local at, mark, message, name = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local most, most_bytes, limit, expires_after = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local member = mark .. ' ' .. message
if redis.call('ZSCORE', room, member) then return '' end
local time = redis.call('TIME')
local position = math.max(at, time[1] * 1000 + math.floor(time[2] / 1000))
local last = redis.call('ZREVRANGE', room, 0, 0, 'WITHSCORES')
if last[2] then position = math.max(position, tonumber(last[2]) + 1) end
redis.call('ZADD', room, string.format('%.0f', position), member)
local added = #member
for _, old in ipairs(redis.call('ZRANGEBYSCORE', room, '-inf', limit)) do
  redis.call('ZREM', room, old)
  added = added - #old
end
if redis.call('ZCARD', room) > most then added = added - #redis.call('ZPOPMIN', room)[1] end
redis.call('ZINCRBY', sizes, added, name)
redis.call('ZADD', used, string.format('%.0f', position), name)
local bytes = redis.call('INCRBY', total, added)
for _, key in ipairs({room, sizes, used, total}) do redis.call('PEXPIRE', key, expires_after) end
if bytes > most_bytes then return redis.call('ZREVRANGE', sizes, 0, 0)[1] end
return redis.call('ZRANGEBYSCORE', used, '-inf', limit, 'LIMIT', 0, 1)[1] or ''
",
    )
});

/// Takes the oldest messages of one room, the largest or one that is no longer used; returns the next such room, or an
/// empty text.
static EVICT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local room, sizes, used, total = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, most_bytes, limit = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local freed, bytes = 0, tonumber(redis.call('GET', total) or 0)
for _, old in ipairs(redis.call('ZRANGEBYSCORE', room, '-inf', limit)) do
  redis.call('ZREM', room, old)
  freed = freed + #old
end
if bytes - freed > most_bytes then
  local oldest = redis.call('ZPOPMIN', room)[1]
  if oldest then freed = freed + #oldest end
end
if redis.call('EXISTS', room) == 0 then
  freed = tonumber(redis.call('ZSCORE', sizes, name) or 0)
  redis.call('ZREM', sizes, name)
  redis.call('ZREM', used, name)
else
  redis.call('ZINCRBY', sizes, -freed, name)
end
bytes = redis.call('DECRBY', total, freed)
if bytes > most_bytes then return redis.call('ZREVRANGE', sizes, 0, 0)[1] or '' end
return redis.call('ZRANGEBYSCORE', used, '-inf', limit, 'LIMIT', 0, 1)[1] or ''
",
    )
});

/// What Redis knows of a room.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Messages with their positions, oldest first.
    pub(crate) entries: Vec<(u64, String)>,
    /// Messages with a position below this may be missing.
    pub(crate) began: u64,
    /// A cursor before everything that is stored after this answer.
    pub(crate) cursor: u64,
}

fn key(room: &str) -> String {
    format!("{ROOMS}{room}")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Messages up to this position are too old to be kept.
fn limit() -> u64 {
    clock::milliseconds(clock::now()).saturating_sub(milliseconds(KEPT_FOR))
}

/// Makes the scripts known to a Redis that may have been restarted.
pub(super) async fn prepare(commands: &mut MultiplexedConnection) -> RedisResult<()> {
    WRITE.load_async(commands).await?;
    EVICT.load_async(commands).await.map(drop)
}

/// Adds the storing of a message to the commands; the answer is for [`make_space`].
pub(super) fn write(pipeline: &mut Pipeline, from: InstanceId, number: u64, message: &Message) {
    let name = message.room.as_str();
    pipeline.cmd("EVALSHA").arg(WRITE.get_hash()).arg(4).arg(key(name)).arg(SIZES).arg(USED).arg(TOTAL);
    pipeline.arg(message.at).arg(format!("{number}:{}", from.simple())).arg(message.text.get()).arg(name);
    pipeline.arg(MOST_IN_ROOM).arg(MOST_BYTES).arg(limit()).arg(milliseconds(EXPIRES_AFTER));
}

/// Drops messages of a room that [`write`] named, and of those that are named in turn.
pub(super) async fn make_space(commands: &mut MultiplexedConnection, mut room: String) -> RedisResult<()> {
    for _ in 0..MOST_EVICTIONS {
        if room.is_empty() {
            return Ok(());
        }
        let mut evict = EVICT.prepare_invoke();
        evict.key(key(&room)).key(SIZES).key(USED).key(TOTAL).arg(&room).arg(MOST_BYTES).arg(limit());
        room = evict.invoke_async(commands).await?;
    }
    Ok(())
}

/// Notes that messages from before now may be missing; without `again` only where nothing was noted yet.
pub(super) async fn begin(commands: &mut MultiplexedConnection, again: bool) -> RedisResult<()> {
    let mut command = redis::cmd("SET");
    command.arg(BEGAN).arg(clock::milliseconds(clock::now()));
    if !again {
        command.arg("NX");
    }
    command.query_async(commands).await
}

/// At most `most` messages of a room, oldest first: the first after a position, or the last.
pub(super) async fn read(
    commands: &mut MultiplexedConnection,
    room: &Room,
    after: Option<u64>,
    most: usize,
) -> RedisResult<Shared> {
    let mut pipeline = redis::pipe();
    // In this order: what is stored between the time and the messages is in both, never in none.
    pipeline.cmd("TIME").cmd("GET").arg(BEGAN);
    let key = key(room.as_str());
    if let Some(after) = after {
        pipeline.cmd("ZRANGEBYSCORE").arg(key).arg(format!("({}", after.max(limit()))).arg("+inf");
    } else {
        pipeline.cmd("ZREVRANGEBYSCORE").arg(key).arg("+inf").arg(format!("({}", limit()));
    }
    pipeline.arg("WITHSCORES").arg("LIMIT").arg(0).arg(most);
    let (time, began, mut entries): ([u64; 2], Option<u64>, Vec<(String, f64)>) =
        pipeline.query_async(commands).await?;
    if began.is_none() {
        begin(commands, false).await?;
    }
    if after.is_none() {
        entries.reverse();
    }
    let [seconds, microseconds] = time;
    let now = seconds * 1000 + microseconds / 1000;
    let entries: Vec<_> = entries.into_iter().map(placed).collect();
    let cursor = entries.last().map_or(now.saturating_sub(1), |(position, _)| *position);
    Ok(Shared { entries, began: began.unwrap_or(u64::MAX), cursor })
}

/// A message without its mark, and its position.
fn placed((mut entry, score): (String, f64)) -> (u64, String) {
    entry.drain(..entry.find(' ').map_or(0, |space| space + 1));
    // A score is a float in every Redis; milliseconds are exact in it for 280,000 years.
    let position = format!("{score:.0}").parse().unwrap_or(u64::MAX);
    (position, entry)
}
