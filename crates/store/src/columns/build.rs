//! From rows to arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringViewBuilder, StructBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use streamtable_schema::{Media, MediaSource, Value};
use streamtable_wire::{HistoryLine, write_cell};

use super::slot::{is_exact, media_fields};
use super::{Columns, Kind, MediaField};

/// A row that its table has taken.
#[derive(Debug)]
pub(crate) struct BuildRow {
    pub(crate) position: u64,
    pub(crate) line: u64,
    /// When it was logged, in microseconds.
    pub(crate) at: i64,
    pub(crate) parsed: HistoryLine,
    /// The column of each cell.
    pub(crate) places: Vec<usize>,
}

/// Makes a batch of rows of one writer, giving columns the slots that they lack.
pub(crate) fn build(
    columns: &mut Arc<Columns>,
    writer: &str,
    rows: &[BuildRow],
) -> Result<RecordBatch, ArrowError> {
    let count = rows.len();
    let mut fixed = Fixed::new(count);
    let mut slots: Vec<SlotBuilder> = columns.slots().map(|(_, it)| it.kind.builder()).collect();
    for (at, row) in rows.iter().enumerate() {
        fixed.push(row, writer);
        for ((_, value), &column) in row.parsed.row.cells().zip(&row.places) {
            if let Some(place) = place(columns, &mut slots, column, value) {
                slots[place].pad(at);
                slots[place].push(value);
            }
        }
    }
    let mut arrays = fixed.finish();
    for mut slot in slots {
        slot.pad(count);
        arrays.push(slot.finish());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(columns.arrow_schema(), arrays, &options)
}

/// Finds the slot of a value, and makes it where the column has none of its kind.
fn place(
    columns: &mut Arc<Columns>,
    slots: &mut Vec<SlotBuilder>,
    column: usize,
    value: &Value,
) -> Option<usize> {
    let kind = Kind::of(value)?;
    let own = &columns.columns[column].slots;
    let find = |kind| own.iter().find(|slot| slot.kind == kind).map(|slot| slot.place);
    let found = find(kind).or_else(|| match value {
        // Among floats an integer is one of them, unless digits would be lost.
        Value::Int(n) if is_exact(*n) => find(Kind::Float),
        _ => None,
    });
    Some(found.unwrap_or_else(|| {
        let place = Arc::make_mut(columns).add_slot(column, kind);
        slots.push(kind.builder());
        place
    }))
}

struct Fixed {
    position: Int64Builder,
    writer: StringViewBuilder,
    line: Int64Builder,
    time: TimestampMicrosecondBuilder,
    step: Int64Builder,
    runtime: Float64Builder,
}

impl Fixed {
    fn new(rows: usize) -> Self {
        Self {
            position: Int64Builder::with_capacity(rows),
            // One copy of the writer's id for all its rows.
            writer: StringViewBuilder::new().with_deduplicate_strings(),
            line: Int64Builder::with_capacity(rows),
            time: TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            step: Int64Builder::with_capacity(rows),
            runtime: Float64Builder::with_capacity(rows),
        }
    }

    fn push(&mut self, row: &BuildRow, writer: &str) {
        // Positions and lines count rows from 0: they never come near the sign.
        self.position.append_value(row.position as i64);
        self.writer.append_value(writer);
        self.line.append_value(row.line as i64);
        self.time.append_value(row.at);
        self.step.append_option(row.parsed.step);
        self.runtime.append_option(row.parsed.runtime);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.position.finish()),
            Arc::new(self.writer.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.runtime.finish()),
        ]
    }
}

enum SlotBuilder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringViewBuilder),
    Time(TimestampMicrosecondBuilder),
    Media(StructBuilder),
    Json(StringViewBuilder, Vec<u8>),
}

impl Kind {
    fn builder(self) -> SlotBuilder {
        match self {
            Self::Bool => SlotBuilder::Bool(BooleanBuilder::new()),
            Self::Int => SlotBuilder::Int(Int64Builder::new()),
            Self::Float => SlotBuilder::Float(Float64Builder::new()),
            Self::Text => SlotBuilder::Text(StringViewBuilder::new()),
            Self::Time => {
                SlotBuilder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            Self::Media => SlotBuilder::Media(StructBuilder::from_fields(media_fields(), 0)),
            Self::Json => SlotBuilder::Json(StringViewBuilder::new(), Vec::new()),
        }
    }
}

macro_rules! each {
    ($this:expr, $builder:ident => $action:expr, $media:ident => $otherwise:expr) => {
        match $this {
            SlotBuilder::Bool($builder) => $action,
            SlotBuilder::Int($builder) => $action,
            SlotBuilder::Float($builder) => $action,
            SlotBuilder::Text($builder) | SlotBuilder::Json($builder, _) => $action,
            SlotBuilder::Time($builder) => $action,
            SlotBuilder::Media($media) => $otherwise,
        }
    };
}

impl SlotBuilder {
    /// Adds nulls up to a row.
    fn pad(&mut self, row: usize) {
        use arrow::array::ArrayBuilder as _;
        each!(self, builder => {
            for _ in builder.len()..row {
                builder.append_null();
            }
        }, media => {
            for _ in media.len()..row {
                push_media(media, None);
            }
        });
    }

    fn push(&mut self, value: &Value) {
        match (self, value) {
            (Self::Bool(builder), Value::Bool(b)) => builder.append_value(*b),
            (Self::Int(builder), Value::Int(n)) => builder.append_option(i64::try_from(*n).ok()),
            (Self::Float(builder), Value::Int(n)) => builder.append_value(*n as f64),
            (Self::Float(builder), Value::Float(x)) => builder.append_value(*x),
            (Self::Text(builder), Value::String(text)) => builder.append_value(text),
            (Self::Time(builder), Value::Timestamp(at)) => builder.append_value(at.as_micros()),
            (Self::Media(builder), Value::Media(media)) => push_media(builder, Some(media)),
            (Self::Json(builder, text), value) => {
                text.clear();
                write_cell(text, value);
                // What was written from texts and numbers is UTF-8.
                builder.append_option(std::str::from_utf8(text).ok());
            }
            // A slot's kind is that of the value, or `Float` for an integer.
            (slot, _) => {
                use arrow::array::ArrayBuilder as _;
                let next = each!(&slot, builder => builder.len(), media => media.len()) + 1;
                slot.pad(next);
            }
        }
    }

    fn finish(self) -> ArrayRef {
        each!(self, builder => {
            let mut builder = builder;
            Arc::new(builder.finish())
        }, media => {
            let mut media = media;
            Arc::new(media.finish())
        })
    }
}

fn push_media(builder: &mut StructBuilder, media: Option<&Media>) {
    let file = media.and_then(|media| match media.source() {
        MediaSource::Stored(file) => Some(file),
        MediaSource::Bytes(_) | MediaSource::Path(_) => None,
    });
    let dimensions = media.and_then(Media::dimensions);
    let side = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok());
    let mut text = |field: MediaField, value: Option<&str>| {
        if let Some(builder) = builder.field_builder::<StringViewBuilder>(field as usize) {
            builder.append_option(value);
        }
    };
    text(MediaField::Kind, media.map(|media| media.kind().as_str()));
    text(MediaField::Path, file.map(|file| file.path.as_str()));
    text(MediaField::Hash, file.and_then(|file| file.sha256.as_deref()));
    text(MediaField::Format, media.map(Media::format));
    text(MediaField::Caption, media.and_then(Media::caption));
    if let Some(builder) = builder.field_builder::<Int64Builder>(MediaField::Size as usize) {
        builder.append_option(file.and_then(|file| i64::try_from(file.size?).ok()));
    }
    let sides = dimensions.map_or((None, None), |(width, height)| (Some(width), Some(height)));
    for (field, value) in [(MediaField::Width, sides.0), (MediaField::Height, sides.1)] {
        if let Some(builder) = builder.field_builder::<Int32Builder>(field as usize) {
            builder.append_option(side(value));
        }
    }
    builder.append(media.is_some());
}
