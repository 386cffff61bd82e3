use proptest::prelude::*;
use streamtable_schema::{Row, Value};

use super::{column_name, columns, rows_of};

/// Rows that a table with strict columns accepts, and one that it refuses after them.
#[derive(Clone, Debug)]
pub struct Misfit {
    /// The accepted rows; at least one.
    pub rows: Vec<Row>,
    /// The refused row.
    pub row: Row,
    /// The column in the error.
    pub column: String,
    /// The fault of the row.
    pub mutation: Mutation,
}

/// How a valid row was made invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// It lacks a column.
    Missing,
    /// It has a column that the table does not have.
    Extra,
    /// It has a column twice.
    Duplicate,
}

/// Tables with a row that they refuse.
pub fn misfit() -> impl Strategy<Value = Misfit> {
    let mutation =
        prop::sample::select(vec![Mutation::Missing, Mutation::Extra, Mutation::Duplicate]);
    let rows = columns().prop_flat_map(|columns| rows_of(&columns, 2..6));
    (rows, mutation, any::<prop::sample::Index>(), column_name()).prop_filter_map(
        "the extra column is one of the table's",
        |(mut rows, mutation, index, extra)| {
            let good = rows.pop()?;
            if good.get(&extra).is_some() {
                return None;
            }
            let (column, row) = spoil(good, mutation, index, extra);
            Some(Misfit { rows, row, column, mutation })
        },
    )
}

fn spoil(row: Row, mutation: Mutation, index: prop::sample::Index, extra: String) -> (String, Row) {
    let names: Vec<String> = row.cells().map(|(name, _)| name.to_owned()).collect();
    let at = index.index(names.len());
    let mut cells: Vec<_> = row.into_iter().collect();
    let column = match mutation {
        Mutation::Missing => {
            cells.remove(at);
            names[at].clone()
        }
        Mutation::Extra => {
            cells.insert(at, (extra.clone().into(), Value::Null));
            extra
        }
        Mutation::Duplicate => {
            let (name, value) = cells[at].clone();
            // At the end, so that all cells before it fit.
            cells.push((name, value));
            names[at].clone()
        }
    };
    (column, cells.into_iter().collect())
}
