//! What a column is for, guessed from its name, its type and the range of its values.

use crate::shape::{Column, Shape};

/// The use of a column, which decides which figures and charts of it make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A quantity: means and distributions make sense.
    Measure,
    /// How long something took.
    Duration,
    /// One of a few values, as a word or as a code: counts make sense.
    Category,
    /// A number that names something, such as a user.
    Identifier,
    /// A number that only counts on, such as a step of a training.
    Counter,
    /// An instant, also as a number of seconds or milliseconds since 1970.
    Instant,
    /// Media, lists and structs.
    Other,
}

const DURATIONS: &[&str] =
    &["latency", "duration", "elapsed", "runtime", "took", "ms", "millis", "seconds"];

const IDENTIFIERS: &[&str] = &["id", "ids", "uid", "uuid", "key", "hash", "seed", "index", "idx"];

const CODES: &[&str] =
    &["status", "code", "port", "zip", "year", "version", "class", "label", "level", "rank"];

const COUNTERS: &[&str] =
    &["step", "steps", "epoch", "iter", "iteration", "seq", "sequence", "line", "offset"];

const INSTANTS: &[&str] = &["time", "timestamp", "ts", "at", "date", "sent", "created", "updated"];

/// The years 2001 to 2100 in seconds since 1970.
const PLAUSIBLE_SECONDS: std::ops::RangeInclusive<f64> = 978e6..=4.11e9;

impl Role {
    /// Guesses the role of a column, given the least and the greatest of its numbers.
    pub(crate) fn of(column: &Column, range: Option<(f64, f64)>) -> Self {
        let name = column.name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let is_one_of = |names: &[&str]| words.iter().any(|word| names.contains(word));
        let is_whole = column.is_whole();
        match column.shape {
            Shape::Mixed if !column.is_measured() => Self::Category,
            Shape::Text | Shape::Bool => Self::Category,
            Shape::Time | Shape::Date => Self::Instant,
            Shape::Media | Shape::Other => Self::Other,
            Shape::Int { .. } | Shape::Float | Shape::Mixed => match range {
                _ if is_one_of(IDENTIFIERS) => Self::Identifier,
                Some(range) if is_one_of(INSTANTS) && is_since_epoch(range) => Self::Instant,
                _ if is_one_of(DURATIONS) => Self::Duration,
                _ if is_whole && is_one_of(CODES) => Self::Category,
                _ if is_whole && is_one_of(COUNTERS) => Self::Counter,
                _ => Self::Measure,
            },
        }
    }

    /// Returns the default aggregate for groups of a column's values.
    pub(crate) fn aggregate(self, column: &Column) -> &'static str {
        match (self, column.shape) {
            (Self::Measure, _) if column.is_whole() => "sum",
            (Self::Measure | Self::Duration, _) => "avg",
            _ => "count",
        }
    }
}

/// Returns whether numbers may be seconds, milli- or microseconds since 1970.
fn is_since_epoch((low, high): (f64, f64)) -> bool {
    [1.0, 1e3, 1e6].iter().any(|unit| {
        PLAUSIBLE_SECONDS.contains(&(low / unit)) && PLAUSIBLE_SECONDS.contains(&(high / unit))
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[track_caller]
    fn check(name: &str, ty: DataType, range: (f64, f64), expected: Role) {
        let column = Column::of(&Field::new(name, ty, true), false);
        assert_eq!(Role::of(&column, Some(range)), expected, "{name}");
    }

    #[test]
    fn roles_follow_names_types_and_ranges() {
        use DataType::{Boolean, Float64, Int64, Utf8View};
        check("status", Int64, (200.0, 503.0), Role::Category);
        check("status", Float64, (0.0, 1.0), Role::Measure);
        check("user_id", Int64, (1.0, 9e6), Role::Identifier);
        check("step", Int64, (0.0, 900.0), Role::Counter);
        check("latency_ms", Float64, (0.1, 900.0), Role::Duration);
        check("sent", Int64, (1.79e12, 1.8e12), Role::Instant);
        check("sent", Int64, (0.0, 55.0), Role::Measure);
        check("created_at", Float64, (1.79e9, 1.8e9), Role::Instant);
        check("bytes", Int64, (0.0, 9e9), Role::Measure);
        check("path", Utf8View, (0.0, 0.0), Role::Category);
        check("ok", Boolean, (0.0, 0.0), Role::Category);
        // A mixed column is what it was before other kinds came.
        let mixed = |first: (&str, DataType), then: (&str, DataType)| {
            let field = |(name, ty): (&str, DataType)| Field::new(name, ty, true);
            DataType::Struct(vec![field(first), field(then)].into())
        };
        check("ms", mixed(("n", Int64), ("s", Utf8View)), (0.0, 9.0), Role::Duration);
        check("status", mixed(("n", Int64), ("s", Utf8View)), (200.0, 503.0), Role::Category);
        check("bytes", mixed(("n", Float64), ("b", Boolean)), (0.0, 9e9), Role::Measure);
        check("bytes", mixed(("s", Utf8View), ("n", Int64)), (0.0, 9e9), Role::Category);
        // A word of the name counts, not a part of one.
        check("steepness", Int64, (0.0, 90.0), Role::Measure);
    }
}
