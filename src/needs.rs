//! Services that plugins use and do not bring themselves (redis, postgres, …): how a manifest or a registry names one,
//! and how its address is written. Owns the words; finds and starts nothing.

/// A service that a plugin uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNeed {
    /// `redis`, `postgres`, …
    pub name: String,
    /// Whether the plugin works without it.
    pub optional: bool,
    /// The variable that takes the service's address.
    pub variable: Option<String>,
    /// Other names under which the user may have given it.
    pub aliases: Vec<String>,
}

impl ServiceNeed {
    /// Every name under which the address may have been given.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variable.iter().chain(&self.aliases).map(String::as_str)
    }
}

/// The services whose address is their host and nothing secret: name, port, and how the address is written around them.
const ADDRESSED: &[(&str, u16, &str, &str)] = &[("redis", 6379, "redis://", "/0")];

/// The address of a service on the container network, where the host alone is enough to know it.
pub fn address_of(service: &str, host: &str) -> Option<String> {
    let (_, port, before, after) = ADDRESSED.iter().find(|(name, ..)| *name == service)?;
    Some(format!("{before}{host}:{port}{after}"))
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn a_service_that_asks_for_a_password_has_no_address_by_host_alone() {
        assert_eq!(address_of("redis", "demo_plugin_redis").as_deref(), Some("redis://demo_plugin_redis:6379/0"));
        assert_eq!(address_of("postgres", "db"), None);
    }
}
