//! Aggregation of several values into one.

use crate::error::LiveError;
use crate::shape::{Column, Shape};

/// The aggregates for numbers. The first is the default.
pub(crate) const NUMBER: &[&str] = &[
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "distinct count",
    "median",
    "p90",
    "p95",
    "p99",
    "stddev",
    "var",
    "first",
    "last",
    "any",
    "unique",
];

/// The aggregate for numbers that has a second column of numbers as weights.
pub(crate) const WEIGHTED: &str = "weighted mean";

/// The aggregates for strings, and for values shown as strings.
pub(crate) const TEXT: &[&str] =
    &["count", "distinct count", "any", "unique", "first", "last", "min", "max"];

/// The aggregates for instants and dates.
pub(crate) const TIME: &[&str] =
    &["count", "distinct count", "min", "max", "first", "last", "any", "unique"];

/// The aggregates for booleans.
pub(crate) const BOOL: &[&str] =
    &["count", "sum", "avg", "distinct count", "any", "unique", "first", "last"];

/// An aggregated value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    /// The SQL expression, over rows whose positions are in the column `pos`.
    pub(crate) sql: String,
    pub(crate) shape: Shape,
}

/// Returns the aggregate of a column: the one named by `how`, by default the usual one for its
/// type.
pub(crate) fn aggregate(
    how: Option<&str>,
    column: &Column,
    with: &[Column],
) -> Result<Aggregate, LiveError> {
    let value = column.value();
    let how = how.unwrap_or(if column.is_measured() { "sum" } else { "count" });
    let is_number = column.is_measured() || column.shape == Shape::Bool;
    let number = match column.shape {
        Shape::Bool => format!("CAST({value} AS DOUBLE)"),
        // The cells of other kinds are ignored.
        Shape::Mixed => format!("CAST({} AS DOUBLE)", column.number()),
        // A sum of integers may overflow an integer.
        Shape::Int { .. } => format!("CAST({value} AS DOUBLE)"),
        _ => value.clone(),
    };
    let float = |sql: String| Ok(Aggregate { sql, shape: Shape::Float });
    let same = |sql: String| Ok(Aggregate { sql, shape: column.shape });
    let first = |order: &str| {
        format!("first_value({value} ORDER BY pos {order}) FILTER (WHERE {value} IS NOT NULL)")
    };
    let percentile =
        |p: &str| format!("approx_percentile_cont({p}) WITHIN GROUP (ORDER BY {number})");
    match how {
        "count" => float(format!("count({value})")),
        "distinct count" => float(format!("count(DISTINCT {})", column.key())),
        "any" | "first" | "first by index" => same(first("ASC")),
        "last" | "last by index" => same(first("DESC")),
        "unique" => {
            let key = column.key();
            let is_one = format!("count(DISTINCT {key}) = 1");
            same(format!("CASE WHEN {is_one} THEN {} END", first("ASC")))
        }
        "min" | "low" | "max" | "high" => {
            let function = if matches!(how, "min" | "low") { "min" } else { "max" };
            if let Some((part, shape)) = column.first_part() {
                return Ok(Aggregate { sql: format!("{function}({part})"), shape });
            }
            match column.shape {
                Shape::Media | Shape::Mixed | Shape::Other => Ok(Aggregate {
                    sql: format!("{function}({})", column.text()),
                    shape: Shape::Text,
                }),
                _ => same(format!("{function}({value})")),
            }
        }
        _ if !is_number => Err(unfit(how, column)),
        "sum" => float(format!("sum({number})")),
        "avg" | "mean" => float(format!("avg({number})")),
        "median" => float(percentile("0.5")),
        "p90" => float(percentile("0.9")),
        "p95" => float(percentile("0.95")),
        "p99" => float(percentile("0.99")),
        "stddev" => float(format!("stddev({number})")),
        "var" => float(format!("var_samp({number})")),
        WEIGHTED => match with {
            [weight] if weight.is_number() => {
                let weight = format!("CAST({} AS DOUBLE)", weight.value());
                float(format!("sum({number} * {weight}) / nullif(sum({weight}), 0)"))
            }
            // The caller needs only the shape.
            [] => float(String::new()),
            _ => Err(LiveError::refused("a weighted mean needs one other column of numbers")),
        },
        _ => Err(unfit(how, column)),
    }
}

fn unfit(how: &str, column: &Column) -> LiveError {
    LiveError::refused(format!("{how:?} is not an aggregate for the column {:?}", column.name))
}
