//! Where a document was read from, and what the addresses in it mean from there. Owns which addresses are accepted;
//! opens none of them.

use std::path::{Component, Path, PathBuf};

use url::Url;

use super::ArchiveAddress;
use super::entry::{Entry, Key, Problem, named, text};
use super::loose::Loose;
use crate::name::shown;

/// The longest address that is followed.
const LONGEST_ADDRESS: usize = 2048;

/// Addresses of one archive, the most specific first.
const ADDRESSES: &[Key] =
    &[Key::Tarball, Key::TarballUrl, Key::TarballUrlUpper, Key::DownloadUrl, Key::DownloadUrlCamel];

/// What a document does not say of itself.
#[derive(Debug, Clone)]
pub struct Base {
    /// The registry's name.
    pub registry: String,
    /// Whether the registry's key is pinned.
    pub pinned: bool,
    /// Where the document is from.
    pub place: Place,
}

/// Where a document was read, which relative addresses start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The document's own address.
    Url(Url),
    /// The folder that the document is in.
    Folder(PathBuf),
}

/// The archives of an entry. An entry that gives addresses of which none is acceptable is refused; one that gives
/// none at all is listed, and cannot be installed.
pub(super) fn archives(entry: &Entry<'_>, base: &Base) -> Result<Vec<ArchiveAddress>, Problem> {
    let mut archives = Vec::new();
    let mut refused = None;
    for key in ADDRESSES {
        let Some(word) = text(entry, *key)? else { continue };
        match resolve(word, &base.place) {
            Ok(address) if archives.contains(&address) => {}
            Ok(address) => archives.push(address),
            Err(reason) => refused = Some(format!("`{}` is refused: {reason}", key.word())),
        }
    }
    if let (true, Some(reason)) = (archives.is_empty(), refused) {
        return Err(reason);
    }
    if let Place::Url(document) = &base.place
        && archives.iter().any(|archive| is_public(archive) && host(document) != Some(PUBLIC_HOST))
    {
        let own = own_archives(entry, document)?;
        archives.splice(0..0, own.into_iter().map(ArchiveAddress::Url));
    }
    if archives.is_empty() && text(entry, Key::Path)?.is_some() {
        archives.extend(whole_repository(entry)?.map(ArchiveAddress::Url));
    }
    Ok(archives)
}

/// The host of the public registry, which documents of other registries often name by mistake.
const PUBLIC_HOST: &str = "plugins.nself.org";

fn host(url: &Url) -> Option<&str> {
    url.host_str()
}

fn is_public(archive: &ArchiveAddress) -> bool {
    matches!(archive, ArchiveAddress::Url(url) if host(url) == Some(PUBLIC_HOST))
}

/// Where a registry of upstream's kind serves archives itself: beside its document.
fn own_archives(entry: &Entry<'_>, document: &Url) -> Result<Vec<Url>, Problem> {
    let Some(name) = text(entry, Key::Name)? else { return Ok(Vec::new()) };
    let mut paths = Vec::new();
    if let Some(version) = text(entry, Key::Version)? {
        paths.push(format!("plugins/{name}/{version}/tarball"));
    }
    paths.push(format!("plugins/{name}/tarball"));
    Ok(paths.iter().filter_map(|path| document.join(path).ok()).filter(|url| host(url) == host(document)).collect())
}

/// Entries that only name a folder of a repository on github.com mean the repository as it is now: its archive of
/// the main branch, in which the plugin is then looked for by name.
fn whole_repository(entry: &Entry<'_>) -> Result<Option<Url>, Problem> {
    let Some(word) = named(entry, Key::Repository, "url")? else { return Ok(None) };
    let Ok(repository) = Url::parse(word.trim_start_matches("git+")) else { return Ok(None) };
    if repository.scheme() != "https" || repository.host_str() != Some("github.com") || has_credentials(&repository) {
        return Ok(None);
    }
    let path: Vec<&str> = repository.path_segments().map(Iterator::collect).unwrap_or_default();
    let [owner, name, ..] = path.as_slice() else { return Ok(None) };
    let name = name.strip_suffix(".git").unwrap_or(name);
    if owner.is_empty() || name.is_empty() {
        return Ok(None);
    }
    Ok(Url::parse(&format!("https://github.com/{owner}/{name}/archive/refs/heads/main.tar.gz")).ok())
}

fn resolve(word: &str, place: &Place) -> Result<ArchiveAddress, String> {
    if word.len() > LONGEST_ADDRESS {
        return Err(format!("it is longer than {LONGEST_ADDRESS} characters"));
    }
    match (Url::parse(word), place) {
        (Ok(url), Place::Folder(_)) if url.scheme() == "file" => {
            url.to_file_path().map(ArchiveAddress::Path).map_err(|()| format!("`{}` is not a path", shown(word)))
        }
        (Ok(url), _) => accept(url),
        (Err(url::ParseError::RelativeUrlWithoutBase), Place::Url(base)) => {
            accept(base.join(word).map_err(|error| format!("`{}`: {error}", shown(word)))?)
        }
        (Err(url::ParseError::RelativeUrlWithoutBase), Place::Folder(folder)) => within(word, folder),
        (Err(error), _) => Err(format!("`{}`: {error}", shown(word))),
    }
}

fn accept(url: Url) -> Result<ArchiveAddress, String> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("a `{}:` address is not accepted", shown(url.scheme())));
    }
    if has_credentials(&url) {
        return Err("it holds a user name".to_owned());
    }
    Ok(ArchiveAddress::Url(url))
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// A relative path stays in the registry's folder.
fn within(word: &str, folder: &Path) -> Result<ArchiveAddress, String> {
    let path = Path::new(word);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays || word.contains('\0') {
        return Err(format!("`{}` leaves the registry's folder", shown(word)));
    }
    Ok(ArchiveAddress::Path(folder.join(path)))
}

/// What the sets of a document hold: names by set.
pub(super) fn names_of_set<'v>(value: &'v Loose<'_>) -> Option<Vec<&'v str>> {
    let Loose::List(values) = value else { return None };
    values
        .iter()
        .map(|value| match value {
            Loose::Text(name) => Some(name.as_ref()),
            _ => None,
        })
        .collect()
}
