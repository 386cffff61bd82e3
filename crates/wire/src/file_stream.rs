//! The requests that carry rows, and their answers (protocol notes §6).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::json::{object_from_slice, write_plain, write_str_body};

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
        object_from_slice(body)
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
/// W&B's servers answer an object with other keys, which are ignored. Whether an answer
/// acknowledges the post decides [`SentPost::ack`](crate::SentPost::ack).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FileStreamAnswer {
    /// The number after the last line of the history file that this answer covers: lines of the post
    /// before it are stored or rejected. Only a StreamTable server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acked: Option<u64>,
    /// The id of the request that this answers. Only a StreamTable server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
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
    /// Parses the body of an answer.
    ///
    /// A body that is not an object, has a known key with a value of another type, or reports an
    /// error is not an answer.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Parts<'a> {
            acked: Option<u64>,
            request: Option<String>,
            rejected: Option<Vec<RejectedLine>>,
            stopped: Option<bool>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
            #[serde(borrow)]
            errors: Option<&'a RawValue>,
        }
        let Parts { acked, request, rejected, stopped, error, errors } = object_from_slice(body)?;
        let is_error = |part: &&RawValue| part.get() != "[]";
        if error.or(errors).filter(is_error).is_some() {
            return Err(serde::de::Error::custom("it reports an error"));
        }
        let (rejected, stopped) = (rejected.unwrap_or_default(), stopped.unwrap_or_default());
        Ok(Self { acked, request, rejected, stopped })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    /// Checks what a post of a real client says, by what we would write in its place.
    #[track_caller]
    fn check(body: &str, same: &str) {
        let request = FileStreamRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(text(&request.to_bytes()), same);
        assert_eq!(FileStreamRequest::parse(same.as_bytes()).unwrap(), request);
    }

    #[track_caller]
    fn refuses(body: &str) {
        assert!(FileStreamRequest::parse(body.as_bytes()).is_err());
    }

    #[test]
    fn posts() {
        check("{}", "{}");
        check(
            r#"{"complete": false, "failed": false, "dropped": 2, "uploaded": []}"#,
            r#"{"dropped":2,"complete":false}"#,
        );
        check(
            r#"{"complete": true, "exitcode": 0, "dropped": 0, "uploaded": ["obj.object.json", "obj.type.json"]}"#,
            r#"{"uploaded":["obj.object.json","obj.type.json"],"dropped":0,"complete":true,"exitcode":0}"#,
        );
        check(
            r#"{"files": {"wandb-history.jsonl": {"offset": 3, "content": ["{\"a\": NaN, \"b\": \"\\u00e9\"}", ""]}}, "dropped": 0}"#,
            r#"{"files":{"wandb-history.jsonl":{"offset":3,"content":["{\"a\": NaN, \"b\": \"\\u00e9\"}",""]}},"dropped":0}"#,
        );
        check(
            r#"{"files":{"output.log":{"offset":0,"content":["é\n","\u00e9\ud83d\ude00"]},"wandb-summary.json":{"offset":0,"content":["{}"]}},"preempting":true,"exitcode":null,"complete":null}"#,
            r#"{"files":{"output.log":{"offset":0,"content":["é\n","é😀"]},"wandb-summary.json":{"offset":0,"content":["{}"]}},"preempting":true}"#,
        );
        check(r#"{"files":{}, "new": {"a": [1e999]}}"#.replace("1e999", "1e99").as_str(), "{}");
    }

    #[test]
    fn no_posts() {
        refuses("");
        refuses("null");
        refuses(" []");
        refuses("[{}]");
        refuses("{} {}");
        refuses(r#"{"files":{"wandb-history.jsonl":{"content":[]}}}"#);
        refuses(r#"{"files":{"wandb-history.jsonl":{"offset":0}}}"#);
        refuses(r#"{"files":{"wandb-history.jsonl":{"offset":-1,"content":[]}}}"#);
        refuses(r#"{"files":{"wandb-history.jsonl":{"offset":0,"content":[{"a":1}]}}}"#);
        refuses("<html>");
    }

    /// Lines without escapes are not copied.
    #[test]
    fn lines_are_borrowed() {
        let body = r#"{"files":{"f":{"offset":0,"content":["plain","\"x\""]}}}"#;
        let request = FileStreamRequest::parse(body.as_bytes()).unwrap();
        let content = &request.files["f"].content;
        assert!(matches!(content[0], Cow::Borrowed("plain")));
        assert!(matches!(&content[1], Cow::Owned(line) if line == "\"x\""));
    }

    #[test]
    fn bodies() {
        let lines = [r#"{"a":"é \u0001\"","b":NaN}"#, "", "\u{8}\u{c}\u{1}\u{7f}\t\\"];
        let rows = history_body(u64::MAX, lines);
        let end = FileStreamRequest {
            uploaded: vec!["media/images/a.png".into()],
            dropped: Some(0),
            complete: Some(true),
            exitcode: Some(1),
            preempting: Some(false),
            ..FileStreamRequest::default()
        };
        insta::assert_snapshot!(
            [text(&rows), text(&history_body(0, [""; 0])), text(&end.to_bytes())].join("\n")
        );
        let content = lines.map(Cow::from).to_vec();
        let files = [(HISTORY_FILE.into(), Chunk { offset: u64::MAX, content })].into();
        let request = FileStreamRequest { files, ..FileStreamRequest::default() };
        assert_eq!(text(&request.to_bytes()), text(&rows));
    }

    #[test]
    fn answers() {
        #[track_caller]
        fn check(body: &str, expected: &FileStreamAnswer) {
            assert_eq!(&FileStreamAnswer::parse(body.as_bytes()).unwrap(), expected);
        }
        let nothing = FileStreamAnswer::default();
        for body in [
            r#"{"exitcode": null, "limits": {"heartbeat_seconds": 30}}"#,
            " {} ",
            r#"{"stopped": null, "rejected": null, "acked": null, "error": null, "errors": []}"#,
        ] {
            check(body, &nothing);
        }
        check(r#"{"stopped":true}"#, &FileStreamAnswer { stopped: true, ..nothing.clone() });
        let rejected = vec![RejectedLine { line: 7, reason: "column \"a\"".into() }];
        let request = Some("r".to_owned());
        let answer = FileStreamAnswer { acked: Some(9), request, rejected, stopped: false };
        let bytes = answer.to_bytes();
        assert_eq!(
            text(&bytes),
            r#"{"acked":9,"request":"r","rejected":[{"line":7,"reason":"column \"a\""}]}"#
        );
        check(text(&bytes), &answer);
        assert_eq!(nothing.to_bytes(), b"{}");
    }
}
