//! Which judge the settings name.

use kit::{ConfigurationError, Environment};
use tokio_postgres::config::SslMode;

use super::table::read_table;
use super::{Callback, Judge, Table};

/// The judge that `REALTIME_ACCESS_URL` or `REALTIME_ACCESS_TABLE` names; `None` where neither is set.
pub(crate) fn judge(environment: &Environment) -> Result<Option<Box<dyn Judge>>, ConfigurationError> {
    let url = environment.secret(&["REALTIME_ACCESS_URL"])?;
    let table = environment.text(&["REALTIME_ACCESS_TABLE"]);
    match (url, table) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            error("`REALTIME_ACCESS_URL` and `REALTIME_ACCESS_TABLE` are both set; only one can decide")
        }
        (Some(url), None) => Ok(Some(Box::new(callback(environment, &url)?))),
        (None, Some(table)) => Ok(Some(Box::new(self::table(environment, &table)?))),
    }
}

fn error<T>(message: &str) -> Result<T, ConfigurationError> {
    Err(ConfigurationError::new(message))
}

fn callback(environment: &Environment, url: &str) -> Result<Callback, ConfigurationError> {
    let url = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return error("`REALTIME_ACCESS_URL` is not an http:// or https:// URL");
    };
    Callback::new(url, environment.secret(&["REALTIME_ACCESS_SECRET"])?)
        .map_err(|error| ConfigurationError::new(format!("could not prepare calls of `REALTIME_ACCESS_URL`: {error}")))
}

fn table(environment: &Environment, table: &str) -> Result<Table, ConfigurationError> {
    let Some(query) = read_table(table) else {
        return error("`REALTIME_ACCESS_TABLE` is not `TABLE` or `TABLE(ROOM_COLUMN,USER_COLUMN)`");
    };
    let Some(address) = environment.secret(&["REALTIME_ACCESS_DATABASE_URL"])? else {
        return error(
            "`REALTIME_ACCESS_TABLE` needs `REALTIME_ACCESS_DATABASE_URL`, such as postgres://user:password@host/database",
        );
    };
    match address.parse::<tokio_postgres::Config>() {
        Ok(database) if database.get_ssl_mode() == SslMode::Require => {
            error("`REALTIME_ACCESS_DATABASE_URL` demands TLS, which is not supported here")
        }
        Ok(database) if !database.get_hosts().is_empty() => Ok(Table::new(database, query)),
        _ => error("`REALTIME_ACCESS_DATABASE_URL` is not an address such as postgres://user:password@host/database"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_decides_and_its_address_is_checked_at_the_start() {
        let judge = |pairs: &[(&str, &str)]| judge(&Environment::from_pairs(pairs.iter().copied()));
        assert!(judge(&[]).is_ok_and(|judge| judge.is_none()));
        let (table, database) = (("REALTIME_ACCESS_TABLE", "members"), "REALTIME_ACCESS_DATABASE_URL");
        for good in [&[("REALTIME_ACCESS_URL", "http://hasura/access")][..], &[table, (database, "postgres://u:p@h/d")]]
        {
            assert!(judge(good).is_ok_and(|judge| judge.is_some()), "{good:?}");
        }
        for (bad, named) in [
            (&[("REALTIME_ACCESS_URL", "ftp://secret")][..], "REALTIME_ACCESS_URL"),
            (&[("REALTIME_ACCESS_URL", "http://h/"), table], "only one"),
            (&[table], database),
            (&[table, (database, "postgres://u:secret@h/d?sslmode=require")], "TLS"),
            (&[table, (database, "secret")], database),
            (&[("REALTIME_ACCESS_TABLE", "a;b")], "REALTIME_ACCESS_TABLE"),
        ] {
            let error = judge(bad).err().expect("an error").to_string();
            assert!(error.contains(named) && !error.contains("secret"), "{error}");
        }
    }
}
