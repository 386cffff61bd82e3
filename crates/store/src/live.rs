//! Rows in memory: those that are durable in the log and not at rest yet.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::error::ArrowError;

use crate::columns::fixed;

/// Batches are put together until they have this many rows.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// Batches in the order of their positions.
///
/// Small ones are put together so that their sizes fall by half from one to the next: a row is
/// copied a few times at most, and there are never many batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    batches: Vec<Sized>,
}

#[derive(Clone, Debug)]
struct Sized {
    batch: RecordBatch,
    bytes: usize,
}

impl Live {
    /// Adds rows behind the others. Its schema is that of the last batch, or has columns more.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        let mut last = batch;
        while let Some(before) = self.batches.last() {
            let rows = before.batch.num_rows() + last.num_rows();
            if before.batch.num_rows() > 2 * last.num_rows() || rows > MAX_BATCH_ROWS {
                break;
            }
            let schema = last.schema();
            last = compact(concat_batches(&schema, [&widen(&before.batch, &schema)?, &last])?)?;
            self.batches.pop();
        }
        let bytes = last.get_array_memory_size();
        self.batches.push(Sized { batch: last, bytes });
        Ok(())
    }

    /// Forgets the rows before a position.
    pub(crate) fn drop_before(&mut self, position: u64) {
        self.batches.retain_mut(|it| {
            let gone = rows_before(&it.batch, position);
            if gone > 0 {
                it.batch = it.batch.slice(gone, it.batch.num_rows() - gone);
            }
            it.batch.num_rows() > 0
        });
    }

    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.batches.iter().map(|it| it.batch.clone()).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batches.iter().map(|it| it.bytes).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

/// Returns how many of a batch's rows come before a position.
pub(crate) fn rows_before(batch: &RecordBatch, position: u64) -> usize {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    positions(batch).map_or(0, |it| it.values().partition_point(|&row| row < position))
}

pub(crate) fn positions(batch: &RecordBatch) -> Option<&arrow::array::Int64Array> {
    batch.column_by_name(fixed::POSITION)?.as_primitive_opt::<Int64Type>()
}

/// Gives a batch the columns that came after it, null.
pub(crate) fn widen(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() == schema.fields().len() {
        return Ok(batch.clone());
    }
    let column = |field: &Arc<arrow::datatypes::Field>| match batch.column_by_name(field.name()) {
        Some(array) => Arc::clone(array),
        None => new_null_array(field.data_type(), batch.num_rows()),
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Lets texts that were put together share one block of memory.
fn compact(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_array).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn compact_array(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => match array.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => Arc::clone(array),
        },
        DataType::Struct(fields) => match array.as_struct_opt() {
            Some(parts) => {
                let columns = parts.columns().iter().map(compact_array).collect();
                let compacted =
                    StructArray::try_new(fields.clone(), columns, parts.nulls().cloned());
                compacted.map_or_else(|_| Arc::clone(array), |it| Arc::new(it) as ArrayRef)
            }
            None => Arc::clone(array),
        },
        _ => Arc::clone(array),
    }
}
