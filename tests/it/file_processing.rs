//! The bundled file-processing plugin as it is installed, driven by curl and read by exiftool. Needs what
//! `tests/run.sh` makes: the bundled registry (NSELF_TEST_BUNDLE), Node, curl, exiftool, promtool and moto's server
//! (NSELF_TEST_MOTO).

use std::process::Command;

use crate::support::{Sandbox, State, bundle, free_port, node_client, passes, printed_host};

/// The largest image, in bytes.
const LARGEST_IMAGE: u64 = 30_000_000;

/// A sandbox beside which the bundled registry is installed, and the port that the plugin gets.
fn sandbox() -> (Sandbox, u16) {
    let port = free_port();
    let sandbox = Sandbox::new().bundled().with("FILE_PROCESSING_PORT", port.to_string());
    // Webhooks of the checks come back to this machine.
    (sandbox.with("FILE_PROCESSING_ALLOWED_HOSTS", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"), port)
}

/// The key that the installation generated, which removing files takes.
fn key(sandbox: &Sandbox) -> String {
    let reveal = ["config", "file-processing", "get", "FILE_PROCESSING_API_KEY", "--reveal"];
    sandbox.plugin(&reveal).ok().stdout.trim().to_owned()
}

/// This machine as containers of the plugin's network reach it.
fn gateway(sandbox: &Sandbox) -> String {
    let container = sandbox.container("file-processing").unwrap();
    let networks = container["NetworkSettings"]["Networks"].as_object().unwrap().clone();
    let gateways = networks.values().filter_map(|network| network["Gateway"].as_str());
    gateways.filter(|gateway| !gateway.is_empty()).map(str::to_owned).next().expect("a gateway")
}

#[test]
fn curl_and_exiftool_find_file_processing_as_its_page_says() {
    let (sandbox, port) = sandbox();
    sandbox.plugin(&["install", "file-processing"]).ok().answers(&[
        "(from bundled) is installed and healthy",
        &format!("http://{}:{port}", printed_host("files.localhost")),
    ]);
    let mut client = node_client("file-processing.mjs", &[&format!("http://127.0.0.1:{port}")]);
    client.env("FILE_PROCESSING_CALLBACK_HOST", gateway(&sandbox)).env("FILE_PROCESSING_API_KEY", key(&sandbox));
    passes(client, "curl", 40);
    sandbox.plugin(&["remove", "file-processing", "--delete-data", "--yes"]).ok();
    State::of(&sandbox).assert_tidy(&"after the removal");
}

#[test]
fn no_small_file_brings_the_file_processing_container_down() {
    let (sandbox, port) = sandbox();
    sandbox.plugin(&["install", "file-processing"]).ok();
    let started = sandbox.container("file-processing").unwrap()["State"]["StartedAt"].clone();
    passes(node_client("file-processing-hostile.mjs", &[&format!("http://127.0.0.1:{port}")]), "hostile files", 11);
    let container = sandbox.container("file-processing").unwrap();
    let state = &container["State"];
    assert_eq!((&container["RestartCount"], &state["OOMKilled"]), (&0.into(), &false.into()), "{state}");
    assert_eq!(state["StartedAt"], started);
    sandbox.plugin(&["remove", "file-processing", "--delete-data", "--yes"]).ok();
}

#[test]
fn the_file_processing_server_outlives_what_happens_to_servers() {
    let program = bundle().with_file_name("release").join("file-processing");
    let moto = std::env::var_os("NSELF_TEST_MOTO");
    let moto = moto.expect("NSELF_TEST_MOTO names moto_server; run tests/run.sh, which installs it");
    let mut client = node_client("file-processing-faults.mjs", &[]);
    client.arg(program).arg(moto);
    passes(client, "faults", 17);
}

#[test]
fn the_file_processing_image_is_small_closed_and_keeps_its_files_in_the_volume() {
    let (sandbox, port) = sandbox();
    sandbox.plugin(&["install", "file-processing"]).ok();
    sandbox.assert_bare("file-processing", LARGEST_IMAGE, &["file-processing"]);

    let base = format!("http://127.0.0.1:{port}");
    let curl = |arguments: &[&str]| {
        let output = Command::new("curl").args(["-sS", "--fail"]).args(arguments).output().expect("curl is there");
        assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let note = sandbox.path("note.txt");
    std::fs::write(&note, "kept\n").unwrap();
    let form = format!("file=@{}", note.display());
    curl(&["-F", &form, "-F", "fileId=kept", &format!("{base}/files")]);
    sandbox.plugin(&["remove", "file-processing"]).ok();
    sandbox.plugin(&["install", "file-processing"]).ok();
    assert_eq!(curl(&[&format!("{base}/files/kept")]), b"kept\n");
    sandbox.plugin(&["remove", "file-processing", "--delete-data", "--yes"]).ok();
}
