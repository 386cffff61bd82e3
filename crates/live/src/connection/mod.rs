//! The connection of a page: its requests and open views.

mod describe;
mod requests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message as _;
use streamtable_schema::TablePath;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::LiveError;
use crate::page_view::PageView;
use crate::proto::{ClientMessage, ErrorCode, ErrorResp, Request, Response, ServerMessage};
use crate::table_reader::{TableAccess, TableShape};
use crate::view_cache::ViewCache;

/// Maximum number of requests of a page that are running or waiting.
const MAX_REQUESTS: usize = 256;

/// Maximum number of requests of a page that run concurrently.
const MAX_CONCURRENT: usize = 4;

/// The reader of a page.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The name of the reader's key, for the audit log.
    pub name: String,
    /// The entities whose tables the reader may see; `None` for all.
    pub entities: Option<Vec<String>>,
}

impl Viewer {
    fn sees(&self, table: &TablePath) -> bool {
        let Some(entities) = &self.entities else { return true };
        entities.iter().any(|entity| entity == table.entity())
    }
}

/// A message to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A message of the protocol, in binary.
    Message(Bytes),
    /// A notice to the page itself, as JSON.
    Notice(String),
}

/// The connection of a page: its open views, and the requests that it waits for.
#[derive(Debug)]
pub struct LiveConnection {
    access: TableAccess,
    cache: Arc<ViewCache>,
    viewer: Viewer,
    out: mpsc::Sender<Outgoing>,
    views: Mutex<HashMap<String, Arc<PageView>>>,
    /// The requests to be answered when a view is deleted, by the view.
    on_delete: Mutex<HashMap<String, Vec<u32>>>,
    /// The columns of tables for which the page was notified last.
    shapes: Mutex<HashMap<TablePath, TableShape>>,
    pub(crate) visible: watch::Sender<bool>,
    requests: Arc<Semaphore>,
    running: Arc<Semaphore>,
    closed: CancellationToken,
}

impl LiveConnection {
    /// Starts a connection, whose messages to the page go to `out`. They wait while `out` is full.
    pub fn new(
        access: TableAccess,
        cache: Arc<ViewCache>,
        viewer: Viewer,
        out: mpsc::Sender<Outgoing>,
    ) -> Arc<Self> {
        Arc::new(Self {
            access,
            cache,
            viewer,
            out,
            views: Mutex::default(),
            on_delete: Mutex::default(),
            shapes: Mutex::default(),
            visible: watch::Sender::new(true),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            running: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            closed: CancellationToken::new(),
        })
    }

    /// Ends all requests, and closes the views.
    pub fn close(&self) {
        self.closed.cancel();
        self.views.lock().clear();
    }

    /// Records whether the page is visible to the user.
    pub fn set_visible(&self, visible: bool) {
        self.visible.send_replace(visible);
    }

    /// Starts to handle a request. Waits while too many requests are pending.
    pub async fn receive(self: &Arc<Self>, bytes: Bytes) {
        let Ok(permit) = Arc::clone(&self.requests).acquire_owned().await else { return };
        let request = match Request::decode(bytes) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "a page sent an invalid request");
                return;
            }
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _permit = permit;
            let closed = this.closed.clone();
            tokio::select! {
                () = closed.cancelled() => {}
                () = this.answer(request) => {}
            }
        });
    }

    async fn answer(self: &Arc<Self>, request: Request) {
        let Request { msg_id, entity_id, message } = request;
        let result = match message {
            Some(message @ ClientMessage::DeleteView(_)) => {
                self.handle(msg_id, &entity_id, message).await
            }
            Some(message) => {
                let view = self.views.lock().get(&entity_id).map(|view| view.deleted.clone());
                // Requests about a view end when it is deleted.
                let deleted = async {
                    match view {
                        Some(deleted) => deleted.cancelled_owned().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = deleted => Err(LiveError::NoView),
                    result = self.handle(msg_id, &entity_id, message) => result,
                }
            }
            None => Err(LiveError::refused("the server does not support this request")),
        };
        let message = match result {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => ServerMessage::Error(ErrorResp {
                code: match error {
                    LiveError::NoView => ErrorCode::NoView,
                    LiveError::Refused { .. } | LiveError::Failed { .. } => ErrorCode::Failed,
                } as i32,
                message: error.to_string(),
            }),
        };
        self.send(msg_id, entity_id, message).await;
    }

    /// Sends a message; waits while the page is slow. Returns whether the page is still connected.
    pub(crate) async fn send(
        &self,
        msg_id: u32,
        entity_id: String,
        message: ServerMessage,
    ) -> bool {
        let message = Response { msg_id, entity_id, message: Some(message) };
        self.out.send(Outgoing::Message(message.to_bytes())).await.is_ok()
    }

    /// Notifies the page if a table's columns have changed since the last notification.
    pub(crate) async fn notify_schema_change(&self, table: &TablePath, shape: &TableShape) {
        if self.shapes.lock().get(table) == Some(shape) {
            return;
        }
        self.shapes.lock().insert(table.clone(), shape.clone());
        let text = serde_json::json!({ "schema": table.to_string() }).to_string();
        // Ignore the error: the page has disconnected.
        let _ = self.out.send(Outgoing::Notice(text)).await;
    }
}
