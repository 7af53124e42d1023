//! The ways to reach a user, how urgent a message is, and what can become of a delivery.

use std::fmt;

use serde_json::Value;

/// A way to reach a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Channel {
    InApp,
    Email,
    Push,
    Sms,
}

impl Channel {
    pub(crate) const ALL: [Self; 4] = [Self::InApp, Self::Email, Self::Push, Self::Sms];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InApp => "in-app",
            Self::Email => "email",
            Self::Push => "push",
            Self::Sms => "sms",
        }
    }

    /// Reads a name in any of the spellings that clients use.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "in-app" | "in_app" | "inapp" | "app" => Some(Self::InApp),
            "email" | "e-mail" | "mail" => Some(Self::Email),
            "push" => Some(Self::Push),
            "sms" => Some(Self::Sms),
            _ => None,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How urgent a message is: 1 goes first and passes quiet hours, 10 goes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Priority(i64);

impl Priority {
    pub(crate) const NORMAL: Self = Self(5);

    /// A word, or a number from 1 to 10.
    pub(crate) fn parse(value: &Value) -> Option<Self> {
        let number = match value {
            Value::String(word) => match word.to_ascii_lowercase().as_str() {
                "low" => 10,
                "normal" | "medium" | "default" => 5,
                "high" => 3,
                "urgent" | "critical" => 1,
                _ => return None,
            },
            other => other.as_i64()?,
        };
        (1..=10).contains(&number).then_some(Self(number))
    }

    pub(crate) fn from_number(number: i64) -> Self {
        Self(number.clamp(1, 10))
    }

    pub(crate) fn number(self) -> i64 {
        self.0
    }

    pub(crate) fn word(self) -> &'static str {
        match self.0 {
            ..=1 => "urgent",
            2..=3 => "high",
            4..=7 => "normal",
            _ => "low",
        }
    }

    pub(crate) fn is_urgent(self) -> bool {
        self.0 <= 1
    }
}

/// What has become of one message on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for its time: scheduled, quiet hours, a digest.
    Pending,
    /// Waits for a worker, or for the next attempt.
    Queued,
    /// The provider has taken it.
    Sent,
    /// It has arrived: an in-app message is stored, or the provider says so.
    Delivered,
    Failed,
    /// The recipient's server refused the address.
    Bounced,
    /// It was not tried, because the user does not want it.
    Skipped,
    /// Development modes: everything but the hand-over was done.
    Simulated,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Skipped => "skipped",
            Self::Simulated => "simulated",
        }
    }
}

/// One word for a message with several deliveries: what is still open comes first, then the best end.
pub(crate) fn overall(states: &[&str]) -> &'static str {
    let order = [
        State::Queued,
        State::Pending,
        State::Delivered,
        State::Sent,
        State::Simulated,
        State::Bounced,
        State::Failed,
        State::Skipped,
    ];
    order.into_iter().map(State::as_str).find(|wanted| states.contains(wanted)).unwrap_or("pending")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn priorities_read_as_words_and_as_numbers() {
        for (given, number, word) in [
            (json!("low"), 10, "low"),
            (json!("Normal"), 5, "normal"),
            (json!("high"), 3, "high"),
            (json!("critical"), 1, "urgent"),
            (json!(1), 1, "urgent"),
            (json!(7), 7, "normal"),
        ] {
            let priority = Priority::parse(&given).expect("a priority");
            assert_eq!((priority.number(), priority.word()), (number, word), "{given}");
        }
        for bad in [json!("huge"), json!(0), json!(11), json!(1.5), json!(null), json!([])] {
            assert_eq!(Priority::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn every_channel_reads_its_own_name() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.as_str()), Some(channel));
        }
        assert_eq!(Channel::parse("carrier pigeon"), None);
    }

    #[test]
    fn a_message_is_open_as_long_as_one_of_its_deliveries_is() {
        assert_eq!(overall(&["delivered", "queued"]), "queued");
        assert_eq!(overall(&["failed", "sent"]), "sent");
        assert_eq!(overall(&["failed", "skipped"]), "failed");
    }
}
