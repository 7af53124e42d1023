//! Words: names, unknown verbs, the backend CLI next on the PATH, and the other name of the program.

use crate::support::{Package, Running, Sandbox, State, write_program};

#[test]
fn words_that_are_no_plugin_names_are_refused_with_the_rule() {
    let sandbox = Sandbox::new();
    let before = State::of(&sandbox);
    let long = "a".repeat(300);
    for word in
        ["../x", "A B", long.as_str(), "", "-", "a/../b", "Upper", "a\u{1b}[2J", "plugins", "ｒealtime", "x.", "a b/c"]
    {
        for verb in ["install", "remove", "info", "logs"] {
            let outcome = sandbox.plugin(&[verb, "--", word]).ends_with(2).hides(&["\u{1b}"]);
            assert!(
                outcome.stderr.contains("lower-case letter") || outcome.stderr.contains("reserved"),
                "the rule is told\n{outcome}"
            );
            before.assert_unchanged(&sandbox, &outcome);
        }
    }
}

#[test]
fn a_removal_never_follows_a_path() {
    let sandbox = Sandbox::new();
    let precious = sandbox.home().join(".nself/precious");
    std::fs::create_dir_all(&precious).unwrap();
    std::fs::write(precious.join("file"), "kept").unwrap();
    let absolute = precious.display().to_string();
    for word in ["../precious", ".", "..", "*", "/", absolute.as_str()] {
        sandbox.plugin(&["remove", word]).ends_with(2);
    }
    assert!(precious.join("file").is_file());
}

#[test]
fn a_malformed_version_is_refused() {
    let sandbox = Sandbox::new();
    for word in ["probe@", "probe@one", "probe@1.0.0/..", "probe@01.0.0"] {
        sandbox.plugin(&["install", word]).ends_with(2).says(&["is not a version"]);
    }
}

#[test]
fn an_unknown_word_without_a_backend_is_a_usage_error_with_a_hint() {
    let sandbox = Sandbox::new();
    sandbox.run(&["build"]).ends_with(2).says(&[
        "there is no nself backend CLI on the PATH that could run `build`",
        "hint:",
        "nself plugin",
    ]);
    sandbox.plugin(&["frobnicate"]).ends_with(2).says(&["frobnicate"]);
    sandbox.plugin(&["install"]).ends_with(2);
    sandbox.plugin(&["install", "probe", "--env", "NOVALUE"]).ends_with(2).says(&["--env", "hint:"]);
}

#[test]
fn help_and_version_are_answers() {
    let sandbox = Sandbox::new();
    sandbox.run(&["--version"]).ok().answers(&["nself ", env!("CARGO_PKG_VERSION")]);
    sandbox.run(&["--help"]).ok().answers(&["plugin"]);
    sandbox.plugin(&["--help"]).ok().answers(&["install", "remove", "list", "status"]);
    sandbox.plugin(&["install", "--help"]).ok().answers(&["--dry-run"]);
    sandbox.run(&["help"]).ok().answers(&["plugin"]);
    sandbox.plugin(&["help"]).ok().answers(&["install", "remove", "list", "status"]);
    sandbox.plugin(&["help", "install"]).ok().answers(&["--dry-run"]);
}

/// A sandbox with a backend CLI on its PATH that tells what it was given and ends with 42.
fn with_backend() -> Sandbox {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("backend-bin");
    std::fs::create_dir(&folder).unwrap();
    write_program(
        &folder.join("nself"),
        "#!/bin/sh\necho \"backend: $*\"\nread -r line && echo \"input: $line\"\nexit 42\n",
    );
    let path = format!("{}:/usr/bin:/bin", folder.display());
    sandbox.with("PATH", path)
}

#[test]
fn foreign_words_are_handed_to_the_backend_untouched() {
    let sandbox = with_backend();
    let command = sandbox.command(&["init", "--full", "a b", "--json"]);
    let outcome = Running::with_input(command, "init".into(), "typed by hand\n").wait().ends_with(42);
    assert_eq!(outcome.stdout, "backend: init --full a b --json\ninput: typed by hand\n", "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
}

#[test]
fn shared_words_are_the_backends_unless_they_name_a_plugin() {
    let sandbox = with_backend();
    let package = Package::new("probe");
    sandbox.install(&package, &[]).ok();
    sandbox.run(&["status"]).ends_with(42).answers(&["backend: status"]);
    sandbox.run(&["logs", "postgres"]).ends_with(42).answers(&["backend: logs postgres"]);
    sandbox.run(&["logs", &package.name]).ok().answers(&["probe starts"]);
    sandbox.plugin(&["status"]).ok().answers(&[&package.name]);
}

#[test]
fn a_backend_that_hands_back_is_no_circle() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("backend-bin");
    std::fs::create_dir(&folder).unwrap();
    let own = env!("CARGO_BIN_EXE_nself");
    write_program(&folder.join("nself"), &format!("#!/bin/sh\nexec {own} \"$@\"\n"));
    let path = format!("{}:/usr/bin:/bin", folder.display());
    sandbox.with("PATH", path).run(&["build"]).ends_with(2).says(&["no nself backend CLI"]);
}

#[test]
fn under_its_other_name_the_words_after_plugin_suffice() {
    let sandbox = Sandbox::new();
    let link = sandbox.path("nself-plugin");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_nself"), &link).unwrap();
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&link);
        command.args(words);
        sandbox.surround(&mut command);
        Running::new(command, words.join(" ")).wait()
    };
    let document = run(&["list", "--installed", "--json"]).ok().json();
    assert_eq!(document["plugins"], serde_json::json!([]));
    run(&["install", "../x"]).ends_with(2);
    run(&["--version"]).ok();
}

#[test]
fn a_home_that_is_none_is_told() {
    for home in ["", "relative/home", "/"] {
        Sandbox::new().with("HOME", home).plugin(&["list", "--installed"]).ends_with(2).says(&["HOME", "hint:"]);
    }
    let mut sandbox = Sandbox::new();
    sandbox.unset("HOME");
    sandbox.plugin(&["list", "--installed"]).ends_with(2).says(&["HOME is not set"]);
}

#[test]
fn times_and_projects_that_make_no_sense_are_told() {
    let sandbox = Sandbox::new();
    sandbox.plugin(&["status", "--timeout", "soon"]).ends_with(2).says(&["--timeout is `soon`"]);
    sandbox.plugin(&["status", "--project", "../x"]).ends_with(6).says(&["is not usable"]);
    sandbox.plugin(&["status", "--project-dir", "absent"]).ends_with(6).says(&["there is no project folder"]);
    Sandbox::new().with("NSELF_PLUGIN_READY_TIMEOUT", "x").plugin(&["status"]).ends_with(2);
}

#[test]
fn the_backends_folder_is_found_and_named_files_count() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.work().join(".env")).unwrap();
    std::fs::create_dir(sandbox.work().join("backend")).unwrap();
    std::fs::write(sandbox.work().join("backend/.env"), "PROJECT_NAME=from-backend\n").unwrap();
    let document = sandbox.plugin(&["list", "--installed", "--json"]).ok().json();
    assert_eq!(document["project"], "from-backend");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let sandbox = Sandbox::new();
    let command = sandbox.command(&["plugin", "--help"]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", &format!("{} plugin status --json | true", command.get_program().to_string_lossy())]);
    sandbox.surround(&mut shell);
    Running::new(shell, "a pipe that closes".into()).wait().ok();
}
