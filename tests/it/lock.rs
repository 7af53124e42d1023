//! Locks: processes that work on the same plugin wait for one another, and say for whom when that takes too long.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Package, Registry, Running, Sandbox, State, wait_until};

fn side_by_side(count: usize) {
    let registry = Registry::start();
    let package = Package::new("probe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    let running: Vec<Running> = (0..count).map(|_| sandbox.start(&["plugin", "install", &package.name])).collect();
    // All of them end before anything is judged: the sandbox cleans up behind them.
    let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
    assert!(outcomes.iter().all(|outcome| outcome.code == 0), "{outcomes:#?}");
    let made = outcomes.iter().filter(|outcome| outcome.stdout.contains("is installed and healthy after")).count();
    let found = outcomes.iter().filter(|outcome| outcome.stdout.contains("is installed already and healthy")).count();
    assert_eq!((made, found), (1, count - 1), "{outcomes:?}");
    assert_eq!(registry.downloads(&package), 1, "the archive is fetched once");
    let state = State::of(&sandbox);
    assert_eq!(state.of_kind("container").len(), 1);
    assert_eq!(state.of_kind("image").len(), 1);
    assert_eq!(state.of_kind("network").len(), 1);
    state.assert_tidy(&"after all of them");
}

#[test]
fn two_processes_that_install_the_same_plugin_make_it_once() {
    side_by_side(2);
}

#[test]
fn eight_processes_that_install_the_same_plugin_make_it_once() {
    side_by_side(8);
}

#[test]
fn a_lock_that_is_not_freed_in_time_is_told_with_its_holder() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").mode("error");
    let folder = package.folder(&sandbox.work());
    let words = ["plugin", "install", folder.to_str().unwrap(), "--timeout", "60s"];
    let holder = sandbox.start(&words);
    let name = sandbox.container_name(&package.name);
    wait_until("the first is at work", Duration::from_secs(30), || crate::support::Engine::is_running(&name));
    let process = format!("process {} (nself plugin install", holder.id());
    let mut command = sandbox.command(&words);
    command.env("NSELF_LOCK_TIMEOUT", "300ms");
    Running::new(command, "the second".into()).wait().ends_with(9).says(&[
        &format!("another process works on `{}`", package.name),
        &process,
        "hint:",
        "NSELF_LOCK_TIMEOUT",
    ]);
    // The waiting of another command changes nothing for the first.
    sandbox.plugin(&["status"]).ok().hides(&["rolled back"]);
    holder.signal(Signal::INT);
    holder.wait().ends_with(130);
}

#[test]
fn a_lock_whose_holder_was_killed_is_free_at_once() {
    let sandbox = Sandbox::new();
    let package = Package::new("probe").mode("error");
    let folder = package.folder(&sandbox.work());
    let holder = sandbox.start(&["plugin", "install", folder.to_str().unwrap(), "--timeout", "60s"]);
    let name = sandbox.container_name(&package.name);
    wait_until("the first is at work", Duration::from_secs(30), || crate::support::Engine::is_running(&name));
    holder.signal(Signal::KILL);
    holder.wait().ends_with(137);
    // The same plugin, healthy this time: what the killed one left is no obstacle.
    let package = package.mode("ok");
    let second = sandbox.install(&package, &[]).ok().says(&["rolled back what an interrupted command had started"]);
    assert!(second.took < Duration::from_secs(30), "{second}");
    State::of(&sandbox).assert_tidy(&second);
}
