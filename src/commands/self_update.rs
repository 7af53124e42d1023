//! `self-update`: replaces this program and its files by the newest release, verified first. Owns the order of the steps
//! and the report; files are placed by the release's own `install.sh`, which keeps the previous program.

use std::path::Path;

use semver::Version;
use serde_json::{Map, Value, json};

use crate::cli::SelfUpdateArguments;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::self_update::{Installation, Offer, Releases, SelfUpdateError, release};
use crate::ui::{Report, Style};

/// What was found, and what became of it.
#[derive(Debug)]
pub struct SelfUpdateReport {
    current: Version,
    latest: Version,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Current,
    Available,
    Updated { previous: String },
}

/// Looks for the newest release and, unless `--check` is given, installs it in place of this program.
///
/// # Panics
///
/// Never: cargo accepts only packages whose version can be parsed.
pub async fn run(cx: &Context, arguments: &SelfUpdateArguments) -> Result<SelfUpdateReport, Error> {
    let variable = |name: &str| cx.process_environment.get(name).map(String::as_str);
    let releases = Releases::new(variable(release::ADDRESS), variable(release::KEY))?;
    // Before the network: whoever owns the program does not have to wait for the answer.
    let installation = if arguments.check { None } else { Some(Installation::of_this_program()?) };
    let http = Http::new(false)?;
    let offer = releases.latest(&http).await?;
    let current = Version::parse(env!("CARGO_PKG_VERSION")).expect("cargo checks the version of a package");
    let latest = offer.version.clone();
    let outcome = match installation {
        _ if latest <= current => Outcome::Current,
        None => Outcome::Available,
        Some(installation) => {
            let previous = install(&releases, &http, &offer, &installation).await?;
            Outcome::Updated { previous }
        }
    };
    Ok(SelfUpdateReport { current, latest, outcome })
}

/// Downloads, verifies, tries and places a release; gives the path of the previous program.
async fn install(
    releases: &Releases,
    http: &Http,
    offer: &Offer,
    installation: &Installation,
) -> Result<String, SelfUpdateError> {
    let _lock = installation.lock()?;
    let scratch = installation.scratch()?;
    let archive = scratch.path().join(&offer.archive);
    releases.download(http, offer, &archive).await?;
    let failed = |cause: String| SelfUpdateError::Install { version: offer.version.clone(), cause };
    let unpacked = release::unpack(&archive, scratch.path()).map_err(|error| failed(error.to_string()))?;
    try_program(&unpacked.join("bin/nself"), &offer.version).map_err(failed)?;
    installation.place(&unpacked).map_err(failed)?;
    Ok(installation.previous().display().to_string())
}

/// A program that does not run here (a library that is too old) must not replace one that does.
fn try_program(program: &Path, version: &Version) -> Result<(), String> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| format!("its program does not run here: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() == format!("nself {version} (plugin manager)") {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "its program does not run here: {}",
        why.lines().chain(said.lines()).next().unwrap_or("it printed nothing")
    ))
}

impl Report for SelfUpdateReport {
    fn schema(&self) -> &'static str {
        "nself.self-update/1"
    }

    fn json(&self) -> Map<String, Value> {
        let (result, previous) = match &self.outcome {
            Outcome::Current => ("current", Value::Null),
            Outcome::Available => ("available", Value::Null),
            Outcome::Updated { previous } => ("updated", json!(previous)),
        };
        let mut fields = Map::new();
        fields.insert("result".into(), result.into());
        fields.insert("current".into(), self.current.to_string().into());
        fields.insert("latest".into(), self.latest.to_string().into());
        fields.insert("previous".into(), previous);
        fields
    }

    fn text(&self, _style: Style) -> String {
        let (current, latest) = (&self.current, &self.latest);
        match &self.outcome {
            Outcome::Current => format!("nself {current} is up to date (the newest release is {latest})"),
            Outcome::Available => {
                format!("nself {latest} is available (this is {current})\n  install it: nself self-update")
            }
            Outcome::Updated { previous } => {
                format!("updated nself {current} to {latest}\n  previous program: {previous}")
            }
        }
    }
}
