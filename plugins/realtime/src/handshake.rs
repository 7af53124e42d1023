//! Makes requests small before the Socket.IO server keeps them for a connection's whole life.
//!
//! Headers and address are slices of the buffer that the request was read into: 8 KiB that would
//! stay with every socket. Copies of what is needed are a few hundred bytes.

use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

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
