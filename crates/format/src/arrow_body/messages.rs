//! The messages of an Arrow stream, collected and checked before they are decoded.
//!
//! The decoder trusts what a message says about its size: a few bytes can claim any number of rows, and compressed
//! buffers any length. The layout is described in Arrow's "Serialization and Interprocess Communication (IPC)".

use std::collections::HashMap;
use std::io;

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::{CompressionType, Message, MessageHeader, RecordBatch, root_as_message};
use bytes::{Buf, Bytes};

use super::{ArrowBodyError, MAX_BATCH_BYTES};

/// The maximum size of the description of a message.
const MAX_METADATA_BYTES: usize = 16 << 20;

/// The number of values that a stream of any length may have.
const FREE_VALUES: u64 = 1 << 20;

/// The maximum number of further values for each byte of the stream. Columns of nulls and compressed columns
/// take few bytes, or none.
const MAX_VALUES_PER_BYTE: u64 = 1000;

/// The bytes before the description of a message: a marker, and the length of the description.
const PREFIX_BYTES: usize = 8;

const CONTINUATION: [u8; 4] = [0xff; 4];

/// The length of a compressed buffer that is not compressed after all.
const NOT_COMPRESSED: i64 = -1;

/// Collects messages from bytes that arrive in pieces, and checks them.
#[derive(Debug, Default)]
pub(super) struct Messages {
    state: State,
    /// The bytes of the part that is collected; aligned, as the decoder requires.
    part: MutableBuffer,
    /// The number of bytes of the stream so far.
    received: u64,
    /// The number of values in all arrays so far.
    values: u64,
    /// The size of each dictionary.
    dictionaries: HashMap<i64, usize>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body {
        head: Buffer,
        length: usize,
    },
    End,
}

/// A message in two parts, each of them aligned: its description with the prefix, and its buffers.
pub(super) type Parts = [Buffer; 2];

impl Messages {
    /// Returns the next message, `None` if more bytes are needed. `rest` loses the bytes that are used.
    pub(super) fn next(&mut self, rest: &mut Bytes) -> Result<Option<Parts>, ArrowBodyError> {
        loop {
            match &mut self.state {
                State::Head => {
                    if !self.collect(rest, PREFIX_BYTES) {
                        return Ok(None);
                    }
                    let (marker, length) = self.part[..PREFIX_BYTES].split_at(4);
                    if marker != CONTINUATION {
                        return Err(invalid("it does not begin with a message"));
                    }
                    let length = u32_of(length) as usize;
                    if length == 0 {
                        self.state = State::End;
                        return Ok(Some([self.take(), Buffer::from(&[])]));
                    }
                    if length > MAX_METADATA_BYTES {
                        return Err(invalid("the description of a message is too long"));
                    }
                    if !self.collect(rest, PREFIX_BYTES + length) {
                        return Ok(None);
                    }
                    let head = self.take();
                    let length = body_length(&message(&head)?)?;
                    self.state = State::Body { head, length };
                }
                State::Body { length, .. } => {
                    let length = *length;
                    if !self.collect(rest, length) {
                        return Ok(None);
                    }
                    let body = self.take();
                    let State::Body { head, .. } = std::mem::take(&mut self.state) else {
                        return Ok(None);
                    };
                    self.check(&message(&head)?, &body)?;
                    return Ok(Some([head, body]));
                }
                State::End if rest.is_empty() => return Ok(None),
                State::End => return Err(invalid("there are bytes after its end")),
            }
        }
    }

    /// Returns an error if the stream ended within a message.
    pub(super) fn finish(&self) -> Result<(), ArrowBodyError> {
        match self.state {
            State::Head if self.part.is_empty() => Ok(()),
            State::End => Ok(()),
            _ => Err(invalid("it ends within a message")),
        }
    }

    /// Moves bytes to the part until it has `length` bytes. Returns whether it has.
    fn collect(&mut self, rest: &mut Bytes, length: usize) -> bool {
        let more = length.saturating_sub(self.part.len()).min(rest.len());
        self.part.extend_from_slice(&rest[..more]);
        rest.advance(more);
        self.received += more as u64;
        self.part.len() >= length
    }

    fn take(&mut self) -> Buffer {
        std::mem::take(&mut self.part).into()
    }

    /// Checks what a message says about its buffers and arrays.
    fn check(&mut self, message: &Message<'_>, body: &Buffer) -> Result<(), ArrowBodyError> {
        let (batch, dictionary) = match message.header_type() {
            MessageHeader::RecordBatch => (message.header_as_record_batch(), None),
            MessageHeader::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch();
                let dictionary = dictionary.ok_or_else(|| invalid("a dictionary is missing"))?;
                (dictionary.data(), Some((dictionary.id(), dictionary.isDelta())))
            }
            _ => return Ok(()),
        };
        let batch = batch.ok_or_else(|| invalid("a record batch is missing"))?;
        let bytes = buffer_bytes(&batch, body)?;
        if let Some((id, is_delta)) = dictionary {
            let before = self.dictionaries.entry(id).or_default();
            *before = if is_delta { before.saturating_add(bytes) } else { bytes };
        }
        let kept = self.dictionaries.values().fold(0_usize, |sum, it| sum.saturating_add(*it));
        let own = if dictionary.is_none() { bytes } else { 0 };
        if kept.saturating_add(own) > MAX_BATCH_BYTES {
            return Err(ArrowBodyError::TooLarge);
        }
        self.count_values(&batch)
    }

    /// Counts the values of a batch, those within lists and structs included.
    fn count_values(&mut self, batch: &RecordBatch<'_>) -> Result<(), ArrowBodyError> {
        let rows = u64::try_from(batch.length()).map_err(|_| invalid("a length is negative"))?;
        let mut values = rows;
        for node in batch.nodes().into_iter().flatten() {
            if !(0..=node.length()).contains(&node.null_count()) {
                return Err(invalid("a number of nulls is not one of its array"));
            }
            values = values.saturating_add(node.length().unsigned_abs());
        }
        self.values = self.values.saturating_add(values);
        if self.values > FREE_VALUES + MAX_VALUES_PER_BYTE * self.received {
            return Err(ArrowBodyError::TooManyValues);
        }
        Ok(())
    }
}

/// Returns the size of a batch's buffers when they are decoded. Buffers may share bytes of the body; each of
/// them counts.
fn buffer_bytes(batch: &RecordBatch<'_>, body: &Buffer) -> Result<usize, ArrowBodyError> {
    let compression = batch.compression().map(|it| it.codec());
    let mut sum = 0_usize;
    for buffer in batch.buffers().into_iter().flatten() {
        let place =
            usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let end = place.and_then(|(offset, length)| offset.checked_add(length));
        let (Some((offset, length)), Some(end)) = (place, end.filter(|end| *end <= body.len()))
        else {
            return Err(invalid("a buffer is outside of its message"));
        };
        if offset % 8 != 0 {
            return Err(invalid("a buffer does not begin at a multiple of 8 bytes"));
        }
        let length = match compression {
            Some(codec) if length > 0 => decoded_length(codec, &body[offset..end])?,
            _ => length,
        };
        sum = sum.saturating_add(length);
        if sum > MAX_BATCH_BYTES {
            return Err(ArrowBodyError::TooLarge);
        }
    }
    Ok(sum)
}

/// Returns the length of a compressed buffer when it is decoded.
fn decoded_length(codec: CompressionType, buffer: &[u8]) -> Result<usize, ArrowBodyError> {
    let (length, packed) = buffer
        .split_first_chunk::<8>()
        .ok_or_else(|| invalid("a compressed buffer has no length"))?;
    let length = match i64::from_le_bytes(*length) {
        NOT_COMPRESSED => return Ok(packed.len()),
        length => usize::try_from(length).map_err(|_| invalid("a length is negative"))?,
    };
    if length > MAX_BATCH_BYTES {
        return Err(ArrowBodyError::TooLarge);
    }
    // The decoder of this format, unlike that of Zstandard, does not stop at the length.
    if codec == CompressionType::LZ4_FRAME {
        let limit = length as u64 + 1;
        let mut frame = io::Read::take(lz4_flex::frame::FrameDecoder::new(packed), limit);
        let found = io::copy(&mut frame, &mut io::sink());
        if found.ok() != Some(length as u64) {
            return Err(invalid("a compressed buffer has another length than it says"));
        }
    }
    Ok(length)
}

fn message(head: &Buffer) -> Result<Message<'_>, ArrowBodyError> {
    root_as_message(&head[PREFIX_BYTES..]).map_err(|error| invalid(&error.to_string()))
}

fn body_length(message: &Message<'_>) -> Result<usize, ArrowBodyError> {
    match usize::try_from(message.bodyLength()) {
        Ok(length) if length <= MAX_BATCH_BYTES => Ok(length),
        Ok(_) => Err(ArrowBodyError::TooLarge),
        Err(_) => Err(invalid("a length is negative")),
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn invalid(why: &str) -> ArrowBodyError {
    ArrowBodyError::Invalid(arrow_schema::ArrowError::IpcError(why.to_owned()))
}
