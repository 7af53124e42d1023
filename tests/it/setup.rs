//! `setup`: by flags, and guided through a pseudo-terminal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rexpect::session::PtySession;
use serde_json::json;

use crate::support::{Package, Registry, Sandbox, State, assert_valid_output, exit_code};

/// What the terminal sends for Ctrl-C.
const CTRL_C: &str = "\u{3}";

/// A registry with realtime, which needs a key, and stripe, which needs nothing.
fn world() -> (Registry, Sandbox) {
    let registry = Registry::start();
    let realtime = Package::named("realtime").edit(|manifest| {
        manifest["env"] = json!({
            "required": [
                { "name": "REALTIME_KEY", "description": "The key", "secret": true },
                { "name": "REALTIME_SECRET", "secret": true, "generated": { "length": 32 } },
            ],
            "optional": [{ "name": "REALTIME_GREETING", "default": "hello there", "description": "Said first" }],
        });
    });
    registry.add(&realtime);
    registry.add(&Package::named("stripe"));
    let sandbox = Sandbox::of(&registry);
    (registry, sandbox)
}

fn env_file(sandbox: &Sandbox) -> Option<String> {
    std::fs::read_to_string(sandbox.work().join(".env.plugins")).ok()
}

#[test]
fn a_default_does_not_hide_what_is_set_elsewhere() {
    let (_registry, sandbox) = world();
    let project = &sandbox.project;
    sandbox.write_env(&format!("PROJECT_NAME={project}\nREALTIME_KEY=k\nREALTIME_GREETING=moin\n"));
    sandbox.plugin(&["setup", "realtime", "--yes"]).ok();
    let text = env_file(&sandbox).unwrap();
    assert!(text.contains("# REALTIME_GREETING is set in .env\n") && !text.contains("REALTIME_GREETING="), "{text}");
    let container = sandbox.container("realtime").unwrap();
    let variables = container["Config"]["Env"].as_array().unwrap();
    assert!(variables.iter().any(|line| line == "REALTIME_GREETING=moin"), "{variables:?}");
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flags_are_named() {
    let (_registry, sandbox) = world();
    let before = State::of(&sandbox);
    for words in [&["setup"][..], &["setup", "--core-only"], &["setup", "--all", "--json"]] {
        let outcome = sandbox.plugin(words).ends_with(2);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("nself plugin setup --core-only --yes"), "{outcome}");
    }
    before.assert_unchanged(&sandbox, &"nothing was asked for");
}

#[test]
fn by_flags_the_file_is_made_and_a_second_run_leaves_it() {
    let (_registry, sandbox) = world();
    let words = ["setup", "realtime", "stripe", "--yes", "--env", "REALTIME_KEY=k"];
    sandbox.plugin(&words).ok().answers(&["realtime 1.0.0", "a new file with", "nself plugin env --format nextjs"]);
    let text = env_file(&sandbox).unwrap();
    for line in
        ["# The key (required, secret)\nREALTIME_KEY=\n", "REALTIME_SECRET=\n", "REALTIME_GREETING='hello there'\n"]
    {
        assert!(text.contains(line), "{text}");
    }
    let path = sandbox.work().join(".env.plugins");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let id = sandbox.container_id("realtime");
    let second = sandbox.plugin(&[&words[..], &["--json"]].concat()).ok().json();
    assert_valid_output(&second);
    assert_eq!((&second["env_file"]["changed"], env_file(&sandbox).unwrap()), (&json!(false), text));
    assert_eq!(sandbox.container_id("realtime"), id);
}

#[test]
fn a_changed_value_makes_only_its_own_plugin_anew() {
    let (_registry, sandbox) = world();
    sandbox.plugin(&["setup", "realtime", "stripe", "--yes", "--env", "REALTIME_KEY=k"]).ok();
    let ids = || (sandbox.container_id("realtime"), sandbox.container_id("stripe"));
    let before = ids();
    let text = env_file(&sandbox).unwrap().replace("REALTIME_KEY=\n", "REALTIME_KEY=other\n");
    sandbox.write(".env.plugins", &text);
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok();
    let after = ids();
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1);
}

#[test]
fn an_existing_file_is_added_to_and_an_example_begins_a_new_one() {
    let (_registry, sandbox) = world();
    let mine = "# my own\nREALTIME_KEY=mine\nOTHER='a b'  # kept\n";
    sandbox.write(".env.plugins", mine);
    sandbox.plugin(&["setup", "realtime", "--yes"]).ok();
    let text = env_file(&sandbox).unwrap();
    assert!(text.starts_with(mine) && text.contains("# added by nself plugin setup"), "{text}");

    let (_registry, sandbox) = world();
    sandbox.write(".env.plugins.example", "# the team's example\nREALTIME_KEY=team\n");
    sandbox.plugin(&["setup", "realtime", "--yes"]).ok().answers(&[".env.plugins.example"]);
    assert!(env_file(&sandbox).unwrap().starts_with("# the team's example\nREALTIME_KEY=team\n"));
}

#[test]
fn what_is_wrong_is_found_before_anything_is_written() {
    let (_registry, sandbox) = world();
    let before = State::of(&sandbox);
    sandbox.plugin(&["setup", "--core-only", "--yes", "--project-dir", "./absent"]).ends_with(6).says(&["./absent"]);
    sandbox.plugin(&["setup", "--set", "nothing", "--yes"]).ends_with(3);
    before.assert_unchanged(&sandbox, &"nothing is wrong with the project");
    sandbox.write(".env.plugins", "REALTIME_KEY=x\nBROKEN hunter2\n");
    let refused = sandbox.plugin(&["setup", "realtime", "--yes"]).ends_with(6);
    refused.says(&[".env.plugins", "line 2"]).hides(&["hunter2"]);
    assert!(sandbox.container("realtime").is_none());
}

#[test]
fn git_that_would_commit_the_file_is_warned_of() {
    let (_registry, sandbox) = world();
    let git =
        |words: &[&str]| Command::new("git").args(words).current_dir(sandbox.work()).output().expect("git is there");
    assert!(git(&["init", "-q"]).status.success());
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok().answers(&["git would commit", ">> .gitignore"]);
    sandbox.write(".gitignore", ".env*\n");
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok().hides(&["git would commit"]);
}

/// The guided way, in a terminal of its own.
fn guided(sandbox: &Sandbox) -> PtySession {
    sandbox.terminal(&["plugin", "setup"])
}

/// Chooses realtime alone: it is the first and chosen beforehand, with the other core plugins after it.
fn choose_realtime(terminal: &mut PtySession) {
    terminal.exp_string("Which plugins?").unwrap();
    // Down to each of the three others, and take it off.
    for _ in 0..3 {
        terminal.send("\u{1b}[B ").unwrap();
    }
    terminal.send("\r").unwrap();
    terminal.flush().unwrap();
}

#[test]
fn a_person_chooses_answers_and_agrees() {
    let (_registry, sandbox) = world();
    let mut terminal = guided(&sandbox);
    choose_realtime(&mut terminal);
    terminal.exp_string("realtime needs REALTIME_KEY (The key)").unwrap();
    terminal.send("hunter2 with $\r").unwrap();
    terminal.flush().unwrap();
    let shown = terminal.exp_string("Install 1 plugins into project").unwrap();
    assert!(shown.contains("realtime") && shown.contains("1.0.0") && shown.contains("a new file"), "{shown}");
    assert!(!shown.contains("hunter2"), "a secret is not shown: {shown}");
    terminal.send("y").unwrap();
    terminal.flush().unwrap();
    let rest = terminal.exp_eof().unwrap();
    assert!(rest.contains("is installed and"), "{rest}");
    assert_eq!(exit_code(&terminal), 0);
    assert!(env_file(&sandbox).unwrap().contains("REALTIME_KEY='hunter2 with $'\n"));
    let container = sandbox.container("realtime").unwrap();
    assert!(container["Config"]["Env"].as_array().unwrap().contains(&json!("REALTIME_KEY=hunter2 with $")));
    assert!(sandbox.container("stripe").is_none());
}

#[test]
fn ctrl_c_at_any_question_changes_nothing() {
    let (_registry, sandbox) = world();
    // Made by the first command that looks; what follows must not add to it.
    sandbox.plugin(&["list"]).ok();
    let before = State::of(&sandbox);
    for questions in 0..3 {
        let mut terminal = guided(&sandbox);
        if questions == 0 {
            terminal.exp_string("Which plugins?").unwrap();
        } else {
            choose_realtime(&mut terminal);
            terminal.exp_string("realtime needs REALTIME_KEY").unwrap();
        }
        if questions == 2 {
            terminal.send("value\r").unwrap();
            terminal.flush().unwrap();
            terminal.exp_string("Install 1 plugins into project").unwrap();
        }
        terminal.send(CTRL_C).unwrap();
        terminal.flush().unwrap();
        terminal.exp_eof().unwrap();
        assert_eq!(exit_code(&terminal), 130, "at question {questions}");
        assert_eq!(env_file(&sandbox), None);
        before.assert_unchanged(&sandbox, &format!("cancelled at question {questions}"));
    }
}

#[test]
fn no_is_an_answer_too() {
    let (_registry, sandbox) = world();
    let mut terminal = guided(&sandbox);
    choose_realtime(&mut terminal);
    terminal.exp_string("REALTIME_KEY").unwrap();
    terminal.send("value\r").unwrap();
    terminal.flush().unwrap();
    terminal.exp_string("Install 1 plugins into project").unwrap();
    terminal.send("n").unwrap();
    terminal.flush().unwrap();
    let rest = terminal.exp_eof().unwrap();
    assert!(rest.contains("nothing was changed"), "{rest}");
    assert_eq!(exit_code(&terminal), 2);
    assert_eq!(env_file(&sandbox), None);
    assert!(sandbox.container("realtime").is_none());
}
