//! One database, of one of two kinds: PostgreSQL where an address is given, else an SQLite file on the plugin's volume.
//!
//! Owns connections, transactions, migrations and the small language both kinds understand: texts and whole numbers,
//! placeholders `$1`, `$2`, each statement the same text for both. It must not know what the tables mean.

mod postgres;
mod schema;
mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use kit::ConfigurationError;
use serde::de::DeserializeOwned;

pub(crate) use schema::EXPECTED as EXPECTED_MIGRATIONS;

/// What a column holds or a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Value {
    /// A NUL, which PostgreSQL stores in no text, becomes the character for what cannot be shown.
    fn from(text: String) -> Self {
        Self::Text(if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text })
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Number(i64::from(flag))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Several values as a statement takes them.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::database::Value::from($value)),*] };
}
pub(crate) use values;

/// A statement with what its placeholders stand for.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    sql: String,
    values: Vec<Value>,
    /// In a transaction: that it must change at least one row, or nothing of the transaction happens.
    must_change: bool,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>, values: Vec<Value>) -> Self {
        Self { sql: sql.into(), values, must_change: false }
    }

    /// The same, but it undoes its whole transaction where it changes no row.
    #[must_use]
    pub(crate) fn or_abort(mut self) -> Self {
        self.must_change = true;
        self
    }
}

/// One row of an answer; columns are read by their names.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    names: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    fn new(names: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { names, values }
    }

    pub(crate) fn text(&self, column: &str) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| unexpected(column, "holds nothing"))
    }

    pub(crate) fn optional_text(&self, column: &str) -> Result<Option<String>> {
        match self.value(column)? {
            Value::Text(text) => Ok(Some(text.clone())),
            Value::Null => Ok(None),
            Value::Number(_) => Err(unexpected(column, "holds a number, not a text")),
        }
    }

    pub(crate) fn number(&self, column: &str) -> Result<i64> {
        self.optional_number(column)?.ok_or_else(|| unexpected(column, "holds nothing"))
    }

    pub(crate) fn optional_number(&self, column: &str) -> Result<Option<i64>> {
        match self.value(column)? {
            Value::Number(number) => Ok(Some(*number)),
            Value::Null => Ok(None),
            Value::Text(_) => Err(unexpected(column, "holds a text, not a number")),
        }
    }

    /// A structure that is stored as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|error| unexpected(column, &error.to_string()))
    }

    fn value(&self, column: &str) -> Result<&Value> {
        let place = self.names.iter().position(|name| name == column);
        place.and_then(|place| self.values.get(place)).ok_or_else(|| unexpected(column, "is not in the answer"))
    }
}

fn unexpected(column: &str, why: &str) -> DatabaseError {
    DatabaseError::Refused(format!("column `{column}` {why}"))
}

/// Why the database did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseError {
    /// It cannot be reached or cannot write; the same may work later.
    Away(String),
    /// The statement of this place, which had to change a row, changed none; nothing was done.
    Unchanged(usize),
    /// It refused the statement.
    Refused(String),
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => write!(formatter, "the database is away: {why}"),
            Self::Unchanged(place) => write!(formatter, "statement {place} changed nothing"),
            Self::Refused(why) => write!(formatter, "the database refused a statement: {why}"),
        }
    }
}

type Result<T> = std::result::Result<T, DatabaseError>;

/// Where the data lies.
pub(crate) enum Location {
    /// The address of a PostgreSQL server, with its password.
    Postgres(String),
    /// The folder of the SQLite file.
    Folder(PathBuf),
}

enum Kind {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
}

/// The database.
pub(crate) struct Database(Kind);

impl Database {
    /// Opens the file, or prepares connections; a server that is away is no error yet.
    pub(crate) fn open(location: &Location) -> std::result::Result<Self, ConfigurationError> {
        Ok(Self(match location {
            Location::Postgres(address) => Kind::Postgres(postgres::Postgres::new(address)?),
            Location::Folder(folder) => Kind::Sqlite(sqlite::Sqlite::open(folder)?),
        }))
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.0 {
            Kind::Postgres(_) => "postgres",
            Kind::Sqlite(_) => "sqlite",
        }
    }

    /// What a query that takes work must add, so that two instances do not take the same.
    pub(crate) fn skip_locked(&self) -> &'static str {
        match self.0 {
            Kind::Postgres(_) => "FOR UPDATE SKIP LOCKED",
            Kind::Sqlite(_) => "",
        }
    }

    /// Runs one statement and gives its rows; it is done whole or not at all.
    pub(crate) async fn query(&self, sql: impl Into<String>, values: Vec<Value>) -> Result<Vec<Row>> {
        let statement = Statement::new(sql, values);
        match &self.0 {
            Kind::Postgres(server) => server.query(statement).await,
            Kind::Sqlite(file) => file.query(statement).await,
        }
    }

    /// Runs one statement and tells how many rows it changed.
    pub(crate) async fn change(&self, sql: impl Into<String>, values: Vec<Value>) -> Result<u64> {
        self.transaction(vec![Statement::new(sql, values)]).await
    }

    /// Runs statements, all or none, and tells how many rows they changed. Once it has answered, they outlive a kill.
    pub(crate) async fn transaction(&self, statements: Vec<Statement>) -> Result<u64> {
        match &self.0 {
            Kind::Postgres(server) => server.transaction(statements).await,
            Kind::Sqlite(file) => file.transaction(statements).await,
        }
    }

    /// Brings the tables to what this version expects; several instances may try at a time.
    pub(crate) async fn migrate(&self) -> Result<()> {
        self.change(schema::LEDGER, Vec::new()).await?;
        for (version, migration) in (1_i64..).zip(schema::MIGRATIONS) {
            let mark = "INSERT INTO np_notifications_migrations (version) VALUES ($1) ON CONFLICT DO NOTHING";
            let mut statements = vec![Statement::new(mark, values![version]).or_abort()];
            statements.extend(migration.iter().map(|sql| Statement::new(*sql, Vec::new())));
            match self.transaction(statements).await {
                // Applied before.
                Ok(_) | Err(DatabaseError::Unchanged(0)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many migrations are applied; that it answers tells that the database does.
    pub(crate) async fn applied_migrations(&self) -> Result<usize> {
        let rows = self.query("SELECT COUNT(*) AS applied FROM np_notifications_migrations", Vec::new()).await?;
        let applied = rows.first().map_or(Ok(0), |row| row.number("applied"))?;
        Ok(usize::try_from(applied).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_another_kind_is_an_error_and_no_default() {
        let names = ["name", "count", "nothing", "broken"].map(str::to_owned);
        let row = Row::new(names.into(), vec!["n".into(), 7.into(), Value::Null, "{".into()]);
        assert_eq!((row.text("name"), row.number("count")), (Ok("n".to_owned()), Ok(7)));
        assert_eq!((row.optional_text("nothing"), row.optional_number("nothing")), (Ok(None), Ok(None)));
        for error in [
            row.text("count").err(),
            row.number("name").err(),
            row.text("nothing").err(),
            row.number("absent").err(),
            row.json::<serde_json::Value>("broken").err(),
        ] {
            assert!(matches!(error, Some(DatabaseError::Refused(why)) if why.starts_with("column `")));
        }
    }
}
