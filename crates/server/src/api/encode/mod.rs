//! Streaming encoders for query results.

mod csv;
mod shared_buffer;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use self::shared_buffer::SharedBuffer;
use streamtable_format::ARROW_STREAM_TYPE;
use streamtable_live::json::Columns;
use streamtable_store::ResultTypes;

/// Buffered bytes above which a Parquet row group is flushed.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// The format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// A header line, then one line per row. Null is an empty field, an empty string is `""`, and
    /// values other than strings and numbers are JSON.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All formats. The first is the default.
    pub(super) const ALL: [Self; 5] =
        [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow, Self::Parquet];

    /// Returns the types that the format has.
    pub(crate) fn types(self) -> ResultTypes {
        match self {
            Self::Json | Self::Ndjson | Self::Csv => ResultTypes::Flat,
            Self::Parquet => ResultTypes::Nested,
            Self::Arrow => ResultTypes::All,
        }
    }

    /// Returns the media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => ARROW_STREAM_TYPE,
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Returns the names of the format in requests: media types and values of `?format=`.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json", "json"],
            Self::Ndjson => &[
                "application/x-ndjson",
                "application/jsonl",
                "application/x-jsonlines",
                "application/ndjson",
                "jsonl",
                "ndjson",
            ],
            Self::Csv => &["text/csv", "csv"],
            Self::Arrow => &[ARROW_STREAM_TYPE, "arrow"],
            Self::Parquet => &["application/vnd.apache.parquet", "parquet"],
        }
    }
}

/// Encodes batches as bytes.
pub(super) enum Encoder {
    Json { columns: Columns, is_first: bool },
    Ndjson(Columns),
    Csv { columns: Columns, schema: SchemaRef },
    Arrow { writer: Box<StreamWriter<SharedBuffer>>, buffer: SharedBuffer },
    Parquet { writer: Box<ArrowWriter<SharedBuffer>>, buffer: SharedBuffer },
}

impl Encoder {
    /// Starts a response. Fails if the format does not support the type of a column.
    pub(super) fn new(format: Format, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let columns = Columns::default();
        let buffer = SharedBuffer::default();
        Ok(match format {
            Format::Json => Self::Json { columns, is_first: true },
            Format::Ndjson => Self::Ndjson(columns),
            Format::Csv => Self::Csv { columns, schema: schema.clone() },
            Format::Arrow => {
                let writer = StreamWriter::try_new(buffer.clone(), schema)?;
                Self::Arrow { writer: Box::new(writer), buffer }
            }
            Format::Parquet => {
                let compression = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(compression).build();
                let writer =
                    ArrowWriter::try_new(buffer.clone(), schema.clone(), Some(properties))?;
                Self::Parquet { writer: Box::new(writer), buffer }
            }
        })
    }

    /// Returns the bytes before the first row.
    pub(super) fn begin(&mut self) -> Vec<u8> {
        match self {
            Self::Json { .. } => b"[".to_vec(),
            Self::Ndjson(_) => Vec::new(),
            Self::Csv { schema, .. } => csv::header(schema),
            Self::Arrow { buffer, .. } | Self::Parquet { buffer, .. } => buffer.take(),
        }
    }

    /// Encodes a batch. The returned bytes may also contain rows buffered from earlier batches.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut out = Vec::new();
        match self {
            Self::Json { columns, is_first } => {
                let mut cells = columns.of(batch)?;
                for row in 0..batch.num_rows() {
                    out.extend_from_slice(if std::mem::take(is_first) { b"\n" } else { b",\n" });
                    cells.write_row(&mut out, row);
                }
            }
            Self::Ndjson(columns) => {
                let mut cells = columns.of(batch)?;
                for row in 0..batch.num_rows() {
                    cells.write_row(&mut out, row);
                    out.push(b'\n');
                }
            }
            Self::Csv { columns, .. } => csv::rows(&mut out, columns, batch)?,
            Self::Arrow { writer, buffer } => {
                writer.write(batch)?;
                out = buffer.take();
            }
            Self::Parquet { writer, buffer } => {
                writer.write(batch)?;
                if writer.in_progress_size() > ROW_GROUP_BYTES {
                    writer.flush()?;
                }
                out = buffer.take();
            }
        }
        Ok(out)
    }

    /// Returns the bytes after the last row.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(match self {
            Self::Json { is_first: true, .. } => b"]\n".to_vec(),
            Self::Json { .. } => b"\n]\n".to_vec(),
            Self::Ndjson(_) | Self::Csv { .. } => Vec::new(),
            Self::Arrow { writer, buffer } => {
                writer.finish()?;
                buffer.take()
            }
            Self::Parquet { writer, buffer } => {
                writer.finish()?;
                buffer.take()
            }
        })
    }
}

#[cfg(test)]
mod tests;
