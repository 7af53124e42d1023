//! The nself plugin manager: brings a self-hosted backend's plugins up healthy on Docker, in one command, or leaves
//! nothing behind.
//!
//! One word for one thing: a **registry** lists **releases**; a release's **archive** becomes a **package** with a
//! **manifest**; the **recipe** says how it becomes containers; a **plan** is a list of **steps** with reasons; a
//! **receipt** is what was installed, proven how; **observed** is what the engine holds of ours.
//!
//! ```text
//! PluginSpec → Registry → Release → Archive → Package → Plan → Receipt
//!  name.rs     registry/           package/   package/  plan.rs  state.rs
//!                                             Observed ──↗   apply.rs, undo.rs
//!                                             docker/         health.rs
//! ```
//!
//! `commands/install/pipeline.rs` is that line as a function; `ui/` is the only place that prints, `settings` the only
//! one that reads the environment, `docker/` the only one that names bollard, `http` the only one that names reqwest.

pub mod address;
pub mod apply;
pub mod backend;
pub mod build_journal;
pub mod cli;
pub mod commands;
pub mod compat;
pub mod context;
pub mod docker;
pub mod dotenv;
pub mod env_file;
pub mod environment;
pub mod error;
pub mod fs;
pub mod health;
pub mod http;
pub mod interrupt;
pub mod machine;
pub mod name;
pub mod needs;
pub mod package;
pub mod plan;
pub mod preflight;
pub mod project;
pub mod registries;
pub mod registry;
pub mod self_update;
pub mod sets;
pub mod settings;
pub mod state;
pub mod ui;
pub mod undo;
pub mod values;
pub mod version_range;

use std::ffi::OsString;

use clap::Parser;

use cli::{Cli, GlobalFlags, PluginCommand, TopCommand};
use commands::power::Power;
use compat::Translation;
use context::Context;
use error::Error;
use settings::Settings;
use ui::{Output, Report};

/// Words that are the backend CLI's when there is one, unless they name an installed plugin (design §1).
const SHARED_WORDS: &[&str] = &["logs", "status", "restart", "start", "stop", "doctor", "help"];

/// Runs the program with its words (the first is its own name) and gives the exit code.
pub fn run(words: Vec<OsString>) -> u8 {
    let words = as_plugin_program(words);
    // A backend CLI knows these words itself.
    let words = if backend::find().is_none() { compat::top_words(words) } else { words };
    if let Some(code) = hand_over_or_refuse(&words) {
        return code;
    }
    let words = match translated(help_as_flag(words)) {
        Ok(words) => words,
        Err(code) => return code,
    };
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => with_flags_of_action(cli),
        Err(error) => return usage(&error, &words),
    };
    let output = Output::new(&cli.flags);
    output.finish(carry_out(cli, &output))
}

/// Runs a command and gives its exit code.
fn carry_out(cli: Cli, output: &Output) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let schema = schema_of(&cli.command);
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("the program could not be made ready: {error}");
            return output.error(schema, &Error::Usage { message, hint: None });
        }
    };
    let is_doctor =
        matches!(cli.command, TopCommand::Doctor(_) | TopCommand::Plugin { command: PluginCommand::Doctor(_) });
    let outcome = runtime.block_on(command(cli, output));
    if is_doctor {
        // A name that is still being resolved is not waited for: the deadline has passed, and nothing is written.
        runtime.shutdown_background();
    }
    match outcome {
        Ok(code) => code,
        Err(error) => output.error(schema, &error),
    }
}

/// Words and flags of older tools as ours; the exit code where nothing is left to do.
fn translated(words: Vec<OsString>) -> Result<Vec<OsString>, u8> {
    let is_json = words.iter().any(|word| word == "--json");
    let output = Output::new(&GlobalFlags { json: is_json, ..GlobalFlags::default() });
    match compat::translate(words) {
        Translation::Words { words, notes } => {
            for note in &notes {
                output.note(note);
            }
            Ok(words)
        }
        Translation::NothingToDo(note) => {
            output.note(&note);
            Err(0)
        }
        Translation::Refused { word, reason, hint } => {
            let message = format!("could not run `{word}`: {reason}");
            // The plugin of that name is reached by another word.
            let hint = if is_installed(&word) {
                Some(format!("run the plugin's action: nself plugin run {word} …"))
            } else {
                hint
            };
            Err(output.error("nself.error/1", &Error::Usage { message, hint }))
        }
    }
}

/// Whether an installed plugin has this name.
fn is_installed(name: &str) -> bool {
    name.parse::<name::PluginName>().is_ok()
        && Settings::read(GlobalFlags::default())
            .is_ok_and(|settings| settings.plugin_dir.join(name).join("plugin.json").is_file())
}

/// Flags of every command may stand behind an action's own words.
fn with_flags_of_action(mut cli: Cli) -> Cli {
    let TopCommand::Plugin { command } = &mut cli.command else { return cli };
    let words = match command {
        PluginCommand::Other(words) => words,
        PluginCommand::Run(arguments) => &mut arguments.words,
        _ => return cli,
    };
    let before = words.len();
    words.retain(|word| word != "--json");
    cli.flags.json |= words.len() < before;
    while let Some(place) = words.iter().position(|word| word == "--project") {
        words.remove(place);
        if place < words.len() {
            cli.flags.project = Some(words.remove(place));
        }
    }
    cli
}

/// Called as `nself-plugin`, the words after it are those after `nself plugin`.
fn as_plugin_program(mut words: Vec<OsString>) -> Vec<OsString> {
    let is_plugin = words
        .first()
        .is_some_and(|program| std::path::Path::new(program).file_name().is_some_and(|name| name == "nself-plugin"));
    let asks_itself = words.get(1).is_some_and(|word| word == "--version" || word == "-V");
    if is_plugin && !asks_itself {
        words.insert(1, "plugin".into());
    }
    // `nself plugin --version` means the program.
    if words.len() == 3
        && (words[1] == "plugin" || words[1] == "plugins")
        && (words[2] == "--version" || words[2] == "-V")
    {
        words.remove(1);
    }
    words
}

/// `nself plugin help install` is `nself plugin install --help`.
fn help_as_flag(mut words: Vec<OsString>) -> Vec<OsString> {
    let is_plugin = words.get(1).is_some_and(|word| word == "plugin" || word == "plugins");
    let place = if is_plugin { 2 } else { 1 };
    if words.get(place).is_some_and(|word| word == "help") {
        words.remove(place);
        words.push("--help".into());
    }
    words
}

/// Hands foreign words to the backend CLI; `None` when the word is ours.
fn hand_over_or_refuse(words: &[OsString]) -> Option<u8> {
    let word = words.get(1)?.to_str().unwrap_or_default();
    if word.starts_with('-') || word == "plugin" || word == "plugins" || word == "self-update" || word.is_empty() {
        return None;
    }
    let backend = backend::find();
    let is_shared = SHARED_WORDS.contains(&word);
    if is_shared && (backend.is_none() || names_installed_plugin(words)) {
        return None;
    }
    let error = match backend {
        Some(program) => backend::hand_over(&program, &words[1..]),
        None => Error::NoBackend { word: name::shown(word) },
    };
    let is_json = words.iter().any(|word| word == "--json");
    let output = Output::new(&GlobalFlags { json: is_json, ..GlobalFlags::default() });
    Some(output.error("nself.error/1", &error))
}

fn names_installed_plugin(words: &[OsString]) -> bool {
    let named = words.iter().skip(2).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    named.is_some_and(is_installed)
}

/// Help and version go to standard output; a mistake is told with exit code 2, as one document with `--json`.
fn usage(error: &clap::Error, words: &[OsString]) -> u8 {
    use clap::error::ErrorKind;
    let is_answer = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if !is_answer && words.iter().any(|word| word == "--json") {
        let output = Output::new(&GlobalFlags { json: true, ..GlobalFlags::default() });
        let message = error.render().to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return output.error("nself.error/1", &Error::Usage { message, hint: Some("see: nself plugin --help".into()) });
    }
    let _ = error.print();
    if is_answer { 0 } else { 2 }
}

fn schema_of(command: &TopCommand) -> &'static str {
    match command {
        TopCommand::Logs(_) => "nself.plugin.logs/1",
        TopCommand::Status(_) => "nself.plugin.status/1",
        TopCommand::Start(_) => "nself.plugin.start/1",
        TopCommand::Stop(_) => "nself.plugin.stop/1",
        TopCommand::Restart(_) => "nself.plugin.restart/1",
        TopCommand::Doctor(_) => "nself.plugin.doctor/1",
        TopCommand::SelfUpdate(_) => "nself.self-update/1",
        TopCommand::Plugin { command } => match command {
            PluginCommand::Install(_) => "nself.plugin.install/1",
            PluginCommand::Remove(_) => "nself.plugin.remove/1",
            PluginCommand::List(_) => "nself.plugin.list/1",
            PluginCommand::Info(_) => "nself.plugin.info/1",
            PluginCommand::Status(_) => "nself.plugin.status/1",
            PluginCommand::Health(_) => "nself.plugin.health/1",
            PluginCommand::Logs(_) => "nself.plugin.logs/1",
            PluginCommand::Start(_) => "nself.plugin.start/1",
            PluginCommand::Stop(_) => "nself.plugin.stop/1",
            PluginCommand::Restart(_) => "nself.plugin.restart/1",
            PluginCommand::Doctor(_) => "nself.plugin.doctor/1",
            PluginCommand::Refresh(_) => "nself.plugin.refresh/1",
            PluginCommand::Config(_) => "nself.plugin.config/1",
            PluginCommand::Setup(_) => "nself.plugin.setup/1",
            PluginCommand::Env(_) => "nself.plugin.env/1",
            PluginCommand::Open(_) => "nself.plugin.open/1",
            PluginCommand::Pack(_) => "nself.plugin.pack/1",
            PluginCommand::Run(_) | PluginCommand::Exec(_) | PluginCommand::Other(_) => "nself.plugin.action/1",
        },
    }
}

async fn command(cli: Cli, output: &Output) -> Result<u8, Error> {
    let cx = Context::new(Settings::read(cli.flags)?, output.clone())?;
    let is_orderly = undoes_itself(&cli.command);
    let work = top_command(&cx, cli.command);
    let report = tokio::select! {
        report = work => report,
        // What has nothing to undo ends where it is.
        () = cx.interrupt.wanted(), if !is_orderly => Err(Error::Interrupted),
    };
    cx.reporter.clear();
    report.map(|report| output.answer(report.as_ref()))
}

/// Whether a command takes an interrupt itself, because it has something to undo or to finish.
fn undoes_itself(command: &TopCommand) -> bool {
    use PluginCommand as Plugin;
    match command {
        TopCommand::Plugin { command: Plugin::Status(arguments) } | TopCommand::Status(arguments) => arguments.repair,
        TopCommand::Plugin { command } => {
            matches!(
                command,
                Plugin::Install(_)
                    | Plugin::Setup(_)
                    | Plugin::Remove(_)
                    | Plugin::Logs(_)
                    | Plugin::Start(_)
                    | Plugin::Restart(_)
            )
        }
        TopCommand::Logs(_) | TopCommand::Start(_) | TopCommand::Restart(_) => true,
        TopCommand::Stop(_) | TopCommand::Doctor(_) | TopCommand::SelfUpdate(_) => false,
    }
}

async fn top_command(cx: &Context, command: TopCommand) -> Result<Box<dyn Report>, Error> {
    match command {
        TopCommand::Logs(arguments) => boxed(commands::logs::run(cx, &arguments).await),
        TopCommand::Status(arguments) => boxed(commands::status::status(cx, &arguments).await),
        TopCommand::Start(arguments) => boxed(commands::power::run(cx, &arguments, Power::Start).await),
        TopCommand::Stop(arguments) => boxed(commands::power::run(cx, &arguments, Power::Stop).await),
        TopCommand::Restart(arguments) => boxed(commands::power::run(cx, &arguments, Power::Restart).await),
        TopCommand::Doctor(arguments) => boxed(commands::doctor::run(cx, &arguments).await),
        TopCommand::SelfUpdate(arguments) => boxed(commands::self_update::run(cx, &arguments).await),
        TopCommand::Plugin { command } => plugin_command(cx, command).await,
    }
}

async fn plugin_command(cx: &Context, command: PluginCommand) -> Result<Box<dyn Report>, Error> {
    match command {
        PluginCommand::Install(arguments) => commands::install::run(cx, &arguments).await,
        PluginCommand::Remove(arguments) => boxed(commands::remove::run(cx, &arguments).await),
        PluginCommand::List(arguments) => commands::list::run(cx, &arguments).await,
        PluginCommand::Info(arguments) => boxed(commands::info::run(cx, &arguments).await),
        PluginCommand::Status(arguments) => boxed(commands::status::status(cx, &arguments).await),
        PluginCommand::Health(arguments) => boxed(commands::status::health(cx, &arguments).await),
        PluginCommand::Logs(arguments) => boxed(commands::logs::run(cx, &arguments).await),
        PluginCommand::Start(arguments) => boxed(commands::power::run(cx, &arguments, Power::Start).await),
        PluginCommand::Stop(arguments) => boxed(commands::power::run(cx, &arguments, Power::Stop).await),
        PluginCommand::Restart(arguments) => boxed(commands::power::run(cx, &arguments, Power::Restart).await),
        PluginCommand::Doctor(arguments) => boxed(commands::doctor::run(cx, &arguments).await),
        PluginCommand::Refresh(flags) => boxed(commands::refresh::run(cx, &flags).await),
        PluginCommand::Config(arguments) => boxed(commands::config::run(cx, &arguments).await),
        PluginCommand::Setup(arguments) => boxed(commands::setup::run(cx, arguments).await),
        PluginCommand::Env(arguments) => boxed(commands::env::run(cx, &arguments)),
        PluginCommand::Open(arguments) => boxed(commands::open::run(cx, &arguments)),
        PluginCommand::Pack(arguments) => boxed(commands::pack::run(cx, &arguments)),
        PluginCommand::Run(arguments) => boxed(commands::action::run(cx, &arguments).await),
        PluginCommand::Exec(arguments) => boxed(commands::action::exec(cx, &arguments).await),
        PluginCommand::Other(words) => boxed(commands::action::other(cx, words).await),
    }
}

fn boxed<R: Report + 'static>(report: Result<R, Error>) -> Result<Box<dyn Report>, Error> {
    report.map(|report| Box::new(report) as Box<dyn Report>)
}
