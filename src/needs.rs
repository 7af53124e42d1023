//! Services that plugins use and do not bring themselves (redis, postgres, …): how a manifest or a registry names one,
//! and how its address is written. Owns the words; finds and starts nothing.

use url::Url;

use crate::name::PluginName;

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
    /// Whether it is only a word among dependencies, which may as well mean a package of a language: it is brought where
    /// it can be, and nothing fails without it.
    pub is_guess: bool,
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
        let condition = Condition::default();
        Self { name, optional: false, condition, variable: None, aliases: Vec::new(), is_guess: false }
    }

    /// What a word among dependencies may mean.
    pub fn guessed(name: String) -> Self {
        Self { is_guess: true, ..Self::named(name) }
    }

    /// The same under the usual names of its address, where nothing names the variable (`DATABASE_URL`, `MINIO_URL`).
    #[must_use]
    pub fn with_usual_variables(mut self) -> Self {
        if self.variable.is_none() && !self.is_guess {
            let mut usual: Vec<String> = match known(&self.name) {
                Some(known) => known.variables.iter().map(|name| (*name).to_owned()).collect(),
                None => vec![format!("{}_URL", self.name.replace(['-', '.'], "_").to_ascii_uppercase())],
            };
            self.variable = Some(usual.remove(0));
            self.aliases.append(&mut usual);
        }
        self
    }

    /// Every name under which the address may have been given.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variable.iter().chain(&self.aliases).map(String::as_str)
    }
}

/// A service whose address can be put together.
struct Known {
    name: &'static str,
    port: u16,
    scheme: &'static str,
    login: Login,
    /// How the variable that takes its address is called, alone or after the plugin's own prefix.
    variables: &'static [&'static str],
}

/// Who may come in.
enum Login {
    /// Anybody, or whoever knows the password where there is one; and what stands behind the port.
    Open { password: &'static str, path: &'static str },
    /// An account: the variables of the backend's env files that hold it, and the user where none is named. The database
    /// has the user's name unless it has its own, as the PostgreSQL image does.
    Account { user: &'static str, default_user: &'static str, password: &'static str, database: &'static str },
}

const KNOWN: &[Known] = &[
    Known {
        name: "redis",
        port: 6379,
        scheme: "redis",
        login: Login::Open { password: "REDIS_PASSWORD", path: "/0" },
        variables: &["REDIS_URL"],
    },
    Known {
        name: "postgres",
        port: 5432,
        scheme: "postgres",
        login: Login::Account {
            user: "POSTGRES_USER",
            default_user: "postgres",
            password: "POSTGRES_PASSWORD",
            database: "POSTGRES_DB",
        },
        variables: &["DATABASE_URL", "POSTGRES_URL"],
    },
];

fn known(service: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == service)
}

/// The variable that holds a service's own password, where the service has no accounts.
pub fn password_variable(service: &str) -> Option<&'static str> {
    known(service).and_then(|known| match known.login {
        Login::Open { password, .. } => Some(password),
        Login::Account { .. } => None,
    })
}

/// Whether a variable is a service's own password.
pub fn is_password(variable: &str) -> bool {
    KNOWN.iter().any(|known| password_variable(known.name) == Some(variable))
}

/// Whether a word names a service and no plugin, unless a plugin of kind service has that name.
pub fn is_service(word: &str) -> bool {
    known(word).is_some()
}

/// The service whose address a plugin's variable takes by its name (`REDIS_URL`, `JOBS_REDIS_URL`).
pub fn service_of_variable(plugin: &PluginName, variable: &str) -> Option<&'static str> {
    let own = format!("{}_", plugin.variable_prefix());
    let bare = variable.strip_prefix(&own).unwrap_or(variable);
    KNOWN.iter().find(|known| known.variables.contains(&bare)).map(|known| known.name)
}

/// The address of a service on the container network; `setting` finds what the project says of it by a variable's name.
/// The error is why there is none, to be put after a colon.
pub fn address_of(service: &str, host: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let known = known(service).ok_or_else(|| "how its address is written is not known".to_owned())?;
    let mut url =
        Url::parse(&format!("{}://{host}:{}", known.scheme, known.port)).map_err(|error| error.to_string())?;
    match &known.login {
        Login::Open { password, path } => {
            url.set_path(path);
            let _ = setting(password).map(|password| url.set_password(Some(&password)));
        }
        Login::Account { user, default_user, password, database } => {
            let password = setting(password).ok_or_else(|| format!("{password} is set nowhere in the project"))?;
            let user = setting(user).unwrap_or_else(|| (*default_user).to_owned());
            let _ = url.set_username(&user);
            let _ = url.set_password(Some(&password));
            url.set_path(&setting(database).unwrap_or(user));
        }
    }
    Ok(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_the_project_says_of_the_service() {
        let nothing = |_: &str| None;
        let address = address_of("redis", "demo_plugin_redis", &nothing);
        assert_eq!(address.as_deref(), Ok("redis://demo_plugin_redis:6379/0"));
        let settings = |key: &str| match key {
            "REDIS_PASSWORD" | "POSTGRES_PASSWORD" => Some("a/b@".to_owned()),
            "POSTGRES_DB" => Some("app".to_owned()),
            _ => None,
        };
        assert_eq!(address_of("redis", "cache", &settings).as_deref(), Ok("redis://:a%2Fb%40@cache:6379/0"));
        let address = address_of("postgres", "db", &settings);
        assert_eq!(address.as_deref(), Ok("postgres://postgres:a%2Fb%40@db:5432/app"));
        assert!(address_of("postgres", "db", &nothing).unwrap_err().contains("POSTGRES_PASSWORD"));
        assert!(address_of("kafka", "kafka", &nothing).is_err());
    }

    #[test]
    fn a_variable_names_its_service_with_or_without_the_plugins_prefix() {
        let jobs = "jobs".parse().unwrap();
        let of = |variable| service_of_variable(&jobs, variable);
        assert_eq!((of("REDIS_URL"), of("JOBS_REDIS_URL")), (Some("redis"), Some("redis")));
        assert_eq!(of("DATABASE_URL"), Some("postgres"));
        assert_eq!((of("OTHER_REDIS_URL"), of("REDIS_URL_TTL")), (None, None));
    }
}
