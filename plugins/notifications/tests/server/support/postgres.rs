//! A real PostgreSQL of Debian's in a temporary folder, run by a user of its own since it refuses root.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{free_port, until};

/// Where Debian's packages put the programs of a version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Debian's user `nobody`.
const NOBODY: &str = "65534";

/// A server of its own data.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    /// Nobody drops it at the end: its data goes when its process does.
    is_shared: bool,
}

impl Postgres {
    /// A new server with nothing in it.
    pub(crate) async fn start() -> Self {
        Self::begin(false).await
    }

    async fn begin(is_shared: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("nself-postgres-").tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("it is ours");
        let data = folder.path().join("data");
        let made = as_nobody(&program("initdb"))
            .args(["-A", "trust", "-U", "test", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .expect("setpriv is there");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = Self { folder, port: free_port(), process: None, is_shared };
        server.resume().await;
        server
    }

    /// Starts it where it was stopped.
    pub(crate) async fn resume(&mut self) {
        // The shell waits for the end of its input, which comes with our end, however that comes.
        let script = r#""$@" >/dev/null 2>&1 & server=$!; cat >/dev/null; kill -INT $server 2>/dev/null; wait $server
            [ -z "$FORGET" ] || rm -rf "$FORGET""#;
        let data = self.folder.path().join("data");
        let mut command = as_nobody(Path::new("/bin/sh"));
        command.args(["-c", script, "sh"]).arg(program("postgres")).arg("-D").arg(&data).arg("-k");
        command.arg(self.folder.path()).args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300", "-p"]);
        command.arg(self.port.to_string()).stdin(Stdio::piped());
        command.env("FORGET", if self.is_shared { data } else { PathBuf::new() });
        self.process = Some(command.spawn().expect("setpriv is there"));
        let port = self.port;
        until("PostgreSQL answers", Duration::from_secs(30), async || connect(port, "postgres").await.ok()).await;
    }

    /// Ends it as a power failure would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let ended = as_nobody(&program("pg_ctl"))
                .args(["stop", "-m", "immediate", "-D"])
                .arg(self.folder.path().join("data"))
                .output()
                .expect("pg_ctl is there");
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }

    /// A new database's address.
    pub(crate) async fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let client = connect(self.port, "postgres").await.expect("it answers");
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
        format!("postgres://test@127.0.0.1:{}/{name}", self.port)
    }

    /// The server that tests share, each with a database of its own.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::begin(true)).await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn connect(port: u16, database: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let address = format!("postgres://test@127.0.0.1:{port}/{database}");
    let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(PROGRAMS)
        .unwrap_or_else(|error| panic!("these tests need Debian's postgresql: {PROGRAMS}: {error}"));
    let mut found: Vec<PathBuf> =
        versions.flatten().map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("these tests need Debian's postgresql: no {name} under {PROGRAMS}"))
}

/// PostgreSQL refuses to be run by root.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
    command.current_dir("/").env("LC_ALL", "C");
    command
}
