//! Logs values of the program's own types: every type that serializes as a struct is a row.
//!
//! Uses the server from your settings. Pass the table name as the argument.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use serde::Serialize;
use streamtable::{StreamTable, Timestamp};

#[derive(Serialize)]
struct Request<'a> {
    path: &'a str,
    status: u16,
    outcome: Outcome,
    latency_ms: f64,
    user: Option<u64>,
    tags: Vec<&'a str>,
    began: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Served,
    NotFound,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: typed_rows ENTITY/PROJECT/TABLE")?;
    let table = StreamTable::open(&name).await?;

    let requests = [
        Request {
            path: "/",
            status: 200,
            outcome: Outcome::Served,
            latency_ms: 7.25,
            user: Some(42),
            tags: vec!["home", "cached"],
            began: std::time::SystemTime::now().into(),
        },
        Request {
            path: "/nowhere",
            status: 404,
            outcome: Outcome::NotFound,
            latency_ms: 0.5,
            user: None,
            tags: vec![],
            began: std::time::SystemTime::now().into(),
        },
    ];
    // By reference: one row, or many.
    table.log(&requests[0]).await?;
    table.log(&requests).await?;

    println!("{}", table.finish().await?);
    Ok(())
}
