//! Values of rows, and how they are returned.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use streamtable_schema::{Row, Timestamp, Type, Value, row};
use streamtable_wire::graphql::ServerFeatures;
use streamtable_wire::{
    ASYNC_HEADER, FileStreamRequest, GZIP_FEATURE, MAX_LINE_BYTES, history_body,
};

use super::client::{Client, line, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(rows_come_back_in_order),
    case!(every_kind_of_value_comes_back),
    case!(numbers_of_other_clients),
    case!(odd_texts_and_column_names),
    case!(deep_values),
    case!(columns_are_told_in_their_order),
    case!(columns_evolve_for_other_clients),
    case!(pages_of_rows),
    case!(the_longest_line),
    case!(heartbeats),
    case!(rows_after_the_end),
    case!(gzip_where_it_is_offered),
];

async fn rows_come_back_in_order(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 250)?;
    client.post(&[], 0, &lines[..100]).await?;
    client.post(&[], 100, &lines[100..101]).await?;
    client.post(&[], 101, &lines[101..]).await?;
    client.expect(&lines).await
}

async fn every_kind_of_value_comes_back(client: &Client) -> Check {
    client.open().await?;
    let mixed: Value =
        [Value::from(1), "one".into(), 1.5.into(), Value::Null].into_iter().collect();
    let full = row! {
        "bool" => true,
        "int" => i64::MIN,
        "float" => -0.1,
        "nan" => f64::NAN,
        "infinity" => f64::INFINITY,
        "text" => "naïve \"quoted\"",
        "time" => Timestamp::from_micros(1_704_164_645_678_901),
        "long ago" => Timestamp::from_micros(-1),
        "list" => vec![1, 2, 3],
        "mixed" => mixed,
        "empty list" => Vec::<i64>::new(),
        "struct" => row! { "cat" => 0.9, "inner" => row! { "deep" => vec!["x"] } },
        "list of structs" => vec![row! { "a" => 1 }, row! { "a" => 2, "b" => "b" }],
    };
    let empty: Row = full.cells().map(|(name, _)| (name.to_owned(), Value::Null)).collect();
    let lines = [line("w", &full)?, line("w", &empty)?, line("w", &full)?];
    client.post(&[], 0, &lines).await?;
    client.expect(&lines).await
}

async fn numbers_of_other_clients(client: &Client) -> Check {
    client.open().await?;
    let lines = [
        r#"{"x": 1.7953500882148914e+09, "y": 9223372036854775808, "_client_id": "w"}"#,
        r#"{"x": -Infinity, "y": -1e-7, "_client_id": "w", "_timestamp": 1}"#,
        r#"{"x": NaN, "y": 123456789012345678901234567890, "_client_id": "w"}"#,
        r#"{"x": 2.0, "y": 2, "_client_id": "w", "_runtime": 0.5}"#,
    ];
    client.post(&[], 0, &lines).await?;
    client.expect(&lines).await
}

async fn odd_texts_and_column_names(client: &Client) -> Check {
    client.open().await?;
    let texts = [
        "",
        " ",
        "\0\u{1}\u{1f}\u{7f}\r\n\t",
        "\"'`\\",
        "NaN",
        "null",
        "</script>",
        "\u{202e}right to left\u{200f}",
        "e\u{301} \u{1f469}\u{200d}\u{1f4bb} \u{10ffff} \u{fffd}",
        "a/b.c[0]",
        "_type",
        "'; drop table t; --",
    ];
    let names = ["", " ", "a/b", "a.b", "a\\.b", "\"", "é", "select", "NaN", "timestamp ", "0"];
    let row = |i: usize| -> Row {
        let text = |j: usize| texts[(i + j) % texts.len()];
        names.iter().enumerate().map(|(j, name)| (*name, text(j))).collect()
    };
    let lines: Vec<String> =
        (0..texts.len()).map(|i| line("w", &row(i))).collect::<Result<_, _>>()?;
    client.post(&[], 0, &lines).await?;
    client.expect(&lines).await?;
    let columns = client.history_keys().await?.columns();
    let found: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<&str> = names.into_iter().chain(["timestamp"]).collect();
    ensure!(found == expected, "the columns are {found:?} instead of {expected:?}");
    Ok(())
}

async fn deep_values(client: &Client) -> Check {
    client.open().await?;
    let mut lists = Value::from(7);
    let mut structs = Value::from(7);
    for _ in 0..streamtable_schema::MAX_DEPTH {
        lists = Value::List(vec![lists]);
        structs = row! { "s" => structs }.into();
    }
    let lines = [line("w", &row! { "lists" => lists, "structs" => structs })?];
    client.post(&[], 0, &lines).await?;
    client.expect(&lines).await
}

async fn columns_are_told_in_their_order(client: &Client) -> Check {
    client.open().await?;
    let row = row! { "z" => 1, "a" => "x", "m" => vec![true], "s" => row! { "x" => 1 } };
    client.post(&[], 0, &[line("w", &row)?]).await?;
    let columns = client.history_keys().await?.columns();
    let expected = [
        ("z".to_owned(), Type::Float),
        ("a".to_owned(), Type::String),
        ("m".to_owned(), Type::list(Type::Bool)),
        ("s".to_owned(), Type::fields([("x", Type::Float)])),
        ("timestamp".to_owned(), Type::Timestamp),
    ];
    ensure!(columns == expected, "the columns are {columns:?} instead of {expected:?}");
    Ok(())
}

async fn columns_evolve_for_other_clients(client: &Client) -> Check {
    client.open().await?;
    let lines = [
        r#"{"a": 1, "_client_id": "w"}"#,
        r#"{"b": [1, "x", [2], {"c": null}], "_client_id": "w"}"#,
        r#"{"a": {"now": "a struct"}, "b": 7, "_client_id": "w"}"#,
        r#"{"_client_id": "w"}"#,
    ];
    let answer = client.post(&[], 0, &lines).await?;
    ensure!(answer.rejected.is_empty(), "rows of any shape are refused: {:?}", answer.rejected);
    client.expect(&lines).await
}

async fn pages_of_rows(client: &Client) -> Check {
    client.open().await?;
    client.post(&[], 0, &lines("w", 30)?).await?;
    for (min, max, limit, expected) in
        [(10, 20, 5, 10..15), (10, 13, 5, 10..13), (28, 100, 5, 28..30), (30, 100, 5, 0..0)]
    {
        let rows = client.read(min, max, limit).await?;
        let found: Vec<Option<&Value>> = rows.iter().map(|row| row.get("i")).collect();
        let expected: Vec<Value> = expected.map(Value::from).collect();
        let expected: Vec<Option<&Value>> = expected.iter().map(Some).collect();
        ensure!(found == expected, "{min}..{max} by {limit} gives {found:?}");
    }
    Ok(())
}

async fn the_longest_line(client: &Client) -> Check {
    client.open().await?;
    let short = line("w", &row! { "text" => "" })?;
    let text = "x".repeat(MAX_LINE_BYTES - short.len());
    client.post(&[], 0, &[line("w", &row! { "text" => text })?]).await?;
    let last_step = client.history_keys().await?.last_step;
    ensure!(last_step == 0, "lastStep is {last_step} after one row");
    Ok(())
}

async fn heartbeats(client: &Client) -> Check {
    client.open().await?;
    let bodies = [
        r#"{}"#,
        r#"{"complete": false, "failed": false, "dropped": 0, "uploaded": []}"#,
        r#"{"preempting": true}"#,
        r#"{"files": {"wandb-history.jsonl": {"offset": 0, "content": []}}}"#,
    ];
    for body in bodies {
        let status = client.post_bytes(&[(ASYNC_HEADER, "true")], body).await?.status();
        ensure!(status == StatusCode::OK, "{body} is answered {status}");
    }
    client.expect::<&str>(&[]).await
}

async fn rows_after_the_end(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 2)?;
    let end = FileStreamRequest { complete: Some(true), exitcode: Some(0), ..Default::default() };
    for i in 0..2 {
        for _ in 0..2 {
            let status = client.post_bytes(&[], end.to_bytes()).await?.status();
            ensure!(status == StatusCode::OK, "the end is answered {status}");
        }
        client.post(&[], i, &lines[i as usize..][..1]).await?;
    }
    client.expect(&lines).await
}

async fn gzip_where_it_is_offered(client: &Client) -> Check {
    if !client.ask(&ServerFeatures {}).await?.has(GZIP_FEATURE) {
        return Ok(());
    }
    client.open().await?;
    let lines = lines("w", 50)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&history_body(0, &lines)).map_err(|error| error.to_string())?;
    let body = gzip.finish().map_err(|error| error.to_string())?;
    let headers = [(ASYNC_HEADER, "true"), ("content-encoding", "gzip")];
    let status = client.post_bytes(&headers, body).await?.status();
    ensure!(status == StatusCode::OK, "rows in gzip are answered {status}");
    client.expect(&lines).await
}
