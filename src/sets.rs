//! Plugin sets: names for groups of plugins that are installed together. Owns the groups that every registry knows and
//! which flag means which; registries may name more.

use crate::name::PluginName;

/// The sets of the nself backend, in the order in which they are shown: name, what it is for, its plugins.
pub const BUILT_IN: &[(&str, &str, &[&str])] = &[
    ("core", "what a backend needs", &["realtime", "notifications", "jobs", "file-processing"]),
    ("auth", "sign-in through others", &["idme"]),
    ("integrations", "services of others", &["stripe", "github", "shopify"]),
];

/// Which sets a command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct SetFlags {
    /// The core plugins: realtime, notifications, jobs, file-processing
    #[arg(long, conflicts_with_all = ["with_auth", "all"])]
    pub core_only: bool,
    /// The core plugins and those of the set auth
    #[arg(long, conflicts_with = "all")]
    pub with_auth: bool,
    /// Every set: core, auth and integrations
    #[arg(long)]
    pub all: bool,
    /// The plugins of a set: core, auth, integrations, or one that a registry names
    #[arg(long = "set", value_name = "NAME")]
    pub sets: Vec<String>,
}

impl SetFlags {
    /// Whether any is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The sets by name, each once, in order.
    pub fn names(&self) -> Vec<String> {
        let built_in = match (self.all, self.with_auth, self.core_only) {
            (true, ..) => BUILT_IN.len(),
            (_, true, _) => 2,
            (.., true) => 1,
            _ => 0,
        };
        let mut names: Vec<String> = BUILT_IN[..built_in].iter().map(|(name, ..)| (*name).to_owned()).collect();
        for name in &self.sets {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// What a built-in set is for; `None` for a name that is none.
pub fn purpose(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, ..)| *known == name).map(|(_, purpose, _)| *purpose)
}

/// The plugins of a built-in set; `None` for a name that is none.
pub fn built_in(name: &str) -> Option<Vec<PluginName>> {
    let (.., plugins) = BUILT_IN.iter().find(|(known, ..)| *known == name)?;
    Some(plugins.iter().filter_map(|plugin| plugin.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_their_sets_once_and_in_order() {
        let names = |flags: SetFlags| flags.names().join(" ");
        assert_eq!(names(SetFlags { core_only: true, ..SetFlags::default() }), "core");
        assert_eq!(names(SetFlags { with_auth: true, ..SetFlags::default() }), "core auth");
        let all = SetFlags { all: true, sets: vec!["media".into(), "core".into()], ..SetFlags::default() };
        assert_eq!(names(all), "core auth integrations media");
    }

    #[test]
    fn every_name_of_a_built_in_set_is_a_plugins_name() {
        for (name, _, plugins) in BUILT_IN {
            assert_eq!(built_in(name).map(|plugins| plugins.len()), Some(plugins.len()), "{name}");
        }
        assert_eq!(built_in("media"), None);
    }
}
