//! A table as seen by views: its columns, and queries to the store.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use futures_util::TryStreamExt;
use streamtable_schema::TablePath;
use streamtable_store::{ResultTypes, SqlQuery, Store, StoreError, TableInfo};

use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::shape::Column;
use crate::sql;

/// Timeout of a query.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum size of a query's result in bytes. Larger than all rows in memory: an in-memory batch is
/// counted whole even if the result contains only a part of it.
const MAX_ANSWER: usize = 512 << 20;

/// The columns that precede each table's own columns in SQL. The first one is named `_timestamp` in a table
/// whose users have a column of that name.
const FIXED: [&str; 3] = ["timestamp", "_writer", "_line"];

/// Additional columns of tables whose clients number their steps.
const STEPS: [&str; 2] = ["_step", "_runtime"];

/// How views access tables and what belongs to them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TableAccess {
    /// Stores the rows, and runs the views' SQL.
    pub store: Arc<dyn Store>,
    /// Returns the URL of a file that belongs to a table's rows, if the server has one.
    pub file_url: Option<fn(&TablePath, &str) -> String>,
}

/// A table that views are based on.
#[derive(Clone, Debug)]
pub struct TableReader {
    pub(crate) access: TableAccess,
    pub(crate) table: TablePath,
}

/// A table's columns at one point in time, with those that a view computes.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) shape: TableShape,
    /// Number of columns that belong to the table; a page lists only these.
    pub(crate) own: usize,
    /// The table's columns, followed by the computed ones.
    pub(crate) all: Vec<Column>,
    /// The `FROM` clause.
    pub(crate) from: String,
    /// The column with a row's position.
    pub(crate) position: String,
}

/// Identifies a table's columns, to detect changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableShape(Vec<(String, streamtable_schema::Type, bool)>, bool);

impl TableShape {
    pub(crate) fn of(info: &TableInfo) -> Self {
        let column =
            |it: &streamtable_store::ColumnInfo| (it.name.clone(), it.ty.clone(), it.has_inexact);
        Self(info.columns.iter().map(column).collect(), info.has_steps)
    }
}

impl TableReader {
    /// Creates a reader of a table. The caller must have checked that the page may read it.
    pub fn new(access: TableAccess, table: TablePath) -> Self {
        Self { access, table }
    }

    /// Returns the URL of a file that belongs to the table's rows.
    pub(crate) fn file_url(&self, path: &str) -> Option<String> {
        self.access.file_url.map(|file_url| file_url(&self.table, path))
    }

    pub(crate) async fn info(&self) -> Result<TableInfo, LiveError> {
        let info = self.access.store.table(&self.table).await?;
        Ok(info.ok_or_else(|| StoreError::NoTable { table: self.table.clone() })?)
    }

    /// Runs a query. Dropping the future cancels the query.
    pub(crate) async fn run(&self, sql: String) -> Result<RecordBatch, LiveError> {
        let rows = self.access.store.query(self.query(sql)).await?;
        let (schema, mut stream) = (rows.schema, rows.batches);
        let (mut batches, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = stream.try_next().await? {
            bytes += batch.get_array_memory_size();
            if bytes > MAX_ANSWER {
                return Err(LiveError::refused("the result is too large; request fewer rows"));
            }
            batches.push(batch);
        }
        Ok(concat_batches(&schema, &batches)?)
    }

    /// Returns the columns of a query's result without running the query.
    async fn plan(&self, sql: String) -> Result<SchemaRef, LiveError> {
        Ok(self.access.store.query(self.query(sql)).await?.schema)
    }

    pub(crate) fn query(&self, sql: String) -> SqlQuery {
        let entity = self.table.entity().to_owned();
        let owner = Some(format!("views of {}", self.table));
        SqlQuery {
            sql,
            home: None,
            entities: Some(vec![entity]),
            timeout: TIMEOUT,
            positions: true,
            types: ResultTypes::Flat,
            owner,
        }
    }

    /// Returns the columns: `timestamp`, the table's own in first-seen order, then those that the
    /// server adds, with the position last; and those that a view computes.
    pub(crate) async fn columns(&self, config: &ViewConfig) -> Result<Columns, LiveError> {
        let info = self.info().await?;
        let parts = [self.table.entity(), self.table.project(), self.table.table()];
        let table = parts.map(sql::name).join(".");
        let schema = self.plan(format!("SELECT * FROM {table} LIMIT 0")).await?;
        let own = schema.fields().len();
        let position = schema.fields().last().map(|it| it.name().clone()).unwrap_or_default();
        let fixed = FIXED.len() + if info.has_steps { STEPS.len() } else { 0 };
        let has_inexact = |name: &str| {
            let column = info.columns.iter().find(|it| it.name == name);
            // A column whose name the server uses itself has a trailing underscore in SQL.
            let column = column
                .or_else(|| info.columns.iter().find(|it| it.name == name.trim_end_matches('_')));
            column.is_some_and(|it| it.has_inexact)
        };
        let column = |i: usize| {
            let field = schema.field(i);
            let is_own = i >= fixed && i + 1 < own;
            Column::of(field, is_own && has_inexact(field.name()))
        };
        let order = std::iter::once(0).chain(fixed..own - 1).chain(1..fixed).chain([own - 1]);
        let mut all: Vec<Column> = order.map(column).collect();
        let mut from = table.clone();
        if !config.expressions.is_empty() {
            let mut computed = Vec::new();
            for (name, text) in &config.expressions {
                if all.iter().any(|column| column.name == *name) {
                    return Err(LiveError::refused(format!("a column {name:?} already exists")));
                }
                let expression = self.access.store.row_expression(text).await?;
                computed.push(format!("{expression} AS {}", sql::name(name)));
            }
            from = format!("(SELECT *, {} FROM {table})", computed.join(", "));
            let schema = self.plan(format!("SELECT * FROM {from} LIMIT 0")).await?;
            let computed = schema.fields().len() - config.expressions.len();
            all.extend(schema.fields().iter().skip(computed).map(|field| Column::of(field, false)));
        }
        Ok(Columns { shape: TableShape::of(&info), own, all, from, position: sql::name(&position) })
    }
}

impl Columns {
    /// Returns the column with the times of the rows: `timestamp`, or `_timestamp` if the table has a
    /// column `timestamp` of the user's.
    pub(crate) fn time(&self) -> &str {
        self.all.first().map_or("timestamp", |column| &column.name)
    }

    /// Returns a name that no column has.
    pub(crate) fn unused_name(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.all.iter().any(|column| column.name == name) {
            name.push('_');
        }
        name
    }

    /// Returns a name that no column has, as a quoted identifier.
    pub(crate) fn free_name(&self, name: &str) -> String {
        sql::name(&self.unused_name(name))
    }

    /// Returns the columns that a view shows.
    pub(crate) fn shown(&self, config: &ViewConfig) -> Result<Vec<Column>, LiveError> {
        match &config.columns {
            Some(names) => {
                names.iter().map(|name| Column::find(&self.all, name).cloned()).collect()
            }
            None => Ok(self.all.clone()),
        }
    }
}
