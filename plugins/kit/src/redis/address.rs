//! Where Redis is: an address, or its parts. Connects to nothing.

use redis::{ConnectionAddr, IntoConnectionInfo};
use url::Url;

use crate::settings::{ConfigurationError, Environment};

/// An address, and how it is told without its secrets.
#[derive(Clone)]
pub struct RedisAddress {
    /// `redis://[user[:password]@]host:port/database`; TLS is not spoken.
    pub url: String,
    pub database: i64,
    /// Host, port and database.
    pub shown: String,
}

impl RedisAddress {
    /// Reads `<NAME>_REDIS_URL`, else `REDIS_URL`, else `<NAME>_REDIS_HOST` with `_PORT`, `_DB` and `_PASSWORD`, for the
    /// plugin whose variables begin with this prefix; `None` where nothing is set.
    pub fn read(environment: &Environment, prefix: &str) -> Result<Option<Self>, ConfigurationError> {
        let own = |suffix: &str| format!("{prefix}_REDIS_{suffix}");
        for name in [own("URL").as_str(), "REDIS_URL"] {
            if let Some(url) = environment.secret(&[name])? {
                return Self::parse(name, url).map(Some);
            }
        }
        let Some(host) = environment.text(&[&own("HOST")]) else { return Ok(None) };
        let port = environment.number(&[&own("PORT")], 6379_u16)?;
        let database = environment.number(&[&own("DB")], 0_u8)?;
        let password = environment.secret(&[&own("PASSWORD")])?;
        let name = own("HOST");
        let message = || ConfigurationError::new(format!("`{name}` is `{host}`, which is not a host name"));
        let url = from_parts(&host, port, database, password.as_deref()).ok_or_else(message)?;
        Self::parse(&name, url).map(Some)
    }

    /// Checks an address that came from the variable `name`.
    pub fn parse(name: &str, url: String) -> Result<Self, ConfigurationError> {
        let information = url.as_str().into_connection_info().ok();
        let information =
            information.filter(|information| !matches!(information.addr(), ConnectionAddr::TcpTls { .. }));
        // The value may hold a password and is not repeated.
        let information = information.ok_or_else(|| {
            ConfigurationError::new(format!("`{name}` is no Redis address; it is written as `redis://host:6379/0`"))
        })?;
        let database = information.redis_settings().db();
        let shown = format!("{}, database {database}", information.addr());
        Ok(Self { url, database, shown })
    }
}

fn from_parts(host: &str, port: u16, database: u8, password: Option<&str>) -> Option<String> {
    let mut url = Url::parse("redis://localhost").ok()?;
    url.set_host(Some(host)).ok()?;
    url.set_port(Some(port)).ok()?;
    url.set_path(&database.to_string());
    url.set_password(password).ok()?;
    Some(url.to_string())
}
