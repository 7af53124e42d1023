//! The ways out: each hands one message to one provider and tells what became of it. None retries by itself.

mod email;
mod mail;
mod realtime;
mod sms;
mod smtp;
mod tls_stream;

use std::fmt;

pub(crate) use email::Email;
pub(crate) use mail::Mail;
pub(crate) use realtime::{Presence, Realtime};
pub(crate) use sms::Sms;

use crate::channel::Channel;
use crate::config::{Config, PUSH_VARIABLES};

/// What a provider made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has taken it; with its own id, where it gives one.
    Sent(Option<String>),
    /// It would not take it now.
    Refused(String),
    /// Nothing was handed over: it cannot be reached, or does not let us in.
    Unreachable(String),
    /// It will never take it.
    Rejected(String),
    /// The recipient's address does not exist.
    Bounced(String),
}

/// The channels as they are configured; the reason where one is off.
pub(crate) struct Channels {
    pub(crate) email: Result<Email, String>,
    pub(crate) sms: Result<Sms, String>,
    push: String,
    pub(crate) realtime: Realtime,
    pub(crate) dry_run: bool,
}

impl fmt::Debug for Channels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Channels")
    }
}

impl Channels {
    pub(crate) fn open(config: &Config, client: &reqwest::Client) -> Result<Self, kit::ConfigurationError> {
        let email = match &config.email.relay {
            Ok(relay) => Ok(Email::new(relay, &config.email, config.workers)?),
            Err(why) => Err(why.clone()),
        };
        let secret = config.server.internal_secret.clone();
        Ok(Self {
            email,
            sms: config.sms.clone().map(|sms| Sms::new(sms, client.clone())),
            push: push_reason(&config.push_variables_set),
            realtime: Realtime::new(config.realtime.clone(), secret, client.clone()),
            dry_run: config.dry_run,
        })
    }

    /// Why a channel can take nothing; `None` where it can.
    pub(crate) fn off(&self, channel: Channel) -> Option<&str> {
        if self.dry_run {
            return None;
        }
        match channel {
            Channel::InApp => None,
            Channel::Email => self.email.as_ref().err().map(String::as_str),
            Channel::Sms => self.sms.as_ref().err().map(String::as_str),
            Channel::Push => Some(&self.push),
        }
    }

    /// The provider's name as clients see it.
    pub(crate) fn provider(&self, channel: Channel) -> Option<&str> {
        match channel {
            Channel::InApp => Some("in-app"),
            Channel::Email => self.email.as_ref().ok().map(Email::provider),
            Channel::Sms => self.sms.as_ref().ok().map(|_| "twilio"),
            Channel::Push => None,
        }
    }
}

fn push_reason(set: &[&str]) -> String {
    let names = PUSH_VARIABLES.join(", ");
    if set.is_empty() {
        return format!("push is not configured ({names}), and this version has no push sender yet");
    }
    format!("push is off: {} is set, but this version has no push sender yet", set.join(", "))
}
