//! Arrow cells as values.
//!
//! [`ArrowRow`] serializes a row of a record batch by the rules of `docs/values.md`; nothing is copied
//! before the serializer asks for it. [`lossy_columns`] returns what these rules change in a batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, TimeUnit};
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use streamtable_schema::{Row, Timestamp};

use crate::decimal::{self, Decimal};
use crate::naive::NaiveTimes;
use crate::note::Note;
use crate::stored::MarkedCell;

/// One row of a record batch.
///
/// Columns that pandas adds for an index without a name (`__index_level_0__`) are left out.
#[derive(Clone, Copy, Debug)]
pub struct ArrowRow<'a> {
    /// The batch.
    pub batch: &'a RecordBatch,
    /// The index of the row in the batch.
    pub row: usize,
    /// The zone of timestamps whose type has none.
    pub naive: &'a NaiveTimes,
}

impl Serialize for ArrowRow<'_> {
    /// Serializes a map with one entry per column, in the order of the batch.
    ///
    /// Fails on bytes, intervals, and instants outside the years 1 to 9999. The error names the
    /// column.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { batch, row, naive } = *self;
        let mut map = serializer.serialize_map(Some(batch.num_columns()))?;
        let schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns());
        for (field, column) in columns.filter(|(field, _)| is_column(field)) {
            let cell = Cell { array: column.as_ref(), row, naive, nulls_are_absent: false };
            match MarkedCell::of(field, cell) {
                Some(cell) => map.serialize_entry(field.name(), &cell)?,
                None => map.serialize_entry(field.name(), &cell)?,
            }
        }
        map.end()
    }
}

impl ArrowRow<'_> {
    /// Returns whether the values of the row take more than about `limit` bytes. Takes time in
    /// proportion to `limit`.
    pub(crate) fn is_larger_than(&self, limit: usize) -> bool {
        let mut left = Some(limit);
        for column in self.batch.columns() {
            left = left.and_then(|left| without(column.as_ref(), self.row, left));
        }
        left.is_none()
    }

    /// Returns the row.
    pub fn to_row(&self) -> Result<Row, String> {
        Row::from_serialize(self).map_err(|error| error.to_string())
    }
}

/// Returns false for the index columns that pandas adds to the named columns.
fn is_column(field: &Field) -> bool {
    let index =
        field.name().strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    index.is_none_or(|level| level.parse::<u32>().is_err())
}

/// Returns what is left of a number of bytes after those of a value, `None` if it has more.
///
/// Arrays may share their bytes, so a value can be much larger than its share of a batch.
fn without(array: &dyn Array, row: usize, left: usize) -> Option<usize> {
    if array.is_null(row) {
        return left.checked_sub(1);
    }
    let all = |items: &dyn Array, left: usize| {
        let is_flat = items.data_type().is_primitive()
            || matches!(items.data_type(), DataType::Null | DataType::Boolean);
        match is_flat {
            true => left.checked_sub(items.len()),
            false => (0..items.len()).try_fold(left, |left, row| without(items, row, left)),
        }
    };
    let left = left.checked_sub(1)?;
    match array.data_type() {
        DataType::Utf8 => left.checked_sub(array.as_string::<i32>().value(row).len()),
        DataType::LargeUtf8 => left.checked_sub(array.as_string::<i64>().value(row).len()),
        DataType::Utf8View => left.checked_sub(array.as_string_view().value(row).len()),
        DataType::List(_) => all(array.as_list::<i32>().value(row).as_ref(), left),
        DataType::LargeList(_) => all(array.as_list::<i64>().value(row).as_ref(), left),
        DataType::FixedSizeList(_, _) => all(array.as_fixed_size_list().value(row).as_ref(), left),
        DataType::ListView(_) => all(array.as_list_view::<i32>().value(row).as_ref(), left),
        DataType::LargeListView(_) => all(array.as_list_view::<i64>().value(row).as_ref(), left),
        DataType::Map(_, _) => all(&array.as_map().value(row), left),
        DataType::Struct(fields) => {
            let fields = fields.iter().zip(array.as_struct().columns());
            fields.into_iter().try_fold(left, |left, (field, column)| {
                without(column.as_ref(), row, left.checked_sub(field.name().len())?)
            })
        }
        DataType::Union(_, _) => without(array.as_union().value(row).as_ref(), 0, left),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            without(dictionary.values().as_ref(), index(dictionary.keys(), row), left)
        }
        DataType::RunEndEncoded(ends, _) => {
            macro_rules! run {
                ($ty:ty) => {{
                    let runs = array.as_run::<$ty>();
                    without(runs.values().as_ref(), runs.get_physical_index(row), left)
                }};
            }
            match ends.data_type() {
                DataType::Int16 => run!(Int16Type),
                DataType::Int32 => run!(Int32Type),
                _ => run!(Int64Type),
            }
        }
        _ => Some(left),
    }
}

/// One cell of an array.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) array: &'a dyn Array,
    pub(crate) row: usize,
    pub(crate) naive: &'a NaiveTimes,
    /// Whether structs do not have the fields that are null.
    pub(crate) nulls_are_absent: bool,
}

impl Cell<'_> {
    /// Returns a cell of a nested array.
    fn nested<'b>(&'b self, array: &'b dyn Array, row: usize) -> Cell<'b> {
        Cell { array, row, ..*self }
    }

    /// Serializes all elements of a nested array.
    fn list<S: Serializer>(&self, items: &dyn Array, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(items.len()))?;
        for row in 0..items.len() {
            list.serialize_element(&self.nested(items, row))?;
        }
        list.end()
    }

    fn instant<S: Serializer>(&self, unit: TimeUnit, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = micros(self.array, self.row, unit);
        let micros = match self.array.data_type() {
            DataType::Timestamp(_, None) => micros.map(|micros| self.naive.to_utc(micros)),
            _ => micros,
        };
        match micros.map(Timestamp::from_micros) {
            Some(at) if at.is_storable() => at.serialize(serializer),
            _ => Err(S::Error::custom("an instant outside the years 1 to 9999")),
        }
    }

    fn seconds<S: Serializer>(&self, unit: TimeUnit, serializer: S) -> Result<S::Ok, S::Error> {
        macro_rules! seconds {
            ($ty:ty, $a_second:expr) => {
                self.array.as_primitive::<$ty>().value(self.row) as f64 / $a_second
            };
        }
        serializer.serialize_f64(match unit {
            TimeUnit::Second => seconds!(DurationSecondType, 1.0),
            TimeUnit::Millisecond => seconds!(DurationMillisecondType, 1e3),
            TimeUnit::Microsecond => seconds!(DurationMicrosecondType, 1e6),
            TimeUnit::Nanosecond => seconds!(DurationNanosecondType, 1e9),
        })
    }

    fn entries<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.array.as_map().value(self.row);
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for row in 0..entries.len() {
            let [key, value] = [0, 1].map(|i| self.nested(entries.column(i).as_ref(), row));
            map.serialize_entry(&key, &value)?;
        }
        map.end()
    }
}

/// Returns the microseconds of a timestamp, `None` outside of their range. A finer timestamp is
/// rounded towards the past.
fn micros(array: &dyn Array, row: usize, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => {
            array.as_primitive::<TimestampSecondType>().value(row).checked_mul(1_000_000)
        }
        TimeUnit::Millisecond => {
            array.as_primitive::<TimestampMillisecondType>().value(row).checked_mul(1000)
        }
        TimeUnit::Microsecond => Some(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        TimeUnit::Nanosecond => {
            Some(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1000))
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { array, row, .. } = *self;
        if array.is_null(row) {
            return serializer.serialize_unit();
        }
        macro_rules! number {
            ($method:ident, $ty:ty) => {
                serializer.$method(array.as_primitive::<$ty>().value(row))
            };
        }
        macro_rules! text {
            ($ty:ty, $method:ident) => {
                match array.as_primitive::<$ty>().$method(row) {
                    Some(text) => serializer.serialize_str(&text.to_string()),
                    None => Err(S::Error::custom("a date or time out of range")),
                }
            };
        }
        macro_rules! decimal {
            ($ty:ty) => {
                decimal::read(&array.as_primitive::<$ty>().value_as_string(row))
                    .serialize(serializer)
            };
        }
        match array.data_type() {
            DataType::Null => serializer.serialize_unit(),
            DataType::Boolean => serializer.serialize_bool(array.as_boolean().value(row)),
            DataType::Int8 => number!(serialize_i8, Int8Type),
            DataType::Int16 => number!(serialize_i16, Int16Type),
            DataType::Int32 => number!(serialize_i32, Int32Type),
            DataType::Int64 => number!(serialize_i64, Int64Type),
            DataType::UInt8 => number!(serialize_u8, UInt8Type),
            DataType::UInt16 => number!(serialize_u16, UInt16Type),
            DataType::UInt32 => number!(serialize_u32, UInt32Type),
            DataType::UInt64 => number!(serialize_u64, UInt64Type),
            DataType::Float16 => {
                serializer.serialize_f64(array.as_primitive::<Float16Type>().value(row).into())
            }
            DataType::Float32 => number!(serialize_f32, Float32Type),
            DataType::Float64 => number!(serialize_f64, Float64Type),
            DataType::Utf8 => serializer.serialize_str(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => serializer.serialize_str(array.as_string::<i64>().value(row)),
            DataType::Utf8View => serializer.serialize_str(array.as_string_view().value(row)),
            DataType::Timestamp(unit, _) => self.instant(*unit, serializer),
            DataType::Date32 => text!(Date32Type, value_as_date),
            DataType::Date64 => text!(Date64Type, value_as_date),
            DataType::Time32(TimeUnit::Second) => text!(Time32SecondType, value_as_time),
            DataType::Time32(_) => text!(Time32MillisecondType, value_as_time),
            DataType::Time64(TimeUnit::Microsecond) => text!(Time64MicrosecondType, value_as_time),
            DataType::Time64(_) => text!(Time64NanosecondType, value_as_time),
            DataType::Duration(unit) => self.seconds(*unit, serializer),
            DataType::Decimal32(_, _) => decimal!(Decimal32Type),
            DataType::Decimal64(_, _) => decimal!(Decimal64Type),
            DataType::Decimal128(_, _) => decimal!(Decimal128Type),
            DataType::Decimal256(_, _) => decimal!(Decimal256Type),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                // Null keys were handled above.
                let row = index(dictionary.keys(), row);
                self.nested(dictionary.values().as_ref(), row).serialize(serializer)
            }
            DataType::List(_) => self.list(array.as_list::<i32>().value(row).as_ref(), serializer),
            DataType::LargeList(_) => {
                self.list(array.as_list::<i64>().value(row).as_ref(), serializer)
            }
            DataType::FixedSizeList(_, _) => {
                self.list(array.as_fixed_size_list().value(row).as_ref(), serializer)
            }
            DataType::ListView(_) => {
                self.list(array.as_list_view::<i32>().value(row).as_ref(), serializer)
            }
            DataType::LargeListView(_) => {
                self.list(array.as_list_view::<i64>().value(row).as_ref(), serializer)
            }
            DataType::RunEndEncoded(ends, _) => {
                macro_rules! run {
                    ($ty:ty) => {{
                        let runs = array.as_run::<$ty>();
                        let row = runs.get_physical_index(row);
                        self.nested(runs.values().as_ref(), row).serialize(serializer)
                    }};
                }
                match ends.data_type() {
                    DataType::Int16 => run!(Int16Type),
                    DataType::Int32 => run!(Int32Type),
                    _ => run!(Int64Type),
                }
            }
            DataType::Struct(fields) => {
                let is_there = |column: &&ArrayRef| !self.nulls_are_absent || column.is_valid(row);
                let columns = array.as_struct().columns();
                let count = columns.iter().filter(is_there).count();
                let mut map = serializer.serialize_map(Some(count))?;
                let columns = fields.iter().zip(columns);
                for (field, column) in columns.filter(|(_, column)| is_there(column)) {
                    map.serialize_entry(field.name(), &self.nested(column.as_ref(), row))?;
                }
                map.end()
            }
            DataType::Map(_, _) => self.entries(serializer),
            DataType::Union(_, _) => {
                let value = array.as_union().value(row);
                self.nested(value.as_ref(), 0).serialize(serializer)
            }
            ty => Err(S::Error::custom(format!(
                "a value of Arrow type {ty} cannot be stored in a table"
            ))),
        }
    }
}

/// Returns an element of an array of indexes.
fn index(array: &dyn Array, row: usize) -> usize {
    macro_rules! index {
        ($ty:ty) => {
            array.as_primitive::<$ty>().value(row) as usize
        };
    }
    match array.data_type() {
        DataType::Int8 => index!(Int8Type),
        DataType::Int16 => index!(Int16Type),
        DataType::Int32 => index!(Int32Type),
        DataType::Int64 => index!(Int64Type),
        DataType::UInt8 => index!(UInt8Type),
        DataType::UInt16 => index!(UInt16Type),
        DataType::UInt32 => index!(UInt32Type),
        _ => index!(UInt64Type),
    }
}

/// Returns a note for each column whose values in this batch do not keep all their digits as numbers or
/// instants. Does not look at columns that `is_noted` names.
pub fn lossy_columns(batch: &RecordBatch, is_noted: impl Fn(&str) -> bool) -> Vec<Note> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns());
    columns
        .filter(|(field, _)| is_column(field) && !is_noted(field.name()))
        .filter_map(|(field, column)| Some(Note::column(field.name(), loss(column.as_ref())?)))
        .collect()
}

/// Describes what the conversion changes in an array or in the arrays nested in it.
fn loss(array: &dyn Array) -> Option<String> {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let times = array.as_primitive::<TimestampNanosecondType>();
            times.iter().flatten().any(|time| time % 1000 != 0).then(|| {
                "instants finer than a microsecond are rounded down to the microsecond".to_owned()
            })
        }
        DataType::Duration(unit) => is_duration_inexact(array, *unit).then(|| {
            "durations are stored as seconds, and some have more digits than a number holds"
                .to_owned()
        }),
        DataType::Decimal32(_, _) => decimals::<Decimal32Type>(array),
        DataType::Decimal64(_, _) => decimals::<Decimal64Type>(array),
        DataType::Decimal128(_, _) => decimals::<Decimal128Type>(array),
        DataType::Decimal256(_, _) => decimals::<Decimal256Type>(array),
        DataType::Dictionary(_, _) => loss(array.as_any_dictionary().values().as_ref()),
        DataType::List(_) => loss(array.as_list::<i32>().values().as_ref()),
        DataType::LargeList(_) => loss(array.as_list::<i64>().values().as_ref()),
        DataType::FixedSizeList(_, _) => loss(array.as_fixed_size_list().values().as_ref()),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().find_map(|column| loss(column.as_ref()))
        }
        DataType::Map(_, _) => loss(array.as_map().values().as_ref()),
        _ => None,
    }
}

fn is_duration_inexact(array: &dyn Array, unit: TimeUnit) -> bool {
    const EXACT: u64 = 1 << 53;
    macro_rules! any {
        ($ty:ty) => {
            array.as_primitive::<$ty>().iter().flatten().any(|it| it.unsigned_abs() > EXACT)
        };
    }
    match unit {
        TimeUnit::Second => any!(DurationSecondType),
        TimeUnit::Millisecond => any!(DurationMillisecondType),
        TimeUnit::Microsecond => any!(DurationMicrosecondType),
        TimeUnit::Nanosecond => any!(DurationNanosecondType),
    }
}

fn decimals<T: ArrowPrimitiveType + arrow_array::types::DecimalType>(
    array: &dyn Array,
) -> Option<String> {
    let array = array.as_primitive::<T>();
    let exceeds = |row| {
        array.is_valid(row)
            && matches!(decimal::read(&array.value_as_string(row)), Decimal::Text(_))
    };
    (0..array.len()).find(|&row| exceeds(row)).map(|row| {
        format!(
            "decimals with more digits than a number holds, such as {}, are kept as text",
            array.value_as_string(row)
        )
    })
}
