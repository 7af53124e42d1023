//! Actions for people: answers as lines and tables, help, and how a database schema is applied.

use std::path::Path;

use serde_json::{Map, Value};

use super::fill::usage;
use crate::fs;
use crate::package::manifest::Manifest;
use crate::project::Project;
use crate::ui::{Style, safe, shell_path, table};

/// The most columns of a table.
const MOST_COLUMNS: usize = 8;

/// An answer: single values as lines, lists of objects as tables.
pub(super) fn of(value: &Value, style: Style) -> String {
    let mut lines = Vec::new();
    render(value, "", style, &mut lines);
    lines.join("\n")
}

fn render(value: &Value, title: &str, style: Style, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if title.is_empty() { safe(key) } else { format!("{title}.{}", safe(key)) };
                render(value, &name, style, lines);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let rows: Vec<&Map<String, Value>> = list.iter().filter_map(Value::as_object).collect();
            if !title.is_empty() {
                lines.push(format!("{title}:"));
            }
            lines.push(rows_as_table(&rows, style));
        }
        Value::Array(list) => {
            let text = list.iter().map(single).collect::<Vec<_>>().join(", ");
            lines.push(if title.is_empty() { text } else { format!("{title}: {text}") });
        }
        other if title.is_empty() => lines.push(single(other)),
        other => lines.push(format!("{title}: {}", single(other))),
    }
}

fn rows_as_table(rows: &[&Map<String, Value>], style: Style) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for row in rows {
        for (key, value) in *row {
            let is_new = !columns.contains(&key.as_str());
            if is_new && !value.is_object() && !value.is_array() && columns.len() < MOST_COLUMNS {
                columns.push(key);
            }
        }
    }
    let cells =
        rows.iter().map(|row| columns.iter().map(|key| row.get(*key).map(single).unwrap_or_default()).collect());
    let headings: Vec<String> = columns.iter().map(|key| safe(&key.to_uppercase())).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    table::render(&headings, &cells.collect::<Vec<Vec<String>>>(), style)
}

fn single(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => safe(text),
        other => safe(&other.to_string()),
    }
}

/// What may be typed behind a plugin's name.
pub(super) fn help(manifest: &Manifest) -> String {
    let name = &manifest.name;
    let mut lines = vec![format!("{name} {}: {}", manifest.version, manifest.description)];
    let width = manifest.actions.iter().map(|action| usage(action).len()).max().unwrap_or(0).min(48);
    for action in &manifest.actions {
        lines.push(format!("  nself plugin {name} {:width$}  {}", usage(action), safe(&action.description)));
    }
    lines.push(format!("  nself plugin {name} {:width$}  Print how a backend uses the plugin", "integrate"));
    lines.push(format!("  nself plugin exec {name} -- COMMAND  Run a program inside its container"));
    lines.join("\n")
}

/// The SQL files of a package, with the command that applies them: nothing is run on a database unasked.
pub(super) fn init(package: &Path, project: &Project) -> String {
    let folder = package.join("schema");
    let known = ["tables.sql", "schema.sql", "init.sql"];
    let names: Vec<String> = fs::list_folder(&folder).unwrap_or_default();
    let is_sql = |name: &&String| Path::new(name).extension().is_some_and(|ending| ending == "sql");
    let main = names.iter().find(|name| known.contains(&name.as_str()));
    let files: Vec<&String> = main.map_or_else(|| names.iter().filter(is_sql).collect(), |name| vec![name]);
    if files.is_empty() {
        return "there is nothing to initialise: the plugin makes what it needs when it starts".to_owned();
    }
    let command = |name: &&String| {
        format!("  docker exec -i {}_postgres psql -U postgres < {}", project.name, shell_path(&folder.join(name)))
    };
    let commands: Vec<String> = files.iter().map(command).collect();
    format!("the package has a database schema, which is applied by hand:\n{}", commands.join("\n"))
}
