//! Transitions as rows of the table `_monitors`.

use std::time::Duration;

use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_server_core::{CatalogError, clock};
use streamtable_store::{Batch, LineNumber, OnDuplicate};

use super::Monitors;
use super::catalog::WaitingRow;

/// The table of a project's transitions.
pub(super) const TABLE: &str = "_monitors";

/// How long the next attempt waits after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Appends waiting rows, until the server stops.
///
/// A row's writer and line are chosen when it is recorded, so a row that was appended before a crash
/// is not stored again.
pub(super) async fn run(monitors: Monitors) {
    loop {
        match publish(&monitors).await {
            // There may be more.
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "transitions of monitors cannot be read");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        monitors.0.recorded.notified().await;
    }
}

/// Raises the numbers of the next lines to those of the tables. An older copy of the catalog has lower
/// ones, with which new transitions would be taken for repetitions.
pub(super) async fn align(monitors: &Monitors) -> Result<(), CatalogError> {
    for (entity, project, writer) in monitors.0.catalog.writers().await? {
        let Ok(table) = TablePath::new(&entity, &project, TABLE) else { continue };
        match monitors.0.store.next_line(&table, &writer).await {
            Ok(next) => monitors.0.catalog.raise_line(writer, next).await?,
            Err(error) => tracing::warn!(%table, %error, "the table cannot be read"),
        }
    }
    Ok(())
}

/// Appends the rows that wait, batch by batch. Returns whether there were any.
async fn publish(monitors: &Monitors) -> Result<bool, CatalogError> {
    let rows = monitors.0.catalog.rows().await?;
    let follows = |a: &WaitingRow, b: &WaitingRow| a.writer == b.writer && a.line + 1 == b.line;
    for batch in rows.chunk_by(follows) {
        append(monitors, batch).await?;
    }
    Ok(!rows.is_empty())
}

async fn append(monitors: &Monitors, rows: &[WaitingRow]) -> Result<(), CatalogError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let ids = rows.iter().map(|row| row.id).collect();
    let table = TablePath::new(&first.entity, &first.project, TABLE);
    let (Ok(table), Ok(first_line)) = (table, LineNumber::new(first.line)) else {
        // A project's name is valid, and lines are counted from 0.
        return monitors.0.catalog.rows_done(ids).await;
    };
    let batch = Batch {
        table: table.clone(),
        writer: first.writer.clone(),
        first_line,
        lines: rows.iter().map(|row| Bytes::from(row.row.clone())).collect(),
        on_duplicate: OnDuplicate::Ignore,
        columns: ColumnPolicy::Evolve,
        received_at: clock::timestamp(),
    };
    match monitors.0.store.append(batch).await {
        Ok(appended) => {
            for rejected in &appended.rejected {
                let reason = &rejected.reason;
                tracing::error!(%table, reason, "a transition of a monitor does not fit the table");
            }
            monitors.0.catalog.rows_done(ids).await
        }
        Err(error) => {
            tracing::warn!(%table, %error, "transitions of monitors wait");
            tokio::time::sleep(RETRY).await;
            Ok(())
        }
    }
}
