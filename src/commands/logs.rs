//! `logs`: a plugin's container's log, made safe for terminals.

use std::io::IsTerminal;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use crate::cli::LogsArguments;
use crate::context::Context;
use crate::docker::LogLine;
use crate::error::Error;
use crate::project::Strictness;
use crate::ui::{Report, Style, safe};

/// The lines, when they are not followed.
#[derive(Debug)]
pub struct LogsReport {
    plugin: String,
    lines: Vec<LogLine>,
    is_raw: bool,
    is_told: bool,
}

/// Shows the last lines; with `--follow` prints line after line until the container ends or the user interrupts.
pub async fn run(cx: &Context, arguments: &LogsArguments) -> Result<LogsReport, Error> {
    let project = cx.project(Strictness::Lenient)?;
    let receipt = super::installed(cx, &project.name, &arguments.plugin.parse()?)?;
    crate::undo::warn_of_unfinished(cx)?;
    let docker = cx.docker().await?;
    let container = receipt
        .containers
        .first()
        .map_or_else(|| project.object_name(receipt.plugin.as_str()), |container| container.id.clone());
    let is_raw = arguments.raw || !std::io::stdout().is_terminal();
    let plugin = receipt.plugin.as_str().to_owned();
    if !arguments.follow {
        let mut lines = docker.last_lines(&container, arguments.lines).await?;
        lines.retain(|line| is_wanted(arguments, line));
        return Ok(LogsReport { plugin, lines, is_raw, is_told: false });
    }
    let mut stream = Box::pin(docker.log(&container, arguments.lines, true));
    loop {
        let line = tokio::select! {
            line = stream.next() => line,
            () = cx.interrupt.wanted() => break,
        };
        let Some(line) = line else { break };
        let line = line?;
        if !is_wanted(arguments, &line) {
            continue;
        }
        let text = if cx.output.is_json() { line_json(&plugin, &line).to_string() } else { shown(&line, is_raw) };
        if !cx.output.line(&text) {
            break;
        }
    }
    Ok(LogsReport { plugin, lines: Vec::new(), is_raw, is_told: true })
}

fn is_wanted(arguments: &LogsArguments, line: &LogLine) -> bool {
    arguments.grep.as_ref().is_none_or(|text| line.text.contains(text.as_str()))
}

fn shown(line: &LogLine, is_raw: bool) -> String {
    if is_raw { line.text.clone() } else { safe(&line.text) }
}

fn line_json(plugin: &str, line: &LogLine) -> Value {
    let stream = if line.is_error_stream { "stderr" } else { "stdout" };
    json!({ "schema": "nself.plugin.log-line/1", "plugin": plugin, "stream": stream, "text": line.text })
}

impl Report for LogsReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.logs/1"
    }

    fn is_told(&self) -> bool {
        self.is_told
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("plugin".into(), self.plugin.as_str().into());
        let lines = self
            .lines
            .iter()
            .map(|line| json!({ "stream": if line.is_error_stream { "stderr" } else { "stdout" }, "text": line.text }));
        fields.insert("lines".into(), lines.collect());
        fields
    }

    fn text(&self, _style: Style) -> String {
        self.lines.iter().map(|line| shown(line, self.is_raw)).collect::<Vec<_>>().join("\n")
    }
}
