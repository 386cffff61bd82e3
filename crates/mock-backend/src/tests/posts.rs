//! What a post to a file stream may hold, and what becomes of it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use streamtable_schema::row;
use streamtable_wire::{COLUMNS_HEADER, FileStreamAnswer, MAX_LINE_BYTES, history_body};

use super::*;

#[track_caller]
fn refuses(headers: &[(&str, &str)], body: impl Into<Bytes>, status: u16, message: &str) {
    let bench = Bench::new();
    bench.post_rows(0, &[r#"{"x":1,"_client_id":"w"}"#]).unwrap();
    bench.expect_violation(bench.post(headers, body), status, message);
    assert_eq!(bench.texts().len(), 1);
}

#[test]
fn bodies() {
    refuses(&[ASYNC], "", 400, "cannot be read");
    refuses(&[ASYNC], "[]", 400, "cannot be read");
    refuses(&[ASYNC], r#"{"complete": 1}"#, 400, "cannot be read");
    refuses(&[ASYNC], r#"{"rows": []}"#, 400, "a post has no \"rows\"");
    refuses(
        &[ASYNC],
        r#"{"files": {"history": {"offset": 0, "content": []}}}"#,
        400,
        "\"history\"",
    );
    refuses(&[ASYNC], r#"{"exitcode": 0}"#, 400, "exit code");
    refuses(&[ASYNC], r#"{"complete": false, "exitcode": 0}"#, 400, "exit code");
    refuses(&[ASYNC], r#"{"uploaded": ["a.png"]}"#, 400, "\"a.png\" is said to be uploaded");
    refuses(&[(ASYNC_HEADER, "yes")], "{}", 400, "is \"yes\"");
    refuses(&[ASYNC, (COLUMNS_HEADER, "loose")], "{}", 400, "is \"loose\"");
}

#[track_caller]
fn refuses_line(line: &str, message: &str) {
    refuses(&[ASYNC], history_body(1, ["{}", line]), 400, message);
}

#[test]
fn lines() {
    refuses_line("", "line 2: at byte 0: expected a value");
    refuses_line("7", "line 2: at byte 0: expected an object");
    refuses_line("{\"x\":}", "line 2: at byte 5: expected a value");
    refuses_line("{\"x\":\n1}", "line 2: a line end inside");
    refuses_line(&format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES - 7)), "more than");
    refuses(&[], history_body(1, ["{}"]), 400, "neither a _step nor the header");
    refuses(&[ASYNC], history_body(u64::MAX, ["{}", "{}"]), 400, "line numbers end");
    // The same line of the same writer, but another row.
    let other = r#"{"x":2,"_client_id":"w"}"#;
    refuses(&[ASYNC], history_body(0, [other]), 409, "line 0 of writer \"w\" came before");
}

#[test]
fn gzip() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&history_body(0, [r#"{"x":1,"_client_id":"w"}"#])).unwrap();
    let body = gzip.finish().unwrap();
    let headers = [ASYNC, ("content-encoding", "gzip")];
    refuses(&headers, body.clone(), 415, "not offered");

    let bench = Bench::with(MockConfig { gzip: true, ..MockConfig::default() });
    bench.post(&headers, body.clone()).unwrap();
    assert_eq!(bench.mock.rows(&bench.table)[0].row, row! { "x" => 1 });
    assert_eq!((bench.mock.journal()[0].offset, bench.mock.journal()[0].lines), (Some(0), 1));
    bench.expect_violation(bench.post(&headers, body[..20].to_vec()), 400, "no gzip");

    let bench = Bench::with(MockConfig { gzip: true, max_body_bytes: 90, ..MockConfig::default() });
    bench.expect_refusal(bench.post(&headers, body), 413, "longer than 90");
}

#[test]
fn a_plain_appender_stores_rows_again() {
    let row = r#"{"x":1,"_client_id":"w"}"#;
    let bench = Bench::with(MockConfig { dedupe: false, ..MockConfig::default() });
    for _ in 0..2 {
        bench.post_rows(0, &[row]).unwrap();
    }
    assert_eq!(bench.texts(), [row, row]);
    bench.expect_violation(bench.post_rows(0, &[r#"{"x":2,"_client_id":"w"}"#]), 409, "another");
}

#[test]
fn the_end_and_what_is_told_of_rows() {
    let bench = Bench::new();
    assert!(!bench.mock.is_complete(&bench.table));
    bench.post(&[], r#"{"complete": true, "exitcode": 0, "uploaded": []}"#).unwrap();
    assert!(bench.mock.is_complete(&bench.table));
    bench.post_rows(7, &[r#"{"x":1,"_client_id":"w"}"#, r#"{"x":[1]}"#]).unwrap();
    let [named, nameless] = &bench.mock.lines(&bench.table)[..] else { panic!("two rows") };
    assert_eq!((named.writer.as_deref(), named.line), (Some("w"), 7));
    assert_eq!((nameless.writer.as_deref(), nameless.line), (None, 8));
    assert_eq!(bench.mock.schema(&bench.table).unwrap().to_string(), "x: int | list<int>");
    assert_eq!(bench.mock.tables(), std::slice::from_ref(&bench.table));
    bench.mock.assert_no_violations();
}

#[test]
fn strict_columns_forget_no_refusal() {
    let bench = Bench::new();
    let strict = [ASYNC, (COLUMNS_HEADER, "strict")];
    let body = history_body(0, [r#"{"a":1,"_client_id":"w"}"#, r#"{"b":1,"_client_id":"w"}"#]);
    let rejected = || {
        let (_, answer) = bench.post(&strict, body.clone()).unwrap();
        FileStreamAnswer::parse(&answer).unwrap().rejected
    };
    let first = rejected();
    assert_eq!((first.len(), first[0].line), (1, 1));
    // By now the row would fit, but its client has been told that it does not.
    bench.post_rows(2, &[r#"{"b":1,"_client_id":"w"}"#]).unwrap();
    assert_eq!(rejected(), first);
    assert_eq!(bench.texts().len(), 2);
    let other = history_body(1, [r#"{"b":2,"_client_id":"w"}"#]);
    bench.expect_violation(bench.post(&strict, other), 409, "line 1 of writer");
}
