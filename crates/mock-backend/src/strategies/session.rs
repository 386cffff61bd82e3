use std::time::Duration;

use proptest::prelude::*;
use streamtable_schema::Row;

use super::{columns, row_of};

/// An operation of a program on an open table.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Logs rows in one call.
    Log(Vec<Row>),
    /// Waits until all logged rows are stored.
    Flush,
    /// Pauses for less than a second.
    Wait(Duration),
    /// Closes the table. It is the last operation.
    Finish,
}

/// The operations of a program on a table: up to `most` steps, whose rows fit one table, then
/// [`Op::Finish`].
pub fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    columns().prop_flat_map(move |columns| {
        let log = prop::collection::vec(row_of(&columns), 0..6).prop_map(Op::Log);
        let wait = prop_oneof![0..20_u64, 0..1_000_u64];
        let op = prop_oneof![
            6 => log.boxed(),
            1 => Just(Op::Flush).boxed(),
            2 => wait.prop_map(|millis| Op::Wait(Duration::from_millis(millis))).boxed(),
        ];
        prop::collection::vec(op, 0..=most).prop_map(|mut ops| {
            ops.push(Op::Finish);
            ops
        })
    })
}
