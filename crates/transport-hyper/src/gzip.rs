//! Compression of bodies.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::body::BodyError;
use crate::cause;

/// Compresses on a blocking thread.
///
/// Returns `None` if the runtime is shutting down and accepts no more work.
pub(crate) async fn pack(body: Bytes) -> Option<Bytes> {
    let compress = move || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).and_then(|()| encoder.finish()).map(Bytes::from)
    };
    tokio::task::spawn_blocking(compress).await.ok()?.ok()
}

/// Reads a whole gzip body of at most `limit` uncompressed bytes. Decompresses in pieces and never
/// holds more than that.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let mut decoder = MultiGzDecoder::new(Bounded { bytes: Vec::new(), limit });
    let mut empty = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Damaged(cause::reason(&error)))?;
        if let Some(data) = frame.data_ref() {
            empty &= data.is_empty();
            decoder.write_all(data).map_err(unpacking)?;
        }
    }
    // An empty body may still have a `Content-Encoding`.
    if empty {
        return Ok(Bytes::new());
    }
    Ok(decoder.finish().map_err(unpacking)?.bytes.into())
}

fn unpacking(error: io::Error) -> BodyError {
    match error.kind() {
        io::ErrorKind::FileTooLarge => BodyError::TooLarge,
        _ => BodyError::Damaged(format!("damaged gzip: {error}")),
    }
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
