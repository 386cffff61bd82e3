//! The costs of all functions: what bounds each one's steps, results and buffers.
//!
//! The engine's memory pool and its deadline act between batches of rows; a call of a function is
//! not interrupted. So each function has an entry here, and one without an entry is refused. A test
//! compares the entries with the functions that are registered.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, Operator, WindowFunctionDefinition};
use streamtable_store::StoreError;

use super::growth::Growth;
use super::operators::Operation;
use super::patterns::Syntax;

/// The cost of a call of a scalar function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarCost {
    /// Its steps and its result are proportional to its arguments.
    Linear,
    /// It is bounded in advance, by an estimate from its arguments.
    Estimated(Growth),
    /// It is not available, for a reason.
    Refused(&'static str),
}

use ScalarCost::{Estimated, Linear, Refused};

/// Returns the cost of a scalar function; `None` if there is no such function.
pub(super) fn scalar(function: &str) -> Option<ScalarCost> {
    Some(match function {
        "abs" | "acos" | "acosh" | "asin" | "asinh" | "atan" | "atan2" | "atanh" | "cbrt"
        | "ceil" | "cos" | "cosh" | "cot" | "degrees" | "exp" | "factorial" | "floor" | "gcd"
        | "isnan" | "iszero" | "lcm" | "ln" | "log" | "log10" | "log2" | "nanvl" | "pi"
        | "power" | "radians" | "random" | "round" | "signum" | "sin" | "sinh" | "sqrt" | "tan"
        | "tanh" | "trunc" | "uuid" | "version" => Linear,
        "current_date"
        | "current_time"
        | "date_bin"
        | "date_part"
        | "date_trunc"
        | "from_unixtime"
        | "make_date"
        | "make_time"
        | "now"
        | "to_date"
        | "to_local_time"
        | "to_time"
        | "to_timestamp"
        | "to_timestamp_micros"
        | "to_timestamp_millis"
        | "to_timestamp_nanos"
        | "to_timestamp_seconds"
        | "to_unixtime" => Linear,
        "ascii" | "bit_length" | "character_length" | "chr" | "contains" | "decode"
        | "ends_with" | "initcap" | "left" | "lower" | "octet_length" | "reverse" | "right"
        | "starts_with" | "substr" | "to_hex" | "upper" => Linear,
        "arrow_cast" | "arrow_field" | "arrow_metadata" | "arrow_try_cast" | "arrow_typeof"
        | "cast_to_type" | "coalesce" | "get_field" | "greatest" | "least" | "nullif" | "nvl"
        | "nvl2" | "try_cast_to_type" | "union_extract" | "union_tag" | "with_metadata" => Linear,
        "array_add" | "array_any_value" | "array_avg" | "array_compact" | "array_dims"
        | "array_distance" | "array_distinct" | "array_element" | "array_has" | "array_length"
        | "array_max" | "array_min" | "array_ndims" | "array_normalize" | "array_pop_back"
        | "array_pop_front" | "array_position" | "array_positions" | "array_product"
        | "array_remove" | "array_remove_all" | "array_remove_n" | "array_reverse"
        | "array_scale" | "array_slice" | "array_sort" | "array_subtract" | "array_sum"
        | "cardinality" | "cosine_distance" | "empty" | "flatten" | "inner_product"
        | "map_extract" | "map_keys" | "map_values" => Linear,
        "json_as_text" | "json_contains" | "json_get" | "json_get_bool" | "json_get_float"
        | "json_get_int" | "json_get_json" | "json_get_str" | "json_length"
        | "json_union_to_text" => Linear,
        // Views of tables call it; queries cannot.
        "json_of_list" => Linear,
        "array_repeat" | "repeat" => Estimated(Growth::Times),
        "array_resize" => Estimated(Growth::Resized),
        "lpad" | "rpad" => Estimated(Growth::Padded),
        "replace" => Estimated(Growth::Replaced),
        "regexp_replace" => Estimated(Growth::RegexReplaced(Syntax::Regex { flags: Some(3) })),
        "regexp_count" => Estimated(Growth::RegexCounted(Syntax::Regex { flags: Some(3) })),
        "regexp_instr" => Estimated(Growth::RegexCounted(Syntax::Regex { flags: Some(4) })),
        "regexp_match" => Estimated(Growth::RegexCounted(Syntax::Regex { flags: Some(2) })),
        "regexp_like" => Estimated(Growth::Matched(Syntax::Regex { flags: Some(2) })),
        "translate" => Estimated(Growth::Translated),
        "array_append" | "array_concat" | "array_except" | "array_intersect" | "array_prepend"
        | "array_replace" | "array_replace_all" | "array_replace_n" | "array_union"
        | "arrays_zip" | "concat" | "make_array" | "map" | "map_entries" | "named_struct"
        | "overlay" | "struct" => Estimated(Growth::Sum),
        "concat_ws" => Estimated(Growth::Joined),
        "array_to_string" => Estimated(Growth::ListJoined),
        "json_get_array" | "json_object_keys" | "string_to_array" => Estimated(Growth::Split),
        "encode" | "json_from_scalar" => Estimated(Growth::Encoded),
        "generate_series" | "range" => Estimated(Growth::Series),
        "to_char" => Estimated(Growth::Formatted),
        "find_in_set" | "levenshtein" => Estimated(Growth::Compared),
        "array_has_all" | "array_has_any" => Estimated(Growth::ElementsCompared),
        "btrim" | "icontains" | "ltrim" | "rtrim" | "split_part" | "strpos" | "substr_index" => {
            Estimated(Growth::Searched)
        }
        "file_row_index" | "input_file_name" => Refused("it shows how the server stores rows"),
        _ => return None,
    })
}

/// Returns the growth of an operator that is bounded like a function; `None` for the others, whose
/// steps and results are proportional to their operands.
pub(super) fn operator(operation: Operation) -> Option<Growth> {
    Some(match operation {
        Operation::Binary(Operator::StringConcat) => Growth::Sum,
        Operation::Binary(
            Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch,
        )
        | Operation::SimilarTo { .. } => Growth::Matched(Syntax::Regex { flags: None }),
        Operation::Binary(
            Operator::LikeMatch
            | Operator::ILikeMatch
            | Operator::NotLikeMatch
            | Operator::NotILikeMatch,
        )
        | Operation::Like { .. } => Growth::Matched(Syntax::Like),
        Operation::Binary(_) => return None,
    })
}

/// How large the result of an aggregate or window function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResultSize {
    /// A few bytes, or one of the values.
    OneValue,
    /// It grows with the number of rows, so that it cannot be repeated for each row.
    AllValues,
}

/// The cost of an aggregate or window function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetCost {
    result: ResultSize,
    sized: &'static [Sized],
}

/// A constant argument that sizes a buffer, or that the result repeats, and its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sized {
    /// The absolute value of the argument with this index.
    Number(usize, u64),
    /// The bytes of the argument with this index.
    Bytes(usize, u64),
}

const ONE_VALUE: SetCost = SetCost { result: ResultSize::OneValue, sized: &[] };

/// The maximum number of centroids of an approximate percentile: each group allocates them.
const MAX_CENTROIDS: u64 = 1_000;

/// The maximum length of the separator of `string_agg`: it is appended for each row.
const MAX_SEPARATOR_BYTES: u64 = 4 << 10;

/// The maximum distance to another row in a window.
const MAX_OFFSET: u64 = 1_000_000;

/// The maximum length of the value in place of a row that a window does not have.
const MAX_DEFAULT_BYTES: u64 = 256;

fn aggregate(function: &str) -> Option<SetCost> {
    let sized = |sized| SetCost { sized, ..ONE_VALUE };
    let all_values = |sized| SetCost { result: ResultSize::AllValues, sized };
    Some(match function {
        "any_value" | "approx_distinct" | "approx_median" | "avg" | "bit_and" | "bit_or"
        | "bit_xor" | "bool_and" | "bool_or" | "corr" | "count" | "covar_pop" | "covar_samp"
        | "first_value" | "grouping" | "last_value" | "max" | "median" | "min"
        | "percentile_cont" | "regr_avgx" | "regr_avgy" | "regr_count" | "regr_intercept"
        | "regr_r2" | "regr_slope" | "regr_sxx" | "regr_sxy" | "regr_syy" | "stddev"
        | "stddev_pop" | "sum" | "var" | "var_pop" => ONE_VALUE,
        "approx_percentile_cont" => sized(&[Sized::Number(2, MAX_CENTROIDS)]),
        "approx_percentile_cont_with_weight" => sized(&[Sized::Number(3, MAX_CENTROIDS)]),
        "nth_value" => sized(&[Sized::Number(1, MAX_OFFSET)]),
        "array_agg" => all_values(&[]),
        "string_agg" => all_values(&[Sized::Bytes(1, MAX_SEPARATOR_BYTES)]),
        _ => return None,
    })
}

fn window(function: &str) -> Option<SetCost> {
    Some(match function {
        "cume_dist" | "dense_rank" | "first_value" | "last_value" | "ntile" | "percent_rank"
        | "rank" | "row_number" => ONE_VALUE,
        "nth_value" => SetCost { sized: &[Sized::Number(1, MAX_OFFSET)], ..ONE_VALUE },
        "lag" | "lead" => SetCost {
            sized: &[Sized::Number(1, MAX_OFFSET), Sized::Bytes(2, MAX_DEFAULT_BYTES)],
            ..ONE_VALUE
        },
        _ => return None,
    })
}

/// The table functions: they return rows in batches, as they are needed.
#[cfg(test)]
const TABLE_FUNCTIONS: [&str; 2] = ["generate_series", "range"];

/// Refuses a function without an entry, one that is not available, and one that cannot be used in
/// this place.
pub(super) fn check_call(expr: &Expr) -> Result<(), StoreError> {
    match expr {
        Expr::ScalarFunction(call) => match scalar(call.func.name()) {
            Some(Linear | Estimated(_)) => Ok(()),
            Some(Refused(reason)) => Err(refused(call.func.name(), reason)),
            None => Err(unknown(call.func.name())),
        },
        Expr::AggregateFunction(call) => {
            aggregate(call.func.name()).map(drop).ok_or_else(|| unknown(call.func.name()))
        }
        Expr::WindowFunction(call) => {
            let cost = window_cost(call).ok_or_else(|| unknown(call.fun.name()))?;
            if cost.result == ResultSize::OneValue {
                return Ok(());
            }
            let reason = "with OVER its result would be repeated for each row: use GROUP BY";
            Err(refused(call.fun.name(), reason))
        }
        Expr::HigherOrderFunction(call) => {
            Err(refused(call.func.name(), "functions that take a lambda are not supported"))
        }
        _ => Ok(()),
    }
}

fn window_cost(call: &WindowFunction) -> Option<SetCost> {
    match &call.fun {
        WindowFunctionDefinition::AggregateUDF(function) => aggregate(function.name()),
        WindowFunctionDefinition::WindowUDF(function) => window(function.name()),
    }
}

/// Refuses an argument that sizes a buffer and is above its maximum, or that is not known before
/// the query runs. The plan must be optimized, so that constants are literals.
pub(super) fn check_sizes(expr: &Expr) -> Result<(), StoreError> {
    let (name, args, cost) = match expr {
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            (func.name(), &params.args, aggregate(func.name()))
        }
        Expr::WindowFunction(call) => (call.fun.name(), &call.params.args, window_cost(call)),
        _ => return Ok(()),
    };
    for sized in cost.map_or(&[][..], |cost| cost.sized) {
        let (Sized::Number(at, max) | Sized::Bytes(at, max)) = *sized;
        let Some(arg) = args.get(at) else { continue };
        let place = format!("argument {} of {name}", at + 1);
        let Expr::Literal(value, _) = arg else {
            return Err(StoreError::Query { message: format!("{place} must be a constant") });
        };
        let size = match sized {
            Sized::Number(..) => number(value),
            Sized::Bytes(..) => bytes(value),
        };
        if size > max {
            let message = format!("{place} has the size {size}; the limit is {max}");
            return Err(StoreError::Limit { message });
        }
    }
    Ok(())
}

/// Returns a number without its sign, 0 for null, and the maximum for values that are not numbers.
fn number(value: &ScalarValue) -> u64 {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number.map_or(0, i64::unsigned_abs),
        _ => u64::MAX,
    }
}

fn bytes(value: &ScalarValue) -> u64 {
    if let ScalarValue::Struct(value) = value {
        // Without the arrays around the values.
        let columns = value.columns().iter().map(|it| ScalarValue::try_from_array(it, 0));
        return columns.map(|it| it.map_or(u64::MAX, |it| bytes(&it))).fold(0, u64::saturating_add);
    }
    value.size().saturating_sub(size_of::<ScalarValue>()) as u64
}

fn unknown(function: &str) -> StoreError {
    refused(function, "its cost is not known")
}

fn refused(function: &str, reason: &str) -> StoreError {
    StoreError::Query { message: format!("{function} cannot be used: {reason}") }
}

#[cfg(test)]
mod tests;
