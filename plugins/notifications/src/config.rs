//! The plugin's settings; every variable it reads is named here, in [`crate::config_email`] or in the shared crate.

use std::path::PathBuf;
use std::time::Duration;

use kit::outbound::AddressPolicy;
use kit::{ConfigurationError, Environment, Settings};

use crate::channel::Channel;
use crate::config_email::EmailConfig;
use crate::database::Location;
use crate::preferences::Defaults;

const NAME: &str = "notifications";
const PORT: u16 = 3102;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// The largest request body unless configured, in bytes; what is held at a time is a multiple of it.
const BODY_BYTES: usize = 5 * 1024 * 1024;
/// Variables that push would be configured with; this version only tells of them.
pub(crate) const PUSH_VARIABLES: [&str; 4] = [
    "NOTIFICATIONS_FCM_SERVER_KEY",
    "NOTIFICATIONS_APNS_KEY_ID",
    "NOTIFICATIONS_PUSH_VAPID_PRIVATE_KEY",
    "NOTIFICATIONS_PUSH_API_KEY",
];

/// How SMS leaves.
#[derive(Clone)]
pub(crate) struct SmsConfig {
    pub(crate) base: String,
    pub(crate) account: String,
    pub(crate) token: String,
    pub(crate) from: String,
}

/// How often and how soon a delivery is tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// Attempts that a provider may refuse before a delivery has failed.
    pub(crate) attempts: i64,
    pub(crate) delay: Duration,
    pub(crate) longest_delay: Duration,
    /// How long a delivery waits for a provider that cannot be reached at all.
    pub(crate) give_up_after: Duration,
}

/// How many messages one user may get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimits {
    pub(crate) window: Duration,
    in_app: u32,
    email: u32,
    push: u32,
    sms: u32,
}

impl RateLimits {
    /// Messages to one user on a channel within the window; 0 is no limit.
    pub(crate) fn of(&self, channel: Channel) -> u32 {
        match channel {
            Channel::InApp => self.in_app,
            Channel::Email => self.email,
            Channel::Push => self.push,
            Channel::Sms => self.sms,
        }
    }
}

/// Everything that is configured.
pub(crate) struct Config {
    pub(crate) server: Settings,
    pub(crate) location: Location,
    /// The directory on the plugin's volume.
    pub(crate) data_folder: PathBuf,
    pub(crate) email: EmailConfig,
    /// `None` with the reason where SMS is off.
    pub(crate) sms: Result<SmsConfig, String>,
    pub(crate) push_variables_set: Vec<&'static str>,
    pub(crate) realtime: Option<String>,
    pub(crate) templates_folder: Option<PathBuf>,
    pub(crate) default_template: Option<String>,
    pub(crate) retries: Retries,
    pub(crate) rates: RateLimits,
    pub(crate) workers: usize,
    pub(crate) poll_interval: Duration,
    /// Deliveries that may be waiting for a worker.
    pub(crate) queue_limit: i64,
    pub(crate) quiet_hours: bool,
    /// What users get only once they want it.
    pub(crate) defaults: Defaults,
    /// Nothing leaves, and every state says so.
    pub(crate) dry_run: bool,
    pub(crate) dedupe_window: Duration,
    pub(crate) idempotency_window: Duration,
    pub(crate) retention: Duration,
    pub(crate) webhook_secret: Option<String>,
    /// Which addresses requests may name.
    pub(crate) addresses: AddressPolicy,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds secrets.
        formatter.write_str("Config")
    }
}

impl Config {
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let body_limit = environment.number(&["NOTIFICATIONS_MAX_BODY_BYTES"], BODY_BYTES)?;
        let text = |name| environment.text(&[name]);
        let switch = |name| environment.switch(&[name], false);
        let seconds = |name, default| environment.duration(&[name], SECOND, default);
        let milliseconds = |names: &[&str], default| environment.duration(names, MILLISECOND, default);
        let workers: usize = environment.number(&["NOTIFICATIONS_WORKER_CONCURRENCY", "WORKER_CONCURRENCY"], 5)?;
        let days: u32 = environment.number(&["NOTIFICATIONS_RETENTION_DAYS"], 90)?;
        let polls = ["NOTIFICATIONS_WORKER_POLL_INTERVAL", "WORKER_POLL_INTERVAL"];
        let poll_interval = milliseconds(&polls, SECOND)?;
        let dry_run = switch("NOTIFICATIONS_DRY_RUN")? || switch("NOTIFICATIONS_TEST_MODE")?;
        let set = PUSH_VARIABLES.into_iter().filter(|name| text(name).is_some());
        Ok(Self {
            server: Settings::read(environment, NAME, PORT, body_limit)?,
            location: location(environment)?,
            data_folder: data_folder(environment),
            email: EmailConfig::read(environment)?,
            sms: sms(environment)?,
            push_variables_set: set.collect(),
            realtime: realtime(environment)?,
            templates_folder: text("NOTIFICATIONS_TEMPLATES_DIR").map(PathBuf::from),
            default_template: text("NOTIFICATIONS_DEFAULT_TEMPLATE"),
            retries: retries(environment)?,
            rates: rates(environment)?,
            workers: workers.clamp(1, 64),
            poll_interval: poll_interval.clamp(Duration::from_millis(50), Duration::from_mins(1)),
            queue_limit: environment.number(&["NOTIFICATIONS_QUEUE_MAX"], 10_000)?,
            quiet_hours: environment.switch(&["NOTIFICATIONS_QUIET_HOURS_ENABLED"], true)?,
            defaults: defaults(environment),
            dry_run,
            dedupe_window: seconds("NOTIFICATIONS_DEDUPE_WINDOW", SECOND * 5)?,
            idempotency_window: seconds("NOTIFICATIONS_IDEMPOTENCY_TTL", HOUR * 24)?,
            retention: HOUR * 24 * days.max(1),
            webhook_secret: environment.secret(&["NOTIFICATIONS_WEBHOOK_SECRET"])?,
            addresses: AddressPolicy::read(environment, "NOTIFICATIONS")?,
        })
    }
}

/// PostgreSQL where an address is given, whole or in parts; else the folder on the volume.
fn location(environment: &Environment) -> Result<Location, ConfigurationError> {
    if let Some(address) = environment.secret(&["NOTIFICATIONS_DATABASE_URL", "DATABASE_URL"])? {
        return Ok(Location::Postgres(address));
    }
    if let Some(host) = environment.text(&["POSTGRES_HOST"]) {
        let part = |name, default: &str| environment.text(&[name]).unwrap_or_else(|| default.to_owned());
        let password = environment.secret(&["POSTGRES_PASSWORD"])?.unwrap_or_default();
        // The form of words and quotes takes any character.
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let mode = if environment.switch(&["POSTGRES_SSL"], false)? { "require" } else { "disable" };
        return Ok(Location::Postgres(format!(
            "host={} port={} dbname={} user={} password={} sslmode={mode}",
            quoted(&host),
            environment.number(&["POSTGRES_PORT"], 5432_u16)?,
            quoted(&part("POSTGRES_DB", "nself")),
            quoted(&part("POSTGRES_USER", "postgres")),
            quoted(&password),
        )));
    }
    Ok(Location::Folder(data_folder(environment)))
}

fn data_folder(environment: &Environment) -> PathBuf {
    PathBuf::from(environment.text(&["NOTIFICATIONS_DATA_DIR"]).unwrap_or_else(|| "/data".to_owned()))
}

/// Channels and categories that are off unless a user switches them on; `none` for none.
fn defaults(environment: &Environment) -> Defaults {
    let names = environment.list(&["NOTIFICATIONS_DEFAULT_OFF"]);
    let names = names.unwrap_or_else(|| ["sms", "marketing"].map(str::to_owned).to_vec());
    Defaults::off(&names.into_iter().filter(|name| name != "none").collect::<Vec<_>>())
}

fn sms(environment: &Environment) -> Result<Result<SmsConfig, String>, ConfigurationError> {
    if !environment.switch(&["NOTIFICATIONS_SMS_ENABLED"], true)? {
        return Ok(Err("sms is switched off by NOTIFICATIONS_SMS_ENABLED".to_owned()));
    }
    if let Some(other) = environment.text(&["NOTIFICATIONS_SMS_PROVIDER"])
        && other != "twilio"
    {
        return Ok(Err(format!("NOTIFICATIONS_SMS_PROVIDER is `{other}`; this version knows `twilio` only")));
    }
    let account = environment.text(&["NOTIFICATIONS_TWILIO_ACCOUNT_SID", "NOTIFICATIONS_SMS_ACCOUNT_SID"]);
    let token = environment.secret(&["NOTIFICATIONS_TWILIO_AUTH_TOKEN", "NOTIFICATIONS_SMS_AUTH_TOKEN"])?;
    let from = environment.text(&["NOTIFICATIONS_TWILIO_FROM_NUMBER", "NOTIFICATIONS_SMS_FROM"]);
    let base = environment.text(&["NOTIFICATIONS_TWILIO_BASE_URL"]);
    let base = base.unwrap_or_else(|| "https://api.twilio.com".to_owned());
    let missing: Vec<&str> = [
        (account.is_none(), "NOTIFICATIONS_TWILIO_ACCOUNT_SID"),
        (token.is_none(), "NOTIFICATIONS_TWILIO_AUTH_TOKEN"),
        (from.is_none(), "NOTIFICATIONS_TWILIO_FROM_NUMBER"),
    ]
    .into_iter()
    .filter_map(|(is_missing, name)| is_missing.then_some(name))
    .collect();
    Ok(match (account, token, from) {
        (Some(account), Some(token), Some(from)) => {
            Ok(SmsConfig { base: check_address("NOTIFICATIONS_TWILIO_BASE_URL", &base)?, account, token, from })
        }
        _ => Err(format!("sms is not configured: set {}", missing.join(", "))),
    })
}

fn realtime(environment: &Environment) -> Result<Option<String>, ConfigurationError> {
    let names = ["NOTIFICATIONS_REALTIME_URL", "REALTIME_URL"];
    let address = environment.text(&names).unwrap_or_else(|| "http://plugin-realtime:3101".to_owned());
    if matches!(address.as_str(), "off" | "none") {
        return Ok(None);
    }
    check_address("REALTIME_URL", &address).map(Some)
}

fn check_address(variable: &str, address: &str) -> Result<String, ConfigurationError> {
    let parsed = reqwest::Url::parse(address);
    if parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(address.trim_end_matches('/').to_owned());
    }
    Err(ConfigurationError::new(format!("`{variable}` is `{address}`, which is no address such as `http://host:3101`")))
}

fn retries(environment: &Environment) -> Result<Retries, ConfigurationError> {
    let milliseconds = |name, default| environment.duration(&[name], MILLISECOND, default);
    Ok(Retries {
        attempts: environment.number(&["NOTIFICATIONS_RETRY_ATTEMPTS"], 3_i64)?.max(1),
        delay: milliseconds("NOTIFICATIONS_RETRY_DELAY", SECOND * 5)?,
        longest_delay: milliseconds("NOTIFICATIONS_MAX_RETRY_DELAY", SECOND * 300)?,
        give_up_after: environment.duration(&["NOTIFICATIONS_GIVE_UP_AFTER"], SECOND, HOUR * 24)?,
    })
}

fn rates(environment: &Environment) -> Result<RateLimits, ConfigurationError> {
    let number = |name, default| environment.number(&[name], default);
    Ok(RateLimits {
        window: environment.duration(&["NOTIFICATIONS_RATE_LIMIT_WINDOW"], SECOND, HOUR)?.max(SECOND),
        in_app: number("NOTIFICATIONS_RATE_LIMIT", 1000)?,
        email: number("NOTIFICATIONS_RATE_LIMIT_EMAIL", 100)?,
        push: number("NOTIFICATIONS_RATE_LIMIT_PUSH", 200)?,
        sms: number("NOTIFICATIONS_RATE_LIMIT_SMS", 20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigurationError> {
        Config::read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn it_starts_with_nothing_set_and_says_what_is_off() {
        let config = read(&[]).expect("defaults");
        assert!(matches!(&config.location, Location::Folder(folder) if folder.as_os_str() == "/data"));
        assert!(config.email.relay.as_ref().is_err_and(|why| why.contains("NOTIFICATIONS_SMTP_HOST")));
        assert!(config.sms.as_ref().is_err_and(|why| why.contains("NOTIFICATIONS_TWILIO_AUTH_TOKEN")));
        assert_eq!(config.realtime.as_deref(), Some("http://plugin-realtime:3101"));
        assert!(!config.dry_run);
    }

    #[test]
    fn half_an_sms_account_names_the_other_half() {
        let config = read(&[("NOTIFICATIONS_SMS_ACCOUNT_SID", "AC1"), ("NOTIFICATIONS_SMS_FROM", "+1")]);
        let why = config.expect("legal").sms.err().expect("off");
        assert_eq!(why, "sms is not configured: set NOTIFICATIONS_TWILIO_AUTH_TOKEN");
    }

    #[test]
    fn the_plugins_own_database_wins_and_parts_are_quoted() {
        let address = |pairs: &[(&str, &str)]| match read(pairs).expect("legal").location {
            Location::Postgres(address) => address,
            Location::Folder(folder) => panic!("a folder: {}", folder.display()),
        };
        let both = [("NOTIFICATIONS_DATABASE_URL", "postgres://a/b"), ("DATABASE_URL", "postgres://c/d")];
        assert_eq!(address(&both), "postgres://a/b");
        let parts = [("POSTGRES_HOST", "db"), ("POSTGRES_PASSWORD", "it's \\ me")];
        assert!(address(&parts).contains(r"password='it\'s \\ me'"));
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let error = read(&[("REALTIME_URL", "realtime")]).expect_err("no address").to_string();
        assert!(error.contains("`REALTIME_URL` is `realtime`"), "{error}");
        assert_eq!(read(&[("REALTIME_URL", "off")]).expect("legal").realtime, None);
    }
}
