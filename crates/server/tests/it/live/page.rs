//! A simulated page.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::proto::{
    ClientMessage, Config, DescribeReq, Described, DimensionsResp, Empty, HostedTablesReq,
    MakeViewReq, MinMaxReq, OnUpdateReq, Request, Response, ScalarValue, ServerMessage, TextReq,
    ViewPort, WindowReq,
};
use crate::support::{Running, basic};

/// Timeout of each response.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated page.
pub(super) struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last: u32,
    /// Received messages that no call has returned yet.
    news: VecDeque<Response>,
    notes: VecDeque<Value>,
}

impl Page {
    pub(super) async fn open(server: &Running) -> Self {
        Self::open_as(server, &[("authorization", &basic(&server.key))]).await.unwrap()
    }

    pub(super) async fn open_as(
        server: &Running,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{}/api/live", server.host()).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket, last: 0, news: VecDeque::new(), notes: VecDeque::new() })
    }

    /// Sends a request without waiting for its response, and returns the number of the request.
    pub(super) async fn send(&mut self, id: &str, ask: ClientMessage) -> u32 {
        self.last += 1;
        let request = Request { msg_id: self.last, entity_id: id.to_owned(), message: Some(ask) };
        self.socket.send(Message::Binary(request.encode_to_vec().into())).await.unwrap();
        self.last
    }

    pub(super) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::Binary(bytes.to_vec().into())).await.unwrap();
    }

    /// Receives the next message; `None` if the server closes the connection.
    async fn receive(&mut self) -> Option<()> {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                self.news.push_back(Response::decode(bytes).unwrap());
            }
            Some(Ok(Message::Text(text))) => {
                self.notes.push_back(serde_json::from_str(&text).unwrap());
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
        Some(())
    }

    /// Waits for the response to a request.
    pub(super) async fn answer(&mut self, number: u32) -> ServerMessage {
        let wait = async {
            loop {
                if let Some(place) = self.news.iter().position(|it| it.msg_id == number) {
                    return self.news.remove(place).unwrap().message.unwrap();
                }
                self.receive().await.expect("the server has closed");
            }
        };
        timeout(PATIENCE, wait).await.expect("no answer")
    }

    /// Waits for a message from the server that is not a response.
    pub(super) async fn note(&mut self) -> Value {
        let wait = async {
            while self.notes.is_empty() {
                self.receive().await.expect("the server has closed");
            }
        };
        timeout(PATIENCE, wait).await.expect("no note");
        self.notes.pop_front().unwrap()
    }

    /// Returns whether a response to a request arrives within a time.
    pub(super) async fn hears(&mut self, number: u32, within: Duration) -> bool {
        let wait = async {
            while !self.news.iter().any(|it| it.msg_id == number) {
                if self.receive().await.is_none() {
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, wait).await.is_ok()
    }

    /// Waits until the server closes the connection.
    pub(super) async fn closed(&mut self) {
        let wait = async { while self.receive().await.is_some() {} };
        timeout(PATIENCE, wait).await.expect("it stays open");
    }

    pub(super) async fn ask(&mut self, id: &str, ask: ClientMessage) -> ServerMessage {
        let number = self.send(id, ask).await;
        self.answer(number).await
    }

    pub(super) async fn tables(&mut self) -> Vec<String> {
        match self.ask("", ClientMessage::HostedTables(HostedTablesReq { subscribe: false })).await
        {
            ServerMessage::HostedTables(it) => it.tables.into_iter().map(|it| it.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the names and types of a table's columns.
    pub(super) async fn schema(&mut self, table: &str) -> Result<Vec<(String, i32)>, String> {
        match self.ask(table, ClientMessage::TableSchema(Empty {})).await {
            ServerMessage::TableSchema(it) => {
                let columns = it.schema.unwrap().columns.into_iter();
                Ok(columns.map(|it| (it.name, it.ty)).collect())
            }
            ServerMessage::Error(error) => Err(error.message),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn make(
        &mut self,
        table: &str,
        view: &str,
        config: Config,
    ) -> Result<(), String> {
        let request = MakeViewReq { view: view.to_owned(), config: Some(config) };
        match self.ask(table, ClientMessage::MakeView(request)).await {
            ServerMessage::MakeView(_) => Ok(()),
            ServerMessage::Error(error) => Err(error.message),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn delete(&mut self, view: &str) {
        let ServerMessage::DeleteView(_) =
            self.ask(view, ClientMessage::DeleteView(Empty {})).await
        else {
            panic!("not deleted")
        };
    }

    pub(super) async fn size(&mut self, view: &str) -> DimensionsResp {
        match self.ask(view, ClientMessage::Dimensions(Empty {})).await {
            ServerMessage::Dimensions(it) => it,
            other => panic!("{other:?}"),
        }
    }

    /// Returns rows as an object with one array per column.
    pub(super) async fn columns(&mut self, view: &str, start: u32, end: u32) -> Value {
        let viewport =
            ViewPort { start_row: Some(start), end_row: Some(end), ..ViewPort::default() };
        let ask = ClientMessage::ToColumns(TextReq { viewport: Some(viewport), id: None });
        match self.ask(view, ask).await {
            ServerMessage::ToColumns(it) => serde_json::from_str(&it.text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn arrow(&mut self, view: &str, viewport: ViewPort) -> RecordBatch {
        match self.ask(view, ClientMessage::ToArrow(WindowReq { viewport: Some(viewport) })).await {
            ServerMessage::ToArrow(it) => {
                let mut reader = StreamReader::try_new(&it.arrow[..], None).unwrap();
                reader.next().unwrap().unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Creates a view, reads all of it, and deletes it.
    pub(super) async fn show(&mut self, table: &str, config: Config) -> Result<Value, String> {
        self.make(table, "shown", config).await?;
        let shown = self.columns("shown", 0, 1_000).await;
        self.delete("shown").await;
        Ok(shown)
    }

    pub(super) async fn min_max(&mut self, view: &str, column: &str) -> (ScalarValue, ScalarValue) {
        match self.ask(view, ClientMessage::MinMax(MinMaxReq { column: column.to_owned() })).await {
            ServerMessage::MinMax(it) => {
                (it.min.unwrap().value.unwrap(), it.max.unwrap().value.unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes to updates, and returns the number of the subscription.
    pub(super) async fn follow(&mut self, view: &str, with_rows: bool) -> u32 {
        let mode = with_rows.then_some(0);
        self.send(view, ClientMessage::OnUpdate(OnUpdateReq { mode })).await
    }

    /// Returns the types of expressions, or their errors.
    pub(super) async fn describe(
        &mut self,
        table: &str,
        config: Config,
    ) -> (BTreeMap<String, i32>, BTreeMap<String, String>, Option<String>) {
        match self.ask(table, ClientMessage::Describe(DescribeReq { config: Some(config) })).await {
            ServerMessage::Describe(it) => {
                let errors = it.errors.into_iter().map(|(name, it)| (name, it.message)).collect();
                let error = match it.result {
                    Some(Described::Error(message)) => Some(message),
                    _ => None,
                };
                (it.expressions, errors, error)
            }
            other => panic!("{other:?}"),
        }
    }
}
