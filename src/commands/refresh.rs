//! `refresh`: fetches the registry documents again.

use serde_json::{Map, Value, json};

use crate::cli::RegistryFlags;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::registries;
use crate::registry::Origin;
use crate::ui::{Event, Report, Style, table};

/// What was read from where.
#[derive(Debug)]
pub struct RefreshReport {
    registries: Vec<(String, usize, String)>,
    warnings: Vec<String>,
    /// Whether registries were asked and not one answered with a document that can be used.
    has_failed: bool,
}

/// Asks every registry, or the one named, whatever the cache holds.
pub async fn run(cx: &Context, flags: &RegistryFlags) -> Result<RefreshReport, Error> {
    let http = Http::new(flags.allow_http)?;
    let flags = RegistryFlags { refresh: !flags.offline, ..flags.clone() };
    let catalog = registries::catalog(cx, &flags, &http)?;
    let names: Vec<String> = match &flags.registry {
        Some(name) => vec![name.clone()],
        None => registries::sources(&cx.settings)?.into_iter().map(|source| source.name).collect(),
    };
    let (mut registries, mut warnings) = (Vec::new(), Vec::new());
    let (mut answered, mut silent) = (0, 0);
    let mut first_failure = None;
    for name in names {
        match catalog.whole(&name).await {
            Ok(loaded) => {
                warnings.extend(loaded.notes.iter().chain(&loaded.contents.warnings).cloned());
                match loaded.origin {
                    Origin::StaleCache { .. } => silent += 1,
                    // The bundled registry is no remote one.
                    Origin::Folder(_) => {}
                    _ => answered += 1,
                }
                registries.push((name, loaded.contents.releases.len(), loaded.origin.to_string()));
            }
            Err(error) => {
                warnings.extend(error.causes());
                // The bundled registry answers always; refreshing is about the others.
                first_failure.get_or_insert(error);
            }
        }
    }
    if let Some(error) = first_failure {
        return Err(error.into());
    }
    for text in &warnings {
        cx.reporter.event(Event::Warning { text });
    }
    Ok(RefreshReport { registries, warnings, has_failed: !flags.offline && answered == 0 && silent > 0 })
}

impl Report for RefreshReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.refresh/1"
    }

    fn exit_code(&self) -> u8 {
        if self.has_failed { 4 } else { 0 }
    }

    fn json(&self) -> Map<String, Value> {
        let registries = self
            .registries
            .iter()
            .map(|(name, count, origin)| json!({ "registry": name, "plugins": count, "origin": origin }));
        let mut fields = Map::new();
        fields.insert("registries".into(), registries.collect());
        fields.insert("warnings".into(), json!(self.warnings));
        fields
    }

    fn text(&self, style: Style) -> String {
        let rows: Vec<Vec<String>> = self
            .registries
            .iter()
            .map(|(name, count, origin)| vec![name.clone(), count.to_string(), origin.clone()])
            .collect();
        table::render(&["REGISTRY", "PLUGINS", "ORIGIN"], &rows, style)
    }
}
