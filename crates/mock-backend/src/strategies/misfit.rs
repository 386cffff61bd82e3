use proptest::prelude::*;
use streamtable_schema::{ColumnPolicy, Row, Schema, Type, Value};

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
    /// It has a list or struct in a column of single values, or the reverse.
    Clash,
}

/// Tables with a row that they refuse.
pub fn misfit() -> impl Strategy<Value = Misfit> {
    let mutation = prop::sample::select(vec![
        Mutation::Missing,
        Mutation::Extra,
        Mutation::Duplicate,
        Mutation::Clash,
    ]);
    let rows = columns().prop_flat_map(|columns| rows_of(&columns, 2..6));
    (rows, mutation, any::<prop::sample::Index>(), column_name()).prop_filter_map(
        "the extra column is one of the table's",
        |(mut rows, mutation, index, extra)| {
            let good = rows.pop()?;
            if good.get(&extra).is_some() {
                return None;
            }
            let (mutation, column, row) = spoil(&rows, good, mutation, index, extra);
            Some(Misfit { rows, row, column, mutation })
        },
    )
}

fn spoil(
    rows: &[Row],
    row: Row,
    mutation: Mutation,
    index: prop::sample::Index,
    extra: String,
) -> (Mutation, String, Row) {
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
        Mutation::Clash => {
            let clash = (0..names.len()).map(|i| (at + i) % names.len());
            let clash = clash.filter_map(|i| Some((i, clash_with(rows, &names[i])?))).next();
            let Some((at, value)) = clash else {
                // So far the column has only nulls, which match every type.
                return spoil(rows, cells.into_iter().collect(), Mutation::Extra, index, extra);
            };
            cells[at].1 = value;
            names[at].clone()
        }
    };
    (mutation, column, cells.into_iter().collect())
}

/// Returns a value that does not match a column, if there is one.
fn clash_with(rows: &[Row], column: &str) -> Option<Value> {
    let mut schema = Schema::new(ColumnPolicy::Strict);
    for row in rows {
        schema.admit(row).ok()?;
    }
    let held = schema.column(column)?.ty.members().iter().find(|member| **member != Type::Null)?;
    Some(match held {
        Type::List(_) => Value::Struct(Row::new()),
        Type::Struct(_) => Value::from(7),
        _ => Value::List(Vec::new()),
    })
}
