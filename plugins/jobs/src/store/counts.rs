//! How many jobs are in which state, for all queues in one round trip.

use kit::clock;
use redis::Pipeline;
use serde_json::{Value, json};

use super::{Queues, keys};
use crate::broker::Trouble;
use crate::queue_name::QueueName;

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    Waiting,
    Prioritized,
    Paused,
    Delayed,
    WaitingChildren,
    Completed,
    Failed,
}

impl State {
    pub(crate) const ALL: [Self; 8] = [
        Self::Active,
        Self::Waiting,
        Self::Prioritized,
        Self::Paused,
        Self::Delayed,
        Self::WaitingChildren,
        Self::Failed,
        Self::Completed,
    ];

    /// The word that BullMQ's clients use.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Prioritized => "prioritized",
            Self::Paused => "paused",
            Self::Delayed => "delayed",
            Self::WaitingChildren => "waiting-children",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = if word == "wait" { "waiting" } else { word };
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The word of the REST answers, which know five states.
    pub(crate) fn plain(self) -> &'static str {
        match self {
            Self::Waiting | Self::Prioritized | Self::Paused | Self::WaitingChildren => "waiting",
            other => other.word(),
        }
    }

    /// Whether nothing is to be done any more.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    pub(crate) fn key(self, name: &QueueName) -> String {
        match self {
            Self::Waiting => keys(name).wait(),
            other => keys(name).get(other.word()),
        }
    }

    /// Whether its ids are in a list; the others are in sorted sets.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Active | Self::Waiting | Self::Paused)
    }
}

/// A queue's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    numbers: [u64; State::ALL.len()],
    pub(crate) is_paused: bool,
}

impl Counts {
    pub(crate) fn of(&self, state: State) -> u64 {
        State::ALL.iter().zip(self.numbers).find(|(known, _)| **known == state).map_or(0, |(_, number)| number)
    }

    /// What waits for nothing but a worker.
    pub(crate) fn waiting(&self) -> u64 {
        self.of(State::Waiting) + self.of(State::Prioritized) + self.of(State::WaitingChildren)
    }

    /// What is still to be done, or being done.
    pub(crate) fn pending(&self) -> u64 {
        self.waiting() + self.of(State::Paused) + self.of(State::Delayed) + self.of(State::Active)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "waiting": self.waiting(),
            "active": self.of(State::Active),
            "completed": self.of(State::Completed),
            "failed": self.of(State::Failed),
            "delayed": self.of(State::Delayed),
            "paused": self.of(State::Paused),
            "prioritized": self.of(State::Prioritized),
        })
    }
}

impl Queues {
    /// The numbers of these queues, in their order.
    pub(crate) async fn counts(&self, names: &[QueueName]) -> Result<Vec<Counts>, Trouble> {
        let mut pipeline = Pipeline::new();
        for name in names {
            for state in State::ALL {
                pipeline.cmd(if state.is_list() { "LLEN" } else { "ZCARD" }).arg(state.key(name));
            }
            pipeline.cmd("HEXISTS").arg(keys(name).meta()).arg("paused");
        }
        let mut commands = self.broker.commands()?;
        let numbers: Vec<u64> = self.broker.ask(async { Ok(pipeline.query_async(&mut commands).await?) }).await?;
        let counts = numbers.chunks_exact(State::ALL.len() + 1).map(|chunk| {
            let mut counts = Counts { is_paused: chunk.last() == Some(&1), ..Counts::default() };
            counts.numbers.copy_from_slice(&chunk[..State::ALL.len()]);
            counts
        });
        Ok(counts.collect())
    }

    /// How many jobs ended in the last minute and are still kept.
    pub(crate) async fn ended_last_minute(&self, name: &QueueName) -> Result<u64, Trouble> {
        let since = clock::milliseconds(clock::now()).saturating_sub(60_000);
        let mut pipeline = Pipeline::new();
        for state in [State::Completed, State::Failed] {
            pipeline.cmd("ZCOUNT").arg(state.key(name)).arg(since).arg("+inf");
        }
        let mut commands = self.broker.commands()?;
        let ended: Vec<u64> = self.broker.ask(async { Ok(pipeline.query_async(&mut commands).await?) }).await?;
        Ok(ended.iter().sum())
    }

    /// The numbers of one queue.
    pub(crate) async fn counts_of(&self, name: &QueueName) -> Result<Counts, Trouble> {
        let counts = self.counts(std::slice::from_ref(name)).await?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }
}
