//! A table's columns, and the check of rows against them.

mod serde;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{Row, SchemaError, Type, Value, ValueError, is_row_time};

/// Maximum number of columns in a table.
pub const MAX_COLUMNS: usize = 10_000;

/// Whether rows may add or omit columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnPolicy {
    /// After the first row, every row must have exactly the table's columns; other rows are
    /// refused. The time of a row is [no column](crate::is_row_time).
    #[default]
    Strict,
    /// New columns are appended to the table, and missing columns are null.
    Evolve,
}

impl ColumnPolicy {
    /// Returns the policy's lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Evolve => "evolve",
        }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: Arc<str>,
    /// The union of the types of all cells so far. A row without this column, which
    /// [`ColumnPolicy::Evolve`] allows, does not make the type optional.
    pub ty: Type,
}

/// The columns of a table, always in the order in which they were first seen.
///
/// ```
/// use streamtable_schema::{ColumnPolicy, Schema, row};
///
/// let mut schema = Schema::new(ColumnPolicy::Strict);
/// schema.admit(&row! { "path" => "/", "ms" => 7 })?;
/// schema.admit(&row! { "ms" => 7.5, "path" => "/a" })?;
///
/// let error = schema.admit(&row! { "path" => "/" }).unwrap_err();
/// assert_eq!(error.column(), Some("ms"));
/// assert_eq!(schema.to_string(), "path: string, ms: float");
/// # Ok::<(), streamtable_schema::SchemaError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Schema {
    policy: ColumnPolicy,
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, usize>,
}

/// Compares the columns and their order; the policy is ignored.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
    }
}

impl Schema {
    /// Makes a schema without columns.
    pub fn new(policy: ColumnPolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Makes a schema from the existing columns of a table. A duplicate name becomes one column
    /// with the union of its types.
    pub fn with_columns<N: AsRef<str>>(
        policy: ColumnPolicy,
        columns: impl IntoIterator<Item = (N, Type)>,
    ) -> Self {
        let mut schema = Self::new(policy);
        for (name, ty) in columns {
            match schema.by_name.get(name.as_ref()) {
                Some(&i) => schema.columns[i].ty = schema.columns[i].ty.unite(&ty),
                None => schema.add(name.as_ref().into(), ty),
            }
        }
        schema
    }

    /// Returns the columns of both schemas, with the union of the types of those that both have, and
    /// with the policy of this one. The columns of `other` alone come last.
    #[must_use]
    pub fn unite(&self, other: &Self) -> Self {
        let columns = self.columns.iter().chain(&other.columns);
        Self::with_columns(self.policy, columns.map(|c| (&*c.name, c.ty.clone())))
    }

    /// Returns the policy for rows that add or omit columns.
    pub fn policy(&self) -> ColumnPolicy {
        self.policy
    }

    /// Returns the columns in their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the column with this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.by_name.get(name).map(|&i| &self.columns[i])
    }

    /// Accepts a row and updates the columns, or refuses it and changes nothing.
    pub fn admit(&mut self, row: &Row) -> Result<(), SchemaError> {
        let mut change = Change::default();
        let mut check = self.check(&mut change);
        for (name, value) in row.cells() {
            validate(name, value)?;
            let ty = Type::of(value);
            check.cell(name, &ty)?;
        }
        check.finish()?;
        self.apply(&mut change);
        Ok(())
    }

    /// Adds the columns of a type whose rows will follow, or refuses them and changes nothing.
    ///
    /// The columns are checked like the cells of a row.
    pub fn admit_columns<N: AsRef<str>>(
        &mut self,
        columns: impl IntoIterator<Item = (N, Type)>,
    ) -> Result<(), SchemaError> {
        let mut change = Change::default();
        let mut check = self.check(&mut change);
        for (name, ty) in columns {
            check.cell(name.as_ref(), &ty)?;
        }
        check.finish()?;
        self.apply(&mut change);
        Ok(())
    }

    /// Starts a check of a row whose cells arrive one by one.
    ///
    /// The check records in `change` what the row would add, after clearing it. Reuse one `Change`
    /// for many rows to avoid allocations.
    pub fn check<'a>(&'a self, change: &'a mut Change) -> RowCheck<'a> {
        change.clear();
        change.seen.resize(self.columns.len().div_ceil(64), 0);
        RowCheck { schema: self, change, next: 0, count: 0, is_finished: false }
    }

    /// Applies the change that a finished check of this schema recorded, and clears it.
    ///
    /// The schema must not have changed since that check.
    pub fn apply(&mut self, change: &mut Change) {
        for (i, ty) in change.widened.drain(..) {
            self.columns[i].ty = ty;
        }
        for (name, ty) in change.added.drain(..) {
            self.add(name, ty);
        }
    }

    fn add(&mut self, name: Arc<str>, ty: Type) {
        self.by_name.insert(Arc::clone(&name), self.columns.len());
        self.columns.push(Column { name, ty });
    }

    /// Finds a column by name. Tries `hint` first, because rows usually have the table's order.
    fn find(&self, name: &str, hint: usize) -> Option<usize> {
        match self.columns.get(hint) {
            Some(column) if *column.name == *name => Some(hint),
            _ => self.by_name.get(name).copied(),
        }
    }
}

impl std::fmt::Display for Schema {
    /// Writes the columns as `name: type`, separated by commas.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, Column { name, ty }) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {ty}")?;
        }
        Ok(())
    }
}

/// The changes that a row would make to a schema: new columns, and wider types of existing columns.
#[derive(Debug, Default)]
pub struct Change {
    seen: Vec<u64>,
    widened: Vec<(usize, Type)>,
    added: Vec<(Arc<str>, Type)>,
    /// The names of `added`.
    names: HashSet<Arc<str>>,
}

impl Change {
    /// Returns whether the row changes nothing.
    pub fn is_empty(&self) -> bool {
        self.widened.is_empty() && self.added.is_empty()
    }

    fn clear(&mut self) {
        self.seen.clear();
        self.widened.clear();
        self.added.clear();
        self.names.clear();
    }
}

/// A check of one row, cell by cell.
///
/// If a check is dropped before [`finish`](Self::finish), or `finish` fails, its [`Change`] is
/// left empty.
#[derive(Debug)]
pub struct RowCheck<'a> {
    schema: &'a Schema,
    change: &'a mut Change,
    next: usize,
    count: usize,
    is_finished: bool,
}

impl RowCheck<'_> {
    /// Checks the row's next cell and returns its column number. Columns that the row adds are
    /// numbered after the existing ones.
    pub fn cell(&mut self, name: &str, ty: &Type) -> Result<usize, SchemaError> {
        let Some(i) = self.schema.find(name, self.next) else {
            return self.new_column(name, ty);
        };
        self.see(i)?;
        let held = &self.schema.columns[i].ty;
        if !held.includes(ty) {
            if self.schema.policy == ColumnPolicy::Strict {
                check_row_time(name, held, ty)?;
            }
            self.change.widened.push((i, held.unite(ty)));
        }
        Ok(i)
    }

    /// Checks a cell whose name and type this schema has accepted before. `column` is the number
    /// that [`cell`](Self::cell) returned for a row that was then applied. A schema only grows, so
    /// the column still accepts the cell, and no lookup is needed.
    ///
    /// # Panics
    ///
    /// If there is no such column.
    pub fn known_cell(&mut self, column: usize) -> Result<(), SchemaError> {
        assert!(column < self.schema.columns.len(), "there is no column {column}");
        self.see(column)
    }

    fn see(&mut self, i: usize) -> Result<(), SchemaError> {
        let (word, bit) = (i / 64, 1 << (i % 64));
        if self.change.seen[word] & bit != 0 {
            let column = self.schema.columns[i].name.to_string();
            return Err(SchemaError::DuplicateColumn { column });
        }
        self.change.seen[word] |= bit;
        self.next = i + 1;
        self.count += 1;
        Ok(())
    }

    /// Completes the check after the last cell.
    ///
    /// The `Change` given to the check then holds the row's changes, for [`Schema::apply`].
    pub fn finish(mut self) -> Result<(), SchemaError> {
        if self.schema.policy == ColumnPolicy::Strict {
            self.check_whole()?;
        }
        self.is_finished = true;
        Ok(())
    }

    fn check_whole(&self) -> Result<(), SchemaError> {
        let (columns, change) = (&self.schema.columns, &self.change);
        if columns.is_empty() && change.added.is_empty() {
            return Err(SchemaError::EmptyRow);
        }
        if self.count == columns.len() {
            return Ok(());
        }
        let is_missing = |i: usize| change.seen[i / 64] & (1 << (i % 64)) == 0;
        let mut missing = columns.iter().enumerate().filter(|(i, _)| is_missing(*i));
        match missing.find(|(_, column)| !is_row_time(&column.name, &column.ty)) {
            Some((_, column)) => {
                Err(SchemaError::MissingColumn { column: column.name.to_string() })
            }
            None => Ok(()),
        }
    }

    fn new_column(&mut self, name: &str, ty: &Type) -> Result<usize, SchemaError> {
        let is_strict = self.schema.policy == ColumnPolicy::Strict;
        if is_strict && !self.schema.columns.is_empty() && !is_row_time(name, ty) {
            return Err(SchemaError::ExtraColumn { column: name.to_owned() });
        }
        let name: Arc<str> = name.into();
        if !self.change.names.insert(Arc::clone(&name)) {
            return Err(SchemaError::DuplicateColumn { column: name.to_string() });
        }
        let number = self.schema.columns.len() + self.change.added.len();
        if number >= MAX_COLUMNS {
            let (column, limit) = (name.to_string(), MAX_COLUMNS);
            return Err(SchemaError::TooManyColumns { column, limit });
        }
        self.change.added.push((name, ty.clone()));
        Ok(number)
    }
}

impl Drop for RowCheck<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.change.clear();
        }
    }
}

/// Refuses a value that would turn the times of a table's rows into a column. A row without a time
/// would lack that column.
pub fn check_row_time(column: &str, held: &Type, came: &Type) -> Result<(), SchemaError> {
    let is_time = is_row_time(column, held) && held.members().contains(&Type::Timestamp);
    if !is_time || is_row_time(column, came) {
        return Ok(());
    }
    let (column, held, came) = (column.to_owned(), Type::Timestamp, came.clone());
    Err(SchemaError::Mismatch { column, held, came })
}

/// Checks what a type does not express: depth, integer range and duplicate fields.
fn validate(column: &str, value: &Value) -> Result<(), SchemaError> {
    fn visit(value: &Value, room: usize) -> Result<(), ValueError> {
        match value {
            Value::Int(n) if i64::try_from(*n).is_err() => {
                Err(ValueError::IntegerRange { value: n.to_string() })
            }
            Value::List(_) | Value::Struct(_) if room == 0 => Err(ValueError::too_deep()),
            Value::List(items) => items.iter().try_for_each(|item| visit(item, room - 1)),
            Value::Struct(row) => {
                if let Some(name) = duplicate(row) {
                    return Err(ValueError::DuplicateField { name: name.to_owned() });
                }
                row.cells().try_for_each(|(_, value)| visit(value, room - 1))
            }
            _ => Ok(()),
        }
    }
    visit(value, crate::MAX_DEPTH)
        .map_err(|error| SchemaError::Value { column: column.to_owned(), error })
}

fn duplicate(row: &Row) -> Option<&str> {
    let mut names: Vec<&str> = row.cells().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]))
}
