//! E-mail over SMTP: writes the message, hands it over, tells a refusal from a server that is away.

use std::time::Duration;

use kit::{ConfigurationError, clock};
use lettre::Address;

use super::Outcome;
use super::mail::{self, Mail};
use super::smtp::{Envelope, Smtp, SmtpError};
use crate::config_email::{EmailConfig, Relay};
use crate::mailbox::Mailbox;

/// The longest that a whole hand-over may take; well under a lease.
const HAND_OVER_WITHIN: Duration = Duration::from_mins(1);
/// The longest that the probe for `/health` may take.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// The server that takes our e-mail.
pub(crate) struct Email {
    smtp: Smtp,
    from: Mailbox,
    provider: String,
    server: String,
}

impl Email {
    pub(crate) fn new(relay: &Relay, config: &EmailConfig, workers: usize) -> Result<Self, ConfigurationError> {
        Ok(Self {
            smtp: Smtp::new(relay, domain(&config.from), workers)?,
            from: config.from.clone(),
            provider: relay.provider.clone(),
            server: format!("{}:{}", relay.host, relay.port),
        })
    }

    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// Why a mail to this address cannot be handed over to this server.
    pub(crate) fn fault(&self, mailbox: &Mailbox) -> Option<String> {
        let is_taken = !mailbox.is_international() || self.smtp.takes_utf8();
        (!is_taken).then(|| format!("the mail server does not take addresses in other scripts: `{}`", mailbox.address))
    }

    /// Hands one e-mail over.
    pub(crate) async fn send(&self, mail: Mail<'_>) -> Outcome {
        let from = mail.from.unwrap_or(&self.from);
        let message_id = format!("<{}@{}>", mail.id.replace(':', "."), domain(&self.from));
        let content = match mail::write(mail, from, &message_id, &date()) {
            Ok(content) => content,
            Err(why) => return Outcome::Rejected(format!("the e-mail cannot be written: {why}")),
        };
        let to = std::iter::once(mail.to).chain(mail.cc).chain(mail.bcc).map(address).collect();
        let envelope = Envelope { from: address(from), to };
        match tokio::time::timeout(HAND_OVER_WITHIN, self.smtp.deliver(&envelope, content)).await {
            Ok(Ok(())) => Outcome::Sent(Some(message_id)),
            Ok(Err(error)) => self.explain(&error).await,
            Err(_) => Outcome::Refused(format!("{}: no answer within {} s", self.server, HAND_OVER_WITHIN.as_secs())),
        }
    }

    /// Greets the server and says goodbye.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        match tokio::time::timeout(PROBE_WITHIN, self.smtp.probe()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{}: {error}", self.server)),
            Err(_) => Err(format!("{}: no answer within {} s", self.server, PROBE_WITHIN.as_secs())),
        }
    }

    async fn explain(&self, error: &SmtpError) -> Outcome {
        let why = format!("{}: {error}", self.server);
        match error.code() {
            // Our account is wrong, or wants encryption: no message can pass until somebody mends that.
            Some(421 | 454 | 530 | 534 | 535 | 538) => Outcome::Unreachable(why),
            Some(550 | 551 | 553) => Outcome::Bounced(why),
            Some(500..) => Outcome::Rejected(why),
            Some(_) => Outcome::Refused(why),
            // The connection broke, or the server lacks what is needed: for this message alone, or for any.
            None => self.explain_break(error.is_client(), why).await,
        }
    }

    /// Whether a message or the server is the reason: the server is asked without the message.
    async fn explain_break(&self, is_fault_of_request: bool, why: String) -> Outcome {
        match self.probe().await {
            Err(_) => Outcome::Unreachable(why),
            Ok(()) if is_fault_of_request => Outcome::Rejected(why),
            // The message may be what the connection broke over, and may have arrived: such attempts are numbered.
            Ok(()) => Outcome::Refused(why),
        }
    }
}

fn domain(mailbox: &Mailbox) -> &str {
    mailbox.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

/// The address as the mail library holds it; it was checked when it was read.
fn address(mailbox: &Mailbox) -> Address {
    let (local, domain) = mailbox.address.rsplit_once('@').unwrap_or((&mailbox.address, ""));
    Address::new_dangerous(local, domain)
}

/// The time now as a header writes it.
fn date() -> String {
    let now = jiff::Timestamp::try_from(clock::now()).unwrap_or_default();
    jiff::fmt::rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_email::Security;

    #[tokio::test]
    async fn a_server_that_is_away_is_unreachable() {
        let relay = Relay {
            provider: "smtp".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            security: Security::Plain,
            credentials: None,
            authority: None,
        };
        let from = Mailbox { address: "n@sender.example".to_owned(), name: Some("Größe & Co".to_owned()) };
        let config = EmailConfig { relay: Ok(relay.clone()), from: from.clone() };
        let email = Email::new(&relay, &config, 1).expect("legal");
        let mail = Mail {
            id: "m1:email",
            from: None,
            to: &from,
            cc: &[],
            bcc: &[],
            reply_to: &[],
            list_unsubscribe: &[],
            subject: "s",
            text: Some("text"),
            html: None,
            attachments: &[],
        };
        let outcome = email.send(mail).await;
        assert!(matches!(&outcome, Outcome::Unreachable(why) if why.contains("127.0.0.1:1")), "{outcome:?}");
    }
}
