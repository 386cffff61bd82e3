//! Which answers are acknowledgements: the one rule by which a client forgets rows and files.
//!
//! A success status alone is not an acknowledgement. Captive portals, sign-on pages and wrong
//! virtual hosts answer 200, too. An answer acknowledges a request if its status is 200 or 201 and
//! its body parses as the type that the request asks for. A StreamTable server also states in the
//! body what the answer covers, and a client that knows its server requires that.
//!
//! An answer that fails the rule counts as no answer: the client repeats the request.

use std::ops::Range;

use http::header::{CONTENT_TYPE, ETAG};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::FileStreamAnswer;
use crate::graphql::error_messages;
use crate::http::ACKS_HEADER;
use crate::json::object_from_slice;

/// The most characters of a content type or a parse error that a message repeats.
const MAX_QUOTED_CHARS: usize = 100;

/// Headers that object stores add to the answer to an upload, besides `ETag`: S3 and its relatives,
/// Google Cloud Storage, Azure.
const STORE_HEADERS: [&str; 3] = ["x-amz-", "x-goog-", "x-ms-"];

/// Why a successful answer is not an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "answered {} with {content}, which is not an acknowledgement; \
     a proxy or captive portal may be in the way ({reason})",
    status.as_u16()
)]
pub struct NotAnAck {
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's content type, or a phrase where it has none.
    pub content: String,
    /// Which part of the rule the answer fails.
    pub reason: String,
}

impl NotAnAck {
    /// Describes an answer that fails the rule.
    pub fn new<B: AsRef<[u8]>>(answer: &Response<B>, reason: impl ToString) -> Self {
        let content = match content_type(answer) {
            _ if answer.body().as_ref().is_empty() => "an empty body".to_owned(),
            "" => "a body without a content type".to_owned(),
            content => content.to_owned(),
        };
        let reason = reason.to_string().chars().take(MAX_QUOTED_CHARS).collect();
        Self { status: answer.status(), content, reason }
    }
}

/// A post to a file stream whose answer is awaited.
///
/// ```
/// use http::Response;
/// use streamtable_wire::SentPost;
///
/// let sent = SentPost { rows: Some(7..12), request: "r-1", must_state: false };
/// let answer = |body: &'static str| Response::new(body);
///
/// // What W&B's servers answer, and what a StreamTable server answers.
/// assert!(sent.ack(&answer(r#"{"exitcode":null,"limits":{}}"#)).is_ok());
/// assert!(sent.ack(&answer(r#"{"acked":12,"request":"r-1"}"#)).is_ok());
///
/// let error = sent.ack(&answer("<html>Please log in</html>")).unwrap_err();
/// assert!(error.to_string().contains("not an acknowledgement"));
/// ```
#[derive(Clone, Debug)]
pub struct SentPost<'a> {
    /// The numbers of the post's rows, if it has rows.
    pub rows: Option<Range<u64>>,
    /// The id that the post had in [`REQUEST_HEADER`](crate::REQUEST_HEADER).
    pub request: &'a str,
    /// Whether the server is known to state what its answers cover.
    pub must_state: bool,
}

impl SentPost<'_> {
    /// Returns the parsed answer if it acknowledges the post.
    ///
    /// If the answer states how far it covers the rows ([`FileStreamAnswer::acked`]), that is after
    /// the first row and not after the last: the caller forgets the rows before it and no others.
    pub fn ack<B: AsRef<[u8]>>(&self, answer: &Response<B>) -> Result<FileStreamAnswer, NotAnAck> {
        let fails = |reason: String| NotAnAck::new(answer, reason);
        let parsed = FileStreamAnswer::parse(success_body(answer)?);
        let parsed = parsed.map_err(|error| fails(error.to_string()))?;
        let must_state = self.must_state || states_coverage(answer);
        match &parsed.request {
            Some(request) if request != self.request => {
                return Err(fails("it answers another request".to_owned()));
            }
            None if must_state => {
                return Err(fails("it does not name the request that it answers".to_owned()));
            }
            _ => {}
        }
        match (&self.rows, parsed.acked) {
            (Some(rows), Some(end)) if end <= rows.start || end > rows.end => {
                let Range { start, end: sent } = rows;
                Err(fails(format!("it covers rows up to {end}, not {start} to {sent}")))
            }
            (Some(_), None) if must_state => {
                Err(fails("it does not state which rows it covers".to_owned()))
            }
            (None, Some(_)) => Err(fails("it covers rows, and none were sent".to_owned())),
            _ => Ok(parsed),
        }
    }
}

/// The answer of a StreamTable server to an upload: what it has stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadAnswer {
    /// The SHA-256 of the stored bytes, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The number of bytes.
    pub size: u64,
}

impl UploadAnswer {
    /// Returns the answer to an upload of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use std::fmt::Write;

        let mut sha256 = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing into a text does not fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Self { sha256, size: bytes.len() as u64 }
    }

    /// Writes the answer's body.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers serialize into a vector")
    }
}

/// An upload whose answer is awaited.
#[derive(Clone, Debug)]
pub struct SentUpload<'a> {
    /// The uploaded bytes.
    pub bytes: &'a [u8],
    /// Whether the bytes went to a StreamTable server, which states what it has stored.
    pub must_state: bool,
}

impl SentUpload<'_> {
    /// Returns `Ok` if the answer acknowledges the upload.
    ///
    /// A StreamTable server answers an [`UploadAnswer`] that matches the bytes. An object store
    /// answers without a body or with a JSON object, and with an `ETag` or a header of its own.
    pub fn ack<B: AsRef<[u8]>>(&self, answer: &Response<B>) -> Result<(), NotAnAck> {
        let fails = |reason: &str| Err(NotAnAck::new(answer, reason));
        let body = success_body(answer)?;
        match object_from_slice::<UploadAnswer>(body) {
            Ok(stored) if stored.size != self.bytes.len() as u64 => fails("it has another size"),
            Ok(stored) if stored != UploadAnswer::of(self.bytes) => fails("it has other bytes"),
            Ok(_) => Ok(()),
            Err(_) if self.must_state || states_coverage(answer) => {
                fails("it does not state which bytes are stored")
            }
            Err(_) if !is_of_object_store(answer) => fails("it has no header of an object store"),
            Err(_) if body.is_empty() => Ok(()),
            Err(_) => match FileStreamAnswer::parse(body) {
                Ok(_) => Ok(()),
                Err(error) => fails(&error.to_string()),
            },
        }
    }
}

/// Returns the body of an answer whose status says that the request was done.
///
/// 202 promises less than that, 203 and 206 are a proxy's, and 204 and 205 have no body to check.
pub(crate) fn success_body<B: AsRef<[u8]>>(answer: &Response<B>) -> Result<&[u8], NotAnAck> {
    match answer.status() {
        StatusCode::OK | StatusCode::CREATED => Ok(answer.body().as_ref()),
        _ => Err(NotAnAck::new(answer, "the status is not 200 or 201")),
    }
}

/// Returns whether an answer is from a server that states what its answers cover.
pub fn states_coverage<B>(answer: &Response<B>) -> bool {
    answer.headers().contains_key(ACKS_HEADER)
}

/// Returns whether an answer with a client error or a redirect is the server's verdict on what was sent,
/// so that the client may give up a row or a file, or stop.
///
/// A StreamTable server says why in a list of errors. Other servers and object stores have many
/// forms, of which an HTML page is none.
pub fn is_verdict<B: AsRef<[u8]>>(answer: &Response<B>, must_state: bool) -> bool {
    if must_state || states_coverage(answer) {
        return !error_messages(answer.body().as_ref()).is_empty();
    }
    !is_page(answer)
}

fn is_page<B: AsRef<[u8]>>(answer: &Response<B>) -> bool {
    let body = answer.body().as_ref().trim_ascii_start();
    let starts_with = |start: &str| {
        body.get(..start.len()).is_some_and(|body| body.eq_ignore_ascii_case(start.as_bytes()))
    };
    starts_with("<!doctype html")
        || starts_with("<html")
        || !body.is_empty() && content_type(answer).eq_ignore_ascii_case("text/html")
}

fn is_of_object_store<B>(answer: &Response<B>) -> bool {
    let names = &mut answer.headers().keys().map(|name| name.as_str());
    names.any(|name| name == ETAG.as_str() || STORE_HEADERS.iter().any(|s| name.starts_with(s)))
}

/// Returns an answer's content type without parameters, or nothing if it is not plain text.
fn content_type<B>(answer: &Response<B>) -> &str {
    let text = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.len() <= MAX_QUOTED_CHARS { essence } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><body>Please accept our terms</body></html>";

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        answer.body(body.into()).unwrap()
    }

    /// Judges an answer to a post of the rows 7 to 12.
    fn judge(must_state: bool, answer: &Response<Vec<u8>>) -> Result<Option<u64>, String> {
        let sent = SentPost { rows: Some(7..12), request: "r", must_state };
        sent.ack(answer).map(|answer| answer.acked).map_err(|error| error.reason)
    }

    #[track_caller]
    fn check_post(body: &str, of_any: Result<Option<u64>, &str>, of_ours: Result<u64, &str>) {
        let of_any = of_any.map_err(str::to_owned);
        let of_ours = of_ours.map(Some).map_err(str::to_owned);
        assert_eq!(judge(false, &answer(200, &[], body)), of_any, "of any server: {body}");
        assert_eq!(judge(true, &answer(200, &[], body)), of_ours, "of ours: {body}");
        // The server may also announce itself with the answer.
        assert_eq!(judge(false, &answer(200, &[(ACKS_HEADER, "1")], body)), of_ours, "{body}");
    }

    #[test]
    fn answers_to_posts() {
        let nameless = Err("it does not name the request that it answers");
        check_post(r#"{"acked":12,"request":"r"}"#, Ok(Some(12)), Ok(12));
        check_post(r#"{"acked":8,"request":"r","rejected":[]}"#, Ok(Some(8)), Ok(8));
        check_post("{}", Ok(None), nameless);
        check_post(
            r#"{"exitcode": null, "limits": {"heartbeat_seconds": 30}}"#,
            Ok(None),
            nameless,
        );
        check_post(r#"{"acked":12}"#, Ok(Some(12)), nameless);
        let other = Err("it answers another request");
        check_post(r#"{"acked":12,"request":"s"}"#, other, Err("it answers another request"));
        let which = "it does not state which rows it covers";
        check_post(r#"{"request":"r"}"#, Ok(None), Err(which));
        let range = |end: u64| format!("it covers rows up to {end}, not 7 to 12");
        for end in [0, 7, 13, u64::MAX] {
            let body = format!(r#"{{"acked":{end},"request":"r"}}"#);
            let reason = range(end);
            check_post(&body, Err(&reason), Err(&reason));
        }
    }

    #[test]
    fn bodies_that_acknowledge_nothing() {
        let bodies = [
            "",
            " ",
            PAGE,
            "null",
            "true",
            "12",
            "\"ok\"",
            "[]",
            r#"[{"acked":12,"request":"r"}]"#,
            r#"{"acked":12,"request":"r""#,
            r#"{"acked":"12","request":"r"}"#,
            r#"{"acked":-1,"request":"r"}"#,
            r#"{"rejected":7}"#,
            r#"{"rejected":[{"line":-1}]}"#,
            r#"{"stopped":"no"}"#,
            r#"{"errors":[{"message":"log in first"}]}"#,
            r#"{"error":"log in first"}"#,
        ];
        for body in bodies {
            assert!(judge(false, &answer(200, &[], body)).is_err(), "{body}");
        }
        for status in [202, 203, 204, 205, 206] {
            let reason = Err("the status is not 200 or 201".to_owned());
            assert_eq!(judge(false, &answer(status, &[], "{}")), reason, "{status}");
        }
        assert_eq!(judge(false, &answer(201, &[], "{}")), Ok(None));
    }

    #[test]
    fn answers_to_posts_without_rows() {
        let sent = |must_state| SentPost { rows: None, request: "r", must_state };
        let ours = answer(200, &[], r#"{"request":"r"}"#);
        assert!(sent(true).ack(&ours).is_ok());
        assert!(sent(false).ack(&answer(200, &[], "{}")).is_ok());
        assert!(sent(true).ack(&answer(200, &[], "{}")).is_err());
        assert!(sent(false).ack(&answer(200, &[], r#"{"acked":7}"#)).is_err());
    }

    #[test]
    fn messages_name_what_came() {
        let say = |answer: &Response<Vec<u8>>| {
            let sent = SentPost { rows: Some(0..1), request: "r", must_state: false };
            sent.ack(answer).unwrap_err().to_string()
        };
        let page = answer(200, &[("content-type", "text/html; charset=utf-8")], PAGE);
        insta::assert_snapshot!(say(&page), @"answered 200 with text/html, which is not an acknowledgement; a proxy or captive portal may be in the way (expected value at line 1 column 1)");
        insta::assert_snapshot!(say(&answer(204, &[], "")), @"answered 204 with an empty body, which is not an acknowledgement; a proxy or captive portal may be in the way (the status is not 200 or 201)");
        insta::assert_snapshot!(say(&answer(200, &[], "[]")), @"answered 200 with a body without a content type, which is not an acknowledgement; a proxy or captive portal may be in the way (an array where an object is expected)");
    }

    #[track_caller]
    fn check_upload(answer: &Response<Vec<u8>>, of_store: bool, of_ours: bool) {
        let sent = |must_state| SentUpload { bytes: b"bytes", must_state };
        assert_eq!(sent(false).ack(answer).is_ok(), of_store, "{answer:?}");
        assert_eq!(sent(true).ack(answer).is_ok(), of_ours, "{answer:?}");
    }

    #[test]
    fn answers_to_uploads() {
        let stated = String::from_utf8(UploadAnswer::of(b"bytes").to_bytes()).unwrap();
        check_upload(&answer(200, &[], &stated), true, true);
        let other = String::from_utf8(UploadAnswer::of(b"other").to_bytes()).unwrap();
        check_upload(&answer(200, &[("etag", "x")], &other), false, false);
        // S3, Google Cloud Storage (whose empty body has this type) and Azure.
        check_upload(
            &answer(200, &[("etag", "\"0\""), ("x-amz-request-id", "7")], ""),
            true,
            false,
        );
        let google = [("x-goog-hash", "crc32c=x"), ("content-type", "text/html; charset=UTF-8")];
        check_upload(&answer(200, &google, ""), true, false);
        check_upload(&answer(201, &[("x-ms-request-id", "7")], ""), true, false);
        check_upload(&answer(200, &[("etag", "x")], r#"{"name":"a"}"#), true, false);
        // Portals and proxies; static pages have an ETag, too.
        check_upload(&answer(200, &[], ""), false, false);
        check_upload(&answer(204, &[("etag", "x")], ""), false, false);
        check_upload(&answer(200, &[("etag", "x")], PAGE), false, false);
        check_upload(
            &answer(200, &[("etag", "x")], "<Error><Code>InternalError</Code></Error>"),
            false,
            false,
        );
        check_upload(&answer(200, &[], r#"{"name":"a"}"#), false, false);
    }

    #[test]
    fn verdicts() {
        let list = r#"{"errors":[{"message":"a row is too long"}]}"#;
        for (answer, of_any, of_ours) in [
            (answer(400, &[], list), true, true),
            (answer(400, &[], "no such column"), true, false),
            (answer(400, &[], "<?xml version=\"1.0\"?><Error/>"), true, false),
            (answer(422, &[], ""), true, false),
            (answer(400, &[("content-type", "text/html")], "<h1>Bad Request</h1>"), false, false),
            (answer(400, &[], "\n<!DOCTYPE HTML><html>"), false, false),
            (answer(400, &[], PAGE), false, false),
        ] {
            assert_eq!(is_verdict(&answer, false), of_any, "{answer:?}");
            assert_eq!(is_verdict(&answer, true), of_ours, "{answer:?}");
        }
    }
}
