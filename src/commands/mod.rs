//! One file a verb: each builds the stages' inputs, calls them, and gives a report. No printing here.

pub mod action;
pub mod config;
pub mod doctor;
pub mod env;
pub mod info;
pub mod install;
pub mod list;
pub mod logs;
mod next;
pub mod open;
pub mod pack;
pub mod power;
pub mod refresh;
pub mod remove;
pub mod self_update;
pub(crate) mod services;
mod sets;
pub mod setup;
pub mod status;
mod target;

use crate::context::Context;
use crate::error::Error;
use crate::name::PluginName;
use crate::state::Receipt;

/// The receipts that a command means: those named, or all of the project.
pub(crate) fn chosen_receipts(cx: &Context, project: &str, names: &[String]) -> Result<Vec<Receipt>, Error> {
    if names.is_empty() {
        let mut receipts = Vec::new();
        for receipt in cx.state.receipts(project)? {
            match receipt {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => cx.reporter.event(crate::ui::Event::Warning { text: &error.to_string() }),
            }
        }
        return Ok(receipts);
    }
    names.iter().map(|name| installed(cx, project, &name.parse()?)).collect()
}

/// The receipt of a plugin that must be installed.
pub(crate) fn installed(cx: &Context, project: &str, name: &PluginName) -> Result<Receipt, Error> {
    let receipt = cx.state.receipt(project, name)?;
    receipt.ok_or_else(|| Error::NotInstalled { name: name.clone(), project: project.to_owned() })
}
