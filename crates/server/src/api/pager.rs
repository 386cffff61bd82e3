//! Reading a table page by page with bounded memory.

use std::sync::Arc;

use streamtable_schema::TablePath;
use streamtable_store::{ReadRow, Store, StoreError};

/// Target size of a page as JSON, in bytes.
const PAGE_BYTES: usize = 256 << 10;

/// Number of rows in the first page, before the row size is known.
const FIRST_ROWS: usize = 16;

/// Maximum number of rows in a page.
const MAX_ROWS: usize = 4096;

/// Reads a table from a position, in pages. The number of rows per page adapts to the row size so
/// that a page stays near [`PAGE_BYTES`].
#[derive(Debug)]
pub(super) struct Pager {
    store: Arc<dyn Store>,
    table: TablePath,
    /// Forwards: the next position. Backwards: the position after the next row.
    at: u64,
    rows: usize,
}

impl Pager {
    /// Starts at a position; backwards, just before it.
    pub(super) fn new(store: Arc<dyn Store>, table: TablePath, at: u64) -> Self {
        Self { store, table, at, rows: FIRST_ROWS }
    }

    /// Returns the next rows, at most `limit`. Empty at the end of the table.
    pub(super) async fn forwards(&mut self, limit: u64) -> Result<Vec<ReadRow>, StoreError> {
        let limit = self.rows.min(usize::try_from(limit).unwrap_or(usize::MAX));
        let rows = self.store.read(&self.table, self.at, limit).await?;
        if let Some(last) = rows.last() {
            self.at = last.position + 1;
        }
        Ok(rows)
    }

    /// Returns the previous rows, at most `limit`, newest first. Empty at the start of the table.
    pub(super) async fn backwards(&mut self, limit: u64) -> Result<Vec<ReadRow>, StoreError> {
        while self.at > 0 && limit > 0 {
            let span = limit.min(self.rows as u64).min(self.at);
            let start = self.at - span;
            let mut rows = self.store.read(&self.table, start, span as usize).await?;
            // After a run of replaced positions, `read` returns rows after the span.
            rows.retain(|row| row.position < self.at);
            self.at = start;
            if !rows.is_empty() {
                rows.reverse();
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    /// Adapts the page size to rows that were `bytes` long in total.
    pub(super) fn learn(&mut self, rows: usize, bytes: usize) {
        let fit = PAGE_BYTES / (bytes / rows.max(1)).max(1);
        self.rows = fit.clamp(1, MAX_ROWS).min(self.rows * 2);
    }
}

/// Returns the position of the first of the last `rows` rows; 0 if the table has fewer.
pub(super) async fn position_of_last(
    store: &Arc<dyn Store>,
    table: &TablePath,
    rows: u64,
) -> Result<u64, StoreError> {
    let Some(info) = store.table(table).await? else { return Ok(0) };
    if rows >= info.summary.rows {
        return Ok(0);
    }
    if rows == 0 || info.summary.rows == info.end {
        return Ok(info.end - rows);
    }
    // Replaced rows leave holes, so the rows must be counted.
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
