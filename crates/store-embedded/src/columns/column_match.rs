//! Checks whether a row fits its table.

use streamtable_schema::{
    ColumnPolicy, MAX_COLUMNS, Row, SchemaError, TIMESTAMP_COLUMN, Type, Value, check_row_time,
    is_row_time,
};

use super::slot::is_exact;
use super::{Columns, FirstSeen};

/// A column whose type has more parts than this is no longer widened: rows are still taken, and the
/// type is less precise than it could be. Otherwise rows with ever new keys would cost more and
/// more.
const MAX_TYPE_PARTS: usize = 2_000;

/// The column of each cell of a row, and the changes that the row makes to the columns. Reused to
/// avoid allocations.
#[derive(Debug, Default)]
pub(crate) struct ColumnMatch {
    /// The column of each cell, in the row's order. Columns that the row adds are numbered after
    /// the existing ones.
    places: Vec<usize>,
    seen: Vec<u64>,
    widened: Vec<(usize, Type)>,
    added: Vec<(String, Type)>,
    /// Columns that get their first integer that a float cannot hold.
    inexact: Vec<usize>,
}

impl Columns {
    /// Finds the column of each cell of a row, or the reason to reject the row. Changes nothing.
    pub(crate) fn fit(
        &self,
        row: &Row,
        policy: ColumnPolicy,
        fit: &mut ColumnMatch,
    ) -> Result<(), SchemaError> {
        fit.places.clear();
        fit.widened.clear();
        fit.added.clear();
        fit.inexact.clear();
        fit.seen.clear();
        fit.seen.resize(self.len().div_ceil(64), 0);
        let is_strict = policy == ColumnPolicy::Strict;
        let mut next = 0;
        for (name, value) in row.cells() {
            let ty = Type::of(value);
            let Some(i) = self.find(name, next) else {
                let place = self.len() + fit.added.len();
                fit.places.push(place);
                self.fit_new(name, ty, is_strict, fit)?;
                if is_inexact(value) {
                    fit.inexact.push(place);
                }
                continue;
            };
            if std::mem::replace(&mut next, i + 1) > i && fit.has(i) {
                return Err(SchemaError::DuplicateColumn { column: name.to_owned() });
            }
            fit.seen[i / 64] |= 1 << (i % 64);
            fit.places.push(i);
            if is_inexact(value) && !self.columns[i].has_inexact {
                fit.inexact.push(i);
            }
            let held = &self.columns[i].ty;
            if !held.includes(&ty) {
                if is_strict {
                    check_row_time(name, held, &ty)?;
                }
                let wider = held.unite(&ty);
                if parts(&wider) <= MAX_TYPE_PARTS || parts(&wider) <= parts(held) {
                    fit.widened.push((i, wider));
                }
            }
        }
        if is_strict { self.check_whole(fit) } else { Ok(()) }
    }

    fn fit_new(
        &self,
        name: &str,
        ty: Type,
        is_strict: bool,
        fit: &mut ColumnMatch,
    ) -> Result<(), SchemaError> {
        if is_strict && self.len() > 0 && !is_row_time(name, &ty) {
            return Err(SchemaError::ExtraColumn { column: name.to_owned() });
        }
        if fit.added.iter().any(|(added, _)| added == name) {
            return Err(SchemaError::DuplicateColumn { column: name.to_owned() });
        }
        if self.len() + fit.added.len() >= MAX_COLUMNS {
            let (column, limit) = (name.to_owned(), MAX_COLUMNS);
            return Err(SchemaError::TooManyColumns { column, limit });
        }
        fit.added.push((name.to_owned(), ty));
        Ok(())
    }

    fn check_whole(&self, fit: &ColumnMatch) -> Result<(), SchemaError> {
        if self.len() == 0 && fit.added.is_empty() {
            return Err(SchemaError::EmptyRow);
        }
        let mut missing = self.columns.iter().enumerate().filter(|(i, _)| !fit.has(*i));
        match missing.find(|(_, column)| !column.is_row_time()) {
            Some((_, column)) => {
                Err(SchemaError::MissingColumn { column: column.name.to_string() })
            }
            None => Ok(()),
        }
    }

    /// Applies the changes of a row that [`fit`](Self::fit) accepted.
    pub(crate) fn grow(&mut self, fit: &mut ColumnMatch, seen: FirstSeen) {
        for (column, ty) in fit.widened.drain(..) {
            let ty = self.with_earlier_times(column, ty, seen);
            self.widen(column, ty, seen);
        }
        for (name, ty) in fit.added.drain(..) {
            if name != TIMESTAMP_COLUMN || is_row_time(&name, &ty) || seen.position == 0 {
                self.add_column(&name, ty, seen);
                continue;
            }
            // The earlier rows have times.
            self.add_column(&name, Type::Timestamp, FirstSeen { position: 0, ..seen });
            let column = self.len() - 1;
            let ty = self.with_earlier_times(column, ty, seen);
            self.widen(column, ty, seen);
        }
        for column in fit.inexact.drain(..) {
            self.columns[column].has_inexact = true;
        }
    }
}

impl ColumnMatch {
    /// Returns the column of each cell, in the row's order.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Returns whether the row changes the columns.
    pub(crate) fn is_growth(&self) -> bool {
        !self.widened.is_empty() || !self.added.is_empty() || !self.inexact.is_empty()
    }

    fn has(&self, column: usize) -> bool {
        self.seen[column / 64] & (1 << (column % 64)) != 0
    }
}

fn is_inexact(value: &Value) -> bool {
    matches!(value, Value::Int(n) if !is_exact(*n))
}

/// Returns the number of types that a type consists of.
fn parts(ty: &Type) -> usize {
    1 + match ty {
        Type::List(element) => parts(element),
        Type::Struct(fields) => fields.iter().map(|(_, ty)| parts(ty)).sum(),
        Type::Union(union) => union.members().iter().map(parts).sum(),
        _ => 0,
    }
}
