//! A page's connection.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::session::Session;
use crate::{ApiError, AppState, Principal};

/// The longest message of a page, in bytes.
const MAX_MESSAGE: usize = 1 << 20;

/// So many messages wait for a page; whoever has another waits too.
const MAX_WAITING: usize = 8;

/// How often a quiet connection shows that it lives, and is asked whether it still may: a session may
/// have ended, and another process may have revoked its key.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a page may take nothing at all.
const MAX_STALL: Duration = Duration::from_secs(60);

/// What a page says of itself, as text.
#[derive(Debug, Deserialize)]
struct Note {
    /// Whether anybody can see it.
    visible: Option<bool>,
}

/// Who has connected, so that it can be asked again.
pub(crate) struct Caller {
    principal: Principal,
    parts: Parts,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let principal = Principal::from_request_parts(parts, state).await?;
        let mut kept = http::Request::new(()).into_parts().0;
        (kept.method, kept.uri) = (parts.method.clone(), parts.uri.clone());
        kept.headers = parts.headers.clone();
        Ok(Self { principal, parts: kept })
    }
}

/// Connects a page.
pub(crate) async fn live(
    State(state): State<AppState>,
    caller: Caller,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let socket = socket.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let socket = socket.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(socket.on_upgrade(|socket| serve(socket, state, caller)))
}

/// Serves a page until it goes, may look no more, or the server stops.
async fn serve(socket: WebSocket, state: AppState, caller: Caller) {
    let (send, receive) = socket.split();
    let (out, waiting) = mpsc::channel(MAX_WAITING);
    let session = Session::new(&state, caller.principal.clone(), out);
    // Whichever ends first ends the other, and with it all that the page has asked.
    let reason = tokio::select! {
        () = read(receive, &session) => None,
        reason = write(send, waiting, &state, caller) => reason,
    };
    session.close();
    tracing::debug!(reason, "a page has gone");
}

async fn read(mut socket: SplitStream<WebSocket>, session: &Arc<Session>) {
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(bytes) => session.receive(bytes).await,
            Message::Text(text) => {
                // What is not understood may come from a newer page.
                if let Ok(Note { visible: Some(visible) }) = serde_json::from_str(&text) {
                    session.set_visible(visible);
                }
            }
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

async fn write(
    mut socket: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Message>,
    state: &AppState,
    mut caller: Caller,
) -> Option<&'static str> {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = state.shared.stopping.clone();
    let mut revocations = state.catalog.revocations();
    let mut time_to_ask = async || {
        tokio::select! {
            _ = heartbeat.tick() => {}
            // Its sender is there as long as the state.
            _ = revocations.changed() => {}
        }
    };
    let (code, reason) = loop {
        let message = tokio::select! {
            () = stopping.cancelled() => break (close_code::AWAY, "the server stops"),
            message = waiting.recv() => message?,
            () = time_to_ask() => {
                if !may_still(&mut caller, state).await {
                    break (close_code::POLICY, "the key is no longer valid");
                }
                Message::Ping(Vec::new().into())
            }
        };
        match timeout(MAX_STALL, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Some("it does not answer"),
            Err(_) => return Some("it takes nothing"),
        }
    };
    let bye = CloseFrame { code, reason: reason.into() };
    let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(Some(bye)))).await;
    Some(reason)
}

/// Asks again whether somebody may come in.
async fn may_still(caller: &mut Caller, state: &AppState) -> bool {
    match Principal::from_request_parts(&mut caller.parts, state).await {
        Ok(now) => now == caller.principal,
        // A catalog that is busy says nothing about the key.
        Err(error) => error.status() != http::StatusCode::UNAUTHORIZED,
    }
}
