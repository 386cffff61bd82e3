//! Rows from Parquet files.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use streamtable::Row;

use super::Deliver;
use super::arrow_value::value;

/// Number of rows per batch.
const BATCH_ROWS: usize = 1024;

/// Reads the rows of a file. Progress in bytes is estimated from the number of rows read.
pub(super) fn read(file: File, bytes: &AtomicU64, deliver: Deliver<'_>) -> io::Result<()> {
    let length = file.metadata()?.len();
    let is_counted = bytes.load(Ordering::Relaxed) > 0;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)?;
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(damaged)?;
    let (mut number, mut reported) = (0, 0);
    for batch in reader {
        let batch = batch.map_err(damaged)?;
        let schema = batch.schema();
        for at in 0..batch.num_rows() {
            number += 1;
            let cells = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
                let value = value(column.as_ref(), at);
                let value = value.map_err(|why| format!("column {:?}: {why}", field.name()))?;
                Ok((field.name().clone(), value))
            });
            let row: Result<Row, String> = cells.collect::<Result<Vec<_>, _>>().map(Row::from_iter);
            if !deliver(number, row) {
                return Ok(());
            }
        }
        let share = (u128::from(length) * u128::from(number) / u128::from(rows)) as u64;
        if !is_counted {
            bytes.fetch_add(share.saturating_sub(reported), Ordering::Relaxed);
            reported = share;
        }
    }
    Ok(())
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("invalid Parquet file: {error}"))
}
