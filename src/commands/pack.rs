//! `pack`: the author's side. Package folders become archives and a registry document.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::PackArguments;
use crate::context::Context;
use crate::error::Error;
use crate::fs;
use crate::package::pack::{Packed, document, pack};
use crate::ui::{Event, Report, Style, table};

/// What was packed.
#[derive(Debug)]
pub struct PackReport {
    packed: Vec<Packed>,
    document: String,
}

/// Packs every folder into the output folder and writes `registry.json` beside the archives.
pub fn run(cx: &Context, arguments: &PackArguments) -> Result<PackReport, Error> {
    let output = cx.settings.working_dir.join(&arguments.output);
    fs::create_folder(&output)?;
    let mut packed = Vec::new();
    for folder in &arguments.folders {
        let shown = folder.display().to_string();
        cx.reporter.event(Event::Started { plugin: &shown, what: "packing" });
        let made = pack(&cx.settings.working_dir.join(folder), &output);
        packed.push(made.map_err(|source| Error::Package { plugin: shown.clone(), source })?);
    }
    let path = output.join("registry.json");
    write_document(&path, &packed)?;
    Ok(PackReport { packed, document: path.display().to_string() })
}

/// The document carries no time of its making: the same packages give the same bytes.
fn write_document(path: &Path, packed: &[Packed]) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(&document(packed, "")).unwrap_or_default();
    text.push('\n');
    Ok(fs::write_public(path, text.as_bytes())?)
}

impl Report for PackReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.pack/1"
    }

    fn json(&self) -> Map<String, Value> {
        let archives = self.packed.iter().map(|packed| {
            json!({
                "plugin": packed.manifest.name,
                "version": packed.manifest.version,
                "file": packed.file_name,
                "digest": packed.digest,
                "size": packed.size,
            })
        });
        let mut fields = Map::new();
        fields.insert("archives".into(), archives.collect());
        fields.insert("document".into(), self.document.as_str().into());
        fields
    }

    fn text(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .packed
            .iter()
            .map(|packed| vec![packed.file_name.clone(), packed.size.to_string(), packed.digest.to_string()])
            .collect();
        table::render(&["ARCHIVE", "BYTES", "DIGEST"], &rows, style)
    }
}
