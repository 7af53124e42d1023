//! Every state of the old version times every way in which a replacement ends: afterwards there is the old version as it
//! was, or the new one whole. CI runs a few of these, chosen by a seed; `tests/soak.sh` runs all.

#![expect(clippy::print_stdout, reason = "the soak run shows its counts")]

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Engine, Fault, Package, Proxy, Registry, Sandbox, State, ask, wait_until};

/// What the old version is like when it is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Healthy,
    Unhealthy,
    CrashLooping,
    Stopped,
    Paused,
    Renamed,
    OffNetwork,
    Removed,
}

const OLD: &[Old] = &[
    Old::Healthy,
    Old::Unhealthy,
    Old::CrashLooping,
    Old::Stopped,
    Old::Paused,
    Old::Renamed,
    Old::OffNetwork,
    Old::Removed,
];

/// How the replacement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ok,
    NewFails,
    NewDies,
    CtrlC,
    Kill,
    KillInRecovery,
}

const ENDS: &[End] = &[End::Ok, End::NewFails, End::NewDies, End::CtrlC, End::Kill, End::KillInRecovery];

struct Stage {
    _registry: Registry,
    sandbox: Sandbox,
    proxy: Proxy,
    package: Package,
}

impl Stage {
    fn new(end: End) -> Self {
        let registry = Registry::start();
        let package = Package::new("probe").edit(|manifest| {
            manifest["service"]["read_only"] = json!(false);
            let secret = json!({ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 32 } });
            manifest["env"] = json!({ "required": [secret] });
        });
        registry.add(&package);
        let mode = match end {
            End::Ok => "ok",
            End::NewDies => "die",
            _ => "error",
        };
        registry.add(&package.clone().version("1.1.0").mode(mode));
        let mut sandbox = Sandbox::of(&registry);
        let proxy = Proxy::start(&sandbox);
        sandbox.set("DOCKER_HOST", proxy.address());
        sandbox.plugin(&["install", &format!("{}@1.0.0", package.name)]).ok();
        Self { _registry: registry, sandbox, proxy, package }
    }

    fn id(&self) -> String {
        let receipt = self.sandbox.receipt(&self.package.name).unwrap();
        receipt["containers"][0]["id"].as_str().unwrap().to_owned()
    }

    fn bring(&self, old: Old) {
        let (id, port) = (self.id(), self.package.number());
        let engine = |path: &str, body: Option<&Value>| {
            let (status, answer) = Engine::request("POST", path, body);
            assert!(status < 400, "{path}: {status} {answer}");
        };
        match old {
            Old::Healthy => {}
            Old::Unhealthy => assert_eq!(ask(port, "/become/error").0, 404),
            Old::CrashLooping => {
                let _ = std::panic::catch_unwind(|| ask(port, "/become/die"));
                wait_until("it crash-loops", std::time::Duration::from_secs(30), || state(&id) == "restarting");
            }
            Old::Stopped => engine(&format!("/containers/{id}/stop"), None),
            Old::Paused => engine(&format!("/containers/{id}/pause"), None),
            Old::Renamed => engine(&format!("/containers/{id}/rename?name={}-by-hand", self.sandbox.project), None),
            Old::OffNetwork => {
                let body = json!({ "Container": id, "Force": true });
                engine(&format!("/networks/{}_plugins/disconnect", self.sandbox.project), Some(&body));
            }
            Old::Removed => Engine::remove_container(&id),
        }
    }

    fn words(&self) -> [String; 5] {
        let spec = format!("{}@1.1.0", self.package.name);
        ["plugin".into(), "install".into(), spec, "--timeout".into(), "4s".into()]
    }

    /// Ends the replacement and, where it was killed, recovers.
    fn replace(&self, end: End) -> String {
        let words = self.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let running = self.sandbox.start(&words);
        match end {
            End::Ok => return running.wait().ends_with(0).to_string(),
            End::NewFails | End::NewDies => return running.wait().ends_with(7).to_string(),
            _ => {}
        }
        let label = format!("{}.", self.package.name);
        wait_until("the new version runs", std::time::Duration::from_mins(1), || {
            let filters =
                json!({ "label": [format!("org.nself.plugin={}", self.package.name)], "status": ["running"] });
            let is_new = |found: &Value| {
                let names = found["Names"].to_string();
                names.contains(".next.") || (self.is_fresh() && names.contains(&self.package.name))
            };
            Engine::containers(&filters).iter().any(is_new)
        });
        let _ = label;
        if end == End::CtrlC {
            running.signal(Signal::INT);
            return running.wait().ends_with(130).to_string();
        }
        running.signal(Signal::KILL);
        running.wait().ends_with(128 + 9);
        if end == End::KillInRecovery {
            self.proxy.arm(1, Fault::KillAfter);
            self.proxy.run(&self.sandbox, &["plugin", "status", "--repair"]);
            self.proxy.disarm();
        }
        self.sandbox.plugin(&["status", "--repair"]).to_string()
    }

    /// Whether the old container is gone, so that the new one gets its name at once.
    fn is_fresh(&self) -> bool {
        Engine::container(&self.id()).is_none()
    }
}

fn state(id: &str) -> String {
    Engine::container(id).map_or_else(|| "removed".into(), |found| found["State"]["Status"].as_str().unwrap().into())
}

/// The old version is as it was, but for what changes by itself: a container that crash-loops runs now and then.
fn assert_as_before(stage: &Stage, old: Old, (id, name, before): (&str, &Value, &State), context: &str) {
    assert_eq!(stage.sandbox.receipt(&stage.package.name).unwrap()["version"], "1.0.0", "{context}");
    match old {
        Old::Removed => assert!(State::of(&stage.sandbox).of_kind("container").is_empty(), "{context}"),
        Old::CrashLooping => {
            let found = Engine::container(id).unwrap_or_else(|| panic!("{context}"));
            assert_eq!(found["Name"], *name, "{context}");
            wait_until(context, std::time::Duration::from_secs(30), || state(id) == "restarting");
        }
        _ => before.assert_unchanged(&stage.sandbox, &context),
    }
}

fn combination(old: Old, end: End) {
    let stage = Stage::new(end);
    let id = stage.id();
    stage.bring(old);
    let name = Engine::container(&id).map_or(Value::Null, |found| found["Name"].clone());
    let before = State::of(&stage.sandbox);
    let outcome = stage.replace(end);
    let context = format!("{old:?} × {end:?}\n{outcome}");
    State::of(&stage.sandbox).assert_tidy(&context);
    if end == End::Ok {
        assert_eq!(stage.sandbox.receipt(&stage.package.name).unwrap()["version"], "1.1.0", "{context}");
        assert_eq!(State::of(&stage.sandbox).of_kind("container").len(), 1, "{context}");
        assert_eq!(ask(stage.package.number(), "/health").0, 200, "{context}");
    } else {
        assert_as_before(&stage, old, (&id, &name, &before), &context);
    }
    // Nothing is blocked: the plugin can be installed anew, and removed.
    stage.sandbox.plugin(&["install", &format!("{}@1.0.0", stage.package.name), "--force"]).ok();
    stage.sandbox.plugin(&["remove", &stage.package.name, "--delete-data", "--yes"]).ok();
    assert!(State::of(&stage.sandbox).of_kind("container").is_empty(), "{context}");
}

/// How many combinations are run: `NSELF_SOAK_STATES`, else a few.
#[test]
fn every_state_of_the_old_version_survives_every_end() {
    let seed: usize = std::env::var("NSELF_SOAK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let count = std::env::var("NSELF_SOAK_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let all: Vec<(Old, End)> = OLD.iter().flat_map(|old| ENDS.iter().map(move |end| (*old, *end))).collect();
    let mut bad = Vec::new();
    // 7 is coprime to 48: every seed begins elsewhere, and 48 in a row are all.
    for number in (0..count).map(|number| (seed * 11 + number * 7) % all.len()) {
        let (old, end) = all[number];
        if let Err(panic) = std::panic::catch_unwind(|| combination(old, end)) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            bad.push(format!("{old:?} × {end:?}: {text}"));
        }
    }
    assert!(bad.is_empty(), "{} of {count} combinations were bad (seed {seed})\n{}", bad.len(), bad.join("\n\n"));
    println!("{count} combinations, none bad (seed {seed})");
}
