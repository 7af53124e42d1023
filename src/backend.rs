//! The backend CLI: the next `nself` on the PATH. What this program does not own is handed to it, words, exit code and
//! terminal untouched.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use semver::Version;

use crate::error::Error;
use crate::settings::{HANDED_OVER, search_path};

/// The next `nself` on the PATH that is not this program.
pub fn find() -> Option<PathBuf> {
    let (path, is_handed_over) = search_path();
    // A backend that hands to us what we handed to it would go on for ever.
    if is_handed_over {
        return None;
    }
    let own = std::env::current_exe().ok()?.metadata().ok()?;
    std::env::split_paths(&path?).map(|folder| folder.join("nself")).find(|candidate| {
        candidate.metadata().is_ok_and(|metadata| {
            let is_own = (metadata.dev(), metadata.ino()) == (own.dev(), own.ino());
            metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 && !is_own
        })
    })
}

/// The generation of the nself tools that this program stands in for where there is no backend CLI: that of manifest
/// version 2.
pub const COMPATIBILITY: Version = Version::new(1, 5, 0);

/// How long the backend CLI may take to say its version.
const VERSION_DEADLINE: Duration = Duration::from_secs(5);

/// The version that a plugin's requirement is compared with: the backend CLI's where there is one that tells it.
pub async fn host_version() -> Version {
    match find() {
        Some(program) => version_of(&program).await.unwrap_or(COMPATIBILITY),
        None => COMPATIBILITY,
    }
}

/// The version that a backend CLI tells, if it tells one in time.
pub async fn version_of(program: &Path) -> Option<Version> {
    let asked = tokio::process::Command::new(program)
        .arg("--version")
        .env(HANDED_OVER, "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(VERSION_DEADLINE, asked).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split(|character: char| character.is_whitespace() || character == ',');
    words.find_map(|word| crate::name::parse_version(word).ok())
}

/// Runs the backend CLI in a folder and gives its exit code; what it prints goes to standard error, so that our answer
/// stays alone on standard output. It is asked nothing: there is no input.
pub async fn run(program: &PathBuf, words: &[&str], folder: &Path) -> i32 {
    let status = tokio::process::Command::new(program)
        .args(words)
        .env(HANDED_OVER, "1")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .await;
    status.ok().and_then(|status| status.code()).unwrap_or(1)
}

/// Becomes the backend CLI. Returns only when that fails.
pub fn hand_over(program: &PathBuf, words: &[OsString]) -> Error {
    let failure = Command::new(program).args(words).env(HANDED_OVER, "1").exec();
    Error::Usage {
        message: format!("the backend CLI `{}` could not be run: {failure}", program.display()),
        hint: Some(format!("run it yourself: {} …", program.display())),
    }
}
