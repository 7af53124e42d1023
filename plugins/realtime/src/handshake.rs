//! Around the Socket.IO server: requests are made small before it keeps them for a connection's whole life, and its
//! errors get the form that clients read.
//!
//! Headers and address are slices of the buffer that the request was read into: 8 KiB that would
//! stay with every socket. Copies of what is needed are a few hundred bytes.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

/// The longest error of the Socket.IO server.
const ERROR_BYTES: usize = 4096;

/// The headers that the Socket.IO server reads.
const NEEDED: [HeaderName; 5] = [CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE];

/// The same request with copies of what is needed and without the rest.
pub(crate) async fn slim(mut request: Request) -> Request {
    let mut headers = HeaderMap::with_capacity(NEEDED.len());
    for name in NEEDED {
        let value = request.headers().get(&name).map(HeaderValue::as_bytes);
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    *request.headers_mut() = headers;
    if let Ok(uri) = Uri::try_from(request.uri().to_string()) {
        *request.uri_mut() = uri;
    }
    request
}

/// An error of the Socket.IO server with its code as a number, which the server writes as a text.
pub(crate) async fn number_code(response: Response) -> Response {
    if response.status() != StatusCode::BAD_REQUEST {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, ERROR_BYTES).await.unwrap_or_default();
    let mut error: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let code: Option<u8> = error.get("code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let Some(code) = code else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    error["code"] = json!(code);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_code_of_an_error_becomes_a_number() {
        let text = r#"{"code":"5","message":"Unsupported protocol version"}"#;
        for (status, body, expected) in [
            (StatusCode::BAD_REQUEST, text, r#"{"code":5,"message":"Unsupported protocol version"}"#),
            (StatusCode::BAD_REQUEST, "", ""),
            (StatusCode::OK, text, text),
        ] {
            let response = Response::builder().status(status).header("content-length", body.len());
            let response = number_code(response.body(Body::from(body)).expect("a legal response")).await;
            assert_eq!(to_bytes(response.into_body(), 999).await.expect("a body"), expected);
        }
    }

    #[tokio::test]
    async fn what_the_handshake_needs_stays_and_the_rest_goes() {
        let request = Request::builder()
            .uri("/socket.io/?EIO=4&transport=websocket")
            .header("Sec-WebSocket-Key", "key")
            .header("Cookie", "large")
            .body(Body::empty())
            .expect("a legal request");
        let slim = slim(request).await;
        assert_eq!(slim.uri(), "/socket.io/?EIO=4&transport=websocket");
        assert_eq!(slim.headers().len(), 1);
        assert_eq!(slim.headers()[SEC_WEBSOCKET_KEY], "key");
    }
}
