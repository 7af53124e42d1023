//! SQLite in a file on the plugin's volume, written by one thread of its own.
//!
//! What waits at the same time is committed together, each transaction apart within it: a commit waits for the disk,
//! and fifty senders need not wait fifty times.

use std::path::Path;
use std::sync::Arc;

use kit::ConfigurationError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql};
use tokio::sync::{mpsc, oneshot};

use super::{DatabaseError, Result, Row, Statement, Value};

const FILE: &str = "notifications.db";
/// Requests that may wait for the thread; more wait at the door.
const WAITING: usize = 256;
/// Requests that are committed together at most.
const TOGETHER: usize = 64;

enum Work {
    Query(Statement, oneshot::Sender<Result<Vec<Row>>>),
    Transaction(Vec<Statement>, oneshot::Sender<Result<u64>>),
}

/// Answers that are given once the commit has succeeded.
enum Answer {
    Rows(oneshot::Sender<Result<Vec<Row>>>, Result<Vec<Row>>),
    Count(oneshot::Sender<Result<u64>>, Result<u64>),
}

pub(super) struct Sqlite {
    work: mpsc::Sender<Work>,
}

impl Sqlite {
    pub(super) fn open(folder: &Path) -> std::result::Result<Self, ConfigurationError> {
        let path = folder.join(FILE);
        let explain = |error: &dyn std::fmt::Display| {
            ConfigurationError::new(format!(
                "opening `{}` failed: {error}; `NOTIFICATIONS_DATA_DIR` must name a folder that this process may write",
                path.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(|error| explain(&error))?;
        let connection = connect(&path).map_err(|error| explain(&error))?;
        let (work, receiver) = mpsc::channel(WAITING);
        std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || run(&connection, receiver))
            .map_err(|error| explain(&error))?;
        Ok(Self { work })
    }

    pub(super) async fn query(&self, statement: Statement) -> Result<Vec<Row>> {
        let (sender, answer) = oneshot::channel();
        self.hand_over(Work::Query(statement, sender)).await?;
        answer.await.map_err(|_| stopped())?
    }

    pub(super) async fn transaction(&self, statements: Vec<Statement>) -> Result<u64> {
        let (sender, answer) = oneshot::channel();
        self.hand_over(Work::Transaction(statements, sender)).await?;
        answer.await.map_err(|_| stopped())?
    }

    async fn hand_over(&self, work: Work) -> Result<()> {
        self.work.send(work).await.map_err(|_| stopped())
    }
}

fn stopped() -> DatabaseError {
    DatabaseError::Away("the thread that writes the file has ended".to_owned())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // A commit is on the disk before it is answered; readers of the file are not in the way.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;
         PRAGMA journal_size_limit = 8388608;",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

fn run(connection: &Connection, mut receiver: mpsc::Receiver<Work>) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while receiver.blocking_recv_many(&mut batch, TOGETHER) > 0 {
        let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| explain(&error));
        let mut answers = Vec::with_capacity(batch.len());
        for work in batch.drain(..) {
            answers.push(match work {
                Work::Query(statement, to) => {
                    Answer::Rows(to, begun.clone().and_then(|()| apart(connection, || rows(connection, &statement))))
                }
                Work::Transaction(statements, to) => Answer::Count(
                    to,
                    begun.clone().and_then(|()| apart(connection, || changes(connection, &statements))),
                ),
            });
        }
        let committed = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(|error| explain(&error)));
        if committed.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer.give(&committed);
        }
    }
}

impl Answer {
    fn give(self, committed: &Result<()>) {
        // Whoever asked may have gone; that is no affair of the database.
        match self {
            Self::Rows(to, result) => drop(to.send(committed.clone().and(result))),
            Self::Count(to, result) => drop(to.send(committed.clone().and(result))),
        }
    }
}

/// Does something whole or not at all within the common transaction.
fn apart<T>(connection: &Connection, act: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.execute_batch("SAVEPOINT one").map_err(|error| explain(&error))?;
    let result = act();
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    connection.execute_batch(end).map_err(|error| explain(&error))?;
    result
}

fn rows(connection: &Connection, statement: &Statement) -> Result<Vec<Row>> {
    let read = || -> rusqlite::Result<Vec<Row>> {
        let mut prepared = connection.prepare_cached(&placeholders(&statement.sql))?;
        let names: Arc<[String]> = prepared.column_names().map(str::to_owned).collect();
        let values = rusqlite::params_from_iter(statement.values.iter());
        let rows = prepared.query_map(values, |row| {
            let read = |column| value(column, row.get_ref(column)?);
            let values = (0..names.len()).map(read).collect::<rusqlite::Result<Vec<Value>>>();
            Ok(Row::new(names.clone(), values?))
        })?;
        rows.collect()
    };
    read().map_err(|error| explain(&error))
}

fn changes(connection: &Connection, statements: &[Statement]) -> Result<u64> {
    let mut total = 0;
    for (place, statement) in statements.iter().enumerate() {
        let change = || {
            let mut prepared = connection.prepare_cached(&placeholders(&statement.sql))?;
            prepared.execute(rusqlite::params_from_iter(statement.values.iter()))
        };
        let changed = change().map_err(|error| explain(&error))?;
        if changed == 0 && statement.must_change {
            return Err(DatabaseError::Unchanged(place));
        }
        total += changed as u64;
    }
    Ok(total)
}

/// `$1` is PostgreSQL's; SQLite numbers its placeholders with a question mark.
fn placeholders(sql: &str) -> String {
    sql.replace('$', "?")
}

fn value(column: usize, given: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match given {
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null => Value::Null,
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            return Err(rusqlite::Error::InvalidColumnType(column, "a column".to_owned(), given.data_type()));
        }
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Number(number) => ValueRef::Integer(*number),
        }))
    }
}

fn explain(error: &rusqlite::Error) -> DatabaseError {
    let passes = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    );
    if passes { DatabaseError::Away(error.to_string()) } else { DatabaseError::Refused(error.to_string()) }
}
