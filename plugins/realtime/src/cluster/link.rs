//! The one task that talks to Redis: connects, says what waits, hears the others, and begins anew when that breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::listener::Listener;
use super::wire::{Envelope, Saying, VERSION};
use super::{Cluster, Receiver, State, history, lock, replay};
use crate::hub::Moment;

/// How long connecting, and how long a batch of commands, may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Between two attempts to connect.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// The longest time between two signs of life.
const LONGEST_BEAT: Duration = Duration::from_secs(1);
/// The most entries that are said at a time.
const BATCH: usize = 256;
/// The most users of one part of the whole state.
const PART: usize = 500;
/// Channels know no databases: projects that share a server by database must not hear each other.
const CHANNEL: &str = "nself:realtime:events";

/// What waits to be said, or was said without an answer.
struct Queue {
    receiver: mpsc::Receiver<Saying>,
    /// Taken out of the outbox, each with its number; said again after a connection broke.
    pending: Vec<(Option<u64>, Saying)>,
    fresh: Vec<Saying>,
    next: u64,
}

/// An open connection: commands on one, the channel on the other.
struct Link {
    commands: MultiplexedConnection,
    /// Keeps the subscription.
    _sink: PubSubSink,
    sayings: PubSubStream,
    /// What was said while there was no connection.
    missed: Vec<Vec<u8>>,
}

/// This instance's last beat, and what came back of it.
struct Echo {
    beat: u64,
    said: Instant,
    heard: Instant,
}

/// Talks to Redis for ever.
pub(crate) async fn run(app: Arc<dyn Receiver>, cluster: Arc<Cluster>) {
    let Some(receiver) = lock(&cluster.queue).take() else {
        return;
    };
    let mut queue = Queue { receiver, pending: Vec::new(), fresh: Vec::new(), next: 1 };
    let mut listener = Listener::new(cluster.id);
    let mut mark = replay::Mark::now();
    loop {
        let why = match timeout(ANSWER_WITHIN, cluster.connect(&mut mark)).await {
            Ok(Ok(link)) => {
                queue.give_up_state(&cluster);
                let talk = Talk { app: &*app, cluster: &cluster, queue: &mut queue, listener: &mut listener };
                talk.on(link).await
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "connecting took too long".to_owned(),
        };
        cluster.outbox.set_open(false);
        *lock(&cluster.commands) = None;
        cluster.enter(State::Away(cluster.not_answering(&why)));
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

impl Cluster {
    fn channel(&self) -> String {
        format!("{CHANNEL}:{}", self.address.database)
    }

    fn not_answering(&self, why: &str) -> String {
        format!("Redis at {} does not answer: {why}; it is tried again all the time", self.address.shown)
    }

    /// Between two signs of life.
    fn beat(&self) -> Duration {
        (self.timeout / 5).clamp(Duration::from_millis(50), LONGEST_BEAT)
    }

    async fn connect(&self, mark: &mut replay::Mark) -> Result<Link, RedisError> {
        let client = Client::open(self.address.url.as_str())?;
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(self.channel()).await?;
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let mut commands = client.get_multiplexed_async_connection_with_config(&limits).await?;
        prepare(&mut commands).await?;
        history::begin(&mut commands, false)
            .await
            .or_else(|error| if is_away(&error) { Err(error) } else { Ok(()) })?;
        // After the subscription: what is said from here on comes that way, and what comes both ways is heard once.
        let missed = match mark.read(&mut commands).await {
            Ok(missed) => missed,
            Err(error) if is_away(&error) => return Err(error),
            // Who may not read it, or whose Redis knows no streams, goes on without what was missed.
            Err(error) => {
                tracing::warn!(%error, "what was said while Redis was away cannot be read");
                Vec::new()
            }
        };
        let (sink, sayings) = subscription.split();
        Ok(Link { commands, _sink: sink, sayings, missed })
    }
}

impl Queue {
    /// Numbers what has just come out of the outbox.
    fn take_fresh(&mut self) {
        for says in self.fresh.drain(..) {
            let number = says.must_arrive().then(|| {
                self.next += 1;
                self.next - 1
            });
            self.pending.push((number, says));
        }
    }

    /// Drops what the whole state will tell anyway: said after it, it would be out of date.
    fn give_up_state(&mut self, cluster: &Cluster) {
        while let Ok(says) = self.receiver.try_recv() {
            self.fresh.push(says);
        }
        self.take_fresh();
        self.pending.retain(|(number, says)| {
            if number.is_none() {
                cluster.outbox.done(says);
            }
            number.is_some()
        });
    }
}

/// One conversation, from a connection's beginning to its end.
struct Talk<'a> {
    app: &'a dyn Receiver,
    cluster: &'a Cluster,
    queue: &'a mut Queue,
    listener: &'a mut Listener,
}

impl Talk<'_> {
    /// Talks until the connection breaks; says why it did.
    async fn on(mut self, mut link: Link) -> String {
        let now = Instant::now();
        let mut echo = Echo { beat: 0, said: now, heard: now };
        // From here on changes are told; the whole state, which is put together later, has them all.
        self.cluster.outbox.set_open(true);
        self.app.hub().wait_anew(Moment::now());
        *lock(&self.cluster.commands) = Some(link.commands.clone());
        for missed in std::mem::take(&mut link.missed) {
            self.hear(&mut echo, &missed);
            // Thousands at once would fill the queues of sockets before any of them could be written to.
            tokio::task::yield_now().await;
        }
        echo.heard = Instant::now();
        let mut beats = interval(self.cluster.beat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let greeted = self.say(&mut link.commands, &[Saying::Hello]).await;
        if let Err(why) = greeted {
            return why;
        }
        let greeted = self.say_state(&mut link.commands).await;
        if let Err(why) = greeted {
            return why;
        }
        self.cluster.enter(State::Connected(now.elapsed()));
        loop {
            let done = if self.queue.pending.is_empty() {
                tokio::select! {
                    said = link.sayings.next() => match said {
                        Some(said) => {
                            self.hear(&mut echo, said.get_payload_bytes());
                            // At once: who has just come has clients already.
                            if self.listener.take_asked() { self.say_state(&mut link.commands).await } else { Ok(()) }
                        }
                        None => Err("the subscription has ended".to_owned()),
                    },
                    _ = self.queue.receiver.recv_many(&mut self.queue.fresh, BATCH) => {
                        self.queue.take_fresh();
                        Ok(())
                    }
                    _ = beats.tick() => self.beat(&mut link.commands, &mut echo).await,
                }
            } else {
                self.say_pending(&mut link.commands).await
            };
            if let Err(why) = done {
                return why;
            }
        }
    }

    fn hear(&mut self, echo: &mut Echo, text: &[u8]) {
        if self.listener.hear(self.app, text) == Some(echo.beat) {
            echo.heard = Instant::now();
            if !matches!(self.cluster.state(), State::Refusing(_)) {
                self.cluster.enter(State::Connected(echo.said.elapsed()));
            }
        }
    }

    /// What is due now and then.
    async fn beat(&mut self, commands: &mut MultiplexedConnection, echo: &mut Echo) -> Result<(), String> {
        let now = Moment::now();
        let patience = ANSWER_WITHIN + self.cluster.beat() * 2;
        if echo.heard.elapsed() > patience {
            return Err("nothing comes back on the channel".to_owned());
        }
        for silent in self.app.hub().silent_peers(now, self.cluster.timeout) {
            tracing::warn!(instance = %silent, "another instance has fallen silent and is forgotten");
            self.app.changed(&self.app.hub().forget(silent, now), now);
        }
        if self.cluster.is_leaving() {
            // Who hears of it after the good-bye would ask for the state of somebody who has gone.
            echo.heard = Instant::now();
            return Ok(());
        }
        if self.listener.take_must_ask() {
            self.say(commands, &[Saying::Hello]).await?;
        }
        if self.cluster.outbox.take_gap() {
            self.say_state(commands).await?;
        }
        (echo.beat, echo.said) = (echo.beat + 1, Instant::now());
        self.say(commands, &[Saying::Alive { beat: echo.beat }]).await
    }

    async fn say_state(&mut self, commands: &mut MultiplexedConnection) -> Result<(), String> {
        let mut users = self.app.hub().whole_state();
        let mut is_first = true;
        loop {
            let rest = if users.len() > PART { users.split_off(PART) } else { Vec::new() };
            let is_last = rest.is_empty();
            self.say(commands, &[Saying::State { users, is_first, is_last }]).await?;
            if is_last {
                return Ok(());
            }
            (users, is_first) = (rest, false);
        }
    }

    async fn say(&self, commands: &mut MultiplexedConnection, sayings: &[Saying]) -> Result<(), String> {
        let mut pipeline = redis::pipe();
        for says in sayings {
            self.publish(&mut pipeline, None, says);
        }
        self.carry_out(commands, &pipeline).await.map(drop)
    }

    async fn say_pending(&mut self, commands: &mut MultiplexedConnection) -> Result<(), String> {
        let batch = self.queue.pending.len().min(BATCH);
        let pipeline = self.pending(batch);
        let has_written = self.queue.pending[..batch].iter().any(|(number, _)| number.is_some());
        let mut told = self.carry_out(commands, &pipeline).await?;
        if told.is_none() {
            // A script that was forgotten can be mended; what was heard already is not heard again.
            prepare(commands).await.or_else(|error| if_away(&error))?;
            told = self.carry_out(commands, &pipeline).await?;
        }
        if let Some(full_rooms) = told {
            self.make_space(commands, full_rooms).await?;
            if has_written && matches!(self.cluster.state(), State::Refusing(_)) {
                // What was refused is on the instances only.
                history::begin(commands, true).await.or_else(|error| if_away(&error))?;
                self.cluster.enter(State::Connected(Duration::ZERO));
            }
        }
        for (_, says) in self.queue.pending.drain(..batch) {
            self.cluster.outbox.done(&says);
        }
        Ok(())
    }

    /// The commands that tell the first entries. A message is stored before anybody hears of it.
    fn pending(&self, batch: usize) -> Pipeline {
        let mut pipeline = redis::pipe();
        for (number, says) in &self.queue.pending[..batch] {
            if let (Some(number), Saying::Message(message)) = (number, says) {
                history::write(&mut pipeline, self.cluster.id, *number, message);
            }
            self.publish(&mut pipeline, *number, says);
        }
        pipeline
    }

    /// Drops messages of rooms that are too large, or no longer used.
    async fn make_space(&self, commands: &mut MultiplexedConnection, rooms: Vec<String>) -> Result<(), String> {
        // The last answer knows best: each names the largest room of its moment.
        let Some(room) = rooms.into_iter().rev().find(|room| !room.is_empty()) else {
            return Ok(());
        };
        match timeout(ANSWER_WITHIN, history::make_space(commands, room)).await {
            Ok(made) => made.or_else(|error| if_away(&error)),
            Err(_) => Err("it took too long".to_owned()),
        }
    }

    fn publish(&self, pipeline: &mut Pipeline, number: Option<u64>, says: &Saying) {
        let envelope = Envelope { version: VERSION, from: self.cluster.id, number, says };
        match serde_json::to_string(&envelope) {
            Ok(text) => {
                if number.is_some() {
                    replay::append(pipeline, &text);
                }
                pipeline.cmd("PUBLISH").arg(self.cluster.channel()).arg(text).ignore();
            }
            Err(error) => tracing::error!(%error, "something cannot be told to the other instances"),
        }
    }

    /// Carries commands out and returns what they answer; `None` where Redis refused some, which says nothing of the
    /// others. Only a broken connection is an error.
    async fn carry_out(
        &self,
        commands: &mut MultiplexedConnection,
        pipeline: &Pipeline,
    ) -> Result<Option<Vec<String>>, String> {
        let asked = pipeline.query_async::<Vec<String>>(commands);
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(answers)) => Ok(Some(answers)),
            Ok(Err(error)) => {
                if_away(&error)?;
                self.app.metrics().count_error();
                let shown = &self.cluster.address.shown;
                self.cluster.enter(State::Refusing(format!("Redis at {shown} refuses commands: {error}")));
                Ok(None)
            }
            Err(_) => Err("it took too long".to_owned()),
        }
    }
}

/// Makes every script known.
async fn prepare(commands: &mut MultiplexedConnection) -> Result<(), RedisError> {
    history::prepare(commands).await?;
    replay::prepare(commands).await
}

/// Whether an error means that Redis cannot be reached, rather than that it refuses.
fn is_away(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_timeout()
        || error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::BusyLoading)
}

/// Passes an error on that means that Redis cannot be reached.
fn if_away(error: &RedisError) -> Result<(), String> {
    if is_away(error) { Err(error.to_string()) } else { Ok(()) }
}
