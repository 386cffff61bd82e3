//! SQL queries and their results.

mod at_rest;
mod catalog;
mod checked;
mod engine;
mod expression;
mod functions;
mod growth;
mod icontains;
mod in_order;
mod interrupt;
mod named;
mod newest_first;
mod plan_limits;
mod running;
mod sql_limits;
mod text_concat;
mod view;

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures_util::stream::BoxStream;

use crate::StoreError;

pub(crate) use catalog::Tables;
pub(crate) use engine::Engine;
pub use expression::row_expression;

/// An SQL query.
///
/// A table is named `entity.project.table`, each part quoted if SQL requires it. A name with fewer
/// parts is looked up in [`home`](Self::home). `"entity/project/table"` as one quoted name is also
/// a table name.
#[derive(Clone, Debug)]
pub struct Query {
    /// One `SELECT` (or `SHOW`, `DESCRIBE`, `EXPLAIN`, `WITH`, `VALUES`).
    pub sql: String,
    /// The entity and the project in which short names are looked up.
    pub home: Option<(String, String)>,
    /// The entities whose tables may be read; `None` for all.
    pub entities: Option<Vec<String>>,
    /// The timeout, from the call to the last row.
    pub timeout: Duration,
    /// Whether each table has an additional last column `_pos` with the row's position.
    pub positions: bool,
    /// The owner on whose behalf the query runs. Only a few queries of one owner run at a time, and
    /// the others wait. Queries without an owner are not limited.
    pub owner: Option<String>,
}

/// The answer to a [`Query`]. Dropping it cancels the query.
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, streamed.
    pub batches: BoxStream<'static, Result<RecordBatch, StoreError>>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}
