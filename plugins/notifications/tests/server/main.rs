//! The real program over its HTTP interface, on each of its databases, with a real mail server.
#![expect(clippy::print_stderr, reason = "a failed test shows the server's log")]

mod support;

/// Each test runs once on SQLite and once on PostgreSQL.
macro_rules! on_both {
    ($(async fn $name:ident($storage:ident) $body:block)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::bodies::$name(crate::support::Storage::Sqlite).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::bodies::$name(crate::support::Storage::Postgres).await;
            })*
        }
        mod bodies {
            use super::*;
            $(pub(super) async fn $name($storage: crate::support::Storage) $body)*
        }
    };
}

mod access;
mod attacks;
mod contract;
mod inbox;
mod limits;
mod mails;
mod preferences;
mod providers;
mod sending;
mod survival;
mod webhooks;
