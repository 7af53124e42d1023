//! E-mail over SMTP: builds the message, keeps connections open, tells a refusal from a server that is away.

use std::time::Duration;

use base64::Engine;
use kit::{ConfigurationError, clock};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::Outcome;
use crate::chain::chain;
use crate::config_email::{EmailConfig, Relay, Security};
use crate::draft;

/// The longest that one step of the protocol may take.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// The longest that a whole hand-over may take; well under a lease.
const HAND_OVER_WITHIN: Duration = Duration::from_mins(1);
/// The longest that the probe for `/health` may take.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// One e-mail, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mail<'a> {
    /// Makes the Message-ID: another attempt carries the same, so that a reader shows one message.
    pub(crate) id: &'a str,
    pub(crate) to: &'a str,
    pub(crate) to_name: Option<&'a str>,
    pub(crate) subject: &'a str,
    pub(crate) text: Option<&'a str>,
    pub(crate) html: Option<&'a str>,
    pub(crate) attachments: &'a [draft::Attachment],
}

/// The server that takes our e-mail.
pub(crate) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    provider: String,
    server: String,
}

impl Email {
    pub(crate) fn new(relay: &Relay, config: &EmailConfig, workers: usize) -> Result<Self, ConfigurationError> {
        let address: Address = config.from_email.parse().map_err(|_| {
            ConfigurationError::new(format!(
                "`NOTIFICATIONS_FROM_EMAIL` is `{}`, which is no address",
                config.from_email
            ))
        })?;
        let name = ClientId::Domain(address.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
            .port(relay.port)
            .timeout(Some(STEP_WITHIN))
            .hello_name(name)
            .tls(tls(relay)?)
            .pool_config(PoolConfig::new().max_size(u32::try_from(workers).unwrap_or(8)).idle_timeout(STEP_WITHIN));
        if let Some((user, password)) = &relay.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from: Mailbox::new(config.from_name.clone(), address),
            provider: relay.provider.clone(),
            server: format!("{}:{}", relay.host, relay.port),
        })
    }

    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    /// Hands one e-mail over.
    pub(crate) async fn send(&self, mail: Mail<'_>) -> Outcome {
        let message_id = format!("<{}@{}>", mail.id.replace(':', "."), self.from.email.domain());
        let message = match self.build(mail, &message_id) {
            Ok(message) => message,
            Err(why) => return Outcome::Rejected(format!("the e-mail cannot be written: {why}")),
        };
        match tokio::time::timeout(HAND_OVER_WITHIN, self.transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent(Some(message_id)),
            Ok(Err(error)) => self.explain(&error).await,
            Err(_) => Outcome::Refused(format!("{}: no answer within {} s", self.server, HAND_OVER_WITHIN.as_secs())),
        }
    }

    /// Greets the server and says goodbye.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        match tokio::time::timeout(PROBE_WITHIN, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(format!("{} does not answer as a mail server", self.server)),
            Ok(Err(error)) => Err(format!("{}: {}", self.server, chain(&error))),
            Err(_) => Err(format!("{}: no answer within {} s", self.server, PROBE_WITHIN.as_secs())),
        }
    }

    async fn explain(&self, error: &lettre::transport::smtp::Error) -> Outcome {
        let why = format!("{}: {}", self.server, chain(error));
        match error.status().map(u16::from) {
            // Our account is wrong, or wants encryption: no message can pass until somebody mends that.
            Some(421 | 454 | 530 | 534 | 535 | 538) => Outcome::Unreachable(why),
            Some(550 | 551 | 553) => Outcome::Bounced(why),
            Some(500..) => Outcome::Rejected(why),
            Some(_) => Outcome::Refused(why),
            // The connection broke, or the server lacks what is needed: for this message alone, such as for an
            // address in another script, or for any, such as a way to log in.
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

    fn build(&self, mail: Mail<'_>, message_id: &str) -> Result<Message, String> {
        let address: Address = mail.to.parse().map_err(|error| format!("`{}` is no address: {error}", mail.to))?;
        let name = mail.to_name.filter(|name| !name.trim().is_empty()).map(str::to_owned);
        let builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(mail.subject)
            .message_id(Some(message_id.to_owned()))
            .date(clock::now())
            // No out-of-office reply is wanted.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let content = match (mail.text, mail.html) {
            (Some(text), Some(html)) => Content::Multi(
                MultiPart::alternative()
                    .singlepart(SinglePart::plain(text.to_owned()))
                    .singlepart(SinglePart::html(html.to_owned())),
            ),
            (None, Some(html)) => Content::Single(SinglePart::html(html.to_owned())),
            (text, None) => Content::Single(SinglePart::plain(text.unwrap_or_default().to_owned())),
        };
        let built = if mail.attachments.is_empty() {
            match content {
                Content::Single(part) => builder.singlepart(part),
                Content::Multi(part) => builder.multipart(part),
            }
        } else {
            builder.multipart(with_attachments(content, mail.attachments)?)
        };
        built.map_err(|error| error.to_string())
    }
}

enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn with_attachments(content: Content, attachments: &[draft::Attachment]) -> Result<MultiPart, String> {
    let mixed = MultiPart::mixed();
    let mut mixed = match content {
        Content::Single(part) => mixed.singlepart(part),
        Content::Multi(part) => mixed.multipart(part),
    };
    for attachment in attachments {
        let content = base64::engine::general_purpose::STANDARD
            .decode(&attachment.content)
            .map_err(|error| format!("the attachment `{}` is no base64: {error}", attachment.filename))?;
        let kind = ContentType::parse(&attachment.content_type)
            .map_err(|error| format!("the attachment `{}`: {error}", attachment.filename))?;
        mixed = mixed.singlepart(Attachment::new(attachment.filename.clone()).body(content, kind));
    }
    Ok(mixed)
}

fn tls(relay: &Relay) -> Result<Tls, ConfigurationError> {
    if relay.security == Security::Plain {
        return Ok(Tls::None);
    }
    let broken = |error: &dyn std::fmt::Display| {
        ConfigurationError::new(format!("the TLS settings for `{}` cannot be used: {error}", relay.host))
    };
    let mut parameters = TlsParameters::builder(relay.host.clone());
    if let Some(pem) = &relay.authority {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(|error| broken(&error))?);
    }
    let parameters = parameters.build_rustls().map_err(|error| broken(&error))?;
    Ok(match relay.security {
        Security::Plain => Tls::None,
        Security::Opportunistic => Tls::Opportunistic(parameters),
        Security::StartTls => Tls::Required(parameters),
        Security::Implicit => Tls::Wrapper(parameters),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Email {
        let relay = Relay {
            provider: "smtp".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            security: Security::Plain,
            credentials: None,
            authority: None,
        };
        let from_name = Some("Größe & Co".to_owned());
        let config = EmailConfig { relay: Ok(relay.clone()), from_email: "n@sender.example".to_owned(), from_name };
        Email::new(&relay, &config, 1).expect("legal")
    }

    fn mail<'a>(subject: &'a str, attachments: &'a [draft::Attachment]) -> Mail<'a> {
        Mail {
            id: "m1:email",
            to: "a@b.example",
            to_name: Some("Ann \"A\" Ö"),
            subject,
            text: Some("text"),
            html: Some("<p>html</p>"),
            attachments,
        }
    }

    fn written(subject: &str, attachments: &[draft::Attachment]) -> String {
        let message = email().build(mail(subject, attachments), "<m1.email@sender.example>").expect("writable");
        String::from_utf8(message.formatted()).expect("ASCII")
    }

    // The pool of connections needs a runtime.
    #[tokio::test]
    async fn a_subject_with_line_breaks_makes_no_header() {
        let text = written("a\r\nBcc: evil@c.example\r\n\r\nbody", &[]);
        let head = text.split("\r\n\r\n").next().expect("a head");
        assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
    }

    // The pool of connections needs a runtime.
    #[tokio::test]
    async fn another_attempt_carries_the_same_id() {
        let id = |text: String| text.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned);
        assert_eq!(id(written("s", &[])), Some("Message-ID: <m1.email@sender.example>".to_owned()));
    }

    // The pool of connections needs a runtime.
    #[tokio::test]
    async fn an_attachment_keeps_its_bytes_and_its_name() {
        let attachment = draft::Attachment {
            filename: "Größe.txt".to_owned(),
            content: "aGVsbG8=".to_owned(),
            content_type: "text/plain".to_owned(),
        };
        let text = written("s", &[attachment]);
        assert!(text.contains("multipart/mixed") && text.contains("multipart/alternative"), "{text}");
        assert!(text.contains("attachment"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_unreachable() {
        let outcome = email().send(mail("s", &[])).await;
        assert!(matches!(&outcome, Outcome::Unreachable(why) if why.contains("127.0.0.1:1")), "{outcome:?}");
    }
}
