//! `info`: all that is known of a plugin: what registries offer, what is installed and how it was proven.

use serde_json::{Map, Value, json};

use super::list::{of_plugins_alone, release_json};
use crate::address;
use crate::cli::InfoArguments;
use crate::context::Context;
use crate::error::Error;
use crate::http::Http;
use crate::name::PluginSpec;
use crate::package::Proof;
use crate::project::Strictness;
use crate::registries;
use crate::registry::{Ask, Release};
use crate::state::Receipt;
use crate::ui::{Report, Style, safe};

/// A plugin as offered and as installed; at least one of them is there.
#[derive(Debug)]
pub struct InfoReport {
    plugin: String,
    offered: Option<Release>,
    origin: Option<String>,
    passed_over: Vec<String>,
    receipt: Option<Receipt>,
}

/// Looks a plugin up.
pub async fn run(cx: &Context, arguments: &InfoArguments) -> Result<InfoReport, Error> {
    let spec: PluginSpec = arguments.plugin.parse()?;
    let PluginSpec::Named { registry, name, version } = &spec else {
        return Err(Error::Usage {
            message: format!(
                "`{}` is a path, and info looks plugins up by name",
                crate::name::shown(&arguments.plugin)
            ),
            hint: Some("see what a package would do: nself plugin install PATH --check".into()),
        });
    };
    let project = cx.project(Strictness::Lenient)?;
    crate::undo::warn_of_unfinished(cx)?;
    let receipt = cx.state.receipt(&project.name, name)?;
    let http = Http::new(arguments.registries.allow_http)?;
    let catalog = registries::catalog(cx, &arguments.registries, &http)?;
    let ask = Ask {
        registry: registry.as_deref().or(arguments.registries.registry.as_deref()),
        name,
        version: version.as_ref(),
        has_licence_key: cx.settings.license_key.is_some(),
    };
    let selection = match (catalog.select(&ask).await, &receipt) {
        (Ok(selection), _) => Some(selection),
        // What is installed can be told of without any registry.
        (Err(_), Some(_)) => None,
        (Err(error), None) => return Err(error.into()),
    };
    let (offered, origin, passed_over) = match selection {
        Some(found) => {
            let reasons = found.passed_over.iter().map(ToString::to_string).collect();
            (Some(of_plugins_alone(found.release, &catalog)), Some(found.origin.to_string()), reasons)
        }
        None => (None, None, Vec::new()),
    };
    Ok(InfoReport { plugin: name.as_str().to_owned(), offered, origin, passed_over, receipt })
}

fn proof_text(receipt: &Receipt) -> String {
    match (&receipt.proof, receipt.digest) {
        (Proof::Digest, Some(digest)) => format!("digest proven, {digest}"),
        (Proof::Digest, None) => "digest proven".to_owned(),
        (Proof::Unverified(reason), _) => format!("not verified: {reason}"),
        (Proof::Local, _) => "a local package, not verified".to_owned(),
    }
}

impl Report for InfoReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.info/1"
    }

    fn json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert(
            "plugin".into(),
            json!({
                "name": self.plugin,
                "offered": self.offered.as_ref().map(release_json),
                "origin": self.origin,
                "passed_over": self.passed_over,
                "installed": self.receipt,
            }),
        );
        fields
    }

    fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let mut line = |key: &str, value: &str| {
            if !value.is_empty() {
                lines.push(format!("{key:<13}{}", safe(value)));
            }
        };
        line("plugin", &style.strong(&self.plugin));
        if let Some(release) = &self.offered {
            line("offered", &format!("{} by registry {}", release.version, release.registry));
            line("origin", self.origin.as_deref().unwrap_or_default());
            line("description", &release.description);
            line("category", &release.category);
            line("license", &release.license);
            line("status", &release.status);
            line("homepage", release.homepage.as_deref().unwrap_or_default());
            line("port", &release.port.map(|port| port.to_string()).unwrap_or_default());
            line("needs", &release.dependencies.join(", "));
            line("digest", &release.digest.map_or_else(|| "none offered".to_owned(), |digest| digest.to_string()));
        }
        for reason in &self.passed_over {
            line("passed over", reason);
        }
        match &self.receipt {
            Some(receipt) => {
                line("installed", &format!("{} from registry {}", receipt.version, receipt.registry));
                line("proof", &proof_text(receipt));
                line("image", &format!("{} ({})", receipt.image.reference, receipt.image.id));
                for port in &receipt.ports {
                    line("address", &format!("{} ({})", address::of(port), port.name));
                }
                line("granted", &receipt.granted.join(", "));
                line("volumes", &receipt.volumes.join(", "));
            }
            None => line("installed", "no"),
        }
        lines.join("\n")
    }
}
