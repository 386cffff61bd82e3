//! Rows of an Arrow stream that arrives in pieces.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use bytes::Bytes;
use streamtable_schema::Row;

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
    /// A record batch is too large.
    #[error("a record batch has more than {MAX_BATCH_BYTES} bytes; send smaller ones")]
    TooLarge,
}

/// The rows of an Arrow stream, as [`ArrowRow`] reads them.
///
/// It takes memory for one record batch. A row that cannot be stored does not affect others.
#[derive(Debug, Default)]
pub struct ArrowRows {
    decoder: StreamDecoder,
    /// The bytes that are not decoded yet.
    rest: Option<Buffer>,
    /// How many bytes were added since the last record batch.
    waiting: usize,
    batch: Option<RecordBatch>,
    /// The number of the next row in the batch.
    row: usize,
    noted: HashSet<String>,
    notes: Vec<Note>,
}

impl ArrowRows {
    /// Adds the next bytes. Call it when there is no further row.
    pub fn push(&mut self, chunk: Bytes) {
        self.waiting += chunk.len();
        self.rest = Some(Buffer::from(chunk));
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
        let Some(rest) = self.rest.as_mut().filter(|rest| !rest.is_empty()) else {
            return Ok(false);
        };
        let batch = self.decoder.decode(rest)?;
        if batch.is_some() {
            self.waiting = rest.len();
        } else if self.waiting > MAX_BATCH_BYTES {
            return Err(ArrowBodyError::TooLarge);
        }
        let Some(batch) = batch else { return Ok(false) };
        for note in lossy_columns(&batch, |name| self.noted.contains(name)) {
            self.noted.extend(note.column.clone());
            self.notes.push(note);
        }
        self.batch = Some(batch);
        self.row = 0;
        Ok(true)
    }

    /// Returns an error if the stream ended within a message.
    pub fn finish(&mut self) -> Result<(), ArrowBodyError> {
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

    use arrow_array::{
        ArrayRef, FixedSizeListArray, Int64Array, ListArray, NullArray, StringViewArray, UInt8Array,
    };
    use arrow_array::{DictionaryArray, RecordBatch, StringArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_ipc::writer::StreamWriter;
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
        let (mut endless, mut result) = (ArrowRows::default(), Ok(None));
        endless.push(Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\x7f"));
        for _ in 0..80 {
            result = result.and_then(|_| endless.next_row(1000));
            endless.push(vec![0; 1 << 20].into());
        }
        assert!(matches!(result, Err(ArrowBodyError::TooLarge)), "{result:?}");
    }

    /// A few bytes of a stream can be many values, or long texts that share their bytes.
    #[test]
    fn rows_that_stand_for_many_values() {
        let item = |ty| Arc::new(Field::new("item", ty, true));
        let nulls = FixedSizeListArray::new(
            item(DataType::Null),
            1 << 30,
            Arc::new(NullArray::new(1 << 30)),
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
        for array in [Arc::new(nulls) as ArrayRef, Arc::new(texts)] {
            let (found, result) = rows(&stream(&[batch(vec![("a", array)])]), 1 << 20, 10 << 20);
            assert!(result.is_ok());
            assert_eq!(found, [Err("the row has more than 10485760 bytes".to_owned())]);
        }
    }
}
