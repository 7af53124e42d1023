//! The settings that every plugin has: where to listen, who may ask, how much a body may hold.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::environment::{ConfigurationError, Environment};
use crate::auth::{Access, ApiKey};

/// The longest time that a stop waits for open requests: less than the ten seconds after which an
/// engine kills.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Connections that are served at a time.
const CONNECTIONS: usize = 4096;

/// What a plugin's server is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may call.
    pub access: Access,
    /// The key and the internal secret, for routes that check them themselves.
    pub api_key: Option<ApiKey>,
    /// What the plugins of one project send one another as `X-API-Key`.
    pub internal_secret: Option<String>,
    /// The most bytes of a request body.
    pub body_limit: usize,
    /// Connections that are served at a time; further ones wait.
    pub max_connections: usize,
    /// The longest time that a stop waits for open requests.
    pub stop_within: Duration,
}

impl Settings {
    /// Reads `<NAME>_PORT` and its relatives for the plugin of this name; `port` is its default, `body_limit` the most
    /// bytes of a request body.
    pub fn read(
        environment: &Environment,
        name: &str,
        port: u16,
        body_limit: usize,
    ) -> Result<Self, ConfigurationError> {
        let prefix = prefix(name);
        let own = |suffix: &str| format!("{prefix}_{suffix}");
        let port = environment.number(&[&own("PORT"), &own("PLUGIN_PORT"), "PORT"], port)?;
        let host = host(environment, &own("HOST"))?;
        let key = environment.secret(&[&own("API_KEY"), "NSELF_API_KEY"])?;
        let internal_secret = environment.secret(&["PLUGIN_INTERNAL_SECRET"])?;
        let key = ApiKey::new(key.into_iter().chain(internal_secret.clone()));
        Ok(Self {
            address: SocketAddr::new(host, port),
            access: Access::read(environment, &prefix, key.clone(), host)?,
            api_key: key,
            internal_secret,
            body_limit,
            max_connections: environment.number(&[&own("HTTP_CONNECTIONS")], CONNECTIONS)?.max(1),
            stop_within: STOP_WITHIN,
        })
    }
}

/// What the variables of the plugin of this name begin with.
pub(crate) fn prefix(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn host(environment: &Environment, own: &str) -> Result<IpAddr, ConfigurationError> {
    for name in [own, "HOST"] {
        if let Some(value) = environment.text(&[name]) {
            return value.parse().map_err(|_| {
                let message = format!("`{name}` is `{value}`, which is not an IP address");
                ConfigurationError::new(message)
            });
        }
    }
    Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, ConfigurationError> {
        let environment = Environment::from_pairs(pairs.iter().copied());
        Settings::read(&environment, "file-processing", 3104, 1024)
    }

    #[test]
    fn the_plugins_own_port_wins_over_the_common_one() {
        let address = |pairs| read(pairs).expect("legal settings").address.to_string();
        assert_eq!(address(&[]), "0.0.0.0:3104");
        assert_eq!(address(&[("PORT", "1")]), "0.0.0.0:1");
        assert_eq!(address(&[("FILE_PROCESSING_PLUGIN_PORT", "2"), ("PORT", "1")]), "0.0.0.0:2");
        let all = [("FILE_PROCESSING_PORT", "3"), ("FILE_PROCESSING_PLUGIN_PORT", "2")];
        assert_eq!(address(&all), "0.0.0.0:3");
        assert_eq!(address(&[("HOST", "127.0.0.1")]), "127.0.0.1:3104");
    }

    #[test]
    fn a_host_that_is_no_address_is_named() {
        let error = read(&[("FILE_PROCESSING_HOST", "nowhere")]).expect_err("an error");
        assert!(error.to_string().contains("`FILE_PROCESSING_HOST` is `nowhere`"));
    }
}
