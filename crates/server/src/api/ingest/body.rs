//! Request bodies, decompressed and bounded.

use std::io::Write;

use axum::body::Body;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;

/// Number of compressed bytes that are decompressed at a time. The output may be a thousand times
/// larger.
const STEP: usize = 4 << 10;

/// Why a body cannot be read further.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// The content encoding is not supported.
    #[error("a body must be uncompressed or have Content-Encoding: gzip")]
    Encoding,
    /// The body exceeds the limit.
    #[error("the body exceeds {limit} bytes uncompressed; send the rest in another request")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The body ended early, or does not match its encoding.
    #[error("the body is broken: {reason}")]
    Broken {
        /// The reason.
        reason: String,
    },
}

/// The bytes of a body, decompressed while they arrive.
pub(super) struct Inflated {
    body: Body,
    gzip: Option<Gzip>,
    limit: u64,
    taken: u64,
}

struct Gzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    packed: Bytes,
    is_finished: bool,
}

impl Inflated {
    /// Starts to read a body with the encoding that its headers name.
    pub(super) fn new(body: Body, headers: &HeaderMap, limit: u64) -> Result<Self, BodyError> {
        let gzip = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None => None,
            Some(name) if name.eq_ignore_ascii_case(b"identity") => None,
            Some(name)
                if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") =>
            {
                Some(Gzip {
                    decoder: MultiGzDecoder::new(Vec::new()),
                    packed: Bytes::new(),
                    is_finished: false,
                })
            }
            Some(_) => return Err(BodyError::Encoding),
        };
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        Ok(Self { body, gzip, limit, taken: 0 })
    }

    /// Returns the next bytes, `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let chunk = match &mut self.gzip {
                Some(gzip) if !gzip.packed.is_empty() => gzip.step()?,
                _ => match (read(&mut self.body).await?, &mut self.gzip) {
                    (Some(packed), Some(gzip)) => {
                        gzip.packed = packed;
                        continue;
                    }
                    (None, Some(gzip)) if !gzip.is_finished => gzip.finish()?,
                    (None, _) => return Ok(None),
                    (Some(plain), None) => plain,
                },
            };
            self.taken += chunk.len() as u64;
            if self.taken > self.limit {
                return Err(BodyError::TooLarge { limit: self.limit });
            }
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }
}

impl Gzip {
    fn step(&mut self) -> Result<Bytes, BodyError> {
        let packed = self.packed.split_to(STEP.min(self.packed.len()));
        let written = self.decoder.write_all(&packed).and_then(|()| self.decoder.flush());
        written.map_err(broken)?;
        Ok(std::mem::take(self.decoder.get_mut()).into())
    }

    fn finish(&mut self) -> Result<Bytes, BodyError> {
        self.is_finished = true;
        self.decoder.try_finish().map_err(broken)?;
        Ok(std::mem::take(self.decoder.get_mut()).into())
    }
}

async fn read(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(broken)?.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn broken(error: impl std::fmt::Display) -> BodyError {
    BodyError::Broken { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_all(
        body: impl Into<Body>,
        encoding: &'static str,
        limit: u64,
    ) -> Result<Vec<u8>, BodyError> {
        let mut headers = HeaderMap::new();
        if !encoding.is_empty() {
            headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        }
        let mut body = Inflated::new(body.into(), &headers, limit)?;
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await? {
            assert!(!chunk.is_empty());
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn plain_and_compressed_bodies_are_read() {
        let text = b"{\"a\":1}\n".repeat(10_000);
        assert_eq!(read_all(text.clone(), "", 1 << 20).await, Ok(text.clone()));
        assert_eq!(read_all(gzip(&text), "gzip", 1 << 20).await, Ok(text.clone()));
        let twice = [gzip(&text), gzip(b"end")].concat();
        assert_eq!(read_all(twice, "X-GZIP", 1 << 20).await, Ok([&text[..], b"end"].concat()));
        assert_eq!(read_all("", "", 0).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn invalid_bodies_are_rejected() {
        assert_eq!(read_all("", "br", 9).await, Err(BodyError::Encoding));
        let too_large = Err(BodyError::TooLarge { limit: 9 });
        assert_eq!(read_all("0123456789", "", 9).await, too_large);
        assert_eq!(read_all(gzip(&[b'x'; 10]), "gzip", 9).await, too_large);
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(matches!(read_all(bomb, "gzip", 1 << 20).await, Err(BodyError::TooLarge { .. })));
        let cut = &gzip(&b"0123456789".repeat(1000))[..30];
        assert!(matches!(
            read_all(cut.to_vec(), "gzip", 1 << 20).await,
            Err(BodyError::Broken { .. })
        ));
        assert!(matches!(read_all("no gzip", "gzip", 99).await, Err(BodyError::Broken { .. })));
    }
}
