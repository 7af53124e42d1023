//! Asks a table of the backend's database: a row with the room's id and the user's id opens the room.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use tokio::sync::Mutex;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement, error::SqlState};

use super::{Judge, Question};

/// A table with a column of room ids and one of user ids.
pub(crate) struct Table {
    database: Config,
    query: String,
    /// Opened when the first question comes, and again when it broke.
    connection: Mutex<Option<(std::sync::Arc<Client>, Statement)>>,
}

/// The words of `TABLE(ROOM_COLUMN,USER_COLUMN)`, where the table can have a schema and the columns have defaults.
pub(super) fn read_table(text: &str) -> Option<String> {
    let (table, columns) = match text.split_once('(') {
        Some((table, rest)) => (table, rest.strip_suffix(')')?),
        None => (text, "channel_id,user_id"),
    };
    let (room, user) = columns.split_once(',')?;
    let names = table.split('.').map(quoted).collect::<Option<Vec<_>>>()?;
    let (table, room, user) = (names.join("."), quoted(room)?, quoted(user)?);
    (names.len() <= 2).then(|| format!("select exists (select 1 from {table} where {room} = $1 and {user} = $2)"))
}

fn quoted(name: &str) -> Option<String> {
    let name = name.trim();
    let is_plain = |letter: char| letter.is_alphanumeric() || letter == '_';
    (!name.is_empty() && name.chars().all(is_plain)).then(|| format!("\"{name}\""))
}

/// A text that the database reads as whatever type the column has.
#[derive(Debug)]
struct Text<'a>(&'a str);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

impl Table {
    /// Asks with a query of [`read_table`].
    pub(crate) fn new(database: Config, query: String) -> Self {
        Self { database, query, connection: Mutex::new(None) }
    }

    async fn ask(&self, question: &Question) -> Result<bool, String> {
        let Some(user_id) = &question.user_id else {
            return Ok(false);
        };
        let (client, statement) = self.connection().await.map_err(|error| told(&error))?;
        let (room, user) = (Text(question.room.id()), Text(user_id));
        match client.query_one(&statement, &[&room, &user]).await {
            Ok(row) => Ok(row.get(0)),
            // An id of another form, such as a word where the column holds UUIDs, is in no row.
            Err(error) if error.code() == Some(&SqlState::INVALID_TEXT_REPRESENTATION) => Ok(false),
            Err(error) => Err(told(&error)),
        }
    }

    async fn connection(&self) -> Result<(std::sync::Arc<Client>, Statement), tokio_postgres::Error> {
        let mut connection = self.connection.lock().await;
        if let Some((client, statement)) = connection.as_ref().filter(|(client, _)| !client.is_closed()) {
            return Ok((client.clone(), statement.clone()));
        }
        let (client, driver) = self.database.connect(NoTls).await?;
        // It ends when the connection breaks; the next question opens another one.
        tokio::spawn(async move { driver.await.is_ok() });
        let statement = client.prepare(&self.query).await?;
        let opened = (std::sync::Arc::new(client), statement);
        *connection = Some(opened.clone());
        Ok(opened)
    }
}

/// What happened, with what the database says of it.
fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

impl Judge for Table {
    fn decide<'a>(&'a self, question: &'a Question) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
        Box::pin(self.ask(question))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_with_its_columns_and_nothing_else_gets_into_the_query() {
        let query = |text| read_table(text);
        assert_eq!(
            query("members").as_deref(),
            Some(r#"select exists (select 1 from "members" where "channel_id" = $1 and "user_id" = $2)"#)
        );
        assert_eq!(
            query("chat.members(room, member)").as_deref(),
            Some(r#"select exists (select 1 from "chat"."members" where "room" = $1 and "member" = $2)"#)
        );
        for bad in ["", "a.b.c", "a(b)", "a(b,c", "a\"; drop table b", "a(b,c) --", "a(,c)"] {
            assert_eq!(query(bad), None, "{bad}");
        }
    }
}
