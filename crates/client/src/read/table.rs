//! The rows of a table, from a position on.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::stream;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use streamtable_schema::{Row, TablePath};
use streamtable_transport::{Body, TransportError};
use streamtable_wire::Events;
use streamtable_wire::api::{self, EVENTS_TYPE, POSITION, ROWS_TYPE, STREAM_END};
use tokio::time::{Instant, sleep, timeout};

use super::lines::Lines;
use super::server::Server;
use super::{Items, ReadError, Rows};

/// Number of rows per request.
const PAGE_ROWS: u64 = 1000;

/// Timeout for the head of a response.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Time without data after which a connection counts as lost. The server sends a heartbeat every 15
/// seconds.
const MAX_SILENCE: Duration = Duration::from_secs(45);

/// How long a server that cannot be reached is tried again, by default.
const RECONNECT: Duration = Duration::from_secs(60);

/// Delay before connecting again: the first one and the maximum.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// At a position. A negative one counts from the end.
    At(i64),
    /// After the last row.
    End,
}

/// The stored rows of a table; made by [`Reader::scan`](super::Reader::scan).
#[derive(Clone, Debug)]
#[must_use = "rows are read by `rows`"]
pub struct Scan {
    server: Server,
    name: String,
    start: Start,
    limit: u64,
    reconnect: Duration,
}

impl Scan {
    pub(super) fn new(server: Server, name: &str) -> Self {
        let (name, start) = (name.to_owned(), Start::At(0));
        Self { server, name, start, limit: u64::MAX, reconnect: RECONNECT }
    }

    /// Begins at a position: the number of a row in its table.
    pub fn from(mut self, position: u64) -> Self {
        self.start = start_at(position);
        self
    }

    /// Begins with the last `rows` rows.
    pub fn last(mut self, rows: u32) -> Self {
        self.start = start_of_last(rows);
        self
    }

    /// Reads at most `rows` rows.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = rows;
        self
    }

    /// Sets how long a lost connection is opened again before the error is returned. The default is
    /// 60 s. No row is returned twice.
    pub fn reconnect_timeout(mut self, timeout: Duration) -> Self {
        self.reconnect = timeout;
        self
    }

    /// Waits, and returns an iterator over the rows, for programs without an async runtime.
    pub fn rows_blocking<T>(self) -> Result<Items<Rows<T>>, ReadError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        Items::open(self.server.clone(), self.rows())
    }

    /// Returns the rows, oldest first, up to the last one at the time when it is reached.
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Rows<T>, ReadError> {
        let Self { server, name, start, limit, reconnect } = self;
        let table = server.table(&name).await?;
        let kind = Kind::Pages { left: limit, page: 0, lines: Lines::default() };
        Reading::new(server, table, kind, reconnect).begin(start).await
    }
}

/// The rows of a table and those that are logged later; made by
/// [`Reader::tail`](super::Reader::tail).
#[derive(Clone, Debug)]
#[must_use = "rows are read by `rows`"]
pub struct Tail {
    server: Server,
    name: String,
    start: Start,
    reconnect: Duration,
}

impl Tail {
    pub(super) fn new(server: Server, name: &str) -> Self {
        Self { server, name: name.to_owned(), start: Start::End, reconnect: RECONNECT }
    }

    /// Begins at a position: the number of a row in its table.
    pub fn from(mut self, position: u64) -> Self {
        self.start = start_at(position);
        self
    }

    /// Begins with the last `rows` rows.
    pub fn last(mut self, rows: u32) -> Self {
        self.start = start_of_last(rows);
        self
    }

    /// Sets how long a lost connection is opened again before the error is returned. The default is
    /// 60 s. No row is left out or returned twice.
    pub fn reconnect_timeout(mut self, timeout: Duration) -> Self {
        self.reconnect = timeout;
        self
    }

    /// Returns an iterator over the rows, for programs without an async runtime. It waits for new
    /// rows without end; see [`Items::is_ready_within`].
    pub fn rows_blocking<T>(self) -> Result<Items<Rows<T>>, ReadError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        Items::open(self.server.clone(), self.rows())
    }

    /// Returns the rows, and waits for new ones without end. A table that does not exist yet is
    /// awaited, too.
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Rows<T>, ReadError> {
        let Self { server, name, start, reconnect } = self;
        let table = server.table(&name).await?;
        let kind = Kind::Events(Events::default());
        Reading::new(server, table, kind, reconnect).begin(start).await
    }
}

/// Returns the position after a table's last row.
async fn end_of(server: &Server, table: &TablePath) -> Result<i64, ReadError> {
    let path = api::rows_path(table, 0, 0);
    let request = server.request(Method::GET, &path, ROWS_TYPE, Vec::new())?;
    let response = server.send(request, HEAD_TIMEOUT).await?;
    let end = |headers: &HeaderMap| headers.get(STREAM_END)?.to_str().ok()?.parse().ok();
    end(response.headers())
        .ok_or_else(|| server.not_an_answer("it does not say where the table ends"))
}

/// Returns the start at the row with a number.
fn start_at(position: u64) -> Start {
    Start::At(i64::try_from(position).unwrap_or(i64::MAX))
}

fn start_of_last(rows: u32) -> Start {
    match rows {
        // `-0` is the start of the table.
        0 => Start::End,
        rows => Start::At(-i64::from(rows)),
    }
}

/// A table that is being read.
struct Reading {
    server: Server,
    table: TablePath,
    kind: Kind,
    /// The next position.
    from: i64,
    body: Option<Box<dyn Body>>,
    found: VecDeque<(u64, Row)>,
    reconnect: Duration,
    /// When the connection was lost, and nothing has been received since.
    lost: Option<Instant>,
    pause: Duration,
}

enum Kind {
    /// Pages of rows up to the end of the table.
    Pages {
        /// Number of rows that may still be returned.
        left: u64,
        /// Number of rows that the current page may still have.
        page: u64,
        lines: Lines,
    },
    /// Events without end.
    Events(Events),
}

impl Reading {
    fn new(server: Server, table: TablePath, kind: Kind, reconnect: Duration) -> Self {
        let (body, found, lost) = (None, VecDeque::new(), None);
        Self { server, table, kind, from: 0, body, found, reconnect, lost, pause: PAUSES[0] }
    }

    /// Sends the first request, whose errors are returned at once.
    async fn begin<T: DeserializeOwned>(mut self, start: Start) -> Result<Rows<T>, ReadError> {
        self.from = match start {
            Start::At(position) => position,
            // A position, so that no row is left out if the connection is lost before the first.
            Start::End => end_of(&self.server, &self.table)
                .await
                .or_else(|error| self.wait_for_table(error))?,
        };
        if let Err(error) = self.connect().await {
            self.wait_for_table(error)?;
        }
        let rows = stream::try_unfold(self, |mut this| async {
            Ok(this.next().await?.map(|row| (row, this)))
        });
        Ok(Rows::new(Box::pin(rows)))
    }

    /// Returns the first position if the table does not exist yet and its tail is awaited; otherwise
    /// the error.
    fn wait_for_table(&self, error: ReadError) -> Result<i64, ReadError> {
        match self.kind {
            Kind::Events(_) if error.is_not_found() => Ok(0),
            _ => Err(error),
        }
    }

    /// Opens the next page or the stream of events, unless there is nothing to read.
    async fn connect(&mut self) -> Result<(), ReadError> {
        let (path, accept) = match &mut self.kind {
            Kind::Pages { left, page, lines } => {
                *lines = Lines::default();
                *page = (*left).min(PAGE_ROWS);
                (api::rows_path(&self.table, self.from, *page), ROWS_TYPE)
            }
            Kind::Events(events) => {
                *events = Events::default();
                (api::tail_path(&self.table, Some(self.from)), EVENTS_TYPE)
            }
        };
        let request = self.server.request(Method::GET, &path, accept, Vec::new())?;
        self.body = Some(self.server.send(request, HEAD_TIMEOUT).await?.into_body());
        Ok(())
    }

    /// Returns the next row; `None` at the end of the table.
    async fn next(&mut self) -> Result<Option<(u64, Row)>, ReadError> {
        loop {
            if let Some((position, row)) = self.found.pop_front() {
                return Ok(Some((position, row)));
            }
            if let Err(error) = self.receive().await {
                self.recover(error).await?;
            } else if self.is_over() {
                return Ok(None);
            }
        }
    }

    /// Receives one chunk, or goes on to the next page.
    async fn receive(&mut self) -> Result<(), ReadError> {
        let Some(body) = &mut self.body else { return self.connect().await };
        let chunk = timeout(MAX_SILENCE, body.chunk()).await;
        match chunk.map_err(|_| ReadError::Silent { after: MAX_SILENCE })?? {
            Some(chunk) => {
                (self.lost, self.pause) = (None, PAUSES[0]);
                self.take(&chunk)
            }
            None => self.end_of_response().await,
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ReadError> {
        let Self { server, kind, found, from, .. } = self;
        let mut take = |line: &str| {
            let row = server.parse(line)?;
            let position = row.get(POSITION).and_then(|cell| cell.as_i64());
            let position = position.ok_or_else(|| server.not_an_answer("a row has no position"))?;
            *from = position + 1;
            found.push_back((position.unsigned_abs(), row));
            Ok(())
        };
        match kind {
            Kind::Pages { left, page, lines } => lines.push(server, chunk, |line| {
                (*left, *page) = (left.saturating_sub(1), page.saturating_sub(1));
                take(line)
            }),
            Kind::Events(events) => {
                let mut result = Ok(());
                let whole = events.push(chunk, |event| {
                    if result.is_ok() {
                        result = take(&event.data);
                    }
                });
                result?;
                whole.ok_or_else(|| server.not_an_answer("a row is too long"))
            }
        }
    }

    /// Called at the end of a response.
    async fn end_of_response(&mut self) -> Result<(), ReadError> {
        self.body = None;
        match &mut self.kind {
            Kind::Pages { lines, .. } if !lines.is_complete() => {
                let (host, reason) = (self.table.to_string(), "a row is incomplete".to_owned());
                Err(TransportError::Interrupted { host, reason }.into())
            }
            // A page that is not full is the last one.
            Kind::Pages { left, page, .. } => {
                if *page > 0 {
                    *left = 0;
                }
                Ok(())
            }
            // The server was shut down, or a proxy has closed the connection.
            Kind::Events(_) => {
                sleep(PAUSES[0]).await;
                Ok(())
            }
        }
    }

    fn is_over(&self) -> bool {
        self.body.is_none()
            && self.found.is_empty()
            && matches!(self.kind, Kind::Pages { left: 0, .. })
    }

    /// Waits before connecting again, or returns the error.
    async fn recover(&mut self, error: ReadError) -> Result<(), ReadError> {
        self.body = None;
        if let Err(error) = self.wait_for_table(error) {
            let lost = *self.lost.get_or_insert_with(Instant::now);
            if !error.is_retryable() || lost.elapsed() >= self.reconnect {
                return Err(error);
            }
            tracing::debug!(table = %self.table, %error, "reading is continued");
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        Ok(())
    }
}
