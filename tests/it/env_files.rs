//! Env files as a user meets them: what is skipped, what is missing, what names the project.

use crate::support::{Package, Sandbox, variable_inside};

#[test]
fn lines_for_other_programs_are_skipped_with_one_warning() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let prefix = package.prefix();
    sandbox.write_env(&format!("spring.datasource.url=hunter2\nother.key=hunter2\nPASSTHROUGH\n{prefix}_A=1\t# note"));
    let outcome = sandbox.install(&package, &[]).ok().hides(&["hunter2"]);
    let warnings = outcome.stderr.lines().filter(|line| line.contains("skipped in")).count();
    assert_eq!(warnings, 1, "{outcome}");
    outcome.says(&["line 2: `spring.datasource.url`", "line 3: `other.key`"]);
    assert_eq!(variable_inside(package.number(), &format!("{prefix}_A")).as_deref(), Some("1"));
}

#[test]
fn a_required_reference_stops_and_an_unset_one_warns() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe");
    let prefix = package.prefix();
    sandbox.write_env(&format!("{prefix}_A=${{FIRST_ONE:?must be set}}\n{prefix}_B=${{SECOND_ONE?}}"));
    sandbox.install(&package, &[]).ends_with(6).says(&[
        &format!(".env` line 2, {prefix}_A: FIRST_ONE is not set: must be set"),
        &format!(".env` line 3, {prefix}_B: SECOND_ONE is not set"),
        &format!("hint: set it: nself plugin config {} set FIRST_ONE VALUE", package.name),
    ]);
    assert!(sandbox.container(&package.name).is_none());
    sandbox.write_env(&format!("{prefix}_A=http://${{NOWHERE}}/x\n{prefix}_B=${{OTHER:-${{PROJECT_NAME}}}}"));
    let warned = sandbox.install(&package, &[]).ok();
    warned.says(&[&format!(".env` line 2, {prefix}_A: NOWHERE is not set; it stands for nothing")]);
    let inside = |key: &str| variable_inside(package.number(), &format!("{prefix}_{key}"));
    assert_eq!(inside("A").as_deref(), Some("http:///x"));
    assert_eq!(inside("B").as_deref(), Some(sandbox.project.as_str()));
}

#[test]
fn the_process_names_the_project_before_the_files() {
    let mut sandbox = Sandbox::new();
    sandbox.set("COMPOSE_PROJECT_NAME", "from-process");
    assert_eq!(sandbox.plugin(&["list", "-i", "--json"]).ok().json()["project"], "from-process");
    sandbox.set("COMPOSE_PROJECT_NAME", "KAST");
    sandbox.plugin(&["list", "-i"]).ends_with(6).says(&["COMPOSE_PROJECT_NAME in the environment", "`KAST`", "hint:"]);
    sandbox.unset("COMPOSE_PROJECT_NAME");
    sandbox.write(".env", "A=1\nCOMPOSE_PROJECT_NAME=KAST\n");
    sandbox.plugin(&["list", "-i"]).ends_with(6).says(&[".env` line 2, COMPOSE_PROJECT_NAME", "change it there"]);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let sandbox = Sandbox::new();
    let command = sandbox.command(&["plugin"]);
    let program = command.get_program().to_string_lossy().into_owned();
    let run = |line: &str| {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &format!("{program} plugin {line}")]);
        sandbox.surround(&mut shell);
        crate::support::Running::new(shell, line.to_owned()).wait()
    };
    run("list -i --json >/dev/full").ends_with(1).says(&["could not write the answer"]);
    let closed = run("list -i --json | true").ok();
    assert_eq!(closed.stderr, "");
}
