//! Requests that a backend must refuse, and the form of the refusal.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use streamtable_schema::row;
use streamtable_transport::ApiKey;
use streamtable_wire::graphql::{WhoAmI, error_messages, request_body};
use streamtable_wire::{
    ASYNC_HEADER, COLUMNS_HEADER, FileStreamAnswer, GRAPHQL_PATH, file_stream_path, history_body,
};

use super::client::{Client, line, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(a_key_that_is_wrong_or_missing),
    case!(a_run_that_was_never_made),
    case!(a_post_that_is_no_json),
    case!(a_graphql_request_that_is_no_json),
    case!(strict_columns_refuse_the_row_alone),
    case!(strict_columns_refuse_again_what_they_refused),
    case!(strict_columns_take_what_unites),
];

async fn a_key_that_is_wrong_or_missing(client: &Client) -> Check {
    client.open().await?;
    let wrong = "conformance-0000000000000000000000000000";
    let wrong = ApiKey::new(wrong).map_err(|error| error.to_string())?;
    let rows = history_body(0, lines("w", 1)?);
    for key in [Some(&wrong), None] {
        let ask = client.json_request(GRAPHQL_PATH, &[], request_body(&WhoAmI {}))?;
        expect_refusal(client, key, ask, &[StatusCode::UNAUTHORIZED]).await?;
        let path = file_stream_path(&client.table);
        let post = client.json_request(&path, &[(ASYNC_HEADER, "true")], rows.clone())?;
        expect_refusal(client, key, post, &[StatusCode::UNAUTHORIZED]).await?;
    }
    client.expect::<&str>(&[]).await
}

async fn a_run_that_was_never_made(client: &Client) -> Check {
    let path = file_stream_path(&client.table);
    let rows = history_body(0, lines("w", 1)?);
    let post = client.json_request(&path, &[(ASYNC_HEADER, "true")], rows)?;
    expect_refusal(client, client.key(), post, &[StatusCode::NOT_FOUND]).await?;
    ensure!(client.find().await?.run().is_none(), "a refused post made a run");
    Ok(())
}

async fn a_post_that_is_no_json(client: &Client) -> Check {
    client.open().await?;
    let kept = lines("w", 2)?;
    client.post(&[], 0, &kept).await?;
    let whole = history_body(2, lines("w", 3)?);
    let bodies: [&[u8]; 5] = [
        b"",
        b"null, or nearly",
        &whole[..whole.len() - 3],
        br#"{"files": {"wandb-history.jsonl": {"offset": -1, "content": ["{}"]}}}"#,
        br#"{"files": {"wandb-history.jsonl": {"offset": 2, "content": [{"x": 1}]}}}"#,
    ];
    for body in bodies {
        let path = file_stream_path(&client.table);
        let body = Bytes::copy_from_slice(body);
        let post = client.json_request(&path, &[(ASYNC_HEADER, "true")], body)?;
        expect_refusal(client, client.key(), post, &CLIENTS_FAULT).await?;
    }
    client.expect(&kept).await
}

async fn a_graphql_request_that_is_no_json(client: &Client) -> Check {
    for body in ["", "{", "[]", r#"{"variables": {}}"#] {
        let ask = client.json_request(GRAPHQL_PATH, &[], body)?;
        expect_refusal(client, client.key(), ask, &CLIENTS_FAULT).await?;
    }
    Ok(())
}

const STRICT: (&str, &str) = (COLUMNS_HEADER, "strict");

async fn strict_columns_refuse_the_row_alone(client: &Client) -> Check {
    client.open().await?;
    let good = |i: i64| line("w", &row! { "i" => i, "tags" => vec!["a"] });
    let lines = [
        good(0)?,
        line("w", &row! { "i" => 1 })?,
        good(2)?,
        line("w", &row! { "i" => 3, "tags" => vec!["a"], "extra" => true })?,
        good(4)?,
    ];
    let answer = client.post(&[STRICT], 0, &lines).await?;
    expect_rejected(&answer, &[(1, "tags"), (3, "extra")])?;
    client.expect(&[good(0)?, good(2)?, good(4)?]).await
}

async fn strict_columns_refuse_again_what_they_refused(client: &Client) -> Check {
    client.open().await?;
    let lines = [line("w", &row! { "a" => 1 })?, line("w", &row! { "b" => 1 })?];
    for _ in 0..2 {
        let answer = client.post(&[STRICT], 0, &lines).await?;
        expect_rejected(&answer, &[(1, "")])?;
    }
    client.expect(&lines[..1]).await
}

async fn strict_columns_take_what_unites(client: &Client) -> Check {
    client.open().await?;
    let lines = [
        line("w", &row! { "x" => 1, "list" => Vec::<i64>::new() })?,
        line("w", &row! { "list" => vec![0.5], "x" => () })?,
        line("w", &row! { "x" => "text", "list" => () })?,
        line("w", &row! { "x" => [1], "list" => "none" })?,
        line("w", &row! { "x" => row! { "a" => 1 }, "list" => row! { "a" => [row! {}] } })?,
    ];
    let answer = client.post(&[STRICT], 0, &lines).await?;
    expect_rejected(&answer, &[])?;
    client.expect(&lines).await
}

/// Checks which lines were refused, and that each reason contains a word.
fn expect_rejected(answer: &FileStreamAnswer, expected: &[(u64, &str)]) -> Check {
    let found: Vec<u64> = answer.rejected.iter().map(|rejected| rejected.line).collect();
    let lines: Vec<u64> = expected.iter().map(|(line, _)| *line).collect();
    ensure!(found == lines, "the lines {found:?} are refused instead of {lines:?}");
    for (rejected, (_, word)) in answer.rejected.iter().zip(expected) {
        let reason = &rejected.reason;
        ensure!(!reason.is_empty() && reason.contains(word), "{reason:?} does not name {word:?}");
    }
    Ok(())
}

/// The statuses of the response to an invalid request.
const CLIENTS_FAULT: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];

async fn expect_refusal(
    client: &Client,
    key: Option<&ApiKey>,
    request: Request<Bytes>,
    statuses: &[StatusCode],
) -> Check {
    let what = format!("{} {}", request.method(), request.uri().path());
    let answer: Response<Bytes> = client.send(key, request).await?;
    let status = answer.status();
    ensure!(statuses.contains(&status), "{what} is answered {status} instead of {statuses:?}");
    let messages = error_messages(answer.body());
    ensure!(!messages.is_empty(), "{what} is answered {status} without a list of errors");
    Ok(())
}
