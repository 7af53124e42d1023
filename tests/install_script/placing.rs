//! Files below the prefix: placed once, replaced in one step, removed wholly, never another maker's.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::os::unix::prelude::*;

use super::{RECORD, World, differing};

#[test]
fn everything_wanted_is_placed_with_its_mode_and_nothing_outside_the_prefix_changes() {
    let world = World::new();
    let outcome = world.keeping(World::outside, || world.install().exits(0));
    world.assert_complete();
    assert!(world.inside().contains_key("share/man/man1/nself.1"), "the checkout has man pages");
    assert_eq!(outcome.lines_with("  "), world.wanted_paths(), "it names what it places");
    outcome.says(&format!("installed: nself 0.10.0 (plugin manager) in {}", world.placed("bin/nself")));
}

#[test]
fn each_way_to_name_the_prefix_leads_there_and_uninstalling_the_same_way_leaves_nothing() {
    let world = World::new();
    let equals = format!("--prefix={}", world.path("elsewhere"));
    let ways = [(vec![], "home/.local"), (vec!["--prefix", "below"], "home/below"), (vec![&*equals], "elsewhere")];
    for (mut words, place) in ways {
        world.keeping(World::all, || {
            world.run(&words).exits(0);
            assert!(world.all().contains_key(&format!("{place}/bin/nself")), "{words:?} leads to {place}");
            words.push("--uninstall");
            world.run(&words).exits(0)
        });
    }
}

#[test]
fn a_second_run_changes_no_file_and_says_that_all_is_up_to_date() {
    let world = World::new();
    world.install().exits(0);
    let before = world.inside();
    world.install().exits(0).says(&format!("  already up to date: {} files", world.wanted().len()));
    let after = world.inside();
    assert!(differing(&before, &after).iter().all(|name| name == RECORD), "{:?}", differing(&before, &after));
    assert!(before[RECORD].0 == after[RECORD].0, "the record is written anew, but with the same words");
}

#[test]
fn a_changed_program_is_replaced_in_one_step_and_every_other_file_stays() {
    let world = World::new();
    world.install().exits(0);
    let (before, mut old) = (world.inside(), String::new());
    let mut open = File::open(world.placed("bin/nself")).expect("the program was placed");
    world.write("checkout/target/release/nself", "#!/bin/sh\necho 'nself 0.11.0 (plugin manager)'\n");
    let outcome = world.install().exits(0);
    world.assert_complete();
    assert_eq!(differing(&before, &world.inside()), ["bin/nself", RECORD], "{outcome}");
    open.read_to_string(&mut old).expect("an open file can be read");
    assert_eq!(old, before["bin/nself"].0.1, "a program that runs is not written into");
    assert_eq!(open.metadata().expect("an open file has metadata").nlink(), 0, "it has gone from its folder");
}

#[test]
fn a_program_of_another_maker_is_never_overwritten() {
    for (name, installed) in [("bin/nself", false), ("bin/nself-plugin", false), ("bin/nself", true)] {
        let world = World::new();
        if installed {
            world.install().exits(0);
            fs::remove_file(world.placed("bin/nself")).expect("it was placed");
        }
        world.write(&format!("a prefix/{name}"), "#!/bin/sh\necho 'nself 3.1 (a shell of another maker)'\n");
        let outcome = world.keeping(World::all, || world.install().exits(1));
        let path = world.placed(name);
        let error = format!("error: {path} is another program, not placed by this script; nothing was changed\n");
        assert_eq!(outcome.stderr, error + "hint: choose another place with --prefix DIR, or move that program away\n");
        assert_eq!(outcome.stdout, "", "it is refused before anything is built");
    }
}

#[test]
fn uninstalling_removes_exactly_what_was_placed_and_the_folders_made_for_it() {
    let world = World::new();
    world.install().exits(0);
    let outcome = world.uninstall().exits(0);
    assert_eq!(outcome.lines_with("  removed "), world.wanted_paths());
    world.assert_gone(&outcome);
    for theirs in ["bin/other", "share/man/man1/other.1", "lib/other"] {
        world.write(&format!("a prefix/{theirs}"), "of another maker");
    }
    world.keeping(World::all, || {
        world.install().exits(0);
        world.uninstall().exits(0)
    });
}

#[test]
fn what_the_user_wrote_or_changed_is_kept_and_named() {
    let world = World::new();
    let (theirs, changed) = ("share/zsh/site-functions/_nself", "share/man/man1/nself.1");
    world.write(&format!("a prefix/{theirs}"), "there before");
    world.install().exits(0).says(&format!("  kept {}: it is not as this script placed it", world.placed(theirs)));
    world.write(&format!("a prefix/{changed}"), "changed");
    let mut expected = world.inside();
    let outcome = world.uninstall().exits(0);
    outcome.says(&format!("  kept {}: it was changed after it was placed", world.placed(changed)));
    expected.retain(|name, _| [theirs, changed].iter().any(|kept| kept.starts_with(name)));
    assert_eq!(differing(&expected, &world.inside()), [""; 0], "these are not as they were: {outcome}");
}

#[test]
fn uninstalling_lists_what_stays_with_the_commands_that_remove_it() {
    let world = World::new();
    let _engine = UnixListener::bind(world.path("engine")).expect("no socket has that name");
    world.write("home/.nself/home-id", "home-7\n");
    world.write("home/.config/nself/config.json", "{}");
    world.install().exits(0);
    let outcome = world.keeping(World::outside, || world.uninstall().exits(0));
    let (home, checkout) = (world.path("home"), world.path("checkout"));
    let expected = format!(
        "this stays:
  {home}/.nself (plugins, receipts, settings, secrets): rm -rf '{home}/.nself'
  {home}/.config/nself (plugins, receipts, settings, secrets): rm -rf '{home}/.config/nself'
  this installation's containers: docker container rm -f container-7
  this installation's networks: docker network rm network-7
  this installation's volumes: docker volume rm -f volume-7
  this installation's images: docker image rm -f image-7
  the Docker engine: apt-get purge docker.io containerd runc
  this checkout and its build: rm -rf '{checkout}'
"
    );
    assert!(outcome.stdout.ends_with(&expected), "{expected} is not the end of: {outcome}");
}

#[test]
fn uninstalling_where_nothing_is_installed_says_so_and_changes_nothing() {
    let world = World::new();
    for _ in ["never installed", "installed and removed again"] {
        let outcome = world.keeping(World::all, || world.uninstall().exits(0));
        outcome.says(&format!("nothing that this script placed is in {}", world.path("a prefix")));
        world.assert_gone(&outcome);
        world.install().exits(0);
        world.uninstall().exits(0);
    }
}

#[test]
fn an_update_takes_away_what_it_does_not_place_any_more() {
    let world = World::new();
    world.install().exits(0);
    let gone = world.update();
    let outcome = world.install().exits(0);
    world.assert_complete();
    assert_eq!(outcome.lines_with("  removed "), gone);
}

#[test]
fn a_run_killed_while_placing_is_completed_by_the_next_one_and_taken_away_wholly() {
    let first = [RECORD, "share/man/man1/nself.1", "bin/nself-plugin"].map(|last| (false, last));
    let updates = ["share/nself/registry/beta-1.1.0.tar.gz", "bin/nself"].map(|last| (true, last));
    for (updating, last) in first.into_iter().chain(updates) {
        for completing in [true, false] {
            let world = World::new();
            if updating {
                world.install().exits(0);
                world.update();
            }
            world.write("last", &world.placed(last));
            let outcome = world.install();
            assert_eq!(outcome.status.signal(), Some(9), "after {last}: {outcome}");
            fs::remove_file(world.path("last")).expect("it was just written");
            if completing {
                world.install().exits(0);
                world.assert_complete();
            }
            let outcome = world.uninstall().exits(0);
            assert!(!outcome.stdout.contains("kept"), "all of it is the script's own: {outcome}");
            world.assert_gone(&outcome);
        }
    }
}

#[test]
fn wrong_usage_is_told_with_the_right_one_and_changes_nothing() {
    let world = World::new();
    let help = world.run(&["--help"]).exits(0).stdout;
    assert!(help.starts_with("Usage: ./install.sh ") && help.contains("--prefix DIR"), "{help}");
    for (words, error) in [
        (&["--prefix"][..], "--prefix needs a directory"),
        (&["--prefix="], "--prefix needs a directory"),
        (&["--uninstall", "--prefix"], "--prefix needs a directory"),
        (&["--frobnicate"], "unexpected argument `--frobnicate`"),
        (&["--uninstall", "extra"], "unexpected argument `extra`"),
    ] {
        let outcome = world.keeping(World::all, || world.run(words).exits(2));
        assert_eq!(outcome.stderr, format!("error: {error}\n{help}"), "{words:?}");
    }
}

#[test]
fn what_a_killed_run_was_copying_is_taken_away_by_the_next_run_and_by_uninstalling() {
    for completing in [true, false] {
        let world = World::new();
        world.write("last", &world.placed("bin/nself.new.PID"));
        let outcome = world.install();
        assert_eq!(outcome.status.signal(), Some(9), "{outcome}");
        fs::remove_file(world.path("last")).expect("it was just written");
        if completing {
            world.install().exits(0);
            world.assert_complete();
        }
        let outcome = world.uninstall().exits(0);
        world.assert_gone(&outcome);
    }
}

#[test]
fn a_link_of_the_user_that_leads_nowhere_is_kept() {
    let world = World::new();
    let theirs = world.placed("share/zsh/site-functions/_nself");
    fs::create_dir_all(world.placed("share/zsh/site-functions")).expect("the prefix is empty");
    std::os::unix::fs::symlink("/not/mounted/now", &theirs).expect("nothing has that name");
    world.keeping(World::all, || {
        world.install().exits(0).says(&format!("  kept {theirs}: it is not as this script placed it"));
        world.uninstall().exits(0)
    });
}

#[test]
fn what_the_user_changed_before_an_update_is_named_by_uninstalling_too() {
    let world = World::new();
    world.install().exits(0);
    world.write("a prefix/share/man/man1/nself.1", "changed");
    world.install().exits(0);
    let changed = world.placed("share/man/man1/nself.1");
    world.uninstall().exits(0).says(&format!("  kept {changed}: it was changed after it was placed"));
}

#[test]
fn a_mode_that_was_changed_is_set_right_by_the_next_run() {
    let world = World::new();
    world.install().exits(0);
    fs::set_permissions(world.placed("bin/nself"), Permissions::from_mode(0o644)).expect("it was placed");
    world.install().exits(0);
    world.assert_complete();
}

#[test]
fn a_prefix_that_is_a_flag_or_ends_in_a_slash() {
    let world = World::new();
    world.keeping(World::all, || world.run(&["--prefix", "--uninstall"]).exits(2));
    let slash = world.placed("");
    world
        .run(&["--prefix", &slash])
        .exits(0)
        .says(&format!("installed: nself 0.10.0 (plugin manager) in {}", world.placed("bin/nself")));
}
