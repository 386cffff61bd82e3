//! Logs typed rows, and reads them back: a scan, an SQL query and a tail.
//!
//! Uses the server from your settings. Pass the table name as the argument.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use serde::{Deserialize, Serialize};
use streamtable::read::Reader;
use streamtable::{Columns, Table, Timestamp};

#[derive(Debug, Serialize, Deserialize, Columns)]
struct Request {
    path: String,
    ms: f64,
    user: Option<u64>,
    tags: Vec<String>,
    began: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Slowest {
    path: String,
    ms: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("usage: read_rows ENTITY/PROJECT/TABLE")?;
    let table: Table<Request> = Table::open(&name).await?;
    let reader = Reader::from_env()?;
    let mut tail = reader.tail(&name).rows::<Request>().await?;
    for (path, ms) in [("/", 7.5), ("/cart", f64::INFINITY), ("/", 3.0)] {
        let began = std::time::SystemTime::now().into();
        let (path, tags) = (path.to_owned(), vec!["new".to_owned()]);
        table.log(&Request { path, ms, user: None, tags, began }).await?;
    }
    println!("{}", table.finish().await?);

    for _ in 0..3 {
        println!("new: {:?}", tail.next().await.transpose()?);
    }
    let requests: Vec<Request> = reader.scan(&name).rows().await?.all().await?;
    println!("{} requests, the last one {:?}", requests.len(), requests.last());

    let table = table.untyped().path();
    let sql = format!(
        "select path, max(ms) as ms from {}.{}.{} group by path order by path",
        table.entity(),
        table.project(),
        table.table(),
    );
    for Slowest { path, ms } in reader.query(&sql).rows().await?.all().await? {
        println!("{path}: {ms} ms");
    }
    let error = reader.query("select 1 as path").rows::<Slowest>().await?.all().await;
    println!("{}", error.map_or_else(|error| error.to_string(), |_| "it fits".to_owned()));
    let error = reader.query("selekt").rows::<Slowest>().await.map(|_| ());
    println!("{}", error.map_or_else(|error| error.to_string(), |()| "it is SQL".to_owned()));
    Ok(())
}
