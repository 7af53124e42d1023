//! A home, a working folder, a project and an environment that no other test shares, and the real program run in them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::engine::{Engine, socket_path};

/// The longest that any run of the program may take, and any run of a client: above the limits of its own.
const LONGEST_RUN: Duration = Duration::from_mins(3);
const LONGEST_CLIENT_RUN: Duration = Duration::from_mins(6);

/// A word that no other test and no other run uses: for projects and plugins.
pub(crate) fn unique(word: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_micros();
    format!("{word}-{:x}-{time:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The program's surroundings. When it is dropped, everything that was made on the engine in its name goes too.
#[must_use]
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
    pub(crate) project: String,
    environment: BTreeMap<String, String>,
    foreign: Mutex<Vec<Foreign>>,
}

/// What a test made on the engine by itself.
enum Foreign {
    Container(String),
    Network(String),
    Image(String),
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    words: String,
    /// The exit code; 128 and the signal's number where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// A run that goes on.
pub(crate) struct Running {
    child: Child,
    words: String,
    started: Instant,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("nself-it-").tempdir().unwrap();
        for folder in ["home", "work"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let project = unique("it");
        std::fs::write(root.path().join("work/.env"), format!("PROJECT_NAME={project}\n")).unwrap();
        let environment = [
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("HOME", root.path().join("home").display().to_string()),
            ("DOCKER_HOST", format!("unix://{}", socket_path().display())),
            // Nobody listens there; the public registry is never asked by a test.
            ("NSELF_PLUGIN_REGISTRY", "http://127.0.0.1:9/".to_owned()),
            ("NSELF_PLUGIN_READY_TIMEOUT", "15s".to_owned()),
        ];
        let environment = environment.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { root, project, environment, foreign: Mutex::new(Vec::new()) }
    }

    /// Sets a variable of every further run.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.environment.insert(key.to_owned(), value.into());
    }

    pub(crate) fn unset(&mut self, key: &str) {
        self.environment.remove(key);
    }

    /// A folder of the test's own, outside home and project.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// Where the active package of a plugin lies.
    pub(crate) fn active(&self, plugin: &str) -> PathBuf {
        self.home().join(".nself/plugins").join(plugin)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.work().join(name), text).unwrap();
    }

    /// Adds env files' lines to what names the project.
    pub(crate) fn write_env(&self, text: &str) {
        self.write(".env", &format!("PROJECT_NAME={}\n{text}\n", self.project));
    }

    pub(crate) fn container_name(&self, plugin: &str) -> String {
        format!("{}_plugin_{plugin}", self.project)
    }

    pub(crate) fn container(&self, plugin: &str) -> Option<Value> {
        Engine::container(&self.container_name(plugin))
    }

    /// The id of a plugin's container, which must be there.
    pub(crate) fn container_id(&self, plugin: &str) -> String {
        let container = self.container(plugin).unwrap_or_else(|| panic!("there is no container of {plugin}"));
        container["Id"].as_str().unwrap().to_owned()
    }

    /// The label that everything made from this home carries; `None` before the first command that made something.
    pub(crate) fn label(&self) -> Option<String> {
        let id = std::fs::read_to_string(self.home().join(".nself/home-id")).ok()?;
        Some(format!("org.nself.home={}", id.trim()))
    }

    /// A container of somebody else's, from an image of the test; it is removed with the sandbox.
    pub(crate) fn foreign_container(&self, name: &str, body: &Value) -> String {
        self.foreign.lock().unwrap().push(Foreign::Container(name.to_owned()));
        Engine::make_container(name, body)
    }

    /// A network of somebody else's; it is removed with the sandbox.
    pub(crate) fn foreign_network(&self, name: &str) {
        self.foreign.lock().unwrap().push(Foreign::Network(name.to_owned()));
        Engine::make_network(name);
    }

    /// An image of somebody else's; it is removed with the sandbox. Gives its id.
    pub(crate) fn foreign_image(&self, tag: &str, context: &[u8]) -> String {
        self.foreign.lock().unwrap().push(Foreign::Image(tag.to_owned()));
        Engine::build(tag, context)
    }

    /// The program, ready to be run with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nself"));
        command.args(words);
        self.surround(&mut command);
        command
    }

    /// Gives a command the sandbox's folder and environment, and nothing else.
    pub(crate) fn surround(&self, command: &mut Command) {
        command.env_clear().envs(&self.environment).current_dir(self.work());
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        self.start(words).wait()
    }

    /// Runs `nself plugin …` to its end.
    pub(crate) fn plugin(&self, words: &[&str]) -> Outcome {
        let words: Vec<&str> = std::iter::once("plugin").chain(words.iter().copied()).collect();
        self.run(&words)
    }

    /// Starts the program.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::new(self.command(words), words.join(" "))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(label) = self.label() {
            Engine::remove_labelled(&label);
        }
        for foreign in self.foreign.lock().unwrap().drain(..) {
            match foreign {
                Foreign::Container(name) => Engine::remove_container(&name),
                Foreign::Network(name) => Engine::remove_network(&name),
                Foreign::Image(tag) => Engine::remove_image(&tag),
            }
        }
        if std::thread::panicking() {
            eprintln!("the sandbox was project {} in {}", self.project, self.root.path().display());
        }
    }
}

impl Running {
    pub(crate) fn new(mut command: Command, words: String) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, words, started: Instant::now(), stdout, stderr }
    }

    /// With a text on standard input.
    pub(crate) fn with_input(mut command: Command, words: String, input: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, words, started: Instant::now(), stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for the end; a run that takes too long is ended and fails the test.
    pub(crate) fn wait(self) -> Outcome {
        self.wait_for(LONGEST_RUN)
    }

    /// The same for a client, which checks much.
    pub(crate) fn wait_for_client(self) -> Outcome {
        self.wait_for(LONGEST_CLIENT_RUN)
    }

    fn wait_for(mut self, limit: Duration) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > limit {
                let _ = self.child.kill();
                let (stdout, stderr) = (self.stdout.join().unwrap(), self.stderr.join().unwrap());
                panic!("`nself {}` did not end within {limit:?}\n{stdout}\n{stderr}", self.words);
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let took = self.started.elapsed();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let outcome = Outcome {
            words: self.words,
            code,
            stdout: self.stdout.join().unwrap(),
            stderr: self.stderr.join().unwrap(),
            took,
        };
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        outcome
    }
}

/// Sends a signal to a process of the test.
pub(crate) fn send(process: u32, signal: Signal) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process id");
    // It may have ended a moment ago.
    let _ = rustix::process::kill_process(id, signal);
}

fn collect(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Outcome {
    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ends_with(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert!(self.code == code, "exit code {code} was expected\n{self}");
        self
    }

    /// Asserts that standard error holds all of these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "standard error does not say `{part}`\n{self}");
        }
        self
    }

    /// Asserts that standard error holds all of these, each after the one before it.
    #[track_caller]
    pub(crate) fn says_in_order(self, parts: &[&str]) -> Self {
        let places: Vec<_> = parts.iter().map(|part| self.stderr.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{parts:?} stand at {places:?}\n{self}");
        self
    }

    /// Asserts that standard output holds all of these.
    #[track_caller]
    pub(crate) fn answers(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "the answer does not have `{part}`\n{self}");
        }
        self
    }

    /// Asserts that none of these is anywhere in the output.
    #[track_caller]
    pub(crate) fn hides(self, parts: &[&str]) -> Self {
        for part in parts {
            let is_there = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(!is_there, "`{part}` is in the output\n{self}");
        }
        self
    }

    /// Standard output as exactly one JSON document that begins with schema and status.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no single document: {error}\n{self}"));
        let keys: Vec<&String> = document.as_object().expect("an object").keys().take(2).collect();
        assert_eq!(keys, ["schema", "status"], "{self}");
        document
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { words, code, stdout, stderr, took } = self;
        write!(
            formatter,
            "`nself {words}` ended with {code} after {took:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// Makes a file that can be run.
pub(crate) fn write_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What most tests begin with.
impl Sandbox {
    /// A sandbox whose first registry is this one.
    pub(crate) fn of(registry: &super::Registry) -> Self {
        Self::new().with("NSELF_PLUGIN_REGISTRY", registry.url())
    }

    /// Writes a package into the project's folder and installs it from there.
    pub(crate) fn install(&self, package: &super::Package, further: &[&str]) -> Outcome {
        package.folder(&self.work());
        let place = format!("./{}", package.name);
        let words: Vec<&str> = ["install", &place].into_iter().chain(further.iter().copied()).collect();
        self.plugin(&words)
    }

    /// What a server of the application is given for a variable.
    pub(crate) fn server_variable(&self, key: &str) -> String {
        let document = self.plugin(&["env", "--server", "--reveal", "--json"]).ok().json();
        document["variables"][key].as_str().unwrap_or_else(|| panic!("no {key}: {document}")).to_owned()
    }

    /// The receipt of a plugin.
    pub(crate) fn receipt(&self, plugin: &str) -> Option<Value> {
        let path = self.home().join(".nself/receipts").join(&self.project).join(format!("{plugin}.json"));
        let bytes = std::fs::read(path).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }
}
