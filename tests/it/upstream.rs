//! Real registry documents, tested against in place. They are not part of the repository: where NSELF_TEST_SHARED does
//! not name their folder, one line says how many checks did not run.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::Sandbox;

fn document(name: &str) -> Option<PathBuf> {
    let Some(shared) = std::env::var_os("NSELF_TEST_SHARED") else {
        eprintln!("not run: 1 check against a real registry document ({name}): NSELF_TEST_SHARED is not set");
        return None;
    };
    let path = PathBuf::from(shared).join("upstream").join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    Some(path)
}

/// What `nself plugin list --registry nself --json` makes of a document.
fn listed(path: &std::path::Path) -> Vec<Value> {
    let sandbox = Sandbox::new().with("NSELF_PLUGIN_REGISTRY", path.display().to_string());
    let document = sandbox.plugin(&["list", "--registry", "nself", "--json"]).ok().json();
    document["plugins"].as_array().unwrap().clone()
}

fn find<'a>(plugins: &'a [Value], name: &str) -> &'a Value {
    plugins.iter().find(|plugin| plugin["plugin"] == name).unwrap_or_else(|| panic!("{name} is not listed"))
}

#[test]
fn the_document_of_january_gives_8_plugins() {
    let Some(path) = document("registry-2026-01.json") else { return };
    let plugins = listed(&path);
    assert_eq!(plugins.len(), 8);
    let realtime = find(&plugins, "realtime");
    assert_eq!(realtime["version"], "1.0.0");
    assert_eq!(realtime["port"], 3101);
    assert_eq!(realtime["digest"], Value::Null);
    assert_eq!(find(&plugins, "stripe")["port"], 3001);
    assert!(plugins.iter().all(|plugin| plugin["requires_license"] == false));
}

#[test]
fn the_document_of_june_gives_32_plugins() {
    let Some(path) = document("registry-2026-06.json") else { return };
    let plugins = listed(&path);
    assert_eq!(plugins.len(), 32);
    assert!(plugins.iter().all(|plugin| plugin["version"].is_string()));
    assert!(plugins.iter().any(|plugin| plugin["plugin"] == "ollama"));
}

#[test]
fn the_servers_answer_of_august_gives_35_plugins_and_three_need_a_licence() {
    let Some(path) = document("registry-server-2026-08.json") else { return };
    let plugins = listed(&path);
    assert_eq!(plugins.len(), 35);
    let mut licensed: Vec<&str> = plugins
        .iter()
        .filter(|plugin| plugin["requires_license"] == true)
        .map(|plugin| plugin["plugin"].as_str().unwrap())
        .collect();
    licensed.sort_unstable();
    assert_eq!(licensed, ["file-processing", "idme", "realtime"]);
}
