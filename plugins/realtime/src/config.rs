//! The plugin's settings; every variable it reads is named here or in the shared crate.

use std::time::Duration;

use kit::{ConfigurationError, Environment, RedisAddress, Settings};

const NAME: &str = "realtime";
const PORT: u16 = 3101;
/// The most bytes of a packet and of a request body.
pub(crate) const PACKET_BYTES: usize = 1_000_000;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Connections beside those of admitted sockets.
const OTHER_CONNECTIONS: usize = 1_024;
const NO_TOKENS: &str = "no token can be checked: set `REALTIME_JWT_SECRET` (or `JWT_SECRET`) to the secret that signs \
                         your users' tokens, `REALTIME_JWT_PUBLIC_KEY` or `REALTIME_JWT_JWKS_URL` to what verifies them, \
                         or, for development only, `REALTIME_ALLOW_ANONYMOUS` to `true`";

/// How many events one user may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit {
    /// Events of one kind in a window; `None` where limits are off.
    pub(crate) points: Option<u32>,
    /// The window's length.
    pub(crate) window: Duration,
}

/// Everything that is configured.
pub(crate) struct Config {
    pub(crate) server: Settings,
    pub(crate) allow_anonymous: bool,
    pub(crate) max_connections: usize,
    /// The most bytes of a message's content.
    pub(crate) message_bytes: usize,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_timeout: Duration,
    /// How long a user stays present once the last socket has gone.
    pub(crate) presence_grace: Duration,
    /// How long a presence that was set over HTTP holds without being repeated.
    pub(crate) presence_timeout: Duration,
    pub(crate) typing_timeout: Duration,
    pub(crate) rate_limit: RateLimit,
    /// Where other instances are met; without it there is one instance.
    pub(crate) redis: Option<RedisAddress>,
    /// After how long a silence another instance counts as gone.
    pub(crate) instance_timeout: Duration,
    pub(crate) enabled: Enabled,
    /// How long an answer about access holds.
    pub(crate) access_ttl: Duration,
}

/// What can be switched off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enabled {
    pub(crate) presence: bool,
    pub(crate) typing: bool,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds secrets.
        formatter.write_str("Config")
    }
}

impl Config {
    /// Reads all settings; without a secret, and not told to admit anybody, it is an error.
    pub(crate) fn read(environment: &Environment) -> Result<Self, ConfigurationError> {
        let allow_anonymous = environment.switch(&["REALTIME_ALLOW_ANONYMOUS"], false)?;
        let mut server = Settings::read(environment, NAME, PORT, PACKET_BYTES)?;
        if server.access.tokens().is_none() && !allow_anonymous {
            return Err(ConfigurationError::new(NO_TOKENS));
        }
        let milliseconds = |names: &[&str], default: u64| {
            environment.duration(names, MILLISECOND, MILLISECOND * u32::try_from(default).unwrap_or(u32::MAX))
        };
        let intervals = ["REALTIME_PING_INTERVAL", "REALTIME_WEBSOCKET_PING_INTERVAL"];
        let timeouts = ["REALTIME_PING_TIMEOUT", "REALTIME_WEBSOCKET_PING_TIMEOUT"];
        let connections = ["REALTIME_MAX_CONNECTIONS", "REALTIME_WEBSOCKET_MAX_CONNECTIONS"];
        let max_connections = environment.number(&connections, 10_000)?;
        // Sockets that are refused for want of a place must be told so, and requests come beside them.
        server.max_connections = server.max_connections.max(max_connections + OTHER_CONNECTIONS);
        Ok(Self {
            server,
            allow_anonymous,
            message_bytes: environment.number(&["REALTIME_MESSAGE_BYTES"], 16 * 1024)?,
            max_connections,
            ping_interval: milliseconds(&intervals, 25_000)?,
            ping_timeout: milliseconds(&timeouts, 20_000)?,
            presence_grace: milliseconds(&["REALTIME_PRESENCE_GRACE"], 5_000)?,
            presence_timeout: milliseconds(&["REALTIME_PRESENCE_TIMEOUT"], 30_000)?,
            typing_timeout: milliseconds(&["REALTIME_TYPING_TIMEOUT"], 3_000)?,
            rate_limit: rate_limit(environment)?,
            redis: RedisAddress::read(environment, "REALTIME")?,
            instance_timeout: milliseconds(&["REALTIME_INSTANCE_TIMEOUT", "REALTIME_PRESENCE_SYNC_INTERVAL"], 10_000)?,
            enabled: Enabled {
                presence: environment.switch(&["REALTIME_ENABLE_PRESENCE"], true)?,
                typing: environment.switch(&["REALTIME_ENABLE_TYPING"], true)?,
            },
            access_ttl: environment.duration(&["REALTIME_ACCESS_TTL"], SECOND, SECOND * 30)?,
        })
    }
}

fn rate_limit(environment: &Environment) -> Result<RateLimit, ConfigurationError> {
    let enabled = environment.switch(&["REALTIME_RATE_LIMIT_ENABLED"], true)?;
    let points = environment.number(&["REALTIME_RATE_LIMIT_POINTS"], 100)?;
    let window = environment.duration(&["REALTIME_RATE_LIMIT_DURATION"], SECOND, SECOND * 60)?;
    Ok(RateLimit { points: enabled.then_some(points), window })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigurationError> {
        Config::read(&Environment::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn without_a_secret_it_refuses_and_names_the_variables() {
        let error = read(&[]).expect_err("no access rule").to_string();
        for name in ["REALTIME_JWT_SECRET", "JWT_SECRET", "REALTIME_ALLOW_ANONYMOUS"] {
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
        assert!(read(&[("JWT_SECRET", "s")]).is_ok());
        assert!(read(&[("REALTIME_ALLOW_ANONYMOUS", "true")]).is_ok());
    }

    #[test]
    fn sockets_have_a_connection_each_and_requests_some_beside_them() {
        let config = read(&[("JWT_SECRET", "s"), ("REALTIME_MAX_CONNECTIONS", "20000")]);
        assert_eq!(config.ok().map(|config| config.server.max_connections), Some(21_024));
    }

    #[test]
    fn redis_is_named_by_an_address_or_by_its_parts_and_never_with_its_password() {
        let redis = |pairs: &[(&str, &str)]| {
            read(&[&[("JWT_SECRET", "s")], pairs].concat()).map(|config| config.redis.map(|redis| redis.shown))
        };
        assert_eq!(redis(&[]), Ok(None));
        let both = [("REDIS_URL", "redis://a:1/1"), ("REALTIME_REDIS_URL", "redis://:secret@b:2/2")];
        assert_eq!(redis(&both), Ok(Some("b:2, database 2".to_owned())));
        let parts = [("REALTIME_REDIS_HOST", "c"), ("REALTIME_REDIS_DB", "3"), ("REALTIME_REDIS_PASSWORD", "p@/: ")];
        assert_eq!(redis(&parts), Ok(Some("c:6379, database 3".to_owned())));
        for bad in ["http://:secret@b", "b"] {
            let error = redis(&[("REDIS_URL", bad)]).expect_err("no address").to_string();
            assert!(error.contains("`REDIS_URL`") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_limit_that_is_switched_off_has_no_points() {
        let config = read(&[("JWT_SECRET", "s"), ("REALTIME_RATE_LIMIT_ENABLED", "false")]);
        assert_eq!(config.ok().map(|config| config.rate_limit.points), Some(None));
    }
}
