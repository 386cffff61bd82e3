use std::ops::Range;

use proptest::prelude::*;
use streamtable_schema::{Row, Type};

use super::{column_name, types, value_of};

/// The columns of a table: distinct names with their types.
pub fn columns() -> impl Strategy<Value = Vec<(String, Type)>> {
    prop::collection::btree_map(column_name(), types(), 1..5)
        .prop_map(|columns| columns.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

/// Rows with these columns, in any order.
pub fn row_of(columns: &[(String, Type)]) -> impl Strategy<Value = Row> + use<> {
    let cells: Vec<_> = columns
        .iter()
        .map(|(name, ty)| {
            let name = name.clone();
            value_of(ty).prop_map(move |value| (name.clone(), value))
        })
        .collect();
    let shuffled = cells.clone().prop_shuffle();
    prop_oneof![3 => cells.boxed(), 1 => shuffled.boxed()]
        .prop_map(|cells| cells.into_iter().collect())
}

/// Any row.
pub fn row() -> impl Strategy<Value = Row> {
    columns().prop_flat_map(|columns| row_of(&columns))
}

/// `count` rows that one table with strict columns accepts.
pub fn rows(count: Range<usize>) -> impl Strategy<Value = Vec<Row>> {
    columns().prop_flat_map(move |columns| rows_of(&columns, count.clone()))
}

/// `count` rows with these columns.
pub fn rows_of(
    columns: &[(String, Type)],
    count: Range<usize>,
) -> impl Strategy<Value = Vec<Row>> + use<> {
    prop::collection::vec(row_of(columns), count)
}
