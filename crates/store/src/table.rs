//! What a store tells of its tables.

use streamtable_schema::{Row, TablePath, Timestamp, Type};

use crate::Problem;

/// A table in a list of tables.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSummary {
    /// Its name.
    pub path: TablePath,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they take, at rest and in memory.
    pub bytes: u64,
    /// When its first row came.
    pub created_at: Timestamp,
    /// When its last row came.
    pub last_write: Timestamp,
    /// What is wrong with it: damage that was found, rows that cannot be flushed.
    pub problems: Vec<Problem>,
}

/// What is known of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInfo {
    /// What a list of tables says.
    pub summary: TableSummary,
    /// One more than the position of its last row.
    pub end: u64,
    /// The user's columns in first-seen order, without what the server adds (`_writer`, `_line`).
    pub columns: Vec<ColumnInfo>,
    /// Whether rows came that count their steps (those of the present SDK).
    pub has_steps: bool,
    /// The highest step that a row has told.
    pub last_step: Option<i64>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// The type of all that it has held.
    pub ty: Type,
    /// Which types came when, in order.
    pub history: Vec<TypeSeen>,
    /// Whether it has held an integer that no 64-bit float is: one beyond ±2⁵³.
    pub has_inexact: bool,
}

/// The first row of a type in a column.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeSeen {
    /// The column's type from this row on.
    pub ty: Type,
    /// The row's position.
    pub position: u64,
    /// When the row came.
    pub at: Timestamp,
}

/// A row as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRow {
    /// Its place in the table. Places only grow; a row that was overwritten leaves its place empty.
    pub position: u64,
    /// Who wrote it.
    pub writer: String,
    /// Its number among the writer's lines.
    pub line: u64,
    /// When it was logged, by the writer's clock; when it came, where the writer does not tell.
    pub logged_at: Timestamp,
    /// Its step, where the client counts.
    pub step: Option<i64>,
    /// Seconds since the run began, where the client measures.
    pub runtime: Option<f64>,
    /// Its cells, in the table's column order; cells that the row did not have are not there.
    pub row: Row,
}
