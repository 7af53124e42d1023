//! The last messages of each room as all instances know them: one script writes, two commands read.

use std::sync::LazyLock;
use std::time::Duration;

use kit::clock;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Script};

use super::wire::Message;
use crate::hub::{InstanceId, KEPT_FOR, MOST_BYTES, MOST_IN_ROOM, Room};

const ORDER: &str = "nself:realtime:history-order";
const BYTES: &str = "nself:realtime:history-bytes";
/// Keys that nothing is written to any more go by themselves, later than what they hold.
const GOES_AFTER: Duration = Duration::from_hours(25);

/// Each room is a sorted set by time; `history-order` holds the marks of all messages with their sizes and rooms, so
/// that the oldest of all is found at once. A mark is unique and sorts messages of one millisecond; writing the same
/// message again changes nothing.
static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local room, order, bytes = KEYS[1], KEYS[2], KEYS[3]
local at, mark, message = ARGV[1], ARGV[2], ARGV[3]
local most, most_bytes, limit, goes_after = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local member = mark .. ' ' .. message
if redis.call('ZADD', room, at, member) == 0 then return 0 end
redis.call('ZADD', order, at, mark .. ' ' .. #member .. ' ' .. room)
local total = redis.call('INCRBY', bytes, #member)
if redis.call('ZCARD', room) > most then
  local oldest = redis.call('ZPOPMIN', room)[1]
  redis.call('ZREM', order, string.match(oldest, '^%S+') .. ' ' .. #oldest .. ' ' .. room)
  total = redis.call('DECRBY', bytes, #oldest)
end
while true do
  local first = redis.call('ZRANGE', order, 0, 0, 'WITHSCORES')
  if not first[1] then redis.call('SET', bytes, 0) break end
  if total <= most_bytes and tonumber(first[2]) > limit then break end
  local size, key = string.match(first[1], '^%S+ (%d+) (.*)$')
  redis.call('ZREM', order, first[1])
  redis.call('ZPOPMIN', key)
  total = redis.call('DECRBY', bytes, size)
end
for _, key in ipairs({room, order, bytes}) do redis.call('PEXPIRE', key, goes_after) end
return 1
",
    )
});

fn key(room: &Room) -> String {
    format!("nself:realtime:history:{room}")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes the script known to a Redis that may have been started anew.
pub(super) async fn prepare(commands: &mut MultiplexedConnection) -> RedisResult<()> {
    WRITE.load_async(commands).await.map(drop)
}

/// Adds the writing of a message to the commands.
pub(super) fn write(pipeline: &mut Pipeline, from: InstanceId, number: u64, message: &Message) {
    let limit = clock::milliseconds(clock::now()).saturating_sub(milliseconds(KEPT_FOR));
    let (order, bytes) = (ORDER, BYTES);
    pipeline.cmd("EVALSHA").arg(WRITE.get_hash()).arg(3).arg(key(&message.room)).arg(order).arg(bytes);
    // Numbers of one length sort as they count.
    pipeline.arg(message.at).arg(format!("{number:020}:{}", from.simple())).arg(message.text.get());
    pipeline.arg(MOST_IN_ROOM).arg(MOST_BYTES).arg(limit).arg(milliseconds(GOES_AFTER)).ignore();
}

/// At most `most` messages of a room, oldest first: the first after a time in milliseconds, or the last.
pub(super) async fn read(
    commands: &mut MultiplexedConnection,
    room: &Room,
    after: Option<u64>,
    most: usize,
) -> RedisResult<Vec<String>> {
    let limit = clock::milliseconds(clock::now()).saturating_sub(milliseconds(KEPT_FOR));
    let mut entries: Vec<String> = if let Some(after) = after {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(key(room)).arg(format!("({}", after.max(limit))).arg("+inf").arg("LIMIT").arg(0).arg(most);
        command.query_async(commands).await?
    } else {
        let mut command = redis::cmd("ZREVRANGEBYSCORE");
        command.arg(key(room)).arg("+inf").arg(format!("({limit}")).arg("LIMIT").arg(0).arg(most);
        let mut newest: Vec<String> = command.query_async(commands).await?;
        newest.reverse();
        newest
    };
    for entry in &mut entries {
        let message = entry.find(' ').map_or(0, |space| space + 1);
        entry.drain(..message);
    }
    Ok(entries)
}
