//! Reading a table page by page, with a bound on the bytes at hand.

use std::sync::Arc;

use streamtable_schema::TablePath;
use streamtable_store::{ReadRow, Store, StoreError};

/// About how many bytes a page has once it is JSON.
const PAGE_BYTES: usize = 256 << 10;

/// How many rows are read before it is known how large they are.
const FIRST_ROWS: usize = 16;

/// The most rows of a page.
const MAX_ROWS: usize = 4096;

/// Reads a table from a position on. What is read is as large as it pleases the rows, but few rows
/// are read at once where they are large.
#[derive(Debug)]
pub(super) struct Pager {
    store: Arc<dyn Store>,
    table: TablePath,
    /// Forwards: the next position. Backwards: the position behind the next.
    at: u64,
    rows: usize,
}

impl Pager {
    /// Begins at a position; backwards, right before it.
    pub(super) fn new(store: Arc<dyn Store>, table: TablePath, at: u64) -> Self {
        Self { store, table, at, rows: FIRST_ROWS }
    }

    /// Returns the next rows, at most `limit`; none at the table's end.
    pub(super) async fn forwards(&mut self, limit: u64) -> Result<Vec<ReadRow>, StoreError> {
        let limit = self.rows.min(usize::try_from(limit).unwrap_or(usize::MAX));
        let rows = self.store.read(&self.table, self.at, limit).await?;
        if let Some(last) = rows.last() {
            self.at = last.position + 1;
        }
        Ok(rows)
    }

    /// Returns the rows before, at most `limit`, the newest first; none at the table's start.
    pub(super) async fn backwards(&mut self, limit: u64) -> Result<Vec<ReadRow>, StoreError> {
        while self.at > 0 && limit > 0 {
            let span = limit.min(self.rows as u64).min(self.at);
            let start = self.at - span;
            let mut rows = self.store.read(&self.table, start, span as usize).await?;
            // Where rows were overwritten, reading goes on behind the span.
            rows.retain(|row| row.position < self.at);
            self.at = start;
            if !rows.is_empty() {
                rows.reverse();
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    /// Learns how large rows are.
    pub(super) fn learn(&mut self, rows: usize, bytes: usize) {
        let fit = PAGE_BYTES / (bytes / rows.max(1)).max(1);
        self.rows = fit.clamp(1, MAX_ROWS).min(self.rows * 2);
    }
}

/// Returns the position from which on the table has `rows` rows; 0 where it has fewer.
pub(super) async fn position_of_last(
    store: &Arc<dyn Store>,
    table: &TablePath,
    rows: u64,
) -> Result<u64, StoreError> {
    let Some(info) = store.table(table) else { return Ok(0) };
    if rows >= info.summary.rows {
        return Ok(0);
    }
    if rows == 0 || info.summary.rows == info.end {
        return Ok(info.end - rows);
    }
    // Rows that were overwritten have left their places empty: count.
    let mut pager = Pager::new(Arc::clone(store), table.clone(), info.end);
    let (mut left, mut position) = (rows, info.end);
    while left > 0 {
        let page = pager.backwards(left).await?;
        let Some(oldest) = page.last() else { return Ok(0) };
        position = oldest.position;
        left -= page.len() as u64;
        pager.learn(1, 1);
    }
    Ok(position)
}
