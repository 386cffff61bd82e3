//! Conversion of Arrow cells to values.

use arrow::array::cast::AsArray;
use arrow::array::types::{
    Float16Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use streamtable::{Row, Timestamp, Value};

/// Returns the value of a cell. Fails for binary data, which tables cannot store.
///
/// A timestamp without a time zone is taken as UTC. Dates and times of day become strings, decimals
/// become floats.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    macro_rules! int {
        ($ty:ty) => {
            Value::from(array.as_primitive::<$ty>().value(row))
        };
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::from(array.as_boolean().value(row)),
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => int!(UInt64Type),
        DataType::Float16 => Value::from(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => Value::from(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::from(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::from(array.as_string_view().value(row)),
        DataType::Timestamp(unit, _) => {
            let micros = match unit {
                TimeUnit::Second => {
                    array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000)
                }
                TimeUnit::Millisecond => {
                    array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000)
                }
                TimeUnit::Microsecond => {
                    array.as_primitive::<TimestampMicrosecondType>().value(row)
                }
                TimeUnit::Nanosecond => {
                    array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1000)
                }
            };
            Value::from(Timestamp::from_micros(micros))
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let Value::Int(key) = value(dictionary.keys(), row)? else { return Ok(Value::Null) };
            let key = usize::try_from(key).map_err(|_| "a negative dictionary key".to_owned())?;
            return value(dictionary.values().as_ref(), key);
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let cells = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| Ok((field.name().clone(), value(column.as_ref(), row)?)));
            Value::from(Row::from_iter(cells.collect::<Result<Vec<_>, String>>()?))
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let cells = (0..entries.len())
                .map(|i| Ok((text(keys.as_ref(), i)?, value(values.as_ref(), i)?)));
            Value::from(Row::from_iter(cells.collect::<Result<Vec<_>, String>>()?))
        }
        ty if ty.is_decimal() => {
            let text = text(array, row)?;
            Value::from(text.parse::<f64>().map_err(|error| format!("{text}: {error}"))?)
        }
        ty @ (DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)) => {
            return Err(format!(
                "bytes ({ty}) cannot be stored in a table; omit the column with --skip"
            ));
        }
        _ => Value::from(text(array, row)?),
    })
}

fn list(items: &ArrayRef) -> Result<Value, String> {
    let items: Result<Vec<Value>, String> =
        (0..items.len()).map(|i| value(items.as_ref(), i)).collect();
    Ok(Value::List(items?))
}

fn text(array: &dyn Array, row: usize) -> Result<String, String> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
    formatter.value(row).try_to_string().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int64Array,
        ListArray, StringArray, StructArray, TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::Field;
    use streamtable::row;

    use super::*;

    #[track_caller]
    fn check(array: &dyn Array, expected: Value) {
        assert_eq!(value(array, 0), Ok(expected));
    }

    #[test]
    fn arrow_cells_become_values() {
        check(&BooleanArray::from(vec![true]), true.into());
        check(&UInt64Array::from(vec![u64::MAX]), u64::MAX.into());
        check(&Int64Array::from(vec![None]), Value::Null);
        check(&TimestampSecondArray::from(vec![7]), Timestamp::from_millis(7000).into());
        check(&Date32Array::from(vec![1]), "1970-01-02".into());
        let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        check(&decimal, 12.5.into());
        let dictionary: DictionaryArray<Int8Type> = vec!["a", "b"].into_iter().collect();
        check(&dictionary, "a".into());
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
        check(&list, Value::List(vec![1.into(), Value::Null]));
        let field = Arc::new(Field::new("s", DataType::Utf8, true));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        check(&StructArray::from(vec![(field, text)]), row! { "s" => "x" }.into());
        assert!(value(&BinaryArray::from(vec![&b"x"[..]]), 0).is_err());
    }
}
