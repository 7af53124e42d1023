//! What a build on the engine creates, written down as the engine reports it, so that an interrupted build can be cleaned
//! up: by the failing command, or after a kill by the next one. Owns one file in the transaction's staging directory and
//! the clean-up after it; removes nothing that the file does not lead to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::docker::{BuildNews, Docker, EngineError, ListedImage};
use crate::fs::{self, FileError};

/// A step that the engine was working on when the connection ended is committed a moment later.
const SECOND_LOOK: Duration = Duration::from_millis(400);

/// The journal of one build.
#[derive(Debug)]
pub struct BuildJournal {
    file: File,
}

/// What a journal holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// When the build began, in seconds since 1970.
    pub since: i64,
    /// The name that the image gets at the end.
    pub tag: String,
    /// The images of its steps by short id, some of them perhaps of earlier builds.
    pub images: Vec<String>,
    /// The containers of its steps by short id.
    pub containers: Vec<String>,
}

fn path(staging: &Path) -> PathBuf {
    staging.join("build-steps")
}

impl BuildJournal {
    /// Begins a journal, before the engine is asked for anything.
    pub fn begin(staging: &Path, tag: &str, now: u64) -> Result<Self, FileError> {
        fs::create_folder(staging)?;
        let path = path(staging);
        let mut file = File::create(&path).map_err(fs::failed("create", &path))?;
        writeln!(file, "since {now}\ntag {tag}").and_then(|()| file.sync_all()).map_err(fs::failed("write", &path))?;
        Ok(Self { file })
    }

    /// Adds what the engine reports. A line that cannot be written costs a leftover that `doctor` names.
    pub fn note(&mut self, news: BuildNews<'_>) {
        let _ = match news {
            BuildNews::Image(id) => writeln!(self.file, "image {id}"),
            BuildNews::Container(id) => writeln!(self.file, "container {id}"),
            BuildNews::Line(_) => Ok(()),
        };
    }
}

impl Built {
    /// Reads the journal of a transaction; empty where it built nothing.
    pub fn read(staging: &Path) -> Result<Self, FileError> {
        let bytes = fs::read_optional(&path(staging))?.unwrap_or_default();
        let mut built = Self::default();
        for line in String::from_utf8_lossy(&bytes).lines() {
            match line.split_once(' ') {
                Some(("since", seconds)) => built.since = seconds.parse().unwrap_or(i64::MAX),
                Some(("tag", tag)) => tag.clone_into(&mut built.tag),
                Some(("image", id)) => built.images.push(id.to_owned()),
                Some(("container", id)) => built.containers.push(id.to_owned()),
                _ => {}
            }
        }
        Ok(built)
    }

    /// The images without a name that this build created: those it lists, and those of this installation that were built
    /// upon them since. Children come before their parents.
    fn own<'a>(&self, home: &str, images: &'a [ListedImage]) -> Vec<&'a ListedImage> {
        let is_listed = |id: &str| self.images.iter().any(|short| id.trim_start_matches("sha256:").starts_with(short));
        let is_new = |image: &&ListedImage| image.created >= self.since && image.tags.is_empty();
        let mut own: Vec<&ListedImage> = images.iter().filter(is_new).filter(|image| is_listed(&image.id)).collect();
        loop {
            let ids: BTreeSet<&str> = own.iter().map(|image| image.id.as_str()).collect();
            let is_child = |image: &&ListedImage| {
                image.home.as_deref() == Some(home)
                    && !ids.contains(image.id.as_str())
                    && (ids.contains(image.parent.as_str()) || (is_listed(&image.parent)))
            };
            let children: Vec<&ListedImage> = images.iter().filter(is_new).filter(is_child).collect();
            if children.is_empty() {
                break;
            }
            own.extend(children);
        }
        let mut ordered: Vec<&ListedImage> = Vec::new();
        while !own.is_empty() {
            let parents: BTreeSet<String> = own.iter().map(|image| image.parent.clone()).collect();
            let (leaves, rest): (Vec<_>, Vec<_>) = own.iter().partition(|image| !parents.contains(&image.id));
            if leaves.is_empty() {
                break;
            }
            ordered.extend(leaves);
            own = rest;
        }
        ordered
    }
}

/// Removes what the build of a transaction created: its image by the name that only this transaction gives, the
/// containers that it lists, and its steps' images that nothing else uses.
pub async fn remove_built(docker: &Docker, staging: &Path, home: &str) -> Result<(), crate::error::Error> {
    let built = Built::read(staging)?;
    if built.tag.is_empty() {
        return Ok(());
    }
    remove_once(docker, &built, home).await?;
    if !built.images.is_empty() || !built.containers.is_empty() {
        tokio::time::sleep(SECOND_LOOK).await;
        remove_once(docker, &built, home).await?;
    }
    Ok(())
}

async fn remove_once(docker: &Docker, built: &Built, home: &str) -> Result<(), EngineError> {
    for container in &built.containers {
        docker.remove_container(container).await?;
    }
    docker.remove_image(&built.tag).await?;
    if !built.images.is_empty() {
        let images = docker.all_images().await?;
        for image in built.own(home, &images) {
            docker.remove_image(&image.id).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, parent: &str, created: i64, home: Option<&str>) -> ListedImage {
        ListedImage {
            id: format!("sha256:{id}"),
            parent: if parent.is_empty() { String::new() } else { format!("sha256:{parent}") },
            created,
            tags: Vec::new(),
            home: home.map(Into::into),
        }
    }

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = BuildJournal::begin(folder.path(), "nself/x:1", 7).unwrap();
        journal.note(BuildNews::Image("aa"));
        journal.note(BuildNews::Line("Step 1/2"));
        journal.note(BuildNews::Container("bb"));
        let expected =
            Built { since: 7, tag: "nself/x:1".into(), images: vec!["aa".into()], containers: vec!["bb".into()] };
        assert_eq!(Built::read(folder.path()).unwrap(), expected);
        assert_eq!(Built::read(&folder.path().join("absent")).unwrap(), Built::default());
    }

    #[test]
    fn only_new_images_that_the_journal_leads_to_are_the_builds_own() {
        let built = Built { since: 10, images: vec!["base".into(), "one".into()], ..Built::default() };
        let mut named = image("named", "one", 12, Some("h"));
        named.tags.push("other:1".into());
        let images = [
            image("base", "", 3, None),
            image("one", "base", 11, Some("h")),
            image("two", "one", 12, Some("h")),
            image("three", "two", 12, Some("h")),
            image("foreign", "base", 12, None),
            image("other-home", "base", 12, Some("x")),
            named,
        ];
        let own: Vec<&str> = built.own("h", &images).iter().map(|image| image.id.as_str()).collect();
        assert_eq!(own, ["sha256:three", "sha256:two", "sha256:one"]);
    }
}
