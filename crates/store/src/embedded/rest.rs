//! The task that puts rows to rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Inner;
use crate::StoreError;
use crate::log::{SegmentId, remove_through};
use crate::seeded_bug::{Bug, is_seeded};

/// How long the task waits after a failure before it tries again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Looks after what earlier processes left; then puts rows to rest whenever enough have come, or
/// some have waited long enough.
pub(super) async fn run(inner: Arc<Inner>) {
    let tending = tokio::spawn(tend(Arc::clone(&inner)));
    put_to_rest_for_ever(inner).await;
    tending.abort();
}

/// Reads all that is at rest once, so that damage is known before somebody asks for it, and deletes
/// what nobody needs.
async fn tend(inner: Arc<Inner>) {
    for table in inner.all_tables() {
        let tended = async {
            table.verify().await?;
            table.sweep(inner.config.keep_replaced).await
        };
        if let Err(error) = tended.await {
            tracing::error!(table = %table.path, %error, "a table at rest cannot be looked after");
        }
    }
}

async fn put_to_rest_for_ever(inner: Arc<Inner>) {
    let mut pause = inner.config.rest_after;
    loop {
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if inner.is_closed.load(Ordering::Acquire) {
            return;
        }
        pause = match inner.put_to_rest().await {
            Ok(()) => inner.config.rest_after,
            Err(error) => {
                tracing::error!(%error, "rows cannot be put to rest; they stay in the log");
                AFTER_FAILURE
            }
        };
    }
}

impl Inner {
    /// Puts all rows that are durable to rest, and deletes the log files that held them.
    pub(super) async fn put_to_rest(&self) -> Result<(), StoreError> {
        self.logged.store(0, Ordering::Relaxed);
        let (tell, told) = oneshot::channel::<SegmentId>();
        self.log.rotate(move |last| {
            let _ = tell.send(last);
        });
        let last = told
            .await
            .map_err(|_| StoreError::Unavailable { reason: "the log has ended".to_owned() })?;
        if is_seeded(Bug::EarlyTrim) {
            remove_through(&super::recover::log_folder(&self.config), last)?;
        }
        for table in self.all_tables() {
            table.put_to_rest(self.config.keep_replaced).await?;
            self.rested.notify_waiters();
        }
        let folder = super::recover::log_folder(&self.config);
        let removed = tokio::task::spawn_blocking(move || remove_through(&folder, last)).await;
        removed.map_err(|error| StoreError::Io { reason: error.to_string() })??;
        Ok(())
    }
}
