//! `doctor`: the whole preflight on its own, a line a check, with the one command that mends what is wrong. `gather`
//! collects facts and changes nothing; the other files judge them and look at nothing themselves.

mod candidates;
mod engine;
mod finding;
mod gather;
mod leftovers;
mod machine;
mod plugins;
mod registries;
mod surroundings;

use serde_json::{Map, Value, json};

use self::finding::{Finding, Level};
use self::gather::Facts;
use crate::cli::DoctorArguments;
use crate::context::Context;
use crate::error::Error;
use crate::name::PluginSpec;
use crate::ui::{Event, Report, Style, safe, table};

/// The checks and how they came out.
#[derive(Debug)]
pub struct DoctorReport {
    project: String,
    findings: Vec<Finding>,
}

/// Looks at everything that an installation needs.
pub async fn run(cx: &Context, arguments: &DoctorArguments) -> Result<DoctorReport, Error> {
    let spec = |word: &String| {
        let spec: PluginSpec = word.parse()?;
        Ok((spec.name().map_or_else(|| word.clone(), ToString::to_string), spec))
    };
    let named = arguments.plugins.iter().map(spec).collect::<Result<Vec<_>, Error>>()?;
    if cx.output.is_animated {
        cx.reporter.event(Event::Started { plugin: "doctor", what: "asking the engine and the registries" });
    }
    let http = gather::http(arguments);
    let facts = gather::gather(cx, arguments, named, &http).await?;
    Ok(DoctorReport { project: facts.project.name.clone(), findings: judge(&facts) })
}

/// From the machine to the plugins.
fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = engine::judge(&facts.engine);
    findings.extend(facts.disks.iter().map(machine::disk));
    findings.push(machine::memory(&facts.memory));
    findings.extend(facts.folders.iter().map(machine::folder));
    findings.extend(facts.values_trouble.iter().map(machine::values));
    findings.push(surroundings::project(&facts.project));
    findings.extend(surroundings::env_files(&facts.project));
    findings.extend(facts.network.iter().map(|network| surroundings::network(network, facts.is_backend_expected)));
    findings.push(surroundings::backend(&facts.backend));
    findings.extend(surroundings::names(&facts.unresolved_names));
    findings.extend(registries::judge(&facts.registries));
    findings.extend(plugins::judge(&facts.plugins, &facts.unusable));
    findings.extend(leftovers::judge(&facts.leftovers));
    findings
}

impl DoctorReport {
    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn summary(&self, style: Style) -> String {
        let (warnings, failed) = (self.count(Level::Warning), self.count(Level::Failed));
        let warnings = match warnings {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            count => format!(", {count} warnings"),
        };
        let failed = if failed == 0 { style.good("nothing failed") } else { style.failed(&format!("{failed} failed")) };
        format!("{failed}{warnings}")
    }
}

/// A line, and under it what mends it.
fn for_people(finding: &Finding, style: Style) -> String {
    let level = format!("{:<7}", finding.level.word());
    let level = match finding.level {
        Level::Ok => style.good(&level),
        Level::Warning => style.warning(&level),
        Level::Failed => style.failed(&level),
    };
    let subject = if finding.subject.is_empty() { String::new() } else { format!("{}: ", safe(&finding.subject)) };
    let line = format!("{level}  {:<12}  {subject}{}", finding.check, safe(&finding.message));
    match &finding.hint {
        Some(hint) => format!("{line}\n{:25}{}", "", style.note(&safe(hint))),
        None => line,
    }
}

impl Report for DoctorReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.doctor/1"
    }

    fn exit_code(&self) -> u8 {
        if self.count(Level::Failed) > 0 { 6 } else { 0 }
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("project".into(), self.project.as_str().into());
        fields.insert("findings".into(), json!(self.findings));
        fields
    }

    fn text(&self, style: Style) -> String {
        if style.is_terminal {
            let mut lines: Vec<String> = self.findings.iter().map(|finding| for_people(finding, style)).collect();
            lines.push(self.summary(style));
            return lines.join("\n");
        }
        let row = |finding: &Finding| {
            vec![
                finding.level.word().to_owned(),
                finding.check.to_owned(),
                finding.subject.clone(),
                finding.message.clone(),
                finding.hint.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<Vec<String>> = self.findings.iter().map(row).collect();
        table::render(&["RESULT", "CHECK", "OF", "MESSAGE", "MEND"], &rows, style)
    }
}
