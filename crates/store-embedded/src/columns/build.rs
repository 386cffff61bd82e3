//! Converts rows to arrays.
//!
//! Every array is allocated for exactly the rows and texts that it holds: with room for a default
//! number of rows, a row of ten thousand columns would take a hundred megabytes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBufferBuilder, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder,
    ListArray, RecordBatch, RecordBatchOptions, StringViewArray, StringViewBuilder, StructArray,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use streamtable_schema::{Media, MediaSource, Value};
use streamtable_wire::write_cell;

use super::accepted::{AcceptedRow, AcceptedRows, NO_SLOT, Piece};
use super::shape::{arrow_fields, place_of};
use super::slot::media_fields;
use super::{Columns, Kind, Shape, Slot};
use crate::memtable::MemBatch;
use crate::seeded_bug::step;

/// Builds arrays of rows, only for the slots that the rows have values in: a missing slot is read
/// as null.
///
/// `columns` has all slots of the rows.
pub(crate) fn build(columns: &Columns, rows: &AcceptedRows) -> Result<Vec<MemBatch>, ArrowError> {
    // The index of each slot among those of the current piece.
    let mut places = vec![0; columns.slot_count()];
    rows.pieces.iter().map(|piece| build_piece(columns, rows, piece, &mut places)).collect()
}

fn build_piece(
    columns: &Columns,
    rows: &AcceptedRows,
    piece: &Piece,
    places: &mut [usize],
) -> Result<MemBatch, ArrowError> {
    step()?;
    let count = piece.rows.len();
    let mut slots = piece.slots.clone();
    slots.sort_unstable();
    for (place, &slot) in slots.iter().enumerate() {
        places[slot as usize] = place;
    }
    let mut fixed = Fixed::new(count);
    let mut builders: Vec<SlotBuilder<'_>> =
        slots.iter().map(|&slot| SlotBuilder::of(columns.slot(slot), count)).collect();
    let mut cells = rows.cells[piece.cells..].iter();
    for (at, row) in rows.rows[piece.rows.clone()].iter().enumerate() {
        fixed.push(row, &rows.writers[row.writer]);
        for ((_, value), &slot) in row.parsed.row.cells().zip(&mut cells) {
            if slot != NO_SLOT {
                let builder = &mut builders[places[slot as usize]];
                builder.pad(at);
                builder.push(value);
            }
        }
    }
    let mut arrays = fixed.finish();
    for mut builder in builders {
        builder.pad(count);
        arrays.push(builder.finish()?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(columns.schema_of(&slots), arrays, &options)?;
    Ok(MemBatch { batch, slots: slots.into(), width: piece.width, line_bytes: piece.line_bytes })
}

struct Fixed<'a> {
    position: Int64Builder,
    writer: Texts<'a>,
    line: Int64Builder,
    time: TimestampMicrosecondBuilder,
    step: Int64Builder,
    runtime: Float64Builder,
}

impl<'a> Fixed<'a> {
    fn new(rows: usize) -> Self {
        Self {
            position: Int64Builder::with_capacity(rows),
            writer: Texts::with_capacity(rows),
            line: Int64Builder::with_capacity(rows),
            time: TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            step: Int64Builder::with_capacity(rows),
            runtime: Float64Builder::with_capacity(rows),
        }
    }

    fn push(&mut self, row: &AcceptedRow, writer: &'a str) {
        // Positions and lines are less than 2⁶³.
        self.position.append_value(row.position as i64);
        self.writer.push(Some(writer));
        self.line.append_value(row.line as i64);
        self.time.append_value(row.at);
        self.step.append_option(row.parsed.step);
        self.runtime.append_option(row.parsed.runtime);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.position.finish()),
            Arc::new(self.writer.finish_repeated()),
            Arc::new(self.line.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.runtime.finish()),
        ]
    }
}

/// Texts that are copied into one block of exactly their length.
struct Texts<'a> {
    texts: Vec<Option<&'a str>>,
    bytes: usize,
}

impl<'a> Texts<'a> {
    fn with_capacity(rows: usize) -> Self {
        Self { texts: Vec::with_capacity(rows), bytes: 0 }
    }

    fn push(&mut self, text: Option<&'a str>) {
        self.bytes += text.map_or(0, str::len);
        self.texts.push(text);
    }

    fn finish(self) -> StringViewArray {
        let mut builder = builder(self.texts.len(), self.bytes);
        self.texts.into_iter().for_each(|text| builder.append_option(text));
        builder.finish()
    }

    /// Copies consecutive texts that share the same memory only once.
    fn finish_repeated(self) -> StringViewArray {
        let mut bytes = 0;
        let mut last: Option<&str> = None;
        let is_same = |a: Option<&str>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            _ => false,
        };
        for &text in &self.texts {
            if !is_same(text, last) {
                bytes += text.map_or(0, str::len);
                last = text;
            }
        }
        let (count, texts) = (self.texts.len(), self.texts);
        if bytes >= self.bytes {
            return Texts { texts, bytes }.finish();
        }
        let mut builder = builder(count, bytes).with_deduplicate_strings();
        texts.into_iter().for_each(|text| builder.append_option(text));
        builder.finish()
    }
}

/// Creates a builder whose only block has room for `bytes` bytes of texts.
fn builder(rows: usize, bytes: usize) -> StringViewBuilder {
    // Texts that exceed the longest possible block get further blocks.
    let block = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
    StringViewBuilder::with_capacity(rows).with_fixed_block_size(block)
}

enum SlotBuilder<'a> {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(Texts<'a>),
    Time(TimestampMicrosecondBuilder),
    Media(Box<MediaBuilder<'a>>),
    List(Lists<'a>),
    Nested(Nested<'a>),
    Json(Json),
}

/// Lists whose elements are of one kind.
struct Lists<'a> {
    element: Kind,
    cells: Vec<Option<&'a [Value]>>,
}

/// Values of one shape.
struct Nested<'a> {
    shape: &'a Shape,
    cells: Vec<Option<&'a Value>>,
}

/// Concatenated JSON texts.
struct Json {
    text: Vec<u8>,
    cells: Vec<Option<Range<usize>>>,
}

impl<'a> SlotBuilder<'a> {
    fn of(slot: &'a Slot, rows: usize) -> Self {
        match &slot.shape {
            Some(shape) => Self::Nested(Nested { shape, cells: Vec::with_capacity(rows) }),
            None => Self::new(slot.kind, rows),
        }
    }

    /// Creates a builder for a kind of values that are not nested.
    fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::Int => Self::Int(Int64Builder::with_capacity(rows)),
            Kind::Float => Self::Float(Float64Builder::with_capacity(rows)),
            Kind::Text => Self::Text(Texts::with_capacity(rows)),
            Kind::Time => {
                Self::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
            Kind::Media => Self::Media(Box::new(MediaBuilder::with_capacity(rows))),
            Kind::Bools => Self::lists(Kind::Bool, rows),
            Kind::Ints => Self::lists(Kind::Int, rows),
            Kind::Floats => Self::lists(Kind::Float, rows),
            Kind::Texts => Self::lists(Kind::Text, rows),
            Kind::Times => Self::lists(Kind::Time, rows),
            Kind::Nested | Kind::Json => {
                Self::Json(Json { text: Vec::new(), cells: Vec::with_capacity(rows) })
            }
        }
    }

    fn lists(element: Kind, rows: usize) -> Self {
        Self::List(Lists { element, cells: Vec::with_capacity(rows) })
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        match self {
            Self::Bool(builder) => builder.len(),
            Self::Int(builder) => builder.len(),
            Self::Float(builder) => builder.len(),
            Self::Text(builder) => builder.texts.len(),
            Self::Time(builder) => builder.len(),
            Self::Media(builder) => builder.is_present.len(),
            Self::List(builder) => builder.cells.len(),
            Self::Nested(builder) => builder.cells.len(),
            Self::Json(builder) => builder.cells.len(),
        }
    }

    /// Adds nulls up to a row.
    fn pad(&mut self, row: usize) {
        let missing = row.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        match self {
            Self::Bool(builder) => builder.append_nulls(missing),
            Self::Int(builder) => builder.append_nulls(missing),
            Self::Float(builder) => builder.append_nulls(missing),
            Self::Text(builder) => builder.texts.resize(row, None),
            Self::Time(builder) => builder.append_nulls(missing),
            Self::Media(builder) => (0..missing).for_each(|_| builder.push(None)),
            Self::List(builder) => builder.cells.resize(row, None),
            Self::Nested(builder) => builder.cells.resize(row, None),
            Self::Json(builder) => builder.cells.resize(row, None),
        }
    }

    fn push(&mut self, value: &'a Value) {
        match (self, value) {
            (Self::Bool(builder), Value::Bool(b)) => builder.append_value(*b),
            (Self::Int(builder), Value::Int(n)) => builder.append_option(i64::try_from(*n).ok()),
            (Self::Float(builder), Value::Int(n)) => builder.append_value(*n as f64),
            (Self::Float(builder), Value::Float(x)) => builder.append_value(*x),
            (Self::Text(builder), Value::String(text)) => builder.push(Some(text)),
            (Self::Time(builder), Value::Timestamp(at)) => builder.append_value(at.as_micros()),
            (Self::Media(builder), Value::Media(media)) => builder.push(Some(media)),
            (Self::List(builder), Value::List(items)) => builder.cells.push(Some(items)),
            (Self::Nested(builder), value) => {
                builder.cells.push(Some(value).filter(|value| !value.is_null()));
            }
            (Self::Json(builder), value) => {
                let start = builder.text.len();
                write_cell(&mut builder.text, value);
                builder.cells.push(Some(start..builder.text.len()));
            }
            // A slot's kind is that of the value, or `Float` for an integer. Elements may be null.
            (slot, _) => slot.pad(slot.len() + 1),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Media(builder) => Arc::new(builder.finish()?),
            Self::List(builder) => Arc::new(builder.finish()?),
            Self::Nested(builder) => nested(builder.shape, builder.cells)?,
            Self::Json(builder) => Arc::new(builder.finish()?),
        })
    }
}

/// Makes an array of a slot's values; null for each `None`.
pub(super) fn array(slot: &Slot, values: &[Option<Value>]) -> Result<ArrayRef, ArrowError> {
    let mut builder = SlotBuilder::of(slot, values.len());
    for value in values {
        builder.push(value.as_ref().unwrap_or(&Value::Null));
    }
    builder.finish()
}

impl Lists<'_> {
    fn finish(self) -> Result<ListArray, ArrowError> {
        let lengths = self.cells.iter().map(|cell| cell.map_or(0, <[Value]>::len));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls: NullBuffer = self.cells.iter().map(Option::is_some).collect();
        let count: usize = self.cells.iter().flatten().map(|items| items.len()).sum();
        let mut elements = SlotBuilder::new(self.element, count);
        self.cells.into_iter().flatten().flatten().for_each(|item| elements.push(item));
        let field = Arc::new(Field::new_list_field(self.element.arrow_type(), true));
        ListArray::try_new(field, offsets, elements.finish()?, Some(nulls))
    }
}

/// Makes an array of values of a shape.
fn nested(shape: &Shape, cells: Vec<Option<&Value>>) -> Result<ArrayRef, ArrowError> {
    let nulls: NullBuffer =
        cells.iter().map(|cell| cell.is_some_and(|value| !value.is_null())).collect();
    match shape {
        Shape::List(element) => {
            let items = |cell: Option<&'_ Value>| match cell {
                Some(Value::List(items)) => items.len(),
                _ => 0,
            };
            let offsets = OffsetBuffer::from_lengths(cells.iter().map(|cell| items(*cell)));
            let elements = cells.into_iter().flatten().flat_map(|value| match value {
                Value::List(items) => items.as_slice(),
                _ => &[],
            });
            let elements = nested(element, elements.map(Some).collect())?;
            let field = Arc::new(Field::new_list_field(element.arrow_type(), true));
            Ok(Arc::new(ListArray::try_new(field, offsets, elements, Some(nulls))?))
        }
        Shape::Struct(fields) => {
            let mut columns = vec![vec![None; cells.len()]; fields.len()];
            for (i, cell) in cells.into_iter().enumerate() {
                let Some(Value::Struct(row)) = cell else { continue };
                let mut next = 0;
                for (name, value) in row.cells() {
                    if let Some(place) = place_of(fields, name, next) {
                        columns[place][i] = Some(value);
                        next = place + 1;
                    }
                }
            }
            let arrays = fields.iter().zip(columns).map(|((_, shape), cells)| nested(shape, cells));
            let arrays = arrays.collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(arrow_fields(fields), arrays, Some(nulls))?))
        }
        scalar => {
            let mut builder = SlotBuilder::new(scalar.scalar().unwrap_or(Kind::Json), cells.len());
            cells.into_iter().for_each(|cell| builder.push(cell.unwrap_or(&Value::Null)));
            builder.finish()
        }
    }
}

impl Json {
    fn finish(self) -> Result<StringViewArray, ArrowError> {
        let text = std::str::from_utf8(&self.text)
            .map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
        let mut texts = Texts::with_capacity(self.cells.len());
        for cell in self.cells {
            texts.push(cell.and_then(|cell| text.get(cell)));
        }
        Ok(texts.finish())
    }
}

struct MediaBuilder<'a> {
    kind: Texts<'a>,
    path: Texts<'a>,
    hash: Texts<'a>,
    size: Int64Builder,
    width: Int32Builder,
    height: Int32Builder,
    format: Texts<'a>,
    caption: Texts<'a>,
    is_present: BooleanBufferBuilder,
}

impl<'a> MediaBuilder<'a> {
    fn with_capacity(rows: usize) -> Self {
        Self {
            kind: Texts::with_capacity(rows),
            path: Texts::with_capacity(rows),
            hash: Texts::with_capacity(rows),
            size: Int64Builder::with_capacity(rows),
            width: Int32Builder::with_capacity(rows),
            height: Int32Builder::with_capacity(rows),
            format: Texts::with_capacity(rows),
            caption: Texts::with_capacity(rows),
            is_present: BooleanBufferBuilder::new(rows),
        }
    }

    fn push(&mut self, media: Option<&'a Media>) {
        let file = media.and_then(|media| match media.source() {
            MediaSource::Stored(file) => Some(file),
            MediaSource::Bytes(_) | MediaSource::Path(_) => None,
        });
        let (width, height) = media.and_then(Media::dimensions).unzip();
        let side = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok());
        self.kind.push(media.map(|media| media.kind().as_str()));
        self.path.push(file.map(|file| file.path.as_str()));
        self.hash.push(file.and_then(|file| file.sha256.as_deref()));
        self.size.append_option(file.and_then(|file| i64::try_from(file.size?).ok()));
        self.width.append_option(side(width));
        self.height.append_option(side(height));
        self.format.push(media.map(Media::format));
        self.caption.push(media.and_then(Media::caption));
        self.is_present.append(media.is_some());
    }

    /// Builds the struct from its parts, in the order of [`MediaField`](super::MediaField).
    fn finish(mut self) -> Result<StructArray, ArrowError> {
        let parts: Vec<ArrayRef> = vec![
            Arc::new(self.kind.finish_repeated()),
            Arc::new(self.path.finish()),
            Arc::new(self.hash.finish()),
            Arc::new(self.size.finish()),
            Arc::new(self.width.finish()),
            Arc::new(self.height.finish()),
            Arc::new(self.format.finish()),
            Arc::new(self.caption.finish()),
        ];
        let nulls = NullBuffer::new(self.is_present.finish());
        StructArray::try_new(media_fields(), parts, Some(nulls))
    }
}
