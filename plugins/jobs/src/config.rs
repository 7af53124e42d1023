//! The plugin's settings; every variable it reads is named here or in the shared crate.

use std::time::Duration;

use bullmq::types::BackoffStrategy;
use kit::outbound::AddressPolicy;
use kit::{ConfigurationError, Environment, RedisAddress, Settings};
use url::Url;

use crate::queue_name::QueueName;

const NAME: &str = "jobs";
const PORT: u16 = 3105;
const DASHBOARD_PORT: u16 = 4200;
/// The most bytes of a request body.
const BODY_BYTES: usize = 1_000_000;
/// The most bytes of a payload, unless another number is set.
const PAYLOAD_BYTES: usize = 256 * 1024;
const MILLISECOND: Duration = Duration::from_millis(1);
/// The queues that nself's clients know.
const QUEUES: [&str; 4] = ["default", "high-priority", "low-priority", "scheduled"];
/// Where the jobs are, unless something else is said.
const REDIS: &str = "redis://redis:6379/0";

/// What a job gets that asks for nothing else.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(crate) attempts: u32,
    pub(crate) backoff: BackoffStrategy,
    /// The longest that one attempt may run.
    pub(crate) timeout: Duration,
    /// How long results are kept.
    pub(crate) keep_completed: Duration,
    pub(crate) keep_failed: Duration,
    /// The most bytes of a payload as JSON.
    pub(crate) most_payload_bytes: usize,
}

/// Where work goes that other servers do.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) notifications: Url,
    pub(crate) realtime: Url,
    pub(crate) file_processing: Url,
    /// The application's own address for types that are not known here.
    pub(crate) callback: Option<Url>,
    /// Signs what is sent there.
    pub(crate) callback_secret: Option<String>,
    /// What plugins of one project know each other by.
    pub(crate) internal_secret: Option<String>,
}

/// A job that runs by itself on a schedule.
#[derive(Clone)]
pub(crate) struct SystemJob {
    pub(crate) kind: &'static str,
    pub(crate) schedule: String,
    pub(crate) payload: serde_json::Value,
}

/// The dashboard's door.
#[derive(Clone)]
pub(crate) struct Dashboard {
    pub(crate) port: u16,
    pub(crate) access: Access,
    /// Names under which it is opened, beside addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
}

/// Who may see the dashboard.
#[derive(Clone)]
pub(crate) enum Access {
    /// Whoever knows both.
    Password { username: String, password: String },
    /// Whoever reaches the port.
    Open,
    /// Nobody: a password is asked for and none is set.
    Closed,
}

/// Everything that is configured.
pub(crate) struct Config {
    pub(crate) server: Settings,
    pub(crate) redis: RedisAddress,
    pub(crate) queues: Vec<QueueName>,
    pub(crate) workers: bool,
    pub(crate) concurrency: usize,
    pub(crate) most_jobs: u64,
    pub(crate) defaults: Defaults,
    pub(crate) peers: Peers,
    pub(crate) system_jobs: Vec<SystemJob>,
    pub(crate) dashboard: Option<Dashboard>,
    /// Which addresses jobs may name.
    pub(crate) policy: AddressPolicy,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds secrets.
        formatter.write_str("Config")
    }
}

impl Config {
    /// Reads all settings.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let server = Settings::read(environment, NAME, PORT, BODY_BYTES)?;
        let peers = peers(environment, server.internal_secret.clone())?;
        let concurrency = environment.number(&["JOBS_CONCURRENCY", "JOBS_DEFAULT_CONCURRENCY"], 5)?;
        if concurrency == 0 {
            return Err(ConfigurationError::new("`JOBS_CONCURRENCY` is 0: at least one job must run at a time"));
        }
        Ok(Self {
            redis: match RedisAddress::read(environment, "JOBS")? {
                Some(address) => address,
                None => RedisAddress::parse("JOBS_REDIS_URL", REDIS.to_owned())?,
            },
            queues: queues(environment)?,
            workers: environment.switch(&["JOBS_WORKERS_ENABLED"], true)?,
            concurrency,
            most_jobs: environment.number(&["JOBS_MAX_JOBS_PER_QUEUE"], 10_000)?,
            defaults: defaults(environment)?,
            system_jobs: system_jobs(environment)?,
            dashboard: dashboard(environment)?,
            policy: AddressPolicy::read(environment, "JOBS")?,
            peers,
            server,
        })
    }
}

fn queues(environment: &Environment) -> Result<Vec<QueueName>, ConfigurationError> {
    let further = environment.list(&["JOBS_QUEUES"]).unwrap_or_default();
    let mut queues: Vec<QueueName> = Vec::new();
    for name in QUEUES.into_iter().chain(further.iter().map(String::as_str)) {
        let name = QueueName::parse(name)
            .map_err(|why| ConfigurationError::new(format!("`JOBS_QUEUES` names `{name}`: a queue's name {why}")))?;
        if !queues.contains(&name) {
            queues.push(name);
        }
    }
    Ok(queues)
}

fn defaults(environment: &Environment) -> Result<Defaults, ConfigurationError> {
    let milliseconds = |names: &[&str], default: Duration| environment.duration(names, MILLISECOND, default);
    let delay = milliseconds(&["JOBS_RETRY_DELAY", "JOBS_BACKOFF_DELAY"], Duration::from_secs(1))?;
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let kind = environment.text(&["JOBS_RETRY_BACKOFF"]);
    let backoff = match kind.as_deref() {
        None | Some("exponential") => BackoffStrategy::Exponential(delay),
        Some("fixed") => BackoffStrategy::Fixed(delay),
        Some(other) => {
            let message = format!("`JOBS_RETRY_BACKOFF` is `{other}`, which is neither `exponential` nor `fixed`");
            return Err(ConfigurationError::new(message));
        }
    };
    Ok(Defaults {
        attempts: environment.number(&["JOBS_MAX_RETRIES", "JOBS_RETRY_ATTEMPTS"], 3)?,
        backoff,
        timeout: milliseconds(&["JOBS_JOB_TIMEOUT"], Duration::from_mins(1))?,
        keep_completed: milliseconds(&["JOBS_CLEAN_COMPLETED_AFTER"], Duration::from_hours(24))?,
        keep_failed: milliseconds(&["JOBS_CLEAN_FAILED_AFTER"], Duration::from_hours(7 * 24))?,
        most_payload_bytes: environment.number(&["JOBS_MAX_PAYLOAD_SIZE"], PAYLOAD_BYTES)?,
    })
}

fn peers(environment: &Environment, internal_secret: Option<String>) -> Result<Peers, ConfigurationError> {
    let address = |name: &str, default: &str| {
        let text = environment.text(&[name]).unwrap_or_else(|| default.to_owned());
        web_address(name, &text)
    };
    let callback = environment.text(&["JOBS_CALLBACK_URL"]);
    Ok(Peers {
        notifications: address("NOTIFICATIONS_URL", "http://plugin-notifications:3102")?,
        realtime: address("REALTIME_URL", "http://plugin-realtime:3101")?,
        file_processing: address("FILE_PROCESSING_URL", "http://plugin-file-processing:3104")?,
        callback: callback.map(|text| web_address("JOBS_CALLBACK_URL", &text)).transpose()?,
        callback_secret: environment.secret(&["JOBS_CALLBACK_SECRET"])?,
        internal_secret,
    })
}

fn web_address(name: &str, text: &str) -> Result<Url, ConfigurationError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    // The value may hold a password and is not repeated.
    url.ok_or_else(|| ConfigurationError::new(format!("`{name}` is not an http or https address")))
}

/// The jobs of the application that run on a schedule. All of them work on the application's data, so they exist only
/// where it can be called.
fn system_jobs(environment: &Environment) -> Result<Vec<SystemJob>, ConfigurationError> {
    if environment.text(&["JOBS_CALLBACK_URL"]).is_none() {
        return Ok(Vec::new());
    }
    let days: u32 = environment.number(&["JOBS_CLEANUP_OLD_MESSAGES_DAYS"], 90)?;
    let known = [
        ("cleanup-old-messages", "JOBS_CLEANUP_OLD_MESSAGES", true, "0 2 * * *"),
        ("generate-analytics", "JOBS_GENERATE_ANALYTICS", false, "0 0 * * *"),
        ("backup-database", "JOBS_BACKUP_DATABASE", false, "0 3 * * 0"),
        ("send-email-digest", "JOBS_SEND_EMAIL_DIGEST", false, "0 9 * * *"),
    ];
    let mut jobs = Vec::new();
    for (kind, prefix, default, schedule) in known {
        if !environment.switch(&[&format!("{prefix}_ENABLED")], default)? {
            continue;
        }
        let variable = format!("{prefix}_SCHEDULE");
        let schedule = environment.text(&[&variable]).unwrap_or_else(|| schedule.to_owned());
        crate::cron::check(&schedule, None)
            .map_err(|why| ConfigurationError::new(format!("`{variable}` is `{schedule}`: {why}")))?;
        let payload = match kind {
            "cleanup-old-messages" => serde_json::json!({"targetType": "messages", "olderThanDays": days}),
            _ => serde_json::json!({}),
        };
        jobs.push(SystemJob { kind, schedule, payload });
    }
    Ok(jobs)
}

fn dashboard(environment: &Environment) -> Result<Option<Dashboard>, ConfigurationError> {
    if !environment.switch(&["JOBS_DASHBOARD_ENABLED"], true)? {
        return Ok(None);
    }
    let username = environment.text(&["JOBS_DASHBOARD_USERNAME"]).unwrap_or_else(|| "admin".to_owned());
    let password = environment.secret(&["JOBS_DASHBOARD_PASSWORD"])?;
    let access = match (environment.switch(&["JOBS_DASHBOARD_AUTH_ENABLED"], true)?, password) {
        (false, _) => Access::Open,
        (true, Some(password)) => Access::Password { username, password },
        (true, None) => Access::Closed,
    };
    let mut hosts = environment.list(&["JOBS_DASHBOARD_HOSTS"]).unwrap_or_default();
    hosts.push("queues.localhost".to_owned());
    Ok(Some(Dashboard { port: environment.number(&["JOBS_DASHBOARD_PORT"], DASHBOARD_PORT)?, access, hosts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigurationError> {
        Config::read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_redis_address_comes_from_the_first_that_is_set_and_is_shown_without_its_password() {
        let address = |pairs: &[(&str, &str)]| read(pairs).expect("legal settings").redis;
        assert_eq!(address(&[]).url, REDIS);
        let parts = [("JOBS_REDIS_HOST", "cache"), ("JOBS_REDIS_PASSWORD", "p@ss/word"), ("JOBS_REDIS_DB", "2")];
        assert_eq!(address(&parts).url, "redis://:p%40ss%2Fword@cache:6379/2");
        assert_eq!(address(&parts).shown, "cache:6379, database 2");
        let both = [("REDIS_URL", "redis://second"), ("JOBS_REDIS_URL", "redis://first"), ("JOBS_REDIS_HOST", "third")];
        assert_eq!(address(&both).url, "redis://first");
    }

    #[test]
    fn redis_is_reached_over_tls_where_the_address_says_so() {
        let address = read(&[("JOBS_REDIS_URL", "rediss://user:secret@cache.example:6380/1")]).expect("legal").redis;
        assert_eq!((address.url.starts_with("rediss://"), address.database), (true, 1));
        assert!(!address.shown.contains("secret"), "{}", address.shown);
    }

    #[test]
    fn a_redis_address_that_cannot_be_used_is_not_repeated() {
        let error = read(&[("REDIS_URL", "http://user:secret@host")]).expect_err("no Redis address").to_string();
        assert!(error.contains("`REDIS_URL`") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        for (name, value) in [
            ("JOBS_CONCURRENCY", "0"),
            ("JOBS_QUEUES", "a:b"),
            ("JOBS_RETRY_BACKOFF", "random"),
            ("JOBS_CALLBACK_URL", "ftp://host"),
            ("NOTIFICATIONS_URL", "nowhere"),
            ("JOBS_DASHBOARD_PORT", "99999"),
        ] {
            let error = read(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }

    #[test]
    fn the_dashboard_is_closed_without_a_password_and_open_only_on_request() {
        let access =
            |pairs: &[(&str, &str)]| read(pairs).expect("legal settings").dashboard.expect("a dashboard").access;
        assert!(matches!(access(&[]), Access::Closed));
        assert!(matches!(access(&[("JOBS_DASHBOARD_PASSWORD", "s")]), Access::Password { .. }));
        assert!(matches!(access(&[("JOBS_DASHBOARD_AUTH_ENABLED", "false")]), Access::Open));
        assert!(read(&[("JOBS_DASHBOARD_ENABLED", "false")]).expect("legal settings").dashboard.is_none());
    }

    #[test]
    fn system_jobs_exist_only_where_the_application_can_be_called() {
        let kinds = |pairs: &[(&str, &str)]| {
            let jobs = read(pairs).expect("legal settings").system_jobs;
            jobs.iter().map(|job| job.kind).collect::<Vec<_>>()
        };
        assert!(kinds(&[("JOBS_BACKUP_DATABASE_ENABLED", "true")]).is_empty());
        let callback = ("JOBS_CALLBACK_URL", "http://app");
        assert_eq!(kinds(&[callback]), ["cleanup-old-messages"]);
        let more = [callback, ("JOBS_BACKUP_DATABASE_ENABLED", "true")];
        assert_eq!(kinds(&more), ["cleanup-old-messages", "backup-database"]);
        let error = read(&[callback, ("JOBS_CLEANUP_OLD_MESSAGES_SCHEDULE", "often")]).expect_err("no cron");
        assert!(error.to_string().contains("`JOBS_CLEANUP_OLD_MESSAGES_SCHEDULE` is `often`"));
    }
}
