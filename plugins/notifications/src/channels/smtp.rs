//! Connections to one mail server, kept open between mails, and the conversation that hands a mail over.
//!
//! A connection that was used before may have been closed by the server: it is not asked first, which would cost a round
//! trip for each mail. Where it turns out to be closed before the content was sent, another takes its place.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kit::ConfigurationError;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::net::TcpStream;

use super::tls_stream::TlsConnector;
use crate::chain::chain;
use crate::config_email::{Relay, Security};

/// The longest that one step of setting a connection up may take.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// A connection that was not used for so long is closed: servers close them too.
const IDLE: Duration = Duration::from_secs(20);
const QUIT_WITHIN: Duration = Duration::from_secs(2);

/// Who a mail is from and whom it goes to, as the server is told.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
}

/// Why a mail was not handed over.
#[derive(Debug)]
pub(super) enum SmtpError {
    /// No connection was made.
    Connect(String),
    /// The server refused, or the connection broke.
    Talk(Error),
}

impl SmtpError {
    /// The server's code, where it answered.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Connect(_) => None,
            Self::Talk(error) => error.status().map(u16::from),
        }
    }

    /// Whether the server lacks what the mail or the account needs.
    pub(super) fn is_client(&self) -> bool {
        matches!(self, Self::Talk(error) if error.is_client())
    }
}

impl Display for SmtpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(why) => formatter.write_str(why),
            Self::Talk(error) => formatter.write_str(&chain(error)),
        }
    }
}

impl From<Error> for SmtpError {
    fn from(error: Error) -> Self {
        Self::Talk(error)
    }
}

struct Connection {
    inner: AsyncSmtpConnection,
    pipelines: bool,
    used_at: Instant,
}

/// How a connection is secured, ready to be used.
enum Tls {
    None,
    Opportunistic(TlsParameters),
    Required(TlsParameters),
    Implicit(TlsConnector),
}

/// The mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
    hello: ClientId,
    idle: Mutex<Vec<Connection>>,
    most_idle: usize,
    takes_utf8: AtomicBool,
}

impl Smtp {
    pub(super) fn new(relay: &Relay, domain: &str, most_idle: usize) -> Result<Self, ConfigurationError> {
        Ok(Self {
            host: relay.host.clone(),
            port: relay.port,
            tls: tls(relay)?,
            credentials: relay.credentials.clone().map(|(user, password)| Credentials::new(user, password)),
            hello: ClientId::Domain(domain.to_owned()),
            idle: Mutex::default(),
            most_idle,
            takes_utf8: AtomicBool::new(false),
        })
    }

    /// Whether the server, when it was last met, took addresses in other scripts.
    pub(super) fn takes_utf8(&self) -> bool {
        self.takes_utf8.load(Ordering::Relaxed)
    }

    /// Hands one mail over. Once this has begun to send the content, it is not repeated here.
    pub(super) async fn deliver(&self, envelope: &Envelope, content: String) -> Result<(), SmtpError> {
        let mut connection = loop {
            let Some(mut reused) = self.take_idle() else {
                let mut fresh = self.connect().await?;
                if let Err(error) = begin(&mut fresh, envelope, &content).await {
                    close(fresh);
                    return Err(error.into());
                }
                break fresh;
            };
            match begin(&mut reused, envelope, &content).await {
                Ok(()) => break reused,
                // Closed meanwhile, or being closed: nothing was handed over.
                Err(error) if error.status().is_none_or(|code| u16::from(code) == 421) && !error.is_client() => {
                    drop(reused);
                }
                Err(error) => {
                    close(reused);
                    return Err(error.into());
                }
            }
        };
        match connection.inner.command(dotted(content)).await {
            Ok(_) => {
                self.keep(connection);
                Ok(())
            }
            Err(error) => {
                close(connection);
                Err(error.into())
            }
        }
    }

    /// Makes a connection, greets the server and says goodbye.
    pub(super) async fn probe(&self) -> Result<(), SmtpError> {
        close(self.connect().await?);
        Ok(())
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| connection.used_at.elapsed() < IDLE);
        idle.pop()
    }

    fn keep(&self, mut connection: Connection) {
        connection.used_at = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.most_idle {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, SmtpError> {
        let connected = tokio::time::timeout(STEP_WITHIN, self.set_up()).await;
        connected.unwrap_or_else(|_| Err(SmtpError::Connect(format!("no answer within {} s", STEP_WITHIN.as_secs()))))
    }

    async fn set_up(&self) -> Result<Connection, SmtpError> {
        let connect = |error: std::io::Error| SmtpError::Connect(chain(&error));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connect)?;
        // A mail ends with a small piece; it must not wait for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(connect)?;
        let mut inner = match &self.tls {
            Tls::Implicit(connector) => {
                let stream = connector.connect(stream).await.map_err(connect)?;
                AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?
            }
            _ => AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?,
        };
        match &self.tls {
            Tls::Required(parameters) => inner.starttls(parameters.clone(), &self.hello).await?,
            Tls::Opportunistic(parameters) if inner.can_starttls() => {
                inner.starttls(parameters.clone(), &self.hello).await?;
            }
            _ => {}
        }
        if let Some(credentials) = &self.credentials {
            inner.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        self.takes_utf8.store(inner.server_info().supports_feature(Extension::SmtpUtfEight), Ordering::Relaxed);
        // The library does not tell whether commands may be sent together.
        let greeting = inner.command(Ehlo::new(self.hello.clone())).await;
        let pipelines =
            greeting.is_ok_and(|answer| answer.message().any(|line| line.eq_ignore_ascii_case("PIPELINING")));
        Ok(Connection { inner, pipelines, used_at: Instant::now() })
    }
}

/// Says goodbye without keeping anybody waiting.
fn close(mut connection: Connection) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(QUIT_WITHIN, connection.inner.abort()).await;
    });
}

/// Everything up to the server's word that the content may follow.
async fn begin(connection: &mut Connection, envelope: &Envelope, content: &str) -> Result<(), Error> {
    let mut parameters = Vec::new();
    let has_letters = std::iter::once(&envelope.from).chain(&envelope.to).any(|one| !one.to_string().is_ascii());
    if has_letters {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !content.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let mail = Mail::new(Some(envelope.from.clone()), parameters);
    let recipients: Vec<Rcpt> = envelope.to.iter().map(|to| Rcpt::new(to.clone(), Vec::new())).collect();
    if connection.pipelines {
        connection.inner.command(Together { mail, recipients: &recipients }).await?;
        for _ in &recipients {
            connection.inner.read_response().await?;
        }
        connection.inner.read_response().await?;
        return Ok(());
    }
    connection.inner.command(mail).await?;
    for recipient in recipients {
        connection.inner.command(recipient).await?;
    }
    connection.inner.command(Data).await?;
    Ok(())
}

/// Commands that are sent in one piece.
struct Together<'a> {
    mail: Mail,
    recipients: &'a [Rcpt],
}

impl Display for Together<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mail.fmt(formatter)?;
        for recipient in self.recipients {
            recipient.fmt(formatter)?;
        }
        Data.fmt(formatter)
    }
}

/// The content as SMTP transports it, with its end.
fn dotted(mut content: String) -> String {
    if content.starts_with('.') || content.contains("\r\n.") {
        content = content.replace("\r\n.", "\r\n..");
        if content.starts_with('.') {
            content.insert(0, '.');
        }
    }
    content.push_str(if content.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" });
    content
}

fn tls(relay: &Relay) -> Result<Tls, ConfigurationError> {
    let broken = |error: &dyn Display| {
        ConfigurationError::new(format!("the TLS settings for `{}` cannot be used: {error}", relay.host))
    };
    match relay.security {
        Security::Plain => return Ok(Tls::None),
        Security::Implicit => {
            let connector = TlsConnector::new(&relay.host, relay.authority.as_deref());
            return Ok(Tls::Implicit(connector.map_err(|error| broken(&error))?));
        }
        Security::Opportunistic | Security::StartTls => {}
    }
    let mut parameters = TlsParameters::builder(relay.host.clone());
    if let Some(pem) = &relay.authority {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(|error| broken(&error))?);
    }
    let parameters = parameters.build_rustls().map_err(|error| broken(&error))?;
    Ok(if relay.security == Security::StartTls { Tls::Required(parameters) } else { Tls::Opportunistic(parameters) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_dot_keep_it() {
        assert_eq!(dotted("a\r\n.b\r\n".to_owned()), "a\r\n..b\r\n.\r\n");
        assert_eq!(dotted(".a".to_owned()), "..a\r\n.\r\n");
        assert_eq!(dotted("a\r\n..\r\n".to_owned()), "a\r\n...\r\n.\r\n");
    }
}
