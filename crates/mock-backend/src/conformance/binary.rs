//! Binary rows of the native API, if the backend announces them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use streamtable_schema::Row;
use streamtable_wire::api::{STREAM_OFFSET, STREAM_WRITER, append_path};
use streamtable_wire::binary::{BINARY_ROWS_TYPE, BodyWriter, write_line};
use streamtable_wire::graphql::{WhoAmI, request_body};
use streamtable_wire::{
    COLUMNS_HEADER, FileStreamAnswer, GRAPHQL_PATH, HistoryLine, REQUEST_HEADER, SentRows,
    takes_binary_rows,
};

use super::client::{Client, Header, line, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(binary_rows_are_stored_once_in_order),
    case!(binary_rows_equal_lines_of_the_file_stream),
    case!(binary_rows_and_lines_have_the_same_numbers),
    case!(strict_columns_refuse_a_binary_row_alone),
    case!(bytes_that_are_no_binary_rows),
];

/// Opens the table, and returns whether the backend takes binary rows.
async fn open(client: &Client) -> Check<bool> {
    client.open().await?;
    let ask = client.json_request(GRAPHQL_PATH, &[], request_body(&WhoAmI {}))?;
    Ok(takes_binary_rows(&client.send(client.key(), ask).await?))
}

fn body<L: AsRef<str>>(texts: &[L]) -> Check<Vec<u8>> {
    let mut body = BodyWriter::default();
    for text in texts {
        let line = HistoryLine::parse(text.as_ref()).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        write_line(&line, &mut bytes).map_err(|error| error.to_string())?;
        body.push(&bytes).map_err(|error| error.to_string())?;
    }
    Ok(body.into_bytes())
}

async fn post_bytes(
    client: &Client,
    headers: &[Header<'_>],
    (writer, offset): (&str, u64),
    body: Vec<u8>,
) -> Check<Response<Bytes>> {
    let offset = offset.to_string();
    let own = [(STREAM_WRITER, writer), (STREAM_OFFSET, &offset), (REQUEST_HEADER, "r")];
    let path = append_path(&client.table);
    let mut request = client.json_request(&path, &[headers, &own].concat(), body)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(BINARY_ROWS_TYPE));
    client.send(client.key(), request).await
}

/// Posts rows, which must be acknowledged.
async fn post<L: AsRef<str> + Sync>(
    client: &Client,
    headers: &[Header<'_>],
    (writer, offset): (&str, u64),
    texts: &[L],
) -> Check<FileStreamAnswer> {
    let answer = post_bytes(client, headers, (writer, offset), body(texts)?).await?;
    ensure!(takes_binary_rows(&answer), "the answer to binary rows does not announce them");
    let rows = offset..offset + texts.len() as u64;
    let sent = SentRows { rows, writer, request: "r" };
    sent.ack(&answer).map_err(|error| format!("binary rows are {error}"))
}

async fn binary_rows_are_stored_once_in_order(client: &Client) -> Check {
    if !open(client).await? {
        return Ok(());
    }
    let (a, b) = (lines("a", 6)?, lines("b", 3)?);
    post(client, &[], ("a", 0), &a[..4]).await?;
    post(client, &[], ("b", 7), &b).await?;
    post(client, &[], ("a", 2), &a[2..]).await?;
    post(client, &[], ("a", 0), &a).await?;
    client.expect(&[&a[..4], &b[..], &a[4..]].concat()).await
}

async fn binary_rows_equal_lines_of_the_file_stream(client: &Client) -> Check {
    if !open(client).await? {
        return Ok(());
    }
    let row = |n: i64| {
        Row::new()
            .with("n", n)
            .with("x", [f64::NAN, f64::INFINITY, -0.5].get(n as usize).copied())
            .with("big", i64::MAX - n)
            .with("text", "é \"\n\u{0}")
            .with("list", vec![Some(n), None])
            .with("struct", Row::new().with("z", true).with("a", Vec::<i64>::new()))
    };
    let texts = (0..4).map(|n| line("w", &row(n))).collect::<Check<Vec<_>>>()?;
    client.post(&[], 0, &texts).await?;
    post(client, &[], ("w", 4), &texts).await?;
    client.expect(&[&texts[..], &texts].concat()).await
}

/// A client that restarts may repeat in one form what it sent in the other.
async fn binary_rows_and_lines_have_the_same_numbers(client: &Client) -> Check {
    if !open(client).await? {
        return Ok(());
    }
    let lines = lines("w", 4)?;
    client.post(&[], 0, &lines[..2]).await?;
    post(client, &[], ("w", 0), &lines[..3]).await?;
    client.post(&[], 1, &lines[1..]).await?;
    client.expect(&lines).await
}

async fn strict_columns_refuse_a_binary_row_alone(client: &Client) -> Check {
    if !open(client).await? {
        return Ok(());
    }
    let row = |row| line("w", &row);
    let texts = [
        row(Row::new().with("x", 1))?,
        row(Row::new().with("x", 1).with("y", 2))?,
        row(Row::new().with("x", 2))?,
    ];
    for _ in 0..2 {
        let answer = post(client, &[(COLUMNS_HEADER, "strict")], ("w", 0), &texts).await?;
        let rejected: Vec<u64> = answer.rejected.iter().map(|row| row.line).collect();
        ensure!(rejected == [1], "the rejected rows are {rejected:?}");
    }
    client.expect(&[&texts[0], &texts[2]]).await
}

async fn bytes_that_are_no_binary_rows(client: &Client) -> Check {
    if !open(client).await? {
        return Ok(());
    }
    let cut = body(&lines("w", 1)?)?;
    for body in [b"{}".to_vec(), b"STr1\xff".to_vec(), cut[..cut.len() - 1].to_vec()] {
        let answer = post_bytes(client, &[], ("w", 0), body).await?;
        let status = answer.status();
        ensure!(status == StatusCode::BAD_REQUEST, "bytes that are no rows are answered {status}");
    }
    client.expect::<&str>(&[]).await
}
