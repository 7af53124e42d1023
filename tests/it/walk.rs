//! A fault at each mutating request in turn: the same command again and again, the fault one request further each
//! time, until the command gets through without meeting it.

use std::fmt;

use serde_json::json;

use crate::support::{Engine, Fault, Outcome, Package, Proxy, Registry, Sandbox, State, ask};

/// More requests than any command makes.
const MOST_REQUESTS: usize = 30;

/// What one faulty run came to, and what it is judged by.
pub(crate) struct Walk<'a> {
    sandbox: &'a Sandbox,
    proxy: &'a Proxy,
    package: &'a Package,
    before: &'a State,
    number: usize,
    pub(crate) outcome: Outcome,
    /// What is installed when the command has reached its end; `None` when nothing is.
    goal: Option<&'a str>,
    requests: Vec<String>,
}

impl fmt::Display for Walk<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "fault at request {} of {:#?}\n{}", self.number, self.requests, self.outcome)
    }
}

impl Walk<'_> {
    /// Everything is as before, without any further command.
    #[track_caller]
    pub(crate) fn assert_undone(&self) {
        self.before.assert_unchanged(self.sandbox, self);
        self.assert_answers();
    }

    /// The command reached its goal; what it could not tidy up the next command does.
    #[track_caller]
    pub(crate) fn assert_finished(&self) {
        let status = self.status();
        assert_eq!(self.installed().as_deref(), self.goal, "{self}\n{status}");
        State::of(self.sandbox).assert_tidy(self);
        self.assert_answers();
    }

    /// After one more command the plugin is as before or as wanted, and nothing in between.
    #[track_caller]
    pub(crate) fn assert_recovered(&self) {
        let status = self.status();
        State::of(self.sandbox).assert_tidy(self);
        if self.installed().as_deref() == self.goal {
            self.assert_answers();
        } else {
            self.before.assert_unchanged(self.sandbox, &format!("{self}\n{status}"));
            self.assert_answers();
        }
    }

    fn status(&self) -> Outcome {
        self.proxy.disarm();
        self.sandbox.plugin(&["status", "--repair"]).ok()
    }

    fn installed(&self) -> Option<String> {
        let receipt = self.sandbox.receipt(&self.package.name)?;
        Some(receipt["version"].as_str().unwrap().to_owned())
    }

    /// What the receipt says runs and answers; without a receipt nothing of it is on the engine.
    #[track_caller]
    fn assert_answers(&self) {
        let state = State::of(self.sandbox);
        let containers = state.of_kind("container");
        let images = state.of_kind("image");
        let Some(receipt) = self.sandbox.receipt(&self.package.name) else {
            assert!(containers.is_empty() && images.is_empty(), "{containers:?} {images:?}\n{self}");
            return;
        };
        assert_eq!(containers.len(), 1, "{containers:?}\n{self}");
        assert_eq!(images.len(), 1, "{images:?}\n{self}");
        let container = self.sandbox.container(&self.package.name).unwrap_or_else(|| panic!("{self}"));
        assert_eq!(container["Id"], receipt["containers"][0]["id"], "{self}");
        assert_eq!(container["Image"], receipt["image"]["id"], "{self}");
        assert_eq!(ask(self.package.number(), "/health").0, 200, "{self}");
    }
}

/// A sandbox whose engine is the proxy, with a registry of two versions of a plugin that needs everything that the
/// engine has: a volume, a generated secret, our network and the backend's.
struct Stage {
    _registry: Registry,
    sandbox: Sandbox,
    proxy: Proxy,
    package: Package,
}

fn stage() -> Stage {
    let registry = Registry::start();
    let package = Package::new("probe").edit(|manifest| {
        manifest["service"]["volumes"] = json!([{ "name": "data", "path": "/data" }]);
        manifest["env"] =
            json!({ "required": [{ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 32 } }] });
    });
    registry.add(&package);
    registry.add(&package.clone().version("1.1.0"));
    let mut sandbox = Sandbox::of(&registry);
    sandbox.foreign_network(&format!("{}_network", sandbox.project));
    let proxy = Proxy::start(&sandbox);
    sandbox.set("DOCKER_HOST", proxy.address());
    Stage { _registry: registry, sandbox, proxy, package }
}

/// Runs a command with the fault one request further each time; `reset` brings back what the command starts from.
fn walk(
    stage: &Stage,
    (words, goal): (&[&str], Option<&str>),
    fault: Fault,
    reset: impl Fn(),
    judge: impl Fn(&Walk<'_>),
) {
    for number in 1..MOST_REQUESTS {
        stage.proxy.disarm();
        reset();
        let before = State::of(&stage.sandbox);
        stage.proxy.arm(number, fault);
        let outcome = stage.proxy.run(&stage.sandbox, words);
        let requests = stage.proxy.mutating();
        let walk = Walk {
            sandbox: &stage.sandbox,
            proxy: &stage.proxy,
            package: &stage.package,
            before: &before,
            number,
            outcome,
            goal,
            requests,
        };
        if !stage.proxy.has_fired() {
            assert!(number > 3, "the command made fewer requests than it must\n{walk}");
            assert_eq!(walk.outcome.code, 0, "{walk}");
            walk.assert_finished();
            return;
        }
        judge(&walk);
    }
    panic!("more than {MOST_REQUESTS} requests for one command");
}

/// Installs where nothing is.
pub(crate) fn fresh_install(fault: Fault, judge: impl Fn(&Walk<'_>)) {
    let stage = stage();
    let name = stage.package.name.clone();
    let spec = format!("{name}@1.0.0");
    let reset = || {
        if stage.sandbox.receipt(&name).is_some() {
            stage.sandbox.plugin(&["remove", &name, "--delete-data", "--yes"]).ok();
        }
    };
    walk(&stage, (&["plugin", "install", &spec], Some("1.0.0")), fault, reset, judge);
}

/// Installs 1.1.0 where 1.0.0 is.
pub(crate) fn replacement(fault: Fault, judge: impl Fn(&Walk<'_>)) {
    let stage = stage();
    let name = stage.package.name.clone();
    let (old, new) = (format!("{name}@1.0.0"), format!("{name}@1.1.0"));
    let reset = || {
        stage.sandbox.plugin(&["install", &old]).ok();
    };
    walk(&stage, (&["plugin", "install", &new], Some("1.1.0")), fault, reset, judge);
}

/// Removes what is installed, data and all.
pub(crate) fn removal(fault: Fault, judge: impl Fn(&Walk<'_>)) {
    let stage = stage();
    let name = stage.package.name.clone();
    let spec = format!("{name}@1.0.0");
    let reset = || {
        stage.sandbox.plugin(&["install", &spec]).ok();
    };
    walk(&stage, (&["plugin", "remove", &name, "--delete-data", "--yes"], None), fault, reset, judge);
    let left = Engine::volumes(&json!({ "name": [format!("{}_plugin_", stage.sandbox.project)] }));
    assert!(left.is_empty(), "{left:?}");
}
