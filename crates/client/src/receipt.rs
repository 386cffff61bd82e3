//! Waiting until the rows of one call are stored.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::shared::{Core, Shared};
use crate::{Logged, StopReason};

impl Logged {
    /// Waits until the backend has stored the rows of this call, and returns an error if it does not.
    ///
    /// Delivery continues whatever the outcome, and dropping the future has no effect. There is no
    /// time limit: while the backend cannot be reached, the rows wait and so does this call. The future
    /// needs no particular runtime. Media files of the rows are uploaded separately;
    /// [`flush`](crate::StreamTable::flush) waits for both.
    ///
    /// ```
    /// use streamtable::{StreamTable, row};
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = MockBackend::default(); // without it, a server at `WANDB_BASE_URL`
    ///     let table = StreamTable::builder("me/shop/orders")
    ///         .base_url("http://mock.invalid")
    ///         .transport(server)
    ///         .api_key("local-key")
    ///         .open()
    ///         .await?;
    ///     table.log(row! { "order" => 7 }).await?.stored().await?;
    ///     assert_eq!(table.stats().acked, 1);
    ///     Ok(())
    /// }
    /// ```
    pub async fn stored(&self) -> Result<(), NotStored> {
        match &self.receipt {
            Some(receipt) => receipt.stored().await,
            None => Ok(()),
        }
    }
}

/// Why accepted rows are not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStored {
    /// The backend rejected rows of the call permanently; it has stored the others.
    #[error("{rows} of the rows were rejected: {reason}")]
    Rejected {
        /// Number of rejected rows.
        rows: u64,
        /// Why the first of them was rejected.
        reason: String,
    },
    /// The backend has stopped accepting rows. They stay in the journal, and are delivered after
    /// [`resume`](crate::StreamTable::resume).
    #[error("delivery has stopped: {0}")]
    Stopped(StopReason),
    /// The table is [offline](crate::Builder::offline): its rows stay in the spool.
    #[error("the table is offline; its rows stay in the spool")]
    Offline,
    /// The delivery task is gone: its runtime has ended, its time limit is reached, or the backend has
    /// panicked.
    #[error("the task that delivered the rows has ended")]
    DriverGone,
    /// The backend has responded, but only the most recent rejections are remembered, and more rows
    /// were rejected since.
    #[error("it is not known any more whether the rows were rejected; wait for them earlier")]
    Forgotten,
}

/// The accepted rows of one call.
#[derive(Clone)]
pub(crate) struct Receipt {
    shared: Arc<Shared>,
    lines: LineSet,
}

impl Receipt {
    pub(crate) fn new(shared: Arc<Shared>, lines: LineSet) -> Self {
        Self { shared, lines }
    }

    async fn stored(&self) -> Result<(), NotStored> {
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            progress.await;
        }
    }

    /// Returns whether the rows are stored, once that is known.
    fn outcome(&self) -> Option<Result<(), NotStored>> {
        let core: &Core = &self.shared.core();
        if core.session.settled() >= self.lines.end() {
            return Some(core.rejections.among(&self.lines));
        }
        let failure = match core.session.stop_reason() {
            _ if self.shared.is_offline => NotStored::Offline,
            Some(reason) => NotStored::Stopped(reason.clone()),
            None if core.is_driver_gone => NotStored::DriverGone,
            None => return None,
        };
        Some(Err(failure))
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.lines == other.lines
    }
}

impl Eq for Receipt {}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.fmt(f)
    }
}

/// The line numbers of one call's rows. They are contiguous unless another thread logs between them.
///
/// Invariant: the ranges are ascending, and no range but a lone `first` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineSet {
    first: Range<u64>,
    more: Vec<Range<u64>>,
}

impl LineSet {
    /// Adds a line after all others.
    pub(crate) fn push(&mut self, line: u64) {
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        if last.is_empty() {
            *last = line..line + 1;
        } else if last.end == line {
            last.end += 1;
        } else {
            self.more.push(line..line + 1);
        }
    }

    pub(crate) fn contains(&self, line: u64) -> bool {
        self.first.contains(&line) || self.more.iter().any(|range| range.contains(&line))
    }

    /// Returns the first line.
    pub(crate) fn start(&self) -> u64 {
        self.first.start
    }

    /// Returns the line after the last one.
    pub(crate) fn end(&self) -> u64 {
        self.more.last().unwrap_or(&self.first).end
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use streamtable_schema::row;
    use tokio::time::timeout;

    use super::*;
    use crate::spool::SpoolConfig;
    use crate::test_backend::Scripted;
    use crate::{AppendError, Appended, Settings, StreamTable};

    async fn open(backend: &Arc<Scripted>) -> StreamTable {
        backend.builder().open().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_only_for_its_own_rows() {
        let backend = Scripted::blocked();
        let table = open(&backend).await;
        let first = table.log(row! { "n" => 1 }).await.unwrap();
        let waits = timeout(Duration::from_secs(600), first.stored()).await;
        assert!(waits.is_err(), "not answered yet: {waits:?}");
        let second = table.log(row! { "n" => 2 }).await.unwrap();
        backend.permit(1);
        assert_eq!(first.stored().await, Ok(()));
        assert_eq!((table.stats().acked, table.stats().pending), (1, 1));
        backend.permit(1);
        assert_eq!(second.stored().await, Ok(()));
        assert_eq!(first.stored().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejected_row_fails_only_its_own_call() {
        let rejected = Appended::default().with_rejected(vec![(1, "too old".to_owned())]);
        let backend = Scripted::new([Err(AppendError::transient("busy")), Ok(rejected)]);
        let table = open(&backend).await;
        let mut calls = Vec::new();
        for n in 0..3 {
            calls.push(table.log(row! { "n" => n }).await.unwrap());
        }
        assert_eq!(calls[0].stored().await, Ok(()));
        let error = calls[1].stored().await.unwrap_err();
        assert_eq!(error, NotStored::Rejected { rows: 1, reason: "too old".to_owned() });
        assert_eq!(calls[2].stored().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_are_not_delivered_are_an_error() {
        let reason = StopReason::Forbidden { message: "no".to_owned() };
        let backend = Scripted::new([Err(AppendError::Stopped(reason.clone()))]);
        let table = open(&backend).await;
        let logged = table.log(row! { "n" => 1 }).await.unwrap();
        assert_eq!(logged.stored().await, Err(NotStored::Stopped(reason)));
        table.resume();
        assert_eq!(logged.stored().await, Ok(()));

        let folder = tempfile::tempdir().unwrap();
        let config = SpoolConfig {
            dir: Some(folder.path().to_owned()),
            server: Some("s".to_owned()),
            ..SpoolConfig::default()
        };
        let builder = StreamTable::builder("me/shop/rows").settings(Settings::default());
        let table = builder.offline(config).open().await.unwrap();
        let logged = table.log(row! { "n" => 1 }).await.unwrap();
        assert_eq!(logged.stored().await, Err(NotStored::Offline));
    }

    #[test]
    fn rows_whose_runtime_has_ended_are_an_error() {
        let backend = Scripted::blocked();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_table, logged) = runtime.block_on(async {
            let table = open(&backend).await;
            let logged = table.log(row! { "n" => 1 }).await.unwrap();
            (table, logged)
        });
        drop(runtime);
        let stored = futures_util::FutureExt::now_or_never(logged.stored());
        assert_eq!(stored, Some(Err(NotStored::DriverGone)));
    }

    #[test]
    fn lines_are_kept_as_ranges() {
        let mut set = LineSet::default();
        assert_eq!(set.end(), 0);
        for line in [3, 4, 5, 8, 11, 12] {
            set.push(line);
        }
        assert_eq!((set.first.clone(), set.more.clone()), (3..6, vec![8..9, 11..13]));
        assert_eq!((set.start(), set.end()), (3, 13));
        let lines: Vec<u64> = (0..20).filter(|&line| set.contains(line)).collect();
        assert_eq!(lines, [3, 4, 5, 8, 11, 12]);
    }
}
