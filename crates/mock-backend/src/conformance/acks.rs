//! Answers that state what they cover, of a backend that announces them.

use bytes::Bytes;
use http::{Response, StatusCode};
use streamtable_wire::graphql::{CreateRunFiles, WhoAmI, request_body};
use streamtable_wire::{
    ASYNC_HEADER, FileStreamRequest, GRAPHQL_PATH, REQUEST_HEADER, SentPost, history_body,
    states_coverage,
};

use super::client::{Client, lines};
use super::{Case, Check, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(acks_are_announced_everywhere_or_nowhere),
    case!(posts_without_rows_are_acked),
    case!(a_request_without_an_id_is_answered_without_one),
    case!(a_repeated_post_is_acked_whole),
];

async fn post(client: &Client, request: Option<&str>, body: Vec<u8>) -> Check<Response<Bytes>> {
    let id = request.map(|request| (REQUEST_HEADER, request));
    let headers: Vec<_> = [(ASYNC_HEADER, "true")].into_iter().chain(id).collect();
    let answer = client.post_bytes(&headers, body).await?;
    let status = answer.status();
    ensure!(status == StatusCode::OK, "a post is answered {status}");
    Ok(answer)
}

async fn acks_are_announced_everywhere_or_nowhere(client: &Client) -> Check {
    client.open().await?;
    let ask = client.json_request(GRAPHQL_PATH, &[], request_body(&WhoAmI {}))?;
    let of_graphql = states_coverage(&client.send(client.key(), ask).await?);
    let answer = post(client, Some("r"), history_body(0, lines("w", 2)?)).await?;
    ensure!(
        states_coverage(&answer) == of_graphql,
        "answers to GraphQL announce acks: {of_graphql}; those to posts do otherwise"
    );
    let sent = SentPost { rows: Some(0..2), request: "r", must_state: of_graphql };
    sent.ack(&answer).map(drop).map_err(|error| format!("a post is {error}"))
}

async fn posts_without_rows_are_acked(client: &Client) -> Check {
    client.open().await?;
    let path = "media/html/acked.html".to_owned();
    let created = client.ask(&CreateRunFiles::new(&client.table, vec![path.clone()])).await?;
    let created = created.create_run_files.ok_or("createRunFiles answers null")?;
    for file in &created.files {
        let url = file.upload_url.as_deref().ok_or("a new file has no uploadUrl")?;
        client.put(url, created.upload_headers.as_deref(), b"<p>acked</p>").await?;
    }
    let uploaded = FileStreamRequest { uploaded: vec![path], ..Default::default() };
    let complete =
        FileStreamRequest { complete: Some(true), exitcode: Some(0), ..Default::default() };
    for request in [FileStreamRequest::default(), uploaded, complete] {
        let answer = post(client, Some("r"), request.to_bytes()).await?;
        let sent = SentPost { rows: None, request: "r", must_state: false };
        sent.ack(&answer).map_err(|error| format!("{request:?} is {error}"))?;
    }
    Ok(())
}

async fn a_request_without_an_id_is_answered_without_one(client: &Client) -> Check {
    client.open().await?;
    let answer = post(client, None, history_body(0, lines("w", 2)?)).await?;
    let answer = streamtable_wire::FileStreamAnswer::parse(answer.body());
    let request = answer.map_err(|error| error.to_string())?.request;
    ensure!(request.is_none(), "the answer names {request:?}");
    Ok(())
}

async fn a_repeated_post_is_acked_whole(client: &Client) -> Check {
    client.open().await?;
    let lines = lines("w", 3)?;
    client.post(&[], 5, &lines[..2]).await?;
    // The client checks how far each answer covers its rows.
    client.post(&[], 5, &lines[..2]).await?;
    client.post(&[], 5, &lines).await?;
    client.expect(&lines).await
}
