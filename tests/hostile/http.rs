//! Requests as bytes, so that they can be as wrong as they are meant to be.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The most of an answer that is read.
const MAX_ANSWER: usize = 8 << 20;

/// An answer, or why there is none.
#[derive(Debug)]
pub(crate) enum Answer {
    Status(u16, Vec<u8>),
    /// The server closed the connection without an answer.
    Closed,
    /// There was no answer in time.
    Late,
    /// There was no connection.
    Refused,
}

/// Pieces of a request, and how long to pause before each.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) pieces: Vec<(Duration, Vec<u8>)>,
    /// Whether the connection is closed after the last piece, without a look at the answer.
    pub(crate) leaves: bool,
}

impl Script {
    pub(crate) fn once(bytes: Vec<u8>) -> Self {
        Self { pieces: vec![(Duration::ZERO, bytes)], leaves: false }
    }
}

/// Writes a request of one piece.
pub(crate) fn request(
    method: &str,
    path: &str,
    key: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer \
         {key}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    request
}

/// Sends what a script says, and reads the answer until `patience` ends.
pub(crate) async fn send(addr: SocketAddr, script: Script, patience: Duration) -> Answer {
    match timeout(patience, exchange(addr, script)).await {
        Ok(answer) => answer,
        Err(_) => Answer::Late,
    }
}

async fn exchange(addr: SocketAddr, script: Script) -> Answer {
    let Ok(stream) = TcpStream::connect(addr).await else { return Answer::Refused };
    let (mut read, mut write) = stream.into_split();
    // A server may answer, and close, before it has read all.
    let writing = async {
        for (pause, bytes) in &script.pieces {
            sleep(*pause).await;
            if write.write_all(bytes).await.is_err() {
                break;
            }
        }
        write
    };
    if script.leaves {
        drop(writing.await);
        return Answer::Closed;
    }
    let reading = async {
        let mut answer = Vec::new();
        let _ = (&mut read).take(MAX_ANSWER as u64).read_to_end(&mut answer).await;
        answer
    };
    let mut reading = std::pin::pin!(reading);
    let answer = tokio::select! {
        answer = reading.as_mut() => answer,
        _write = writing => reading.await,
    };
    parse(&answer)
}

fn parse(answer: &[u8]) -> Answer {
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let Some(status) = status else { return Answer::Closed };
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n");
    Answer::Status(status, body.map(|at| answer[at + 4..].to_vec()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let answer = parse(b"HTTP/1.1 400 Bad Request\r\na: b\r\n\r\nbody");
        assert!(matches!(answer, Answer::Status(400, body) if body == b"body"));
        assert!(matches!(parse(b""), Answer::Closed));
        assert!(matches!(parse(b"HTTP/1.1 x"), Answer::Closed));
    }
}
