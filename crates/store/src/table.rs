//! Descriptions of tables.

use streamtable_schema::{Row, TablePath, Timestamp, Type};

use crate::Problem;

/// A table in a list of tables.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSummary {
    /// Its name.
    pub path: TablePath,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes they take, in files and in memory.
    pub bytes: u64,
    /// When its first row arrived.
    pub created_at: Timestamp,
    /// When its last row arrived.
    pub last_write: Timestamp,
    /// Its problems: damage that was found, rows that cannot be flushed.
    pub problems: Vec<Problem>,
}

/// The description of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInfo {
    /// The table's entry in a list of tables.
    pub summary: TableSummary,
    /// One more than the position of its last row.
    pub end: u64,
    /// The user's columns in first-seen order, without those that the server adds (`_writer`,
    /// `_line`).
    pub columns: Vec<ColumnInfo>,
    /// Whether the table has rows with a step, as current SDKs send it.
    pub has_steps: bool,
    /// The highest step of a row.
    pub last_step: Option<i64>,
}

impl TableInfo {
    /// Returns the name of the column of positions that a query with
    /// [`positions`](crate::SqlQuery::positions) sees: `_pos`, with `_` appended as long as the table
    /// has a column of that name.
    pub fn position_column(&self) -> String {
        let mut name = "_pos".to_owned();
        while self.columns.iter().any(|column| column.name == name) {
            name.push('_');
        }
        name
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// The type of all its values so far.
    pub ty: Type,
    /// The types that the column has had, in order.
    pub history: Vec<TypeSeen>,
    /// Whether it has held an integer that a 64-bit float cannot hold: one beyond ±2⁵³.
    pub has_inexact: bool,
}

/// The first row after which a column has a type.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeSeen {
    /// The column's type from this row on.
    pub ty: Type,
    /// The row's position.
    pub position: u64,
    /// When the row arrived.
    pub at: Timestamp,
}

/// A row as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRow {
    /// Its position in the table. Positions only grow; a row that was overwritten leaves its
    /// position empty.
    pub position: u64,
    /// Its writer.
    pub writer: String,
    /// Its number among the writer's lines.
    pub line: u64,
    /// When it was logged, by the writer's clock; when it arrived, if the writer does not say.
    pub logged_at: Timestamp,
    /// Its step, if the client counts steps.
    pub step: Option<i64>,
    /// Seconds since the run began, if the client measures them.
    pub runtime: Option<f64>,
    /// Its cells, in the table's column order, without those that the row did not have.
    pub row: Row,
}
