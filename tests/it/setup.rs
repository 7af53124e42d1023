//! `setup`: by flags, and guided through a pseudo-terminal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rexpect::session::PtySession;
use serde_json::json;

use crate::support::{Engine, Package, Registry, Sandbox, State, assert_valid_output, exit_code};

/// What the terminal sends for Ctrl-C.
const CTRL_C: &str = "\u{3}";

/// A registry with realtime, which needs a key, and stripe, which needs nothing.
pub(crate) fn world() -> (Registry, Sandbox) {
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

pub(crate) fn env_file(sandbox: &Sandbox) -> Option<String> {
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
    for words in [&["setup"][..], &["setup", "--core-only"], &["setup", "--core-only", "--json"]] {
        let outcome = sandbox.plugin(words).ends_with(2);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("nself plugin setup --core-only --yes"), "{outcome}");
    }
    // What was asked for stands in the command.
    let words = ["setup", "realtime", "--set", "media"];
    sandbox.plugin(&words).ends_with(2).says(&["nself plugin setup realtime --set media --yes"]);
    before.assert_unchanged(&sandbox, &"nothing was asked for");
}

#[test]
fn by_flags_the_file_is_made_and_a_second_run_leaves_it() {
    let (_registry, sandbox) = world();
    let words = ["setup", "realtime", "stripe", "--yes", "--env", "REALTIME_KEY=k"];
    sandbox.plugin(&words).ok().answers(&["realtime 1.0.0", "a new file with", "nself plugin env --format nextjs"]);
    let text = env_file(&sandbox).unwrap();
    for line in
        ["# The key (required, secret)\nREALTIME_KEY=k\n", "REALTIME_SECRET=\n", "REALTIME_GREETING='hello there'\n"]
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
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok().says(&["git would commit", "/.gitignore"]);
    sandbox.write(".gitignore", ".env*\n");
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok().hides(&["git would commit"]);
}

/// The guided way, in a terminal of its own.
fn guided(sandbox: &Sandbox) -> PtySession {
    sandbox.terminal(&["plugin", "setup"])
}

/// Down in a list, and the mark there taken off or set.
const NEXT: &str = "\u{1b}[B ";

/// What a person is asked and answers: core is chosen beforehand and realtime is its first plugin, so the three others
/// are taken off.
fn realtime_alone() -> Vec<(&'static str, String)> {
    vec![
        ("Which sets?", "\r".to_owned()),
        ("Which plugins?", format!("{NEXT}{NEXT}{NEXT}\r")),
        ("realtime needs REALTIME_KEY (The key)", "hunter2 with $\r".to_owned()),
        ("Install 1 plugin into project", "y\r".to_owned()),
    ]
}

/// Answers questions in their order; gives what was shown from one to the next, each with its question.
fn converse(terminal: &mut PtySession, questions: &[(&str, String)]) -> Vec<String> {
    let answer = |(question, answer): &(&str, String)| {
        let before = terminal.exp_string(question).unwrap();
        terminal.send(answer).unwrap();
        terminal.flush().unwrap();
        format!("{before}{question}")
    };
    questions.iter().map(answer).collect()
}

#[test]
fn a_person_chooses_answers_and_agrees() {
    let (_registry, sandbox) = world();
    let mut terminal = guided(&sandbox);
    let shown = converse(&mut terminal, &realtime_alone());
    let (sets, plan) = (&shown[1], &shown[3]);
    assert!(sets.contains("core: realtime, notifications, jobs, file-processing (what"), "{sets}");
    assert!(plan.contains("realtime") && plan.contains("1.0.0") && plan.contains("a new file"), "{plan}");
    assert!(!plan.contains("hunter2"), "a secret is not shown: {plan}");
    let rest = terminal.exp_eof().unwrap();
    assert!(rest.contains("is installed and"), "{rest}");
    assert_eq!(exit_code(&terminal), 0);
    assert!(env_file(&sandbox).unwrap().contains("REALTIME_KEY='hunter2 with $'\n"));
    let container = sandbox.container("realtime").unwrap();
    assert!(container["Config"]["Env"].as_array().unwrap().contains(&json!("REALTIME_KEY=hunter2 with $")));
    assert!(sandbox.container("stripe").is_none());
}

/// A registry with a realtime that wants power over this machine besides its key.
pub(crate) fn powerful_world() -> (Registry, Sandbox) {
    let registry = Registry::start();
    registry.add(&Package::named("realtime").edit(|manifest| {
        manifest["env"] = json!({ "required": [{ "name": "REALTIME_KEY", "description": "The key", "secret": true }] });
        manifest["privileges"] = json!({ "capabilities": ["SYS_NICE"] });
    }));
    registry.add(&Package::named("notifications"));
    let sandbox = Sandbox::of(&registry);
    (registry, sandbox)
}

const GRANT: &str = "asks for capability SYS_NICE: power over this machine. Grant it?";

#[test]
fn ctrl_c_at_any_question_changes_nothing() {
    let (_registry, sandbox) = powerful_world();
    // Made by the first command that looks; what follows must not add to it.
    sandbox.plugin(&["list"]).ok();
    let before = State::of(&sandbox);
    let mut questions = realtime_alone();
    questions.insert(2, (GRANT, "y\r".to_owned()));
    for place in 0..questions.len() {
        let mut cancelled = questions[..=place].to_vec();
        cancelled[place].1 = CTRL_C.to_owned();
        let mut terminal = guided(&sandbox);
        converse(&mut terminal, &cancelled);
        terminal.exp_eof().unwrap();
        assert_eq!(exit_code(&terminal), 130, "at question {place}");
        assert_eq!(env_file(&sandbox), None);
        before.assert_unchanged(&sandbox, &format!("cancelled at question {place}"));
    }
}

#[test]
fn no_is_an_answer_too() {
    let (_registry, sandbox) = world();
    let mut terminal = guided(&sandbox);
    let mut questions = realtime_alone();
    questions[3].1 = "n\r".to_owned();
    converse(&mut terminal, &questions);
    let rest = terminal.exp_eof().unwrap();
    assert!(rest.contains("nothing was changed"), "{rest}");
    assert_eq!(exit_code(&terminal), 2);
    assert_eq!(env_file(&sandbox), None);
    assert!(sandbox.container("realtime").is_none());
}

#[test]
fn power_over_the_machine_is_granted_by_plugin_and_a_no_leaves_that_one_out() {
    let (_registry, sandbox) = powerful_world();
    let mut terminal = guided(&sandbox);
    let plan = ("Install 1 plugin into project", "y\r".to_owned());
    let plugins = ("Which plugins?", format!("\u{1b}[B{NEXT}{NEXT}\r"));
    converse(&mut terminal, &[("Which sets?", "\r".to_owned()), plugins, (GRANT, "n\r".to_owned()), plan]);
    terminal.exp_eof().unwrap();
    assert_eq!(exit_code(&terminal), 0);
    assert!(sandbox.container("realtime").is_none() && sandbox.container("notifications").is_some());

    let mut questions = realtime_alone();
    // What is installed is chosen too: it is taken off here.
    questions.insert(2, (GRANT, "y\r".to_owned()));
    let mut terminal = guided(&sandbox);
    converse(&mut terminal, &questions);
    terminal.exp_eof().unwrap();
    assert_eq!(exit_code(&terminal), 0);
    assert_eq!(sandbox.container("realtime").unwrap()["HostConfig"]["CapAdd"], json!(["SYS_NICE"]));
}

#[test]
fn by_flags_nothing_is_written_before_ports_variables_and_privileges_have_passed() {
    let (_registry, sandbox) = powerful_world();
    sandbox.plugin(&["list"]).ok();
    let before = State::of(&sandbox);
    let refused = sandbox.plugin(&["setup", "realtime", "--yes"]).ends_with(6);
    let refused = refused.says(&["needs REALTIME_KEY", "asks for capability SYS_NICE"]);
    assert_eq!(env_file(&sandbox), None);
    before.assert_unchanged(&sandbox, &refused);
    let words = ["setup", "realtime", "--yes", "--env", "REALTIME_KEY=k", "--allow-privileged"];
    sandbox.plugin(&words).ok();
    let receipt = sandbox.receipt("realtime").unwrap();
    let port = u16::try_from(receipt["ports"][0]["host"].as_u64().unwrap()).unwrap();
    sandbox.plugin(&["remove", "realtime"]).ok();
    std::fs::remove_file(sandbox.work().join(".env.plugins")).unwrap();
    let _held = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    sandbox.plugin(&words).ends_with(6).says(&["is held by the process"]);
    assert_eq!(env_file(&sandbox), None, "a taken port is found before the file is written");
}

#[test]
fn what_an_example_says_is_not_asked_and_moves_ports_in_the_plan() {
    let (_registry, sandbox) = world();
    let port = crate::support::free_port();
    sandbox.write(".env.plugins.example", &format!("REALTIME_KEY=team\nREALTIME_PORT={port}\n"));
    let mut terminal = guided(&sandbox);
    let mut questions = realtime_alone();
    questions.remove(2);
    let shown = converse(&mut terminal, &questions);
    assert!(shown[2].contains(&port.to_string()), "{}", shown[2]);
    terminal.exp_eof().unwrap();
    assert_eq!(exit_code(&terminal), 0);
    assert_eq!(crate::support::ask(port, "/health").0, 200);
}

#[test]
fn what_is_set_up_is_fetched_once() {
    let registry = Registry::start();
    let package = Package::named("stripe");
    registry.add(&package);
    let sandbox = Sandbox::of(&registry);
    sandbox.plugin(&["setup", "stripe", "--yes"]).ok();
    assert_eq!(registry.downloads(&package), 1);
}

#[test]
fn what_needs_a_plugin_that_is_left_out_is_left_out_too() {
    let (registry, sandbox) = powerful_world();
    registry.add_with(&Package::named("stripe"), |entry| {
        entry.insert("dependencies".into(), json!(["realtime"]));
    });
    sandbox.plugin(&["list"]).ok();
    let before = State::of(&sandbox);
    // By flags: nothing is left, so nothing is written.
    sandbox.plugin(&["setup", "stripe", "--yes"]).ends_with(6).says(&["REALTIME_KEY"]);
    sandbox.foreign_container(
        &sandbox.container_name("realtime"),
        &json!({ "Image": own_image(&sandbox), "Cmd": ["/probe", "idle"] }),
    );
    let refused = sandbox.plugin(&["setup", "stripe", "--yes", "--env", "REALTIME_KEY=k", "--allow-privileged"]);
    let refused =
        refused.ends_with(6).says(&["stripe is left out", "which cannot be", "and `realtime` needs the name"]);
    assert_eq!(env_file(&sandbox), None, "{refused}");
    Engine::remove_container(&sandbox.container_name("realtime"));
    before.assert_unchanged(&sandbox, &refused);
    // By a no to what it asks for.
    let mut terminal = sandbox.terminal(&["plugin", "setup", "stripe", "notifications"]);
    let plan = ("Install 1 plugin into project", "y\r".to_owned());
    converse(&mut terminal, &[(GRANT, "n\r".to_owned()), plan]);
    terminal.exp_eof().unwrap();
    assert_eq!(exit_code(&terminal), 0);
    assert!(sandbox.container("stripe").is_none() && sandbox.container("notifications").is_some());
}

fn own_image(sandbox: &Sandbox) -> String {
    sandbox.foreign_image(&format!("{}:1", sandbox.project), &Package::new("probe").build_context())
}

#[test]
fn a_malformed_line_shows_no_part_of_a_secret() {
    let (_registry, sandbox) = world();
    for (line, shown) in [
        ("ALPHA_KEY hunter2secret=", "`ALPHA_KEY` is not followed by `=`"),
        ("MIIEvQ/hunter2==", "the line is not KEY=VALUE"),
        ("REALTIME_KEY=hunter2\0", "`REALTIME_KEY` holds a NUL byte"),
    ] {
        sandbox.write(".env.plugins", &format!("FIRST=1\n{line}\n"));
        for words in [&["setup", "realtime", "--yes"][..], &["install", "realtime"], &["doctor"]] {
            let outcome = sandbox.plugin(words).ends_with(6).hides(&["hunter2", "MIIE", "\0"]);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(said.contains(&format!("line 2: {shown}")), "{line}: {outcome}");
        }
    }
}

#[test]
fn an_answer_goes_to_the_line_that_counts_and_not_into_another_value() {
    let (_registry, sandbox) = world();
    sandbox.write(".env.plugins", "X=\"a\nREALTIME_KEY=\nb\"\nREALTIME_KEY=\nREALTIME_KEY=\n");
    sandbox.plugin(&["setup", "realtime", "--yes", "--env", "REALTIME_KEY=a b"]).ok();
    let text = env_file(&sandbox).unwrap();
    assert!(text.starts_with("X=\"a\nREALTIME_KEY=\nb\"\nREALTIME_KEY=\nREALTIME_KEY='a b'\n"), "{text}");
}

#[test]
fn what_is_in_the_place_of_the_file_is_written_through_or_refused_with_what_helps() {
    let (_registry, sandbox) = world();
    let path = sandbox.work().join(".env.plugins");
    let words = ["setup", "realtime", "--yes", "--env", "REALTIME_KEY=k"];
    std::fs::create_dir(&path).unwrap();
    sandbox.plugin(&words).ends_with(6).says(&["could not read", "hint: ", "mv "]);
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("secrets/plugins", &path).unwrap();
    sandbox.plugin(&words).ends_with(6).says(&["is a link to", "mkdir -p "]);
    assert!(sandbox.container("realtime").is_none());
    std::fs::create_dir(sandbox.work().join("secrets")).unwrap();
    sandbox.plugin(&words).ok();
    assert!(path.is_symlink());
    let target = sandbox.work().join("secrets/plugins");
    assert!(std::fs::read_to_string(&target).unwrap().contains("REALTIME_KEY=k\n"));
    assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_warning_of_git_is_no_part_of_the_answer_and_its_command_ends_it() {
    let (_registry, sandbox) = world();
    let shell = |script: &str| {
        let done = Command::new("sh").args(["-ec", script]).current_dir("/").output().expect("there is a shell");
        assert!(done.status.success(), "{script}: {done:?}");
    };
    let setup = || {
        let outcome = sandbox.plugin(&["setup", "stripe", "--yes", "--json"]).ok();
        let document = outcome.json();
        assert_valid_output(&document);
        (document["env_file"]["ignored_by_git"].clone(), outcome)
    };
    assert_eq!(setup().0, json!(null), "there is no repository");
    shell(&format!("cd '{}' && git init -q && git add .env.plugins", sandbox.work().display()));
    sandbox.write(".gitignore", "*.log");
    let (ignored, outcome) = setup();
    assert_eq!(ignored, json!(false));
    let outcome = outcome.says(&["warning: git would commit"]);
    assert!(!outcome.stdout.contains("git would commit"), "{outcome}");
    let warning = outcome.stderr.lines().find(|line| line.contains("git would commit")).unwrap();
    shell(warning.split_once("run: ").unwrap().1);
    assert_eq!(setup().0, json!(true));
}
