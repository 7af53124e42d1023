//! The engine as the tests see it: its API over its own socket, never through the program under test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

/// Marks what the tests make in the name of other tools, so that what a killed run leaves can be found.
const OF_A_TEST: &str = "org.nself.test";

/// The real engine's socket.
pub(crate) fn socket_path() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    PathBuf::from(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"))
}

/// Calls of the engine's API; each panics when the engine is not there, so that no test passes without one.
pub(crate) struct Engine;

impl Engine {
    /// One request; the status and the answer as JSON (null for an empty one, a text for what is no JSON).
    pub(crate) fn request(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let (status, answer) = Self::bytes(method, path, "application/json", &body);
        let value = serde_json::from_slice(&answer).unwrap_or_else(|_| {
            if answer.is_empty() { Value::Null } else { String::from_utf8_lossy(&answer).into_owned().into() }
        });
        (status, value)
    }

    fn bytes(method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let socket = socket_path();
        let mut stream = UnixStream::connect(&socket)
            .unwrap_or_else(|error| panic!("these tests need a Docker engine at {}: {error}", socket.display()));
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("the engine answers HTTP") + 4;
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let body = &answer[end..];
        (status, if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() })
    }

    fn get(path: &str) -> Value {
        let (status, answer) = Self::request("GET", path, None);
        assert!(status == 200, "the engine answered {status} to {path}: {answer}");
        answer
    }

    fn filters(filters: &Value) -> String {
        let text = filters.to_string();
        text.bytes().fold(String::new(), |mut encoded, byte| {
            use std::fmt::Write;
            if byte.is_ascii_alphanumeric() {
                encoded.push(byte.into());
            } else {
                write!(encoded, "%{byte:02X}").unwrap();
            }
            encoded
        })
    }

    fn list(path: &str, filters: &Value) -> Vec<Value> {
        let sign = if path.contains('?') { '&' } else { '?' };
        match Self::get(&format!("{path}{sign}filters={}", Self::filters(filters))) {
            Value::Array(list) => list,
            Value::Object(mut fields) => match fields.remove("Volumes") {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Every container, running or not, that passes the filters.
    pub(crate) fn containers(filters: &Value) -> Vec<Value> {
        Self::list("/containers/json?all=1", filters)
    }

    /// Every image that passes the filters.
    pub(crate) fn images(filters: &Value) -> Vec<Value> {
        Self::list("/images/json", filters)
    }

    /// Every network that passes the filters.
    pub(crate) fn networks(filters: &Value) -> Vec<Value> {
        Self::list("/networks", filters)
    }

    /// Every volume that passes the filters.
    pub(crate) fn volumes(filters: &Value) -> Vec<Value> {
        Self::list("/volumes", filters)
    }

    /// All that is known of a container; `None` when there is none of that name or id.
    pub(crate) fn container(name: &str) -> Option<Value> {
        let (status, answer) = Self::request("GET", &format!("/containers/{name}/json"), None);
        (status == 200).then_some(answer)
    }

    /// Whether a container runs now.
    pub(crate) fn is_running(name: &str) -> bool {
        Self::container(name).is_some_and(|container| container["State"]["Running"] == true)
    }

    /// Makes a container that some other tool could have made; it is not started.
    pub(crate) fn make_container(name: &str, body: &Value) -> String {
        let mut body = body.clone();
        body["Labels"][OF_A_TEST] = "1".into();
        let (status, answer) = Self::request("POST", &format!("/containers/create?name={name}"), Some(&body));
        assert!(status == 201, "the container {name} could not be made: {answer}");
        answer["Id"].as_str().unwrap().to_owned()
    }

    /// Removes a container, whatever it does.
    pub(crate) fn remove_container(name: &str) {
        Self::request("DELETE", &format!("/containers/{name}?force=1&v=1"), None);
    }

    /// Makes a network that some other tool could have made.
    pub(crate) fn make_network(name: &str) {
        let body = json!({ "Name": name, "Labels": { OF_A_TEST: "1" } });
        let (status, answer) = Self::request("POST", "/networks/create", Some(&body));
        assert!(status == 201, "the network {name} could not be made: {answer}");
    }

    /// Builds an image from a folder's tar, without any of the program's labels; gives its id.
    pub(crate) fn build(tag: &str, context: &[u8]) -> String {
        // {"<label>":"1"}
        let path = format!("/build?t={tag}&forcerm=1&labels=%7B%22{OF_A_TEST}%22%3A%221%22%7D");
        let (status, answer) = Self::bytes("POST", &path, "application/x-tar", context);
        let text = String::from_utf8_lossy(&answer);
        assert!(status == 200 && !text.contains("errorDetail"), "the image {tag} could not be built: {text}");
        Self::get(&format!("/images/{tag}/json"))["Id"].as_str().unwrap().to_owned()
    }

    /// Removes an image by reference or id.
    pub(crate) fn remove_image(reference: &str) {
        Self::request("DELETE", &format!("/images/{reference}?force=1"), None);
    }

    /// Removes a network.
    pub(crate) fn remove_network(name: &str) {
        Self::request("DELETE", &format!("/networks/{name}"), None);
    }

    /// Removes everything that carries a label.
    pub(crate) fn remove_labelled(label: &str) {
        let filters = json!({ "label": [label] });
        for container in Self::containers(&filters) {
            Self::remove_container(container["Id"].as_str().unwrap());
        }
        for image in Self::images(&filters) {
            Self::remove_image(image["Id"].as_str().unwrap());
        }
        for volume in Self::volumes(&filters) {
            Self::request("DELETE", &format!("/volumes/{}", volume["Name"].as_str().unwrap()), None);
        }
        for network in Self::networks(&filters) {
            Self::remove_network(network["Id"].as_str().unwrap());
        }
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|word| usize::from_str_radix(word, 16).ok());
        let size = size.expect("a chunk's size");
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
    whole
}
