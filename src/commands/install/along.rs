//! What comes along: plugins that a command installs only because others need them, and for whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::target::{Found, Target};
use crate::name::PluginName;

/// What one plugin has others for.
#[derive(Debug, Default, Clone)]
pub(super) struct Wishes {
    /// It cannot be installed without them.
    pub(super) required: Vec<PluginName>,
    /// They are brought where they can be.
    pub(super) welcome: Vec<PluginName>,
}

impl Wishes {
    /// What a target needs, and the services that it may have a use for, which come as plugins too.
    pub(super) fn of(target: &Target) -> Self {
        let services = target.services.iter().filter(|need| !need.optional);
        Self {
            required: target.dependencies.clone(),
            welcome: services.filter_map(|need| need.name.parse().ok()).collect(),
        }
    }
}

/// What the plugins of a command need of one another.
#[derive(Debug, Default)]
pub struct Needs {
    wishes: BTreeMap<PluginName, Wishes>,
    /// Those that the command line names, itself or by a set.
    named: BTreeSet<PluginName>,
}

impl Needs {
    /// From each plugin's own, and whether the command line names it.
    pub(super) fn of(plugins: impl IntoIterator<Item = (PluginName, Wishes, bool)>) -> Self {
        let mut all = Self::default();
        for (name, wishes, is_named) in plugins {
            if is_named {
                all.named.insert(name.clone());
            }
            all.wishes.insert(name, wishes);
        }
        all
    }

    /// From what was found, services included.
    pub(super) fn among(found: &[Found], named: &BTreeSet<PluginName>) -> Self {
        let targets = found.iter().filter_map(|(_, target)| target.as_ref().ok());
        Self::of(targets.map(|target| (target.name.clone(), Wishes::of(target), named.contains(&target.name))))
    }

    /// The plugins of the command line for which this one comes along, directly or through others; none where it is named
    /// itself.
    pub(super) fn wanted_by(&self, plugin: &PluginName) -> BTreeSet<PluginName> {
        if self.named.contains(plugin) {
            return BTreeSet::new();
        }
        let all = self.with_all_that(BTreeSet::from([plugin.clone()]), |wishes, other| {
            wishes.required.contains(other) || wishes.welcome.contains(other)
        });
        all.intersection(&self.named).cloned().collect()
    }

    /// These plugins and all that cannot be installed without one of them, directly or through others.
    pub fn with_dependents(&self, plugins: BTreeSet<PluginName>) -> BTreeSet<PluginName> {
        self.with_all_that(plugins, |wishes, other| wishes.required.contains(other))
    }

    fn with_all_that(
        &self,
        mut plugins: BTreeSet<PluginName>,
        have: fn(&Wishes, &PluginName) -> bool,
    ) -> BTreeSet<PluginName> {
        loop {
            let is_next = |(name, wishes): &(&PluginName, &Wishes)| {
                !plugins.contains(*name) && plugins.iter().any(|other| have(wishes, other))
            };
            let next: Vec<PluginName> = self.wishes.iter().filter(is_next).map(|(name, _)| name.clone()).collect();
            if next.is_empty() {
                return plugins;
            }
            plugins.extend(next);
        }
    }

    /// Those that come along for plugins alone which are left out, all that need one of these included.
    pub fn idle_without(&self, left_out: &BTreeSet<PluginName>) -> BTreeSet<PluginName> {
        let is_idle = |name: &&PluginName| {
            let wanted_by = self.wanted_by(name);
            !left_out.contains(*name) && !wanted_by.is_empty() && wanted_by.is_subset(left_out)
        };
        self.wishes.keys().filter(is_idle).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> BTreeSet<PluginName> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    /// jobs needs redis through queue; mail may have a use for redis; nobody needs clock.
    fn needs() -> Needs {
        let plugins: [(&str, &[&str], &[&str], bool); 5] = [
            ("jobs", &["queue"], &[], true),
            ("mail", &[], &["redis"], true),
            ("queue", &["redis"], &[], false),
            ("redis", &[], &[], false),
            ("clock", &[], &[], false),
        ];
        let list = |words: &[&str]| names(words).into_iter().collect();
        Needs::of(plugins.map(|(name, required, welcome, is_named)| {
            (name.parse().unwrap(), Wishes { required: list(required), welcome: list(welcome) }, is_named)
        }))
    }

    #[test]
    fn what_cannot_be_installed_takes_along_what_needs_it() {
        assert_eq!(needs().with_dependents(names(&["redis"])), names(&["jobs", "queue", "redis"]));
    }

    #[test]
    fn what_comes_along_does_so_for_plugins_of_the_command_line() {
        let needs = needs();
        assert_eq!(needs.wanted_by(&"redis".parse().unwrap()), names(&["jobs", "mail"]));
        assert_eq!(needs.wanted_by(&"queue".parse().unwrap()), names(&["jobs"]));
        assert!(needs.wanted_by(&"clock".parse().unwrap()).is_empty());
    }

    #[test]
    fn it_is_idle_when_all_that_need_it_are_left_out() {
        let needs = needs();
        assert_eq!(needs.idle_without(&names(&["jobs"])), names(&["queue"]));
        assert_eq!(needs.idle_without(&names(&["jobs", "mail"])), names(&["queue", "redis"]));
        assert!(needs.idle_without(&names(&[])).is_empty());
    }
}
