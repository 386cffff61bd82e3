//! Groups: their tree, their order, and split columns.

use std::collections::HashMap;

use arrow::array::cast::AsArray;
use arrow::array::types::Int64Type;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, cast, sort_to_indices, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use crate::aggregate::aggregate;
use crate::cells::show;
use crate::config::{Rollup, ViewConfig};
use crate::error::LiveError;
use crate::gaps;
use crate::proto::{Scalar, ScalarValue, SortOp};
use crate::shape::{Column, Shape};
use crate::sql;
use crate::table_reader::{Columns, TableReader};
use crate::window::{Cells, Paths, Window};

/// Maximum number of groups of a view.
const MAX_GROUPS: usize = 200_000;

/// Maximum number of columns into which a view is split.
const MAX_SPLIT_COLUMNS: usize = 2_000;

/// The rows of a grouped view, in their order.
#[derive(Debug)]
pub(crate) struct Grouped {
    /// All rows.
    pub(crate) whole: Window,
    /// The key of each group. It stays the same when the view is computed again.
    pub(crate) keys: Vec<Vec<u8>>,
    /// The parts of the name of each column of the window.
    pub(crate) column_paths: Vec<Vec<String>>,
}

/// The parts that all SQL statements of a view share.
struct Parts<'a> {
    config: &'a ViewConfig,
    groups: Vec<&'a Column>,
    splits: Vec<&'a Column>,
    from: String,
    values: Vec<String>,
    sorts: Vec<(String, SortOptions)>,
}

impl Grouped {
    /// Returns about how much memory it keeps.
    pub(crate) fn bytes(&self) -> u64 {
        let paths = self.whole.paths.iter().flat_map(|paths| &paths.columns);
        let arrays = self.whole.columns.iter().map(|(_, array)| array).chain(paths);
        let arrays: usize = arrays.map(|array| array.get_array_memory_size()).sum();
        let keys: usize = self.keys.iter().map(|key| size_of_val(key) + key.capacity()).sum();
        (arrays + keys) as u64
    }

    /// Computes a view that is grouped, split, or both.
    pub(crate) async fn compute(
        reader: &TableReader,
        config: &ViewConfig,
        columns: &Columns,
        condition: Option<&str>,
    ) -> Result<Self, LiveError> {
        let shown = columns.shown(config)?;
        let parts = Parts::new(config, columns, &shown, condition)?;
        let batch = reader.run(parts.rows_sql()).await?;
        check_count(batch.num_rows(), MAX_GROUPS, "groups")?;
        let batch = parts.filled(batch)?;
        let tree = Tree::new(&parts, &batch)?;
        let levels = parts.groups.len();
        let path_columns = parts.groups.iter().enumerate().map(|(level, column)| {
            show(&take(batch.column(level), &tree.rows, None)?, key_shape(column), reader)
        });
        let path_columns = path_columns.collect::<Result<Vec<_>, LiveError>>()?;
        let (window_columns, column_paths) = if parts.splits.is_empty() {
            let values = batch.columns().iter().skip(2 * levels);
            let values = values.zip(&shown).map(|(array, column)| {
                let shape = parts.value_shape(column, array.data_type());
                Ok((column.name.clone(), show(&take(array, &tree.rows, None)?, shape, reader)?))
            });
            let values = values.collect::<Result<Vec<_>, LiveError>>()?;
            let paths = values.iter().map(|(name, _)| vec![name.clone()]).collect();
            (values, paths)
        } else {
            let batch = reader.run(parts.cells_sql()).await?;
            check_count(batch.num_rows(), 4 * MAX_GROUPS, "groups")?;
            let (window, paths) = parts.split(&batch, &tree, &shown, reader)?;
            (window.columns, paths)
        };
        let names = config.group_by.clone();
        let paths = Paths { names, columns: path_columns, depths: tree.depths };
        let whole = Window {
            rows: tree.rows.len(),
            columns: window_columns,
            paths: (!parts.groups.is_empty()).then_some(paths),
        };
        Ok(Self { whole, keys: tree.keys, column_paths })
    }

    /// Returns the minimum and the maximum of a column among the innermost groups.
    pub(crate) fn min_max(&self, name: &str) -> Result<(Scalar, Scalar), LiveError> {
        let columns = self.whole.columns.iter().map(|(name, array)| (name.as_str(), array));
        let paths = self.whole.paths.iter();
        let keys = paths.flat_map(|it| it.names.iter().map(String::as_str).zip(&it.columns));
        let found = columns.chain(keys).find(|(column, _)| *column == name);
        let (_, array) = found.ok_or_else(|| LiveError::no_column(name))?;
        let deepest = self.whole.paths.as_ref().and_then(|it| it.depths.iter().max().copied());
        let is_inner = |row: usize| match (&self.whole.paths, deepest) {
            (Some(paths), Some(deepest)) => paths.depths[row] == deepest,
            _ => true,
        };
        let inner = UInt32Array::from_iter_values(
            (0..self.whole.rows)
                .filter(|&row| is_inner(row) && array.is_valid(row))
                .map(|row| row as u32),
        );
        let inner = take(array, &inner, None)?;
        let order = sort_to_indices(&inner, None, None)?;
        let (Some(first), Some(last)) = (order.values().first(), order.values().last()) else {
            let null = Scalar::from(ScalarValue::Null(0));
            return Ok((null.clone(), null));
        };
        let cells = Cells::of(&inner);
        Ok((cells.scalar(*first as usize), cells.scalar(*last as usize)))
    }
}

fn check_count(count: usize, most: usize, of_what: &str) -> Result<(), LiveError> {
    if count > most {
        return Err(LiveError::refused(format!(
            "the view has more than {most} {of_what}; group by something coarser, or filter"
        )));
    }
    Ok(())
}

/// Returns the shape of the values by which rows are grouped.
fn key_shape(column: &Column) -> Shape {
    match column.shape {
        Shape::Media | Shape::Mixed | Shape::Other => Shape::Text,
        shape => shape,
    }
}

impl<'a> Parts<'a> {
    fn new(
        config: &'a ViewConfig,
        columns: &'a Columns,
        shown: &'a [Column],
        condition: Option<&str>,
    ) -> Result<Self, LiveError> {
        let find = |names: &'a [String]| -> Result<Vec<&'a Column>, LiveError> {
            names.iter().map(|name| Column::find(&columns.all, name)).collect()
        };
        let groups =
            if config.rollup == Rollup::Total { Vec::new() } else { find(&config.group_by)? };
        let splits = find(&config.split_by)?;
        let mut inner = vec![format!("{} AS pos", columns.position)];
        inner.extend(groups.iter().enumerate().map(|(i, it)| format!("{} AS g{i}", it.key())));
        inner.extend(splits.iter().enumerate().map(|(i, it)| format!("{} AS p{i}", it.key())));
        let mut arguments = 0;
        let mut value = |inner: &mut Vec<String>, column: &Column| {
            let name = format!("v{arguments}");
            arguments += 1;
            inner.push(format!("{} AS {name}", column.value()));
            name
        };
        let mut put_together = |column: &Column| -> Result<String, LiveError> {
            let how = config.aggregates.get(&column.name).map(Vec::as_slice).unwrap_or_default();
            let with = how.iter().skip(1).map(|name| Column::find(&columns.all, name));
            let with = with.collect::<Result<Vec<_>, _>>()?;
            let own = column.renamed(value(&mut inner, column));
            let with: Vec<Column> =
                with.into_iter().map(|it| it.renamed(value(&mut inner, it))).collect();
            Ok(aggregate(how.first().map(String::as_str), &own, &with)?.sql)
        };
        let values = shown.iter().map(&mut put_together).collect::<Result<Vec<_>, _>>()?;
        let mut sorts = Vec::new();
        for (name, op) in &config.sort {
            let Some((descending, is_absolute)) = sql::direction(*op) else { continue };
            let sql = put_together(Column::find(&columns.all, name)?)?;
            let sql = if is_absolute { format!("abs({sql})") } else { sql };
            sorts.push((sql, SortOptions { descending, nulls_first: !descending }));
        }
        let condition = condition.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        let from = format!("(SELECT {} FROM {}{condition})", inner.join(", "), columns.from);
        Ok(Self { config, groups, splits, from, values, sorts })
    }

    /// Adds the buckets of time that have no rows, if rows are grouped by such buckets alone.
    fn filled(&self, batch: RecordBatch) -> Result<RecordBatch, LiveError> {
        let [group] = &self.groups[..] else { return Ok(batch) };
        if self.config.rollup != Rollup::Flat {
            return Ok(batch);
        }
        let expression = self.config.expressions.get(&group.name);
        let Some(millis) = expression.and_then(|it| gaps::bucket_millis(it)) else {
            return Ok(batch);
        };
        let is_count = |place: usize| {
            let value = place.checked_sub(2).and_then(|i| self.values.get(i));
            self.splits.is_empty() && value.is_some_and(|sql| sql.starts_with("count("))
        };
        gaps::fill(&batch, millis, 1, is_count)
    }

    /// Returns the shape of a column's aggregated values.
    fn value_shape(&self, column: &Column, ty: &DataType) -> Shape {
        let how = self.config.aggregates.get(&column.name).and_then(|how| how.first());
        let predicted = aggregate(how.map(String::as_str), column, &[]).map(|it| it.shape);
        let is_inexact = predicted == Ok(Shape::Int { is_exact: false });
        let field = arrow::datatypes::Field::new("v", ty.clone(), true);
        Column::of(&field, is_inexact).shape
    }

    /// Returns the sets of columns by which rows are grouped.
    fn sets(&self, more: &[String]) -> String {
        let levels = self.groups.len();
        let depths = match self.config.rollup {
            Rollup::Levels => 0..=levels,
            Rollup::Flat | Rollup::Total => levels..=levels,
        };
        let sets = depths.map(|depth| {
            let keys = (0..depth).map(|level| format!("g{level}"));
            let keys: Vec<_> = keys.chain(more.iter().cloned()).collect();
            format!("({})", keys.join(", "))
        });
        sets.collect::<Vec<_>>().join(", ")
    }

    /// Returns the columns that identify groups: their values, and for each whether the level exists.
    fn keys(&self) -> Vec<String> {
        let levels = 0..self.groups.len();
        let values = levels.clone().map(|level| format!("g{level}"));
        let flags = levels.map(|level| match self.config.rollup {
            Rollup::Levels => format!("CAST(grouping(g{level}) AS BIGINT) AS d{level}"),
            Rollup::Flat | Rollup::Total => format!("CAST(0 AS BIGINT) AS d{level}"),
        });
        values.chain(flags).collect()
    }

    fn rows_sql(&self) -> String {
        let mut select = self.keys();
        if self.splits.is_empty() {
            select.extend(self.values.iter().enumerate().map(|(i, it)| format!("{it} AS a{i}")));
        }
        select.extend(self.sorts.iter().enumerate().map(|(i, (it, _))| format!("{it} AS s{i}")));
        if select.is_empty() {
            select.push("1 AS one".to_owned());
        }
        self.select(&select, &[], MAX_GROUPS)
    }

    fn cells_sql(&self) -> String {
        let splits: Vec<String> = (0..self.splits.len()).map(|i| format!("p{i}")).collect();
        let mut select = self.keys();
        select.extend(splits.iter().cloned());
        select.extend(self.values.iter().enumerate().map(|(i, it)| format!("{it} AS a{i}")));
        self.select(&select, &splits, 4 * MAX_GROUPS)
    }

    fn select(&self, select: &[String], more: &[String], most: usize) -> String {
        let (select, from, most) = (select.join(", "), &self.from, most + 1);
        if self.groups.is_empty() && more.is_empty() {
            return format!("SELECT {select} FROM {from}");
        }
        let sets = self.sets(more);
        format!("SELECT {select} FROM {from} GROUP BY GROUPING SETS ({sets}) LIMIT {most}")
    }

    /// Places the cells of split columns in their rows and columns.
    fn split(
        &self,
        batch: &RecordBatch,
        tree: &Tree,
        shown: &[Column],
        reader: &TableReader,
    ) -> Result<(Window, Vec<Vec<String>>), LiveError> {
        let levels = self.groups.len();
        let keys = path_keys(batch, levels)?;
        let split_columns = &batch.columns()[2 * levels..2 * levels + self.splits.len()];
        let split_paths = SplitPaths::new(split_columns, &self.splits, self.config, reader)?;
        check_count(split_paths.names.len() * shown.len().max(1), MAX_SPLIT_COLUMNS, "columns")?;
        let mut places = vec![vec![None; tree.rows.len()]; split_paths.names.len()];
        for (row, (key, path)) in keys.iter().zip(&split_paths.of_rows).enumerate() {
            if let Some(&place) = tree.places.get(key) {
                places[*path][place] = Some(row as u32);
            }
        }
        let (mut columns, mut paths) = (Vec::new(), Vec::new());
        for (names, places) in split_paths.names.iter().zip(places) {
            let places = UInt32Array::from(places);
            for (i, column) in shown.iter().enumerate() {
                let array = batch.column(2 * levels + self.splits.len() + i);
                let shape = self.value_shape(column, array.data_type());
                let mut path = names.clone();
                path.push(column.name.clone());
                let cells = show(&take(array, &places, None)?, shape, reader)?;
                columns.push((path.join("|"), cells));
                paths.push(path);
            }
        }
        Ok((Window { rows: tree.rows.len(), columns, paths: None }, paths))
    }
}

/// The distinct values, or combinations of values, by which columns are split.
pub(crate) struct SplitPaths {
    /// The values, in order.
    pub(crate) names: Vec<Vec<String>>,
    /// For each row, the index of its values.
    pub(crate) of_rows: Vec<usize>,
}

impl SplitPaths {
    pub(crate) fn new(
        arrays: &[ArrayRef],
        splits: &[&Column],
        config: &ViewConfig,
        reader: &TableReader,
    ) -> Result<Self, LiveError> {
        let fields = arrays.iter().map(|it| SortField::new(it.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let rows = converter.convert_columns(arrays)?;
        let mut order: Vec<usize> = (0..rows.num_rows()).collect();
        order.sort_by(|&a, &b| rows.row(a).cmp(&rows.row(b)));
        if config.sort.iter().any(|(_, op)| matches!(op, SortOp::ColDesc | SortOp::ColDescAbs)) {
            order.reverse();
        }
        let mut of_rows = vec![0; order.len()];
        let mut firsts: Vec<usize> = Vec::new();
        for row in order {
            if firsts.last().is_none_or(|&last| rows.row(last) != rows.row(row)) {
                firsts.push(row);
            }
            of_rows[row] = firsts.len() - 1;
        }
        let texts = arrays.iter().zip(splits).map(|(array, column)| {
            let first_rows = UInt32Array::from_iter_values(firsts.iter().map(|&row| row as u32));
            let array = take(array, &first_rows, None)?;
            let array = match key_shape(column) {
                Shape::Time | Shape::Date | Shape::Bool | Shape::Text | Shape::Int { .. } => {
                    cast(&array, &DataType::Utf8View)?
                }
                shape => show(&array, shape, reader)?,
            };
            Ok(array)
        });
        let texts = texts.collect::<Result<Vec<ArrayRef>, LiveError>>()?;
        let text = |array: &ArrayRef, row: usize| -> String {
            if array.is_null(row) {
                return "null".to_owned();
            }
            match array.as_string_view_opt() {
                Some(texts) => texts.value(row).to_owned(),
                None => match Cells::of(array).scalar(row).value {
                    Some(ScalarValue::Float(x)) => x.to_string(),
                    _ => String::new(),
                },
            }
        };
        let name = |row: usize| texts.iter().map(|array| text(array, row)).collect();
        Ok(Self { names: (0..firsts.len()).map(name).collect(), of_rows })
    }
}

/// Groups in the order in which they are shown.
struct Tree {
    /// For each group, its row in the result.
    rows: UInt32Array,
    depths: Vec<usize>,
    keys: Vec<Vec<u8>>,
    /// The index of each group, by its key.
    places: HashMap<Vec<u8>, usize>,
}

impl Tree {
    fn new(parts: &Parts<'_>, batch: &RecordBatch) -> Result<Self, LiveError> {
        let levels = parts.groups.len();
        let keys = path_keys(batch, levels)?;
        let depths = depths(batch, levels);
        let sort_columns = &batch.columns()[batch.num_columns() - parts.sorts.len()..];
        let fields = sort_columns
            .iter()
            .zip(&parts.sorts)
            .map(|(it, (_, options))| SortField::new_with_options(it.data_type().clone(), *options))
            .collect();
        let sort_rows = match parts.sorts.is_empty() {
            true => None,
            false => Some(RowConverter::new(fields)?.convert_columns(sort_columns)?),
        };
        let mut order: Vec<usize> = (0..keys.len()).collect();
        let compare = |&a: &usize, &b: &usize| {
            let sorted = sort_rows.as_ref().map(|rows| rows.row(a).cmp(&rows.row(b)));
            sorted.unwrap_or(std::cmp::Ordering::Equal).then_with(|| keys[a].cmp(&keys[b]))
        };
        if parts.config.rollup == Rollup::Levels && levels > 0 {
            order = tree_order(&keys, &depths, compare);
        } else {
            order.sort_by(compare);
        }
        let depths = order.iter().map(|&row| depths[row]).collect();
        let keys: Vec<Vec<u8>> = order.iter().map(|&row| keys[row].clone()).collect();
        let places = keys.iter().enumerate().map(|(place, key)| (key.clone(), place)).collect();
        let rows = UInt32Array::from_iter_values(order.iter().map(|&row| row as u32));
        Ok(Self { rows, depths, keys, places })
    }
}

/// Orders groups so that each directly precedes the groups in it.
fn tree_order(
    keys: &[Vec<u8>],
    depths: &[usize],
    mut compare: impl FnMut(&usize, &usize) -> std::cmp::Ordering,
) -> Vec<usize> {
    let mut rows: HashMap<&[u8], usize> = HashMap::with_capacity(keys.len());
    for (row, key) in keys.iter().enumerate() {
        rows.insert(key, row);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
    let mut stack = Vec::new();
    for (row, key) in keys.iter().enumerate() {
        match parent_key(key).and_then(|key| rows.get(key)) {
            Some(&parent) if depths[row] > 0 => children[parent].push(row),
            _ => stack.push(row),
        }
    }
    let mut order = Vec::with_capacity(keys.len());
    stack.sort_by(|a, b| compare(b, a));
    while let Some(row) = stack.pop() {
        order.push(row);
        let mut next = std::mem::take(&mut children[row]);
        next.sort_by(|a, b| compare(b, a));
        stack.extend(next);
    }
    order
}

fn depths(batch: &RecordBatch, levels: usize) -> Vec<usize> {
    let flags: Vec<_> = batch.columns()[levels..2 * levels]
        .iter()
        .map(|it| it.as_primitive::<Int64Type>())
        .collect();
    let depth = |row| flags.iter().filter(|flags| flags.value(row) == 0).count();
    (0..batch.num_rows()).map(depth).collect()
}

/// Returns the key of each group, such that sibling groups are ordered by their keys as by their
/// values: for each level its value, and the value's length.
fn path_keys(batch: &RecordBatch, levels: usize) -> Result<Vec<Vec<u8>>, LiveError> {
    let rows = batch.columns()[..levels].iter().map(|array| {
        let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
        Ok(converter.convert_columns(std::slice::from_ref(array))?)
    });
    let rows = rows.collect::<Result<Vec<_>, LiveError>>()?;
    let depths = depths(batch, levels);
    let key = |row: usize| {
        let mut key = Vec::new();
        for values in rows.iter().take(depths[row]) {
            let value = values.row(row);
            key.extend_from_slice(value.as_ref());
            key.extend_from_slice(&(value.as_ref().len() as u32).to_be_bytes());
        }
        key
    };
    Ok((0..batch.num_rows()).map(key).collect())
}

/// Returns the key of the enclosing group.
pub(crate) fn parent_key(key: &[u8]) -> Option<&[u8]> {
    let (rest, length) = key.split_last_chunk::<4>()?;
    rest.get(..rest.len().checked_sub(u32::from_be_bytes(*length) as usize)?)
}
