//! Mixed columns: those whose cells hold values of several kinds.
//!
//! In SQL such a column is a struct with a part for each kind, of which at most one is not null.
//! Queries need not know: each use of a cell takes the part that fits, by the table of
//! [`rules`], so that a query on numbers gives the same result after a text was logged.

mod accepting;
mod cells;
mod functions;
mod in_place;
mod nested;
mod part;
mod planning;
mod resolve;
mod rules;
mod unnest;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use parking_lot::Mutex;
use streamtable_schema::{TablePath, Type};

use crate::columns::{Column, Columns};

pub(super) use nested::json_text;
pub(super) use part::Part;
pub(super) use planning::Operands;
pub(super) use resolve::resolve;
pub(super) use unnest::with_lists;

/// Facts about the columns of the tables that a query uses.
#[derive(Debug, Default)]
pub(super) struct KnownColumns {
    mixed: Mutex<Vec<MixedColumn>>,
    /// The columns of lists and structs by their names; `None` if tables differ.
    nested: Mutex<HashMap<String, Option<NestedColumn>>>,
}

/// A column of lists and structs, and maybe of other values.
#[derive(Debug, PartialEq, Eq)]
struct NestedColumn {
    /// The type of its lists and structs.
    ty: Type,
    /// The Arrow type of its lists or structs.
    native: Option<DataType>,
}

/// A mixed column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MixedColumn {
    table: TablePath,
    name: String,
    parts: Vec<Part>,
    /// The position of the first row after which it was mixed.
    since: Option<u64>,
}

impl NestedColumn {
    fn of(column: &Column) -> Self {
        let ty = nested::containers(&column.ty);
        let native = nested::native_type_of(&ty, &column.slots);
        Self { ty, native }
    }
}

impl KnownColumns {
    /// Adds the columns of a table.
    pub(super) fn add(&self, table: &TablePath, columns: &Columns) {
        let (mut all, mut nested) = (self.mixed.lock(), self.nested.lock());
        for column in columns.iter() {
            let parts = Part::of_column(column);
            if parts.contains(&Part::Json) {
                let own = NestedColumn::of(column);
                match nested.entry(column.name.to_string()) {
                    Entry::Vacant(new) => {
                        new.insert(Some(own));
                    }
                    Entry::Occupied(mut held) => {
                        if held.get().as_ref() != Some(&own) {
                            held.insert(None);
                        }
                    }
                }
            }
            if parts.len() < 2 || all.iter().any(|it| it.table == *table && it.name == *column.name)
            {
                continue;
            }
            let is_mixed = |ty| Part::of_type(ty).len() > 1;
            let since = column.history.iter().find(|seen| is_mixed(&seen.ty));
            all.push(MixedColumn {
                table: table.clone(),
                name: column.name.to_string(),
                parts,
                since: since.map(|seen| seen.position),
            });
        }
    }

    /// Returns whether a table has a mixed column.
    pub(super) fn has_mixed(&self) -> bool {
        !self.mixed.lock().is_empty()
    }

    /// Returns whether a table has a column of lists or structs.
    pub(super) fn has_nested(&self) -> bool {
        !self.nested.lock().is_empty()
    }

    /// Returns the Arrow type of a column of lists or structs.
    fn native(&self, column: &str) -> Option<DataType> {
        self.nested.lock().get(column)?.as_ref()?.native.clone()
    }

    /// Returns the type of the field at a path in a column of structs.
    fn type_at(&self, column: &str, path: &[&str]) -> Option<Type> {
        nested::type_at(&self.nested.lock().get(column)?.as_ref()?.ty, path)
    }

    /// Returns a description of each mixed column whose name is in a text.
    pub(super) fn named_in(&self, text: &str) -> Vec<String> {
        let all = self.mixed.lock();
        all.iter().filter(|column| text.contains(&column.name)).map(MixedColumn::describe).collect()
    }
}

impl MixedColumn {
    fn describe(&self) -> String {
        let Self { table, name, parts, since } = self;
        let since = since.map(|row| format!(" since row {row}")).unwrap_or_default();
        let part = |part: &Part| format!("\"{name}\"['{}'] for its {}", part.name(), part.plural());
        let each: Vec<String> = parts.iter().map(part).collect();
        let held = part::in_words(parts);
        format!("the column {name:?} of {table} holds {held}{since}: write {}", each.join(" or "))
    }
}

/// Lets a session plan queries on mixed columns, and on columns of lists.
pub(super) fn accept(state: &mut SessionState, known: &Arc<KnownColumns>) -> Result<()> {
    accepting::accept_mixed(state, known)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;
    use crate::query::costs;

    #[test]
    fn each_function_has_a_rule() {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        datafusion_functions_json::register_all(&mut state).unwrap();
        let scalars = state.scalar_functions().values().map(|it| it.name());
        let scalars = scalars.filter(|name| costs::scalar(name).is_some());
        let without = scalars.filter(|name| functions::scalar(name, 0).is_none());
        assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
        let aggregates = state.aggregate_functions().values().map(|it| it.name());
        let windows = state.window_functions().values().map(|it| it.name());
        let without = aggregates.chain(windows).filter(|name| functions::set(name, 0).is_none());
        assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
    }
}
