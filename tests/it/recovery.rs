//! What interrupted commands leave: it is reported by reading commands, recovered per plugin by changing ones, and never
//! destroys or blocks anything else.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Fault, Package, Proxy, Registry, Sandbox, State, ask, send, wait_until};

/// Two versions of a plugin in a registry, and a proxy between the program and the engine.
struct Stage {
    _registry: Registry,
    sandbox: Sandbox,
    proxy: Proxy,
    package: Package,
    /// Another plugin of the registry.
    other: Package,
}

impl Stage {
    /// The first version, and a second one that behaves so.
    fn new(second: &str) -> Self {
        let registry = Registry::start();
        let package = Package::new("probe").edit(|manifest| {
            // What the tests change in a container stays when it is stopped.
            manifest["service"]["read_only"] = json!(false);
            manifest["service"]["volumes"] = json!([{ "name": "data", "path": "/data" }]);
            let secret = json!({ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 32 } });
            manifest["env"] = json!({ "required": [secret] });
        });
        registry.add(&package);
        registry.add(&package.clone().version("1.1.0").mode(second));
        let other = Package::new("other");
        registry.add(&other);
        let mut sandbox = Sandbox::of(&registry);
        let proxy = Proxy::start(&sandbox);
        sandbox.set("DOCKER_HOST", proxy.address());
        Self { _registry: registry, sandbox, proxy, package, other }
    }

    fn install(&self, version: &str) -> Vec<String> {
        vec!["plugin".into(), "install".into(), format!("{}@{version}", self.package.name)]
    }

    fn run(&self, words: &[String]) -> crate::support::Outcome {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.proxy.run(&self.sandbox, &words)
    }

    /// Kills the program at the request with this number, after the engine has done it.
    fn kill_at(&self, number: usize, words: &[String]) {
        self.proxy.arm(number, Fault::KillAfter);
        self.run(words).ends_with(128 + 9);
        self.proxy.disarm();
    }

    /// The number of the request of these words whose line holds a text.
    fn number_of(&self, words: &[String], part: &str) -> usize {
        self.proxy.disarm();
        self.run(words).ok();
        let requests = self.proxy.mutating();
        requests.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {requests:#?}")) + 1
    }

    fn records(&self) -> PathBuf {
        self.sandbox.home().join(".nself/transactions")
    }
}

#[test]
fn a_copy_of_a_record_that_a_kill_left_never_acts() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    let remove = ["plugin", "remove", name, "--delete-data", "--yes"].map(ToOwned::to_owned);
    stage.kill_at(1, &remove);
    let record = std::fs::read_dir(stage.records()).unwrap().flatten().find(|entry| entry.path().is_file()).unwrap();
    let ghost = format!(".{}.0123456789abcdef.tmp", record.file_name().to_str().unwrap());
    std::fs::copy(record.path(), stage.records().join(ghost)).unwrap();
    sandbox.plugin(&["status", "--repair"]).ok().says(&["finished what an interrupted command"]);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    let before = State::of(sandbox);
    for words in [&["status"][..], &["status", "--repair"], &["install", name], &["status", "--repair"]] {
        if words[0] == "status" {
            let outcome = sandbox.plugin(words).ok().hides(&["finished what"]);
            before.assert_unchanged(sandbox, &outcome);
        }
    }
}

#[test]
fn an_unhealthy_version_comes_back_and_blocks_nothing_when_its_replacement_fails() {
    for second in ["error", "die"] {
        let stage = Stage::new(second);
        let (sandbox, name) = (&stage.sandbox, &stage.package.name);
        sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
        ask(stage.package.number(), "/become/error");
        let before = State::of(sandbox);
        let words = ["install", &format!("{name}@1.1.0"), "--timeout", "3s"];
        let outcome = sandbox.plugin(&words).ends_with(7);
        before.assert_unchanged(sandbox, &outcome);
        sandbox.plugin(&["status"]).ends_with(1).answers(&["running"]).hides(&["unfinished"]);
        sandbox.plugin(&["install", &stage.other.name]).ok();
    }
}

#[test]
fn a_record_that_cannot_be_recovered_blocks_its_plugin_alone_and_can_be_given_up() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    let number = {
        sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
        let number = stage.number_of(&stage.install("1.1.0"), "/stop");
        sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
        number
    };
    stage.kill_at(number, &stage.install("1.1.0"));
    let taken = TcpListener::bind(("127.0.0.1", stage.package.number())).unwrap();
    let hint = "nself plugin status --repair";
    sandbox.plugin(&["status", "--repair"]).ends_with(8).says(&["left: the earlier container", hint]);
    sandbox.plugin(&["install", &format!("{name}@1.1.0")]).ends_with(8).says(&[hint]);
    sandbox.plugin(&["remove", name]).ends_with(8).says(&[hint]);
    let other = &stage.other;
    sandbox.plugin(&["install", &other.name]).ok();
    sandbox.plugin(&["restart", &other.name]).ok();
    let given = sandbox.plugin(&["status", "--repair", name, "--yes"]).ends_with(1);
    given.says(&["the recovery was given up", "left: the earlier container"]);
    sandbox.plugin(&["status", "--repair", &other.name]).ok().hides(&["given up", "unfinished"]);
    drop(taken);
    sandbox.plugin(&["install", &format!("{name}@1.1.0")]).ok();
    sandbox.plugin(&["status"]).ok();
    State::of(sandbox).assert_tidy(&"after the second installation");
}

#[test]
fn remove_force_gives_up_what_cannot_be_recovered() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    let number = stage.number_of(&stage.install("1.1.0"), "/stop");
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    stage.kill_at(number, &stage.install("1.1.0"));
    let _taken = TcpListener::bind(("127.0.0.1", stage.package.number())).unwrap();
    sandbox.plugin(&["remove", name, "--force"]).ok().says(&["given up"]);
    sandbox.plugin(&["status"]).ok().hides(&["unfinished"]);
    assert!(State::of(sandbox).of_kind("container").is_empty());
}

#[test]
fn records_that_cannot_be_read_are_reported_by_name_and_nothing_of_them_is_deleted() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    let other = &stage.other;
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    let number = stage.number_of(&stage.install("1.1.0"), "/stop");
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    stage.kill_at(number, &stage.install("1.1.0"));
    let record = std::fs::read_dir(stage.records()).unwrap().flatten().find(|entry| entry.path().is_file()).unwrap();
    let record = record.path();
    let text = std::fs::read_to_string(&record).unwrap();
    let staging = sandbox.home().join(".nself/plugins/.staging").join(record.file_stem().unwrap());
    for bad in [text.replace("nself.record/1", "nself.record/2"), text[..90].to_owned()] {
        std::fs::write(&record, bad).unwrap();
        let path = record.to_str().unwrap();
        sandbox.plugin(&["status"]).ends_with(1).says(&[path]);
        sandbox.plugin(&["install", &other.name]).ok();
        sandbox.plugin(&["install", name, "--force"]).ends_with(1).says(&[path, "--repair"]);
        sandbox.plugin(&["status", "--repair"]).ends_with(1).says(&[path]);
        assert!(staging.exists() && record.exists());
    }
    std::fs::remove_file(&record).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &record, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    sandbox.plugin(&["status"]).ends_with(1).says(&[record.to_str().unwrap(), "not a regular file"]);
    sandbox.plugin(&["remove", &other.name]).ok();
    std::fs::remove_file(&record).unwrap();
    std::fs::write(&record, text).unwrap();
    sandbox.plugin(&["status", "--repair"]).ok().answers(&["1.0.0", "healthy"]);
    assert!(!staging.exists());
}

#[test]
fn a_record_of_another_engine_is_kept_and_nothing_is_done_for_it_here() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    let number = stage.number_of(&stage.install("1.1.0"), "/stop");
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    stage.kill_at(number, &stage.install("1.1.0"));
    let record = std::fs::read_dir(stage.records()).unwrap().flatten().find(|entry| entry.path().is_file()).unwrap();
    let text = std::fs::read_to_string(record.path()).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&text).unwrap();
    other["engine"]["id"] = json!("another");
    std::fs::write(record.path(), other.to_string()).unwrap();
    let before = State::of(sandbox);
    for words in [&["status", "--repair"][..], &["install", name, "--force"], &["remove", name]] {
        let outcome = sandbox.plugin(words).ends_with(8).says(&["another Docker engine: another"]);
        before.assert_unchanged(sandbox, &outcome);
    }
    sandbox.plugin(&["install", &stage.other.name]).ok();
    std::fs::write(record.path(), text).unwrap();
    sandbox.plugin(&["status", "--repair"]).ok().answers(&["1.0.0", "healthy"]);
}

#[test]
fn a_receipt_of_a_later_version_is_shown_and_never_replaced() {
    let sandbox = Sandbox::new();
    let (later, good) = (Package::new("later"), Package::new("good"));
    sandbox.install(&later, &[]).ok();
    sandbox.install(&good, &[]).ok();
    let path = sandbox.home().join(".nself/receipts").join(&sandbox.project).join(format!("{}.json", later.name));
    let text = std::fs::read_to_string(&path).unwrap().replace("nself.receipt/1", "nself.receipt/2");
    std::fs::write(&path, &text).unwrap();
    let before = State::of(&sandbox);
    sandbox.plugin(&["status"]).ends_with(1).answers(&[&good.name]).says(&["nself.receipt/2"]);
    for words in [&["--force"][..], &[]] {
        sandbox.install(&later, words).ends_with(1).says(&["nself.receipt/2", "later version"]);
    }
    let outcome = sandbox.plugin(&["remove", &later.name, "--force"]).ends_with(1).says(&["nself.receipt/2"]);
    before.assert_unchanged(&sandbox, &outcome);
    sandbox.plugin(&["restart", &good.name]).ok();
}

/// Kills the program while the engine has not yet heard of its request, recovers, and lets the engine do it then.
fn late_request(stage: &Stage, words: &[String], number: usize) -> String {
    stage.proxy.arm(number, Fault::Hold);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = stage.sandbox.start(&words);
    wait_until("the request is held", Duration::from_mins(1), || stage.proxy.has_fired());
    let request = stage.proxy.mutating().last().unwrap().clone();
    send(running.id(), Signal::KILL);
    running.wait().ends_with(128 + 9);
    stage.sandbox.plugin(&["status", "--repair"]);
    stage.proxy.release();
    stage.proxy.wait_for_held();
    request
}

/// The requests that can come late, by number. The body of an import ends with the program: the engine never gets it whole.
fn late_numbers(stage: &Stage) -> Vec<usize> {
    let requests = stage.proxy.mutating();
    (1..=requests.len()).filter(|number| !requests[number - 1].contains("/images/create?fromSrc")).collect()
}

#[test]
fn requests_that_the_engine_does_after_the_recovery_leave_nothing_that_blocks() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    stage.number_of(&stage.install("1.1.0"), "/stop");
    for number in late_numbers(&stage) {
        sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
        let request = late_request(&stage, &stage.install("1.1.0"), number);
        let outcome = sandbox.plugin(&["install", &format!("{name}@1.1.0"), "--force"]);
        assert_eq!(outcome.code, 0, "after a late {request}\n{outcome}");
        let left = State::of(sandbox);
        left.assert_tidy(&format!("after a late {request}"));
        assert_eq!(left.of_kind("container").len(), 1, "after a late {request}");
        assert_eq!(ask(stage.package.number(), "/health").0, 200);
    }
}

#[test]
fn requests_of_a_first_installation_that_come_late_leave_nothing_that_blocks() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    stage.number_of(&stage.install("1.0.0"), "/start");
    for number in late_numbers(&stage) {
        sandbox.plugin(&["remove", name, "--delete-data", "--yes"]);
        let request = late_request(&stage, &stage.install("1.0.0"), number);
        let outcome = sandbox.plugin(&["status", "--repair"]).ok();
        let left = State::of(sandbox);
        // The restart policy is set after the commit point: the plugin is installed.
        let expected = usize::from(request.contains("/update"));
        assert_eq!(left.of_kind("container").len(), expected, "after a late {request}\n{outcome}");
        let outcome = sandbox.plugin(&["install", &format!("{name}@1.0.0")]);
        assert_eq!(outcome.code, 0, "after a late {request}\n{outcome}");
        assert_eq!(State::of(sandbox).of_kind("network").len(), 1, "after a late {request}");
    }
}

#[test]
fn a_retried_removal_of_several_ends_with_success() {
    let sandbox = Sandbox::new();
    let packages = [Package::new("one"), Package::new("two")];
    for package in &packages {
        sandbox.install(package, &[]).ok();
    }
    sandbox.plugin(&["remove", &packages[0].name]).ok();
    sandbox.plugin(&["remove", &packages[0].name, &packages[1].name]).ok().answers(&["was removed"]);
    sandbox.plugin(&["remove", &packages[0].name]).ends_with(3);
}

#[test]
fn a_restart_beside_a_removal_says_that_the_plugin_is_not_installed() {
    let stage = Stage::new("ok");
    let (sandbox, name) = (&stage.sandbox, &stage.package.name);
    sandbox.plugin(&["install", &format!("{name}@1.0.0")]).ok();
    stage.proxy.arm(1, Fault::Hold);
    let removing = sandbox.start(&["plugin", "remove", name]);
    wait_until("the removal is under way", Duration::from_mins(1), || stage.proxy.has_fired());
    let stopping = sandbox.start(&["plugin", "stop", name]);
    let started = Instant::now();
    wait_until("the other command waits", Duration::from_secs(10), || started.elapsed() > Duration::from_secs(1));
    stage.proxy.release();
    removing.wait().ok();
    stopping.wait().ends_with(3).says(&["is not installed"]);
}
