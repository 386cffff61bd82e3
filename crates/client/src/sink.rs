//! A table as a sink of rows.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_sink::Sink;
use streamtable_schema::Row;

use crate::rows::IntoRows;
use crate::table::Room;
use crate::{FlushError, LogError, Stats, StreamTable, kind};

impl StreamTable {
    /// Returns a sink that logs rows to this table, for example for `StreamExt::forward`.
    ///
    /// ```
    /// use futures_util::{SinkExt, StreamExt, stream};
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
    ///     let rows = stream::iter(0..3).map(|n| Ok(row! { "n" => n }));
    ///     rows.forward(table.sink()).await?; // finishes the table
    ///     assert_eq!(table.stats().acked, 3);
    ///     Ok(())
    /// }
    /// ```
    pub fn sink(&self) -> RowSink {
        RowSink { table: self.clone(), waiting: None, storing: None }
    }
}

/// Logs rows to a table, as a [`Sink`].
///
/// The sink is ready if the row before was accepted: with [`WhenFull::Wait`](crate::WhenFull), it
/// waits for space in the buffer. Flushing waits until all rows logged so far are stored, without a time
/// limit, and closing [finishes](StreamTable::finish) the table. A row that does not match the table is
/// an error of that row only; the sink remains usable.
///
/// A row that still waits for space if the sink is dropped is counted as refused.
pub struct RowSink {
    table: StreamTable,
    /// A row that waits for space.
    waiting: Option<(OneRow, Room)>,
    /// A running flush or close.
    storing: Option<Storing>,
}

type Storing = Pin<Box<dyn Future<Output = Result<Stats, FlushError>> + Send>>;

type OneRow = <Row as IntoRows<kind::Single>>::Rows;

/// An error of a [`RowSink`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The row was not accepted.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Not all rows are stored.
    #[error(transparent)]
    Flush(#[from] FlushError),
}

impl RowSink {
    fn log(&mut self, mut row: OneRow) -> Result<(), SinkError> {
        let room = self.table.log_or_wait(&mut row)?;
        self.waiting = room.map(|room| (row, room));
        Ok(())
    }

    /// Logs the row that waits for space.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        while let Some((_, room)) = &mut self.waiting {
            ready!(room.as_mut().poll(cx));
            if let Some((row, _)) = self.waiting.take() {
                self.log(row)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for what `store` starts, unless it is running.
    fn poll_stored<F>(
        &mut self,
        cx: &mut Context<'_>,
        store: impl FnOnce(StreamTable) -> F,
    ) -> Poll<Result<(), SinkError>>
    where
        F: Future<Output = Result<Stats, FlushError>> + Send + 'static,
    {
        ready!(self.poll_waiting(cx))?;
        let table = &self.table;
        let storing = self.storing.get_or_insert_with(|| Box::pin(store(table.clone())));
        let stored = ready!(storing.as_mut().poll(cx));
        self.storing = None;
        Poll::Ready(stored.map(drop).map_err(SinkError::from))
    }
}

impl Sink<Row> for RowSink {
    type Error = SinkError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        self.poll_waiting(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, row: Row) -> Result<(), SinkError> {
        // A flush that is running does not wait for this row.
        self.storing = None;
        self.log(row.into_rows())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        self.poll_stored(cx, |table| async move { table.flush(Duration::MAX).await })
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        self.poll_stored(cx, |table| async move { table.finish().await })
    }
}

impl Drop for RowSink {
    fn drop(&mut self) {
        if self.waiting.is_some() {
            self.table.count_refused();
            tracing::warn!(table = %self.table.path(), "a row was refused: its sink was dropped while it waited for space");
        }
    }
}

impl fmt::Debug for RowSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowSink").field("table", &self.table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, SinkExt};
    use streamtable_schema::row;

    use super::*;
    use crate::test_backend::Scripted;
    use crate::{Refusal, WhenFull};

    #[tokio::test(start_paused = true)]
    async fn a_full_buffer_makes_the_sink_wait() {
        let backend = Scripted::blocked();
        let builder = backend.builder().when_full(WhenFull::Wait).buffer_bytes(300);
        let table = builder.open().await.unwrap();
        let mut sink = table.sink();
        let row = || row! { "text" => "x".repeat(100) };
        let mut sent = 0;
        while sink.feed(row()).now_or_never().is_some() {
            sent += 1;
        }
        assert!((2..5).contains(&sent), "{sent} rows");
        backend.permit(100);
        sink.flush().await.unwrap();
        assert_eq!(table.stats().acked, sent);
        sink.close().await.unwrap();
        let error = sink.send(row()).await.unwrap_err();
        assert!(matches!(error, SinkError::Log(e) if e.refused[0].reason == Refusal::Finished));
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_does_not_match_fails_alone() {
        let table = Scripted::new([]).builder().open().await.unwrap();
        let mut sink = table.sink();
        sink.send(row! { "n" => 1 }).await.unwrap();
        sink.send(row! { "m" => 1 }).await.unwrap_err();
        sink.send(row! { "n" => 2 }).await.unwrap();
        assert_eq!((table.stats().acked, table.stats().refused), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_is_dropped_with_the_sink_is_counted() {
        let backend = Scripted::blocked();
        let builder = backend.builder().when_full(WhenFull::Wait).buffer_bytes(300);
        let table = builder.open().await.unwrap();
        let mut sink = table.sink();
        let row = || row! { "text" => "x".repeat(100) };
        while sink.waiting.is_none() {
            sink.start_send_unpin(row()).unwrap();
        }
        drop(sink);
        assert_eq!(table.stats().refused, 1);
    }
}
