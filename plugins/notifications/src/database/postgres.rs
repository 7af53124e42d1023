//! A PostgreSQL server over a small pool of connections; one that broke is replaced, one that hangs is thrown away.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::{Client, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use kit::ConfigurationError;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{DatabaseError, Result, Row, Statement, Value};
use crate::chain::chain;

const CONNECTIONS: usize = 8;
/// The longest that a new connection, or a free one, is waited for.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The longest that a request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Postgres {
    pool: Pool,
}

impl Postgres {
    pub(super) fn new(address: &str) -> std::result::Result<Self, ConfigurationError> {
        // The parser's own words could repeat the password.
        let mut config: Config = address.parse().map_err(|_| {
            ConfigurationError::new(
                "`NOTIFICATIONS_DATABASE_URL` or `DATABASE_URL` is no address such as `postgres://user:password@host:5432/name`",
            )
        })?;
        config.connect_timeout(CONNECT_WITHIN);
        config.application_name("notifications");
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, recycling)
        } else {
            Manager::from_config(config, tls(), recycling)
        };
        let within = Some(CONNECT_WITHIN);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .timeouts(Timeouts { wait: Some(ANSWER_WITHIN), create: within, recycle: within })
            .runtime(Runtime::Tokio1)
            .build();
        Ok(Self { pool: pool.map_err(|error| ConfigurationError::new(error.to_string()))? })
    }

    pub(super) async fn query(&self, statement: Statement) -> Result<Vec<Row>> {
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, query(&mut client, &statement)).await;
        settle(client, answer)
    }

    pub(super) async fn transaction(&self, statements: Vec<Statement>) -> Result<u64> {
        let mut client = self.client().await?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, transaction(&mut client, &statements)).await;
        settle(client, answer)?
    }

    async fn client(&self) -> Result<Client> {
        self.pool.get().await.map_err(|error| DatabaseError::Away(chain(&error)))
    }
}

type Answered<T> = std::result::Result<std::result::Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>;

/// An answer as the others see it; a connection that hangs is not given back to the pool.
fn settle<T>(client: Client, answer: Answered<T>) -> Result<T> {
    if let Ok(result) = answer {
        return result.map_err(|error| explain(&error));
    }
    drop(Object::take(client));
    Err(DatabaseError::Away(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))
}

async fn query(client: &mut Client, statement: &Statement) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
    let prepared = client.prepare_cached(&statement.sql).await?;
    let rows = client.query(&prepared, &references(&statement.values)).await?;
    let names: Arc<[String]> = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    rows.iter().map(|row| Ok(Row::new(names.clone(), read_values(row)?))).collect()
}

async fn transaction(
    client: &mut Client,
    statements: &[Statement],
) -> std::result::Result<Result<u64>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let mut total = 0;
    for (place, statement) in statements.iter().enumerate() {
        let prepared = transaction.prepare_cached(&statement.sql).await?;
        let changed = transaction.execute(&prepared, &references(&statement.values)).await?;
        if changed == 0 && statement.must_change {
            transaction.rollback().await?;
            return Ok(Err(DatabaseError::Unchanged(place)));
        }
        total += changed;
    }
    transaction.commit().await?;
    Ok(Ok(total))
}

/// Certificates are checked against the machine's authorities; whether TLS is used at all is `sslmode`'s to say.
fn tls() -> MakeRustlsConnect {
    MakeRustlsConnect::new(ClientConfig::builder().with_root_certificates(roots()).with_no_client_auth())
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn references(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn read_values(row: &tokio_postgres::Row) -> std::result::Result<Vec<Value>, tokio_postgres::Error> {
    let read = |(place, column): (usize, &tokio_postgres::Column)| match *column.type_() {
        Type::INT8 => Ok(row.try_get::<_, Option<i64>>(place)?.into()),
        Type::INT4 => Ok(row.try_get::<_, Option<i32>>(place)?.map(i64::from).into()),
        _ => Ok(row.try_get::<_, Option<String>>(place)?.into()),
    };
    row.columns().iter().enumerate().map(read).collect()
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Text(text), _) => text.to_sql(kind, out),
            (Self::Number(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Self::Number(number), _) => number.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::TEXT | Type::VARCHAR)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

fn explain(error: &tokio_postgres::Error) -> DatabaseError {
    let Some(answer) = error.as_db_error() else {
        return DatabaseError::Away(chain(error));
    };
    // Shutting down, out of resources, too many connections, read-only: the same may work later.
    let passes = ["57P", "53", "08", "25006", "40"].iter().any(|class| answer.code().code().starts_with(class));
    let text = format!("{} ({})", answer.message(), answer.code().code());
    if passes { DatabaseError::Away(text) } else { DatabaseError::Refused(text) }
}
