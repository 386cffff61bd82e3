//! Rows of an Arrow stream that arrives in pieces.

mod messages;

use std::collections::{HashSet, VecDeque};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use bytes::Bytes;
use streamtable_schema::Row;

use self::messages::Messages;
use crate::{ArrowRow, NaiveTimes, Note, lossy_columns};

/// The content type of an Arrow stream.
pub const ARROW_STREAM_TYPE: &str = "application/vnd.apache.arrow.stream";

/// How many bytes a record batch may take, with the dictionaries before it.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// Why a stream has no further rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArrowBodyError {
    /// The bytes are no Arrow stream.
    #[error("the Arrow stream is invalid: {0}")]
    Invalid(#[from] ArrowError),
    /// A record batch is too large, after decompression.
    #[error("a record batch has more than {MAX_BATCH_BYTES} bytes; send smaller ones")]
    TooLarge,
    /// The stream has many more values than bytes.
    #[error("the stream has too many values for its size; send fewer rows that are null or repeat")]
    TooManyValues,
}

/// The rows of an Arrow stream, as [`ArrowRow`] reads them.
///
/// It takes memory for one record batch. A row that cannot be stored does not affect others.
#[derive(Debug, Default)]
pub struct ArrowRows {
    decoder: StreamDecoder,
    messages: Messages,
    /// The bytes that are not collected yet.
    rest: Bytes,
    /// Parts of messages that are not decoded yet.
    parts: VecDeque<Buffer>,
    batch: Option<RecordBatch>,
    /// The number of the next row in the batch.
    row: usize,
    noted: HashSet<String>,
    notes: Vec<Note>,
}

impl ArrowRows {
    /// Adds the next bytes. Call it when there is no further row.
    pub fn push(&mut self, chunk: Bytes) {
        self.rest = chunk;
    }

    /// Returns the next row, or why it cannot be stored. `None` if the bytes so far have no further one.
    ///
    /// `max_row_bytes` limits the memory for the values of a row: a few bytes of a stream can become many
    /// values.
    pub fn next_row(
        &mut self,
        max_row_bytes: usize,
    ) -> Result<Option<Result<Row, String>>, ArrowBodyError> {
        loop {
            if let Some(batch) = &self.batch
                && self.row < batch.num_rows()
            {
                let row = ArrowRow { batch, row: self.row, naive: &NaiveTimes::Utc };
                self.row += 1;
                return Ok(Some(match row.is_larger_than(max_row_bytes) {
                    true => Err(format!("the row has more than {max_row_bytes} bytes")),
                    false => row.to_row(),
                }));
            }
            self.batch = None;
            if !self.decode()? {
                return Ok(None);
            }
        }
    }

    /// Decodes the next batch, if it has arrived.
    fn decode(&mut self) -> Result<bool, ArrowBodyError> {
        let Some(batch) = self.next_batch()? else { return Ok(false) };
        for note in lossy_columns(&batch, |name| self.noted.contains(name)) {
            self.noted.extend(note.column.clone());
            self.notes.push(note);
        }
        self.batch = Some(batch);
        self.row = 0;
        Ok(true)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowBodyError> {
        loop {
            while let Some(part) = self.parts.front_mut() {
                // A message without buffers is decoded when the next one begins.
                if let Some(batch) = self.decoder.decode(part)? {
                    return Ok(Some(batch));
                }
                self.parts.pop_front();
            }
            let Some(parts) = self.messages.next(&mut self.rest)? else { return Ok(None) };
            self.parts.extend(parts);
        }
    }

    /// Returns an error if the stream ended within a message.
    pub fn finish(&mut self) -> Result<(), ArrowBodyError> {
        self.messages.finish()?;
        Ok(self.decoder.finish()?)
    }

    /// Returns what reading has changed, once for each column.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, Decimal128Array, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array,
        ListArray, NullArray, RecordBatch, RunArray, StringArray, StringViewArray, StructArray,
        UInt8Array, UnionArray,
    };
    use arrow_buffer::OffsetBuffer;
    use arrow_ipc::CompressionType;
    use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
    use arrow_schema::{DataType, Field};
    use streamtable_schema::row;

    use super::*;

    fn stream(batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.into_inner().unwrap()
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap()
    }

    fn rows(
        bytes: &[u8],
        step: usize,
        max: usize,
    ) -> (Vec<Result<Row, String>>, Result<(), String>) {
        let (mut found, mut stream) = (Vec::new(), ArrowRows::default());
        for chunk in bytes.chunks(step) {
            stream.push(Bytes::copy_from_slice(chunk));
            loop {
                match stream.next_row(max) {
                    Ok(Some(row)) => found.push(row),
                    Ok(None) => break,
                    Err(error) => return (found, Err(error.to_string())),
                }
            }
        }
        (found, stream.finish().map_err(|error| error.to_string()))
    }

    #[test]
    fn rows_arrive_in_pieces() {
        let texts = DictionaryArray::new(
            UInt8Array::from(vec![1, 0]),
            Arc::new(StringArray::from(vec!["x", "y"])),
        );
        let numbers = |from| Arc::new(Int64Array::from(vec![Some(from), None])) as ArrayRef;
        let batches =
            [0, 7].map(|n| batch(vec![("n", numbers(n)), ("t", Arc::new(texts.clone()))]));
        let bytes = stream(&batches);
        let expected =
            [0, 7].map(|n| [row! { "n" => n, "t" => "y" }, row! { "n" => (), "t" => "x" }].map(Ok));
        for step in [1, 7, 100, 10_000] {
            assert_eq!(rows(&bytes, step, 1000), (expected.concat(), Ok(())));
        }
        let (found, result) = rows(&bytes[..bytes.len() - 200], 100, 1000);
        assert!(found.len() < 4 && result.is_err());
    }

    #[test]
    fn bytes_that_are_no_stream() {
        let bytes = stream(&[batch(vec![("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])]);
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                // Any result is right, as long as there is one.
                let _ = std::panic::catch_unwind(|| rows(&damaged, 64, 1000));
            }
        }
        assert!(rows(b"{\"a\":1}\n{\"a\":2}\n", 100, 1000).1.is_err());
        let mut endless = ArrowRows::default();
        endless.push(Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\x7f"));
        let result = endless.next_row(1000);
        assert!(matches!(result, Err(ArrowBodyError::Invalid(_))), "{result:?}");
    }

    fn compressed(array: ArrayRef, compression: CompressionType) -> Vec<u8> {
        let batch = batch(vec![("a", array)]);
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn error_of(bytes: &[u8]) -> ArrowBodyError {
        let mut stream = ArrowRows::default();
        stream.push(Bytes::copy_from_slice(bytes));
        loop {
            match stream.next_row(1000) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => return error,
            }
        }
    }

    /// The decoder would allocate them before anything is checked.
    #[test]
    fn compressed_buffers_count_as_they_are_decoded() {
        let zeros = |rows: usize| Arc::new(Int64Array::from(vec![0; rows])) as ArrayRef;
        for compression in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
            let bytes = compressed(zeros(9 << 20), compression);
            assert!(bytes.len() < 1 << 20);
            assert!(matches!(error_of(&bytes), ArrowBodyError::TooLarge));
            let (found, result) = rows(&compressed(zeros(1000), compression), 100, 1000);
            assert_eq!((found.len(), result), (1000, Ok(())));
        }
        // A frame that says it is shorter than it is.
        let mut bytes = compressed(zeros(1 << 20), CompressionType::LZ4_FRAME);
        let at = bytes.windows(8).position(|it| it == (8_u64 << 20).to_le_bytes()).unwrap();
        bytes[at..at + 8].copy_from_slice(&800_u64.to_le_bytes());
        assert!(matches!(error_of(&bytes), ArrowBodyError::Invalid(_)));
    }

    #[test]
    fn columns_without_bytes_have_few_rows() {
        let rows_of = |rows: usize| -> [ArrayRef; 3] {
            let ends = Int32Array::from(vec![rows as i32]);
            let empty = StructArray::new_empty_fields(rows, None);
            let runs = RunArray::<Int32Type>::try_new(&ends, &Int64Array::from(vec![1])).unwrap();
            [Arc::new(NullArray::new(rows)), Arc::new(empty), Arc::new(runs)]
        };
        for array in rows_of(1000) {
            let (found, result) = rows(&stream(&[batch(vec![("a", array)])]), 100, 1000);
            assert_eq!((found.len(), result), (1000, Ok(())));
        }
        for array in rows_of(2_000_000) {
            let bytes = stream(&[batch(vec![("a", array)])]);
            assert!(matches!(error_of(&bytes), ArrowBodyError::TooManyValues));
        }
    }

    /// Some arrays need more than the bytes' own alignment.
    #[test]
    fn the_place_of_the_bytes_in_memory_does_not_matter() {
        let ids = vec![0_i8, 1, 0].into();
        let offsets = vec![0_i32, 0, 1].into();
        let fields = [
            (0_i8, Arc::new(Field::new("i", DataType::Int64, true))),
            (1, Arc::new(Field::new("s", DataType::Utf8, true))),
        ];
        let children: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec!["x"]))];
        let union = UnionArray::try_new(fields.into_iter().collect(), ids, Some(offsets), children)
            .unwrap();
        let decimals = Decimal128Array::from(vec![1, 2, 3]);
        let bytes = stream(&[batch(vec![("u", Arc::new(union)), ("d", Arc::new(decimals))])]);
        for offset in 0..16 {
            let shifted = [&vec![0; offset], &bytes[..]].concat();
            let mut stream = ArrowRows::default();
            stream.push(Bytes::from(shifted).slice(offset..));
            for _ in 0..3 {
                assert!(matches!(stream.next_row(1000), Ok(Some(Ok(_)))), "{offset}");
            }
        }
    }

    /// A few bytes of a stream can be many values, or long texts that share their bytes.
    #[test]
    fn rows_that_stand_for_many_values() {
        let item = |ty| Arc::new(Field::new("item", ty, true));
        let nulls = FixedSizeListArray::new(
            item(DataType::Null),
            1 << 20,
            Arc::new(NullArray::new(1 << 20)),
            None,
        );
        let text = "x".repeat(10_000);
        let mut views = StringViewArray::from(vec![text.as_str()]);
        let (_, buffers, _) = views.clone().into_parts();
        let view = views.views()[0];
        views = StringViewArray::new(vec![view; 10_000].into(), buffers, None);
        let texts = ListArray::new(
            item(DataType::Utf8View),
            OffsetBuffer::from_lengths([10_000]),
            Arc::new(views),
            None,
        );
        for (array, max) in [(Arc::new(nulls) as ArrayRef, 1 << 19), (Arc::new(texts), 10 << 20)] {
            let (found, result) = rows(&stream(&[batch(vec![("a", array)])]), 1 << 20, max);
            assert!(result.is_ok());
            assert_eq!(found, [Err(format!("the row has more than {max} bytes"))]);
        }
    }
}
