//! What each function takes of a mixed argument. A test checks that each function has a rule.

use arrow::datatypes::DataType;

/// The part that a function or an operator takes of a mixed argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Whole,
    Number,
    Text,
    Bool,
    /// The time; in a column without times the text.
    Time,
    /// The JSON text of a list or struct; in a column without them the text.
    Json,
    /// The cell as text.
    Printed,
    /// The part of the kind that came first.
    First,
    /// The part of the kind of the arguments that are not mixed.
    Compared,
    /// The whole cell; the other arguments of this kind become cells.
    Alike,
}

/// Returns what a scalar function takes of a mixed argument; `None` if there is no such function.
pub(super) fn scalar(function: &str, argument: usize) -> Option<Use> {
    Some(match (function, argument) {
        (
            "abs" | "acos" | "acosh" | "asin" | "asinh" | "atan" | "atan2" | "atanh" | "cbrt"
            | "ceil" | "chr" | "cos" | "cosh" | "cot" | "degrees" | "exp" | "factorial" | "floor"
            | "from_unixtime" | "gcd" | "generate_series" | "isnan" | "iszero" | "lcm" | "ln"
            | "log" | "log10" | "log2" | "make_date" | "make_time" | "nanvl" | "power" | "radians"
            | "range" | "round" | "signum" | "sin" | "sinh" | "sqrt" | "tan" | "tanh" | "to_hex"
            | "trunc",
            _,
        ) => Use::Number,
        ("left" | "repeat" | "right" | "substr", 1..)
        | ("lpad" | "rpad", 1)
        | ("overlay" | "split_part" | "substr_index", 2..)
        | ("regexp_count" | "regexp_instr", 2) => Use::Number,
        (
            "ascii" | "bit_length" | "btrim" | "character_length" | "contains" | "decode"
            | "encode" | "ends_with" | "find_in_set" | "icontains" | "initcap" | "left"
            | "levenshtein" | "lower" | "lpad" | "ltrim" | "octet_length" | "overlay"
            | "regexp_count" | "regexp_instr" | "regexp_like" | "regexp_match" | "regexp_replace"
            | "repeat" | "replace" | "reverse" | "right" | "rpad" | "rtrim" | "split_part"
            | "starts_with" | "string_to_array" | "strpos" | "substr" | "substr_index"
            | "translate" | "upper",
            _,
        ) => Use::Text,
        ("concat" | "concat_ws", _) => Use::Printed,
        (
            "date_bin" | "date_part" | "date_trunc" | "to_char" | "to_local_time" | "to_unixtime",
            _,
        ) => Use::Time,
        (
            "to_date"
            | "to_time"
            | "to_timestamp"
            | "to_timestamp_micros"
            | "to_timestamp_millis"
            | "to_timestamp_nanos"
            | "to_timestamp_seconds",
            _,
        ) => Use::First,
        ("json_from_scalar", _) => Use::First,
        (
            "json_as_text" | "json_contains" | "json_get" | "json_get_array" | "json_get_bool"
            | "json_get_float" | "json_get_int" | "json_get_json" | "json_get_str" | "json_length"
            | "json_object_keys" | "json_union_to_text",
            0,
        ) => Use::Json,
        (
            "json_as_text" | "json_contains" | "json_get" | "json_get_array" | "json_get_bool"
            | "json_get_float" | "json_get_int" | "json_get_json" | "json_get_str" | "json_length"
            | "json_object_keys" | "json_union_to_text",
            _,
        ) => Use::First,
        ("greatest" | "least", _) => Use::Compared,
        ("coalesce" | "make_array", _) => Use::Alike,
        (
            "array_add" | "array_any_value" | "array_append" | "array_avg" | "array_compact"
            | "array_concat" | "array_dims" | "array_distance" | "array_distinct" | "array_element"
            | "array_except" | "array_has" | "array_has_all" | "array_has_any" | "array_intersect"
            | "array_length" | "array_max" | "array_min" | "array_ndims" | "array_normalize"
            | "array_pop_back" | "array_pop_front" | "array_position" | "array_positions"
            | "array_prepend" | "array_product" | "array_remove" | "array_remove_all"
            | "array_remove_n" | "array_repeat" | "array_replace" | "array_replace_all"
            | "array_replace_n" | "array_resize" | "array_reverse" | "array_scale" | "array_slice"
            | "array_sort" | "array_subtract" | "array_sum" | "array_to_string" | "array_union"
            | "arrays_zip" | "arrow_cast" | "arrow_field" | "arrow_metadata" | "arrow_try_cast"
            | "arrow_typeof" | "cardinality" | "cast_to_type" | "cosine_distance" | "current_date"
            | "current_time" | "empty" | "file_row_index" | "flatten" | "get_field"
            | "inner_product" | "input_file_name" | "map" | "map_entries" | "map_extract"
            | "map_keys" | "map_values" | "named_struct" | "now" | "nullif" | "nvl" | "nvl2" | "pi"
            | "random" | "struct" | "try_cast_to_type" | "union_extract" | "union_tag" | "uuid"
            | "version" | "with_metadata",
            _,
        ) => Use::Whole,
        _ => return None,
    })
}

/// Returns whether a scalar function takes lists.
pub(super) fn takes_lists(function: &str) -> bool {
    let others =
        ["arrays_zip", "cardinality", "cosine_distance", "empty", "flatten", "inner_product"];
    function.starts_with("array_") || others.contains(&function)
}

/// Returns the types of the arguments of which the result of a conditional function is one; `None`
/// for other functions. The engine has these functions only for its own types.
pub(super) fn conditional_values<'a>(
    function: &str,
    types: &'a [DataType],
) -> Option<&'a [DataType]> {
    match (function, types.len()) {
        ("nullif", 2) => Some(&types[..1]),
        ("nvl", 2) => Some(types),
        ("nvl2", 3) => Some(&types[1..]),
        _ => None,
    }
}

/// Returns what an aggregate or window function takes of a mixed argument; `None` if there is no
/// such function.
pub(super) fn set(function: &str, argument: usize) -> Option<Use> {
    Some(match (function, argument) {
        (
            "approx_median"
            | "approx_percentile_cont"
            | "approx_percentile_cont_with_weight"
            | "avg"
            | "bit_and"
            | "bit_or"
            | "bit_xor"
            | "corr"
            | "covar_pop"
            | "covar_samp"
            | "median"
            | "ntile"
            | "percentile_cont"
            | "regr_avgx"
            | "regr_avgy"
            | "regr_count"
            | "regr_intercept"
            | "regr_r2"
            | "regr_slope"
            | "regr_sxx"
            | "regr_sxy"
            | "regr_syy"
            | "stddev"
            | "stddev_pop"
            | "sum"
            | "var"
            | "var_pop",
            _,
        ) => Use::Number,
        ("bool_and" | "bool_or", _) => Use::Bool,
        ("min" | "max", _) => Use::First,
        ("approx_distinct" | "string_agg", _) => Use::Printed,
        ("lag" | "lead", 0 | 2) => Use::Alike,
        (
            "any_value" | "array_agg" | "count" | "cume_dist" | "dense_rank" | "first_value"
            | "grouping" | "lag" | "last_value" | "lead" | "nth_value" | "percent_rank" | "rank"
            | "row_number",
            _,
        ) => Use::Whole,
        _ => return None,
    })
}
