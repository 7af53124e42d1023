//! Whether a package's build may run programs on the engine: for packages that are not bundled the user says so. Owns the
//! rule, its words in plan and receipt; builds nothing.

use super::pipeline::Shared;
use crate::cli::BuildAllowed;
use crate::commands::target::{Source, Target};
use crate::error::Error;
use crate::name::shown;
use crate::package::Package;
use crate::package::recipe::Recipe;
use crate::plan::ImageNeed;
use crate::preflight::Problem;
use crate::registries::BUNDLED;
use crate::state::Receipt;

/// What receipts call the grants.
const GRANTED: &str = "build";
const GRANTED_WITH_NETWORK: &str = "build with network";

/// What a build may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// There is no build, or it is the program's own package.
    Unasked,
    Offline,
    Network,
}

impl Allowed {
    pub(super) fn has_network(self) -> bool {
        self == Self::Network
    }

    /// As the receipt keeps it.
    pub(super) fn granted(self) -> Option<String> {
        match self {
            Self::Unasked => None,
            Self::Offline => Some(GRANTED.to_owned()),
            Self::Network => Some(GRANTED_WITH_NETWORK.to_owned()),
        }
    }
}

/// What the build of a package may do: what the command line says, else what was granted for the same package before.
/// The error shows what the build runs, and the flag.
pub(super) fn allowed(
    shared: &Shared<'_>,
    target: &Target,
    (recipe, package): (&Recipe, &Package),
    earlier: Option<&Receipt>,
) -> Result<Allowed, Problem> {
    let Some(lines) = recipe.build_lines() else { return Ok(Allowed::Unasked) };
    let same = earlier.filter(|receipt| match package.digest() {
        Some(digest) => receipt.digest == Some(digest),
        None => matches!(target.source, Source::Installed),
    });
    let had = |word: &str| same.is_some_and(|receipt| receipt.granted.iter().any(|granted| granted == word));
    match shared.allow_build {
        Some(BuildAllowed::Network) => return Ok(Allowed::Network),
        Some(BuildAllowed::Offline) => return Ok(Allowed::Offline),
        None if had(GRANTED_WITH_NETWORK) => return Ok(Allowed::Network),
        None if had(GRANTED) => return Ok(Allowed::Offline),
        None if target.registry_or(earlier) == BUNDLED => return Ok(Allowed::Unasked),
        None => {}
    }
    let word = target.word();
    Err(Problem {
        code: "build",
        message: format!("the build of `{}` runs: {}", target.name, steps(lines)),
        hint: Some(format!(
            "if you trust it: nself plugin install {word} --allow-build (with network access: --allow-build=network)"
        )),
    })
}

/// The same as an error, where an image must be built at all.
pub(super) fn check(
    shared: &Shared<'_>,
    target: &Target,
    sources: (&Recipe, &Package),
    (image, earlier): (&ImageNeed, Option<&Receipt>),
) -> Result<Allowed, Error> {
    match allowed(shared, target, sources, earlier) {
        Ok(allowed) => Ok(allowed),
        Err(problem) if matches!(image, ImageNeed::Build { .. }) => Err(Error::Preflight(vec![problem])),
        Err(_) => Ok(Allowed::Unasked),
    }
}

/// What the plan says of a build.
pub(super) fn note(recipe: &Recipe, allowed: Allowed) -> Option<String> {
    let network = if allowed.has_network() { "with" } else { "without" };
    recipe.build_lines().map(|lines| format!("the build runs, {network} network access: {}", steps(lines)))
}

fn steps(lines: &[String]) -> String {
    lines.iter().map(|line| shown(line)).collect::<Vec<_>>().join("; ")
}
