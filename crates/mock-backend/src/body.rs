//! The decoded body of a request.

use std::borrow::Cow;
use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{Request, StatusCode};

use crate::refusal::Refusal;
use crate::route::header;

/// Returns a request's body, decompressed if compression is allowed.
pub(crate) fn plain_body(
    request: &Request<Bytes>,
    takes_gzip: bool,
    limit: usize,
) -> Result<Cow<'_, [u8]>, Refusal> {
    let body = &request.body()[..];
    check_length(body.len(), limit)?;
    match header(request.headers(), "content-encoding")? {
        None => Ok(Cow::Borrowed(body)),
        Some("gzip") if takes_gzip => unpack(body, limit).map(Cow::Owned),
        Some(other) => {
            let message = format!("the content encoding {other:?} is not supported");
            Err(Refusal::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::new();
    // Reads one byte more than the limit, to detect a body that is too long.
    let read =
        MultiGzDecoder::new(body).take((limit as u64).saturating_add(1)).read_to_end(&mut plain);
    read.map_err(|error| Refusal::bad(format!("the body is no gzip: {error}")))?;
    check_length(plain.len(), limit)?;
    Ok(plain)
}

fn check_length(length: usize, limit: usize) -> Result<(), Refusal> {
    if length <= limit {
        return Ok(());
    }
    let message = format!("the body is longer than {limit} bytes");
    Err(Refusal::plain(StatusCode::PAYLOAD_TOO_LARGE, message))
}
