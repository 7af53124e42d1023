//! Where Redis is: an address, or its parts. Connects to nothing.

use redis::{ConnectionAddr, IntoConnectionInfo};
use url::Url;

use crate::settings::{ConfigurationError, Environment};

/// An address, and how it is told without its secrets.
#[derive(Clone)]
pub struct RedisAddress {
    /// `redis://[user[:password]@]host:port/database`, or `rediss://` for TLS.
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
        // The value may hold a password and is not repeated.
        let information = information.ok_or_else(|| {
            ConfigurationError::new(format!(
                "`{name}` is not a Redis address; write it as `redis://host:6379/0`, or `rediss://` for TLS"
            ))
        })?;
        if let ConnectionAddr::TcpTls { insecure, .. } = information.addr() {
            if *insecure {
                return Err(ConfigurationError::new(format!(
                    "`{name}` asks for TLS without checks, which is not supported"
                )));
            }
            // Fails only where it was chosen already.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn parse(url: &str) -> Result<RedisAddress, ConfigurationError> {
        RedisAddress::parse("SAMPLE_REDIS_URL", url.to_owned())
    }

    #[test]
    fn addresses_with_tls_are_taken_and_shown_without_their_password() {
        let address = parse("rediss://user:secret@cache.example:6380/2").expect("an address");
        assert_eq!(address.database, 2);
        assert!(address.shown.contains("cache.example:6380") && !address.shown.contains("secret"));
        for bad in ["http://:secret@b", "b", "rediss://:secret@b:1/0#insecure"] {
            let error = parse(bad).err().expect("no address").to_string();
            assert!(error.contains("`SAMPLE_REDIS_URL`") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_address_with_tls_is_spoken_to_in_tls() {
        const HANDSHAKE: u8 = 22;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let first = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut byte = [0_u8];
            stream.read_exact(&mut byte).expect("a byte");
            byte[0]
        });
        let address = parse(&format!("rediss://:secret@localhost:{port}/0")).expect("an address");
        let client = redis::Client::open(address.url).expect("a client");
        assert!(client.get_connection().is_err());
        assert_eq!(first.join().expect("it ends"), HANDSHAKE);
    }
}
