//! Parquet files of flushed rows.

use std::io;
use std::ops::Range;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use streamtable_schema::TablePath;
use streamtable_store::StoreError;

use super::state::{DataFile, Tail};
use crate::columns::{Columns, Kind, KnownSlot, Shape, fixed, with_native_values};
use crate::disk::is_absent;
use crate::memtable::{conform, positions, rows_before};
use crate::place::Folder;
use crate::ranges::Ranges;

/// The number of rows in a row group, which a query skips as a whole.
const ROW_GROUP: usize = 1 << 17;

/// The number of rows in a page, which is read as a whole: readers of single rows and of small ranges
/// decode at least one page of each column.
const PAGE: usize = 1 << 13;

/// The length of the blocks of a file that have their own checksum.
pub(crate) const BLOCK: u64 = 64 << 10;

/// The metadata key of the checksums of a file's blocks: CRC32C of each [`BLOCK`], in base64.
const BLOCKS: &str = "streamtable.crc32c";

/// The metadata key of the table that a file belongs to.
const TABLE: &str = "streamtable.table";

/// The metadata key of the column and kind of each field, as JSON.
const COLUMNS: &str = "streamtable.columns";

/// Writes rows into a new file in a table's folder, durably, except those whose position is in
/// `deleted`. Returns `None` if no row is left.
///
/// Every byte of the file has a checksum that can be checked without the rest of the file: those of
/// blocks of rows are in the file's metadata, that of the metadata is in the file's name.
/// (Parquet's own page checksums exclude the page headers, and the writer does not write them.)
pub(super) fn write_file(
    folder: &Folder,
    table: &TablePath,
    columns: &Columns,
    batches: &[RecordBatch],
    deleted: &Ranges,
) -> Result<Option<DataFile>, StoreError> {
    let schema = columns.arrow_schema();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties())).map_err(failed)?;
    let (mut rows, mut first, mut end) = (0, None, 0);
    for batch in batches {
        let batch = without(conform(batch, &schema).map_err(failed)?, deleted).map_err(failed)?;
        let batch = with_native_values(columns, batch).map_err(failed)?;
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
    writer.flush().map_err(failed)?;
    writer.sync()?;
    let start = writer.inner().len();
    let sums: Vec<u8> = writer
        .inner()
        .chunks(BLOCK as usize)
        .flat_map(|block| crc32c::crc32c(block).to_le_bytes())
        .collect();
    let slots: Vec<(&str, Kind, &str)> =
        columns.slots().map(|(column, slot)| (&*column.name, slot.kind, &*slot.field)).collect();
    let slots = serde_json::to_string(&slots).map_err(failed)?;
    for (key, value) in
        [(TABLE, table.to_string()), (COLUMNS, slots), (BLOCKS, BASE64_STANDARD.encode(sums))]
    {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let bytes = writer.into_inner().map_err(failed)?;
    let crc = crc32c::crc32c(&bytes);
    let tail = Tail { start: start as u64, crc: crc32c::crc32c(&bytes[start..]) };
    let name = DataFile::name(rows, first..end, crc, uuid::Uuid::new_v4(), tail);
    let size = bytes.len() as u64;
    folder.create_file(&name, bytes)?;
    Ok(Some(DataFile { name, bytes: size, rows, first, end, crc }))
}

/// Returns the checksums of a file's blocks, from its metadata.
pub(crate) fn block_sums(metadata: &ParquetMetaData) -> Option<Vec<u32>> {
    let bytes = BASE64_STANDARD.decode(note(metadata, BLOCKS)?).ok()?;
    let sums = bytes.chunks_exact(4).filter_map(|it| Some(u32::from_le_bytes(it.try_into().ok()?)));
    Some(sums.collect())
}

fn note<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let notes = metadata.file_metadata().key_value_metadata()?;
    notes.iter().find(|it| it.key == key)?.value.as_deref()
}

/// A file's description of the table that it belongs to.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) table: Option<TablePath>,
    pub(super) slots: Vec<KnownSlot>,
}

/// Returns an undamaged file's description of its table. Files of earlier versions have no column
/// names; their field names are used instead.
pub(super) fn about(folder: &Folder, file: &DataFile) -> Result<About, StoreError> {
    let input = folder.open(&file.name)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(input).map_err(failed)?;
    let slots = note(reader.metadata(), COLUMNS)
        .and_then(|text| serde_json::from_str::<Vec<(String, Kind, String)>>(text).ok());
    let slots = slots.unwrap_or_else(|| {
        let fields = reader.schema().fields().iter();
        let fields = fields.filter(|field| !fixed::ALL.contains(&field.name().as_str()));
        let slot = |name: &String, kind| (name.clone(), kind, name.clone());
        fields.filter_map(|it| Some(slot(it.name(), Kind::of_type(it.data_type())?))).collect()
    });
    let known = |(column, kind, field): (String, Kind, String)| {
        let stored = reader.schema().field_with_name(&field).ok();
        let shape = stored.filter(|_| kind == Kind::Nested).map(|it| it.data_type());
        KnownSlot { column, kind, shape: shape.and_then(Shape::of_type), field }
    };
    let slots = slots.into_iter();
    Ok(About {
        table: note(reader.metadata(), TABLE).and_then(|table| table.parse().ok()),
        slots: slots.map(known).collect(),
    })
}

/// The values of a row that identify its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineOf<'a> {
    pub(super) writer: &'a str,
    pub(super) line: u64,
    pub(super) position: u64,
    pub(super) time: i64,
    pub(super) step: Option<i64>,
}

/// Passes on the lines of a file's rows from a position on, in order. The file's checksum must be
/// right.
pub(super) fn read_lines(
    folder: &Folder,
    file: &DataFile,
    from: u64,
    mut pass_on: impl FnMut(LineOf<'_>),
) -> Result<(), StoreError> {
    if state_of(folder, file)? != FileState::Whole {
        return Err(damaged(file));
    }
    let input = folder.open(&file.name)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(input).map_err(failed)?;
    let names = [fixed::POSITION, fixed::WRITER, fixed::LINE, fixed::TIME, fixed::STEP];
    let mask = ProjectionMask::columns(reader.parquet_schema(), names);
    for batch in reader.with_projection(mask).build().map_err(failed)? {
        let batch = batch.map_err(failed)?;
        let numbers = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let times = batch.column_by_name(fixed::TIME);
        let times = times.and_then(|it| it.as_primitive_opt::<TimestampMicrosecondType>());
        let writers = batch.column_by_name(fixed::WRITER).and_then(|it| it.as_string_view_opt());
        let (Some(positions), Some(lines), Some(writers)) =
            (numbers(fixed::POSITION), numbers(fixed::LINE), writers)
        else {
            return Err(damaged(file));
        };
        let steps = numbers(fixed::STEP);
        for i in 0..batch.num_rows() {
            let position = positions.value(i) as u64;
            if position >= from {
                pass_on(LineOf {
                    writer: writers.value(i),
                    line: lines.value(i) as u64,
                    position,
                    time: times.map_or(0, |it| it.value(i)),
                    step: steps.filter(|it| it.is_valid(i)).map(|it| it.value(i)),
                });
            }
        }
    }
    Ok(())
}

/// Drops a batch's rows whose position is not in a range.
pub(super) fn within(batch: &RecordBatch, range: Range<u64>) -> RecordBatch {
    let low = rows_before(batch, range.start);
    let high = rows_before(batch, range.end).max(low);
    batch.slice(low, high - low)
}

/// Reads all rows of a file. Its checksum must be right.
pub(super) fn read_file(folder: &Folder, file: &DataFile) -> Result<Vec<RecordBatch>, StoreError> {
    let bytes = folder.read(&file.name)?;
    if crc32c::crc32c(&bytes) != file.crc {
        return Err(damaged(file));
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(ROW_GROUP).build())
        .map_err(failed)?;
    reader.collect::<Result<Vec<_>, _>>().map_err(failed)
}

/// The result of comparing a file with its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// The file has the bytes that were written.
    Whole,
    /// The file has other bytes.
    Damaged,
    /// The file does not exist.
    Missing,
}

/// Compares a file with its checksum. Fails if the system cannot read it: that says nothing about
/// its content.
pub(super) fn state_of(folder: &Folder, file: &DataFile) -> io::Result<FileState> {
    let mut crc = 0;
    match folder.read_pieces(&file.name, |piece| crc = crc32c::crc32c_append(crc, piece)) {
        Ok(()) if crc == file.crc => Ok(FileState::Whole),
        Ok(()) => Ok(FileState::Damaged),
        Err(error) if is_absent(&error) => Ok(FileState::Missing),
        Err(error) => Err(error),
    }
}

pub(super) fn damaged(file: &DataFile) -> StoreError {
    StoreError::Damaged { reason: format!("the checksum of {} is wrong", file.name) }
}

fn without(batch: RecordBatch, deleted: &Ranges) -> Result<RecordBatch, arrow::error::ArrowError> {
    let Some(positions) = positions(&batch) else { return Ok(batch) };
    let span = positions.values().first().map_or(0, |&it| it as u64)
        ..positions.values().last().map_or(0, |&it| it as u64 + 1);
    if deleted.within(span).next().is_none() {
        return Ok(batch);
    }
    let alive: BooleanArray =
        positions.values().iter().map(|&it| Some(!deleted.contains(it as u64))).collect();
    filter_record_batch(&batch, &alive)
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_data_page_row_count_limit(PAGE)
        // The elements of lists have the name that the format prescribes.
        .set_coerce_types(true)
        .set_created_by("streamtable".to_owned());
    // Both grow by one from row to row, so delta encoding takes almost no space.
    for name in [fixed::POSITION, fixed::LINE] {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { reason: format!("a Parquet file: {error}") }
}
