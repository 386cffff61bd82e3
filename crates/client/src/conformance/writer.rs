//! A writer that calls `append` as the client does, without its timers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use streamtable_schema::{ColumnPolicy, Row, TablePath, Timestamp};
use streamtable_wire::Logged;

use super::fault::{AppendPlan, FaultyBackend};
use super::{Check, ensure};
use crate::encode::with_memory;
use crate::{Append, AppendError, Appended, Backend, Lines};

/// Maximum number of attempts of one append; the plans of the suite have fewer faults.
const MAX_ATTEMPTS: usize = 30;

const TIMEOUT: Duration = Duration::from_secs(60);

/// One writer of a table.
pub(super) struct Writer {
    pub(super) table: TablePath,
    pub(super) id: Arc<str>,
    /// The number of the writer's first line.
    base: u64,
    /// The rows logged so far.
    pub(super) rows: Vec<Row>,
    lines: Vec<Vec<u8>>,
}

impl Writer {
    pub(super) fn new(table: &TablePath, base: u64) -> Self {
        let id = uuid::Uuid::new_v4().to_string().into();
        Self { table: table.clone(), id, base, rows: Vec::new(), lines: Vec::new() }
    }

    /// Adds rows that a later append contains.
    pub(super) fn log(&mut self, rows: impl IntoIterator<Item = Row>) -> Check {
        for row in rows {
            let logged =
                Logged { writer: &self.id, at: Timestamp::from_micros(1_700_000_000_000_000) };
            let line =
                with_memory(|encoded| encoded.write(&row, logged).map(|()| encoded.line.clone()));
            self.lines.push(line.map_err(|error| error.to_string())?);
            self.rows.push(row);
        }
        Ok(())
    }

    /// Returns the call that appends these rows.
    pub(super) fn append(&self, rows: std::ops::Range<usize>) -> Append {
        let lines: Lines = self.lines[rows.clone()].iter().collect();
        Append {
            table: self.table.clone(),
            writer: Arc::clone(&self.id),
            first_line: self.base + rows.start as u64,
            lines,
            columns: ColumnPolicy::Evolve,
            timeout: TIMEOUT,
        }
    }

    /// Appends rows, and repeats the call until it succeeds.
    pub(super) async fn deliver(
        &self,
        backend: &dyn Backend,
        rows: std::ops::Range<usize>,
    ) -> Check {
        let (mut start, mut last_error) = (rows.start, "it covered no row".to_owned());
        for _ in 0..MAX_ATTEMPTS {
            if start == rows.end {
                return Ok(());
            }
            let call = AssertUnwindSafe(backend.append(self.append(start..rows.end)));
            match call.catch_unwind().await {
                Ok(Ok(appended)) => start = self.settled(start..rows.end, &appended)?,
                // The caller's process survives, or another one continues with the spool.
                Err(_) => last_error = "it panicked".to_owned(),
                Ok(Err(AppendError::Transient { message, .. })) => last_error = message,
                Ok(Err(error)) => {
                    let (first, last) = (start, rows.end - 1);
                    return Err(format!("`append` of rows {first} to {last} failed: {error}"));
                }
            }
        }
        Err(format!(
            "row {start} is not accepted after {MAX_ATTEMPTS} attempts; the last one failed: {last_error}"
        ))
    }

    /// Appends rows with faults.
    pub(super) async fn deliver_with(
        &self,
        backend: &Arc<dyn Backend>,
        plan: AppendPlan,
        batches: impl IntoIterator<Item = std::ops::Range<usize>>,
    ) -> Check {
        let faulty = FaultyBackend::new(Arc::clone(backend), plan);
        for rows in batches {
            self.deliver(&faulty, rows).await?;
        }
        faulty.finish(&self.table).await.map_err(|error| format!("`finish` failed: {error}"))
    }

    /// Returns the first row that a successful response does not cover.
    pub(super) fn settled(&self, rows: std::ops::Range<usize>, answer: &Appended) -> Check<usize> {
        let lines = self.base + rows.start as u64..self.base + rows.end as u64;
        if let Some((line, reason)) = answer.rejected.first() {
            ensure!(
                lines.contains(line),
                "`append` of lines {lines:?} rejected line {line}, which was not sent"
            );
            return Err(format!("row {} was rejected: {reason}", line - self.base));
        }
        let end = answer.end.unwrap_or(lines.end);
        ensure!(
            lines.start < end && end <= lines.end,
            "`append` of lines {lines:?} returned the end {end}, which covers no line or lines \
             that were not sent"
        );
        Ok((end - self.base) as usize)
    }
}
