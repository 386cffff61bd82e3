//! Reading the rows of a run.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Name, Value as Json};
use parking_lot::Mutex;
use serde::Deserialize;
use streamtable_schema::{ColumnPolicy, Schema, TablePath};
use streamtable_server_core::ApiError;
use streamtable_store::{ReadRow, TableInfo};
use streamtable_wire::HistoryKeys;

use crate::Wandb;
use crate::catalog::Run;
use crate::rows::{cell_of, cell_to_json, history_line};

/// Maximum number of rows in one response.
pub(super) const MAX_ROWS: usize = 100_000;

/// Maximum number of specifications in one request.
pub(super) const MAX_SPECS: usize = 64;

/// Maximum size of the rows in one response, in bytes.
const MAX_BYTES: usize = 256 << 20;

/// Number of rows per read from the store.
const CHUNK: usize = 1024;

/// Number of rows above which sampling reads only evenly spaced blocks.
const MAX_SCANNED: u64 = 200_000;

/// Number of tables for which a step index is cached.
const MAX_INDEXES: usize = 64;

/// The rows of a run.
pub(super) struct History {
    table: TablePath,
    /// `None` if the table has no rows yet.
    info: Option<TableInfo>,
    next_line: u64,
}

/// A row with the step under which clients see it.
type Numbered = (i64, ReadRow);

impl History {
    pub(super) async fn of(state: &Wandb, run: &Run) -> Result<Self, ApiError> {
        let table = run.table().map_err(|error| ApiError::bad_request(error.to_string()))?;
        let info = state.store.table(&table).await?;
        let next_line = state.store.next_line(&table, &run.table_name).await?;
        Ok(Self { table, info, next_line })
    }

    /// Returns the line at which a client of the current SDK continues: the run's own next line, or
    /// the number of rows if other writers wrote the table.
    pub(super) fn line_count(&self) -> i64 {
        let rows = self.info.as_ref().map_or(0, |info| info.summary.rows);
        let count = if self.next_line > 0 { self.next_line } else { rows };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    pub(super) fn keys(&self) -> HistoryKeys {
        let Some(info) = &self.info else {
            return HistoryKeys::new(&Schema::new(ColumnPolicy::Evolve), 0);
        };
        let columns = info.columns.iter().map(|column| (&column.name, column.ty.clone()));
        let schema = Schema::with_columns(ColumnPolicy::Evolve, columns);
        let mut keys = HistoryKeys::new(&schema, info.summary.rows);
        if self.has_steps(info) {
            keys.last_step = info.last_step.unwrap_or(keys.last_step);
        }
        keys
    }

    /// Returns the row with the highest step, or the newest row if rows have no steps.
    pub(super) async fn last(&self, state: &Wandb) -> Result<Option<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(None) };
        let rows = state.store.read(&self.table, info.end.saturating_sub(32), 32).await?;
        let rows = rows.into_iter().map(|row| (self.step(info, &row), row));
        let last = rows.max_by_key(|(step, row)| (*step, row.position));
        Ok(last.map(|(step, row)| self.line(info, &row, step)))
    }

    /// Returns the rows with a step in `min..max` as JSON lines, in step order.
    pub(super) async fn lines(
        &self,
        state: &Wandb,
        min: i64,
        max: i64,
        limit: usize,
    ) -> Result<Vec<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let limit = limit.min(MAX_ROWS);
        let rows = if self.has_steps(info) {
            self.with_steps(state, info, min, max, limit).await?
        } else {
            self.without_steps(state, info, min, max, limit).await?
        };
        within_bounds(rows.iter().map(|(step, row)| self.line(info, row, *step)))
    }

    /// Returns an evenly spaced sample of all rows, as JSON lines.
    pub(super) async fn sample_lines(
        &self,
        state: &Wandb,
        limit: usize,
    ) -> Result<Vec<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let rows = self.scan(state, info, limit.min(MAX_ROWS), |_| true).await?;
        within_bounds(rows.iter().map(|(step, row)| self.line(info, row, *step)))
    }

    /// Returns an evenly spaced sample of the rows that have all keys of the specification, as
    /// objects with these keys.
    pub(super) async fn sample(&self, state: &Wandb, spec: &str) -> Result<Vec<Json>, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Spec {
            #[serde(default)]
            keys: Vec<String>,
            #[serde(default)]
            samples: Option<usize>,
            #[serde(default)]
            min_step: Option<i64>,
            #[serde(default)]
            max_step: Option<i64>,
        }

        let spec: Spec = serde_json::from_str(spec)
            .map_err(|error| ApiError::bad_request(format!("invalid specification: {error}")))?;
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let limit = spec.samples.unwrap_or(500).min(MAX_ROWS);
        let (min, max) = (spec.min_step.unwrap_or(i64::MIN), spec.max_step.unwrap_or(i64::MAX));
        // Legacy clients send an exclusive upper bound, the current SDK an inclusive one. Legacy
        // clients never ask for more samples than the range has steps; if the limit is larger than
        // the range, treat the bound as inclusive.
        let is_inclusive = i128::try_from(limit).unwrap_or(0) > i128::from(max) - i128::from(min);
        let steps = min..max.saturating_add(is_inclusive.into());
        let rows = self
            .scan(state, info, limit, |(step, row)| {
                steps.contains(step)
                    && spec.keys.iter().all(|key| cell_of(row, key, *step).is_some())
            })
            .await?;
        let object = |(step, row): &Numbered| {
            let names: Vec<&str> = if spec.keys.is_empty() {
                row.row.cells().map(|(name, _)| name).chain(["_step", "_timestamp"]).collect()
            } else {
                spec.keys.iter().map(String::as_str).collect()
            };
            let cells = names.into_iter().filter_map(|name| {
                Some((Name::new(name), cell_to_json(&cell_of(row, name, *step)?)))
            });
            Json::Object(cells.collect())
        };
        Ok(rows.iter().map(object).collect())
    }

    fn line(&self, info: &TableInfo, row: &ReadRow, step: i64) -> String {
        history_line(row, step, !self.has_steps(info))
    }

    fn step(&self, info: &TableInfo, row: &ReadRow) -> i64 {
        let position = i64::try_from(row.position).unwrap_or(i64::MAX);
        if self.has_steps(info) { row.step.unwrap_or(position) } else { position }
    }

    /// Returns whether rows are identified by their own steps. The steps of several writers
    /// overlap, so the rows of such tables are numbered by position.
    fn has_steps(&self, info: &TableInfo) -> bool {
        info.has_steps && self.next_line > 0
    }

    /// Returns an evenly spaced sample of at most `limit` rows that satisfy `fits`. Very large
    /// tables are only read in evenly spaced blocks.
    async fn scan(
        &self,
        state: &Wandb,
        info: &TableInfo,
        limit: usize,
        fits: impl Fn(&Numbered) -> bool + Send,
    ) -> Result<Vec<Numbered>, ApiError> {
        let mut kept = Thinning::new(limit);
        let stride = info.end.div_ceil(MAX_SCANNED).max(1);
        let mut from = 0;
        while from < info.end {
            let size = if stride == 1 { CHUNK } else { CHUNK / 8 };
            let rows = state.store.read(&self.table, from, size).await?;
            let Some(last) = rows.last().map(|row| row.position) else { break };
            for row in rows {
                let numbered = (self.step(info, &row), row);
                if fits(&numbered) {
                    kept.push(numbered);
                }
            }
            from = (last + 1).max(from + size as u64 * stride);
        }
        Ok(kept.finish())
    }

    /// Reads rows by their index in the table.
    async fn without_steps(
        &self,
        state: &Wandb,
        info: &TableInfo,
        min: i64,
        max: i64,
        limit: usize,
    ) -> Result<Vec<Numbered>, ApiError> {
        let (min, max) = (min.max(0), max.max(0));
        let has_holes = info.end != info.summary.rows;
        // Only replaced rows leave holes. With holes, rows must be counted from the start.
        let (mut from, mut index) = if has_holes { (0, 0) } else { (min as u64, min) };
        let mut found = Vec::new();
        let mut budget = Budget::default();
        while found.len() < limit && index < max && from < info.end {
            let size = if has_holes { CHUNK } else { CHUNK.min(limit - found.len()) };
            let rows = state.store.read(&self.table, from, size).await?;
            let Some(last) = rows.last().map(|row| row.position) else { break };
            for row in rows {
                if (min..max).contains(&index) && found.len() < limit {
                    budget.spend(&row)?;
                    found.push((index, row));
                }
                index += 1;
            }
            from = last + 1;
        }
        Ok(found)
    }

    /// Reads rows by their own steps.
    async fn with_steps(
        &self,
        state: &Wandb,
        info: &TableInfo,
        min: i64,
        max: i64,
        limit: usize,
    ) -> Result<Vec<Numbered>, ApiError> {
        let index = state.shared.steps.of(&self.table);
        let mut index = index.lock().await;
        index.extend(state, self, info).await?;
        let blocks: Vec<u64> = index.overlapping(min, max).collect();
        drop(index);
        let mut found: Vec<Numbered> = Vec::new();
        let mut budget = Budget::default();
        for block in blocks {
            let from = block * CHUNK as u64;
            let rows = state.store.read(&self.table, from, CHUNK).await?;
            for row in rows.into_iter().take_while(|row| row.position < from + CHUNK as u64) {
                let step = self.step(info, &row);
                if (min..max).contains(&step) {
                    budget.spend(&row)?;
                    found.push((step, row));
                }
            }
        }
        found.sort_by_key(|(step, row)| (*step, row.position));
        found.truncate(limit);
        Ok(found)
    }
}

/// Number of bytes that the response may still grow by.
struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_BYTES)
    }
}

impl Budget {
    fn spend(&mut self, row: &ReadRow) -> Result<(), ApiError> {
        let size =
            64 + row.row.cells().map(|(name, value)| name.len() + rough(value)).sum::<usize>();
        self.0 = self.0.checked_sub(size).ok_or_else(too_much)?;
        Ok(())
    }
}

/// Returns the approximate size of a value in bytes.
fn rough(value: &streamtable_schema::Value) -> usize {
    use streamtable_schema::Value;
    match value {
        Value::String(text) => 32 + text.len(),
        Value::List(items) => 32 + items.iter().map(rough).sum::<usize>(),
        Value::Struct(row) => {
            32 + row.cells().map(|(name, value)| name.len() + rough(value)).sum::<usize>()
        }
        Value::Media(_) => 256,
        _ => 32,
    }
}

fn within_bounds(lines: impl Iterator<Item = String>) -> Result<Vec<String>, ApiError> {
    let mut bytes = 0;
    let lines = lines.map(|line| {
        bytes += line.len();
        if bytes > MAX_BYTES { Err(too_much()) } else { Ok(line) }
    });
    lines.collect()
}

fn too_much() -> ApiError {
    ApiError::bad_request("the response would be too large: request fewer rows")
}

/// The step indexes of the most recently read tables.
#[derive(Debug, Default)]
pub(crate) struct StepIndexes(Mutex<HashMap<TablePath, Arc<tokio::sync::Mutex<StepIndex>>>>);

impl StepIndexes {
    fn of(&self, table: &TablePath) -> Arc<tokio::sync::Mutex<StepIndex>> {
        let mut indexes = self.0.lock();
        if indexes.len() >= MAX_INDEXES && !indexes.contains_key(table) {
            indexes.clear();
        }
        Arc::clone(indexes.entry(table.clone()).or_default())
    }
}

/// Index from steps to positions: the smallest and largest step of each block of positions.
#[derive(Debug, Default)]
struct StepIndex {
    blocks: Vec<Option<(i64, i64)>>,
    /// The first position that is not indexed yet.
    end: u64,
}

impl StepIndex {
    async fn extend(
        &mut self,
        state: &Wandb,
        history: &History,
        info: &TableInfo,
    ) -> Result<(), ApiError> {
        while self.end < info.end {
            let rows = state.store.read(&history.table, self.end, CHUNK).await?;
            let Some(last) = rows.last().map(|row| row.position) else { break };
            for row in rows {
                self.note(row.position, history.step(info, &row));
            }
            self.end = last + 1;
        }
        Ok(())
    }

    fn note(&mut self, position: u64, step: i64) {
        let block = (position / CHUNK as u64) as usize;
        if self.blocks.len() <= block {
            self.blocks.resize(block + 1, None);
        }
        let range = self.blocks[block].get_or_insert((step, step));
        *range = (range.0.min(step), range.1.max(step));
    }

    fn overlapping(&self, min: i64, max: i64) -> impl Iterator<Item = u64> {
        let blocks = self.blocks.iter().enumerate();
        blocks.filter_map(move |(i, range)| {
            let (first, last) = (*range)?;
            (first < max && last >= min).then_some(i as u64)
        })
    }
}

/// Keeps an evenly spaced sample of at most `limit` items, and never holds more than twice as many.
struct Thinning<T> {
    limit: usize,
    stride: usize,
    count: usize,
    kept: Vec<T>,
}

impl<T> Thinning<T> {
    fn new(limit: usize) -> Self {
        Self { limit, stride: 1, count: 0, kept: Vec::new() }
    }

    fn push(&mut self, item: T) {
        if self.limit == 0 {
            return;
        }
        if self.count.is_multiple_of(self.stride) {
            self.kept.push(item);
        }
        self.count += 1;
        if self.kept.len() >= 2 * self.limit {
            let mut i = 0;
            self.kept.retain(|_| {
                i += 1;
                i % 2 == 1
            });
            self.stride *= 2;
        }
    }

    fn finish(self) -> Vec<T> {
        thin(self.kept, self.limit)
    }
}

/// Returns at most `limit` evenly spaced items, including the first.
pub(super) fn thin<T>(items: Vec<T>, limit: usize) -> Vec<T> {
    let count = items.len();
    if count <= limit {
        return items;
    }
    let mut taken = 0;
    let items = items.into_iter().enumerate().filter_map(|(i, item)| {
        let is_next = taken < limit && i == taken * count / limit;
        taken += usize::from(is_next);
        is_next.then_some(item)
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_an_even_sample() {
        #[track_caller]
        fn check(count: usize, limit: usize) {
            let mut thinning = Thinning::new(limit);
            (0..count).for_each(|i| thinning.push(i));
            let kept = thinning.finish();
            assert_eq!(kept.len(), count.min(limit), "{count} {limit}");
            assert!(kept.is_sorted() && (kept.is_empty() || kept[0] == 0));
            if let (Some(&last), true) = (kept.last(), limit > 4) {
                assert!(last + count.div_ceil(limit) * 4 >= count, "{kept:?}");
            }
        }
        for count in [0, 1, 2, 9, 10, 11, 100, 1000, 12_345] {
            for limit in [0, 1, 2, 5, 10, 500] {
                check(count, limit);
            }
        }
        assert_eq!(thin(vec![0, 1, 2, 3, 4, 5], 3), [0, 2, 4]);
    }

    #[test]
    fn steps_are_indexed_by_block() {
        let mut index = StepIndex::default();
        index.note(0, 5);
        index.note(1, 2);
        index.note(3000, 9);
        let found = |min, max| index.overlapping(min, max).collect::<Vec<_>>();
        assert_eq!(found(0, 3), [0]);
        assert_eq!(found(5, 6), [0]);
        assert_eq!(found(6, 9), [] as [u64; 0]);
        assert_eq!(found(5, 10), [0, 2]);
    }
}
