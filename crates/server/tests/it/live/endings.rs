//! What ends when a key is revoked, a view is deleted or a connection is closed.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use streamtable_schema::TablePath;
use streamtable_server::Right;
use streamtable_store::{
    Append, Appended, Batch, Health, Query, Read, ReadRow, Rows, SqlQuery, Store, StoreError,
    TableInfo, TableSummary,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::proto::{ClientMessage, ErrorCode, MinMaxReq, ServerMessage};
use super::{TABLE, columns};
use crate::live::page::Page;
use crate::support::{Running, basic};

/// Maximum time until something without a user must have ended.
const SOON: Duration = Duration::from_secs(10);

/// A store that never answers queries about one column.
#[derive(Debug)]
struct Slow {
    store: Arc<dyn Store>,
    /// Number of such queries that are running.
    kept: watch::Sender<usize>,
}

/// The column whose queries are never answered.
const SLOW: &str = "slow_column";

/// A running query.
struct Kept(watch::Sender<usize>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.send_modify(|kept| *kept -= 1);
    }
}

#[async_trait]
impl Append for Slow {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        self.store.append(batch).await
    }

    async fn next_line(&self, table: &TablePath, writer: &str) -> Result<u64, StoreError> {
        self.store.next_line(table, writer).await
    }
}

#[async_trait]
impl Read for Slow {
    async fn tables(&self) -> Result<Vec<TableSummary>, StoreError> {
        self.store.tables().await
    }

    async fn table(&self, table: &TablePath) -> Result<Option<TableInfo>, StoreError> {
        self.store.table(table).await
    }

    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        self.store.read(table, from, limit).await
    }

    async fn find_steps(
        &self,
        table: &TablePath,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        self.store.find_steps(table, steps, limit).await
    }

    async fn watch(&self, table: &TablePath) -> Result<watch::Receiver<u64>, StoreError> {
        self.store.watch(table).await
    }
}

#[async_trait]
impl Query for Slow {
    async fn query(&self, query: SqlQuery) -> Result<Rows, StoreError> {
        if query.sql.contains(SLOW) {
            self.kept.send_modify(|kept| *kept += 1);
            let _kept = Kept(self.kept.clone());
            std::future::pending::<()>().await;
        }
        self.store.query(query).await
    }

    async fn row_expression(&self, text: &str) -> Result<String, StoreError> {
        self.store.row_expression(text).await
    }
}

#[async_trait]
impl Store for Slow {
    async fn health(&self) -> Health {
        self.store.health().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

async fn wait_for(kept: &mut watch::Receiver<usize>, expected: usize) {
    let wait = timeout(SOON, kept.wait_for(|&kept| kept == expected)).await;
    wait.unwrap_or_else(|_| panic!("expected {expected} running queries")).unwrap();
}

#[tokio::test]
async fn queries_end_with_their_view_and_page() {
    let questions = watch::Sender::new(0);
    let mut kept = questions.subscribe();
    let server = Running::start_on(|store| Arc::new(Slow { store, kept: questions.clone() })).await;
    server.log(TABLE, &[&format!(r#"{{"n":1,"{SLOW}":2}}"#)]).await;
    let mut page = Page::open(&server).await;
    let ask = || ClientMessage::MinMax(MinMaxReq { column: SLOW.to_owned() });

    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    // More than run concurrently: the others wait for a permit, and must end, too.
    let mut asked = Vec::new();
    for _ in 0..6 {
        asked.push(page.send("v", ask()).await);
    }
    wait_for(&mut kept, 4).await;
    page.delete("v").await;
    for number in asked {
        let ServerMessage::Error(error) = page.answer(number).await else { panic!() };
        assert_eq!(error.code, ErrorCode::NoView as i32, "{}", error.message);
    }
    wait_for(&mut kept, 0).await;
    // Later requests of the page are answered.
    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    assert_eq!(page.size("v").await.view_rows, 1);

    page.send("v", ask()).await;
    wait_for(&mut kept, 1).await;
    drop(page);
    wait_for(&mut kept, 0).await;
}

#[tokio::test]
async fn a_page_is_closed_when_its_key_is_revoked() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"n":1}"#]).await;
    let made = server.catalog().add_key("guest", Some("me"), Right::Read).await.unwrap();
    let headers = [("authorization", &*basic(&made.secret))];
    let mut page = Page::open_as(&server, &headers).await.unwrap();
    let mut other = Page::open(&server).await;
    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    page.follow("v", false).await;

    assert!(server.catalog().revoke_key(&made.key.id).await.unwrap());
    // Immediately, not only when the server next checks the key.
    timeout(SOON, page.closed()).await.expect("it stays open");
    assert!(Page::open_as(&server, &headers).await.is_err());
    // A page with another key stays open.
    assert_eq!(other.tables().await, [TABLE]);
}

#[tokio::test]
async fn tails_end_when_their_key_is_revoked() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"n":1}"#]).await;
    let made = server.catalog().add_key("guest", Some("me"), Right::Read).await.unwrap();
    let tail = format!("/api/tables/{TABLE}/tail?from=0");
    // Server-sent events.
    let mut events = TcpStream::connect(server.host()).await.unwrap();
    let auth = basic(&made.secret);
    let request =
        format!("GET {tail} HTTP/1.1\r\nHost: {}\r\nAuthorization: {auth}\r\n\r\n", server.host());
    events.write_all(request.as_bytes()).await.unwrap();
    // A WebSocket.
    let mut request = format!("ws://{}{tail}", server.host()).into_client_request().unwrap();
    request.headers_mut().insert("authorization", auth.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap().into_text().unwrap().matches("\"n\":1").count(),
        1
    );

    assert!(server.catalog().revoke_key(&made.key.id).await.unwrap());
    let mut received = String::new();
    timeout(SOON, events.read_to_string(&mut received)).await.expect("it goes on").unwrap();
    assert!(received.contains("\"n\":1") && !received.ends_with("0\r\n\r\n"), "{received}");
    let closed = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                return frame.reason.to_string();
            }
        }
        String::new()
    };
    let reason = timeout(SOON, closed).await.expect("it goes on");
    assert_eq!(reason, "the key is no longer valid");
}

#[tokio::test]
async fn a_key_has_a_limited_number_of_tails() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"n":1}"#]).await;
    let tail = format!("ws://{}/api/tables/{TABLE}/tail", server.host());
    let connect = async || {
        let mut request = tail.clone().into_client_request().unwrap();
        request.headers_mut().insert("authorization", basic(&server.key).parse().unwrap());
        connect_async(request).await
    };
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(connect().await.unwrap());
    }
    let Err(Error::Http(refused)) = connect().await else { panic!("it is not refused") };
    assert_eq!(refused.status(), 429);
    drop(open);
    let free = async {
        while connect().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, free).await.expect("tails that have ended do not count");
}
