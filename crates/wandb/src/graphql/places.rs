//! Finds and reads the rows of a range of steps.

use std::ops::Range;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures_util::TryStreamExt;
use streamtable_schema::TablePath;
use streamtable_store::{ReadRow, ResultTypes, SqlQuery, TableInfo};

use streamtable_server_core::ApiError;

use super::RequestContext;

/// Number of rows per read from the store.
const CHUNK: usize = 4096;

/// Positions closer than this are read together.
const MAX_GAP: u64 = 16;

/// Timeout of the search for positions.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A row with the step under which clients see it.
pub(super) type Numbered = (i64, ReadRow);

/// A step and the position of its row.
pub(super) type Place = (i64, u64);

/// The rows of a table by their steps. Rows without steps of their own are numbered by their index.
pub(super) struct Places<'a> {
    pub(super) request: &'a RequestContext,
    pub(super) table: &'a TablePath,
    pub(super) info: &'a TableInfo,
    /// Whether rows are identified by their own steps.
    pub(super) has_steps: bool,
}

impl Places<'_> {
    /// Returns the places of the first `limit` rows with a step in `steps`, in step order.
    pub(super) async fn find(
        &self,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<Place>, ApiError> {
        if steps.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let index = steps.start.max(0);
        let count = u64::try_from(steps.end.saturating_sub(index)).unwrap_or(0).min(limit as u64);
        if self.has_steps {
            return Ok(self.request.state.store.find_steps(self.table, steps, limit).await?);
        }
        if self.has_holes() {
            let found = self.positions(index, count).await?.into_iter();
            return Ok((index..).zip(found.map(|at| at as u64)).collect());
        }
        let end = self.info.end.min((index as u64).saturating_add(count));
        Ok((index as u64..end).map(|at| (at as i64, at)).collect())
    }

    /// Reads the rows at the given places, in their order.
    pub(super) async fn read(
        &self,
        places: &[Place],
        mut each: impl FnMut(Numbered) -> Result<(), ApiError> + Send,
    ) -> Result<(), ApiError> {
        for places in runs(places) {
            self.request.execution.pause().await?;
            let (from, end) = (places[0].1, places[places.len() - 1].1 + 1);
            let mut wanted = places.iter().copied().peekable();
            let rows =
                self.request.state.store.read(self.table, from, (end - from) as usize).await?;
            for row in rows {
                if let Some((step, _)) = wanted.next_if(|(_, at)| *at == row.position) {
                    each((step, row))?;
                }
            }
        }
        Ok(())
    }

    /// Reads the first `limit` rows in order of arrival, or every `stride`-th block of them.
    pub(super) async fn scan(
        &self,
        limit: u64,
        stride: u64,
        mut each: impl FnMut(Numbered) -> Result<(), ApiError> + Send,
    ) -> Result<(), ApiError> {
        // Behind a hole, the index of a row is known only if all rows before it are read.
        let stride = if self.has_holes() { 1 } else { stride.max(1) };
        let size = if stride == 1 { CHUNK } else { CHUNK / 32 };
        let size = size.min(usize::try_from(limit).unwrap_or(size));
        let (mut from, mut index) = (0, 0_i64);
        while from < self.info.end && (index as u64) < limit {
            self.request.execution.pause().await?;
            let rows = self.request.state.store.read(self.table, from, size).await?;
            let Some(last) = rows.last().map(|row| row.position) else { break };
            for row in rows {
                let own = row.step.filter(|_| self.has_steps);
                let counted =
                    if self.has_steps || stride > 1 { row.position as i64 } else { index };
                each((own.unwrap_or(counted), row))?;
                index += 1;
            }
            from = (last + 1).max(from + size as u64 * stride);
        }
        Ok(())
    }

    /// Returns whether positions are empty. Only replaced rows leave holes.
    fn has_holes(&self) -> bool {
        self.info.end != self.info.summary.rows
    }

    /// Returns the positions of `count` rows from an index on.
    async fn positions(&self, index: i64, count: u64) -> Result<Vec<i64>, ApiError> {
        let parts = [self.table.entity(), self.table.project(), self.table.table()];
        let (table, position) = (parts.map(quoted).join("."), self.info.position_column());
        let position = quoted(&position);
        let query = SqlQuery {
            sql: format!("SELECT {position} FROM {table} LIMIT {count} OFFSET {index}"),
            home: None,
            entities: Some(vec![self.table.entity().to_owned()]),
            timeout: TIMEOUT,
            positions: true,
            types: ResultTypes::Flat,
            owner: Some(self.request.principal.owner()),
        };
        let mut batches = self.request.state.store.query(query).await?.batches;
        let mut found = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            found.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        Ok(found)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Splits places into runs that are read together: with growing positions and without large gaps.
fn runs(places: &[Place]) -> impl Iterator<Item = &[Place]> {
    let near = |a: &Place, b: &Place| a.1 < b.1 && b.1 - a.1 <= MAX_GAP;
    places.chunk_by(near).flat_map(|run| run.chunks(CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_positions_are_read_together() {
        #[track_caller]
        fn check(positions: &[u64], expected: &[&[u64]]) {
            let places: Vec<Place> = positions.iter().map(|&at| (0, at)).collect();
            let runs: Vec<Vec<u64>> =
                runs(&places).map(|run| run.iter().map(|(_, at)| *at).collect()).collect();
            assert_eq!(runs, expected);
        }
        check(&[], &[]);
        check(&[3, 4, 9], &[&[3, 4, 9]]);
        check(&[3, 4, 400], &[&[3, 4], &[400]]);
        check(&[3, 2, 5], &[&[3], &[2, 5]]);
        check(&[3, 3], &[&[3], &[3]]);
    }
}
