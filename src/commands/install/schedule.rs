//! Who goes when: all plugins of a command are prepared side by side, and each is started when what it needs is there.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use super::along::Needs;
use super::pipeline::{self, Shared};
use super::report::Outcome;
use crate::apply::{Order, Other, Progress};
use crate::commands::target::{Found, Target, cycle};
use crate::error::Error;
use crate::name::PluginName;
use crate::ui::Event;

/// How far each plugin has come, by its name.
type Progresses = BTreeMap<String, watch::Sender<Progress>>;

/// Installs all. The order of the results is that of the command line, with what was needed after it.
pub(super) async fn install_all(shared: &Shared<'_>, found: Vec<Found>) -> Vec<(String, Outcome)> {
    let cycle = cycle(&found);
    let names: BTreeSet<PluginName> =
        found.iter().filter_map(|(_, target)| target.as_ref().ok()).map(|target| target.name.clone()).collect();
    let progresses: Progresses =
        found.iter().map(|entry| (plugin_of(entry, &names), watch::Sender::new(Progress::Preparing))).collect();
    let needs = Needs::among(&found, &shared.named);
    let work = needed_first(found).into_iter().map(|(place, found)| {
        let plugin = plugin_of(&found, &names);
        let (cycle, needs, progresses) = (&cycle, &needs, &progresses);
        async move {
            let (word, target) = found;
            let result = match target {
                Ok(target) if cycle.contains(&target.name) => {
                    Err(Error::DependencyCycle(cycle.iter().map(ToString::to_string).collect()))
                }
                Ok(target) => Box::pin(pipeline::install(shared, &target, &order(&target, needs, progresses))).await,
                Err(error) => Err(error),
            };
            let outcome = result.unwrap_or_else(|error| Outcome::Failed(Box::new(error)));
            tell(shared, &word, &outcome);
            let end = if matches!(outcome, Outcome::Failed(_)) { Progress::Failed } else { Progress::Installed };
            if let Some(progress) = progresses.get(&plugin) {
                progress.send_replace(end);
            }
            (place, (word, outcome))
        }
    });
    let mut results = futures_util::future::join_all(work).await;
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What others need is begun first, since they are done only after it; each with its place on the command line.
fn needed_first(found: Vec<Found>) -> Vec<(usize, Found)> {
    let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
    let needed: BTreeSet<PluginName> = targets.flat_map(|target| target.dependencies.iter().cloned()).collect();
    let mut entries: Vec<(usize, Found)> = found.into_iter().enumerate().collect();
    entries.sort_by_key(|(_, (_, target))| !target.as_ref().is_ok_and(|target| needed.contains(&target.name)));
    entries
}

/// What a target waits for, and for what it comes along. What is not part of this command is there, or is found missing by
/// the plugin's health.
fn order(target: &Target, needs: &Needs, progresses: &Progresses) -> Order {
    let other =
        |name: &PluginName| Some(Other { name: name.clone(), progress: progresses.get(name.as_str())?.subscribe() });
    let wanted_by = needs.wanted_by(&target.name);
    let others = (target.dependencies.iter().filter_map(other).collect(), wanted_by.iter().filter_map(other).collect());
    let own = progresses.get(target.name.as_str()).cloned();
    let own = own.unwrap_or_else(|| watch::Sender::new(Progress::Preparing));
    Order::of(&target.name, others, own)
}

/// The plugin that an entry is about, for those that need it. A word for which nothing was found, such as
/// `bundled/redis@9`, stands for the plugin that it names, unless that is found by another word.
pub(super) fn plugin_of((word, target): &Found, found: &BTreeSet<PluginName>) -> String {
    if let Ok(target) = target {
        return target.name.as_str().to_owned();
    }
    let name = word.rsplit('/').next().and_then(|name| name.split('@').next()).unwrap_or_default();
    if found.iter().any(|found| found.as_str() == name) { word.clone() } else { name.to_owned() }
}

fn tell(shared: &Shared<'_>, name: &str, outcome: &Outcome) {
    let text = match outcome {
        Outcome::Failed(error) if matches!(**error, Error::NotNeeded { .. }) => "not needed",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_which_nothing_was_found_stands_for_its_plugin_unless_another_word_found_that() {
        let redis = BTreeSet::from(["redis".parse().unwrap()]);
        for word in ["redis@9.9.9", "bundled/redis@9.9.9", "./redis"] {
            let failed = (word.to_owned(), Err(Error::Interrupted));
            assert_eq!(plugin_of(&failed, &BTreeSet::new()), "redis");
            assert_eq!(plugin_of(&failed, &redis), word);
        }
    }
}
