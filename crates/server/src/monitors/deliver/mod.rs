//! Delivery of messages.

mod command;
mod http;
mod mail;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use streamtable_monitor::{Message, Target};
use streamtable_server_core::CatalogError;
use streamtable_transport_hyper::Addresses;

use super::catalog::WaitingMessage;
use super::schedule::now;
use super::{Monitors, MonitorsConfig};

/// How many messages are sent at a time.
const CONCURRENT: usize = 32;

/// How long the second attempt waits after the first; each further one waits twice as long.
const FIRST_PAUSE: i64 = 2_000;

/// The longest pause between two attempts.
const MAX_PAUSE: i64 = 600_000;

/// How long a message is tried.
const MAX_AGE: i64 = 24 * 3_600_000;

/// The longest time between two looks at the queue.
const IDLE: Duration = Duration::from_secs(60);

/// Maximum length of an error that is stored, in characters.
const MAX_ERROR: usize = 300;

/// Why a message was not delivered. The texts contain no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// Another attempt may succeed.
    Later(String),
    /// Another attempt would fail as well.
    Never(String),
}

/// Sends messages to targets.
#[derive(Debug)]
pub(super) struct Sender {
    http: Result<http::Client, String>,
    config: MonitorsConfig,
    addresses: Addresses,
}

impl Sender {
    pub(super) fn new(config: &MonitorsConfig) -> Self {
        let addresses = match config.allow_private_targets {
            true => Addresses::Any,
            false => Addresses::Public,
        };
        Self { http: http::Client::new(addresses), config: config.clone(), addresses }
    }

    /// Sends a message. `id` is the same for each attempt.
    pub(super) async fn send(
        &self,
        target: &Target,
        message: &Message,
        id: &str,
    ) -> Result<(), SendError> {
        match target {
            Target::Email(email) => mail::send(email, message, id, self.addresses).await,
            Target::Command {} => match &self.config.command {
                Some(command) => command::run(command, message).await,
                None => Err(SendError::Never("commands are not enabled on this server".to_owned())),
            },
            target => match &self.http {
                Ok(client) => client.send(target, message, id).await,
                Err(reason) => Err(SendError::Later(reason.clone())),
            },
        }
    }
}

impl SendError {
    pub(super) fn reason(&self) -> String {
        let (Self::Later(reason) | Self::Never(reason)) = self;
        reason.chars().take(MAX_ERROR).collect()
    }
}

/// Delivers messages, until the server stops. The messages of one target are sent in order.
pub(super) async fn run(monitors: Monitors) {
    loop {
        let pause = match deliver(&monitors).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "messages of monitors cannot be read");
                IDLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = monitors.0.reported.notified() => {}
        }
    }
}

/// Sends the messages that are due. Returns the time until the next one is due.
async fn deliver(monitors: &Monitors) -> Result<Duration, CatalogError> {
    loop {
        let due = monitors.0.catalog.due(now()).await?;
        if due.is_empty() {
            break;
        }
        let attempts = stream::iter(due).map(|message| attempt(monitors, message));
        let results: Vec<_> = attempts.buffer_unordered(CONCURRENT).collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
    }
    let next = monitors.0.catalog.next_attempt().await?;
    let pause = next.map_or(i64::MAX, |next| next - now()).max(50);
    Ok(Duration::from_millis(pause as u64).min(IDLE))
}

async fn attempt(monitors: &Monitors, waiting: WaitingMessage) -> Result<(), CatalogError> {
    let catalog = &monitors.0.catalog;
    let target = waiting.document.as_deref().map(|text| Target::parse(text.as_bytes()));
    let message = serde_json::from_str::<Message>(&waiting.message);
    let (Some(Ok(target)), Ok(message)) = (target, message) else {
        // The target was deleted, or belongs to a newer version of the server.
        return catalog.message_done(waiting, Some("the target is not valid".to_owned())).await;
    };
    let id = message.events.first().map(|event| event.id.clone()).unwrap_or_default();
    let Err(error) = monitors.0.sender.send(&target, &message, &id).await else {
        return catalog.message_done(waiting, None).await;
    };
    let WaitingMessage { entity, project, target, .. } = &waiting;
    let (reason, age) = (error.reason(), now() - waiting.made_at);
    if matches!(error, SendError::Never(_)) || age > MAX_AGE {
        tracing::warn!(entity, project, target, reason, "a message was not delivered");
        return catalog.message_done(waiting, Some(reason)).await;
    }
    tracing::info!(entity, project, target, reason, "a message is tried again later");
    let pause = FIRST_PAUSE.saturating_mul(1 << waiting.attempts.min(20)).min(MAX_PAUSE);
    catalog.try_again(waiting, now() + pause, reason).await
}
