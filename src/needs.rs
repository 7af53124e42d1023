//! Services that plugins use and do not bring themselves (redis, postgres, …): how a manifest or a registry names one,
//! and how its address is written. Owns the words; finds and starts nothing.

/// A service that a plugin uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNeed {
    /// `redis`, `postgres`, …
    pub name: String,
    /// Whether the plugin works without it.
    pub optional: bool,
    /// What must be so before the plugin is started, where the service comes in the same command.
    pub condition: Condition,
    /// The variable that takes the service's address.
    pub variable: Option<String>,
    /// Other names under which the user may have given it.
    pub aliases: Vec<String>,
}

/// When a plugin may be started that needs another, in the words of compose files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// `service_started`: it waits for the other by itself, so both may be started at the same time.
    Started,
    /// `service_healthy`: the other must have proven itself.
    #[default]
    Healthy,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 2] = [Self::Started, Self::Healthy];

    /// Its word in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "service_started",
            Self::Healthy => "service_healthy",
        }
    }

    /// The condition that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.word() == word)
    }
}

impl ServiceNeed {
    /// A service that cannot be done without and of which nothing else is known.
    pub fn named(name: String) -> Self {
        Self { name, optional: false, condition: Condition::default(), variable: None, aliases: Vec::new() }
    }

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
