//! Converts arrays back to rows.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use streamtable_schema::{Media, MediaKind, Row, StoredFile, TIMESTAMP_COLUMN, Timestamp, Value};
use streamtable_store::ReadRow;
use streamtable_wire::read_cell;

use super::{Column, Columns, Kind, MediaField, fixed};

/// Reads all rows of a batch that has the fixed columns and some slots of the table. A missing slot
/// is read as null.
///
/// A null cell is part of its row if the column ever got an explicit null; otherwise the row did
/// not have the cell. A row without a cell in the user's column `timestamp` has a null there, so that no
/// reader takes its time for the cell.
pub(crate) fn read_rows(columns: &Columns, batch: &RecordBatch) -> Vec<ReadRow> {
    let Some(fixed) = Fixed::of(batch) else { return Vec::new() };
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let places: HashMap<&str, usize> = names.zip(0..).collect();
    let array = |slot: &super::Slot| {
        let place = *places.get(slot.field.as_str())?;
        Some((slot.kind, batch.column(place).as_ref()))
    };
    // Columns that have neither a value nor a null here are skipped once, not for each row.
    let arrays: Vec<_> = columns
        .iter()
        .map(|column| (column, column.slots.iter().filter_map(array).collect::<Vec<_>>()))
        .filter(|(column, slots)| {
            !slots.is_empty() || may_be_null(column) || *column.name == *TIMESTAMP_COLUMN
        })
        .collect();
    let users_since = columns.user_timestamp().map(Column::users_since);
    let row = |i: usize| {
        let cells = arrays.iter().filter_map(|(column, slots)| {
            let value = slots.iter().find_map(|(kind, array)| value(*kind, *array, i));
            let is_null = || match &*column.name {
                TIMESTAMP_COLUMN => users_since.is_some_and(|since| since < fixed.position(i)),
                _ => may_be_null(column),
            };
            let value = value.or_else(|| is_null().then_some(Value::Null))?;
            Some((column.name.to_string(), value))
        });
        fixed.row(i, cells.collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

fn may_be_null(column: &Column) -> bool {
    column.ty.is_optional()
}

struct Fixed<'a> {
    position: &'a arrow::array::Int64Array,
    writer: &'a arrow::array::StringViewArray,
    line: &'a arrow::array::Int64Array,
    time: &'a arrow::array::TimestampMicrosecondArray,
    step: Option<&'a arrow::array::Int64Array>,
    runtime: Option<&'a arrow::array::Float64Array>,
}

impl<'a> Fixed<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            position: column(fixed::POSITION)?.as_primitive_opt::<Int64Type>()?,
            writer: column(fixed::WRITER)?.as_string_view_opt()?,
            line: column(fixed::LINE)?.as_primitive_opt::<Int64Type>()?,
            time: column(fixed::TIME)?.as_primitive_opt::<TimestampMicrosecondType>()?,
            step: column(fixed::STEP).and_then(|it| it.as_primitive_opt::<Int64Type>()),
            runtime: column(fixed::RUNTIME).and_then(|it| it.as_primitive_opt::<Float64Type>()),
        })
    }

    fn position(&self, i: usize) -> u64 {
        self.position.value(i) as u64
    }

    fn row(&self, i: usize, row: Row) -> ReadRow {
        ReadRow {
            position: self.position(i),
            writer: self.writer.value(i).to_owned(),
            line: self.line.value(i) as u64,
            logged_at: Timestamp::from_micros(self.time.value(i)),
            step: self.step.filter(|it| it.is_valid(i)).map(|it| it.value(i)),
            runtime: self.runtime.filter(|it| it.is_valid(i)).map(|it| it.value(i)),
            row,
        }
    }
}

/// Reads a slot's value; `None` if it is null.
pub(crate) fn value(kind: Kind, array: &dyn Array, i: usize) -> Option<Value> {
    if array.is_null(i) {
        return None;
    }
    Some(match kind {
        Kind::Bool => Value::Bool(array.as_boolean_opt()?.value(i)),
        Kind::Int => Value::Int(array.as_primitive_opt::<Int64Type>()?.value(i).into()),
        Kind::Float => Value::Float(array.as_primitive_opt::<Float64Type>()?.value(i)),
        Kind::Text => Value::String(array.as_string_view_opt()?.value(i).to_owned()),
        Kind::Time => {
            let micros = array.as_primitive_opt::<TimestampMicrosecondType>()?.value(i);
            Value::Timestamp(Timestamp::from_micros(micros))
        }
        Kind::Media => media(array.as_struct_opt()?, i)?.into(),
        Kind::Bools | Kind::Ints | Kind::Floats | Kind::Texts | Kind::Times => {
            let element = kind.element()?;
            let items = array.as_list_opt::<i32>()?.value(i);
            let item = |i| value(element, &items, i).unwrap_or(Value::Null);
            Value::List((0..items.len()).map(item).collect())
        }
        Kind::Nested => nested_value(array, i),
        Kind::Json => read_cell(array.as_string_view_opt()?.value(i)).ok()?,
    })
}

/// Reads a list, struct or scalar as its type says. A struct does not have the fields
/// that are null.
pub(crate) fn nested_value(array: &dyn Array, i: usize) -> Value {
    if array.is_null(i) {
        return Value::Null;
    }
    if let Some(fields) = array.as_struct_opt() {
        let names = fields.fields().iter().map(|field| field.name().clone());
        let cells = names.zip(fields.columns()).filter(|(_, array)| array.is_valid(i));
        return Value::Struct(cells.map(|(name, it)| (name, nested_value(it, i))).collect());
    }
    if let Some(lists) = array.as_list_opt::<i32>() {
        let items = lists.value(i);
        return Value::List((0..items.len()).map(|i| nested_value(&items, i)).collect());
    }
    let kind = Kind::of_type(array.data_type());
    kind.and_then(|kind| value(kind, array, i)).unwrap_or(Value::Null)
}

fn media(parts: &StructArray, i: usize) -> Option<Media> {
    let text = |field: MediaField| {
        let array = parts.column(field as usize).as_string_view_opt()?;
        array.is_valid(i).then(|| array.value(i))
    };
    let side = |field: MediaField| {
        let array = parts.column(field as usize).as_primitive_opt::<Int32Type>()?;
        array.is_valid(i).then(|| u32::try_from(array.value(i)).ok())?
    };
    let size = parts.column(MediaField::Size as usize).as_primitive_opt::<Int64Type>()?;
    let kind: MediaKind = text(MediaField::Kind)?.parse().ok()?;
    let file = StoredFile {
        path: text(MediaField::Path)?.to_owned(),
        sha256: text(MediaField::Hash).map(str::to_owned),
        size: size.is_valid(i).then(|| u64::try_from(size.value(i)).ok()).flatten(),
    };
    let dimensions = side(MediaField::Width).zip(side(MediaField::Height));
    let media = Media::stored(kind, text(MediaField::Format)?, dimensions, file).ok()?;
    Some(match text(MediaField::Caption) {
        Some(caption) => media.with_caption(caption),
        None => media,
    })
}
