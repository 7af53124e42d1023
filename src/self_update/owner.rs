//! The installation that this program belongs to. Only what `install.sh` recorded is ever replaced.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::SelfUpdateError;

/// A prefix that `install.sh` placed this program in.
pub struct Installation {
    prefix: PathBuf,
}

impl Installation {
    /// The installation of the running program; an error where something else placed or changed it.
    pub fn of_this_program() -> Result<Self, SelfUpdateError> {
        let unknown = |cause: String| refusal(Path::new("nself"), cause, "install it again with install.sh".to_owned());
        let program = std::env::current_exe().and_then(|path| path.canonicalize());
        Self::of(&program.map_err(|error| unknown(format!("its path cannot be found: {error}")))?)
    }

    fn of(program: &Path) -> Result<Self, SelfUpdateError> {
        if let Some((owner, hint)) = package_manager(program) {
            return Err(refusal(program, format!("it was installed by {owner}"), hint));
        }
        let prefix = program.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent);
        let recorded = prefix.is_some_and(|prefix| is_recorded(prefix, program));
        match prefix {
            Some(prefix) if recorded => Ok(Self { prefix: prefix.to_owned() }),
            _ => Err(refusal(
                program,
                "it was not placed by install.sh, or was changed since".to_owned(),
                "install a release beside it: ./install.sh --prefix DIR".to_owned(),
            )),
        }
    }

    fn data(&self) -> PathBuf {
        self.prefix.join("share/nself")
    }

    /// Where the program is kept that an update replaces.
    pub fn previous(&self) -> PathBuf {
        self.data().join("previous/nself")
    }

    /// Keeps a second update of this installation out until it is dropped.
    pub fn lock(&self) -> Result<File, SelfUpdateError> {
        let folder = self.data();
        let busy = |cause: String| refusal(&folder, cause, "try again when the other update has ended".to_owned());
        let file = File::open(&folder).map_err(|error| busy(error.to_string()))?;
        file.try_lock().map_err(|error| busy(format!("another update is running ({error})")))?;
        Ok(file)
    }

    /// A directory beside what will be replaced. Those that a killed update left are removed: the lock is held.
    pub fn scratch(&self) -> Result<TempDir, SelfUpdateError> {
        let folder = self.data();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".update-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        tempfile::Builder::new().prefix(".update-").tempdir_in(&folder).map_err(|error| {
            refusal(&folder, error.to_string(), "run it as the user who owns that directory".to_owned())
        })
    }

    /// Runs the `install.sh` of an unpacked release, which places file by file, the program last.
    pub fn place(&self, unpacked: &Path) -> Result<(), String> {
        let output = Command::new("bash")
            .arg(unpacked.join("install.sh"))
            .args(["--keep-previous", "--prefix"])
            .arg(&self.prefix)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("bash cannot be run: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = errors.lines().rfind(|line| !line.starts_with("hint: ")).unwrap_or("install.sh failed");
        Err(last.trim_start_matches("error: ").to_owned())
    }
}

fn refusal(program: &Path, cause: String, hint: String) -> SelfUpdateError {
    SelfUpdateError::Owner { program: program.display().to_string(), cause, hint }
}

/// True where `install.sh` recorded exactly this file as the prefix's program.
fn is_recorded(prefix: &Path, program: &Path) -> bool {
    let Ok(bytes) = fs::read(program) else { return false };
    let digest = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let record = fs::read_to_string(prefix.join("share/nself/installed-files")).unwrap_or_default();
    record.lines().any(|line| line == format!("{digest} bin/nself"))
}

/// The package manager that owns a file, and how it updates it.
fn package_manager(program: &Path) -> Option<(String, String)> {
    if program.starts_with("/nix/store") {
        return Some(("Nix".into(), "update it with Nix".into()));
    }
    if program.components().any(|part| part.as_os_str() == "Cellar") {
        return Some(("Homebrew".into(), "run: brew upgrade nself".into()));
    }
    let owner = |tool: &str, words: &[&str]| {
        let output = Command::new(tool).args(words).arg(program).stdin(Stdio::null()).stderr(Stdio::null()).output();
        output
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if let Some(text) = owner("dpkg", &["-S"]) {
        let package = text.split(':').next().unwrap_or_default().to_owned();
        let hint = format!("run: sudo apt-get install --only-upgrade {package}");
        return Some((format!("the Debian package {package}"), hint));
    }
    let package = owner("rpm", &["-qf"])?;
    Some((format!("the package {}", package.trim()), "update it with the system's package manager".into()))
}
