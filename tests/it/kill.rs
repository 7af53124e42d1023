//! kill -9 at every request of the engine that changes something, before it is made and after: the next command finds
//! what was begun and finishes or undoes it.

use crate::support::Fault;
use crate::walk::{Walk, fresh_install, removal, replacement};

fn recovered(walk: &Walk<'_>) {
    assert!(walk.outcome.code == 128 + 9, "{walk}");
    walk.assert_recovered();
}

#[test]
fn an_installation_that_is_killed_before_any_step_is_undone_by_the_next_command() {
    fresh_install(Fault::KillBefore, recovered);
}

#[test]
fn an_installation_that_is_killed_after_any_step_is_undone_by_the_next_command() {
    fresh_install(Fault::KillAfter, recovered);
}

#[test]
fn a_replacement_that_is_killed_before_any_step_ends_with_one_whole_version() {
    replacement(Fault::KillBefore, recovered);
}

#[test]
fn a_replacement_that_is_killed_after_any_step_ends_with_one_whole_version() {
    replacement(Fault::KillAfter, recovered);
}

#[test]
fn a_removal_that_is_killed_before_any_step_is_finished_by_the_next_command() {
    removal(Fault::KillBefore, recovered);
}

#[test]
fn a_removal_that_is_killed_after_any_step_is_finished_by_the_next_command() {
    removal(Fault::KillAfter, recovered);
}
