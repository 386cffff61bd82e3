//! A minimal client of the live protocol, which the server treats as an open page.

use std::net::TcpStream;

use prost::{Message as _, Oneof};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

use crate::Error;
use crate::server::Server;

/// The name of the page's only view.
const VIEW: &str = "view";

/// A page that follows one column of a table.
///
/// It works as a panel of a board: it creates a view, is notified of new rows, and requests them.
#[derive(Debug)]
pub(crate) struct Page {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    last: u32,
    /// The id of the subscription request, and whether an unread notification has arrived.
    follow: u32,
    has_news: bool,
    seen: u32,
}

/// A chunk of the column `sent`, which contains only floats.
#[derive(Debug, Deserialize)]
struct Shown {
    sent: Vec<f64>,
}

impl Page {
    /// Opens a table and reads its current rows.
    pub(crate) fn open(server: &Server, table: &str) -> Result<Self, Error> {
        let url = format!("{}/api/live", server.url.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        let authorization = format!("Bearer {}", server.key).parse()?;
        request.headers_mut().insert("authorization", authorization);
        let (socket, _) = connect(request)?;
        let mut page = Self { socket, last: 0, follow: 0, has_news: false, seen: 0 };
        let names = Names { names: vec!["sent".to_owned()] };
        let config = Config { columns: Some(Columns { these: Some(names) }) };
        let view = MakeView { view: VIEW.to_owned(), config: Some(config) };
        page.send(table, ClientMessage::MakeView(view))?;
        page.answer()?;
        page.send(VIEW, ClientMessage::OnUpdate(Empty {}))?;
        page.follow = page.last;
        page.look()?;
        Ok(page)
    }

    /// Waits for a notification, and returns the cells of the new rows.
    pub(crate) fn news(&mut self) -> Result<Vec<u64>, Error> {
        while !std::mem::take(&mut self.has_news) {
            self.receive()?;
        }
        self.look()
    }

    fn look(&mut self) -> Result<Vec<u64>, Error> {
        let part = ViewPort { start_row: Some(self.seen), end_row: Some(self.seen + 10_000) };
        self.send(VIEW, ClientMessage::ToColumns(Part { viewport: Some(part) }))?;
        let Some(ServerMessage::ToColumns(Text { text })) = self.answer()? else {
            return Err("the server returned no rows".into());
        };
        let Shown { sent } = serde_json::from_str(&text)?;
        self.seen += sent.len() as u32;
        Ok(sent.into_iter().map(|it| it as u64).collect())
    }

    fn send(&mut self, entity_id: &str, client: ClientMessage) -> Result<(), Error> {
        self.last += 1;
        let request =
            Request { msg_id: self.last, entity_id: entity_id.to_owned(), client: Some(client) };
        Ok(self.socket.send(Message::Binary(request.encode_to_vec().into()))?)
    }

    /// Waits for the response to the last request.
    fn answer(&mut self) -> Result<Option<ServerMessage>, Error> {
        loop {
            let response = self.receive()?;
            if response.msg_id == self.last {
                return Ok(response.server_message);
            }
        }
    }

    fn receive(&mut self) -> Result<Response, Error> {
        loop {
            let Message::Binary(bytes) = self.socket.read()? else { continue };
            let response = Response::decode(bytes)?;
            if let Some(ServerMessage::Error(Text { text })) = response.server_message {
                return Err(format!("the server returned an error: {text}").into());
            }
            self.has_news |= response.msg_id == self.follow;
            return Ok(response);
        }
    }
}

/// The part of Perspective's protocol that this page needs; names and numbers are from
/// `perspective.proto`, version 5.6.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(uint32, tag = "1")]
    msg_id: u32,
    #[prost(string, tag = "2")]
    entity_id: String,
    #[prost(oneof = "ClientMessage", tags = "6, 21, 24")]
    client: Option<ClientMessage>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ClientMessage {
    #[prost(message, tag = "6")]
    MakeView(MakeView),
    #[prost(message, tag = "21")]
    OnUpdate(Empty),
    #[prost(message, tag = "24")]
    ToColumns(Part),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(uint32, tag = "1")]
    msg_id: u32,
    #[prost(oneof = "ServerMessage", tags = "24, 50")]
    server_message: Option<ServerMessage>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ServerMessage {
    #[prost(message, tag = "24")]
    ToColumns(Text),
    #[prost(message, tag = "50")]
    Error(Text),
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MakeView {
    #[prost(string, tag = "1")]
    view: String,
    #[prost(message, optional, tag = "2")]
    config: Option<Config>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Config {
    #[prost(message, optional, tag = "3")]
    columns: Option<Columns>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Columns {
    #[prost(message, optional, tag = "2")]
    these: Option<Names>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Names {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Part {
    #[prost(message, optional, tag = "1")]
    viewport: Option<ViewPort>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ViewPort {
    #[prost(uint32, optional, tag = "1")]
    start_row: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    end_row: Option<u32>,
}
