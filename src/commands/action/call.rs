//! Calls of a plugin's own HTTP interface on loopback, with its key. Plain HTTP/1.1: no proxy, no redirect.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::fill::{Filled, body, path};
use crate::address::LOOPBACK;
use crate::context::Context;
use crate::environment::Variables;
use crate::error::Error;
use crate::name::shown;
use crate::package::manifest::{Call, Manifest};
use crate::project::Project;
use crate::state::Receipt;
use crate::values::Values;

/// How long one call may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// The most bytes of an answer.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// A plugin's interface.
struct Interface<'a> {
    manifest: &'a Manifest,
    port: u16,
    key: Option<String>,
}

/// Makes an action's call, or one call for each item of its list.
pub(super) async fn make(
    cx: &Context,
    (project, receipt, manifest): (&Project, &Receipt, &Manifest),
    call: &Call,
    filled: &Filled,
) -> Result<Value, Error> {
    let values = Values::read(&cx.settings.config_dir, &project.name)?;
    let variables = Variables { flags: &[], process: &cx.process_environment, project, values: &values };
    let name = manifest.name.as_str();
    // The container may know the key under another of its names.
    let key = manifest.name.api_key_variable();
    let declared = manifest.variables.iter().find(|variable| variable.name == key);
    let mut names = declared.into_iter().flat_map(|variable| std::iter::once(&variable.name).chain(&variable.aliases));
    let key = names.find_map(|key| variables.find(name, key)).map(|(value, _)| value);
    let port =
        receipt.health_port().ok_or_else(|| failed(manifest, "it is published nowhere on this machine".into()))?;
    let interface = Interface { manifest, port, key };
    let Some(each) = &call.each else { return interface.ask(call, &filled.values).await };

    let list = Call { method: "GET".into(), path: each.path.clone(), body: None, each: None };
    let found = interface.ask(&list, &filled.values).await?;
    let mut results = Vec::new();
    for item in found[&each.list].as_array().into_iter().flatten() {
        let key = match &item[&each.key] {
            Value::String(key) => key.clone(),
            other => other.to_string(),
        };
        let mut values = filled.values.clone();
        values.insert("item".to_owned(), key.clone());
        let result = interface.ask(call, &values).await;
        results.push(match result {
            Ok(_) => json!({ each.key.clone(): key, "result": "done" }),
            Err(error) => json!({ each.key.clone(): key, "result": error.to_string() }),
        });
    }
    Ok(json!({ "total": results.len(), "results": results }))
}

fn failed(manifest: &Manifest, reason: String) -> Error {
    Error::Action { plugin: manifest.name.clone(), reason }
}

impl Interface<'_> {
    async fn ask(&self, call: &Call, values: &BTreeMap<String, String>) -> Result<Value, Error> {
        let failed = |reason: String| failed(self.manifest, reason);
        let body = call.body.as_ref().map(|template| body(template, values)).transpose().map_err(failed)?.flatten();
        let path = path(&call.path, values);
        let asked = self.request(&call.method, &path, body);
        let answered = tokio::time::timeout(DEADLINE, asked).await;
        let (status, bytes) = answered
            .map_err(|_| failed(format!("it gave no answer within {} s", DEADLINE.as_secs())))?
            .map_err(failed)?;
        let answer = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let reason = ["error", "message"].iter().find_map(|key| answer[*key].as_str()).map(shown);
        Err(failed(match reason {
            Some(reason) => format!("it answered {status}: {reason}"),
            None => format!("it answered {status}"),
        }))
    }

    async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Bytes), String> {
        let address = format!("{LOOPBACK}:{}", self.port);
        let refused = |_| format!("nothing answers on port {}", self.port);
        let stream = TcpStream::connect(&address).await.map_err(refused)?;
        let closed = |error: hyper::Error| format!("it closed the connection: {error}");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(closed)?;
        let driver = tokio::spawn(connection);
        let mut request =
            hyper::Request::builder().method(method).uri(path).header(HOST, address).header(ACCEPT, "application/json");
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| "its key cannot be sent".to_owned())?;
        let answer = sender.send_request(request).await.map_err(closed)?;
        let status = answer.status().as_u16();
        let collected = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        driver.abort();
        Ok((status, collected.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes()))
    }
}
