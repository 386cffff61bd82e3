//! Posts of binary rows and of Arrow streams.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use serde_json::{Value, json};
use streamtable_format::ARROW_STREAM_TYPE;
use streamtable_schema::{Row, Timestamp, row};
use streamtable_wire::HistoryLine;
use streamtable_wire::binary::{BINARY_ROWS_TYPE, BodyWriter, write_line};

use crate::support::{Answer, Running, basic, send};

fn body(rows: impl IntoIterator<Item = Row>) -> Vec<u8> {
    let mut body = BodyWriter::default();
    for row in rows {
        let logged_at = Some(Timestamp::from_micros(1_500_001));
        let mut line = Vec::new();
        write_line(&HistoryLine { row, logged_at, ..HistoryLine::default() }, &mut line).unwrap();
        body.push(&line).unwrap();
    }
    body.into_bytes()
}

async fn post(server: &Running, ty: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let auth = basic(&server.key);
    let own = [("authorization", auth.as_str()), ("content-type", ty)];
    let url = format!("{}/api/tables/me/p/t/rows", server.url);
    send("POST", &url, &[&own, headers].concat(), body).await
}

/// Returns the rows without the names of their writers.
async fn rows(server: &Running) -> Vec<Value> {
    let answer = server.get("/api/tables/me/p/t/rows?from=0&limit=100000").await;
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row.as_object_mut().unwrap().remove("_writer");
        row
    };
    answer.text().lines().map(row).collect()
}

#[tokio::test]
async fn binary_rows_are_stored_once_across_a_restart() {
    let mut server = Running::start().await;
    let sent = || body([row! { "n" => 1, "s" => "x" }, row! { "n" => (), "s" => "y" }]);
    let from = |offset| [("stream-writer", "w"), ("stream-offset", offset)];
    let named = [&from("0")[..], &[("x-streamtable-request", "r-7")]].concat();
    let expected = [
        json!({ "_position": 0, "_line": 0, "timestamp": "1970-01-01T00:00:01.500001Z", "n": 1, "s": "x" }),
        json!({ "_position": 1, "_line": 1, "timestamp": "1970-01-01T00:00:01.500001Z", "n": null, "s": "y" }),
    ];
    for (stored, repeated) in [(2, 0), (0, 2)] {
        let answer = post(&server, BINARY_ROWS_TYPE, &named, sent()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!((&answer["stored"], &answer["repeated"]), (&stored.into(), &repeated.into()));
        assert_eq!((&answer["next_line"], &answer["request"]), (&2.into(), &"r-7".into()));
        assert_eq!(rows(&server).await, expected);
        server.restart().await;
        assert_eq!(rows(&server).await, expected);
    }
    // The same line as JSON is a repetition, too.
    let answer = post(&server, "application/json", &from("1"), b"{\"n\":2}".to_vec()).await;
    assert_eq!(answer.json()["repeated"], 1, "{}", answer.text());
}

#[tokio::test]
async fn invalid_rows_are_rejected_alone() {
    let server = Running::start().await;
    let mut sent = body([row! { "n" => 1 }, row! { "other" => 1 }]);
    // A row of a shape that the body lacks, and one that is too short.
    sent.extend(b"\x02\x07\x06\0\0\0");
    let strict = [("x-streamtable-columns", "strict")];
    let answer = post(&server, BINARY_ROWS_TYPE, &strict, sent.clone()).await.json();
    let lines: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|it| &it["line"]).collect();
    assert_eq!(
        (lines, &answer["stored"]),
        (vec![&json!(1), &json!(2), &json!(3)], &json!(1)),
        "{answer}"
    );

    for (body, status, reason) in [
        (b"{\"n\":1}".to_vec(), 400, "not binary rows"),
        (sent[..sent.len() - 1].to_vec(), 400, "within a row"),
        (b"STr1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(), 400, "length"),
        (Vec::new(), 400, "within a row"),
    ] {
        let answer = post(&server, BINARY_ROWS_TYPE, &[], body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(reason), "{}", answer.text());
    }
}

/// Each row of two bytes becomes a line of a megabyte.
#[tokio::test]
async fn a_body_that_stands_for_too_much_is_refused() {
    let server = Running::start().await;
    let mut sent = body([row! { "n".repeat(1 << 20) => () }]);
    sent.extend(sent[sent.len() - 10..].repeat(2000));
    let answer = post(&server, BINARY_ROWS_TYPE, &[], sent).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer =
        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn arrow_streams_are_stored_once() {
    let server = Running::start().await;
    let count = 25_000;
    let sent = stream(vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..count))),
        ("_position", Arc::new(Int64Array::from_iter_values(0..count))),
        ("at", Arc::new(TimestampNanosecondArray::from_iter_values((0..count).map(|n| n * 1001)))),
        ("s", Arc::new(StringArray::from_iter_values((0..count).map(|n| n.to_string())))),
    ]);
    let from = [("stream-writer", "w"), ("stream-offset", "7")];
    for (stored, repeated) in [(count, 0), (0, count)] {
        let answer = post(&server, ARROW_STREAM_TYPE, &from, sent.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!((&answer["stored"], &answer["repeated"]), (&stored.into(), &repeated.into()));
        let notes = answer["notes"].to_string();
        assert!(
            notes.contains("finer than a microsecond") && notes.contains("_position"),
            "{notes}"
        );
    }
    let rows = rows(&server).await;
    assert_eq!(rows.len(), count as usize);
    let last = &rows[24_999];
    assert_eq!(
        (&last["_line"], &last["n"], &last["s"]),
        (&25_006.into(), &24_999.into(), &"24999".into())
    );
    assert_eq!(last["at"], "1970-01-01T00:00:00.025023Z");

    for (body, reason) in [
        (sent[..sent.len() / 2].to_vec(), "invalid"),
        (b"{\"n\":1}\n{\"n\":2}\n".to_vec(), "record batch"),
    ] {
        let answer = post(&server, ARROW_STREAM_TYPE, &[], body).await;
        assert!((400..500).contains(&answer.status), "{}: {reason}", answer.text());
    }
}

/// The type of `->` is one that no format has.
#[tokio::test]
async fn parts_of_json_come_in_every_format() {
    let server = Running::start().await;
    server.append("me/p/t", r#"{"o":{"deep":[1,2],"n":3,"s":"x"}}"#).await;
    let sql = "select o -> 'deep' deep, o -> 'n' n, o ->> 's' s from me.p.t where o ->> 's' = 'x'";
    let auth = basic(&server.key);
    for format in ["json", "ndjson", "csv", "arrow", "parquet"] {
        let url = format!("{}/api/query?format={format}", server.url);
        let answer = send("POST", &url, &[("authorization", &auth)], sql.to_owned()).await;
        assert_eq!(answer.status, 200, "{format}: {}", answer.text());
        if format == "ndjson" {
            assert_eq!(answer.json(), json!({ "deep": [1, 2], "n": "3", "s": "x" }));
        }
    }
}
