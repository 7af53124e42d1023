//! How e-mail leaves: which server, how the connection is secured, who the sender is.
//!
//! There is no default server: where none is named, e-mail is off and says why.

use kit::{ConfigurationError, Environment};

use crate::mailbox::{Mailbox, parse_address};

/// How a connection to the mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// Never.
    Plain,
    /// STARTTLS where the server offers it; only without credentials.
    Opportunistic,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

/// The server that takes e-mail.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) provider: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) credentials: Option<(String, String)>,
    /// A certificate authority of one's own, in PEM.
    pub(crate) authority: Option<Vec<u8>>,
}

/// All about e-mail.
#[derive(Clone)]
pub(crate) struct EmailConfig {
    /// The reason, where e-mail is off.
    pub(crate) relay: Result<Relay, String>,
    /// The sender of what names none.
    pub(crate) from: Mailbox,
}

impl EmailConfig {
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let from_names = ["NOTIFICATIONS_FROM_EMAIL", "NOTIFICATIONS_EMAIL_FROM", "SMTP_FROM"];
        let from_email = environment.text(&from_names).unwrap_or_else(|| "noreply@nchat.local".to_owned());
        let address = parse_address(&from_email).map_err(|_| {
            let message = format!("`NOTIFICATIONS_FROM_EMAIL` is `{from_email}`, which is no e-mail address");
            ConfigurationError::new(message)
        })?;
        let from = Mailbox::named(address, environment.text(&["NOTIFICATIONS_FROM_NAME"]))
            .map_err(|why| ConfigurationError::new(format!("`NOTIFICATIONS_FROM_NAME` {why}")))?;
        Ok(Self { relay: relay(environment)?, from })
    }
}

/// What is known of a provider by its name: host, port, security, user.
fn preset(provider: &str) -> Option<(&'static str, u16, Security, Option<&'static str>)> {
    match provider {
        "mailpit" => Some(("mailpit", 1025, Security::Opportunistic, None)),
        "sendgrid" => Some(("smtp.sendgrid.net", 587, Security::StartTls, Some("apikey"))),
        "resend" => Some(("smtp.resend.com", 465, Security::Implicit, Some("resend"))),
        _ => None,
    }
}

fn relay(environment: &Environment) -> Result<Result<Relay, String>, ConfigurationError> {
    if !environment.switch(&["NOTIFICATIONS_EMAIL_ENABLED"], true)? {
        return Ok(Err("e-mail is switched off by NOTIFICATIONS_EMAIL_ENABLED".to_owned()));
    }
    let provider = environment.text(&["NOTIFICATIONS_EMAIL_PROVIDER"]).unwrap_or_else(|| "smtp".to_owned());
    let known = preset(&provider);
    let named_host = environment.text(&["NOTIFICATIONS_SMTP_HOST", "SMTP_HOST"]);
    let Some(host) = named_host.or_else(|| known.map(|(host, ..)| host.to_owned())) else {
        let hint = if provider == "smtp" { String::new() } else { format!(" (`{provider}` is reached over SMTP)") };
        return Ok(Err(format!("e-mail is not configured: set NOTIFICATIONS_SMTP_HOST{hint}")));
    };
    let key_names = ["NOTIFICATIONS_SENDGRID_API_KEY", "NOTIFICATIONS_EMAIL_API_KEY"];
    let password_names = ["NOTIFICATIONS_SMTP_PASSWORD", "NOTIFICATIONS_SMTP_PASS", "SMTP_PASSWORD", "SMTP_PASS"];
    let user = environment.text(&["NOTIFICATIONS_SMTP_USER", "SMTP_USER"]);
    let user = user.or_else(|| known.and_then(|(.., user)| user).map(str::to_owned));
    let mut password = environment.secret(&password_names)?;
    if password.is_none() {
        password = environment.secret(&key_names)?;
    }
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (Some(_), None) => {
            return Ok(Err("e-mail has a user but no password: set NOTIFICATIONS_SMTP_PASSWORD".to_owned()));
        }
        _ => None,
    };
    let port_names = ["NOTIFICATIONS_SMTP_PORT", "SMTP_PORT"];
    let secure = environment.text(&["NOTIFICATIONS_SMTP_SECURE", "SMTP_SECURE"]);
    let mut port = environment.number(&port_names, known.map_or(587, |(_, port, ..)| port))?;
    let security = match secure {
        Some(word) => read_security(&word, credentials.is_some())?,
        None => known.map_or_else(|| usual_security(port, credentials.is_some()), |(_, _, security, _)| security),
    };
    if security == Security::Implicit && environment.text(&port_names).is_none() {
        port = 465;
    }
    Ok(Ok(Relay { provider, host, port, security, credentials, authority: authority(environment)? }))
}

/// A password never travels where anybody may take the encryption away, unless that was asked for in so many words.
fn usual_security(port: u16, has_credentials: bool) -> Security {
    match (port, has_credentials) {
        (465, _) => Security::Implicit,
        (_, true) => Security::StartTls,
        (_, false) => Security::Opportunistic,
    }
}

fn read_security(word: &str, has_credentials: bool) -> Result<Security, ConfigurationError> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "tls" | "ssl" => Ok(Security::Implicit),
        // As nodemailer has it: not from the first byte, but by STARTTLS.
        "false" | "0" | "no" | "off" => Ok(usual_security(0, has_credentials)),
        "starttls" | "required" => Ok(Security::StartTls),
        "none" | "plain" => Ok(Security::Plain),
        _ => Err(ConfigurationError::new(format!(
            "`NOTIFICATIONS_SMTP_SECURE` is `{word}`, which is not one of true (TLS), false, starttls, none"
        ))),
    }
}

fn authority(environment: &Environment) -> Result<Option<Vec<u8>>, ConfigurationError> {
    let Some(path) = environment.text(&["NOTIFICATIONS_SMTP_CA_FILE"]) else {
        return Ok(None);
    };
    std::fs::read(&path).map(Some).map_err(|error| {
        ConfigurationError::new(format!("`NOTIFICATIONS_SMTP_CA_FILE` names `{path}`, which cannot be read: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Relay, String> {
        EmailConfig::read(&Environment::from_pairs(pairs.iter().copied())).expect("legal settings").relay
    }

    #[test]
    fn without_a_host_email_is_off_and_says_what_to_set() {
        assert!(read(&[]).is_err_and(|why| why.contains("NOTIFICATIONS_SMTP_HOST")));
        assert!(
            read(&[("NOTIFICATIONS_EMAIL_PROVIDER", "ses")]).is_err_and(|why| why.contains("NOTIFICATIONS_SMTP_HOST"))
        );
        let off = [("SMTP_HOST", "h"), ("NOTIFICATIONS_EMAIL_ENABLED", "false")];
        assert!(read(&off).is_err_and(|why| why.contains("NOTIFICATIONS_EMAIL_ENABLED")));
    }

    #[test]
    fn a_password_is_never_sent_where_encryption_is_optional() {
        let account = [("SMTP_HOST", "h"), ("SMTP_USER", "u"), ("SMTP_PASS", "p")];
        assert_eq!(read(&account).expect("on").security, Security::StartTls);
        let mut with = account.to_vec();
        with.push(("SMTP_SECURE", "false"));
        assert_eq!(read(&with).expect("on").security, Security::StartTls);
        with[3] = ("SMTP_SECURE", "none");
        assert_eq!(read(&with).expect("on").security, Security::Plain);
        assert_eq!(read(&account[..1]).expect("on").security, Security::Opportunistic);
    }

    #[test]
    fn tls_from_the_first_byte_has_a_port_of_its_own() {
        let relay = read(&[("SMTP_HOST", "h"), ("SMTP_SECURE", "true")]).expect("on");
        assert_eq!((relay.port, relay.security), (465, Security::Implicit));
        let relay = read(&[("SMTP_HOST", "h"), ("SMTP_SECURE", "true"), ("SMTP_PORT", "2465")]).expect("on");
        assert_eq!(relay.port, 2465);
        let relay = read(&[("SMTP_HOST", "h"), ("SMTP_PORT", "465")]).expect("on");
        assert_eq!(relay.security, Security::Implicit);
    }

    #[test]
    fn a_named_provider_needs_its_key_alone() {
        let relay = read(&[("NOTIFICATIONS_EMAIL_PROVIDER", "sendgrid"), ("NOTIFICATIONS_EMAIL_API_KEY", "k")]);
        let relay = relay.expect("on");
        assert_eq!((relay.host.as_str(), relay.port), ("smtp.sendgrid.net", 587));
        assert_eq!(relay.credentials, Some(("apikey".to_owned(), "k".to_owned())));
        assert!(read(&[("NOTIFICATIONS_EMAIL_PROVIDER", "sendgrid")]).is_err_and(|why| why.contains("PASSWORD")));
    }

    #[test]
    fn a_sender_that_is_no_address_is_named() {
        let environment = Environment::from_pairs([("SMTP_FROM", "me")]);
        let error = EmailConfig::read(&environment).err().expect("no address").to_string();
        assert!(error.contains("`me`"), "{error}");
    }
}
