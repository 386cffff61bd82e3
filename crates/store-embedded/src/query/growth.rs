//! Estimates how large the results of functions can be, from their arguments.

use std::ops::Add;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use super::patterns::{FEW_STATES, Syntax};

/// Finding all matches of a regular expression may take as many steps as the square of the text's
/// length; this many of them take as long as one step of another function.
const REGEX_STEPS: u64 = 16;

/// This many comparisons of characters take as long as one step of another function.
const SEARCH_STEPS: u64 = 16;

/// The maximum resources for one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) bytes: u64,
    pub(super) steps: u64,
}

impl Need {
    fn times(self, rows: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(rows), steps: self.steps.saturating_mul(rows) }
    }

    pub(super) fn is_within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.steps <= limit.steps
    }
}

impl Add for Need {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            steps: self.steps.saturating_add(other.steps),
        }
    }
}

/// How the result of a function grows with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// The first argument, repeated as often as the value of the second argument.
    Times,
    /// As many characters as the value of the second argument.
    Padded,
    /// As many elements as the value of the second argument, each as large as the third.
    Resized,
    /// Each occurrence of the second argument is replaced by the third.
    Replaced,
    /// Each match of the second argument is replaced by the third, which may contain the match.
    RegexReplaced(Syntax),
    /// Each match of the second argument is counted.
    RegexCounted(Syntax),
    /// Whether the first argument matches the second.
    Matched(Syntax),
    /// Each character is replaced by another.
    Translated,
    /// All arguments, concatenated.
    Sum,
    /// All arguments after the first, joined with the first as the separator.
    Joined,
    /// The elements of the first argument as text, joined with the second as the separator.
    ListJoined,
    /// A list of the first argument's parts.
    Split,
    /// A list of numbers or instants from the first argument to the second.
    Series,
    /// Each letter of the second argument is replaced by a few.
    Formatted,
    /// Each byte or character is replaced by a few.
    Encoded,
    /// A number, computed in as many steps as the product of two lengths.
    Compared,
    /// Each element of the first argument is compared with each of the second.
    ElementsCompared,
    /// The second argument is compared with each part of the first.
    Searched,
}

impl Growth {
    /// Returns the language of the pattern that is the second argument, if there is one.
    pub(super) fn pattern(self) -> Option<Syntax> {
        match self {
            Self::RegexReplaced(syntax) | Self::RegexCounted(syntax) | Self::Matched(syntax) => {
                Some(syntax)
            }
            _ => None,
        }
    }

    /// Returns the resources for each row, or `None` if the largest values show that all rows
    /// together need at most `enough`. A pattern among the arguments has `states` states.
    pub(super) fn needs(
        self,
        args: &[ColumnarValue],
        rows: usize,
        states: u64,
        enough: Need,
    ) -> Result<Option<Vec<Need>>> {
        let size_of = |at: usize| args.get(at).map_or(Ok(Values::Same(0)), sizes);
        let count_of = |at: usize| args.get(at).map_or(Ok(Values::Same(0)), counts);
        let all_sizes = || args.iter().map(sizes).collect::<Result<Vec<_>>>();
        let of = |bytes: &dyn Fn(Row) -> u64, steps: &dyn Fn(Row) -> u64| {
            let need = |row| Need { bytes: bytes(row), steps: steps(row) };
            let is_enough = need(Row::Any).times(rows as u64).is_within(enough);
            (!is_enough).then(|| (0..rows).map(|row| need(Row::At(row))).collect())
        };
        let none = |_: Row| -> u64 { 0 };
        Ok(match self {
            Self::Times => {
                let (value, times) = (size_of(0)?, count_of(1)?);
                of(&|row| value.of(row).saturating_mul(times.of(row)), &none)
            }
            Self::Padded | Self::Resized => {
                let (value, length, fill) = (size_of(0)?, count_of(1)?, size_of(2)?);
                // A character has at most four bytes.
                let each = |fill: u64| if self == Self::Padded { 4 } else { fill.max(16) };
                let padded = |row| {
                    let filled = length.of(row).saturating_mul(each(fill.of(row)));
                    filled.saturating_add(value.of(row))
                };
                of(&padded, &none)
            }
            Self::Replaced => {
                let (text, from, to) = (size_of(0)?, size_of(1)?, size_of(2)?);
                let replaced = |row| {
                    let text = text.of(row);
                    let from = if row == Row::Any { 0 } else { from.of(row) };
                    let times = (text / from.max(1)).saturating_add(1);
                    times.saturating_mul(to.of(row)).saturating_add(text)
                };
                of(&replaced, &none)
            }
            Self::RegexReplaced(_) => {
                let (text, to) = (size_of(0)?, size_of(2)?);
                let replaced = |row| {
                    let each = to.of(row).saturating_mul(2).saturating_add(1);
                    text.of(row).saturating_add(1).saturating_mul(each)
                };
                of(&replaced, &|row| regex_steps(text.of(row), states))
            }
            Self::RegexCounted(_) => {
                let text = size_of(0)?;
                of(&|row| text.of(row), &|row| regex_steps(text.of(row), states))
            }
            Self::Matched(_) => {
                let text = size_of(0)?;
                of(&|_| 1, &|row| text.of(row).saturating_mul(states) / REGEX_STEPS)
            }
            Self::Translated => {
                let text = size_of(0)?;
                of(&|row| text.of(row).saturating_mul(4), &none)
            }
            Self::Sum => {
                let all = all_sizes()?;
                let sum = |row| all.iter().fold(0_u64, |sum, it| sum.saturating_add(it.of(row)));
                of(&sum, &none)
            }
            Self::Joined => {
                let all = all_sizes()?;
                let between = size_of(0)?;
                let sum = |row| {
                    let each =
                        all.iter().skip(1).map(|it| it.of(row).saturating_add(between.of(row)));
                    each.fold(0_u64, u64::saturating_add)
                };
                of(&sum, &none)
            }
            Self::ListJoined => {
                let (list, between) = (size_of(0)?, size_of(1)?);
                let joined = |row| list.of(row).saturating_mul(between.of(row).saturating_add(3));
                of(&joined, &none)
            }
            Self::Split => {
                let text = size_of(0)?;
                of(&|row| text.of(row).saturating_add(1).saturating_mul(17), &none)
            }
            Self::Series => {
                let ticks = args.iter().map(ticks).collect::<Result<Vec<_>>>()?;
                let series = |row| series_length(&ticks, row).saturating_mul(8);
                of(&series, &none)
            }
            Self::Formatted => {
                let format = size_of(1)?;
                of(&|row| format.of(row).saturating_mul(32), &none)
            }
            Self::Compared => {
                let (a, b) = (size_of(0)?, size_of(1)?);
                of(&|_| 8, &|row| a.of(row).saturating_mul(b.of(row)))
            }
            Self::ElementsCompared => {
                // An element counts as 16 bytes at least.
                let (a, b) = (size_of(0)?, size_of(1)?);
                of(&|_| 1, &|row| (a.of(row) / 16).saturating_mul(b.of(row) / 16))
            }
            Self::Searched => {
                let (text, part) = (size_of(0)?, size_of(1)?);
                let steps = |row| text.of(row).saturating_mul(part.of(row)) / SEARCH_STEPS;
                of(&|row| text.of(row), &steps)
            }
            Self::Encoded => {
                // A control character has six bytes in JSON.
                let value = size_of(0)?;
                of(&|row| value.of(row).saturating_mul(6), &none)
            }
        })
    }
}

/// Returns the steps to find all matches in a text.
fn regex_steps(bytes: u64, states: u64) -> u64 {
    let each = (states / FEW_STATES).max(1);
    bytes.saturating_mul(bytes).saturating_mul(each) / REGEX_STEPS
}

/// The row that an estimate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    At(usize),
    /// Any row of the batch: the largest value of each argument counts.
    Any,
}

/// A number for each row.
#[derive(Debug)]
enum Values<T> {
    Same(T),
    Each(Vec<T>),
}

impl<T: Copy + Default + Ord> Values<T> {
    fn of(&self, row: Row) -> T {
        match (self, row) {
            (Self::Same(value), _) => *value,
            (Self::Each(values), Row::At(row)) => values.get(row).copied().unwrap_or_default(),
            (Self::Each(values), Row::Any) => values.iter().max().copied().unwrap_or_default(),
        }
    }
}

/// Calls a function with the argument as an array; the array has one row if the value is the same
/// for all.
fn values<T: Copy + Default>(
    value: &ColumnarValue,
    read: impl FnOnce(&ArrayRef) -> Result<Vec<T>>,
) -> Result<Values<T>> {
    Ok(match value {
        ColumnarValue::Array(array) => Values::Each(read(array)?),
        ColumnarValue::Scalar(value) => {
            Values::Same(read(&value.to_array()?)?.first().copied().unwrap_or_default())
        }
    })
}

/// Returns the number of bytes of each row's value.
fn sizes(value: &ColumnarValue) -> Result<Values<u64>> {
    values(value, |array| Ok(row_bytes(array.as_ref())))
}

/// Returns each row's count; negative values and nulls count as zero.
fn counts(value: &ColumnarValue) -> Result<Values<u64>> {
    values(value, |array| {
        let numbers = cast(array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        Ok(numbers.iter().map(|n| u64::try_from(n.unwrap_or(0)).unwrap_or(0)).collect())
    })
}

/// Returns the number of bytes of each row's value.
pub(super) fn row_bytes(array: &dyn Array) -> Vec<u64> {
    let rows = array.len();
    let lengths = |offsets: &[i32]| -> Vec<u64> {
        offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
    };
    let long = |offsets: &[i64]| -> Vec<u64> {
        offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
    };
    // The length of a view is in its first four bytes.
    let views = |views: &[u128]| views.iter().map(|view| u64::from(*view as u32)).collect();
    match array.data_type() {
        DataType::Utf8 => lengths(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => long(array.as_string::<i64>().value_offsets()),
        DataType::Binary => lengths(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => long(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => views(array.as_string_view().views()),
        DataType::BinaryView => views(array.as_binary_view().views()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets().iter().map(|&at| at as usize);
            inner_bytes(&offsets.collect::<Vec<_>>(), list.values().as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets().iter().map(|&at| at as usize);
            inner_bytes(&offsets.collect::<Vec<_>>(), list.values().as_ref())
        }
        DataType::FixedSizeList(_, size) => {
            let size = *size as usize;
            let offsets: Vec<usize> = (0..=rows).map(|row| row * size).collect();
            inner_bytes(&offsets, array.as_fixed_size_list().values().as_ref())
        }
        DataType::Struct(_) => {
            let mut sum = vec![0_u64; rows];
            for column in array.as_struct().columns() {
                for (sum, bytes) in sum.iter_mut().zip(row_bytes(column.as_ref())) {
                    *sum = sum.saturating_add(bytes.max(16));
                }
            }
            sum
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let offsets = map.value_offsets().iter().map(|&at| at as usize);
            inner_bytes(&offsets.collect::<Vec<_>>(), map.entries())
        }
        DataType::Null => vec![0; rows],
        ty => match ty.primitive_width() {
            Some(width) => vec![width as u64; rows],
            None if *ty == DataType::Boolean => vec![1; rows],
            // The size of one row of another type is not known: it may be the whole array.
            None => vec![array.get_array_memory_size() as u64; rows],
        },
    }
}

/// Returns the bytes of lists, each of which has the elements between two offsets.
fn inner_bytes(offsets: &[usize], elements: &dyn Array) -> Vec<u64> {
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else { return Vec::new() };
    let bytes = row_bytes(elements.slice(first, last - first).as_ref());
    let list = |pair: &[usize]| {
        let elements = &bytes[pair[0] - first..pair[1] - first];
        // Each element also has a view or an offset.
        elements.iter().fold(16_u64, |sum, bytes| sum.saturating_add(*bytes).saturating_add(16))
    };
    offsets.windows(2).map(list).collect()
}

/// Returns each row's number, or instant or interval in nanoseconds.
fn ticks(value: &ColumnarValue) -> Result<Values<i128>> {
    const MILLISECOND: i128 = 1_000_000;
    const DAY: i128 = 86_400_000 * MILLISECOND;
    values(value, |array| {
        Ok(match array.data_type() {
            DataType::Interval(IntervalUnit::MonthDayNano) => array
                .as_primitive::<IntervalMonthDayNanoType>()
                .iter()
                .map(|it| {
                    it.map_or(0, |it| {
                        // The shortest month gives the most steps.
                        let days = i128::from(it.months) * 28 + i128::from(it.days);
                        days * DAY + i128::from(it.nanoseconds)
                    })
                })
                .collect(),
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>();
                days.iter().map(|it| i128::from(it.unwrap_or(0)) * DAY).collect()
            }
            DataType::Date64 => {
                let millis = array.as_primitive::<Date64Type>();
                millis.iter().map(|it| i128::from(it.unwrap_or(0)) * MILLISECOND).collect()
            }
            ty => {
                let unit = match ty {
                    DataType::Timestamp(TimeUnit::Second, _) => 1_000 * MILLISECOND,
                    DataType::Timestamp(TimeUnit::Millisecond, _) => MILLISECOND,
                    DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
                    _ => 1,
                };
                let numbers = cast(array, &DataType::Int64)?;
                let numbers = numbers.as_primitive::<Int64Type>();
                numbers.iter().map(|it| i128::from(it.unwrap_or(0)) * unit).collect()
            }
        })
    })
}

fn series_length(ticks: &[Values<i128>], row: Row) -> u64 {
    if row == Row::Any {
        // The longest series is not the one between the largest ends.
        return u64::MAX;
    }
    let tick = |at: usize| ticks.get(at).map(|it| it.of(row));
    let (start, end) = match (tick(0), tick(1)) {
        (Some(end), None) => (0, end),
        (start, end) => (start.unwrap_or(0), end.unwrap_or(0)),
    };
    let step = tick(2).unwrap_or(1).unsigned_abs().max(1);
    u64::try_from(start.abs_diff(end) / step).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringViewArray};
    use datafusion::common::ScalarValue;
    use proptest::prelude::*;

    use super::*;
    use crate::query::costs::{self, ScalarCost};

    fn text(text: &str) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(text))
    }

    fn number(n: i64) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::from(n))
    }

    #[track_caller]
    fn check(function: &str, args: &[ColumnarValue], bytes: u64, steps: u64) {
        let Some(ScalarCost::Estimated(growth)) = costs::scalar(function) else {
            panic!("{function} is not estimated")
        };
        let needs = growth.needs(args, 1, 256, Need::default()).unwrap();
        let need = needs.map_or(Need::default(), |needs| needs[0]);
        assert_eq!(need, Need { bytes, steps }, "{function}");
    }

    #[test]
    fn needs_of_one_row() {
        check("repeat", &[text("abc"), number(10)], 30, 0);
        check("repeat", &[text("abc"), number(-1)], 0, 0);
        check("repeat", &[text("abc"), number(i64::MAX)], u64::MAX, 0);
        check("lpad", &[text("abc"), number(10), text("x")], 43, 0);
        check("replace", &[text("aaaa"), text("a"), text("bb")], 14, 0);
        check("regexp_replace", &[text("aaa"), text("a"), text("b")], 12, 1);
        check("regexp_count", &[text(&"a".repeat(1 << 10)), text("a")], 1 << 10, 1 << 17);
        check("regexp_like", &[text(&"a".repeat(1 << 10)), text("a")], 1, 1 << 14);
        check("translate", &[text("aa"), text("a"), text("b")], 8, 0);
        check("concat", &[text("aa"), text("b"), number(1)], 11, 0);
        check("concat_ws", &[text(", "), text("a"), text("b")], 6, 0);
        check("array_repeat", &[number(1), number(1000)], 8000, 0);
        check("range", &[number(10)], 88, 0);
        check("range", &[number(i64::MIN), number(i64::MAX)], u64::MAX, 0);
        check("generate_series", &[number(10), number(0), number(-5)], 24, 0);
        check("to_char", &[number(1), text("%Y")], 64, 0);
        check("levenshtein", &[text("abc"), text("abcd")], 8, 12);
        check("encode", &[text("abc"), text("hex")], 18, 0);
        check("strpos", &[text(&"a".repeat(64)), text(&"a".repeat(32))], 64, 128);
    }

    #[test]
    fn an_hour_has_sixty_minutes() {
        let at = |seconds| ColumnarValue::Scalar(ScalarValue::TimestampSecond(Some(seconds), None));
        let minute = arrow::datatypes::IntervalMonthDayNano::new(0, 0, 60_000_000_000);
        let minute = ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(Some(minute)));
        check("generate_series", &[at(0), at(3600), minute], 61 * 8, 0);
    }

    #[test]
    fn each_row_has_its_own_need() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["", "a", "a longer text here"]));
        let args = [ColumnarValue::Array(texts), number(2)];
        let needs =
            Growth::Times.needs(&args, 3, 0, Need { bytes: 107, steps: 0 }).unwrap().unwrap();
        assert_eq!([0, 1, 2].map(|row| needs[row].bytes), [0, 2, 36]);
        // Each of the three rows needs at most 36 bytes.
        let enough = Need { bytes: 108, steps: 0 };
        assert_eq!(Growth::Times.needs(&args, 3, 0, enough).unwrap(), None);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![]),
        ]);
        assert_eq!(row_bytes(&list), [64, 16, 16]);
        assert_eq!(row_bytes(&list.slice(1, 2)), [16, 16]);
    }
    proptest! {
        /// Rows that are enough together by their largest values are enough one by one, too.
        #[test]
        fn the_largest_values_are_no_less_than_each(
            function in prop::sample::select(vec![
                "repeat", "lpad", "replace", "regexp_replace", "regexp_count", "regexp_like",
                "translate", "concat", "concat_ws", "string_to_array", "encode", "generate_series",
                "to_char", "levenshtein", "strpos",
            ]),
            rows in prop::collection::vec(("a{0,9}", "a{0,3}", "b{0,9}", -3_i64..9), 1..9),
            enough in 0_u64..1_000,
        ) {
            let Some(ScalarCost::Estimated(growth)) = costs::scalar(function) else {
                panic!("{function} is not estimated")
            };
            let texts = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringViewArray::from(texts)) };
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|it| it.3)));
            let second = match growth {
                Growth::Times | Growth::Padded | Growth::Series => Arc::clone(&numbers),
                _ => texts(rows.iter().map(|it| it.1.as_str()).collect()),
            };
            let first = match growth {
                Growth::Series => numbers,
                _ => texts(rows.iter().map(|it| it.0.as_str()).collect()),
            };
            let third = texts(rows.iter().map(|it| it.2.as_str()).collect());
            let mut args = vec![ColumnarValue::Array(first), ColumnarValue::Array(second)];
            if growth != Growth::Series {
                args.push(ColumnarValue::Array(third));
            }
            let needs = |enough| growth.needs(&args, rows.len(), 7, enough).unwrap();
            let all = needs(Need::default()).unwrap_or_default();
            let all = all.into_iter().fold(Need::default(), Need::add);
            let enough = Need { bytes: enough, steps: enough };
            prop_assert!(needs(enough).is_some() || all.is_within(enough), "{all:?}");
            let most = Need { bytes: u64::MAX - 1, steps: u64::MAX };
            prop_assert!(needs(most).is_none() || growth == Growth::Series);
        }
    }
}
