//! The oracle: everything that a sandbox has on disk and on the engine, to be compared before and after.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::engine::Engine;
use super::sandbox::Sandbox;

/// What may differ without anything having been left: locks, caches, the id of the home, and the journal's transactions
/// that ended.
const UNCOUNTED: &[&str] =
    &[".nself/locks", ".nself/cache", ".nself/home-id", ".nself/transactions/undone", ".nself/transactions/finished"];

/// The longest file, in bytes, that is compared by its text.
const LONGEST_TEXT: u64 = 64 * 1024;

/// What there is, one line a thing, each with what tells whether it is the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<String, String>);

impl State {
    /// Looks at everything that the sandbox, its project and its home have.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let mut things = BTreeMap::new();
        files(&sandbox.home(), &sandbox.home(), &mut things);
        let prefix = format!("{}_", sandbox.project);
        let label = sandbox.label();
        let is_ours = |thing: &Value, names: &[&str]| {
            let labels = &thing["Labels"];
            let has_label =
                label.as_ref().and_then(|label| label.split_once('=')).is_some_and(|(key, id)| labels[key] == id);
            has_label || names.iter().any(|name| name.trim_start_matches('/').starts_with(&prefix))
        };
        for container in Engine::containers(&json!({})) {
            let names: Vec<&str> =
                container["Names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            // What the engine lists without a name is removed: see `has_name` in src/docker/observe.rs.
            if !names.is_empty() && is_ours(&container, &names) {
                let facts = format!("{} {} {}", container["Id"], container["State"], container["ImageID"]);
                things.insert(format!("container {}", names.join(" ")), facts);
            }
        }
        for (kind, list) in [("network", Engine::networks(&json!({}))), ("volume", Engine::volumes(&json!({})))] {
            for thing in list {
                let name = thing["Name"].as_str().unwrap_or_default();
                if is_ours(&thing, &[name]) {
                    let made = thing.get("Id").or(thing.get("CreatedAt")).cloned().unwrap_or_default();
                    things.insert(format!("{kind} {name}"), made.to_string());
                }
            }
        }
        for image in Engine::images(&json!({})) {
            if is_ours(&image, &[]) {
                things.insert(format!("image {}", image["Id"]), image["RepoTags"].to_string());
            }
        }
        Self(things)
    }

    /// Asserts that everything is as it was.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self, sandbox: &Sandbox, context: &dyn std::fmt::Display) {
        let now = Self::of(sandbox);
        let differences = self.differences(&now);
        assert!(differences.is_empty(), "something was left or lost:\n{}\n{context}", differences.join("\n"));
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (thing, facts) in &self.0 {
            match now.0.get(thing) {
                None => differences.push(format!("  gone: {thing} ({facts})")),
                Some(other) if other != facts => differences.push(format!("  changed: {thing}: {facts} → {other}")),
                Some(_) => {}
            }
        }
        differences.extend(
            now.0
                .iter()
                .filter(|(thing, _)| !self.0.contains_key(*thing))
                .map(|(thing, facts)| format!("  new: {thing} ({facts})")),
        );
        differences
    }

    /// The things whose line begins so.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<String> {
        self.0.keys().filter(|thing| thing.starts_with(kind)).cloned().collect()
    }

    /// Asserts that nothing of an unfinished transaction is there: no record, no staging folder, no parked container.
    #[track_caller]
    pub(crate) fn assert_tidy(&self, context: &dyn std::fmt::Display) {
        let unfinished: Vec<&String> = self
            .0
            .keys()
            .filter(|thing| {
                thing.contains("/transactions/")
                    || thing.contains("/.staging/")
                    || (thing.starts_with("container") && (thing.contains(".next.") || thing.contains(".prev.")))
            })
            .collect();
        assert!(unfinished.is_empty(), "left of a transaction: {unfinished:?}\n{context}");
    }
}

fn files(root: &Path, folder: &Path, things: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap().display().to_string();
        if UNCOUNTED.contains(&relative.as_str()) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            // Folders for many plugins may stay empty; a plugin's own may not.
            if relative.starts_with(".nself/plugins/") && relative != ".nself/plugins/.staging" {
                things.insert(format!("folder {relative}/"), String::new());
            }
            files(root, &path, things);
        } else {
            things.insert(format!("file {relative}"), facts_of(&path, kind.is_symlink()));
        }
    }
}

/// What tells whether a file is the same: its text, or, where that is long, its length and the moment of its writing,
/// which no rename changes.
fn facts_of(path: &Path, is_link: bool) -> String {
    use std::os::unix::fs::MetadataExt;
    if is_link {
        return format!("link to {}", std::fs::read_link(path).unwrap().display());
    }
    let facts = std::fs::metadata(path).unwrap();
    if facts.len() > LONGEST_TEXT {
        return format!("{} bytes of {}.{:09}", facts.len(), facts.mtime(), facts.mtime_nsec());
    }
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}
