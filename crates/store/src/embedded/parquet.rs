//! Files of rows at rest.

use std::fs;
use std::io;
use std::path::Path;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::folder::sync_file;
use super::state::DataFile;
use crate::StoreError;
use crate::columns::fixed;
use crate::live::{conform, positions};
use crate::ranges::Ranges;

/// Rows of a file come in groups of so many: what a query passes over as a whole.
const ROW_GROUP: usize = 1 << 17;

/// Writes rows into a new file of a table's folder, durably, and leaves out those whose position is
/// `dead`. `None` where nothing is left.
pub(super) fn write_file(
    folder: &Path,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    dead: &Ranges,
) -> Result<Option<DataFile>, StoreError> {
    let mut writer =
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties())).map_err(failed)?;
    let (mut rows, mut first, mut end) = (0, None, 0);
    for batch in batches {
        let batch = without(conform(batch, schema).map_err(failed)?, dead).map_err(failed)?;
        let Some(positions) = positions(&batch) else { continue };
        let (Some(&low), Some(&high)) = (positions.values().first(), positions.values().last())
        else {
            continue;
        };
        first.get_or_insert(low as u64);
        end = high as u64 + 1;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(failed)?;
    }
    let Some(first) = first else { return Ok(None) };
    let bytes = writer.into_inner().map_err(failed)?;
    let crc = crc32c::crc32c(&bytes);
    let name = DataFile::name(rows, first, end, crc, uuid::Uuid::new_v4());
    let path = folder.join(&name);
    fs::create_dir_all(folder)?;
    let written = fs::write(&path, &bytes).and_then(|()| sync_file(&path));
    if let Err(error) = written {
        let _ = fs::remove_file(&path);
        return Err(error.into());
    }
    Ok(Some(DataFile { name, bytes: bytes.len() as u64, rows, first, end, crc }))
}

/// Reads a whole file, whose checksum must be right.
pub(super) fn read_file(folder: &Path, file: &DataFile) -> Result<Vec<RecordBatch>, StoreError> {
    let bytes = Bytes::from(fs::read(folder.join(&file.name))?);
    if crc32c::crc32c(&bytes) != file.crc {
        return Err(damaged(file));
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(ROW_GROUP).build())
        .map_err(failed)?;
    reader.collect::<Result<Vec<_>, _>>().map_err(failed)
}

/// Tells whether a file's bytes are those that were written.
pub(super) fn is_whole(folder: &Path, file: &DataFile) -> io::Result<bool> {
    use std::io::Read as _;
    let mut input = fs::File::open(folder.join(&file.name))?;
    let (mut crc, mut buffer) = (0, vec![0; 1 << 18]);
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(crc == file.crc),
            count => crc = crc32c::crc32c_append(crc, &buffer[..count]),
        }
    }
}

pub(super) fn damaged(file: &DataFile) -> StoreError {
    StoreError::Damaged { reason: format!("the checksum of {} is wrong", file.name) }
}

fn without(batch: RecordBatch, dead: &Ranges) -> Result<RecordBatch, arrow::error::ArrowError> {
    let Some(positions) = positions(&batch) else { return Ok(batch) };
    let span = positions.values().first().map_or(0, |&it| it as u64)
        ..positions.values().last().map_or(0, |&it| it as u64 + 1);
    if dead.within(span).next().is_none() {
        return Ok(batch);
    }
    let alive: BooleanArray =
        positions.values().iter().map(|&it| Some(!dead.contains(it as u64))).collect();
    filter_record_batch(&batch, &alive)
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_created_by("streamtable".to_owned());
    // Counted up row by row: differences take next to nothing.
    for name in [fixed::POSITION, fixed::LINE] {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { reason: format!("a file at rest: {error}") }
}
