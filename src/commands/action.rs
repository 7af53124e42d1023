//! What is asked of an installed plugin by name: `nself plugin NAME ACTION [ARGS]`, `plugin run NAME ACTION`, and a
//! program inside its container, `plugin exec NAME -- CMD`. Decides which; `fill` and `text` know the shapes.

mod call;
mod fill;
mod integrate;
mod text;

use serde_json::{Map, Value, json};

use crate::cli::{ExecArguments, RegistryFlags, RunArguments};
use crate::context::Context;
use crate::error::Error;
use crate::name::{PluginName, shown};
use crate::package::Package;
use crate::package::manifest::{Action, ActionKind, Manifest};
use crate::project::{Project, Strictness};
use crate::state::Receipt;
use crate::ui::{Report, Style};

use fill::Filled;

/// What an action came to.
#[derive(Debug)]
pub struct ActionReport {
    plugin: PluginName,
    action: String,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// What the plugin's HTTP interface answered.
    Data(Value),
    Text(String),
    /// A program has printed what it had to say; its exit code.
    Program {
        output: String,
        code: u8,
    },
}

/// Runs an action of an installed plugin.
pub async fn run(cx: &Context, arguments: &RunArguments) -> Result<ActionReport, Error> {
    let plugin: PluginName = arguments.plugin.parse()?;
    let project = cx.project(Strictness::Lenient)?;
    let receipt = super::installed(cx, &project.name, &plugin)?;
    let manifest = Package::peek(&cx.state.active_package(plugin.as_str()))
        .map_err(|source| Error::Package { plugin: plugin.to_string(), source })?;
    let words = &arguments.words;
    let Some(first) = words.first() else {
        return Ok(report(&plugin, "help", Answer::Text(text::help(&manifest))));
    };
    if let Some((action, filled)) = fill::find(&manifest.actions, words)? {
        for note in &filled.notes {
            cx.output.note(note);
        }
        let answer = carry_out(cx, (&project, &receipt, &manifest), action, &filled, words).await?;
        return Ok(report(&plugin, &action.words.join(" "), answer));
    }
    match first.as_str() {
        "help" | "--help" | "-h" => Ok(report(&plugin, "help", Answer::Text(text::help(&manifest)))),
        "integrate" => {
            let text = integrate::text(cx, &project, &receipt)?;
            Ok(report(&plugin, "integrate", Answer::Text(text)))
        }
        "init" => {
            Ok(report(&plugin, "init", Answer::Text(text::init(&cx.state.active_package(plugin.as_str()), &project))))
        }
        _ => Err(unknown(&manifest, first)),
    }
}

async fn carry_out(
    cx: &Context,
    (project, receipt, manifest): (&Project, &Receipt, &Manifest),
    action: &Action,
    filled: &Filled,
    words: &[String],
) -> Result<Answer, Error> {
    match &action.kind {
        ActionKind::Call(call) => Ok(Answer::Data(call::make(cx, (project, receipt, manifest), call, filled).await?)),
        ActionKind::Text => Ok(Answer::Text(action.description.clone())),
        ActionKind::Program => match &manifest.program {
            Some(program) => {
                let command = std::iter::once(program.clone()).chain(words.iter().cloned()).collect::<Vec<_>>();
                execute(cx, project, receipt, &command).await
            }
            None => Ok(Answer::Text(format!(
                "{}: {}\n(the package names no program for it; run one yourself: nself plugin exec {} -- COMMAND)",
                action.words.join(" "),
                action.description,
                manifest.name
            ))),
        },
    }
}

/// Runs what is typed as `nself plugin WORD …` and is not a command: an action of the plugin that has this name.
pub async fn other(cx: &Context, words: Vec<String>) -> Result<ActionReport, Error> {
    let mut words = words.into_iter();
    let word = words.next().unwrap_or_default();
    let project = cx.project(Strictness::Lenient)?;
    let name = word.parse::<PluginName>().ok();
    let is_installed = name.as_ref().is_some_and(|name| {
        // A broken receipt is told by the action itself.
        !matches!(cx.state.receipt(&project.name, name), Ok(None))
    });
    if !is_installed {
        return Err(no_such_command(cx, &project, &word, name).await);
    }
    run(cx, &RunArguments { plugin: word, words: words.collect() }).await
}

/// Neither a command nor an installed plugin: the nearest of both.
async fn no_such_command(cx: &Context, project: &Project, word: &str, name: Option<PluginName>) -> Error {
    let flags = RegistryFlags { offline: true, ..RegistryFlags::default() };
    let mut known: Vec<String> = Vec::new();
    if let Ok(http) = crate::http::Http::new(false)
        && let Ok(catalog) = crate::registries::catalog(cx, &flags, &http)
        && let Ok(merged) = catalog.merged(false).await
    {
        known.extend(merged.releases.iter().map(|release| release.name.to_string()));
    }
    if let Some(name) = name.filter(|name| known.iter().any(|known| known == name.as_str())) {
        return Error::NotInstalled { name, project: project.name.clone() };
    }
    known
        .extend(cx.state.receipts(&project.name).into_iter().flatten().flatten().map(|found| found.plugin.to_string()));
    let command = <crate::cli::Cli as clap::CommandFactory>::command();
    let commands = command.find_subcommand("plugin").into_iter().flat_map(clap::Command::get_subcommands);
    known.extend(commands.flat_map(|one| {
        std::iter::once(one.get_name().to_owned()).chain(one.get_all_aliases().map(str::to_owned)).collect::<Vec<_>>()
    }));
    let nearest = nearest(&known, word);
    Error::Usage {
        message: format!("`{}` is not a command, and no plugin of that name is installed", shown(word)),
        hint: Some(match nearest {
            Some(nearest) => format!("did you mean: nself plugin {nearest}"),
            None => "see the commands: nself plugin --help".to_owned(),
        }),
    }
}

fn nearest<'a>(known: &'a [String], word: &str) -> Option<&'a String> {
    let likeness = |known: &str| strsim::jaro_winkler(known, word);
    let nearest = known.iter().max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
    nearest.filter(|known| likeness(known) > 0.8)
}

/// Runs a program inside an installed plugin's container.
pub async fn exec(cx: &Context, arguments: &ExecArguments) -> Result<ActionReport, Error> {
    let plugin: PluginName = arguments.plugin.parse()?;
    let project = cx.project(Strictness::Lenient)?;
    let receipt = super::installed(cx, &project.name, &plugin)?;
    let answer = execute(cx, &project, &receipt, &arguments.command).await?;
    Ok(report(&plugin, "exec", answer))
}

async fn execute(cx: &Context, project: &Project, receipt: &Receipt, command: &[String]) -> Result<Answer, Error> {
    let docker = cx.docker().await?;
    let container = receipt
        .containers
        .first()
        .map_or_else(|| project.object_name(receipt.plugin.as_str()), |container| container.name.clone());
    let mut output = Vec::new();
    let is_json = cx.output.is_json();
    let mut print = |piece: crate::docker::ExecOutput| {
        if is_json {
            output.extend_from_slice(&piece.bytes);
        } else {
            cx.output.bytes(&piece.bytes, piece.is_error_stream);
        }
    };
    let code = docker.exec(&container, command, &mut print).await?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Answer::Program { output, code: u8::try_from(code).unwrap_or(1) })
}

fn report(plugin: &PluginName, action: &str, answer: Answer) -> ActionReport {
    ActionReport { plugin: plugin.clone(), action: action.to_owned(), answer }
}

fn unknown(manifest: &Manifest, word: &str) -> Error {
    let name = &manifest.name;
    let known: Vec<String> = manifest.actions.iter().map(|action| action.words.join(" ")).collect();
    let hint = match nearest(&known, word) {
        Some(known) => format!("did you mean: nself plugin {name} {known}"),
        None => format!("see its actions: nself plugin {name} help"),
    };
    Error::Usage { message: format!("could not run `{}`: `{name}` has no such action", shown(word)), hint: Some(hint) }
}

impl Report for ActionReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.action/1"
    }

    fn is_told(&self) -> bool {
        false
    }

    fn exit_code(&self) -> u8 {
        match &self.answer {
            Answer::Program { code, .. } => *code,
            Answer::Data(_) | Answer::Text(_) => 0,
        }
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("plugin".into(), self.plugin.as_str().into());
        fields.insert("action".into(), self.action.as_str().into());
        match &self.answer {
            Answer::Data(value) => fields.insert("answer".into(), value.clone()),
            Answer::Text(text) => fields.insert("text".into(), text.as_str().into()),
            Answer::Program { output, code } => {
                fields.insert("exit_code".into(), json!(code));
                fields.insert("output".into(), output.as_str().into())
            }
        };
        fields
    }

    fn text(&self, style: Style) -> String {
        match &self.answer {
            Answer::Data(value) => text::of(value, style),
            Answer::Text(text) => text.clone(),
            Answer::Program { .. } => String::new(),
        }
    }
}
