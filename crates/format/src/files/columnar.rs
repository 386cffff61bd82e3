//! Rows from Parquet and Arrow files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::input::{Deliver, Found};
use super::options::{Format, InputError};
use crate::{ArrowRow, NaiveTimes, lossy_columns};

/// Number of rows per batch.
const BATCH_ROWS: usize = 1024;

/// The first bytes of an Arrow file. A stream has others.
const FILE_MAGIC: &[u8] = b"ARROW1";

/// Copies an input to a temporary file, because these formats are read from their end.
pub(super) fn spooled(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Reads the rows of a Parquet file. Adds to `bytes` the file's size in proportion to the rows read.
pub(super) fn read_parquet(
    file: File,
    bytes: Option<&AtomicU64>,
    naive: &NaiveTimes,
    deliver: Deliver<'_>,
) -> Result<(), InputError> {
    let invalid = |error: &dyn std::fmt::Display| InputError::invalid(Format::Parquet, error);
    let length = file.metadata()?.len();
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| invalid(&error))?;
    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| invalid(&error))?;
    let mut rows_read = Rows::new(naive);
    let mut reported = 0;
    for batch in reader {
        if !rows_read.deliver(&batch.map_err(|error| invalid(&error))?, deliver) {
            return Ok(());
        }
        let share = (u128::from(length) * u128::from(rows_read.count) / u128::from(rows)) as u64;
        if let Some(bytes) = bytes {
            bytes.fetch_add(share.saturating_sub(reported), Ordering::Relaxed);
            reported = share;
        }
    }
    Ok(())
}

/// Reads the rows of an Arrow file or stream.
pub(super) fn read_arrow(
    mut file: File,
    naive: &NaiveTimes,
    deliver: Deliver<'_>,
) -> Result<(), InputError> {
    let mut magic = [0; FILE_MAGIC.len()];
    let is_file = file.read_exact(&mut magic).is_ok() && magic == FILE_MAGIC;
    file.rewind()?;
    let invalid = |error: ArrowError| InputError::invalid(Format::Arrow, error);
    let file = io::BufReader::new(file);
    let batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>> = match is_file {
        true => Box::new(FileReader::try_new(file, None).map_err(invalid)?),
        false => Box::new(StreamReader::try_new(file, None).map_err(invalid)?),
    };
    let mut rows = Rows::new(naive);
    for batch in batches {
        if !rows.deliver(&batch.map_err(invalid)?, deliver) {
            break;
        }
    }
    Ok(())
}

/// Delivers the rows of batches.
struct Rows<'a> {
    naive: &'a NaiveTimes,
    count: u64,
    /// The columns with a note.
    noted: HashSet<String>,
}

impl<'a> Rows<'a> {
    fn new(naive: &'a NaiveTimes) -> Self {
        Self { naive, count: 0, noted: HashSet::new() }
    }

    /// Returns false if no more rows are wanted.
    fn deliver(&mut self, batch: &RecordBatch, deliver: Deliver<'_>) -> bool {
        for note in lossy_columns(batch, |name| self.noted.contains(name)) {
            self.noted.extend(note.column.clone());
            deliver(Found::Note(note));
        }
        (0..batch.num_rows()).all(|row| {
            self.count += 1;
            let row = ArrowRow { batch, row, naive: self.naive }.to_row();
            deliver(Found::Row(self.count, row))
        })
    }
}
