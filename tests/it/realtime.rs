//! The bundled realtime plugin as it is installed, driven by the real npm client. Needs what `tests/run.sh` makes: the
//! bundled registry (NSELF_TEST_BUNDLE), Node and the modules of `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Engine, Running, Sandbox, State, free_port};

/// The largest program that is shipped, in bytes.
const LARGEST_PROGRAM: u64 = 15_000_000;
/// The largest realtime image, in bytes.
const LARGEST_IMAGE: u64 = 25_000_000;

fn bundle() -> PathBuf {
    let path = std::env::var_os("NSELF_TEST_BUNDLE").map(PathBuf::from);
    let path = path.expect("NSELF_TEST_BUNDLE names the bundled registry; run tests/run.sh, which builds it");
    assert!(path.join("registry.json").is_file(), "there is no registry.json in {}", path.display());
    path
}

/// A sandbox beside which the bundled registry is installed, and the port that realtime gets.
fn sandbox() -> (Sandbox, u16) {
    let port = free_port();
    let sandbox = Sandbox::new().with("REALTIME_PORT", port.to_string());
    let data = sandbox.path("share");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(bundle(), data.join("registry")).unwrap();
    let data = data.display().to_string();
    (sandbox.with("NSELF_DATA_DIR", data), port)
}

#[test]
fn the_real_client_finds_realtime_as_its_page_says() {
    let (sandbox, port) = sandbox();
    sandbox
        .plugin(&["install", "realtime"])
        .ok()
        .answers(&["(from bundled) is installed and healthy", &format!("http://realtime.localhost:{port}")])
        .answers(&["made at random and kept: REALTIME_JWT_SECRET"]);
    let secret = sandbox.plugin(&["config", "realtime", "get", "REALTIME_JWT_SECRET", "--reveal"]).ok().stdout;
    let node = std::env::var_os("NSELF_TEST_NODE").unwrap_or_else(|| "node".into());
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/realtime.mjs");
    assert!(client.with_file_name("node_modules").is_dir(), "run tests/run.sh, which installs the npm client");
    let mut command = Command::new(node);
    command.arg(client).arg(format!("http://127.0.0.1:{port}")).env("REALTIME_JWT_SECRET", secret.trim());
    let outcome = Running::new(command, "(the npm client)".to_owned()).wait().ok();
    let passed = outcome.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= 30, "{outcome}");
    sandbox.plugin(&["logs", "realtime"]).ok().hides(&[secret.trim()]);
    sandbox.plugin(&["remove", "realtime"]).ok();
    State::of(&sandbox).assert_tidy(&"after the removal");
}

#[test]
fn the_image_holds_the_server_and_its_libraries_and_nothing_else() {
    let (sandbox, _) = sandbox();
    sandbox.plugin(&["install", "realtime"]).ok();
    let container = sandbox.container("realtime").unwrap();
    assert_eq!(container["HostConfig"]["ReadonlyRootfs"], true);
    assert_eq!(container["HostConfig"]["CapDrop"][0], "ALL");
    assert_eq!(container["Config"]["User"], "65532:65532");
    let image = container["Image"].as_str().unwrap();
    let size = Engine::request("GET", &format!("/images/{image}/json"), None).1["Size"].as_u64().unwrap();
    assert!(size <= LARGEST_IMAGE, "the realtime image has {size} bytes");

    let name = sandbox.container_name("realtime");
    let listing = Command::new("sh")
        .args(["-c", &format!("docker export {name} | tar -t")])
        .output()
        .expect("the docker client and tar are there");
    let files = String::from_utf8_lossy(&listing.stdout).into_owned();
    let made_by_engine = |path: &str| {
        [".dockerenv", "dev/", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc/", "sys/", "tmp/"]
            .iter()
            .any(|known| path.starts_with(known))
    };
    let own: Vec<&str> = files.lines().filter(|path| !path.ends_with('/') && !made_by_engine(path)).collect();
    assert!(own.contains(&"realtime"), "{files}");
    for path in own {
        let is_library = path.contains(".so");
        let is_expected = path == "realtime" || is_library || path == "etc/ssl/certs/ca-certificates.crt";
        assert!(is_expected, "`{path}` is in the image");
    }
}

#[test]
fn the_program_keeps_its_size() {
    let program = bundle().with_file_name("release").join("nself");
    let size = std::fs::metadata(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display())).len();
    assert!(size <= LARGEST_PROGRAM, "{} has {size} bytes", program.display());
}
