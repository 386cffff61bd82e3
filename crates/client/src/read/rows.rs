//! A stream of rows.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use streamtable_schema::Row;

use super::ReadError;
use super::cells::from_row;

/// Rows with their positions or numbers.
pub(super) type Source = Pin<Box<dyn Stream<Item = Result<(u64, Row), ReadError>> + Send>>;

/// The rows of a table or of a query, in order, each as a `T`.
///
/// It is a [`Stream`]; without a crate for streams, call [`next`](Self::next) in a loop. Rows are
/// received as fast as they are taken: at most one chunk of the response is in memory.
///
/// A row that does not fit `T` is a [`ReadError::Row`], and the rows after it follow. After any other
/// error there are no more rows.
pub struct Rows<T> {
    source: Source,
    position: Option<u64>,
    is_over: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Rows<T> {
    pub(super) fn new(source: Source) -> Self {
        Self { source, position: None, is_over: false, rows: PhantomData }
    }

    /// Returns the next row, or `None` if there are no more. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<T, ReadError>> {
        StreamExt::next(self).await
    }

    /// Returns all rows, or the first error.
    pub async fn all(mut self) -> Result<Vec<T>, ReadError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await {
            rows.push(row?);
        }
        Ok(rows)
    }

    /// Returns the position of the row that was returned last, in its table; of a query's result, its
    /// number.
    pub fn position(&self) -> Option<u64> {
        self.position
    }
}

impl<T: DeserializeOwned> Stream for Rows<T> {
    type Item = Result<T, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.source.poll_next_unpin(context).map(|next| match next {
            Some(Ok((row, cells))) => {
                self.position = Some(row);
                Some(from_row(cells).map_err(|error| ReadError::Row { row, error }))
            }
            Some(Err(error)) => {
                self.is_over = true;
                Some(Err(error))
            }
            None => {
                self.is_over = true;
                None
            }
        })
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("position", &self.position).finish_non_exhaustive()
    }
}
