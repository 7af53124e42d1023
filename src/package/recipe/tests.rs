//! Which recipe is chosen, and what is found before a build.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::super::test_archives::{RawTar, World};
use super::*;

fn package(world: &World, service: &Value, files: &[(&str, &str)]) -> Package {
    let manifest = json!({"manifest_version": 2, "name": "realtime", "version": "1.0.0", "service": service});
    let mut tar = RawTar::default().file("realtime/plugin.json", manifest.to_string().as_bytes());
    for (name, text) in files {
        tar = tar.file(&format!("realtime/{name}"), text.as_bytes());
    }
    world.archive(&tar.gz()).unpack(&world.staging(), None, None).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "a value made on the spot reads best")]
fn chosen(service: Value, files: &[(&str, &str)]) -> Result<Recipe, PackageError> {
    Recipe::choose(&package(&World::new(), &service, files))
}

const SCRATCH: (&str, &str) = ("Dockerfile", "FROM scratch\nCOPY plugin.json /\n");

#[test]
fn an_image_comes_before_a_dockerfile() {
    let recipe = chosen(json!({"image": "example.org/x:1"}), &[SCRATCH]).unwrap();
    assert_eq!(recipe, Recipe::Image { reference: "example.org/x:1".into() });
    assert!(!recipe.write_build_context(("k", "v"), Vec::new()).unwrap());
    let recipe = chosen(json!({}), &[SCRATCH]).unwrap();
    assert!(matches!(recipe, Recipe::Dockerfile { path, .. } if path == "Dockerfile"));
}

#[test]
fn a_dockerfile_of_another_name_is_used_when_named() {
    let files = [("build/Dockerfile.x", "FROM scratch\nCOPY plugin.json /\n")];
    let recipe = chosen(json!({"dockerfile": "build/Dockerfile.x"}), &files).unwrap();
    assert!(matches!(recipe, Recipe::Dockerfile { path, .. } if path == "build/Dockerfile.x"));
    let error = chosen(json!({"dockerfile": "absent"}), &[SCRATCH]).unwrap_err();
    assert!(error.to_string().contains("`absent`"), "{error}");
}

#[test]
fn compose_fragments_and_source_trees_are_named_and_refused() {
    for (files, found) in [
        (&[("docker-compose.plugin.yml", "services: {}"), SCRATCH][..], "docker-compose.plugin.yml"),
        (&[("compose_fragment.yml", "services: {}")], "compose_fragment.yml"),
        (&[("ts/package.json", "{}")], "a Node source tree"),
        (&[("pyproject.toml", "")], "a Python source tree"),
    ] {
        let error = chosen(json!({}), files).unwrap_err();
        assert!(matches!(error, PackageError::UnknownRecipe { .. }) && error.to_string().contains(found), "{error}");
    }
    let error = chosen(json!({"kind": "compose", "compose": "x.yml", "image": "x"}), &[]).unwrap_err();
    assert!(error.to_string().contains("`x.yml`"), "{error}");
    for kind in ["cli", "library"] {
        assert!(matches!(chosen(json!({"kind": kind}), &[SCRATCH]), Err(PackageError::UnknownRecipe { .. })));
    }
    let container = chosen(json!({"kind": "container"}), &[("docker-compose.plugin.yml", "services: {}"), SCRATCH]);
    assert!(matches!(container, Ok(Recipe::Dockerfile { .. })), "a container says that its Dockerfile is all of it");
}

#[test]
fn a_package_without_any_recipe_is_told_what_was_looked_for() {
    let error = chosen(json!({}), &[("README.md", "")]).unwrap_err();
    assert_eq!(error.exit_class(), 5);
    for word in ["service.image", "docker-compose.plugin.yml", "Dockerfile", "package.json"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_build_that_needs_what_the_package_lacks_is_found_before_it_begins() {
    for (instruction, extra, missing) in [
        ("COPY ../../sdk /sdk", &[][..], Some("`../../sdk`")),
        ("COPY ../../sdk /sdk", &[("sdk/x", "")], Some("`../../sdk`")),
        ("COPY go.mod go.sum ./", &[("go.mod", "module x\n")], Some("`go.sum`")),
        ("COPY go.mod go.sum ./", &[("go.mod", "module x\n"), ("go.sum", "")], None),
        ("COPY plugins/cron /x", &[], Some("`plugins/cron`")),
        ("COPY --chown=1 src/*.go /x", &[("src/a.go", "")], None),
        ("COPY src/*.go /x", &[("src/a.js", "")], Some("`src/*.go`")),
        ("COPY src /x", &[("src/a.js", "")], None),
        ("COPY . /x", &[], None),
        ("COPY / /x", &[], None),
        ("COPY ./src/../plugin.json /x", &[], None),
        ("COPY --from=builder /out /x", &[], None),
        ("COPY ${WHERE}/x /x", &[], None),
        ("ADD https://example.org/x /x", &[], None),
        ("ADD [\"a b\", \"/x\"]", &[], Some("`a b`")),
        ("COPY go.mod /x", &[("go.mod", "module x\nreplace y => ../../sdk\n")], Some("`../../sdk`")),
        ("COPY go.mod /x", &[("go.mod", "module x\nreplace y => ./y\n"), ("y/z", "")], None),
    ] {
        let text = format!("FROM scratch\n{instruction}\n");
        let files: Vec<_> = extra.iter().copied().chain([("Dockerfile", text.as_str())]).collect();
        match (chosen(json!({}), &files), missing) {
            (Ok(Recipe::Dockerfile { .. }), None) => {}
            (Err(PackageError::BuildIncomplete { missing, .. }), Some(expected)) => {
                assert_eq!(missing, [expected], "{instruction}");
            }
            (other, _) => panic!("{instruction}: {other:?}"),
        }
    }
}

#[test]
fn the_build_context_holds_the_whole_package_and_is_the_same_every_time() {
    let context = || {
        let world = World::new();
        let package =
            package(&world, &json!({}), &[SCRATCH, ("src/main", "x"), ("target/kept", ""), (".dockerignore", "*")]);
        fs::File::open(package.root().join("src/main")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let mut bytes = Vec::new();
        assert!(Recipe::choose(&package).unwrap().write_build_context(("k", "v"), &mut bytes).unwrap());
        bytes
    };
    let bytes = context();
    assert_eq!(bytes, context());
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries: BTreeMap<_, _> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            (entry.path().unwrap().to_string_lossy().into_owned(), (header.mode().unwrap(), owner))
        })
        .collect();
    let names: Vec<_> = entries.keys().map(String::as_str).collect();
    assert_eq!(names, [".dockerignore", "Dockerfile", "plugin.json", "src/", "src/main", "target/", "target/kept"]);
    assert!(entries.values().all(|(mode, owner)| [0o644, 0o755].contains(mode) && *owner == (0, 0, 0)));
}
