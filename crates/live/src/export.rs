//! Views as whole results, for downloads.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use futures_util::{StreamExt, stream};
use streamtable_store::{ResultTypes, Rows, SqlQuery};

use crate::config::{ViewConfig, ViewJson};
use crate::error::LiveError;
use crate::table_reader::TableReader;
use crate::view_cache::ViewCache;
use crate::window::Window;

/// Timeout of a download.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// Returns all rows of a view. `key` is the name of the reader's key; `types` is that of
/// [`SqlQuery`].
pub async fn export(
    cache: &ViewCache,
    key: &str,
    reader: &TableReader,
    config: ViewJson,
    types: ResultTypes,
) -> Result<Rows, LiveError> {
    let view = cache.view(key, reader, ViewConfig::try_from(config)?).await?;
    if let Some(sql) = view.export_sql().await? {
        let query = SqlQuery { timeout: TIMEOUT, types, ..reader.query(sql) };
        return Ok(reader.access.store.query(query).await?);
    }
    let now = view.snapshot().await?;
    let window = view.window(&now, 0..usize::MAX, 0..usize::MAX).await?;
    let batch = window.to_batch()?;
    Ok(Rows { schema: batch.schema(), batches: stream::iter([Ok(batch)]).boxed() })
}

impl Window {
    /// Converts the window to one batch, with the grouping columns first.
    fn to_batch(&self) -> Result<RecordBatch, LiveError> {
        let levels = self.paths.iter().flat_map(|paths| paths.names.iter().zip(&paths.columns));
        let columns = levels.chain(self.columns.iter().map(|(name, array)| (name, array)));
        let mut names = HashSet::new();
        let (fields, arrays): (Vec<Field>, Vec<_>) = columns
            .map(|(name, array)| {
                // A column that is both grouped by and shown appears twice, so it needs a second
                // name.
                let mut name = name.clone();
                while !names.insert(name.clone()) {
                    name.push('_');
                }
                (Field::new(name, array.data_type().clone(), true), Arc::clone(array))
            })
            .unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}
