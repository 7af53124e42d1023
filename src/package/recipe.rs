//! The recipe: how a package becomes a container. Owns the order in which ways are looked for, and finds before
//! anything is changed that a way cannot work. Builds and pulls nothing.

mod dockerfile;
mod layer;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::tree::{Content, Item, Placed, Scope, list, write_placed};
use super::{Package, PackageError};

pub use layer::Layer;

/// Fragments that packages bring without naming them in the manifest.
const FRAGMENTS: &[&str] = &["docker-compose.plugin.yml", "docker-compose.plugin.yaml", "compose_fragment.yml"];
/// Files that show a source tree, and what it is called.
const SOURCE_TREES: &[(&str, &str)] = &[
    ("package.json", "a Node source tree"),
    ("ts/package.json", "a Node source tree"),
    ("pyproject.toml", "a Python source tree"),
    ("requirements.txt", "a Python source tree"),
    ("go.mod", "a Go source tree"),
];
const LOOKED_FOR: &str = "`service.compose` and `service.image` in plugin.json, docker-compose.plugin.yml, \
    compose_fragment.yml, Dockerfile, package.json, pyproject.toml, requirements.txt, go.mod";

/// How a package becomes a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// An image that is pulled or is there already.
    Image {
        /// Its name, as the engine takes it.
        reference: String,
    },
    /// An image that is made from the package.
    Dockerfile {
        /// The Dockerfile, relative to `context`.
        path: String,
        /// The package's folder.
        context: PathBuf,
        /// The image as one layer, where the Dockerfile only copies files: it is imported instead of built.
        layer: Option<Box<Layer>>,
        /// What the build takes in beyond the package and what it runs: its FROM, RUN and ADD lines.
        notable: Vec<String>,
    },
}

impl Recipe {
    /// The first way that applies: a compose fragment, an image, a Dockerfile, a source tree. A manifest of kind
    /// `container` says that its image or Dockerfile is all of it, so that fragments for other tools do not count.
    pub fn choose(package: &Package) -> Result<Self, PackageError> {
        let items = list(package.root(), Scope::Everything)?;
        choose(package.manifest(), package.root(), &items)
    }

    /// What a build runs and takes in, where there is a build: nothing for an image and for a single layer.
    pub fn build_lines(&self) -> Option<&[String]> {
        match self {
            Self::Dockerfile { layer: None, notable, .. } => Some(notable),
            _ => None,
        }
    }

    /// Writes the build context of a Dockerfile recipe as a plain tar archive, the same bytes for the same package;
    /// an image has none, which is told by `false`. Every file of the package is in it; each stage of the Dockerfile gets
    /// the label.
    pub fn write_build_context(&self, (key, value): (&str, &str), sink: impl Write) -> Result<bool, PackageError> {
        let Self::Dockerfile { context, path, .. } = self else { return Ok(false) };
        let items = list(context, Scope::Everything)?;
        let labelled = dockerfile::with_label(&dockerfile::read_text(&context.join(path))?, key, value);
        let placed = items.iter().map(|item| Placed {
            name: item.path.clone(),
            source: &item.path,
            content: item.content,
            owner: (0, 0),
            text: (item.path == *path).then_some(labelled.as_str()),
        });
        write_placed(context, placed, sink).map(|()| true)
    }
}

fn choose(manifest: &Manifest, root: &Path, items: &[Item]) -> Result<Recipe, PackageError> {
    let has = |path: &str| items.iter().any(|item| item.path == path && item.content != Content::Folder);
    let unknown = |found: String| Err(PackageError::UnknownRecipe { name: manifest.name.clone(), found });
    let service = &manifest.service;
    if matches!(service.kind.as_str(), "cli" | "library") {
        return unknown(format!("a shell, as a {}, and has no container", service.kind));
    }
    if service.kind != "container" {
        let fragment = service.compose.as_deref().or_else(|| FRAGMENTS.iter().copied().find(|path| has(path)));
        if let Some(fragment) = fragment {
            return unknown(format!("a compose fragment (`{fragment}`)"));
        }
    }
    if let Some(reference) = &service.image {
        return Ok(Recipe::Image { reference: reference.clone() });
    }
    let path = service.dockerfile.as_deref().unwrap_or("Dockerfile");
    if has(path) {
        let missing = dockerfile::missing_sources(root, path, items)?;
        if missing.is_empty() {
            let text = dockerfile::read_text(&root.join(path))?;
            return Ok(Recipe::Dockerfile {
                layer: Layer::of(root, &text, items).map(Box::new),
                notable: dockerfile::notable(&text),
                path: path.to_owned(),
                context: root.to_path_buf(),
            });
        }
        return Err(PackageError::BuildIncomplete {
            name: manifest.name.clone(),
            dockerfile: path.to_owned(),
            missing,
        });
    }
    if service.dockerfile.is_some() {
        let looked_for = format!("`{path}`, which its plugin.json names as the Dockerfile");
        return Err(PackageError::NoRecipe { name: manifest.name.clone(), looked_for });
    }
    if let Some((path, tree)) = SOURCE_TREES.iter().find(|(path, _)| has(path)) {
        return unknown(format!("{tree} (`{path}`)"));
    }
    Err(PackageError::NoRecipe { name: manifest.name.clone(), looked_for: LOOKED_FOR.to_owned() })
}
