//! The WebSocket connection of a page.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use streamtable_live::{LiveConnection, Outgoing, Viewer};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::LiveState;
use crate::ApiError;
use crate::access::Caller;

/// Maximum size of a message from a page, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// Number of messages queued for a page. Senders of further ones wait.
const MAX_WAITING: usize = 8;

/// Interval of pings on an idle connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Time after which a connection is closed if the page accepts no data.
const MAX_STALL: Duration = Duration::from_secs(60);

/// A page's report about itself, sent as a text message.
#[derive(Debug, Deserialize)]
struct Note {
    /// Whether the page is visible to the user.
    visible: Option<bool>,
}

/// Upgrades the connection of a page.
pub(crate) async fn live(
    State(state): State<LiveState>,
    caller: Caller,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let socket = socket.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let socket = socket.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(socket.on_upgrade(|socket| serve(socket, state, caller)))
}

/// Serves a page until it disconnects, loses its access, or the server shuts down.
async fn serve(socket: WebSocket, state: LiveState, caller: Caller) {
    let (send, receive) = socket.split();
    let (out, waiting) = mpsc::channel(MAX_WAITING);
    let principal = &caller.principal;
    let viewer = Viewer { name: principal.name.clone(), entities: principal.entities() };
    let connection =
        LiveConnection::new(state.access.clone(), Arc::clone(&state.cache), viewer, out);
    // Whichever ends first ends the other, and with it all requests of the page.
    let reason = tokio::select! {
        () = read(receive, &connection) => None,
        reason = write(send, waiting, &state, caller) => reason,
    };
    connection.close();
    tracing::debug!(reason, "a page disconnected");
}

async fn read(mut socket: SplitStream<WebSocket>, connection: &Arc<LiveConnection>) {
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) => connection.receive(bytes).await,
            Message::Text(text) => {
                // Unknown messages may come from a newer page.
                if let Ok(Note { visible: Some(visible) }) = serde_json::from_str(&text) {
                    connection.set_visible(visible);
                }
            }
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

async fn write(
    mut socket: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Outgoing>,
    state: &LiveState,
    caller: Caller,
) -> Option<&'static str> {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = state.core.stopping.clone();
    let mut revoked = pin!(caller.revoked(state.core.clone()));
    let (code, reason) = loop {
        let message = tokio::select! {
            () = stopping.cancelled() => break (close_code::AWAY, "the server is shutting down"),
            () = &mut revoked => break (close_code::POLICY, "the key is no longer valid"),
            outgoing = waiting.recv() => match outgoing? {
                Outgoing::Message(bytes) => Message::Binary(bytes),
                Outgoing::Notice(text) => Message::Text(text.into()),
            },
            _ = heartbeat.tick() => Message::Ping(Vec::new().into()),
        };
        match timeout(MAX_STALL, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Some("sending failed"),
            Err(_) => return Some("sending timed out"),
        }
    };
    let bye = CloseFrame { code, reason: reason.into() };
    let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(Some(bye)))).await;
    Some(reason)
}
