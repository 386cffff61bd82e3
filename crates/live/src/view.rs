//! A view of a table, computed once for all pages that show it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::cast::AsArray;
use arrow::array::types::Int64Type;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::budget::{Budget, Reserved};
use crate::cells::{show, shown_type};
use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::grouped::{Grouped, SplitPaths};
use crate::proto::{Scalar, SortOp};
use crate::shape::{Column, Shape};
use crate::sql;
use crate::table_reader::{Columns, TableReader, TableShape};
use crate::window::{Cells, Window};

/// Maximum number of cells of a window.
const MAX_CELLS: usize = 4_000_000;

/// Maximum number of row positions that a view keeps. Rows beyond it are found by `OFFSET`.
const MAX_PLACES: usize = 16_000_000;

/// Number of positions that a sorted view computes at first.
const HEAD: usize = 1_000;

/// Maximum number of rows that are looked up by their positions.
const MAX_LOOKED_UP: usize = 1_000;

/// Maximum number of new rows that one notification contains.
const MAX_NEW_ROWS: usize = 10_000;

/// Minimum pause between refreshes.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// The pause is this factor times the duration of the last refresh.
const PAUSE_FACTOR: u32 = 4;

/// Maximum pause between refreshes.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// A view of a table.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) reader: TableReader,
    pub(crate) config: ViewConfig,
    end: watch::Receiver<u64>,
    current: RwLock<Option<Arc<ViewSnapshot>>>,
    /// Held during a refresh.
    computing: tokio::sync::Mutex<()>,
    /// Number of watchers that keep the view up to date.
    watchers: AtomicUsize,
    budget: Arc<Budget>,
}

/// The state of a view at one time.
#[derive(Debug)]
pub(crate) struct ViewSnapshot {
    /// The table's end at that time.
    pub(crate) end: u64,
    table_rows: u64,
    columns: Columns,
    shown: Vec<Column>,
    condition: Option<String>,
    order: Vec<String>,
    rows: Rows,
    /// When the snapshot was complete, and how long it took.
    at: Instant,
    cost: Duration,
    memory: Option<Reserved>,
}

/// The rows of a view.
#[derive(Debug)]
enum Rows {
    /// All rows, in the order of their positions.
    All { count: u64 },
    /// All rows, newest first.
    Reversed { count: u64 },
    /// Filtered rows: their positions in order, up to [`MAX_PLACES`].
    Some { count: u64, places: Vec<u32> },
    /// Sorted rows.
    Sorted { count: u64, places: tokio::sync::Mutex<Places> },
    /// Groups.
    Grouped(Grouped),
}

impl Rows {
    /// Returns about how much memory they keep.
    fn bytes(&self) -> u64 {
        let places = |count: u64| count.min(MAX_PLACES as u64) * size_of::<u32>() as u64;
        match self {
            Self::All { .. } | Self::Reversed { .. } => 0,
            Self::Some { places: kept, .. } => places(kept.len() as u64),
            // They are computed when the page asks for them.
            Self::Sorted { count, .. } => places(*count),
            Self::Grouped(grouped) => grouped.bytes(),
        }
    }
}

/// The positions of the first sorted rows, or of all rows.
#[derive(Debug, Default)]
struct Places {
    first: Vec<u32>,
    is_whole: bool,
}

impl View {
    /// Creates a view that is up to date while `end` is the end of the rows that it has. Its snapshots
    /// count towards `budget`.
    pub(crate) fn new(
        reader: TableReader,
        config: ViewConfig,
        end: watch::Receiver<u64>,
        budget: Arc<Budget>,
    ) -> Self {
        Self {
            reader,
            config,
            end,
            current: RwLock::new(None),
            computing: tokio::sync::Mutex::new(()),
            watchers: AtomicUsize::new(0),
            budget,
        }
    }

    /// Returns the newest snapshot if a watcher keeps it up to date, otherwise refreshes the view.
    pub(crate) async fn snapshot(&self) -> Result<Arc<ViewSnapshot>, LiveError> {
        let current = self.current.read().clone();
        match current {
            Some(it) if self.watchers.load(Ordering::Acquire) > 0 || self.is_fresh(&it) => Ok(it),
            _ => self.refresh().await,
        }
    }

    /// Brings the view up to date. Concurrent calls share one refresh.
    pub(crate) async fn refresh(&self) -> Result<Arc<ViewSnapshot>, LiveError> {
        let _one = self.computing.lock().await;
        let before = self.current.read().clone();
        if let Some(it) = before.as_ref().filter(|it| self.is_fresh(it)) {
            return Ok(Arc::clone(it));
        }
        let computed = Arc::new(self.compute(before.as_deref()).await?);
        *self.current.write() = Some(Arc::clone(&computed));
        Ok(computed)
    }

    fn is_fresh(&self, computed: &ViewSnapshot) -> bool {
        computed.end >= *self.end.borrow()
    }

    /// Returns a receiver that changes with the table's end.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.end.clone()
    }

    /// Registers a watcher that keeps the view up to date, until the result is dropped.
    pub(crate) fn keep_fresh(self: &Arc<Self>) -> Watcher {
        self.watchers.fetch_add(1, Ordering::AcqRel);
        Watcher(Arc::clone(self))
    }

    /// Returns when the view may be refreshed again.
    pub(crate) fn next_refresh(&self) -> Instant {
        let pause = |it: &Arc<ViewSnapshot>| (it.cost * PAUSE_FACTOR).clamp(MIN_PAUSE, MAX_PAUSE);
        let next = self.current.read().as_ref().map(|it| it.at + pause(it));
        next.unwrap_or_else(Instant::now)
    }

    /// Returns the rows that were added between two snapshots; `None` if other rows changed as well,
    /// or if there are too many new rows.
    pub(crate) async fn new_rows(
        &self,
        before: &ViewSnapshot,
        now: &ViewSnapshot,
    ) -> Result<Option<Window>, LiveError> {
        let is_longer = match (&before.rows, &now.rows) {
            (Rows::All { .. }, Rows::All { .. }) => true,
            (Rows::Some { places, .. }, Rows::Some { places: more, .. }) => {
                more.starts_with(places)
            }
            _ => false,
        };
        let rows = before.count() as usize..now.count() as usize;
        if !is_longer || rows.len() > MAX_NEW_ROWS || !self.config.split_by.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.window(now, rows, 0..usize::MAX).await?))
    }

    async fn compute(&self, before: Option<&ViewSnapshot>) -> Result<ViewSnapshot, LiveError> {
        let start = Instant::now();
        // Rows that arrive during the refresh make the snapshot stale, so another refresh follows.
        let info = self.reader.info().await?;
        let shape = TableShape::of(&info);
        let kept = before.and_then(|it| it.memory.as_ref());
        let before = before.filter(|it| it.columns.shape == shape);
        let columns = match before {
            Some(before) => before.columns.clone(),
            None => self.reader.columns(&self.config).await?,
        };
        let shown = columns.shown(&self.config)?;
        for name in &self.config.split_by {
            Column::find(&columns.all, name)?;
        }
        let condition = sql::condition(&self.config, &columns.all)?;
        let order = match self.config.is_grouped() {
            true => Vec::new(),
            false => sql::order(&self.config, &columns.all)?,
        };
        let mut computed = ViewSnapshot {
            end: info.end,
            table_rows: info.summary.rows,
            columns,
            shown,
            condition,
            order,
            rows: Rows::All { count: 0 },
            at: start,
            cost: Duration::ZERO,
            memory: None,
        };
        computed.rows = self.rows(&computed, before, info.summary.rows == info.end).await?;
        computed.memory = Some(self.budget.reserve(computed.rows.bytes(), kept)?);
        computed.at = Instant::now();
        computed.cost = start.elapsed();
        Ok(computed)
    }

    async fn rows(
        &self,
        now: &ViewSnapshot,
        before: Option<&ViewSnapshot>,
        is_dense: bool,
    ) -> Result<Rows, LiveError> {
        let condition = now.condition.as_deref();
        if self.config.is_grouped() {
            let grouped = Grouped::compute(&self.reader, &self.config, &now.columns, condition);
            return Ok(Rows::Grouped(grouped.await?));
        }
        let is_whole = condition.is_none() && is_dense;
        if let [(column, op)] = &self.config.sort[..]
            && is_whole
            && sql::name(column) == now.columns.position
        {
            // Positions are known without sorting.
            match op {
                SortOp::Asc => return Ok(Rows::All { count: now.table_rows }),
                SortOp::Desc => return Ok(Rows::Reversed { count: now.table_rows }),
                _ => {}
            }
        }
        if !now.order.is_empty() {
            let count = match condition {
                None => now.table_rows,
                Some(_) => self.count(now).await?,
            };
            return Ok(Rows::Sorted { count, places: tokio::sync::Mutex::default() });
        }
        if is_whole {
            return Ok(Rows::All { count: now.table_rows });
        }
        // If no row was replaced in the meantime, the new rows follow the others.
        let is_longer = |before: &&ViewSnapshot| {
            before.end <= now.end
                && before.end - before.table_rows.min(before.end)
                    == now.end - now.table_rows.min(now.end)
        };
        let (from, mut places) = match before.filter(is_longer).map(|it| (it.end, &it.rows)) {
            Some((end, Rows::Some { count, places })) if *count as usize == places.len() => {
                (end, places.clone())
            }
            _ => (0, Vec::new()),
        };
        let position = &now.columns.position;
        let mut conditions =
            vec![format!("{position} >= {from}"), format!("{position} < {}", now.end)];
        conditions.extend(condition.map(|it| format!("({it})")));
        let (from, conditions) = (&now.columns.from, conditions.join(" AND "));
        let left = MAX_PLACES - places.len();
        let sql = format!("SELECT {position} FROM {from} WHERE {conditions} LIMIT {left}");
        places.extend(positions(&self.reader.run(sql).await?)?);
        let count =
            if places.len() < MAX_PLACES { places.len() as u64 } else { self.count(now).await? };
        Ok(Rows::Some { count, places })
    }

    async fn count(&self, now: &ViewSnapshot) -> Result<u64, LiveError> {
        let sql = format!("SELECT count(*) FROM {}{}", now.columns.from, now.filter());
        Ok(number(&self.reader.run(sql).await?))
    }

    /// Reads a part of the view. `columns` are indexes of columns with data.
    pub(crate) async fn window(
        &self,
        now: &ViewSnapshot,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<Window, LiveError> {
        let count = usize::try_from(now.count()).unwrap_or(usize::MAX);
        let rows = rows.start.min(count)..rows.end.min(count);
        let all = now.column_count(&self.config);
        let columns = columns.start.min(all)..columns.end.min(all);
        let width = if all == usize::MAX { now.shown.len() } else { columns.len() };
        if rows.len().saturating_mul(width.max(1)) > MAX_CELLS {
            return Err(LiveError::refused(format!(
                "a window has at most {MAX_CELLS} cells; ask for fewer rows, or export the view"
            )));
        }
        if let Rows::Grouped(grouped) = &now.rows {
            return Ok(grouped.whole.part(rows, columns));
        }
        if rows.is_empty() && self.config.split_by.is_empty() {
            return Ok(now.empty(&now.shown[columns]));
        }
        if self.config.split_by.is_empty() {
            return self.flat(now, rows, &now.shown[columns]).await;
        }
        let (window, _) = self.split(now, rows).await?;
        Ok(window.part(0..window.rows, columns))
    }

    /// Reads rows of a view that is neither grouped nor split.
    async fn flat(
        &self,
        now: &ViewSnapshot,
        rows: Range<usize>,
        shown: &[Column],
    ) -> Result<Window, LiveError> {
        let select: Vec<String> = shown.iter().map(Column::value).collect();
        let batch = self.read(now, rows, &select).await?;
        let columns = shown.iter().zip(batch.columns()).map(|(column, array)| {
            let is_inexact = column.shape == Shape::Int { is_exact: false };
            let field = arrow::datatypes::Field::new("", array.data_type().clone(), true);
            let shape = Column::of(&field, is_inexact).shape;
            Ok((column.name.clone(), show(array, shape, &self.reader)?))
        });
        let columns = columns.collect::<Result<Vec<_>, LiveError>>()?;
        Ok(Window { rows: batch.num_rows(), columns, paths: None })
    }

    /// Reads columns of rows in the view's order.
    async fn read(
        &self,
        now: &ViewSnapshot,
        rows: Range<usize>,
        select: &[String],
    ) -> Result<RecordBatch, LiveError> {
        let (from, position) = (&now.columns.from, &now.columns.position);
        let select = if select.is_empty() { position.clone() } else { select.join(", ") };
        let condition = match &now.rows {
            Rows::All { .. } => {
                format!("{position} >= {} AND {position} < {}", rows.start, rows.end)
            }
            Rows::Reversed { count } => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                let (first, end) = (count.saturating_sub(rows.end), count - rows.start);
                let sql = format!(
                    "SELECT {select} FROM {from} WHERE {position} >= {first} AND {position} < {end}"
                );
                let batch = self.reader.run(sql).await?;
                let last_first = UInt32Array::from_iter_values((0..batch.num_rows() as u32).rev());
                return Ok(arrow::compute::take_record_batch(&batch, &last_first)?);
            }
            Rows::Some { places, .. } if rows.end <= places.len() => {
                let (first, last) = (places[rows.start], places[rows.end - 1]);
                let condition = now.condition.as_ref().map(|it| format!(" AND ({it})"));
                let condition = condition.unwrap_or_default();
                format!("{position} >= {first} AND {position} <= {last}{condition}")
            }
            Rows::Sorted { count, places } => {
                let places = self.sorted_places(now, *count, places, &rows).await?;
                match places {
                    Some(places) => return self.look_up(now, &places, &select).await,
                    None => return self.by_counting(now, rows, &select).await,
                }
            }
            Rows::Some { .. } | Rows::Grouped(_) => {
                return self.by_counting(now, rows, &select).await;
            }
        };
        let most = rows.len();
        self.reader.run(format!("SELECT {select} FROM {from} WHERE {condition} LIMIT {most}")).await
    }

    /// Lets the store sort, or skip rows, by `LIMIT` and `OFFSET`.
    async fn by_counting(
        &self,
        now: &ViewSnapshot,
        rows: Range<usize>,
        select: &str,
    ) -> Result<RecordBatch, LiveError> {
        let (from, filter, order) = (&now.columns.from, now.filter(), now.ordered());
        let (most, skip) = (rows.len(), rows.start);
        // Selected columns may have new names, which must not affect the order.
        let all = format!("SELECT * FROM {from}{filter}{order} LIMIT {most} OFFSET {skip}");
        self.reader.run(format!("SELECT {select} FROM ({all})")).await
    }

    /// Returns the positions of sorted rows; `None` if there are too many to keep or to look up.
    async fn sorted_places(
        &self,
        now: &ViewSnapshot,
        count: u64,
        places: &tokio::sync::Mutex<Places>,
        rows: &Range<usize>,
    ) -> Result<Option<Vec<u32>>, LiveError> {
        if rows.len() > MAX_LOOKED_UP || now.end > u64::from(u32::MAX) {
            return Ok(None);
        }
        let mut places = places.lock().await;
        if rows.end > places.first.len() && !places.is_whole {
            let is_head = rows.end <= HEAD;
            if !is_head && count > MAX_PLACES as u64 {
                return Ok(None);
            }
            let (from, position) = (&now.columns.from, &now.columns.position);
            let (filter, order) = (now.filter(), now.ordered());
            // With a limit, the engine keeps only that many rows; without one, it sorts all of them.
            let most = if is_head { format!(" LIMIT {HEAD}") } else { String::new() };
            let sql = format!("SELECT {position} FROM {from}{filter}{order}{most}");
            places.first = positions(&self.reader.run(sql).await?)?;
            places.is_whole = !is_head || places.first.len() < HEAD;
        }
        let end = rows.end.min(places.first.len());
        Ok(Some(places.first[rows.start.min(end)..end].to_vec()))
    }

    /// Reads rows by their positions, and returns them in the order of `places`.
    async fn look_up(
        &self,
        now: &ViewSnapshot,
        places: &[u32],
        select: &str,
    ) -> Result<RecordBatch, LiveError> {
        let (from, position) = (&now.columns.from, &now.columns.position);
        let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else {
            return self.reader.run(format!("SELECT {select} FROM {from} LIMIT 0")).await;
        };
        let list = places.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let place = now.columns.free_name("place");
        let sql = format!(
            "SELECT {select}, {position} AS {place} FROM {from} WHERE {position} >= {first} \
             AND {position} <= {last} AND {position} IN ({list})"
        );
        let mut batch = self.reader.run(sql).await?;
        let found = positions_of(batch.column(batch.num_columns() - 1))?;
        let at: std::collections::HashMap<u32, u32> = found.into_iter().zip(0..).collect();
        // A row that was replaced in the meantime becomes a row of nulls.
        let order: UInt32Array = places.iter().map(|place| at.get(place).copied()).collect();
        batch.remove_column(batch.num_columns() - 1);
        Ok(arrow::compute::take_record_batch(&batch, &order)?)
    }

    /// Reads rows of a view that is split and not grouped: each row has cells only in the columns of
    /// its own values.
    async fn split(
        &self,
        now: &ViewSnapshot,
        rows: Range<usize>,
    ) -> Result<(Window, Vec<Vec<String>>), LiveError> {
        let columns = &now.columns.all;
        let splits = self.config.split_by.iter().map(|name| Column::find(columns, name));
        let splits = splits.collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<String> = splits.iter().map(|it| it.key()).collect();
        let (from, filter, keys_sql) = (&now.columns.from, now.filter(), keys.join(", "));
        let sql = format!("SELECT {keys_sql} FROM {from}{filter} GROUP BY {keys_sql} LIMIT 2001");
        let all = self.reader.run(sql).await?;
        if all.num_rows() * now.shown.len().max(1) > 2_000 {
            return Err(LiveError::refused("the view is split into more than 2000 columns"));
        }
        let mut select: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(i, key)| format!("{key} AS {}", now.columns.free_name(&format!("split{i}"))))
            .collect();
        select.extend(now.shown.iter().map(Column::value));
        let batch = match rows.is_empty() {
            true => RecordBatch::new_empty(self.read(now, 0..0, &select).await?.schema()),
            false => self.read(now, rows, &select).await?,
        };
        // Find the values of these rows among all values.
        let arrays = (0..keys.len()).map(|i| {
            let both = [all.column(i).as_ref(), batch.column(i).as_ref()];
            Ok(arrow::compute::concat(&both)?)
        });
        let arrays = arrays.collect::<Result<Vec<ArrayRef>, LiveError>>()?;
        let paths = SplitPaths::new(&arrays, &splits, &self.config, &self.reader)?;
        let of_rows = &paths.of_rows[all.num_rows()..];
        let (mut out, mut names) = (Vec::new(), Vec::new());
        for (place, path) in paths.names.iter().enumerate() {
            let own: UInt32Array = of_rows
                .iter()
                .enumerate()
                .map(|(row, &it)| (it == place).then_some(row as u32))
                .collect();
            for (column, array) in now.shown.iter().zip(&batch.columns()[keys.len()..]) {
                let mut name = path.clone();
                name.push(column.name.clone());
                let cells = show(&take(array, &own, None)?, column.shape, &self.reader)?;
                out.push((name.join("|"), cells));
                names.push(name);
            }
        }
        Ok((Window { rows: batch.num_rows(), columns: out, paths: None }, names))
    }

    /// Returns the parts of each column's name: the values by which it is split, then the column.
    pub(crate) async fn column_paths(
        &self,
        now: &ViewSnapshot,
    ) -> Result<Vec<Vec<String>>, LiveError> {
        if let Rows::Grouped(grouped) = &now.rows {
            return Ok(grouped.column_paths.clone());
        }
        if self.config.split_by.is_empty() {
            return Ok(now.shown.iter().map(|it| vec![it.name.clone()]).collect());
        }
        Ok(self.split(now, 0..0).await?.1)
    }

    /// Returns the minimum and the maximum of a column.
    pub(crate) async fn min_max(
        &self,
        now: &ViewSnapshot,
        name: &str,
    ) -> Result<(Scalar, Scalar), LiveError> {
        if let Rows::Grouped(grouped) = &now.rows {
            return grouped.min_max(name);
        }
        // For a split column, the minimum and maximum over all its parts.
        let suffix = |column: &&Column| {
            !self.config.split_by.is_empty() && name.ends_with(&format!("|{}", column.name))
        };
        let column = Column::find(&now.columns.all, name)
            .or_else(|error| now.shown.iter().find(suffix).ok_or(error))?;
        let (from, filter, key) = (&now.columns.from, now.filter(), column.key());
        let batch =
            self.reader.run(format!("SELECT min({key}), max({key}) FROM {from}{filter}")).await?;
        let scalar = |i: usize| -> Result<Scalar, LiveError> {
            let field = arrow::datatypes::Field::new("", batch.column(i).data_type().clone(), true);
            let is_inexact = column.shape == Shape::Int { is_exact: false };
            let shape = Column::of(&field, is_inexact).shape;
            let shown = show(batch.column(i), shape, &self.reader)?;
            Ok(Cells::of(&shown).scalar(0))
        };
        Ok((scalar(0)?, scalar(1)?))
    }

    /// Returns the SQL that selects all rows and columns of the view; `None` if the view is grouped or
    /// split.
    pub(crate) async fn export_sql(&self) -> Result<Option<String>, LiveError> {
        let config = &self.config;
        if config.is_grouped() || !config.split_by.is_empty() {
            return Ok(None);
        }
        let columns = self.reader.columns(config).await?;
        let select: Vec<String> = columns.shown(config)?.iter().map(Column::value).collect();
        let (select, from) = (select.join(", "), &columns.from);
        let condition = sql::condition(config, &columns.all)?;
        let filter = condition.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let mut order = sql::order(config, &columns.all)?;
        if !order.is_empty() {
            order.push(format!("{} ASC", columns.position));
        }
        let order = match order.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", order.join(", ")),
        };
        Ok(Some(format!("SELECT {select} FROM {from}{filter}{order}")))
    }
}

impl ViewSnapshot {
    /// Returns the number of rows of the view.
    pub(crate) fn count(&self) -> u64 {
        match &self.rows {
            Rows::All { count }
            | Rows::Reversed { count }
            | Rows::Some { count, .. }
            | Rows::Sorted { count, .. } => *count,
            Rows::Grouped(grouped) => grouped.whole.rows as u64,
        }
    }

    /// Returns the number of rows of the table.
    pub(crate) fn table_rows(&self) -> u64 {
        self.table_rows
    }

    /// Returns the number of columns of the table.
    pub(crate) fn table_columns(&self) -> usize {
        self.columns.own
    }

    pub(crate) fn table_shape(&self) -> &TableShape {
        &self.columns.shape
    }

    /// Returns the columns that the view shows.
    pub(crate) fn shown(&self) -> &[Column] {
        &self.shown
    }

    /// Returns all columns.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(crate) fn grouped(&self) -> Option<&Grouped> {
        match &self.rows {
            Rows::Grouped(grouped) => Some(grouped),
            _ => None,
        }
    }

    fn column_count(&self, config: &ViewConfig) -> usize {
        match &self.rows {
            Rows::Grouped(grouped) => grouped.whole.columns.len(),
            // The number is known only after they have been read.
            _ if !config.split_by.is_empty() => usize::MAX,
            _ => self.shown.len(),
        }
    }

    fn filter(&self) -> String {
        self.condition.as_ref().map(|it| format!(" WHERE {it}")).unwrap_or_default()
    }

    fn ordered(&self) -> String {
        if self.order.is_empty() {
            return String::new();
        }
        format!(" ORDER BY {}, {} ASC", self.order.join(", "), self.columns.position)
    }

    fn empty(&self, shown: &[Column]) -> Window {
        let column = |column: &Column| {
            (column.name.clone(), arrow::array::new_empty_array(&shown_type(column.shape)))
        };
        Window { rows: 0, columns: shown.iter().map(column).collect(), paths: None }
    }
}

/// Keeps a view registered as watched until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher(Arc<View>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

fn positions(batch: &RecordBatch) -> Result<Vec<u32>, LiveError> {
    positions_of(batch.column(0))
}

fn positions_of(array: &ArrayRef) -> Result<Vec<u32>, LiveError> {
    let positions = array.as_primitive::<Int64Type>().values().iter();
    let positions = positions.map(|&position| u32::try_from(position));
    positions.collect::<Result<_, _>>().map_err(|_| {
        LiveError::refused("a table of more than 4 billion rows is shown unsorted only")
    })
}

fn number(batch: &RecordBatch) -> u64 {
    let array = batch.column(0).as_primitive_opt::<Int64Type>();
    array.filter(|it| !it.is_empty()).map_or(0, |it| u64::try_from(it.value(0)).unwrap_or(0))
}
