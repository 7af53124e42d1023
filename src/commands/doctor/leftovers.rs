//! What earlier failures left behind. Reports it with the command that cleans it, and cleans nothing.

use std::collections::BTreeSet;

use super::finding::{Finding, Trouble};
use crate::context::Context;
use crate::docker::{ListedImage, Observed, OthersContainer};
use crate::error::Error;
use crate::state::{Ending, StateError, UnreadableRecord, plugin_of};

/// What cleans what a record describes.
const CLEAN: &str = "recover: nself plugin status --repair";

/// What the engine has of this installation, and of this project.
pub(super) struct OnEngine<'a> {
    pub(super) observed: &'a Observed,
    /// Containers of this project that another installation created.
    pub(super) of_other_homes: Vec<OthersContainer>,
    /// Images that carry this installation's label.
    pub(super) images: &'a [ListedImage],
    /// The names of the networks that plugins of this project are on.
    pub(super) networks: [String; 2],
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Plugins of unfinished transactions.
    pub(super) unfinished: Vec<String>,
    /// Plugins that another command works on just now.
    pub(super) at_work: Vec<String>,
    /// Files among the records that this version cannot read.
    pub(super) unreadable: Vec<UnreadableRecord>,
    /// Containers that the engine created for transactions that were rolled back, by name.
    pub(super) late: Vec<String>,
    /// Staging folders that no transaction owns.
    pub(super) stray_staging: Vec<String>,
    /// Our containers that no receipt knows, by name.
    pub(super) orphans: Vec<String>,
    /// Containers of this project that another installation made.
    pub(super) of_other_homes: Vec<OthersContainer>,
    /// Images that neither a receipt nor the record of kept images lists: name or short id, and id.
    pub(super) images: Vec<(String, String)>,
    /// Networks of one name: the name and their ids.
    pub(super) duplicates: Vec<(String, Vec<String>)>,
    /// Receipts that cannot be read, and what else of the state cannot.
    pub(super) troubles: Vec<Trouble>,
    /// Whether records, staging folders or receipts could not even be listed.
    pub(super) is_incomplete: bool,
}

/// Looks at records, staging folders, receipts and, as far as the engine answered, containers, images and networks.
pub(super) fn gather(cx: &Context, on_engine: Option<OnEngine<'_>>) -> Leftovers {
    let mut found = Leftovers::default();
    let journal = found.or_trouble(cx.state.journal());
    found.unreadable = journal.unreadable;
    let records = journal.records;
    for record in &records {
        let plugin = record.plugin.as_str().to_owned();
        if cx.state.is_locked(record.plugin.as_str()) {
            found.at_work.push(plugin);
        } else {
            found.unfinished.push(plugin);
        }
    }
    for stray in found.or_trouble(cx.state.stray_staging()) {
        if !plugin_of(&stray).is_some_and(|plugin| cx.state.is_locked(plugin)) {
            found.stray_staging.push(stray);
        }
    }
    let (known, images) = known(cx, &mut found);
    let Some(on_engine) = on_engine else { return found };
    let is_orphan = |container: &&crate::docker::ObservedContainer| {
        !known.contains(&(container.project.clone(), container.plugin.clone()))
            && records.iter().all(|record| record.id != container.transaction)
            && !cx.state.is_locked(&container.plugin)
    };
    let undone = found.or_trouble(cx.state.ended(Ending::Undone));
    let is_late = |container: &&crate::docker::ObservedContainer| {
        undone.iter().any(|record| record.id == container.transaction) && !container.config_hash.is_empty()
    };
    let containers = on_engine.observed.containers.iter();
    let (late, orphans) = containers.filter(is_orphan).partition::<Vec<_>, _>(is_late);
    found.late = late.iter().map(|container| container.name.clone()).collect();
    found.orphans = orphans.iter().map(|container| container.name.clone()).collect();
    found.take_from(on_engine, images);
    found
}

/// The images that are not known and upon which nothing known was built. Of a chain of build steps only the last is
/// given: the engine removes the others with it.
fn unlisted(images: &[ListedImage], mut known: BTreeSet<String>) -> Vec<(String, String)> {
    loop {
        let parents = images.iter().filter(|image| known.contains(&image.id) && !image.parent.is_empty());
        let parents: Vec<String> = parents.map(|image| image.parent.clone()).collect();
        let before = known.len();
        known.extend(parents);
        if known.len() == before {
            break;
        }
    }
    let is_last =
        |image: &&ListedImage| !known.contains(&image.id) && !images.iter().any(|other| other.parent == image.id);
    let short = |id: &str| id.trim_start_matches("sha256:").chars().take(12).collect::<String>();
    let last = images.iter().filter(is_last);
    last.map(|image| (image.tags.first().cloned().unwrap_or_else(|| short(&image.id)), short(&image.id))).collect()
}

/// Every project and plugin that a receipt names, and the images of this installation by id. A receipt that cannot be
/// read still names its plugin by its file.
fn known(cx: &Context, found: &mut Leftovers) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let mut known = BTreeSet::new();
    let mut images: BTreeSet<String> = found.or_trouble(cx.state.known_images()).into_iter().collect();
    for project in found.or_trouble(cx.state.projects()) {
        for receipt in found.or_trouble(cx.state.receipts(&project)) {
            match receipt {
                Ok(receipt) => {
                    known.insert((project.clone(), receipt.plugin.as_str().to_owned()));
                    images.insert(receipt.image.id);
                }
                Err(error) => {
                    if let StateError::BrokenReceipt { path, .. } | StateError::LaterReceipt { path, .. } = &error {
                        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                        known.insert((project.clone(), name));
                    }
                    found.troubles.push(Error::from(error).into());
                }
            }
        }
    }
    (known, images)
}

impl Leftovers {
    /// Images, networks and containers that no transaction explains.
    fn take_from(&mut self, on_engine: OnEngine<'_>, images: BTreeSet<String>) {
        self.of_other_homes = on_engine.of_other_homes;
        // What is being installed, or has a receipt that cannot be read, may own images.
        if self.at_work.is_empty() && self.troubles.is_empty() {
            self.images = unlisted(on_engine.images, images);
        }
        for name in on_engine.networks {
            let ids: Vec<String> = on_engine.observed.networks_named(&name).map(|network| network.id.clone()).collect();
            if ids.len() > 1 {
                self.duplicates.push((name, ids));
            }
        }
    }

    fn or_trouble<T: Default>(&mut self, result: Result<T, StateError>) -> T {
        result.unwrap_or_else(|error| {
            self.is_incomplete = true;
            self.troubles.push(Error::from(error).into());
            T::default()
        })
    }
}

pub(super) fn judge(found: &Leftovers) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        found.troubles.iter().map(|trouble| Finding::of_trouble("receipts", "", trouble)).collect();
    for plugin in &found.unfinished {
        let message = "an interrupted command left things of it behind";
        findings.push(Finding::warning("leftovers", plugin.clone(), message).mend(CLEAN));
    }
    for file in &found.unreadable {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let message = format!("the record `{}` cannot be read: {}", file.path.display(), file.reason);
        let mend = match file.plugin() {
            Some(plugin) => {
                format!("use the version that wrote it, or give it up: nself plugin status --repair {plugin} --yes")
            }
            None => format!("move it away: mv {} /tmp", crate::ui::shell_path(&file.path)),
        };
        findings.push(Finding::warning("leftovers", name, message).mend(mend));
    }
    for name in &found.late {
        let message = "a container of an interrupted command, created after that was rolled back";
        findings.push(Finding::warning("leftovers", name.clone(), message).mend(CLEAN));
    }
    for folder in &found.stray_staging {
        let message = "an interrupted command left its staging folder behind";
        findings.push(Finding::warning("leftovers", folder.clone(), message).mend(CLEAN));
    }
    for name in &found.orphans {
        let message = "a container of this installation that no receipt knows";
        findings
            .push(Finding::warning("leftovers", name.clone(), message).mend(format!("remove it: docker rm -f {name}")));
    }
    for OthersContainer { name, home } in &found.of_other_homes {
        let message = format!(
            "a container of this project that another installation ({home}) created, perhaps one whose directory is gone"
        );
        findings.push(
            Finding::warning("leftovers", name.clone(), message)
                .mend(format!("if nobody needs it, remove it: docker rm -f {name}")),
        );
    }
    for (name, id) in &found.images {
        let message = "an image of this installation that no receipt lists, perhaps of an interrupted build";
        findings.push(Finding::warning("leftovers", name.clone(), message).mend(format!("remove it: docker rmi {id}")));
    }
    for (name, ids) in &found.duplicates {
        let message = format!("there are {} networks of this name, and no container can start on one", ids.len());
        let command = format!("remove the one that nothing uses: docker network rm {}", ids.join(" or "));
        findings.push(Finding::warning("leftovers", name.clone(), message).mend(command));
    }
    for plugin in &found.at_work {
        findings.push(Finding::ok("leftovers", plugin.clone(), "another command is at work on it"));
    }
    // What could not be looked at is reported above, and nothing is known of it.
    if !found.is_incomplete && findings.iter().all(|finding| finding.check != "leftovers") {
        findings.push(Finding::ok("leftovers", "", "nothing is left of earlier failures"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn nothing_left_is_one_line() {
        let findings = judge(&Leftovers::default());
        assert_eq!((findings.len(), findings[0].level), (1, Level::Ok));
    }

    #[test]
    fn each_leftover_is_a_warning_with_what_cleans_it() {
        let found = Leftovers {
            unfinished: vec!["a".into()],
            stray_staging: vec!["b.0123".into()],
            orphans: vec!["demo_plugin_c".into()],
            of_other_homes: vec![OthersContainer { name: "demo_plugin_d".into(), home: "0123456789abcdef".into() }],
            ..Leftovers::default()
        };
        let findings = judge(&found);
        assert!(findings.iter().all(|finding| finding.level == Level::Warning));
        let hints: Vec<&str> = findings.iter().filter_map(|finding| finding.hint.as_deref()).collect();
        assert_eq!(hints[..3], [CLEAN, CLEAN, "remove it: docker rm -f demo_plugin_c"]);
        assert_eq!(hints.len(), 4);
    }

    #[test]
    fn what_could_not_be_listed_is_not_called_clean() {
        let trouble = Trouble { message: "could not list the records".into(), hint: None };
        let findings = judge(&Leftovers { troubles: vec![trouble], is_incomplete: true, ..Leftovers::default() });
        assert!(findings.iter().all(|finding| finding.level == Level::Failed));
    }

    #[test]
    fn the_last_image_of_an_unknown_chain_is_named_and_the_steps_of_known_ones_are_not() {
        let image = |id: &str, parent: &str| ListedImage {
            id: format!("sha256:{id}"),
            parent: parent.into(),
            created: 0,
            tags: Vec::new(),
            home: None,
        };
        let images = [
            image("known-step", ""),
            image("known", "sha256:known-step"),
            image("left-step", ""),
            image("left", "sha256:left-step"),
        ];
        let unlisted = unlisted(&images, ["sha256:known".to_owned()].into());
        assert_eq!(unlisted, [("left".to_owned(), "left".to_owned())]);
    }

    #[test]
    fn a_broken_receipt_fails_and_hides_nothing() {
        let trouble = Trouble { message: "the receipt cannot be read".into(), hint: None };
        let findings = judge(&Leftovers { troubles: vec![trouble], at_work: vec!["a".into()], ..Leftovers::default() });
        assert_eq!(findings.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Failed, Level::Ok]);
    }
}
