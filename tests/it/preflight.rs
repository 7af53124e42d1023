//! Preflight: what can be known to fail is found before anything is fetched, built or changed.

use std::process::Command;

use serde_json::json;

use crate::support::{Engine, Package, Proxy, Registry, Sandbox, State, free_port, write_program};

#[test]
fn what_cannot_be_changed_stays_and_is_not_called_absent() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    let id = sandbox.container_id(&package.name);
    let wrong = format!("{}=notaport", package.port_variable());
    let outcome = sandbox.plugin(&["install", &package.name, "--env", &wrong]).ends_with(6);
    outcome.answers(&["is not changed: 1.0.0 stays installed"]);
    assert_eq!(sandbox.container_id(&package.name), id);
}

#[test]
fn commands_that_are_told_mean_the_project_that_was_meant() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("a project");
    std::fs::create_dir(&folder).unwrap();
    let flags = format!("nself plugin --project-dir '{}' --project other install", folder.display());
    let words = ["status", "absent", "--project-dir", folder.to_str().unwrap(), "--project", "other"];
    sandbox.plugin(&words).ends_with(3).says(&[&flags]);
    let document = sandbox.plugin(&[&words[..], &["--json"]].concat()).ends_with(3).json();
    assert!(document["error"]["hint"].as_str().unwrap().contains(&flags), "{document}");
}

#[test]
fn an_env_file_that_may_name_another_project_is_not_passed_over_by_what_changes_something() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.write(".env.plugins", "PROJECT_NAME=other\nnot a line\n");
    for words in [&["stop"][..], &["remove"], &["config"]] {
        let further: &[&str] = if words == ["config"] { &["set", "A", "b"] } else { &[] };
        let words = [words, &[&package.name], further].concat();
        sandbox.plugin(&words).ends_with(6).says(&[".env.plugins", "line 2"]);
    }
    assert!(sandbox.container(&package.name).is_some());
    sandbox.plugin(&["remove", &package.name, "--project", &sandbox.project]).ok();
}

#[test]
fn all_missing_variables_are_listed_at_once() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["env"] = json!({ "required": [
            { "name": "FIRST_NEEDED", "description": "the first" },
            { "name": "SECOND_NEEDED", "description": "the second", "secret": true },
        ] });
    });
    let before = State::of(&sandbox);
    let folder = package.folder(&sandbox.work());
    let outcome = sandbox.plugin(&["install", folder.to_str().unwrap()]).ends_with(6).says(&[
        "FIRST_NEEDED: the first",
        "SECOND_NEEDED: the second",
        "hint: set it in .env.plugins",
    ]);
    before.assert_unchanged(&sandbox, &outcome);
    sandbox.write(".env.plugins", "FIRST_NEEDED=1\nSECOND_NEEDED=2\n");
    sandbox.plugin(&["install", folder.to_str().unwrap()]).ok();
}

#[test]
fn a_malformed_env_line_is_told_by_file_line_and_key_and_never_by_value() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    sandbox.write(".env.local", "A=1\n\nPASSWORD canary-hunter2\n");
    sandbox
        .install(&package, &[])
        .ends_with(6)
        .says(&[".env.local` line 3", "`PASSWORD` is not followed by `=`", "hint: mend it"])
        .hides(&["canary-hunter2"]);
    sandbox.write(".env.local", "A=1\ncanary-hunter2\n");
    sandbox
        .install(&package, &[])
        .ends_with(6)
        .says(&["line 2", "the line is not KEY=VALUE"])
        .hides(&["canary-hunter2"]);
    // What only looks goes on, and says what it passed over.
    sandbox.plugin(&["status"]).ok().says(&["passed over", ".env.local"]).hides(&["canary-hunter2"]);
}

#[test]
fn what_asks_for_power_over_the_host_must_be_allowed() {
    let sandbox = Sandbox::new();
    for (privileges, words) in [
        (json!({ "privileged": true }), "asks for privileged mode"),
        (json!({ "docker_socket": true }), "asks for the Docker socket"),
        (json!({ "capabilities": ["SYS_ADMIN"] }), "asks for capability SYS_ADMIN"),
        (json!({ "host_mounts": ["/etc:/host-etc:ro"] }), "asks for the host folder /etc:/host-etc:ro"),
    ] {
        let package = Package::new("probe").edit(|manifest| manifest["privileges"] = privileges.clone());
        let folder = package.folder(&sandbox.work());
        let before = State::of(&sandbox);
        let outcome =
            sandbox.plugin(&["install", folder.to_str().unwrap()]).ends_with(6).says(&[words, "--allow-privileged"]);
        before.assert_unchanged(&sandbox, &outcome);
    }
}

#[test]
fn what_is_allowed_is_granted_and_kept_on_record() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").edit(|manifest| {
        manifest["privileges"] = json!({ "capabilities": ["SYS_NICE"] });
    });
    sandbox.install(&package, &["--allow-privileged"]).ok();
    let container = sandbox.container(&package.name).unwrap();
    assert_eq!(container["HostConfig"]["CapAdd"], json!(["SYS_NICE"]));
    assert_eq!(sandbox.receipt(&package.name).unwrap()["granted"], json!(["capability SYS_NICE"]));
}

#[test]
fn a_foreign_container_of_the_same_name_is_left_alone() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let tag = format!("{}:foreign", package.name);
    sandbox.foreign_image(&tag, &package.build_context());
    let name = sandbox.container_name(&package.name);
    let id = sandbox.foreign_container(&name, &json!({ "Image": tag, "Cmd": ["/probe"] }));
    sandbox
        .install(&package, &[])
        .ends_with(6)
        .says(&[&format!("there is a container `{name}` that this installation did not make"), "docker rename"]);
    assert_eq!(sandbox.container_id(&package.name), id);
    assert!(sandbox.receipt(&package.name).is_none());
    sandbox.plugin(&["remove", &package.name]).ends_with(3);
    assert_eq!(sandbox.container_id(&package.name), id);
}

#[test]
fn another_homes_containers_are_left_alone() {
    let (own, other) = (Sandbox::new(), Sandbox::new());
    let package = Package::new("probe");
    other.install(&package, &[]).ok();
    let id = other.container_id(&package.name);
    let moved = package.clone().port(Some(free_port()));
    moved.folder(&own.work());
    let place = format!("./{}", package.name);
    own.plugin(&["install", &place, "--project", &other.project])
        .ends_with(6)
        .says(&["that this installation did not make"]);
    own.plugin(&["status", "--project", &other.project]).ok().hides(&[&package.name]);
    assert_eq!(other.container_id(&package.name), id);
    assert!(Engine::is_running(&id));
}

#[test]
fn a_package_folder_that_is_a_link_is_never_written_through() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let victim = sandbox.path("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::create_dir_all(sandbox.active("")).unwrap();
    std::os::unix::fs::symlink(&victim, sandbox.active(&package.name)).unwrap();
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    let outcome = sandbox
        .plugin(&["install", folder.to_str().unwrap()])
        .ends_with(6)
        .says(&["is a link", "hint: remove the link"]);
    before.assert_unchanged(&sandbox, &outcome);
    assert_eq!(std::fs::read_dir(victim).unwrap().count(), 0);
}

#[test]
fn without_an_engine_the_way_to_start_one_is_told() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    let file = sandbox.path("no-socket");
    std::fs::write(&file, "").unwrap();
    for (host, words) in [
        (format!("unix://{}", sandbox.path("absent.sock").display()), "no Docker engine answers at"),
        (format!("unix://{}", file.display()), "no Docker engine answers at"),
        ("tcp://127.0.0.1:9".to_owned(), "no Docker engine answers at"),
        ("tcp://192.0.2.1:2375".to_owned(), "is not on this machine"),
        ("ssh://somebody@192.0.2.1".to_owned(), "is not on this machine"),
    ] {
        sandbox.set("DOCKER_HOST", host.clone());
        let before = State::of(&sandbox);
        let outcome = sandbox.plugin(&["install", &package.name]).ends_with(6).says(&[words, "hint:"]);
        before.assert_unchanged(&sandbox, &outcome);
        sandbox.plugin(&["list"]).ok().answers(&[&package.name]);
    }
    assert_eq!(registry.downloads(&package), 0, "nothing is fetched that cannot be run");
}

#[test]
fn an_engine_that_this_user_may_not_use_is_told_with_the_group() {
    use std::os::unix::process::CommandExt;
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let folder = package.folder(&sandbox.work());
    // Everything but the socket is open to the other user.
    let open = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    for path in [sandbox.path(""), sandbox.home(), sandbox.work()] {
        open(&path);
    }
    let socket = sandbox.path("closed.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let program = sandbox.path("nself");
    std::fs::copy(env!("CARGO_BIN_EXE_nself"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["plugin", "install"]).arg(&folder);
    sandbox.surround(&mut command);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    } else {
        std::fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    }
    crate::support::Running::new(command, "plugin install".into())
        .wait()
        .ends_with(6)
        .says(&["this user may not use the Docker engine", "usermod -aG docker"]);
}

#[test]
fn the_docker_context_is_honoured() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe");
    let proxy = Proxy::start(&sandbox);
    sandbox.unset("DOCKER_HOST");
    // The docker CLI names a context's folder by the sha256 of its name: this is that of `lab`.
    let archive = crate::support::Archive::of_bytes(b"lab".to_vec());
    let folder = sandbox.home().join(".docker/contexts/meta").join(&archive.sha256);
    std::fs::create_dir_all(&folder).unwrap();
    let meta = json!({ "Name": "lab", "Endpoints": { "docker": { "Host": proxy.address() } } });
    std::fs::write(folder.join("meta.json"), meta.to_string()).unwrap();
    sandbox.set("DOCKER_CONTEXT", "absent");
    sandbox
        .install(&package, &[])
        .ends_with(6)
        .says(&["the Docker context `absent` cannot be used", "docker context use"]);
    sandbox.set("DOCKER_CONTEXT", "lab");
    sandbox.install(&package, &[]).ok();
    assert!(!proxy.mutating().is_empty(), "the context's engine was used");
}

#[test]
fn an_engine_that_is_too_old_is_refused() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let old = crate::support::Server::start();
    old.answer("/_ping", crate::support::Answer::Headed(b"OK".to_vec(), "Api-Version: 1.24\r\n".into()));
    let mut sandbox = sandbox.with("DOCKER_HOST", old.url("").replace("http", "tcp"));
    sandbox.install(&package, &[]).ends_with(6).says(&["speaks API 1.24", "hint:"]);
    sandbox.unset("DOCKER_HOST");
}

/// A file system of 32 MiB, for as long as it lives.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a small disk must be mounted, which takes root");
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_all_plugins_before_anything_is_fetched() {
    let registry = Registry::start();
    let (first, second) = (Package::new("first"), Package::new("second"));
    registry.add(&first);
    registry.add(&second);
    let mut sandbox = Sandbox::of(&registry);
    let disk = SmallDisk::at(sandbox.path("small"));
    sandbox.set("NSELF_PLUGIN_DIR", disk.0.join("plugins").display().to_string());
    let before = State::of(&sandbox);
    let outcome = sandbox.plugin(&["install", &first.name, &second.name]).ends_with(6);
    let outcome = outcome.says(&["no room for plugins in", "MiB are needed", "du -xhd1"]);
    assert_eq!(outcome.stderr.matches("no room for plugins").count(), 1, "{outcome}");
    assert_eq!(registry.downloads(&first), 0);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn an_image_is_not_made_where_the_engine_has_no_room_and_a_repair_needs_none() {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let mut sandbox = Sandbox::of(&registry);
    let disk = SmallDisk::at(sandbox.path("small"));
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    sandbox.plugin(&["install", &package.name]).ok();
    proxy.tells(json!({ "DockerRootDir": disk.0 }));
    Engine::remove_container(&sandbox.container_name(&package.name));
    sandbox.plugin(&["install", &package.name]).ok().answers(&["is repaired"]);
    let before = State::of(&sandbox);
    let outcome = sandbox.install(&Package::new("other"), &[]).ends_with(6);
    before.assert_unchanged(&sandbox, &outcome.says(&["no room for images in", "docker system prune"]));
}

#[test]
fn a_backend_cli_that_is_too_old_stops_an_installation() {
    let mut sandbox = Sandbox::new();
    let folder = sandbox.path("bin");
    std::fs::create_dir(&folder).unwrap();
    write_program(&folder.join("nself"), "#!/bin/sh\necho 'nself 0.9.6'\n");
    sandbox.set("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ends_with(6).says(&["is 0.9.6; 0.9.8 or later is needed", "nself update"]);
    assert!(sandbox.container(&package.name).is_none());
}

#[test]
fn more_memory_than_there_is_is_a_warning() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let variable = package.port_variable().replace("_PORT", "_MEMORY");
    let outcome = sandbox.install(&package, &["--env", &format!("{variable}=1000g")]).ok();
    outcome.says(&["the plugins may take", "more than there is", &format!("set {variable} 128m")]);
}
