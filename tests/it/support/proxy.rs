//! A proxy between the program and the real engine, given through DOCKER_HOST: it counts the requests that change
//! something, and can make the one with a given number go wrong.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::engine::socket_path;
use super::sandbox::{Outcome, Sandbox, send};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The engine answers 500 and does nothing.
    Answer500,
    /// The connection ends before the engine hears of it.
    DropRequest,
    /// The engine does it, and the connection ends before it can say so.
    DropReply,
    /// The engine stops: this request and all after it are not taken.
    Stop,
    /// The program is killed before the engine hears of it.
    KillBefore,
    /// The engine does it, and the program is killed before it hears so.
    KillAfter,
    /// The program gets a signal, then the engine does it.
    Interrupt(Signal),
    /// The engine hears of it when the test says so.
    Hold,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one run")]
struct Plan {
    fault: Option<(usize, Fault)>,
    has_fired: bool,
    is_stopped: bool,
    is_released: bool,
    is_held_done: bool,
    mutating: Vec<String>,
}

#[derive(Default)]
struct Shared {
    plan: Mutex<Plan>,
    /// What the engine is made to say of itself (`/info`) in place of its own words.
    told: Mutex<Option<Value>>,
    /// The program's process id while it runs.
    program: AtomicU32,
}

/// The proxy; it lives as long as the test's process.
pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts it on a socket in the sandbox; the program is led there by [`Proxy::address`].
    pub(crate) fn start(sandbox: &Sandbox) -> Self {
        Self::on(&sandbox.path("engine.sock"))
    }

    fn on(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let shared = Arc::new(Shared::default());
        let for_threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_threads);
                std::thread::spawn(move || {
                    // A connection that breaks is what this is for.
                    let _ = pass(stream, &shared);
                });
            }
        });
        Self { address: format!("unix://{}", socket.display()), shared }
    }

    /// What `DOCKER_HOST` is set to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Lets the request with this number (from 1) go wrong; counts from now on.
    pub(crate) fn arm(&self, number: usize, fault: Fault) {
        *self.shared.plan.lock().unwrap() = Plan { fault: Some((number, fault)), ..Plan::default() };
    }

    /// Everything goes through again; counts from now on.
    pub(crate) fn disarm(&self) {
        *self.shared.plan.lock().unwrap() = Plan::default();
    }

    /// Whether the fault happened.
    pub(crate) fn has_fired(&self) -> bool {
        self.shared.plan.lock().unwrap().has_fired
    }

    /// Lets the engine say other things of itself than it would: fields of `/info`.
    pub(crate) fn tells(&self, fields: Value) {
        *self.shared.told.lock().unwrap() = Some(fields);
    }

    /// Lets a held request go on.
    pub(crate) fn release(&self) {
        self.shared.plan.lock().unwrap().is_released = true;
    }

    /// Waits until the engine has done what was held.
    pub(crate) fn wait_for_held(&self) {
        super::wait_until("the held request is done", Duration::from_mins(1), || {
            self.shared.plan.lock().unwrap().is_held_done
        });
    }

    /// The requests since the last `arm` or `disarm` that change something on the engine.
    pub(crate) fn mutating(&self) -> Vec<String> {
        self.shared.plan.lock().unwrap().mutating.clone()
    }

    /// Runs the program so that faults can reach it.
    pub(crate) fn run(&self, sandbox: &Sandbox, words: &[&str]) -> Outcome {
        let running = sandbox.start(words);
        self.shared.program.store(running.id(), Ordering::SeqCst);
        let outcome = running.wait();
        self.shared.program.store(0, Ordering::SeqCst);
        outcome
    }
}

/// What waiting for a container is asked with changes nothing; everything else with these methods does.
fn is_mutating(head: &str) -> bool {
    let line = head.lines().next().unwrap_or_default();
    let path = line.split_whitespace().nth(1).unwrap_or_default();
    (line.starts_with("POST") || line.starts_with("DELETE") || line.starts_with("PUT"))
        && !path.split('?').next().unwrap_or_default().ends_with("/wait")
}

fn decide(shared: &Shared, head: &str) -> Option<Fault> {
    let mut plan = shared.plan.lock().unwrap();
    if is_mutating(head) {
        plan.mutating.push(head.lines().next().unwrap_or_default().to_owned());
        let number = plan.mutating.len();
        if let Some((at, fault)) = plan.fault
            && at == number
        {
            plan.has_fired = true;
            plan.is_stopped = fault == Fault::Stop;
            return Some(fault);
        }
    }
    plan.is_stopped.then_some(Fault::Stop)
}

fn pass(mut client: UnixStream, shared: &Shared) -> std::io::Result<()> {
    if shared.plan.lock().unwrap().is_stopped {
        return Ok(());
    }
    let Some((head, rest)) = read_head(&mut client)? else { return Ok(()) };
    if let Some(info) = shared.told.lock().unwrap().clone().filter(|_| asks_for_info(&head)) {
        return answer(&mut client, "200 OK", &other_info(&info));
    }
    // A busy machine may run the program before the test has noted who it is.
    let program = || {
        loop {
            match shared.program.load(Ordering::SeqCst) {
                0 => std::thread::sleep(Duration::from_millis(1)),
                program => return program,
            }
        }
    };
    match decide(shared, &head) {
        None => forward(client, &head, &rest, Reply::Passed),
        Some(Fault::Answer500) => {
            drain(&client)?;
            answer(&mut client, "500 Internal Server Error", r#"{"message":"the engine is out of sorts"}"#)
        }
        Some(Fault::DropRequest | Fault::Stop) => Ok(()),
        Some(Fault::DropReply) => {
            forward(client.try_clone()?, &head, &rest, Reply::Swallowed)?;
            client.shutdown(std::net::Shutdown::Both)
        }
        Some(Fault::KillBefore) => {
            send(program(), Signal::KILL);
            // Until the process is gone it must not see its connection end.
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        }
        Some(Fault::KillAfter) => {
            let outcome = forward(client.try_clone()?, &head, &rest, Reply::Swallowed);
            send(program(), Signal::KILL);
            std::thread::sleep(Duration::from_millis(50));
            outcome
        }
        Some(Fault::Interrupt(signal)) => {
            send(program(), signal);
            std::thread::sleep(Duration::from_millis(50));
            forward(client, &head, &rest, Reply::Passed)
        }
        Some(Fault::Hold) => {
            while !shared.plan.lock().unwrap().is_released {
                std::thread::sleep(Duration::from_millis(10));
            }
            let outcome = forward(client, &head, &rest, Reply::Awaited);
            shared.plan.lock().unwrap().is_held_done = true;
            outcome
        }
    }
}

fn asks_for_info(head: &str) -> bool {
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    head.starts_with("GET") && path.ends_with("/info")
}

/// What the engine says of itself, with these fields in place of its own.
fn other_info(fields: &Value) -> String {
    let (_, mut info) = super::Engine::request("GET", "/info", None);
    for (key, value) in fields.as_object().unwrap().clone() {
        info[key] = value;
    }
    info.to_string()
}

fn answer(client: &mut UnixStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The request's head, asking for no further request on the same connection, and what of its body came along.
fn read_head(client: &mut UnixStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let others: Vec<&str> =
                head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:")).collect();
            let head = format!("{}\r\nConnection: close\r\n\r\n", others.join("\r\n"));
            return Ok(Some((head, bytes[end + 4..].to_vec())));
        }
    }
}

/// Takes what the client still sends, so that it reads the answer rather than a broken connection.
fn drain(client: &UnixStream) -> std::io::Result<()> {
    let mut client = client.try_clone()?;
    client.set_read_timeout(Some(Duration::from_millis(30)))?;
    let mut buffer = [0_u8; 16 * 1024];
    while matches!(client.read(&mut buffer), Ok(count) if count > 0) {}
    client.set_read_timeout(None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    Passed,
    Swallowed,
    /// Passed on if the client is still there; the request does not end with it.
    Awaited,
}

fn forward(mut client: UnixStream, head: &str, rest: &[u8], reply: Reply) -> std::io::Result<()> {
    let mut engine = UnixStream::connect(socket_path())?;
    engine.write_all(head.as_bytes())?;
    engine.write_all(rest)?;
    let is_build = head.contains("/build?");
    let (mut from_client, mut to_engine) = (client.try_clone()?, engine.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_engine);
        // A client that goes away ends its request; of a build it had more to send.
        if reply != Reply::Awaited || is_build {
            let _ = to_engine.shutdown(std::net::Shutdown::Both);
        }
    });
    match reply {
        Reply::Awaited => {
            let mut answer = Vec::new();
            engine.read_to_end(&mut answer)?;
            client.write_all(&answer)?;
        }
        Reply::Passed => std::io::copy(&mut engine, &mut client).map(drop)?,
        Reply::Swallowed => std::io::copy(&mut engine, &mut std::io::sink()).map(drop)?,
    }
    if reply != Reply::Swallowed {
        client.shutdown(std::net::Shutdown::Both)?;
    }
    Ok(())
}
