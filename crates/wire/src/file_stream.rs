//! The requests that carry rows, and their answers (protocol notes §6).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::json::{write_plain, write_str_body};

/// The file whose lines are a table's rows.
pub const HISTORY_FILE: &str = "wandb-history.jsonl";

/// One post to a run's file stream.
///
/// Every part may be absent: `{}` says no more than that the client lives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileStreamRequest<'a> {
    /// Lines for the run's files, by file name.
    #[serde(borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<Cow<'a, str>, Chunk<'a>>,
    /// Files whose upload is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uploaded: Vec<String>,
    /// Chunks that the client has given up so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// Whether the run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// How it ended: 0 is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exitcode: Option<i64>,
    /// Whether the client is about to be suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preempting: Option<bool>,
}

/// Consecutive lines of one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chunk<'a> {
    /// The number of the first line.
    pub offset: u64,
    /// The lines, without line ends.
    #[serde(borrow, deserialize_with = "borrow_lines")]
    pub content: Vec<Cow<'a, str>>,
}

impl<'a> FileStreamRequest<'a> {
    /// Reads the body of a post.
    pub fn parse(body: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    /// Writes the body of a post.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers serialize into a vector")
    }
}

/// Writes the body of a post that carries rows and nothing else: lines of the history file, the
/// first of which has the number `offset`.
///
/// The same bytes as [`FileStreamRequest::to_bytes`] gives, without going through its lines twice.
///
/// ```
/// use streamtable_wire::{FileStreamRequest, history_body};
///
/// let body = history_body(7, [r#"{"a":1}"#, r#"{"a":2}"#]);
/// let request = FileStreamRequest::parse(&body)?;
/// assert_eq!(request.files["wandb-history.jsonl"].offset, 7);
/// assert_eq!(request.to_bytes(), body);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn history_body<L: AsRef<[u8]>>(offset: u64, lines: impl IntoIterator<Item = L>) -> Vec<u8> {
    let mut out = Vec::new();
    write_plain(
        &mut out,
        format_args!(r#"{{"files":{{"{HISTORY_FILE}":{{"offset":{offset},"content":["#),
    );
    for (i, line) in lines.into_iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
        write_str_body(&mut out, line.as_ref());
        out.push(b'"');
    }
    out.extend_from_slice(b"]}}}");
    out
}

/// The answer to a post.
///
/// Clients of the protocol take any body; what they do not know they leave. So do we.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileStreamAnswer {
    /// Lines of this post that the server refuses for good. Only a StreamTable server says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RejectedLine>,
    /// Whether somebody asked to stop the run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

/// A line that the server refuses for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedLine {
    /// The line's number.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
}

impl FileStreamAnswer {
    /// Reads an answer. A body that says nothing known, even one that is no JSON, is an answer.
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Writes an answer.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers serialize into a vector")
    }
}

/// Reads texts without copying those that have no escapes.
fn borrow_lines<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Line<'a>(#[serde(borrow)] Cow<'a, str>);

    let lines: Vec<Line<'a>> = Vec::deserialize(deserializer)?;
    Ok(lines.into_iter().map(|line| line.0).collect())
}
