//! The connection of one client.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::http1::{self, Incoming};
use super::timer::block_on;
use crate::Loss;
use crate::MockBackend;
use crate::exchange::Outcome;
use crate::refusal::error_response;

pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes that were read and not used yet.
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        // Otherwise a short response may wait for the client's TCP acknowledgement.
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: Vec::new() }
    }

    /// Responds to requests until one side closes the connection.
    pub(super) fn serve(&mut self, mock: &MockBackend) -> io::Result<()> {
        loop {
            let limit = mock.config().max_body_bytes;
            let incoming = match http1::read(&mut self.stream, &mut self.buffer, limit) {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let answer = error_response(StatusCode::BAD_REQUEST, &error.to_string());
                    return self.write(&answer, false);
                }
                Err(error) => return Err(error),
            };
            let Incoming { base, request, keep_alive } = incoming;
            let (outcome, delay) = mock.receive(&base, request);
            if let Some(delay) = delay {
                block_on(mock.wait(delay));
            }
            match outcome {
                Outcome::Answer(answer) => self.write(&answer, keep_alive)?,
                Outcome::Cut(answer) => return self.write_half(&answer),
                Outcome::Lost(Loss::Interrupted) => return Ok(()),
                Outcome::Lost(Loss::Timeout) => return self.stay_silent(),
                Outcome::Unreachable => {
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    self.write(&error_response(status, "injected: unreachable"), keep_alive)?;
                }
            }
            if !keep_alive {
                return Ok(());
            }
        }
    }

    fn write(&mut self, answer: &Response<Bytes>, keep_alive: bool) -> io::Result<()> {
        let mut bytes = http1::head(answer, keep_alive);
        bytes.extend_from_slice(answer.body());
        self.stream.write_all(&bytes)
    }

    /// Writes the head of a response and half of its body; if there is no body, half of the head.
    fn write_half(&mut self, answer: &Response<Bytes>) -> io::Result<()> {
        let mut bytes = http1::head(answer, true);
        match answer.body().len() {
            0 => bytes.truncate(bytes.len() / 2),
            length => bytes.extend_from_slice(&answer.body()[..length / 2]),
        }
        self.stream.write_all(&bytes)
    }

    /// Waits until the client closes the connection or the mock ends.
    fn stay_silent(&mut self) -> io::Result<()> {
        while self.stream.read(&mut [0; 1024])? > 0 {}
        Ok(())
    }
}

impl Drop for Connection {
    /// Closes the connection, although the server has a second handle to it.
    fn drop(&mut self) {
        // The client may have closed it already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
