//! What one protocol stores, and another one shows.

use std::fmt;

use async_trait::async_trait;
use streamtable_schema::TablePath;

use crate::ApiError;

/// Records rows that a client of another protocol has stored. Called after they are durable.
#[async_trait]
pub trait RowsStored: fmt::Debug + Send + Sync {
    /// Called after one or more rows of a table were stored or found to be stored.
    async fn rows_stored(&self, table: &TablePath) -> Result<(), ApiError>;
}
