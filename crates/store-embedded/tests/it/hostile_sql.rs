//! SQL that is deep, large or slow on purpose: each query is answered or refused, and the process
//! survives.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use futures_util::TryStreamExt as _;
use streamtable_store::{
    Append as _, MemoryCeiling, Query as _, ResultTypes, SqlQuery, Store as _, StoreError,
};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig, row_expression};

use crate::support::{Folder, ask, batch, log, number};

/// Long enough for a busy machine; a hang is longer.
const TIMEOUT: Duration = Duration::from_secs(60);

fn query(sql: &str) -> SqlQuery {
    SqlQuery {
        sql: sql.to_owned(),
        home: Some(("me".to_owned(), "shop".to_owned())),
        entities: None,
        timeout: TIMEOUT,
        positions: false,
        types: ResultTypes::Flat,
        owner: None,
    }
}

async fn outcome(store: &EmbeddedStore, sql: &str) -> Result<Vec<RecordBatch>, StoreError> {
    store.query(query(sql)).await?.batches.try_collect().await
}

async fn open(folder: &Folder) -> EmbeddedStore {
    let store = folder.open().await;
    log(&store, "w", 0..1000).await;
    store
}

fn each(n: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect::<Vec<_>>().join(between)
}

/// Returns a query whose size grows with a number.
type Shape = fn(usize) -> String;

/// Queries that grow with a number, and whether the query with 200 parts is answered.
const SHAPES: &[(Shape, bool)] = &[
    (|n| format!("select {}", vec!["1"; n].join("+")), true),
    (|n| format!("select {}1{}", "(".repeat(n), ")".repeat(n)), false),
    (|n| format!("select * from requests where {}", each(n, " or ", |i| format!("n = {i}"))), true),
    (
        |n| format!("select * from requests where {}", each(n, " and ", |i| format!("n <> {i}"))),
        true,
    ),
    (|n| format!("select {}1{}", "case when 1=1 then ".repeat(n), " end".repeat(n)), false),
    (|n| vec!["select 1"; n].join(" union all "), true),
    (|n| format!("select {}true", "not ".repeat(n)), false),
    (|n| format!("select {}1", "- ".repeat(n)), false),
    (|n| format!("select {}", vec!["'a'"; n].join("||")), true),
    (|n| format!("{}select 1{}", "select * from (".repeat(n), ")".repeat(n)), false),
    (|n| format!("select {}1{}", "abs(".repeat(n), ")".repeat(n)), false),
    (|n| format!("select {}1{}", "[".repeat(n), "]".repeat(n)), false),
    (|n| format!("select 1{}", "::int".repeat(n)), true),
    (|n| format!("select * from requests where n in ({})", each(n, ",", |i| i.to_string())), true),
    (|n| format!("select {} from requests", each(n, ",", |i| format!("n c{i}"))), true),
    (|n| format!("select text{} from requests", "->'a'".repeat(n)), false),
];

#[tokio::test(flavor = "multi_thread")]
async fn shapes_of_all_sizes_are_answered() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for (shape, is_answered) in SHAPES {
        for n in [200, 2_000, 20_000] {
            let sql = shape(n);
            let ended = outcome(&store, &sql).await;
            match &ended {
                Ok(_) => {}
                Err(StoreError::Query { .. } | StoreError::Limit { .. }) => {
                    assert!(n > 200 || !is_answered, "{sql:.60} of {n}: {ended:?}");
                }
                Err(error) => panic!("{sql:.60} of {n}: {error:?}"),
            }
        }
    }
    assert_eq!(number(&store, "select count(*) from requests").await, 1000);
}

/// Some plans are found slowly, and no step of the planner checks the time: they count for their owner
/// until they end.
#[tokio::test(flavor = "multi_thread")]
async fn slow_plans_of_one_owner_leave_others_alone() {
    let folder = Folder::new();
    let store = folder.open_with(StoreConfig { max_queries_per_owner: 1, ..folder.config() }).await;
    log(&store, "w", 0..1000).await;
    let steps = each(40, ",", |i| {
        format!("c{} as (select cast((not (x = 'a')) as varchar) x from c{i})", i + 1)
    });
    let slow = format!("with c0 as (select text x from requests), {steps} select x from c40");
    let ask = async |owner: &str, sql: &str, seconds| {
        let timeout = Duration::from_secs(seconds);
        let owner = Some(owner.to_owned());
        let rows = store.query(SqlQuery { owner, timeout, ..query(sql) }).await?;
        rows.batches.try_collect::<Vec<RecordBatch>>().await
    };
    let error = ask("slow", &slow, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Limit { .. }), "{error:?}");
    let error = ask("slow", "select 1", 1).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(ask("other", "select 1", 30).await.unwrap()[0].num_rows(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_double_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    let doubling = |from: &str, step: &str, end: &str| {
        let steps = each(40, ",", |i| {
            let next = i + 1;
            format!("c{next} as (select {} c{i} a)", step.replace("OTHER", &format!("c{i} b, ")))
        });
        format!("with c0 as ({from}), {steps} {end}")
    };
    for (sql, part) in [
        (doubling("select 1 x", "a.x from OTHER", "select * from c40"), "relations"),
        (
            doubling("select n x from requests", "x + x x from", "select 1 from c40 where x > 1"),
            "expressions",
        ),
        (
            doubling(
                "select text x from requests",
                "x || x x from",
                "select max(length(x)) from c40",
            ),
            "|| needs",
        ),
        (
            doubling("select n x from requests", "[x, x] x from", "select count(x) from c40"),
            "make_array needs",
        ),
        (doubling("select n x from requests", "struct(x, x) x from", "select 1 from c40"), "parts"),
        (doubling("select 1 x", "{'a': x, 'b': x} x from", "select x from c40"), "parts"),
        (
            doubling(
                "select n x from requests",
                "named_struct('a', x, 'b', x) x from",
                "select count(*) from c40 where x is null",
            ),
            "parts",
        ),
        (doubling("select n x from requests", "row(x, x) x from", "select x from c40"), "parts"),
        (doubling("select 1 x", "map([x], [x]) x from", "select x from c40"), "parts"),
        (doubling("select 1 x", "map {x: x} x from", "select x from c40"), "parts"),
        (doubling("select [1] x", "arrays_zip(x, x) x from", "select x from c40"), "parts"),
        (
            format!("select {}text{} from requests", "coalesce(".repeat(40), ", 'x')".repeat(40)),
            "inside each other",
        ),
        (
            format!("select n from requests order by {}", each(300, ",", |i| format!("n + {i}"))),
            "sorts by 300",
        ),
        (
            format!("select 1 from requests group by {}", each(300, ",", |i| format!("n + {i}"))),
            "groups by 300",
        ),
        (
            format!(
                "select sum(n) over (order by {}) from requests",
                each(300, ",", |i| format!("n + {i}"))
            ),
            "has a window over 300",
        ),
    ] {
        let error = outcome(&store, &sql).await.unwrap_err();
        let is_refused = matches!(error, StoreError::Query { .. } | StoreError::Limit { .. });
        assert!(is_refused && error.to_string().contains(part), "{sql:.80}: {error:?}");
    }
}

#[tokio::test]
async fn joins_that_never_pause_end_with_their_time() {
    let folder = Folder::new();
    let store = open(&folder).await;
    let squares = each(5, ",", |i| {
        let next = i + 1;
        format!("c{next} as (select a.x from c{i} a cross join c{i} b)")
    });
    // 2^32 rows, in batches of two, on the side of the join that is collected first.
    let sql = format!(
        "with c0(x) as (values (1), (2)), {squares} select count(*) from c5 a cross join c5 b"
    );
    for _ in 0..4 {
        let short = SqlQuery { timeout: Duration::from_millis(300), ..query(&sql) };
        let error = match store.query(short).await {
            Ok(rows) => rows.batches.try_collect::<Vec<_>>().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, StoreError::Limit { .. }), "{error}");
    }
    // None of the queries still holds a thread of the engine.
    assert!(outcome(&store, "select count(*) from requests").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for (sql, function) in [
        ("select length(repeat('x', 2000000000))", "repeat"),
        ("select length(repeat(text, 100000000)) from requests", "repeat"),
        ("select length(lpad('x', 2000000000, 'y'))", "lpad"),
        ("select length(rpad(text, 2000000000)) from requests", "rpad"),
        ("select cardinality(array_repeat(1, 500000000))", "array_repeat"),
        ("select cardinality(array_repeat(n, 500000000)) from requests", "array_repeat"),
        ("select cardinality(array_resize([1], 2000000000, 2))", "array_resize"),
        ("select cardinality(range(0, 1000000000))", "range"),
        ("select cardinality(generate_series(n, 1000000000)) from requests", "generate_series"),
        ("select length(replace(repeat('a', 100000), 'a', repeat('b', 100000)))", "replace"),
        ("select length(translate(repeat('a', 100000000), 'a', 'b'))", "repeat"),
        ("select length(string_agg(repeat(text, 1000000), '')) from requests", "repeat"),
        ("select length(concat(repeat('x', 1000000000), repeat('y', 1000000000)))", "repeat"),
        ("select length(concat(repeat('x', 1000000), repeat('y', 1000000)))", "concat"),
        ("select regexp_replace(repeat('a', 200000), '(a*)*$', 'b')", "regexp_replace"),
        (
            "select length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 100000), 'g'))",
            "regexp_replace",
        ),
        ("select levenshtein(repeat('a', 200000), repeat('b', 200000))", "levenshtein"),
        ("select to_char(timestamp '2020-01-01', repeat('%Y', 500000))", "to_char"),
        ("select length(encode(encode(repeat('x', 500000), 'hex'), 'hex'))", "encode"),
    ] {
        let error = outcome(&store, sql).await.unwrap_err();
        let named = format!("{function} needs ");
        assert!(matches!(error, StoreError::Limit { .. }), "{sql}: {error:?}");
        assert!(error.to_string().starts_with(&named), "{sql}: {error}");
    }
}

#[track_caller]
fn check_refused(sql: &str, ended: Result<Vec<RecordBatch>, StoreError>, part: &str) {
    let Err(error) = ended else { panic!("{sql:.100} is answered") };
    let is_refused = matches!(error, StoreError::Query { .. } | StoreError::Limit { .. });
    assert!(is_refused && error.to_string().contains(part), "{sql:.100}: {error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_and_wide_types_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    let lists = |n: usize| format!("{}Int8{}", "List(".repeat(n), ")".repeat(n));
    for n in [100, 1_000, 100_000] {
        for sql in [
            format!("select arrow_cast(null, '{}')", lists(n)),
            format!("select arrow_try_cast(null, '{}')", lists(n)),
            format!("select count(*) from requests where arrow_cast(n, '{}') is null", lists(n)),
        ] {
            check_refused(&sql, outcome(&store, &sql).await, "more than 80 levels");
        }
    }
    for sql in [
        format!("select null::int{}", "[]".repeat(1_000)),
        format!("select 1 from requests where null::int{} is null", "[]".repeat(1_000)),
    ] {
        check_refused(&sql, outcome(&store, &sql).await, "brackets inside each other");
    }
    for (sql, part) in [
        ("select arrow_cast(null, 'FixedSizeList(2000000000, Int8)')", "4096 elements"),
        ("select arrow_cast(null, 'FixedSizeBinary(2000000000)')", "4096 bytes"),
        (
            "select 1 from requests where arrow_cast(text, 'FixedSizeBinary(2000000000)') is null",
            "4096 bytes",
        ),
    ] {
        check_refused(sql, outcome(&store, sql).await, part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_size_a_buffer_are_bounded() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for (sql, part) in [
        ("select approx_percentile_cont(n, 0.5, 1000000000) from requests", "argument 3"),
        ("select approx_percentile_cont(n, 0.5, 9223372036854775807) from requests", "argument 3"),
        ("select approx_percentile_cont(n, 0.5, 100000 * 10000) from requests", "argument 3"),
        ("select approx_percentile_cont(n, 0.5, 1000000) over () from requests", "argument 3"),
        (
            "select approx_percentile_cont_with_weight(n, 1, 0.5, 1000000000) from requests",
            "argument 4",
        ),
        ("select string_agg(text, repeat('x', 100000)) from requests", "argument 2"),
        ("select lag(n, 9223372036854775807) over (order by n) from requests", "argument 2"),
        ("select lead(text, 1, repeat('x', 1000)) over (order by n) from requests", "argument 3"),
        ("select nth_value(n, 1000000000) over (order by n) from requests", "argument 2"),
        (
            "select count(*) from (values (1,2,3,4,5,6,7,8,9)) t(a,b,c,d,e,f,g,h,i) \
             group by cube(a,b,c,d,e,f,g,h,i)",
            "512 sets",
        ),
    ] {
        check_refused(sql, outcome(&store, sql).await, part);
    }
    let sql = "select approx_percentile_cont(n, 0.5, 200) from requests";
    assert!(outcome(&store, sql).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_grow_with_a_window_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for (sql, part) in [
        (
            "select max(cardinality(a)) from \
             (select array_agg(value) over () a from generate_series(1, 100000))",
            "array_agg cannot be used",
        ),
        (
            "select max(length(a)) from (select string_agg(repeat('x', 16000), '') \
             over (order by value) a from generate_series(1, 60000))",
            "string_agg cannot be used",
        ),
        (
            "select max(length(a)) from (select max(case when value = 1 then \
             repeat('x', 1000000) end) over () a from generate_series(1, 100000))",
            "too much memory",
        ),
        (
            "select max(length(a)) from (select first_value(repeat('x', value / value * 1000000)) \
             over (order by value) a from generate_series(1, 100000))",
            "",
        ),
        (
            "select max(a) from (select sum(value) over () a from generate_series(1, 1000000000))",
            "too much memory",
        ),
        ("select cardinality(array_transform([1], (x) -> x))", ""),
    ] {
        check_refused(sql, outcome(&store, sql).await, part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_never_pause_end_with_their_time() {
    let folder = Folder::new();
    let store = open(&folder).await;
    let sql = "select max(a) from (select median(value) over (order by value rows between current \
               row and unbounded following) a from generate_series(1, 300000))";
    for _ in 0..4 {
        let short = SqlQuery { timeout: Duration::from_millis(500), ..query(sql) };
        let ended = match store.query(short).await {
            Ok(rows) => rows.batches.try_collect::<Vec<_>>().await,
            Err(error) => Err(error),
        };
        check_refused(sql, ended, "longer than");
    }
    // None of the queries still holds a thread of the engine.
    assert!(outcome(&store, "select count(*) from requests").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn comparisons_of_long_lists_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for function in ["array_has_all", "array_has_any", "list_has_all", "arrays_overlap"] {
        let sql = format!(
            "select count(*) from generate_series(1, 4) \
             where {function}(range(0, value + 500000), range(1000000, value + 1500000))"
        );
        check_refused(&sql, outcome(&store, &sql).await, "steps for one row");
    }
    let sql = "select icontains(repeat('a', 1000000), repeat('a', 500000))";
    check_refused(sql, outcome(&store, sql).await, "steps for one row");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_and_large_patterns_are_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    let condition = |condition: &str| format!("select count(*) from requests where {condition}");
    for call in [
        "regexp_like('aaaa', concat('(a{0,30}){0,6}', n))",
        "regexp_match('aaaa', concat('a', n)) is null",
        "regexp_count('aaaa', concat('a', n)) > 1",
        "regexp_instr('aaaa', concat('a', n)) > 1",
        "regexp_replace('aaaa', concat('a', n), '') = ''",
        "text ~ concat('a', n)",
        "text !~* concat('a', n)",
        "text similar to concat('a', n)",
        "text like concat('%a', n)",
        "text not ilike concat('%a', n)",
    ] {
        let sql = condition(call);
        check_refused(&sql, outcome(&store, &sql).await, "more than 16 patterns");
    }
    for call in [
        "regexp_like(text, '(a{0,300}){0,600}')",
        "text ~ '(a{0,300}){0,600}'",
        "text similar to '(a{0,300}){0,600}'",
        "text ~ concat('(a{0,300})', '{0,600}')",
    ] {
        let sql = condition(call);
        check_refused(&sql, outcome(&store, &sql).await, "in compiled form");
    }
    let sql = condition("repeat(text, 10000) ~ '[ab]*a[ab]{3000}'");
    assert!(outcome(&store, &sql).await.is_ok());
    let sql = condition("repeat(text, 1000000) ~ '[ab]*a[ab]{3000}'");
    check_refused(&sql, outcome(&store, &sql).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_server_are_not_shown() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for sql in [
        "show all",
        "show datafusion.runtime.temp_directory",
        "select * from information_schema.df_settings",
        "select * from information_schema.routines",
        "explain select * from information_schema.df_settings",
        "select (select max(value) from information_schema.df_settings)",
    ] {
        check_refused(sql, outcome(&store, sql).await, "not available");
    }
    for sql in ["select input_file_name() from requests", "select file_row_index() from requests"] {
        check_refused(sql, outcome(&store, sql).await, "");
    }
    for table in ["tables", "columns", "schemata", "views"] {
        let sql = format!("select * from information_schema.{table}");
        assert!(outcome(&store, &sql).await.is_ok(), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_types_are_answered_or_refused() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for value in [
        "interval '1 month'",
        "arrow_cast(1, 'Duration(Second)')",
        "arrow_cast('a', 'Dictionary(Int32, Utf8)')",
        "arrow_cast([1, 2], 'FixedSizeList(2, Int32)')",
        "arrow_cast(1, 'Decimal256(76, 0)')",
        "named_struct('a', 1, 'a', 2)",
        "arrow_cast(9223372036854775807, 'Timestamp(Second, None)')",
        "arrow_cast(-9223372036854775808, 'Date64')",
        "arrow_cast(1, 'Timestamp(Nanosecond, Some(\"Nowhere/Land\"))')",
        "arrow_cast(1, 'Float16')",
        "arrow_cast('a', 'RunEndEncoded(Int32, Utf8)')",
        "arrow_cast(1, 'ListView(Int32)')",
    ] {
        let sql = format!("select {value} x");
        if let Err(error) = outcome(&store, &sql).await {
            let is_named = !matches!(error, StoreError::Io { .. } | StoreError::Damaged { .. });
            assert!(is_named, "{sql}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usual_results_are_as_they_were() {
    let folder = Folder::new();
    let store = open(&folder).await;
    for (sql, expected) in [
        ("select max(length(repeat(text, 100))) from requests", 700),
        ("select sum(length(text || ' and ' || text)) from requests", 18_780),
        ("select count(*) from requests where text || null is null", 1000),
        ("select count(distinct text || '!') from requests group by text || '!' limit 1", 1),
        ("select sum(cardinality(range(0, n))) from requests", 499_500),
        ("select sum(cardinality([n, n, n])) from requests", 3000),
        ("select max(length(lpad(text, 20))) from requests", 20),
        ("select count(*) from requests where replace(text, 'row', 'line') like 'line %'", 1000),
        ("select max(levenshtein(text, 'row')) from requests", 4),
        // In parts: the results of all rows together are larger than one part.
        ("select sum(length(repeat(text, 10000))) from requests", 68_900_000),
        ("select length(repeat('ab', 1000))", 2000),
        ("select sum(v) from (select unnest(range(0, 1000)) v)", 499_500),
        ("select count(*) from requests where now() > timestamp '2020-01-01'", 1000),
        ("select count(*) from requests where text ~ '^row 9'", 111),
        ("select count(*) from requests where text like '%99'", 10),
        ("select count(*) from requests r, (values ('row 1%')) p(p) where text like p", 111),
        (
            "select count(*) from (select lag(text) over (order by n) a from requests) where a > ''",
            999,
        ),
        ("select max(length(m)) from (select max(text) over () m from requests)", 7),
    ] {
        let sql = format!("select cast(x as bigint) from ({sql}) as t(x)");
        assert_eq!(number(&store, &sql).await, expected, "{sql}");
    }
    let named = ask(&store, "select text || '!' from requests limit 1").await;
    assert!(named[0].schema().field(0).name().contains("||"), "{:?}", named[0].schema());
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_memory_limit_rows_and_queries_wait() {
    let folder = Folder::new();
    let memory = Arc::new(MemoryCeiling::new(Some(1)));
    if memory.used() == 0 {
        // Memory is not measured on this system.
        return;
    }
    let store = folder.open_with(StoreConfig { memory, ..folder.config() }).await;
    let appended = store.append(batch("w", 0, vec![r#"{"n":1}"#.to_owned()])).await;
    assert!(appended.is_err_and(|error| error.is_retryable()));
    let asked = store.query(query("select 1")).await;
    assert!(asked.is_err_and(|error| error.is_retryable()));
    store.close().await.unwrap();
    drop(store);
    let store = folder.open().await;
    log(&store, "w", 0..1).await;
    assert_eq!(number(&store, "select count(*) from requests").await, 1);
}

#[test]
fn expressions_of_all_sizes_are_checked_on_small_stacks() {
    let shapes: &[fn(usize) -> String] = &[
        |n| vec!["1"; n].join("+"),
        |n| format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        |n| "case when 1=1 then ".repeat(n) + "1" + &" end".repeat(n),
        |n| format!("1{}", "::int".repeat(n)),
        |n| each(n, " or ", |i| format!("\"n\" = {i}")),
    ];
    let check = move || {
        for shape in shapes {
            for n in [20, 400, 2_000, 20_000] {
                let checked = row_expression(&shape(n));
                assert!(n < 2_000 || checked.is_err(), "{:.40} of {n}", shape(n));
            }
        }
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(check).unwrap().join().unwrap();
}
