//! What arrives: a document's body, decoded and counted, and the rate of a download. Owns the limits on bytes; asks
//! for nothing.

use std::io::Write;
use std::time::Duration;

use reqwest::{Response, header};
use url::Url;

use super::error::{HttpError, redacted};
use super::{LOWEST_RATE, text};

/// What arrived since the span began. Only waiting counts, so that a slow disk does not look like a slow server.
pub(super) struct Rate {
    span: Duration,
    waited: Duration,
    received: u64,
}

impl Rate {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, waited: Duration::ZERO, received: 0 }
    }

    pub(super) fn is_enough(&mut self, bytes: usize, waited: Duration) -> bool {
        self.waited += waited;
        self.received += bytes as u64;
        if self.waited < self.span {
            return true;
        }
        let needed = u128::from(LOWEST_RATE) * self.span.as_millis() / 1000;
        let enough = u128::from(self.received) >= needed;
        self.waited = Duration::ZERO;
        self.received = 0;
        enough
    }
}

/// A document's body while it arrives: undoes gzip, and counts what comes out against the limit.
pub(super) struct Body<'a> {
    url: &'a Url,
    limit: u64,
    decoder: Option<flate2::write::MultiGzDecoder<Bounded>>,
    plain: Bounded,
}

/// Bytes up to a limit; a write beyond it fails.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<usize> {
        if chunk.len() > self.limit - self.bytes.len() {
            self.is_full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> Body<'a> {
    pub(super) fn new(url: &'a Url, limit: u64, response: &Response) -> Result<Self, HttpError> {
        let encoding = text(response.headers(), &header::CONTENT_ENCODING).unwrap_or_default();
        let several = response.headers().get_all(header::CONTENT_ENCODING).iter().count() > 1;
        let bounded = || Bounded { limit: usize::try_from(limit).unwrap_or(usize::MAX), ..Bounded::default() };
        let mut plain = bounded();
        let decoder = match encoding.trim().to_ascii_lowercase().as_str() {
            _ if several => return Err(HttpError::Encoding { url: redacted(url), encoding: "several".into() }),
            "" | "identity" => {
                // The told length is believed only as far as the memory it asks for is harmless.
                let told = response.content_length().unwrap_or(0).min(limit).min(32 << 20);
                plain.bytes.reserve_exact(usize::try_from(told).unwrap_or(0));
                None
            }
            "gzip" | "x-gzip" => Some(flate2::write::MultiGzDecoder::new(bounded())),
            other => {
                return Err(HttpError::Encoding { url: redacted(url), encoding: crate::name::shown(other) });
            }
        };
        Ok(Self { url, limit, decoder, plain })
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), HttpError> {
        let written = match &mut self.decoder {
            Some(decoder) => decoder.write_all(chunk),
            None => self.plain.write_all(chunk),
        };
        let is_full = self.plain.is_full || self.decoder.as_ref().is_some_and(|decoder| decoder.get_ref().is_full);
        written.map_err(|cause| self.failure(is_full, &cause))
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, HttpError> {
        let bytes = match self.decoder.take() {
            None => std::mem::take(&mut self.plain.bytes),
            Some(mut decoder) => {
                let finished = decoder.try_finish();
                let is_full = decoder.get_ref().is_full;
                finished.map_err(|cause| self.failure(is_full, &cause))?;
                std::mem::take(&mut decoder.get_mut().bytes)
            }
        };
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None => Err(HttpError::Empty { url: redacted(self.url) }),
            Some(b'<') => Err(HttpError::Html { url: redacted(self.url) }),
            Some(_) => Ok(bytes),
        }
    }

    fn failure(&self, is_full: bool, cause: &std::io::Error) -> HttpError {
        let url = redacted(self.url);
        if is_full {
            HttpError::TooLarge { url, limit: self.limit }
        } else {
            HttpError::Broken { url, cause: format!("its gzip encoding is damaged: {cause}") }
        }
    }
}
