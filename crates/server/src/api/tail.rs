//! `GET …/tail`: new rows over server-sent events or a WebSocket.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use streamtable_live::json::write_row;
use streamtable_schema::TablePath;
use streamtable_store::{OwnerPermits, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::ApiState;
use super::extract::{Params, Table};
use super::pager::Pager;
use super::read::resolve;
use crate::access::Caller;
use crate::{ApiError, Right};

/// The header with the position where a reconnecting reader stopped.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Interval of keep-alive messages on an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Maximum number of tails of one key.
const MAX_TAILS: usize = 256;

/// Time after which a WebSocket is closed if its reader accepts no data.
const MAX_STALL: Duration = Duration::from_secs(60);

/// Limits of the tails that are open.
#[derive(Debug)]
pub(crate) struct Tails {
    of_keys: OwnerPermits,
    /// Permits to read a page of rows and write it as JSON: readers that are behind must not take all
    /// threads of the runtime.
    turns: Semaphore,
}

impl Default for Tails {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Semaphore::new((processors / 2).max(1));
        Self { of_keys: OwnerPermits::new(MAX_TAILS), turns }
    }
}

/// Selects the start position.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailParams {
    from: Option<i64>,
}

/// Follows a table: from a position, from the last rows, or from now on.
///
/// Each reader reads the store at its own pace, so a slow one delays no other reader.
pub(super) async fn tail(
    State(state): State<ApiState>,
    caller: Caller,
    table: Table,
    Params(params): Params<TailParams>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let table = table.require(Right::Read, &caller.principal)?;
    let info = state.store.table(&table).await?;
    let info = info.ok_or_else(|| StoreError::NoTable { table: table.clone() })?;
    let start = match (last_seen(&headers), params.from) {
        (Some(seen), _) => seen.saturating_add(1),
        (None, Some(from)) => resolve(&state.store, &table, from).await?,
        (None, None) => info.end,
    };
    let permit = state.tails.of_keys.of(&caller.principal.name).try_acquire_owned();
    let permit = permit.map_err(|_| {
        let message = format!("this key has {MAX_TAILS} tails open; close some");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, message)
    })?;
    let tail = TableTail::new(&state, table, start, permit).await?;
    if headers.contains_key(UPGRADE) {
        let socket = socket.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
        // Readers send no data, so large messages are rejected.
        let socket = socket.max_message_size(1 << 10).max_frame_size(1 << 10);
        let revoked = caller.revoked(state.core.clone());
        return Ok(socket.on_upgrade(|socket| send(socket, tail, revoked)));
    }
    let events = Sse::new(events(tail));
    Ok(events.keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get(LAST_EVENT_ID).map(HeaderValue::to_str)?.ok()?.trim().parse().ok()
}

/// Waits for new rows of a table and reads them.
struct TableTail {
    pager: Pager,
    end: watch::Receiver<u64>,
    shutdown: CancellationToken,
    tails: Arc<Tails>,
    /// Counts the tail while it exists.
    _permit: OwnedSemaphorePermit,
}

/// A row to send.
struct Sent {
    position: u64,
    json: String,
}

impl TableTail {
    async fn new(
        state: &ApiState,
        table: TablePath,
        start: u64,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, StoreError> {
        let end = state.store.watch(&table).await?;
        Ok(Self {
            pager: Pager::new(Arc::clone(&state.store), table, start),
            end,
            shutdown: state.core.stopping.clone(),
            tails: Arc::clone(&state.tails),
            _permit: permit,
        })
    }

    /// Returns the next rows as soon as there are any, or `None` when the server shuts down. Cancel
    /// safe: rows that were not returned are read again.
    async fn next(&mut self) -> Option<Vec<Sent>> {
        loop {
            if self.shutdown.is_cancelled() {
                return None;
            }
            self.end.mark_unchanged();
            // The semaphore is never closed.
            let turn = self.tails.turns.acquire().await;
            match self.pager.forwards(u64::MAX).await {
                Ok(rows) if rows.is_empty() => {
                    drop(turn);
                    tokio::select! {
                        () = self.shutdown.cancelled() => return None,
                        changed = self.end.changed() => changed.ok()?,
                    }
                }
                Ok(rows) => {
                    let mut bytes = 0;
                    let sent = rows.iter().map(|row| {
                        let mut json = Vec::new();
                        write_row(&mut json, row);
                        bytes += json.len();
                        let json = String::from_utf8_lossy(&json).into_owned();
                        Sent { position: row.position, json }
                    });
                    let sent: Vec<Sent> = sent.collect();
                    self.pager.learn(rows.len(), bytes);
                    return Some(sent);
                }
                Err(error) => {
                    tracing::warn!(%error, "a tail was aborted");
                    return None;
                }
            }
        }
    }
}

fn events(tail: TableTail) -> impl Stream<Item = Result<Event, Infallible>> {
    let state = (tail, Vec::new().into_iter());
    stream::unfold(state, |(mut tail, mut rows)| async move {
        loop {
            if let Some(Sent { position, json }) = rows.next() {
                let event = Event::default().id(position.to_string()).data(json);
                return Some((Ok(event), (tail, rows)));
            }
            rows = tail.next().await?.into_iter();
        }
    })
}

/// Sends each row as a text message until the server shuts down, the reader disconnects or its access
/// is revoked.
async fn send(mut socket: WebSocket, mut tail: TableTail, revoked: impl Future<Output = ()>) {
    let mut revoked = pin!(revoked);
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (code, reason) = loop {
        let messages = tokio::select! {
            () = &mut revoked => break (close_code::POLICY, "the key is no longer valid"),
            rows = tail.next() => match rows {
                Some(rows) => rows.into_iter().map(|row| Message::Text(row.json.into())).collect(),
                None => break (close_code::AWAY, "the server is shutting down"),
            },
            // Pings are answered and a close is noticed only while the socket is being read.
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            _ = heartbeat.tick() => vec![Message::Ping(Vec::new().into())],
        };
        for message in messages {
            match timeout(MAX_STALL, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    };
    let bye = CloseFrame { code, reason: reason.into() };
    let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(Some(bye)))).await;
}
