//! A scripted server: each test defines its steps per connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A step of the server on a connection. After the last step it closes the connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads one request and writes these bytes.
    Answer(Vec<u8>),
    /// Writes these bytes once the head of a request has arrived, without waiting for the body.
    AnswerHead(Vec<u8>),
    /// Reads one request and does not respond.
    Read,
    /// Waits for a minute.
    Wait,
}

impl Step {
    /// Makes a whole response with status 200.
    pub(crate) fn ok(body: &str) -> Self {
        Self::answer("200 OK", &[], body.as_bytes())
    }

    pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            answer += &format!("{header}\r\n");
        }
        Self::Answer([answer.as_bytes(), b"\r\n", body].concat())
    }

    pub(crate) fn raw(answer: &str) -> Self {
        Self::Answer(answer.as_bytes().to_vec())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// The number of the connection, counted from 0.
    pub(crate) connection: usize,
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Server {
    /// Serves `connections`, each step by step; closes further connections at once.
    pub(crate) async fn start(connections: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let log = arrived.clone();
        tokio::spawn(async move {
            for (connection, steps) in connections.into_iter().enumerate() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let log = log.clone();
                tokio::spawn(async move {
                    for step in steps {
                        play(&mut stream, step, connection, &log).await;
                    }
                });
            }
        });
        Self { address, arrived }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// Returns the connection of each request that arrived.
    pub(crate) fn connections(&self) -> Vec<usize> {
        self.arrived().iter().map(|arrived| arrived.connection).collect()
    }
}

async fn play(stream: &mut TcpStream, step: Step, connection: usize, log: &Mutex<Vec<Arrived>>) {
    let (whole, answer) = match step {
        Step::Wait => return tokio::time::sleep(Duration::from_secs(60)).await,
        Step::Answer(answer) => (true, answer),
        Step::AnswerHead(answer) => (false, answer),
        Step::Read => (true, Vec::new()),
    };
    let Some((head, body)) = read(stream, whole).await else { return };
    log.lock().unwrap().push(Arrived { connection, head, body });
    stream.write_all(&answer).await.unwrap();
}

/// Reads a request's head, and its body if `whole`; returns `None` if none arrives.
pub(crate) async fn read(stream: &mut TcpStream, whole: bool) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while whole && body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}
