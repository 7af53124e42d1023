//! Images that need no build: a Dockerfile that starts FROM scratch and only copies files and sets metadata is one layer
//! and a list of changes, which the engine imports in one atomic step. Runs nothing; anything else is left to the builder.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::PackageError;
use super::super::tree::{Content, Item, Placed, write_placed};
use super::dockerfile::instructions;

/// The instructions that the engine takes as changes of an imported image (`docker import --change`).
const CHANGES: &[&str] =
    &["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "USER", "VOLUME", "WORKDIR"];
/// Characters with which a path means more than itself: patterns, variables, escapes.
const SPECIAL: &[char] = &['*', '?', '[', '\\', '$'];

/// An image of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    root: PathBuf,
    entries: Vec<Entry>,
    /// Dockerfile instructions for its metadata, a line each.
    pub changes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    source: String,
    content: Content,
    owner: (u64, u64),
}

impl Layer {
    /// Reads a Dockerfile; `None` where it needs a builder.
    pub(super) fn of(root: &Path, text: &str, items: &[Item]) -> Option<Self> {
        let has_ignore_file = items.iter().any(|item| item.path.ends_with(".dockerignore"));
        let has_directive = text.lines().next().is_some_and(|line| {
            let line: String = line.to_ascii_lowercase().split_whitespace().collect();
            line.starts_with("#syntax=") || line.starts_with("#escape=")
        });
        if has_ignore_file || has_directive {
            return None;
        }
        let mut tree = Tree::default();
        let mut changes = Vec::new();
        for (number, instruction) in instructions(text).iter().enumerate() {
            let (keyword, rest) = instruction.split_once(char::is_whitespace).unwrap_or((instruction, ""));
            match (number, keyword.to_ascii_uppercase().as_str()) {
                (0, "FROM") if rest.trim() == "scratch" => {}
                (0, _) => return None,
                (_, "COPY") => tree.copy(rest.trim(), items)?,
                // Its folder would have to be created, and what follows be relative to it.
                (_, "WORKDIR") if rest.trim() != "/" => return None,
                (_, keyword) if CHANGES.contains(&keyword) => changes.push(format!("{keyword} {}", rest.trim())),
                _ => return None,
            }
        }
        if tree.0.is_empty() {
            return None;
        }
        Some(Self { root: root.to_path_buf(), entries: tree.0.into_values().collect(), changes })
    }

    /// Writes the layer as a plain tar archive, the same bytes for the same package.
    pub fn write(&self, sink: impl Write) -> Result<(), PackageError> {
        let placed = self.entries.iter().map(|Entry { name, source, content, owner }| Placed {
            name: name.clone(),
            source,
            content: *content,
            owner: *owner,
            text: None,
        });
        write_placed(&self.root, placed, sink)
    }
}

/// The files of the layer by name, so that a later copy replaces an earlier one, and folders precede what is in them.
#[derive(Debug, Default)]
struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Follows `COPY [--chown=UID:GID] SOURCE… TARGET` as the builder does; `None` for what only the builder knows.
    fn copy(&mut self, mut rest: &str, items: &[Item]) -> Option<()> {
        let mut owner = (0, 0);
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, after) = flag.split_once(char::is_whitespace)?;
            let (user, group) = flag.strip_prefix("chown=")?.split_once(':')?;
            owner = (user.parse().ok()?, group.parse().ok()?);
            rest = after.trim_start();
        }
        let words: Vec<String> = match serde_json::from_str(rest) {
            Ok(words) => words,
            Err(_) => rest.split_whitespace().map(ToOwned::to_owned).collect(),
        };
        let is_plain =
            |word: &String| !word.contains(SPECIAL) && !word.starts_with("<<") && !word.contains(['"', '\'']);
        let (target, sources) = words.split_last()?;
        if sources.is_empty() || !words.iter().all(is_plain) {
            return None;
        }
        let into = components(target)?;
        let is_folder = target.ends_with('/') || matches!(target.as_str(), "." | "");
        if sources.len() > 1 && !is_folder {
            return None;
        }
        for source in sources {
            self.place(&components(source)?, (&into, is_folder), owner, items)?;
        }
        Some(())
    }

    fn place(
        &mut self,
        source: &str,
        (into, is_folder): (&str, bool),
        owner: (u64, u64),
        items: &[Item],
    ) -> Option<()> {
        if let Some(file) = items.iter().find(|item| item.path == source && item.content != Content::Folder) {
            let is_folder = is_folder || self.0.get(into).is_some_and(|entry| entry.content == Content::Folder);
            let base = source.rsplit('/').next().unwrap_or(source);
            let name = if is_folder { join(into, base) } else { into.to_owned() };
            return self.add(&name, file, owner);
        }
        // A folder's contents are copied, not the folder itself.
        let below = if source.is_empty() { String::new() } else { format!("{source}/") };
        if !source.is_empty() && items.iter().all(|item| item.path != source) {
            return None;
        }
        self.add_folders(into, owner)?;
        for item in items.iter().filter(|item| item.path.starts_with(&below)) {
            self.add(&join(into, &item.path[below.len()..]), item, owner)?;
        }
        Some(())
    }

    fn add(&mut self, name: &str, item: &Item, owner: (u64, u64)) -> Option<()> {
        if item.content == Content::Folder {
            return self.add_folders(name, owner);
        }
        self.add_folders(name.rsplit_once('/').map_or("", |(folder, _)| folder), owner)?;
        if self.0.get(name).is_some_and(|entry| entry.content == Content::Folder) {
            return None;
        }
        let entry = Entry { name: name.to_owned(), source: item.path.clone(), content: item.content, owner };
        self.0.insert(name.to_owned(), entry);
        Some(())
    }

    /// Adds a folder and those above it, unless they are there.
    fn add_folders(&mut self, name: &str, owner: (u64, u64)) -> Option<()> {
        let ends = name.match_indices('/').map(|(place, _)| place).chain([name.len()]);
        for folder in ends.map(|end| &name[..end]).filter(|folder| !folder.is_empty()) {
            let entry = || Entry { name: folder.to_owned(), source: String::new(), content: Content::Folder, owner };
            if self.0.entry(folder.to_owned()).or_insert_with(entry).content != Content::Folder {
                return None;
            }
        }
        Some(())
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A path without leading, doubled and trailing slashes and dots; `None` where it leads upwards.
fn components(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        let file = |path: &str| Item { path: path.into(), content: Content::File { size: 1, executable: false } };
        let folder = |path: &str| Item { path: path.into(), content: Content::Folder };
        vec![
            file("Dockerfile"),
            folder("data"),
            file("id"),
            folder("rootfs"),
            folder("rootfs/lib"),
            file("rootfs/lib/x.so"),
            file("rootfs/server"),
        ]
    }

    fn layer(text: &str) -> Option<Layer> {
        Layer::of(Path::new("/p"), text, &items())
    }

    fn names(layer: &Layer) -> Vec<(&str, &str, u64)> {
        layer.entries.iter().map(|entry| (entry.name.as_str(), entry.source.as_str(), entry.owner.0)).collect()
    }

    #[test]
    fn a_bundled_dockerfile_is_one_layer_with_its_owners_and_changes() {
        let text = "# A comment.\nFROM scratch\nCOPY rootfs/ /\nCOPY --chown=65532:65532 data/ /data/\n\
            ENV A=1 \\\n  B=2\nUSER 65532:65532\nENTRYPOINT [\"/server\", \\\n  \"-x\"]\n";
        let layer = layer(text).unwrap();
        let expected =
            [("data", "", 65532), ("lib", "", 0), ("lib/x.so", "rootfs/lib/x.so", 0), ("server", "rootfs/server", 0)];
        assert_eq!(names(&layer), expected);
        assert_eq!(layer.changes.len(), 3);
        assert_eq!(layer.changes[2].split_whitespace().collect::<String>(), "ENTRYPOINT[\"/server\",\"-x\"]");
    }

    #[test]
    fn files_are_placed_as_the_builder_places_them() {
        let of = |copy: &str| layer(&format!("FROM scratch\n{copy}\n")).unwrap();
        assert_eq!(names(&of("COPY id /")), [("id", "id", 0)]);
        assert_eq!(names(&of("COPY id other")), [("other", "id", 0)]);
        assert_eq!(names(&of("COPY id /a/b/")), [("a", "", 0), ("a/b", "", 0), ("a/b/id", "id", 0)]);
        assert_eq!(names(&of("COPY [\"id\", \"Dockerfile\", \"/\"]")).len(), 2);
        assert_eq!(names(&of("COPY rootfs/lib /lib\nCOPY id /lib")).last(), Some(&("lib/x.so", "rootfs/lib/x.so", 0)));
    }

    #[test]
    fn what_needs_a_builder_is_left_to_it() {
        for text in [
            "FROM debian\nCOPY id /\n",
            "FROM scratch AS one\nCOPY id /\n",
            "FROM scratch\nRUN [\"/server\"]\n",
            "FROM scratch\nADD id /\n",
            "FROM scratch\nCOPY --from=one /x /\n",
            "FROM scratch\nCOPY --chown=user id /\n",
            "FROM scratch\nCOPY i* /\n",
            "FROM scratch\nCOPY $X /\n",
            "FROM scratch\nCOPY absent /\n",
            "FROM scratch\nCOPY ../x /\n",
            "FROM scratch\nCOPY id data notafolder\n",
            "FROM scratch\nWORKDIR /srv\nCOPY id .\n",
            "FROM scratch\nFROM scratch\nCOPY id /\n",
            "# syntax=evil/frontend\nFROM scratch\nCOPY id /\n",
            "# escape=`\nFROM scratch\nCOPY id /\n",
            "ARG X\nFROM scratch\nCOPY id /\n",
            "",
        ] {
            assert_eq!(layer(text), None, "{text}");
        }
    }
}
