//! Health: one probe of a plugin's address, and what its answer means (design §8). Owns the judgement; waits, retries
//! and containers belong to `apply`.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

/// How long one probe may take.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// The first pause between probes; it doubles up to [`LONGEST_EARLY_PAUSE`], later up to [`LONGEST_PAUSE`].
pub const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause between probes.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause while a server that starts quickly may yet come up: a longer one would be most of the wait.
pub const LONGEST_EARLY_PAUSE: Duration = Duration::from_millis(40);
/// For how long that holds.
pub const EARLY: Duration = Duration::from_secs(2);

/// The largest health answer that is read, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// Where health is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The port on loopback.
    pub port: u16,
    /// Starts with one `/`.
    pub path: String,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "health", content = "reason")]
pub enum Verdict {
    Healthy,
    /// Works, with something missing; the text says what.
    Degraded(String),
    /// Not, or not yet; the text says what was answered.
    Unhealthy(String),
}

impl Verdict {
    /// Whether the plugin can be used.
    pub fn is_usable(&self) -> bool {
        !matches!(self, Self::Unhealthy(_))
    }

    /// One word for lists.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded(_) => "degraded",
            Self::Unhealthy(_) => "unhealthy",
        }
    }
}

impl Probe {
    /// Asks once. Plain HTTP/1.1 to loopback: no proxy, no redirect, no TLS.
    pub async fn ask(&self) -> Verdict {
        match tokio::time::timeout(PROBE_DEADLINE, self.request()).await {
            Ok(Ok((status, body))) => judge(status, &body),
            Ok(Err(reason)) => Verdict::Unhealthy(reason),
            Err(_) => Verdict::Unhealthy(format!(
                "port {} is open, but `{}` gave no answer within {} s",
                self.port,
                self.path,
                PROBE_DEADLINE.as_secs()
            )),
        }
    }

    async fn request(&self) -> Result<(u16, Bytes), String> {
        let address = format!("127.0.0.1:{}", self.port);
        let stream =
            TcpStream::connect(&address).await.map_err(|_| format!("nothing answers on port {}", self.port))?;
        let closed = |_| format!("port {} closed the connection without an answer to `{}`", self.port, self.path);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(closed)?;
        let driver = tokio::spawn(connection);
        let request = hyper::Request::get(self.path.as_str())
            .header(hyper::header::HOST, address)
            .header(hyper::header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|error| format!("`{}` cannot be asked for: {error}", self.path))?;
        let answer = sender.send_request(request).await.map_err(closed)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|error| format!("`{}` answered {status} and then: {error}", self.path))?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }
}

/// Healthy is 2xx and, where the body is JSON with a status, a good one; migrations must be done where reported.
fn judge(status: u16, body: &[u8]) -> Verdict {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    if !(200..300).contains(&status) {
        let error = json.as_ref().and_then(|json| json["error"].as_str()).map(crate::name::shown);
        return Verdict::Unhealthy(
            error.map_or(format!("answered {status}"), |error| format!("answered {status}: {error}")),
        );
    }
    let Some(json) = json else { return Verdict::Healthy };
    if let Some(reason) = migrations_missing(&json) {
        return Verdict::Unhealthy(reason);
    }
    match json["status"].as_str().map(str::to_ascii_lowercase).as_deref() {
        None | Some("ok" | "healthy" | "up" | "pass") => Verdict::Healthy,
        Some("degraded") => Verdict::Degraded(degraded_reason(&json)),
        Some(other) => Verdict::Unhealthy(format!("answered {status} with status `{}`", crate::name::shown(other))),
    }
}

fn migrations_missing(json: &serde_json::Value) -> Option<String> {
    let migrations = json.get("migrations")?;
    let (applied, expected) = (migrations.get("applied")?.as_u64()?, migrations.get("expected")?.as_u64()?);
    (applied != expected).then(|| format!("{applied} of {expected} migrations are applied"))
}

fn degraded_reason(json: &serde_json::Value) -> String {
    for key in ["reason", "message", "error"] {
        if let Some(text) = json[key].as_str() {
            return crate::name::shown(text);
        }
    }
    let missing: Vec<String> = json["dependencies"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, facts)| {
            let status = facts["status"].as_str()?;
            let is_fine = matches!(status, "connected" | "ok" | "healthy" | "up" | "enabled");
            (!is_fine).then(|| format!("{} is {}", crate::name::shown(name), crate::name::shown(status)))
        })
        .collect();
    if missing.is_empty() { "it does not say why".into() } else { missing.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_status_or_none_is_healthy() {
        for body in ["", "OK", "{}", r#"{"status":"ok"}"#, r#"{"status":"UP"}"#, r#"{"status":"healthy"}"#] {
            assert_eq!(judge(200, body.as_bytes()), Verdict::Healthy, "{body}");
        }
        assert_eq!(judge(204, b""), Verdict::Healthy);
    }

    #[test]
    fn other_codes_and_bad_statuses_are_unhealthy() {
        for (status, body) in
            [(500, ""), (301, ""), (404, "{}"), (200, r#"{"status":"error"}"#), (503, r#"{"status":"healthy"}"#)]
        {
            assert!(!judge(status, body.as_bytes()).is_usable(), "{status} {body}");
        }
    }

    #[test]
    fn degraded_is_usable_and_says_why() {
        let body =
            br#"{"status":"degraded","dependencies":{"redis":{"status":"disconnected"},"db":{"status":"connected"}}}"#;
        assert_eq!(judge(200, body), Verdict::Degraded("redis is disconnected".into()));
    }

    #[test]
    fn missing_migrations_are_unhealthy() {
        assert!(!judge(200, br#"{"status":"ok","migrations":{"applied":1,"expected":2}}"#).is_usable());
        assert!(judge(200, br#"{"status":"ok","migrations":{"applied":2,"expected":2}}"#).is_usable());
    }
}
