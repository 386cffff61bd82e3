//! The answer to rows that were posted to the native API.

use std::ops::Range;

use http::Response;
use serde::{Deserialize, Serialize};

use crate::ack::success_body;
use crate::json::object_from_slice;
use crate::{FileStreamAnswer, NotAnAck, ROWS_HEADER, ROWS_VERSION, RejectedLine};

/// What an answer to posted rows states. A server adds other keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsAnswer {
    /// The writer of the rows.
    pub writer: String,
    /// The writer's rows before this number are stored or rejected.
    pub next_line: u64,
    /// The first rejected rows, in order.
    #[serde(default)]
    pub rejected: Vec<RejectedLine>,
    /// The number of all rejected rows.
    #[serde(default)]
    pub rejected_rows: u64,
    /// The id of the request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl RowsAnswer {
    /// Writes an answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers serialize into a vector")
    }
}

/// Rows that were posted to the native API, and whose answer is awaited.
///
/// ```
/// use http::Response;
/// use streamtable_wire::SentRows;
///
/// let sent = SentRows { rows: 7..12, writer: "w", request: "r-1" };
/// let body = r#"{"writer":"w","next_line":12,"request":"r-1","stored":5}"#;
/// assert_eq!(sent.ack(&Response::new(body)).unwrap().acked, Some(12));
/// assert!(sent.ack(&Response::new("<html>Please log in</html>")).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct SentRows<'a> {
    /// The numbers of the rows.
    pub rows: Range<u64>,
    /// Their writer.
    pub writer: &'a str,
    /// The id that the request had in [`REQUEST_HEADER`](crate::REQUEST_HEADER).
    pub request: &'a str,
}

impl SentRows<'_> {
    /// Returns what the answer covers, if it acknowledges the rows.
    ///
    /// If the answer does not list all rejected rows, it covers the rows up to the last that it lists: the
    /// caller sends the others again, which stores nothing twice.
    pub fn ack<B: AsRef<[u8]>>(&self, answer: &Response<B>) -> Result<FileStreamAnswer, NotAnAck> {
        let fails = |reason: &str| NotAnAck::new(answer, reason);
        let body = success_body(answer)?;
        let parsed: serde_json::Result<RowsAnswer> = object_from_slice(body);
        let parsed = parsed.map_err(|error| fails(&error.to_string()))?;
        if parsed.request.as_deref() != Some(self.request) {
            return Err(fails("it answers another request"));
        }
        if parsed.writer != self.writer {
            return Err(fails("it is about another writer"));
        }
        let RowsAnswer { next_line, rejected, rejected_rows, request, .. } = parsed;
        let lists_all = rejected_rows <= rejected.len() as u64;
        let end = match rejected.last() {
            _ if lists_all => next_line,
            Some(last) => next_line.min(last.line.saturating_add(1)),
            None => return Err(fails("it does not list the rejected rows")),
        };
        if end <= self.rows.start || end > self.rows.end {
            let Range { start, end: sent } = &self.rows;
            return Err(fails(&format!("it covers rows up to {end}, not {start} to {sent}")));
        }
        Ok(FileStreamAnswer { acked: Some(end), request, rejected, stopped: false })
    }
}

/// Returns whether an answer is from a server whose tables take binary rows of the version that this crate
/// writes.
pub fn takes_binary_rows<B>(answer: &Response<B>) -> bool {
    let versions = answer.headers().get(ROWS_HEADER).and_then(|value| value.to_str().ok());
    versions.is_some_and(|list| list.split(',').any(|version| version.trim() == ROWS_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Result<(u64, usize), &str>) {
        let sent = SentRows { rows: 7..12, writer: "w", request: "r" };
        let found = sent.ack(&Response::new(body));
        let found = found.map(|it| (it.acked.unwrap_or(0), it.rejected.len()));
        assert_eq!(found.map_err(|error| error.reason), expected.map_err(str::to_owned), "{body}");
    }

    #[test]
    fn answers() {
        let body = |rest: &str| format!(r#"{{"writer":"w","request":"r",{rest}}}"#);
        check(&body(r#""next_line":12"#), Ok((12, 0)));
        check(&body(r#""next_line":8,"rejected":[],"url":"x""#), Ok((8, 0)));
        for end in [0, 7, 13] {
            let reason = format!("it covers rows up to {end}, not 7 to 12");
            check(&body(&format!(r#""next_line":{end}"#)), Err(&reason));
        }
        let rejected = r#""next_line":12,"rejected":[{"line":9,"reason":"no"}],"rejected_rows":"#;
        check(&body(&format!("{rejected}1")), Ok((12, 1)));
        check(&body(&format!("{rejected}2")), Ok((10, 1)));
        check(
            &body(r#""next_line":12,"rejected_rows":2"#),
            Err("it does not list the rejected rows"),
        );
        check(r#"{"writer":"w","next_line":12}"#, Err("it answers another request"));
        check(r#"{"writer":"w","next_line":12,"request":"s"}"#, Err("it answers another request"));
        check(r#"{"writer":"v","next_line":12,"request":"r"}"#, Err("it is about another writer"));
        for body in ["", "<html>", "[]", r#"{"acked":12,"request":"r"}"#, r#"{"errors":["no"]}"#] {
            let sent = SentRows { rows: 7..12, writer: "w", request: "r" };
            assert!(sent.ack(&Response::new(body)).is_err(), "{body}");
        }
    }

    #[test]
    fn announcements() {
        for (value, expected) in
            [("1", true), ("2, 1", true), ("2", false), ("", false), ("11", false)]
        {
            let answer = Response::builder().header(ROWS_HEADER, value).body(()).unwrap();
            assert_eq!(takes_binary_rows(&answer), expected, "{value:?}");
        }
        assert!(!takes_binary_rows(&Response::new(())));
    }
}
