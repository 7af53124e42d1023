//! What an installation tells at the end, for each plugin and in all.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::{Map, Value, json};

use super::restart::Restart;
use crate::address;
use crate::commands::next;
use crate::error::Error;
use crate::health::Verdict;
use crate::plan::Plan;
use crate::state::Receipt;
use crate::ui::{Report, Style, error_json};

/// What happened to one plugin.
#[derive(Debug)]
pub enum Outcome {
    /// It was installed and healthy already. `unset` are optional variables that have no value.
    Current { receipt: Box<Receipt>, verdict: Verdict, newer: Option<String>, unset: Vec<String> },
    /// It was installed, updated or repaired.
    Installed {
        receipt: Box<Receipt>,
        verdict: Verdict,
        how: How,
        generated: Vec<String>,
        passed_over: Vec<String>,
        unset: Vec<String>,
        /// The version that was there before, where it is another one.
        earlier: Option<Version>,
    },
    /// `--check`: this would be done.
    Planned(Box<Plan>),
    /// It was left as it was.
    Failed(Box<Error>),
}

/// How a plugin came to be healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    New,
    Replaced,
    Repaired,
    /// Made anew because its configuration has changed.
    Reconfigured,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::New => "installed",
            Self::Replaced => "replaced",
            Self::Repaired => "repaired",
            Self::Reconfigured => "reconfigured",
        }
    }
}

/// The outcomes of one command, in the order in which they were asked for.
#[derive(Debug)]
pub struct InstallReport {
    pub project: String,
    pub results: Vec<(String, Outcome)>,
    /// The installed versions of plugins that could not be changed and so stay as they were.
    pub unchanged: BTreeMap<String, Version>,
    /// What came of restarting the backend, where there is one and a set was installed.
    pub restart: Option<Restart>,
    /// Other plugins whose configuration has changed and whose restart was skipped.
    pub pending: Vec<String>,
    /// Whether a set was asked for: then it is said what to do next.
    pub is_set: bool,
}

impl Outcome {
    /// The receipt of a plugin that is there.
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Current { receipt, .. } | Self::Installed { receipt, .. } => Some(receipt),
            Self::Planned(_) | Self::Failed(_) => None,
        }
    }

    /// Why a plugin was left as it was.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// How healthy a plugin that is there was found.
    pub fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Current { verdict, .. } | Self::Installed { verdict, .. } => Some(verdict),
            Self::Planned(_) | Self::Failed(_) => None,
        }
    }
}

impl InstallReport {
    /// Whether any plugin was installed, replaced or repaired.
    pub fn has_changed(&self) -> bool {
        self.results.iter().any(|(_, outcome)| matches!(outcome, Outcome::Installed { .. }))
    }

    /// What may be done next with the plugins that are there.
    fn steps(&self) -> Vec<String> {
        next::steps(self.results.iter().filter_map(|(_, outcome)| match outcome {
            Outcome::Current { receipt, unset, .. } | Outcome::Installed { receipt, unset, .. } => {
                Some((receipt.as_ref(), unset.as_slice()))
            }
            Outcome::Planned(_) | Outcome::Failed(_) => None,
        }))
    }

    fn failures(&self) -> impl Iterator<Item = &Error> {
        self.results.iter().filter_map(|(_, outcome)| outcome.error())
    }
}

impl Report for InstallReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.install/1"
    }

    fn status(&self) -> &'static str {
        match self.exit_code() {
            0 => "ok",
            10 => "partial",
            _ => "failed",
        }
    }

    /// 0 when all is done; with several plugins 10 when some are. When none is: their own code where all failed alike, else
    /// 6 where one could be known to fail beforehand.
    fn exit_code(&self) -> u8 {
        let codes: Vec<u8> = self.failures().map(Error::exit_code).collect();
        match codes.as_slice() {
            [] if matches!(self.restart, Some(Restart::Failed(_))) => 10,
            [] => 0,
            codes if codes.contains(&8) => 8,
            codes if codes.contains(&130) => 130,
            codes if codes.len() < self.results.len() => 10,
            codes => {
                // What failed only because something it needs failed says nothing of its own.
                let is_own = |error: &&Error| !error.is_consequence();
                let own: Vec<u8> = self.failures().filter(is_own).map(Error::exit_code).collect();
                let first = own.first().or(codes.first()).copied().unwrap_or(1);
                match own.as_slice() {
                    own if own.iter().all(|code| *code == first) => first,
                    own if own.contains(&6) => 6,
                    _ => 1,
                }
            }
        }
    }

    fn json(&self) -> Map<String, Value> {
        let results = self.results.iter().map(|(name, outcome)| {
            let mut fields = Map::new();
            fields.insert("plugin".into(), name.as_str().into());
            fields.extend(outcome_json(outcome));
            if let (Outcome::Failed(_), Some(version)) = (outcome, self.unchanged.get(name)) {
                fields.insert("version".into(), version.to_string().into());
            }
            Value::Object(fields)
        });
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        fields.insert("results".into(), results.collect());
        if self.is_set {
            fields.insert("next".into(), json!(self.steps()));
        }
        if let Some(restart) = self.restart {
            fields.insert("restart".into(), restart.json());
        }
        if !self.pending.is_empty() {
            fields.insert("pending".into(), json!(self.pending));
        }
        if let Some(error) = self.failures().next() {
            fields.insert("error".into(), error_json(error));
        }
        fields
    }

    /// What is wrong with the machine is told once, however many plugins it stopped. Of what nobody asked for it is enough to
    /// say that it is not there.
    fn errors(&self) -> Vec<&Error> {
        let is_unfit = |error: &&Error| matches!(error, Error::Unfit(_));
        let unfit = self.failures().find(is_unfit);
        let others = self.failures().filter(|error| !is_unfit(error) && !matches!(error, Error::NotNeeded { .. }));
        unfit.into_iter().chain(others).collect()
    }

    fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        for (name, outcome) in &self.results {
            match (outcome, self.unchanged.get(name)) {
                (Outcome::Failed(_), Some(version)) => {
                    lines.push(format!(
                        "{name} is {}: {version} stays installed as it was",
                        style.failed("not changed")
                    ));
                }
                _ => outcome_text(name, outcome, style, &mut lines),
            }
        }
        if !self.pending.is_empty() {
            let names = self.pending.join(" ");
            lines.push(format!("the configuration of {names} has changed; run: nself plugin restart {names}"));
        }
        lines.extend(self.restart.map(Restart::text));
        if self.is_set {
            lines.extend(self.steps().into_iter().map(|step| format!("next: {step}")));
        }
        lines.join("\n")
    }
}

/// What is wrong with the machine, where nothing was done because of it.
pub(super) fn only_unfit(results: &mut Vec<(String, Outcome)>) -> Option<Error> {
    let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Installed { .. } | Outcome::Planned(_));
    let is_of_it = |error: &Error| matches!(error, Error::Unfit(_)) || error.is_consequence();
    let is_other = |outcome: &Outcome| is_done(outcome) || outcome.error().is_some_and(|error| !is_of_it(error));
    if results.iter().any(|(_, outcome)| is_other(outcome)) {
        return None;
    }
    let place = results.iter().position(|(_, outcome)| matches!(outcome.error(), Some(Error::Unfit(_))))?;
    match results.swap_remove(place).1 {
        Outcome::Failed(error) => Some(*error),
        _ => None,
    }
}

fn outcome_json(outcome: &Outcome) -> Map<String, Value> {
    let value = match outcome {
        Outcome::Current { receipt, verdict, newer, unset } => {
            let mut value = installed_json(receipt, verdict, "current");
            value["newer"] = json!(newer);
            value["unset"] = json!(unset);
            value
        }
        Outcome::Installed { receipt, verdict, how, generated, passed_over, unset, earlier } => {
            let mut value = installed_json(receipt, verdict, how.word());
            value["replaced"] = json!(earlier);
            value["generated"] = json!(generated);
            value["passed_over"] = json!(passed_over);
            value["unset"] = json!(unset);
            value
        }
        Outcome::Planned(plan) => json!({ "result": "planned", "version": plan.version, "plan": plan }),
        Outcome::Failed(error) => json!({ "result": "failed", "error": error_json(error) }),
    };
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn installed_json(receipt: &Receipt, verdict: &Verdict, result: &str) -> Value {
    json!({
        "result": result,
        "version": receipt.version,
        "registry": receipt.registry,
        "proof": receipt.proof,
        "addresses": receipt.ports.iter().map(|port| json!({ "name": port.name, "address": address::of(port) })).collect::<Vec<_>>(),
        "container": receipt.containers.first().map(|container| &container.name),
        "healthy_after_ms": receipt.healthy_after_milliseconds,
        "health": verdict.word(),
        "reason": match verdict { Verdict::Degraded(reason) | Verdict::Unhealthy(reason) => Some(reason), Verdict::Healthy => None },
    })
}

fn outcome_text(name: &str, outcome: &Outcome, style: Style, lines: &mut Vec<String>) {
    match outcome {
        Outcome::Current { receipt, verdict, newer, .. } => {
            lines.push(format!("{} is installed already and {}", headline(receipt), health(verdict, style)));
            whereabouts(receipt, lines);
            if let Some(newer) = newer {
                lines.push(format!("  version {newer} is there too: nself plugin install {name}@{newer}"));
            }
        }
        Outcome::Installed { receipt, verdict, how, generated, earlier, .. } => {
            let seconds = Seconds(receipt.healthy_after_milliseconds);
            let before = match earlier {
                Some(earlier) if *earlier > receipt.version => format!(" (a downgrade from {earlier})"),
                Some(earlier) => format!(" (it was {earlier})"),
                None => String::new(),
            };
            lines.push(format!(
                "{} is {}{before} and {} after {seconds}",
                headline(receipt),
                how.word(),
                health(verdict, style)
            ));
            whereabouts(receipt, lines);
            if let Some(key) = generated.first() {
                lines.push(format!("  made at random and kept: {}", generated.join(", ")));
                lines.push(format!("  see it: nself plugin config {name} get {key} --reveal"));
            }
        }
        Outcome::Planned(plan) => lines.push(plan.to_string()),
        Outcome::Failed(error) if matches!(**error, Error::NotNeeded { .. }) => {
            lines.push(format!("{name} is not installed either: nothing that needs it is"));
        }
        Outcome::Failed(_) => lines.push(format!("{name} is {}", style.failed("not installed"))),
    }
}

/// Its container and its addresses.
fn whereabouts(receipt: &Receipt, lines: &mut Vec<String>) {
    lines.extend(receipt.containers.iter().map(|container| format!("  container: {}", container.name)));
    lines.extend(receipt.ports.iter().map(|port| format!("  {}: {}", port.name, address::of(port))));
}

fn headline(receipt: &Receipt) -> String {
    format!("{} {} (from {})", receipt.plugin, receipt.version, receipt.registry)
}

fn health(verdict: &Verdict, style: Style) -> String {
    match verdict {
        Verdict::Healthy => style.good("healthy"),
        Verdict::Degraded(reason) => format!("{} ({reason})", style.warning("degraded")),
        Verdict::Unhealthy(reason) => format!("{} ({reason})", style.failed("unhealthy")),
    }
}

struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{:02} s", self.0 / 1000, self.0 % 1000 / 10)
    }
}
