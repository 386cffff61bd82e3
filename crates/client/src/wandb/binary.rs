//! Binary rows, for servers that announce them.

use std::sync::atomic::{AtomicU8, Ordering};

use http::header::{HeaderMap, HeaderValue};
use streamtable_wire::api::{STREAM_OFFSET, STREAM_WRITER, append_path};
use streamtable_wire::binary::{BINARY_ROWS_TYPE, BodyWriter, JsonLines};
use streamtable_wire::{MAX_LINE_BYTES, REQUEST_HEADER, SentRows, takes_binary_rows};

use super::{COLUMNS_HEADER, Posted, WandbBackend, answer, columns_header};
use crate::{Append, AppendError};

/// Whether a server takes binary rows.
#[derive(Debug, Default)]
pub(super) struct BinaryRows(AtomicU8);

const UNKNOWN: u8 = 0;
const ANNOUNCED: u8 = 1;
const REFUSED: u8 = 2;

impl BinaryRows {
    pub(super) fn are_taken(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ANNOUNCED
    }

    /// Records that the server takes them, unless it has refused them since.
    pub(super) fn announced(&self) {
        let _ = self.0.compare_exchange(UNKNOWN, ANNOUNCED, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn refused(&self) {
        self.0.store(REFUSED, Ordering::Relaxed);
    }
}

/// Returns the lines of an append as binary rows; `None` if one of them can only be sent as text.
pub(super) fn body(append: &Append) -> Option<Vec<u8>> {
    let (mut lines, mut body) = (JsonLines::default(), BodyWriter::default());
    let mut bytes = Vec::new();
    for (_, text) in append.rows() {
        bytes.clear();
        lines.write(text, &append.writer, &mut bytes).ok()?;
        // Small integers are shorter as text.
        if bytes.len() > MAX_LINE_BYTES {
            return None;
        }
        body.push(&bytes).ok()?;
    }
    Some(body.into_bytes())
}

impl WandbBackend {
    /// Posts binary rows to the native API, and returns the response if it acknowledges them.
    ///
    /// If the response refuses them and is not of a server that takes binary rows, the next attempt is a
    /// post to the file stream: another version of the server may have taken its place, or a proxy may
    /// let nothing else through.
    pub(super) async fn post_rows(
        &self,
        append: &Append,
        body: Vec<u8>,
    ) -> Result<Posted, AppendError> {
        let Append { table, writer, first_line, lines, columns, timeout, .. } = append;
        let request = self.request_id();
        let add_headers = |headers: &mut HeaderMap| {
            headers.insert(STREAM_OFFSET, HeaderValue::from(*first_line));
            headers.insert(COLUMNS_HEADER, columns_header(*columns));
            for (name, text) in [(STREAM_WRITER, &**writer), (REQUEST_HEADER, &request)] {
                if let Ok(text) = HeaderValue::try_from(text) {
                    headers.insert(name, text);
                }
            }
        };
        let sent = body.len();
        let path = append_path(table);
        let response = self.post(&path, BINARY_ROWS_TYPE, body, *timeout, add_headers).await;
        let is_known = response.as_ref().map_or(true, takes_binary_rows);
        let response = match answer::check(response, self.responder(), sent) {
            Err(AppendError::Refused { message }) if !is_known => {
                self.binary_rows.refused();
                return Err(AppendError::Transient { message, retry_after: None });
            }
            Err(AppendError::Stopped(reason)) if !is_known => {
                self.binary_rows.refused();
                let message = reason.to_string();
                return Err(AppendError::Transient { message, retry_after: None });
            }
            response => response?,
        };
        let rows = *first_line..first_line.saturating_add(lines.len() as u64);
        let sent = SentRows { rows, writer, request: &request };
        let answer = answer::acked(sent.ack(&response), self.responder())?;
        Ok(Posted { answer, pause: answer::pause(response.headers()) })
    }
}
