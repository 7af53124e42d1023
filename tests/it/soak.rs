//! Random kills: commands are killed at random moments, a third of the recoveries too. After the recovery everything
//! agrees, and the same command works. CI runs a few rounds; `tests/soak.sh` runs a thousand.

#![expect(clippy::print_stdout, reason = "the soak run shows its counts")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Engine, Package, Registry, Running, Sandbox, State, variable_inside};

const REPAIR: [&str; 3] = ["plugin", "status", "--repair"];

/// The calls by which files are put in place, made durable and removed.
const FILE_CALLS: &[&str] = &["rename,renameat2", "linkat", "fsync", "unlink,unlinkat,rmdir", "mkdir"];

/// More calls of one kind than a thread of any command makes.
const MOST_CALLS: usize = 60;

/// A generator of random numbers that a seed repeats (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

struct Stage {
    _registry: Registry,
    sandbox: Sandbox,
    packages: [Package; 2],
    random: Random,
    /// How long each kind of command took last, in milliseconds.
    took: BTreeMap<&'static str, u64>,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let registry = Registry::start();
        let packages = ["one", "two"].map(|word| {
            Package::new(word).edit(|manifest| {
                manifest["service"]["volumes"] = json!([{ "name": "data", "path": "/data" }]);
                let secret = json!({ "name": "PROBE_SECRET", "secret": true, "generated": { "length": 32 } });
                manifest["env"] =
                    json!({ "required": [secret], "optional": [{ "name": "PROBE_WORD", "default": "a" }] });
            })
        });
        for package in &packages {
            registry.add(package);
            registry.add(&package.clone().version("1.1.0"));
        }
        let sandbox = Sandbox::of(&registry);
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        Self { _registry: registry, sandbox, packages, random, took: BTreeMap::new() }
    }

    /// A command, and what kind it is.
    fn command(&mut self) -> (&'static str, Vec<String>) {
        let name = self.packages[usize::try_from(self.random.below(2)).unwrap()].name.clone();
        let version = ["1.0.0", "1.1.0"][usize::try_from(self.random.below(2)).unwrap()];
        let both = self.packages.iter().map(|package| format!("{}@{version}", package.name));
        let (kind, words): (_, Vec<String>) = match self.random.below(8) {
            0 | 1 => ("install", vec!["install".into(), format!("{name}@{version}")]),
            2 => ("force", vec!["install".into(), format!("{name}@{version}"), "--force".into()]),
            3 => ("both", std::iter::once("install".to_owned()).chain(both).collect()),
            4 => ("remove", vec!["remove".into(), name]),
            5 => ("delete", vec!["remove".into(), name, "--delete-data".into(), "--yes".into()]),
            6 => ("restart", vec!["restart".into(), name]),
            _ => {
                let word = format!("w{}", self.random.below(1000));
                ("config", vec!["config".into(), name, "set".into(), "PROBE_WORD".into(), word])
            }
        };
        (kind, std::iter::once("plugin".to_owned()).chain(words).collect())
    }

    fn kill(&mut self, kind: &'static str, words: &[&str]) -> bool {
        let longest = self.took.get(kind).copied().unwrap_or(1500);
        let pause = Duration::from_millis(self.random.below(longest + longest / 4 + 1));
        let running = self.sandbox.start(words);
        std::thread::sleep(pause);
        running.signal(Signal::KILL);
        let outcome = running.wait();
        if outcome.code != 128 + 9 {
            self.took.insert(kind, u64::try_from(outcome.took.as_millis()).unwrap());
        }
        outcome.code == 128 + 9
    }

    /// One round; returns whether the command was killed before its end.
    fn round(&mut self) -> bool {
        let (kind, words) = self.command();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let stored = self.secrets();
        let was_killed = self.kill(kind, &words);
        let is_recovery_killed = self.random.below(3) == 0;
        if is_recovery_killed {
            self.kill("repair", &REPAIR);
        }
        let how = format!("killed: {was_killed}, recovery killed: {is_recovery_killed}");
        self.assert_recovers(kind, &words, &stored, &how);
        was_killed
    }

    /// Kills a command at the given call of these, counted per thread; false when it makes fewer.
    fn kill_at_call(&self, words: &[&str], calls: &str, number: usize) -> bool {
        let program = self.sandbox.command(words);
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:signal=KILL:when={number}")]);
        command.arg(program.get_program()).args(program.get_args());
        self.sandbox.surround(&mut command);
        let outcome = Running::new(command, format!("{calls} {number}: {}", words.join(" "))).wait();
        assert!(matches!(outcome.code, 0 | 3 | 137), "{outcome}");
        outcome.code == 128 + 9
    }

    /// After a kill: the recovery makes everything agree, and the same command works.
    fn assert_recovers(&self, kind: &str, words: &[&str], stored: &BTreeMap<String, String>, how: &str) {
        let repaired = self.sandbox.run(&REPAIR);
        let context = format!("{words:?}, {how}\n{repaired}");
        assert!(matches!(repaired.code, 0 | 1), "{context}");
        self.assert_agrees(&context);
        // A generated secret that was stored stays, unless the command was to delete it.
        for (name, secret) in stored.iter().filter(|_| kind != "delete") {
            assert_eq!(self.secrets().get(name), Some(secret), "the secret of {name}\n{context}");
        }
        let again = self.sandbox.run(words);
        let may_be_missing = matches!(kind, "remove" | "delete" | "restart" | "config");
        assert!(again.code == 0 || (may_be_missing && again.code == 3), "again: {again}\n{context}");
        self.assert_agrees(&format!("again: {again}\n{context}"));
        let repaired = self.sandbox.run(&REPAIR).hides(&["finished what", "rolled back what"]);
        self.assert_agrees(&format!("nothing is left to recover: {repaired}\n{context}"));
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        let path = self.sandbox.home().join(format!(".config/nself/values/{}.json", self.sandbox.project));
        let values: Value =
            std::fs::read(path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("whole values"));
        let of = |name: &String| values[name]["PROBE_SECRET"].as_str().map(ToOwned::to_owned);
        self.packages.iter().filter_map(|package| Some((package.name.clone(), of(&package.name)?))).collect()
    }

    /// Files, receipts, containers and stored secrets agree, and there is nothing else.
    fn assert_agrees(&self, context: &str) {
        let state = State::of(&self.sandbox);
        state.assert_tidy(&context);
        for file in state.of_kind("file ") {
            let is_left = file.contains("nself-tmp") || file.contains(".tmp") || file.contains("/values.d/");
            assert!(!is_left && !file.ends_with(".transaction"), "{file}\n{context}");
        }
        let mut installed = 0;
        for package in &self.packages {
            let active = self.sandbox.active(&package.name).join("plugin.json");
            let Some(receipt) = self.sandbox.receipt(&package.name) else {
                assert!(self.sandbox.container(&package.name).is_none() && !active.exists(), "{context}");
                continue;
            };
            installed += 1;
            let container = self.sandbox.container(&package.name).unwrap_or_else(|| panic!("{context}"));
            assert_eq!(container["Id"], receipt["containers"][0]["id"], "{context}");
            assert_eq!(container["Image"], receipt["image"]["id"], "{context}");
            assert_eq!(container["State"]["Status"], "running", "{context}");
            let manifest: Value = serde_json::from_slice(&std::fs::read(active).unwrap()).unwrap();
            assert_eq!(manifest["version"], receipt["version"], "{context}");
            assert_eq!(container["Config"]["Labels"]["org.nself.version"], receipt["version"], "{context}");
            let inside = variable_inside(package.number(), "PROBE_SECRET");
            assert_eq!(inside.as_ref(), self.secrets().get(&package.name), "{context}");
        }
        assert_eq!(state.of_kind("container").len(), installed, "{context}");
        let networks = state.of_kind("network").len();
        assert_eq!(networks, usize::from(installed > 0), "{context}");
    }
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().and_then(|text| text.parse().ok())
}

/// Kills at every file call of a kind in turn, or, without `NSELF_SOAK_KILLS`, at every few.
#[test]
fn kills_at_file_calls_leave_everything_whole() {
    let step = if number("NSELF_SOAK_KILLS").is_some() { 1 } else { 17 };
    let start = usize::try_from(number("NSELF_SOAK_SEED").unwrap_or(1)).unwrap() % step;
    let (mut kills, mut bad) = (0, Vec::new());
    for calls in FILE_CALLS {
        let mut stage = Stage::new(1);
        for at in (1 + start..MOST_CALLS).step_by(step) {
            let mut is_reached = false;
            let name = stage.packages[0].name.clone();
            let (new, old) = (format!("{name}@1.1.0"), format!("{name}@1.0.0"));
            for (kind, words) in [
                ("install", vec!["plugin", "install", &old]),
                ("install", vec!["plugin", "install", &new]),
                ("config", vec!["plugin", "config", &name, "set", "PROBE_WORD", "b"]),
                ("delete", vec!["plugin", "remove", &name, "--delete-data", "--yes"]),
            ] {
                let stored = stage.secrets();
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let was_killed = stage.kill_at_call(&words, calls, at);
                    stage.assert_recovers(kind, &words, &stored, &format!("killed at {calls} {at}: {was_killed}"));
                    was_killed
                }));
                match result {
                    Ok(was_killed) => {
                        is_reached |= was_killed;
                        kills += u64::from(was_killed);
                    }
                    Err(panic) => {
                        bad.push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
                        stage = Stage::new(2);
                        break;
                    }
                }
            }
            if !is_reached {
                break;
            }
        }
    }
    println!("{kills} kills at file calls, {} bad", bad.len());
    assert!(bad.is_empty(), "{} of {kills} kills at file calls were bad\n{}", bad.len(), bad.join("\n\n"));
    assert!(kills > 3, "only {kills} kills");
}

/// How many rounds are run: `NSELF_SOAK_KILLS`, else a few.
#[test]
fn random_kills_leave_everything_whole() {
    let (seed, rounds) = (number("NSELF_SOAK_SEED").unwrap_or(1), number("NSELF_SOAK_KILLS").unwrap_or(6));
    let mut stage = Stage::new(seed);
    let (mut killed, mut bad) = (0, Vec::new());
    for round in 0..rounds {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.round()));
        match result {
            Ok(was_killed) => killed += u64::from(was_killed),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                bad.push(format!("round {round}: {text}"));
                // The next rounds start from nothing again.
                stage = Stage::new(seed.wrapping_add(round + 1));
            }
        }
    }
    println!("{rounds} rounds, {killed} killed before their end, {} bad (seed {seed})", bad.len());
    assert!(bad.is_empty(), "{} of {rounds} rounds were bad (seed {seed})\n{}", bad.len(), bad.join("\n\n"));
    let left = Engine::volumes(&json!({ "name": [format!("{}_plugin_", stage.sandbox.project)] }));
    assert!(left.len() <= 2, "{left:?}");
}
