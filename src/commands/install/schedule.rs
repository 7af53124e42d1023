//! Who goes when: all plugins of a command are prepared side by side, and each is started when what it needs is there.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::pipeline::{self, Shared};
use super::report::Outcome;
use super::target::{Found, Target, cycle};
use crate::apply::{Order, Other, Progress};
use crate::error::Error;
use crate::name::PluginName;
use crate::needs::Condition;
use crate::ui::Event;

/// How far each plugin has come, by its name.
type Progresses = BTreeMap<String, watch::Sender<Progress>>;

/// Installs all. The order of the results is that of the command line, with what was needed after it.
pub(super) async fn install_all(shared: &Shared<'_>, found: Vec<Found>) -> Vec<(String, Outcome)> {
    let cycle = cycle(&found);
    let progresses: Progresses =
        found.iter().map(|found| (plugin_of(found), watch::Sender::new(Progress::Preparing))).collect();
    let work = found.into_iter().map(|found| {
        let plugin = plugin_of(&found);
        let (cycle, progresses) = (&cycle, &progresses);
        async move {
            let (word, target) = found;
            let result = match target {
                Ok(target) if cycle.contains(&target.name) => {
                    Err(Error::DependencyCycle(cycle.iter().map(ToString::to_string).collect()))
                }
                Ok(target) => Box::pin(pipeline::install(shared, &target, &order(&target, progresses))).await,
                Err(error) => Err(error),
            };
            let outcome = result.unwrap_or_else(|error| Outcome::Failed(Box::new(error)));
            tell(shared, &word, &outcome);
            let end = if matches!(outcome, Outcome::Failed(_)) { Progress::Failed } else { Progress::Installed };
            if let Some(progress) = progresses.get(&plugin) {
                progress.send_replace(end);
            }
            (word, outcome)
        }
    });
    futures_util::future::join_all(work).await
}

/// What a target waits for. What is not part of this command is there, or is found missing by the plugin's health.
fn order(target: &Target, progresses: &Progresses) -> Order {
    let condition = |name: &PluginName| {
        let need = target.services.iter().find(|need| need.name == name.as_str());
        need.map_or(Condition::default(), |need| need.condition)
    };
    let other = |name: &PluginName| {
        let progress = progresses.get(name.as_str())?.subscribe();
        Some(Other { name: name.clone(), condition: condition(name), progress })
    };
    let needed = target.dependencies.iter().filter_map(other).collect();
    let own = progresses.get(target.name.as_str()).cloned();
    Order::of(&target.name, needed, own.unwrap_or_else(|| watch::Sender::new(Progress::Preparing)))
}

/// The plugin's name, also of a word such as `bundled/redis@1.0.0` for which nothing was found.
fn plugin_of((word, target): &Found) -> String {
    let name = || word.rsplit('/').next().and_then(|name| name.split('@').next()).unwrap_or_default();
    target.as_ref().map_or_else(|_| name().to_owned(), |target| target.name.as_str().to_owned())
}

fn tell(shared: &Shared<'_>, name: &str, outcome: &Outcome) {
    let text = match outcome {
        Outcome::Failed(_) => "failed",
        Outcome::Planned(_) => "planned",
        Outcome::Current { .. } => "nothing to do",
        Outcome::Installed { .. } => "healthy",
    };
    shared.cx.reporter.event(Event::Finished { plugin: name, text });
    if let Outcome::Installed { passed_over, .. } = outcome {
        for reason in passed_over {
            shared.cx.reporter.event(Event::Detail { plugin: name, text: reason });
        }
    }
}
