//! SQL queries and their results.

use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_util::stream::BoxStream;

use crate::StoreError;

/// The types of a result's columns whose values not all formats have as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultTypes {
    /// Lists and structs of tables, and results of functions for JSON, are JSON text.
    #[default]
    Flat,
    /// Lists and structs of tables are such if those of a column have one shape. Results of functions for
    /// JSON are text.
    Nested,
    /// As [`Nested`](Self::Nested), and results of functions for JSON are unions.
    All,
}

/// An SQL query.
///
/// A table is named `entity.project.table`, each part quoted if SQL requires it. A name with fewer
/// parts is looked up in [`home`](Self::home). `"entity/project/table"` as one quoted name is also
/// a table name.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// One `SELECT` (or `SHOW`, `DESCRIBE`, `EXPLAIN`, `WITH`, `VALUES`).
    pub sql: String,
    /// The entity and the project in which short names are looked up.
    pub home: Option<(String, String)>,
    /// The entities whose tables may be read; `None` for all.
    pub entities: Option<Vec<String>>,
    /// The timeout, from the call to the last row.
    pub timeout: Duration,
    /// Whether each table has an additional last column with the row's position, named by
    /// [`TableInfo::position_column`](crate::TableInfo::position_column).
    pub positions: bool,
    /// The types that columns of the result may have.
    pub types: ResultTypes,
    /// The owner on whose behalf the query runs. Only a few queries of one owner run at a time, and
    /// the others wait. Queries without an owner are not limited.
    pub owner: Option<String>,
}

/// The answer to a [`SqlQuery`]. Dropping it cancels the query.
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, streamed.
    pub batches: BoxStream<'static, Result<RecordBatch, StoreError>>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}
