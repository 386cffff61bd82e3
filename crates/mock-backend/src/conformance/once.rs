//! Every row is stored once, with any number of writers and repetitions.

use http::StatusCode;
use streamtable_wire::{ASYNC_HEADER, history_body};

use super::client::{Client, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(a_repeated_post_stores_nothing_twice),
    case!(an_overlapping_post_stores_what_is_new),
    case!(two_writers_do_not_overwrite_each_other),
    case!(the_same_line_of_another_writer_is_another_row),
    case!(a_writer_named_by_the_header),
    case!(holes_are_tolerated),
    case!(without_the_async_header_lines_are_overwritten),
];

async fn a_repeated_post_stores_nothing_twice(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 5)?;
    for _ in 0..3 {
        client.post(&[], 0, &lines).await?;
    }
    client.expect(&lines).await
}

async fn an_overlapping_post_stores_what_is_new(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 6)?;
    client.post(&[], 0, &lines[..4]).await?;
    client.post(&[], 2, &lines[2..]).await?;
    client.post(&[], 1, &lines[1..3]).await?;
    client.expect(&lines).await
}

async fn two_writers_do_not_overwrite_each_other(client: &Client) -> Check {
    client.open().await?;
    let (a, b) = (lines("a", 4)?, lines("b", 4)?);
    client.post(&[], 0, &a[..2]).await?;
    client.post(&[], 0, &b[..2]).await?;
    client.post(&[], 2, &b[2..]).await?;
    client.post(&[], 0, &a).await?;
    let expected = [&a[..2], &b[..], &a[2..]].concat();
    client.expect(&expected).await
}

async fn the_same_line_of_another_writer_is_another_row(client: &Client) -> Check {
    client.open().await?;
    let line = |writer| format!(r#"{{"x": 1, "_client_id": "{writer}"}}"#);
    for writer in ["a", "b", "a", "A", ""] {
        client.post(&[], 0, &[line(writer)]).await?;
    }
    client.expect(&["a", "b", "A", ""].map(line)).await
}

async fn a_writer_named_by_the_header(client: &Client) -> Check {
    client.open().await?;
    let lines = [r#"{"x": 1, "_step": 0}"#, r#"{"x": 2, "_step": 1}"#];
    for writer in ["a", "a", "b"] {
        client.post(&[("x-wandb-async-client-id", writer)], 0, &lines).await?;
    }
    client.expect(&[lines, lines].concat()).await
}

async fn holes_are_tolerated(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 4)?;
    client.post(&[], 0, &lines[..2]).await?;
    client.post(&[], 7, &lines[2..3]).await?;
    client.post(&[], 1_000_000, &lines[3..]).await?;
    client.expect(&lines).await
}

async fn without_the_async_header_lines_are_overwritten(client: &Client) -> Check {
    client.open().await?;
    let line = |x: u32, step: u32| format!(r#"{{"x": {x}, "_step": {step}}}"#);
    let posts = [(0, vec![line(1, 0), line(2, 1)]), (1, vec![line(3, 1), line(4, 2)])];
    for (offset, lines) in posts {
        let status = client.post_bytes(&[], history_body(offset, lines)).await?.status();
        ensure!(status == StatusCode::OK, "rows without {ASYNC_HEADER} are answered {status}");
    }
    client.expect(&[line(1, 0), line(3, 1), line(4, 2)]).await
}
