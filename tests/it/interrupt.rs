//! Ctrl-C, SIGTERM and SIGHUP: an orderly undo, or, past the commit point, an orderly end.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Answer, Fault, Package, Registry, Sandbox, State, wait_until};
use crate::walk::{Walk, fresh_install, removal, replacement};

fn undone(walk: &Walk<'_>) {
    match walk.outcome.code {
        0 => walk.assert_finished(),
        130 => {
            assert!(walk.outcome.stderr.contains("interrupted; what was begun is undone"), "{walk}");
            walk.assert_undone();
        }
        _ => panic!("{walk}"),
    }
}

#[test]
fn an_installation_that_is_interrupted_at_any_step_is_undone() {
    fresh_install(Fault::Interrupt(Signal::INT), undone);
}

#[test]
fn a_replacement_that_is_told_to_end_at_any_step_leaves_the_old_version_running() {
    replacement(Fault::Interrupt(Signal::TERM), undone);
}

#[test]
fn a_removal_that_is_interrupted_is_finished() {
    removal(Fault::Interrupt(Signal::INT), |walk| {
        assert_eq!(walk.outcome.code, 0, "a removal is committed by its record\n{walk}");
        walk.assert_finished();
    });
}

#[test]
fn ctrl_c_while_health_is_awaited_undoes_everything() {
    for signal in [Signal::INT, Signal::HUP] {
        let sandbox = Sandbox::new();
        let package = Package::new("probe").mode("error");
        let folder = package.folder(&sandbox.work());
        let before = State::of(&sandbox);
        let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), "--timeout", "60s"]);
        let name = sandbox.container_name(&package.name);
        wait_until("the container runs", Duration::from_secs(30), || crate::support::Engine::is_running(&name));
        running.signal(signal);
        let outcome = running.wait().ends_with(130).says(&["interrupted; what was begun is undone"]);
        before.assert_unchanged(&sandbox, &outcome);
    }
}

#[test]
fn ctrl_c_during_a_download_leaves_no_staging_folder() {
    let registry = Registry::start();
    let package = Package::new("probe");
    let archive = registry.add(&package);
    registry.server.answer(&Registry::archive_path(&package), Answer::Drip(archive.bytes));
    let sandbox = Sandbox::of(&registry);
    let before = State::of(&sandbox);
    let running = sandbox.start(&["plugin", "install", &package.name]);
    wait_until("the download has begun", Duration::from_secs(20), || registry.downloads(&package) > 0);
    running.signal(Signal::INT);
    let outcome = running.wait().ends_with(130);
    before.assert_unchanged(&sandbox, &outcome);
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_the_next_command_cleans() {
    let mut sandbox = Sandbox::new();
    let package = Package::new("probe").mode("error");
    let folder = package.folder(&sandbox.work());
    let before = State::of(&sandbox);
    sandbox.set("NSELF_PLUGIN_READY_TIMEOUT", "60s");
    let running = sandbox.start(&["plugin", "install", folder.to_str().unwrap()]);
    let name = sandbox.container_name(&package.name);
    wait_until("the container runs", Duration::from_secs(30), || crate::support::Engine::is_running(&name));
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(20));
    running.signal(Signal::INT);
    running.wait().ends_with(130);
    let cleaned = sandbox.plugin(&["status", "--repair"]).ok();
    before.assert_unchanged(&sandbox, &cleaned);
}
