//! Time buckets without rows: without them, charts draw a line across a gap as if it were data.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::types::Int64Type;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, TimeUnit};

use crate::error::LiveError;

/// Series with more buckets stay unchanged.
const MAX_BUCKETS: i64 = 5_000;

/// Returns the size of the buckets that an expression makes, in milliseconds; `None` if it makes no
/// buckets of one size.
pub(crate) fn bucket_millis(expression: &str) -> Option<i64> {
    if let Some(rest) = expression.strip_prefix("date_bin(INTERVAL '") {
        return rest.split_once(" milliseconds', ")?.0.parse().ok().filter(|&millis| millis > 0);
    }
    let (unit, _) = expression.strip_prefix("date_trunc('")?.split_once("', ")?;
    Some(match unit {
        "second" => 1_000,
        "minute" => 60_000,
        "hour" => 3_600_000,
        "day" => 86_400_000,
        _ => return None,
    })
}

/// Adds the buckets without rows between the first and the last bucket.
///
/// The first column of `batch` has the keys, and `depth` the flag that they are keys. All other
/// columns are null in the new rows, except those for which `is_count` holds: these are zero.
pub(crate) fn fill(
    batch: &RecordBatch,
    millis: i64,
    depth: usize,
    is_count: impl Fn(usize) -> bool,
) -> Result<RecordBatch, LiveError> {
    let Some(missing) = missing_keys(batch.column(0), millis)? else { return Ok(batch.clone()) };
    let rows = missing.len();
    let columns = batch.columns().iter().enumerate().map(|(i, column)| {
        Ok(match i {
            0 => Arc::clone(&missing),
            _ if i == depth || is_count(i) => {
                let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
                cast(&zeros, column.data_type())?
            }
            _ => new_null_array(column.data_type(), rows),
        })
    });
    let columns = columns.collect::<Result<Vec<_>, LiveError>>()?;
    // A column without nulls may be declared so.
    let fields =
        batch.schema_ref().fields().iter().map(|it| it.as_ref().clone().with_nullable(true));
    let schema = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
    let before = RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())?;
    let added = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(concat_batches(&schema, [&before, &added])?)
}

/// Returns the keys that are missing; `None` if there are none or too many.
fn missing_keys(keys: &ArrayRef, millis: i64) -> Result<Option<ArrayRef>, LiveError> {
    let DataType::Timestamp(unit, _) = keys.data_type() else { return Ok(None) };
    let step = match unit {
        TimeUnit::Second if millis % 1_000 != 0 => return Ok(None),
        TimeUnit::Second => millis / 1_000,
        TimeUnit::Millisecond => millis,
        TimeUnit::Microsecond => millis.saturating_mul(1_000),
        TimeUnit::Nanosecond => millis.saturating_mul(1_000_000),
    };
    let numbers = cast(keys, &DataType::Int64)?;
    let there: HashSet<i64> = numbers.as_primitive::<Int64Type>().iter().flatten().collect();
    let (Some(&first), Some(&last)) = (there.iter().min(), there.iter().max()) else {
        return Ok(None);
    };
    let buckets = last.saturating_sub(first) / step;
    if buckets > MAX_BUCKETS {
        return Ok(None);
    }
    let all = (0..=buckets).map(|i| first + i * step);
    let missing: Vec<i64> = all.filter(|key| !there.contains(key)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let missing: ArrayRef = Arc::new(Int64Array::from(missing));
    Ok(Some(cast(&missing, keys.data_type())?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn sizes_of_buckets() {
        for (expression, expected) in [
            ("date_bin(INTERVAL '500 milliseconds', \"timestamp\")", Some(500)),
            ("date_trunc('minute', \"timestamp\")", Some(60_000)),
            ("date_trunc('month', \"timestamp\")", None),
            ("date_bin(INTERVAL '0 milliseconds', \"timestamp\")", None),
            ("date_bin(INTERVAL '1 day', \"timestamp\")", None),
            ("\"timestamp\"", None),
        ] {
            assert_eq!(bucket_millis(expression), expected, "{expression}");
        }
    }

    fn batch(seconds: &[i64]) -> RecordBatch {
        let keys = seconds.iter().map(|second| second * 1_000_000).collect::<Vec<_>>();
        let keys = TimestampMicrosecondArray::from(keys).with_timezone("UTC");
        let field = |name: &str, ty: &DataType| Field::new(name, ty.clone(), false);
        let rows = seconds.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(keys),
            Arc::new(Int64Array::from(vec![0; rows])),
            Arc::new(Int64Array::from(vec![7; rows])),
            Arc::new(Float64Array::from(vec![0.5; rows])),
        ];
        let fields = ["g0", "d0", "a0", "a1"].iter().zip(&columns);
        let fields: Vec<Field> = fields.map(|(name, it)| field(name, it.data_type())).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    #[test]
    fn missing_buckets_are_filled_with_nulls_and_zero_counts() {
        let filled = fill(&batch(&[10, 11, 14]), 1_000, 1, |i| i == 2).unwrap();
        assert_eq!(filled.num_rows(), 5);
        let counts = filled.column(2).as_primitive::<Int64Type>();
        assert_eq!(counts.values(), &[7, 7, 7, 0, 0]);
        assert_eq!([filled.column(1).null_count(), filled.column(3).null_count()], [0, 2]);
    }

    #[test]
    fn whole_empty_and_endless_series_stay_as_they_are() {
        for seconds in [&[][..], &[1][..], &[1, 2, 3][..], &[0, 1 << 40][..]] {
            let before = batch(seconds);
            assert_eq!(fill(&before, 1_000, 1, |_| false).unwrap(), before, "{seconds:?}");
        }
    }
}
