//! The contents of a post.

use std::borrow::Cow;

use axum::http::StatusCode;
use bytes::Bytes;
use streamtable_server_core::ApiError;
use streamtable_store::{LineNumber, LineNumberError};
use streamtable_wire::{Chunk, FileStreamRequest, HISTORY_FILE, MAX_LINE_BYTES, RejectedLine};

use crate::catalog::{LineFile, Run, RunEvent};

/// The file that holds the whole summary of a run, on one line.
const SUMMARY_FILE: &str = "wandb-summary.json";

/// The contents of a post.
#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) rows: Option<Lines>,
    lines: Vec<(LineFile, u64, Vec<String>)>,
    summary: Option<String>,
    complete: Option<bool>,
    exit_code: Option<i64>,
    preempting: bool,
}

/// Rows, as lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Consecutive lines, with the number of the first. There is more than one part if an oversized
    /// line between them was rejected.
    pub(super) parts: Vec<(LineNumber, Vec<Bytes>)>,
    pub(super) rejected: Vec<RejectedLine>,
    /// The number after the last line.
    pub(super) end: u64,
}

impl Post {
    pub(super) fn parse(body: &Bytes, max_lines: usize) -> Result<Self, ApiError> {
        let unreadable = |error| ApiError::bad_request(format!("the post cannot be read: {error}"));
        let request = FileStreamRequest::parse(body).map_err(unreadable)?;
        let count: usize = request.files.values().map(|chunk| chunk.content.len()).sum();
        if count > max_lines {
            let message = format!("a post may have at most {max_lines} lines");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let mut this = Self {
            complete: request.complete,
            exit_code: request.exitcode,
            preempting: request.preempting == Some(true),
            ..Self::default()
        };
        for (name, chunk) in request.files {
            let out_of_range = |error| {
                ApiError::bad_request(format!("the offset of {name:?} is too large: {error}"))
            };
            let first = LineNumber::new(chunk.offset).map_err(out_of_range)?;
            first.end_of(chunk.content.len()).map_err(out_of_range)?;
            if name == HISTORY_FILE {
                this.rows = Some(rows(body, chunk).map_err(out_of_range)?);
            } else if name == SUMMARY_FILE {
                this.summary = chunk.content.into_iter().last().map(Cow::into_owned);
            } else if let Some(file) = LineFile::named(&name) {
                let texts = chunk.content.into_iter().map(Cow::into_owned).collect();
                this.lines.push((file, chunk.offset, texts));
            } else {
                tracing::debug!(file = %name, "ignored lines of an unknown file");
            }
        }
        Ok(this)
    }

    /// Returns the changes to the run, without the rows.
    ///
    /// Rows reopen a run, unless they are of one of several writers that name themselves: of a run
    /// that several processes share, the primary one reports the end.
    pub(super) fn event(self, run: &Run, is_shared: bool) -> RunEvent {
        let has_rows = self.rows.is_some_and(|rows| !rows.parts.is_empty());
        let state = if self.complete == Some(true) {
            Some(if self.exit_code.unwrap_or(0) == 0 { "finished" } else { "failed" })
        } else if self.preempting {
            Some("preempting")
        } else if run.state != "running"
            && ((has_rows && !is_shared) || self.complete == Some(false))
        {
            // Legacy clients report the end of a run before its first row.
            Some("running")
        } else {
            None
        };
        let exit_code = if self.complete == Some(true) { self.exit_code } else { None };
        RunEvent { lines: self.lines, summary: self.summary, state, exit_code }
    }
}

fn rows(body: &Bytes, chunk: Chunk<'_>) -> Result<Lines, LineNumberError> {
    let end = chunk.offset.saturating_add(chunk.content.len() as u64);
    let mut rows = Lines { end, ..Lines::default() };
    let mut is_open = false;
    for (i, text) in chunk.content.into_iter().enumerate() {
        let line = chunk.offset + i as u64;
        if text.len() > MAX_LINE_BYTES {
            let reason = format!("a line has {} bytes; the limit is {MAX_LINE_BYTES}", text.len());
            rows.rejected.push(RejectedLine { line, reason });
            is_open = false;
            continue;
        }
        let bytes = match text {
            Cow::Borrowed(text) => body.slice_ref(text.as_bytes()),
            Cow::Owned(text) => text.into(),
        };
        match rows.parts.last_mut().filter(|_| is_open) {
            Some((_, lines)) => lines.push(bytes),
            None => rows.parts.push((LineNumber::new(line)?, vec![bytes])),
        }
        is_open = true;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: String) -> Result<Post, ApiError> {
        Post::parse(&body.into(), 4)
    }

    #[test]
    fn an_oversized_line_leaves_a_gap() {
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        let body = format!(
            r#"{{"files":{{"wandb-history.jsonl":{{"offset":7,"content":["{{}}","{long}","{{\"a\":1}}","b"]}}}}}}"#
        );
        let rows = parse(body).unwrap().rows.unwrap();
        let lines = |lines: &[&str]| lines.iter().map(|l| Bytes::from(l.to_string())).collect();
        let parts = [(7.into(), lines(&["{}"])), (9.into(), lines(&[r#"{"a":1}"#, "b"]))];
        assert_eq!(rows.parts, parts);
        assert_eq!(rows.rejected.iter().map(|r| r.line).collect::<Vec<_>>(), [8]);
        assert_eq!(rows.end, 11);
    }

    #[test]
    fn invalid_posts_are_rejected() {
        #[track_caller]
        fn check(content: &str, status: u16) {
            let body = format!(r#"{{"files":{{"wandb-history.jsonl":{content}}}}}"#);
            assert_eq!(parse(body).unwrap_err().status().as_u16(), status);
        }
        check(r#"{"offset":0,"content":["","","","",""]}"#, 413);
        check(r#"{"offset":9223372036854775807,"content":["a","b"]}"#, 400);
        check(r#"{"offset":9223372036854775808,"content":[]}"#, 400);
        check(r#"{"offset":18446744073709551615,"content":["a"]}"#, 400);
        check(r#"{"offset":-1,"content":[]}"#, 400);
        check(&format!(r#"{{"offset":0,"content":{}"#, "[".repeat(100_000)), 400);
    }
}
