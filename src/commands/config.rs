//! `config NAME get|set|unset`: a plugin's stored values. Secrets are shown with `--reveal` only.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::cli::{ConfigAction, ConfigArguments};
use crate::context::Context;
use crate::env_file::is_variable_name;
use crate::environment::{ValueOrigin, Variables};
use crate::error::Error;
use crate::name::PluginName;
use crate::package::Package;
use crate::package::manifest::Manifest;
use crate::project::{Project, Strictness};
use crate::ui::{Report, Style, table};
use crate::values::Values;

/// One value.
#[derive(Debug)]
struct Shown {
    key: String,
    is_secret: bool,
    /// `None` for a secret that was not revealed.
    value: Option<String>,
    origin: String,
}

/// What `config` answers.
#[derive(Debug)]
pub struct ConfigReport {
    plugin: String,
    values: Vec<Shown>,
    /// Whether one key was asked for: then its bare value is the answer.
    is_single: bool,
    message: Option<String>,
}

/// Runs the action; `get` without a key when there is none.
pub async fn run(cx: &Context, arguments: &ConfigArguments) -> Result<ConfigReport, Error> {
    let name: PluginName = arguments.plugin.parse()?;
    let project = match &arguments.action {
        None | Some(ConfigAction::Get { .. }) => cx.project(Strictness::Lenient)?,
        Some(ConfigAction::Set { .. } | ConfigAction::Unset { .. }) => cx.project_to_change()?,
    };
    match arguments.action.as_ref() {
        None => get(cx, &project, &name, None, false),
        Some(ConfigAction::Get { key, reveal }) => get(cx, &project, &name, key.as_deref(), *reveal),
        Some(ConfigAction::Set { key, value }) => {
            if !is_variable_name(key) {
                return Err(Error::Usage {
                    message: format!("`{}` is no variable name", crate::name::shown(key)),
                    hint: Some(format!("write it as in an env file: nself plugin config {name} set NAME VALUE")),
                });
            }
            change(cx, &project, |values| values.set(name.as_str(), key, value)).await?;
            Ok(ConfigReport::told(&name, stored(cx, &project, &name, key)?))
        }
        Some(ConfigAction::Unset { key }) => {
            let mut was_there = false;
            change(cx, &project, |values| was_there = values.forget(name.as_str(), key)).await?;
            if was_there {
                return Ok(ConfigReport::told(&name, format!("{key} is forgotten")));
            }
            Err(Error::NoSuchValue { name, key: crate::name::shown(key) })
        }
    }
}

/// What to say of a value that was stored: what makes it take effect, or what goes before it.
fn stored(cx: &Context, project: &Project, name: &PluginName, key: &str) -> Result<String, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let found = variables.find(name.as_str(), key).map(|(_, origin)| origin);
    Ok(match found {
        Some(ValueOrigin::File(file)) => {
            let path = project.folder.join(file);
            format!("{key} is stored, but {} sets it too and goes before; change it there", path.display())
        }
        Some(ValueOrigin::Process) => {
            format!("{key} is stored, but the environment sets it too and goes before: unset {key}")
        }
        _ => format!("{key} is stored; it takes effect with: nself plugin install {name}"),
    })
}

async fn change(cx: &Context, project: &Project, change: impl FnOnce(&mut Values)) -> Result<(), Error> {
    let _lock = cx.state.lock("_values", cx.settings.lock_timeout).await?;
    let mut values = Values::read(&cx.settings.config_dir, &project.name)?;
    change(&mut values);
    Ok(values.write()?)
}

fn get(
    cx: &Context,
    project: &Project,
    name: &PluginName,
    key: Option<&str>,
    reveal: bool,
) -> Result<ConfigReport, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let manifest = active_manifest(cx, project, name);
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let declared = manifest.iter().flat_map(|manifest| &manifest.variables).map(|variable| variable.name.clone());
    let all: BTreeSet<String> = declared.chain(values.keys(name.as_str()).map(ToOwned::to_owned)).collect();
    let keys = key.map_or(all, |key| BTreeSet::from([key.to_owned()]));
    let shown: Vec<Shown> = keys
        .iter()
        .filter_map(|key| {
            let declared =
                manifest.as_ref().and_then(|manifest| manifest.variables.iter().find(|variable| variable.name == *key));
            let found =
                variables.find(name.as_str(), key).map(|(value, origin)| (value, format!("{origin:?}").to_lowercase()));
            let default =
                || declared.and_then(|variable| variable.default.clone()).map(|value| (value, "default".to_owned()));
            let (value, origin) = found.or_else(default)?;
            // What no manifest declares may be anything, a secret too.
            let is_secret = declared.is_none_or(|variable| variable.secret);
            Some(Shown { key: key.clone(), value: (reveal || !is_secret).then_some(value), is_secret, origin })
        })
        .collect();
    match key {
        Some(key) if shown.is_empty() => Err(Error::NoSuchValue { name: name.clone(), key: crate::name::shown(key) }),
        _ => Ok(ConfigReport {
            plugin: name.as_str().to_owned(),
            values: shown,
            is_single: key.is_some(),
            message: None,
        }),
    }
}

/// The manifest of the installed package; without one only stored values are known.
fn active_manifest(cx: &Context, project: &Project, name: &PluginName) -> Option<Manifest> {
    let receipt = cx.state.receipt(&project.name, name).ok()??;
    let active = cx.state.active_package(name.as_str());
    let package = Package::active(&active, receipt.digest, &receipt.proof, &receipt.source).ok()?;
    Some(package.manifest().clone())
}

impl ConfigReport {
    fn told(name: &PluginName, message: String) -> Self {
        Self { plugin: name.as_str().to_owned(), values: Vec::new(), is_single: false, message: Some(message) }
    }
}

impl Report for ConfigReport {
    fn schema(&self) -> &'static str {
        "nself.plugin.config/1"
    }

    fn json(&self) -> Map<String, Value> {
        let values = self.values.iter().map(|shown| {
            json!({ "key": shown.key, "value": shown.value, "secret": shown.is_secret, "origin": shown.origin })
        });
        let mut fields = Map::new();
        fields.insert("plugin".into(), self.plugin.as_str().into());
        fields.insert("values".into(), values.collect());
        fields
    }

    fn is_data(&self) -> bool {
        self.message.is_none()
    }

    fn text(&self, style: Style) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
        let hidden = "(secret; --reveal shows it)";
        if let (true, [only]) = (self.is_single, self.values.as_slice()) {
            return only.value.clone().unwrap_or_else(|| hidden.to_owned());
        }
        let rows: Vec<Vec<String>> = self
            .values
            .iter()
            .map(|shown| {
                let value = shown.value.clone().unwrap_or_else(|| hidden.to_owned());
                vec![shown.key.clone(), value, shown.origin.clone()]
            })
            .collect();
        table::render(&["KEY", "VALUE", "FROM"], &rows, style)
    }
}
