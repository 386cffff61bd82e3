//! The state of a table's delivery, and a stream of its changes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};

use crate::shared::{Core, Shared};
use crate::{Stats, StopReason, StreamTable};

/// The state of a table's delivery at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The accounting of the rows.
    pub stats: Stats,
    /// The appends that were answered or failed.
    pub appends: Appends,
    /// Why the last attempts to deliver rows failed, if nothing was stored since.
    pub last_error: Option<String>,
    /// Why delivery has stopped, if it has.
    pub stop_reason: Option<StopReason>,
    /// Whether delivery has ended: the table is finished, or its delivery task is gone.
    pub is_over: bool,
}

/// Counts of the appends to the backend, each of which carries a batch of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appends {
    /// Appends, including retries.
    pub count: u64,
    /// Appends that failed; their rows are sent again.
    pub failed: u64,
    /// Size of the rows in all appends, before compression.
    pub bytes: u64,
}

impl StreamTable {
    /// Returns the current state of the delivery.
    pub fn status(&self) -> Status {
        self.shared().core().status()
    }

    /// Returns the states of the delivery, as they change.
    ///
    /// ```
    /// use streamtable::{StreamTable, row};
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = MockBackend::default(); // without it, a server at `WANDB_BASE_URL`
    ///     let table = StreamTable::builder("me/shop/requests")
    ///         .base_url("http://mock.invalid")
    ///         .transport(server)
    ///         .api_key("local-key")
    ///         .open()
    ///         .await?;
    ///     let mut watch = table.watch();
    ///     let watching = tokio::spawn(async move {
    ///         while let Some(status) = watch.next().await {
    ///             if let Some(reason) = status.stop_reason {
    ///                 eprintln!("no rows are delivered: {reason}");
    ///             }
    ///         }
    ///     });
    ///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
    ///     table.finish().await?;
    ///     watching.await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn watch(&self) -> Watch {
        Watch { shared: Arc::clone(self.shared()), last: None, next: None }
    }
}

/// The states of a table's delivery, from [`StreamTable::watch`].
///
/// Returns the current state first, then each time that the backend responds, an attempt fails,
/// delivery stops, resumes or ends. A waiting reader is not woken by rows that are only logged: they are
/// counted in the next state. A reader that is slower than the changes gets the latest state. After the
/// state whose `is_over` is set there are no more. It does not keep the table open, and needs no particular runtime.
pub struct Watch {
    shared: Arc<Shared>,
    last: Option<Status>,
    next: Option<Pin<Box<dyn Future<Output = Status> + Send + Sync>>>,
}

impl Watch {
    /// Waits for the next state. Cancel safe.
    pub async fn next(&mut self) -> Option<Status> {
        StreamExt::next(self).await
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn table(&self) -> String {
        self.shared.table.to_string()
    }
}

impl Stream for Watch {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Status>> {
        if self.last.as_ref().is_some_and(|last| last.is_over) {
            return Poll::Ready(None);
        }
        let Self { shared, last, next } = &mut *self;
        let waiting = next.get_or_insert_with(|| {
            let (shared, last) = (Arc::clone(shared), last.clone());
            Box::pin(async move { shared.other_than(last.as_ref()).await })
        });
        let status = ready!(waiting.as_mut().poll(cx));
        *next = None;
        *last = Some(status.clone());
        Poll::Ready(Some(status))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Core {
    fn status(&self) -> Status {
        Status {
            stats: self.stats(),
            appends: self.appends,
            last_error: self.last_error(),
            stop_reason: self.stop_reason().cloned(),
            is_over: self.is_closed || self.is_driver_gone,
        }
    }
}

impl Shared {
    /// Waits until the state is another than `last`.
    async fn other_than(&self, last: Option<&Status>) -> Status {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            let status = self.core().status();
            if last != Some(&status) {
                return status;
            }
            progress.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use streamtable_schema::row;
    use tokio::time::timeout;

    use super::*;
    use crate::test_backend::Scripted;
    use crate::{AppendError, Appended};

    #[tokio::test(start_paused = true)]
    async fn every_change_of_the_delivery_is_seen() {
        let reason = StopReason::Forbidden { message: "no".to_owned() };
        let rejected = Appended::default().with_rejected(vec![(0, "too old".to_owned())]);
        let answers = [
            Err(AppendError::transient("busy")),
            Err(AppendError::Stopped(reason.clone())),
            Ok(rejected),
        ];
        let table = Scripted::new(answers).builder().open().await.unwrap();
        let mut watch = table.watch();
        let start = watch.next().await.unwrap();
        assert_eq!((start.stats, start.appends), (Stats::default(), Appends::default()));

        table.log(row! { "n" => 1 }).await.unwrap();
        assert_eq!(watch.next().await.map(|status| status.stats.pending), Some(1));
        let failing = watch.next().await.unwrap();
        assert_eq!(failing.last_error.as_deref(), Some("busy"));
        assert_eq!((failing.appends.count, failing.appends.failed), (1, 1));
        let stopped = watch.next().await.unwrap();
        assert_eq!(stopped.stop_reason, Some(reason));
        table.resume();
        let resumed = watch.next().await.unwrap();
        assert_eq!((resumed.stop_reason, resumed.stats.pending), (None, 1));
        let settled = watch.next().await.unwrap();
        assert_eq!((settled.stats.rejected, settled.last_error), (1, None));
        assert_eq!(settled.appends.bytes % 3, 0);
        assert!(!settled.is_over && settled.appends.bytes > 0);

        table.finish().await.unwrap();
        assert!(watch.next().await.is_some_and(|last| last.is_over));
        assert_eq!(watch.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_change_there_is_no_state() {
        let backend = Scripted::blocked();
        let table = backend.builder().open().await.unwrap();
        let mut watch = table.watch();
        table.log(row! { "n" => 1 }).await.unwrap();
        assert_eq!(watch.next().await.map(|status| status.stats.pending), Some(1));
        // A wait that is dropped loses no state.
        assert!(timeout(Duration::from_secs(30), watch.next()).await.is_err());
        backend.permit(1);
        assert_eq!(watch.next().await.map(|status| status.stats.acked), Some(1));
        drop(table);
        assert!(watch.next().await.is_some_and(|last| last.is_over));
    }
}
