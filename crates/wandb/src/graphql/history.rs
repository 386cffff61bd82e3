//! Reading the rows of a run.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Value as Json};
use serde::Deserialize;
use streamtable_schema::{ColumnPolicy, Schema, TablePath};
use streamtable_server_core::ApiError;
use streamtable_store::{ReadRow, StoreError, TableInfo};
use streamtable_wire::{ColumnKeys, HistoryKeys, Ordered, TypeCount};
use tokio::sync::MutexGuard;
use tokio::time::timeout;

use super::RequestContext;
use super::places::{Numbered, Places};
use crate::catalog::Run;
use crate::rows::{as_logged, cell_of, cell_to_json, history_line};

/// Maximum number of rows in one response.
pub(super) const MAX_ROWS: usize = 100_000;

/// Maximum number of specifications in one request.
pub(super) const MAX_SPECS: usize = 64;

/// Number of rows above which a sample reads only evenly spaced blocks, if they have enough rows.
const MAX_SCANNED: usize = 200_000;

/// Number of rows in which the newest values of columns are searched.
const NEWEST: usize = 256;

/// How long the description of columns waits for their newest values.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The rows of a run, read by one field.
pub(super) struct History<'a> {
    request: &'a RequestContext,
    _turn: MutexGuard<'a, ()>,
    table: TablePath,
    /// `None` if the table has no rows yet.
    info: Option<TableInfo>,
    next_line: u64,
}

impl<'a> History<'a> {
    /// Waits until no other field of the document reads rows.
    pub(super) async fn of(request: &'a RequestContext, run: &Run) -> Result<Self, ApiError> {
        let table = run.table().map_err(|error| ApiError::bad_request(error.to_string()))?;
        let turn = request.execution.turn().await?;
        let store = &request.state.store;
        let info = store.table(&table).await?;
        let next_line = store.next_line(&table, table.table()).await?;
        Ok(Self { request, _turn: turn, table, info, next_line })
    }

    /// Returns the line at which a client of the current SDK continues: the run's own next line, or
    /// the number of rows if other writers wrote the table.
    pub(super) fn line_count(&self) -> i64 {
        let rows = self.info.as_ref().map_or(0, |info| info.summary.rows);
        let count = if self.next_line > 0 { self.next_line } else { rows };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Describes the columns and their newest values.
    pub(super) async fn keys(&self) -> Result<HistoryKeys, ApiError> {
        let Some(info) = &self.info else {
            return Ok(HistoryKeys::new(&Schema::new(ColumnPolicy::Evolve), 0));
        };
        let columns = info.columns.iter().map(|column| (&column.name, column.ty.clone()));
        let schema = Schema::with_columns(ColumnPolicy::Evolve, columns);
        let mut keys = HistoryKeys::new(&schema, info.summary.rows);
        if self.has_steps(info) {
            keys.last_step = info.last_step.unwrap_or(keys.last_step);
        }
        let from = info.end.saturating_sub(NEWEST as u64);
        let newest = self.request.state.store.read(&self.table, from, NEWEST);
        // A client that opens a table asks for them, and must not wait for a bucket.
        let newest = match timeout(MAX_WAIT, newest).await {
            Ok(Err(StoreError::Unreachable { .. })) | Err(_) => Vec::new(),
            Ok(newest) => newest?,
        };
        let keys = with_fields(keys).with_newest(newest.iter().rev().map(|row| &row.row));
        Ok(with_protocol_columns(keys, info.summary.rows))
    }

    /// Returns the row with the highest step, or the newest row if rows have no steps.
    pub(super) async fn last(&self) -> Result<Option<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(None) };
        let rows =
            self.request.state.store.read(&self.table, info.end.saturating_sub(32), 32).await?;
        let rows = rows.into_iter().map(|row| (self.step(info, &row), row));
        let last = rows.max_by_key(|(step, row)| (*step, row.position));
        Ok(last.map(|(step, row)| self.line(info, &row, step)))
    }

    /// Returns the rows with a step in `min..max` as JSON lines, in step order.
    pub(super) async fn lines(
        &self,
        min: i64,
        max: i64,
        limit: usize,
    ) -> Result<Vec<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let limit = page_limit(&(min..max), limit).min(MAX_ROWS);
        let places = self.places(info);
        let found = places.find(min..max, limit).await?;
        let mut lines = Vec::new();
        places
            .read(&found, |(step, row)| {
                lines.push(self.spent(self.line(info, &row, step))?);
                Ok(())
            })
            .await?;
        Ok(lines)
    }

    /// Returns an evenly spaced sample of all rows, as JSON lines.
    pub(super) async fn sample_lines(&self, limit: usize) -> Result<Vec<String>, ApiError> {
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let steps = i64::MIN..i64::MAX;
        let rows = self.sampled(info, steps, limit.min(MAX_ROWS), |_| true).await?;
        rows.iter().map(|(step, row)| self.spent(self.line(info, row, *step))).collect()
    }

    /// Returns an evenly spaced sample of the rows that have all keys of the specification, as
    /// objects with these keys.
    pub(super) async fn sample(&self, spec: &str) -> Result<Vec<Json>, ApiError> {
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
        // Legacy clients send an exclusive upper bound, the current SDK an inclusive one. It asks for
        // as many samples as the range then has steps, and for the steps themselves.
        let count = i128::from(max) - i128::from(min) + 1;
        let is_inclusive =
            i128::try_from(limit) == Ok(count) && spec.keys.iter().any(|key| key == "_step");
        let steps = min..max.saturating_add(is_inclusive.into());
        let limit = page_limit(&steps, limit);
        let has_keys =
            |(step, row): &Numbered| spec.keys.iter().all(|key| cell_of(row, key, *step).is_some());
        let rows = self.sampled(info, steps, limit, has_keys).await?;
        let mut objects = Objects::new(self, info, &spec.keys);
        rows.iter().map(|row| objects.next(row)).collect()
    }

    /// Returns the rows among the first `limit` that have one of the keys, as objects with these
    /// keys, in order of arrival.
    pub(super) async fn live(&self, keys: &[String], limit: u64) -> Result<Vec<Json>, ApiError> {
        let Some(info) = &self.info else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        let mut objects = Objects::new(self, info, keys);
        let mut each = |row: Numbered| {
            let has_one = keys.iter().any(|key| cell_of(&row.1, key, row.0).is_some());
            if has_one {
                rows.push(objects.next(&row)?);
            }
            Ok(())
        };
        self.places(info).scan(limit, 1, &mut each).await?;
        Ok(rows)
    }

    fn line(&self, info: &TableInfo, row: &ReadRow, step: i64) -> String {
        history_line(row, step, self.has_steps(info))
    }

    /// Counts a line of the response.
    fn spent(&self, line: String) -> Result<String, ApiError> {
        self.request.execution.spend(line.len())?;
        Ok(line)
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

    /// Returns the rows with a step in `steps` that satisfy `fits`, in step order. If there are more
    /// than `limit`, returns an evenly spaced sample of them; otherwise all.
    async fn sampled(
        &self,
        info: &TableInfo,
        steps: Range<i64>,
        limit: usize,
        fits: impl Fn(&Numbered) -> bool + Send + Sync,
    ) -> Result<Vec<Numbered>, ApiError> {
        let places = self.places(info);
        let is_whole = steps == (i64::MIN..i64::MAX);
        let mut kept = Thinning::new(limit);
        if !is_whole {
            let found = places.find(steps.clone(), MAX_SCANNED + 1).await?;
            if found.len() <= MAX_SCANNED {
                places.read(&found, |row| kept.push_if(row, &fits)).await?;
                return Ok(kept.finish());
            }
        }
        let fits = |row: &Numbered| (is_whole || steps.contains(&row.0)) && fits(row);
        let stride = info.end.div_ceil(MAX_SCANNED as u64);
        places.scan(u64::MAX, stride, |row| kept.push_if(row, fits)).await?;
        if stride > 1 && kept.count < limit {
            // Only few rows satisfy `fits`: those between the blocks are needed, too.
            kept = Thinning::new(limit);
            places.scan(u64::MAX, 1, |row| kept.push_if(row, fits)).await?;
        }
        let mut rows = kept.finish();
        rows.sort_by_key(|(step, row)| (*step, row.position));
        Ok(rows)
    }

    fn places<'b>(&'b self, info: &'b TableInfo) -> Places<'b> {
        let has_steps = self.has_steps(info);
        Places { request: self.request, table: &self.table, info, has_steps }
    }
}

/// Converts rows to objects with the given keys, or with all cells if there are none.
struct Objects<'a> {
    history: &'a History<'a>,
    keys: &'a [String],
    /// Whether the SDK wrote the rows.
    is_of_sdk: bool,
    /// The names so far, which all rows share.
    names: HashMap<String, Name>,
}

impl<'a> Objects<'a> {
    fn new(history: &'a History<'a>, info: &TableInfo, keys: &'a [String]) -> Self {
        Self { history, keys, is_of_sdk: history.has_steps(info), names: HashMap::new() }
    }

    fn next(&mut self, (step, row): &Numbered) -> Result<Json, ApiError> {
        let all = row.row.cells().map(|(name, _)| name).chain(["_step", "_timestamp"]);
        let names: Vec<&str> = match self.keys {
            [] => all.collect(),
            keys => keys.iter().map(String::as_str).collect(),
        };
        let mut object = IndexMap::with_capacity(names.len());
        for name in names {
            let Some(cell) = cell_of(row, name, *step) else { continue };
            self.history.request.execution.spend(name.len() + rough(&cell))?;
            let cell = if self.is_of_sdk { as_logged(&cell).unwrap_or(cell) } else { cell };
            object.insert(self.name(name), cell_to_json(&cell));
        }
        Ok(Json::Object(object))
    }

    fn name(&mut self, name: &str) -> Name {
        if let Some(name) = self.names.get(name) {
            return name.clone();
        }
        let new = Name::new(name);
        self.names.insert(name.to_owned(), new.clone());
        new
    }
}

/// Replaces each column of structs by its fields, under dotted names: legacy clients combine these,
/// and fail if the column is listed as well.
fn with_fields(keys: HistoryKeys) -> HistoryKeys {
    let columns = keys.keys.into_entries().into_iter();
    let columns = columns.flat_map(|(name, keys)| fields(name, keys.type_counts));
    HistoryKeys { keys: columns.collect(), ..keys }
}

fn fields(name: String, types: Vec<TypeCount>) -> Vec<(String, ColumnKeys)> {
    let is_struct = |ty: &TypeCount| ty.name == "map" && !ty.keys.is_empty();
    let is_flat = types.iter().filter(|ty| ty.name != "nil").all(is_struct);
    let Some(whole) = types.iter().find(|ty| is_struct(ty)).filter(|_| is_flat) else {
        return vec![(name, ColumnKeys { type_counts: types, previous_value: None })];
    };
    let inner = whole.keys.iter().flat_map(|(field, types)| {
        fields(format!("{name}.{}", field.replace('.', r"\.")), types.clone())
    });
    inner.collect()
}

/// Adds the columns that the protocol fills. Legacy clients sort the rows by `_step`, and take the
/// number of rows from its count.
fn with_protocol_columns(keys: HistoryKeys, rows: u64) -> HistoryKeys {
    let numbers = ["_step", "_timestamp"].map(|name| {
        let number = TypeCount {
            name: "number".to_owned(),
            count: i64::try_from(rows).unwrap_or(i64::MAX),
            keys: Ordered::default(),
            items: Vec::new(),
        };
        let keys = ColumnKeys { type_counts: vec![number], previous_value: None };
        (name.to_owned(), keys)
    });
    HistoryKeys { keys: keys.keys.into_entries().into_iter().chain(numbers).collect(), ..keys }
}

/// Returns how many rows of a range of steps a client wants that asks for `limit`. A client that
/// reads page by page asks for as many rows as the page has steps, and skips to the next page even
/// if several rows share a step: it gets all of them.
fn page_limit(steps: &Range<i64>, limit: usize) -> usize {
    let count = i128::from(steps.end) - i128::from(steps.start);
    if i128::try_from(limit).is_ok_and(|limit| limit >= count) { MAX_ROWS } else { limit }
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

    /// Adds a row to the sample if it satisfies `fits`.
    fn push_if(&mut self, item: T, fits: impl Fn(&T) -> bool) -> Result<(), ApiError> {
        if fits(&item) {
            self.push(item);
        }
        Ok(())
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
}
