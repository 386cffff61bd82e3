use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures_util::TryStreamExt as _;
use streamtable_store::ResultTypes;

use super::*;
use crate::query::catalog::Visible;
use crate::query::engine;
use crate::query::icontains::IContains;
use crate::query::library::Library;
use crate::query::mixed::KnownColumns;
use crate::query::running::RunningQuery;
use crate::query::sql_limits;

/// A call of each scalar function over one row.
const SCALAR_CALLS: &[(&str, &str)] = &[
    ("abs", "abs(n)"),
    ("acos", "acos(f)"),
    ("acosh", "acosh(n)"),
    ("array_add", "array_add(v, v)"),
    ("array_any_value", "array_any_value(l)"),
    ("array_append", "array_append(l, n)"),
    ("array_avg", "array_avg(v)"),
    ("array_compact", "array_compact(l)"),
    ("array_concat", "array_concat(l, l)"),
    ("array_dims", "array_dims(l)"),
    ("array_distance", "array_distance(v, v)"),
    ("array_distinct", "array_distinct(l)"),
    ("array_element", "array_element(l, 1)"),
    ("array_except", "array_except(l, [2])"),
    ("array_has", "array_has(l, n)"),
    ("array_has_all", "array_has_all(l, [n])"),
    ("array_has_any", "array_has_any(l, [n])"),
    ("array_intersect", "array_intersect(l, [2])"),
    ("array_length", "array_length(l)"),
    ("array_max", "array_max(l)"),
    ("array_min", "array_min(l)"),
    ("array_ndims", "array_ndims(l)"),
    ("array_normalize", "array_normalize(v)"),
    ("array_pop_back", "array_pop_back(l)"),
    ("array_pop_front", "array_pop_front(l)"),
    ("array_position", "array_position(l, n)"),
    ("array_positions", "array_positions(l, n)"),
    ("array_prepend", "array_prepend(n, l)"),
    ("array_product", "array_product(v)"),
    ("array_remove", "array_remove(l, n)"),
    ("array_remove_all", "array_remove_all(l, n)"),
    ("array_remove_n", "array_remove_n(l, n, 1)"),
    ("array_repeat", "array_repeat(n, 3)"),
    ("array_replace", "array_replace(l, n, 5)"),
    ("array_replace_all", "array_replace_all(l, n, 5)"),
    ("array_replace_n", "array_replace_n(l, n, 5, 1)"),
    ("array_resize", "array_resize(l, 5, n)"),
    ("array_reverse", "array_reverse(l)"),
    ("array_scale", "array_scale(v, 2.0)"),
    ("array_slice", "array_slice(l, 1, 2)"),
    ("array_sort", "array_sort(l)"),
    ("array_subtract", "array_subtract(v, v)"),
    ("array_sum", "array_sum(v)"),
    ("array_to_string", "array_to_string(l, ',')"),
    ("array_union", "array_union(l, [7])"),
    ("arrays_zip", "arrays_zip(l, l)"),
    ("arrow_cast", "arrow_cast(n, 'Int32')"),
    ("arrow_field", "arrow_field(n)"),
    ("arrow_metadata", "arrow_metadata(n)"),
    ("arrow_try_cast", "arrow_try_cast(s, 'Int32')"),
    ("arrow_typeof", "arrow_typeof(l)"),
    ("ascii", "ascii(s)"),
    ("asin", "asin(f)"),
    ("asinh", "asinh(f)"),
    ("atan", "atan(f)"),
    ("atan2", "atan2(f, f)"),
    ("atanh", "atanh(f)"),
    ("bit_length", "bit_length(s)"),
    ("btrim", "btrim(s, 'r')"),
    ("cardinality", "cardinality(l)"),
    ("cast_to_type", "cast_to_type(n, 1.5)"),
    ("cbrt", "cbrt(f)"),
    ("ceil", "ceil(f)"),
    ("character_length", "character_length(s)"),
    ("chr", "chr(n + 64)"),
    ("coalesce", "coalesce(n, 1)"),
    ("concat", "concat(s, 'a', 'b', n)"),
    ("concat_ws", "concat_ws(',', s, 'a', 'b')"),
    ("contains", "contains(s, 'row')"),
    ("cos", "cos(f)"),
    ("cosh", "cosh(f)"),
    ("cosine_distance", "cosine_distance(v, v)"),
    ("cot", "cot(f)"),
    ("current_date", "current_date() = current_date()"),
    ("current_time", "current_time() = current_time()"),
    ("date_bin", "date_bin(interval '1 day', d)"),
    ("date_part", "date_part('year', d)"),
    ("date_trunc", "date_trunc('year', d)"),
    ("decode", "decode('61', 'hex')"),
    ("degrees", "degrees(f)"),
    ("empty", "empty(l)"),
    ("encode", "encode(s, 'hex')"),
    ("ends_with", "ends_with(s, 'one')"),
    ("exp", "exp(f)"),
    ("factorial", "factorial(n)"),
    ("find_in_set", "find_in_set(s, 'a,row one')"),
    ("flatten", "flatten([l, l])"),
    ("floor", "floor(f)"),
    ("from_unixtime", "from_unixtime(n)"),
    ("gcd", "gcd(n, 4)"),
    ("generate_series", "generate_series(n, 5)"),
    ("get_field", "get_field(named_struct('a', n), 'a')"),
    ("greatest", "greatest(n, 4)"),
    ("icontains", "icontains(s, 'ROW')"),
    ("initcap", "initcap(s)"),
    ("inner_product", "inner_product(v, v)"),
    ("isnan", "isnan(f)"),
    ("iszero", "iszero(f)"),
    ("json_as_text", "json_as_text(j, 'a')"),
    ("json_contains", "json_contains(j, 'a')"),
    ("json_from_scalar", "json_union_to_text(json_from_scalar(s))"),
    ("json_get", "json_union_to_text(json_get(j, 'a'))"),
    ("json_get_array", "json_get_array(j, 'a')"),
    ("json_get_bool", "json_get_bool(j, 'a')"),
    ("json_get_float", "json_get_float(j, 'a', 0)"),
    ("json_get_int", "json_get_int(j, 'a', 0)"),
    ("json_get_json", "json_get_json(j, 'a')"),
    ("json_get_str", "json_get_str(j, 'b')"),
    ("json_length", "json_length(j)"),
    ("json_object_keys", "json_object_keys(j)"),
    ("json_union_to_text", "json_union_to_text(json_get(j, 'b'))"),
    ("lcm", "lcm(n, 4)"),
    ("least", "least(n, 4)"),
    ("left", "left(s, 2)"),
    ("levenshtein", "levenshtein(s, 'row')"),
    ("ln", "ln(f)"),
    ("log", "log(f)"),
    ("log10", "log10(f)"),
    ("log2", "log2(f)"),
    ("lower", "lower(s)"),
    ("lpad", "lpad(s, 10, '-')"),
    ("ltrim", "ltrim(s, 'r')"),
    ("make_array", "make_array(n, 2)"),
    ("make_date", "make_date(2020, 1, n)"),
    ("make_time", "make_time(1, 1, n)"),
    ("map", "map(['a'], [n])"),
    ("map_entries", "map_entries(map(['a'], [n]))"),
    ("map_extract", "map_extract(map(['a'], [n]), 'a')"),
    ("map_keys", "map_keys(map(['a'], [n]))"),
    ("map_values", "map_values(map(['a'], [n]))"),
    ("named_struct", "named_struct('a', n)"),
    ("nanvl", "nanvl(f, 1.0)"),
    ("now", "now() = now() and now() > d"),
    ("nullif", "nullif(n, 1)"),
    ("nvl", "nvl(n, 1)"),
    ("nvl2", "nvl2(n, 1, 2)"),
    ("octet_length", "octet_length(s)"),
    ("overlay", "overlay(s placing 'x' from 2)"),
    ("pi", "pi()"),
    ("power", "power(f, 2)"),
    ("radians", "radians(f)"),
    ("random", "random() < 1"),
    ("range", "range(n, 5)"),
    ("regexp_count", "regexp_count(s, 'o', 1, 'i')"),
    ("regexp_instr", "regexp_instr(s, 'o')"),
    ("regexp_like", "regexp_like(s, '^R', 'i')"),
    ("regexp_match", "regexp_match(s, 'o.')"),
    ("regexp_replace", "regexp_replace(s, 'o', '0', 'g')"),
    ("repeat", "repeat(s, 2)"),
    ("replace", "replace(s, 'o', '0')"),
    ("reverse", "reverse(s)"),
    ("right", "right(s, 2)"),
    ("round", "round(f, 1)"),
    ("rpad", "rpad(s, 10, '-')"),
    ("rtrim", "rtrim(s, 'e')"),
    ("signum", "signum(f)"),
    ("sin", "sin(f)"),
    ("sinh", "sinh(f)"),
    ("split_part", "split_part(s, ' ', 2)"),
    ("sqrt", "sqrt(f)"),
    ("starts_with", "starts_with(s, 'row')"),
    ("string_to_array", "string_to_array(s, ' ')"),
    ("strpos", "strpos(s, 'one')"),
    ("struct", "struct(n, s)"),
    ("substr", "substr(s, 2)"),
    ("substr_index", "substr_index(s, ' ', 1)"),
    ("tan", "tan(f)"),
    ("tanh", "tanh(f)"),
    ("to_char", "to_char(d, '%Y')"),
    ("to_date", "to_date('2020-01-01')"),
    ("to_hex", "to_hex(n)"),
    ("to_local_time", "to_local_time(d)"),
    ("to_time", "to_time('10:00:00')"),
    ("to_timestamp", "to_timestamp(n)"),
    ("to_timestamp_micros", "to_timestamp_micros(n)"),
    ("to_timestamp_millis", "to_timestamp_millis(n)"),
    ("to_timestamp_nanos", "to_timestamp_nanos(n)"),
    ("to_timestamp_seconds", "to_timestamp_seconds(n)"),
    ("to_unixtime", "to_unixtime(d)"),
    ("translate", "translate(s, 'o', '0')"),
    ("trunc", "trunc(f)"),
    ("try_cast_to_type", "try_cast_to_type(s, 1)"),
    ("union_extract", "union_extract(json_get(j, 'b'), 'str')"),
    ("union_tag", "union_tag(json_get(j, 'b'))"),
    ("upper", "upper(s)"),
    ("uuid", "length(uuid())"),
    ("version", "version()"),
    ("with_metadata", "with_metadata(n, 'unit', 's')"),
];

/// A call of each aggregate function over some rows.
const AGGREGATE_CALLS: &[(&str, &str)] = &[
    ("any_value", "any_value(n)"),
    ("approx_distinct", "approx_distinct(n)"),
    ("approx_median", "approx_median(n)"),
    ("approx_percentile_cont", "approx_percentile_cont(n, 0.5, 100)"),
    ("approx_percentile_cont_with_weight", "approx_percentile_cont_with_weight(n, 1, 0.5)"),
    ("array_agg", "array_agg(n)"),
    ("avg", "avg(n)"),
    ("bit_and", "bit_and(n)"),
    ("bit_or", "bit_or(n)"),
    ("bit_xor", "bit_xor(n)"),
    ("bool_and", "bool_and(n > 1)"),
    ("bool_or", "bool_or(n > 1)"),
    ("corr", "corr(n, f)"),
    ("count", "count(n)"),
    ("covar_pop", "covar_pop(n, f)"),
    ("covar_samp", "covar_samp(n, f)"),
    ("first_value", "first_value(n order by n)"),
    ("grouping", "grouping(n)"),
    ("last_value", "last_value(n order by n)"),
    ("max", "max(s)"),
    ("median", "median(n)"),
    ("min", "min(s)"),
    ("nth_value", "nth_value(n, 1 order by n)"),
    ("percentile_cont", "percentile_cont(n, 0.5)"),
    ("regr_avgx", "regr_avgx(n, f)"),
    ("regr_avgy", "regr_avgy(n, f)"),
    ("regr_count", "regr_count(n, f)"),
    ("regr_intercept", "regr_intercept(n, f)"),
    ("regr_r2", "regr_r2(n, f)"),
    ("regr_slope", "regr_slope(n, f)"),
    ("regr_sxx", "regr_sxx(n, f)"),
    ("regr_sxy", "regr_sxy(n, f)"),
    ("regr_syy", "regr_syy(n, f)"),
    ("stddev", "stddev(n)"),
    ("stddev_pop", "stddev_pop(n)"),
    ("string_agg", "string_agg(s, ',')"),
    ("sum", "sum(n)"),
    ("var", "var(n)"),
    ("var_pop", "var_pop(n)"),
];

/// A call of each window function over some rows, without its `OVER`.
const WINDOW_CALLS: &[(&str, &str)] = &[
    ("cume_dist", "cume_dist()"),
    ("dense_rank", "dense_rank()"),
    ("first_value", "first_value(s)"),
    ("lag", "lag(s, 1, 'none')"),
    ("last_value", "last_value(s)"),
    ("lead", "lead(n)"),
    ("nth_value", "nth_value(s, 2)"),
    ("ntile", "ntile(2)"),
    ("percent_rank", "percent_rank()"),
    ("rank", "rank()"),
    ("row_number", "row_number()"),
];

const ROWS: &str = "select column1 n, column2 s, column3 f, [column1, 2, 3] l, \
    [column3, 2.5] v, '{\"a\": [1, 2], \"b\": \"c\"}' j, \
    to_timestamp_seconds(column1) d from (values (1, 'row one', 0.5), (2, 'row two', 0.25))";

fn bounded() -> SessionState {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 30));
    let query = Arc::new(RunningQuery::new(Duration::from_secs(600), &pool));
    let resources = RuntimeEnvBuilder::new().build_arc().unwrap();
    let library = Library::new().unwrap();
    engine::session(&library, &resources, Visible::none(), None, 1, &query).unwrap()
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    sql_limits::QUERY.tokens(sql).unwrap()
}

/// Returns a session without any bounds.
fn plain() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.enable_ident_normalization = false;
    config.options_mut().execution.time_zone = Some("+00:00".to_owned());
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    datafusion_functions_json::register_all(&mut state).unwrap();
    state.register_udf(Arc::new(ScalarUDF::from(IContains::new()))).unwrap();
    SessionContext::new_with_state(state)
}

/// Runs a query in both sessions, and returns how the results differ.
async fn difference(sql: &str) -> Option<String> {
    let bounded = async {
        let rows =
            engine::run(bounded(), tokens(sql), &Arc::<KnownColumns>::default(), ResultTypes::All)
                .await
                .map_err(|error| error.to_string())?;
        let rows: Vec<_> = rows.try_collect().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(pretty_format_batches(&rows).unwrap().to_string())
    };
    let plain = async {
        let rows = plain().sql(sql).await.map_err(|error| error.to_string())?;
        let rows = rows.collect().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(pretty_format_batches(&rows).unwrap().to_string())
    };
    match (bounded.await, plain.await) {
        (Ok(bounded), Ok(plain)) if bounded == plain => None,
        (bounded, plain) => Some(format!("{sql}\nbounded: {bounded:?}\nplain: {plain:?}")),
    }
}

#[track_caller]
fn check_names<'a>(registered: BTreeSet<&str>, called: impl Iterator<Item = &'a str>) {
    let called: BTreeSet<&str> = called.collect();
    let missing: Vec<_> = registered.difference(&called).collect();
    let obsolete: Vec<_> = called.difference(&registered).collect();
    assert!(missing.is_empty() && obsolete.is_empty(), "missing: {missing:?}, {obsolete:?}");
}

#[test]
fn every_function_has_a_cost() {
    let state = bounded();
    let scalars = state.scalar_functions().values().map(|function| function.name());
    let without: BTreeSet<_> = scalars.filter(|name| scalar(name).is_none()).collect();
    assert!(without.is_empty(), "scalar functions without a cost: {without:?}");
    let aggregates = state.aggregate_functions().values().map(|function| function.name());
    let without: BTreeSet<_> = aggregates.filter(|name| aggregate(name).is_none()).collect();
    assert!(without.is_empty(), "aggregate functions without a cost: {without:?}");
    let windows = state.window_functions().values().map(|function| function.name());
    let without: BTreeSet<_> = windows.filter(|name| window(name).is_none()).collect();
    assert!(without.is_empty(), "window functions without a cost: {without:?}");
    let tables = state.table_functions().keys().map(String::as_str);
    check_names(tables.collect(), TABLE_FUNCTIONS.into_iter());
}

#[tokio::test]
async fn every_function_returns_the_same_as_without_bounds() {
    let state = bounded();
    let scalars = state.scalar_functions().values().map(|function| function.name());
    let is_available = |name: &&str| !matches!(scalar(name), Some(Refused(_)));
    check_names(scalars.filter(is_available).collect(), SCALAR_CALLS.iter().map(|(name, _)| *name));
    let aggregates = state.aggregate_functions().values().map(|function| function.name());
    check_names(aggregates.collect(), AGGREGATE_CALLS.iter().map(|(name, _)| *name));
    let windows = state.window_functions().values().map(|function| function.name());
    check_names(windows.collect(), WINDOW_CALLS.iter().map(|(name, _)| *name));
    let mut queries: Vec<String> = Vec::new();
    for (_, call) in SCALAR_CALLS {
        queries.push(format!("select {call} x from ({ROWS}) order by n"));
    }
    for (name, call) in AGGREGATE_CALLS {
        queries.push(format!("select n, {call} x from ({ROWS}) group by n order by n"));
        let is_repeated = aggregate(name).is_some_and(|it| it.result == ResultSize::AllValues);
        // `grouping` has no meaning without groups.
        if !is_repeated && !call.contains("order by") && *name != "grouping" {
            queries.push(format!("select {call} over () x from ({ROWS}) order by n"));
            queries.push(format!("select {call} over (order by n) x from ({ROWS}) order by n"));
        }
    }
    for (_, call) in WINDOW_CALLS {
        queries.push(format!("select {call} over (order by n) x from ({ROWS}) order by n"));
    }
    for call in ["s || s", "s ~ '^r.*[ab]{9}|e$'", "s ~ left(s, 3)", "s like left(s, 3) || '%'"] {
        queries.push(format!("select {call} x from ({ROWS}) order by n"));
    }
    let mut differences = Vec::new();
    for sql in queries {
        differences.extend(difference(&sql).await);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The engine prunes files by its own operators, and evaluates them faster than functions.
#[tokio::test]
async fn operators_with_small_constant_patterns_are_not_wrapped() {
    for ty in ["Utf8", "LargeUtf8", "Utf8View"] {
        for (operator, shown) in [("like", "LIKE"), ("not ilike", "NOT ILIKE"), ("~", "~")] {
            let sql = format!(
                "explain select n from (select n, arrow_cast(s, '{ty}') s from ({ROWS})) \
                 where s {operator} '%w%o%'"
            );
            let rows = engine::run(
                bounded(),
                tokens(&sql),
                &Arc::<KnownColumns>::default(),
                ResultTypes::All,
            )
            .await
            .unwrap();
            let rows: Vec<_> = rows.try_collect().await.unwrap();
            let plan = pretty_format_batches(&rows).unwrap().to_string();
            assert!(plan.contains(&format!(" {shown} ")), "{ty}: {plan}");
        }
    }
}
