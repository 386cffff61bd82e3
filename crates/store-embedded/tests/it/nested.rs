//! Lists and structs: their storage, and in SQL.

use std::fs;
use std::path::Path;

use arrow::array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use streamtable_schema::{Timestamp, Value};
use streamtable_store::{Append as _, Store as _};
use streamtable_wire::write_cell;

use crate::mixed::{check, log, types};
use crate::support::{Folder, batch, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_fields_are_read_in_place() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"v":[1.0,0.0,2],"tags":["new","red"],"scores":{"7":0.5,"name":"ann","l":[1]},"ids":[[1,2],[3]]}"#,
        r#"{"k":2,"v":[0.0,1.0,NaN],"tags":[],"scores":{"7":2},"ids":[]}"#,
        r#"{"k":3}"#,
    ];
    log(&store, "me/shop/t", "w", &rows).await;
    log(&store, "me/shop/odd", "w", &[r#"{"n":1,"v":[3,4]}"#, r#"{"n":"x","v":[0,0]}"#]).await;
    check(
        &store,
        &[
            ("select v[1], v[3] from t order by k", "1.0 2.0, 0.0 NaN, - -"),
            ("select tags[1], tags[-1] from t order by k", "new red, - -, - -"),
            ("select sum(v[1] * 2) from t where tags[2] = 'red'", "2.0"),
            ("select array_length(v), array_length(tags) from t order by k", "3 2, 3 0, - -"),
            ("select array_has(tags, 'red') from t where k = 1", "true"),
            ("select array_to_string(tags, '+') from t where k = 1", "new+red"),
            ("select ids[1][2], array_length(ids) from t where k = 1", "2 2"),
            ("select cosine_distance(v[1:2], [0.0, 1.0]) from t where k = 1", "1.0"),
            ("select l2_distance(v, [1.0, 2.0, 2.0]) from t where k = 1", "2.0"),
            ("select t.k from t order by l2_distance(v, [1.0, 0.0, 2.0]) limit 1", "1"),
            ("select l2_distance(a.v, b.v) from t a join t b on a.k = b.k where a.k = 1", "0.0"),
            ("select scores['7'] + 1, scores['name'] from t order by k", "1.5 ann, 3.0 -, - -"),
            ("select scores -> 'l' ->> 0 from t where k = 1", "1"),
            ("select unnest(tags[1:1000]) from t", "new, red"),
            ("select v from t where k = 1", "[1.0,0.0,2.0]"),
            ("select l2_distance(v, [0.0, 0.0]), v[2] from odd where n + 1 > 0", "5.0 4"),
        ],
    )
    .await;
    assert_eq!(folder.files("spill", "").len(), 0);
}

/// Fields, lists of structs and whole columns have their types, also after a value that does not fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_values_do_not_change_how_lists_and_structs_are_named() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"meta":{"layer":"a","lr":0.5,"net":{"sizes":[8,4],"on":true}},"tags":["x","y"],"steps":[{"tool":"read","ms":5},{"tool":"write"}]}"#,
        r#"{"k":2,"meta":{"layer":"b"},"tags":[],"steps":[{"tool":"stop","ms":7}]}"#,
        r#"{"k":3}"#,
    ];
    let checks = [
        ("select meta.layer, t.meta.lr from t where k < 4 order by k", "a 0.5, b -, - -"),
        ("select meta.net.on, t.meta.net.sizes[2] from t where k = 1", "true 4"),
        ("select array_length(meta.net.sizes), array_length(steps) from t where k = 1", "2 2"),
        ("select meta['net']['sizes'][1], meta['net']['on'] from t where k = 1", "8 true"),
        (
            "select count(*), sum(meta.lr) from t where meta.layer = 'a' group by meta.layer",
            "1 0.5",
        ),
        ("select k from t where k < 4 order by meta.layer desc nulls last, k", "2, 1, 3"),
        ("select steps[2]['tool'], steps[1]['ms'] from t where k < 3 order by k", "write 5, - 7"),
        (
            "select s['tool'], s['ms'] from (select unnest(steps) s from t where k < 4) x",
            "read 5, write -, stop 7",
        ),
        ("select unnest(tags), k from t where k < 4", "x 1, y 1"),
        ("select unnest(t.tags) from t where k = 1", "x, y"),
        ("select k from t where tags = ['x', 'y']", "1"),
        (
            "select a.k from t a join t b on a.meta.layer = b.tags[1] or a.meta.lr = b.meta.lr where a.k < 4",
            "1",
        ),
        (
            "select arrow_typeof(tags) like 'List(%', arrow_typeof(meta) like 'Struct(%' from t where k = 1",
            "true true",
        ),
    ];
    log(&store, "me/shop/t", "w", &rows).await;
    check(&store, &checks).await;
    let all = "select meta, tags, steps, meta.net as net from t";
    assert_eq!(
        types(&store, all).await,
        "meta:struct:nested tags:list:nested steps:list:nested net:struct:"
    );
    let odd = [
        r#"{"k":4,"meta":{"layer":"odd","a b":1},"tags":["x",1],"steps":[{"tool":"x","ms":null}]}"#,
    ];
    log(&store, "me/shop/t", "v", &odd).await;
    check(&store, &checks[..checks.len() - 1]).await;
    let types = types(&store, all).await;
    assert_eq!(types, "meta:text:json tags:text:json steps:text:json net:struct:");
}

/// A number or text among lists and structs changes neither elements nor fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_and_elements_of_mixed_columns() {
    let folder = Folder::new();
    let store = folder.open().await;
    let checks = [
        ("select sum(s.a), max(s['a']) from t", "1 1"),
        ("select s.b[2], array_length(s.b), t.s.o.p from t where k = 1", "2 2 x"),
        ("select v[1], array_length(v) from t where k = 1", "1 2"),
        ("select unnest(v) from t", "1, 2"),
        ("select k from t where v = [1, 2]", "1"),
        ("select k from t where s.a = 1 and v[2] = 2", "1"),
        ("select l2_distance(v, [1.0, 2.0]) from t where k = 1", "0.0"),
    ];
    let rows = [r#"{"k":1,"s":{"a":1,"b":[1,2],"o":{"p":"x"}},"v":[1,2]}"#];
    log(&store, "me/shop/t", "w", &rows).await;
    check(&store, &checks).await;
    let odd = [r#"{"k":2,"s":5,"v":"x"}"#, r#"{"k":3,"s":[1],"v":{"a":1}}"#, r#"{"k":4}"#];
    log(&store, "me/shop/t", "v", &odd).await;
    check(&store, &checks).await;
    check(&store, &[("select s + 1, s.n, v.s from t where k = 2", "6 5 x")]).await;
}

/// A struct with the names of the parts of mixed cells is a struct.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn structs_that_look_like_mixed_cells() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [r#"{"k":1,"v":{"n":1,"s":"x"},"l":[{"n":1,"s":"x"}],"o":{"i":{"n":1,"s":"x"}}}"#];
    log(&store, "me/shop/t", "w", &rows).await;
    check(
        &store,
        &[
            ("select v.n, v.s, v from t", "1 x {\"n\":1,\"s\":\"x\"}"),
            ("select o.i from t", "{\"n\":1,\"s\":\"x\"}"),
            ("select l -> 0 ->> 's', l from t", "x [{\"n\":1,\"s\":\"x\"}]"),
        ],
    )
    .await;
    assert_eq!(types(&store, "select v, l from t").await, "v:struct:nested l:list:nested");
}

/// Queries that use lists at each place of a query, and need their text at others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_used_as_lists_and_as_text_in_one_query() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"v":[1,2],"tags":["a"]}"#,
        r#"{"k":2,"v":[3,4],"tags":[]}"#,
        r#"{"k":3,"v":[1,2],"tags":["a","b"]}"#,
        r#"{"k":4,"v":null}"#,
    ];
    log(&store, "me/shop/t", "w", &rows).await;
    check(
        &store,
        &[
            ("select v, v[1] from t order by k", "[1,2] 1, [3,4] 3, [1,2] 1, - -"),
            ("select v, count(*) c, sum(v[2]) from t group by v order by c desc, v", "[1,2] 2 4, [3,4] 1 4, - 1 -"),
            ("select v[1] as f, count(*) from t where v = '[1,2]' group by v[1]", "1 2"),
            ("select distinct v from t where v[1] > 0 order by v", "[1,2], [3,4]"),
            ("select v from t where v[2] = 4 union all select v from t where k = 1 order by v desc", "[3,4], [1,2]"),
            ("select k from t order by v[1] desc nulls last, v, k", "2, 1, 3, 4"),
            ("select b.k from t a join t b using (v) where a.v[1] = 1 and a.k = 1 order by b.k", "1, 3"),
            ("select x.v[2], x.v ->> 0 from (select v from t where v like '%3%') x", "4 3"),
            ("select k from t where k in (select k from t where v[1] = 3) and v[2] = 4", "2"),
            ("select k from t o where v[1] = 1 and exists (select 1 from t i where i.v = o.v and i.k > o.k)", "1"),
            ("with w as (select k, v from t) select sum(array_length(w.v)), min(v) from w", "6 [1,2]"),
            ("select max(v[1]) over (order by k), v from t where k < 3 order by k", "1 [1,2], 3 [3,4]"),
            ("select t.v from t where array_has(t.tags, 'b')", "[1,2]"),
            ("select a.k, b.k from t a join t b on a.v[1] = b.v[1] and a.k < b.k", "1 3"),
            ("select a.k, b.v from t a left join t b on a.k = b.k and b.v[1] = 3 order by 1 limit 2", "1 -, 2 [3,4]"),
            ("select case when v[1] = 3 then v else tags end from t where k < 3 order by k", "[\"a\"], [3,4]"),
            ("select k from t where v in ('[3,4]') and v[1] = 3", "2"),
            ("select v || '!', cast(v as varchar) from t where v[2] = 4", "[3,4]! [3,4]"),
            ("select upper(tags), tags[1] from t where k = 3", "[\"A\",\"B\"] a"),
            ("select unnest(v[1:9]), v from t where k = 2", "3 [3,4], 4 [3,4]"),
            ("select count(distinct v) from t where v[1] is not null", "2"),
            ("select k, l2_distance(v, [1.0, 2.0]) d from t order by d nulls last, k limit 2", "1 0.0, 3 0.0"),
            ("select v[1], k from t where k = 1 group by rollup(v[1], k) order by 1, 2", "1 1, 1 -, - -"),
        ],
    )
    .await;
}

/// One odd list neither changes the others nor breaks queries on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn irregular_lists_are_stored_apart() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "me/shop/t", "a", &[r#"{"k":1,"v":[0.5,1.5]}"#, r#"{"k":2,"v":[2.0,3]}"#]).await;
    check(&store, &[("select v from t order by k", "[0.5,1.5], [2.0,3.0]")]).await;
    let odd = [
        r#"{"k":3,"v":[1,"x"]}"#,
        r#"{"k":4,"v":[9007199254740993]}"#,
        r#"{"k":5,"v":[]}"#,
        r#"{"k":6,"v":[1,2]}"#,
        r#"{"k":7,"v":[0.5,9007199254740993]}"#,
        r#"{"k":8,"v":{"a":1}}"#,
    ];
    log(&store, "me/shop/t", "b", &odd).await;
    check(
        &store,
        &[
            (
                "select v from t where k < 8 order by k",
                "[0.5,1.5], [2.0,3.0], [1,\"x\"], [9007199254740993], [], [1,2], \
                 [0.5,9007199254740993]",
            ),
            ("select v[2] from t where k < 3 order by k", "1.5, 3.0"),
            ("select l2_distance(v, [0.5, 1.5]) from t where k = 1", "0.0"),
            ("select sum(array_length(v)) from t where k <> 8", "11"),
            ("select v ->> 'a' from t where k = 8", "1"),
        ],
    )
    .await;
}

/// Structs grow by new fields; rows from before are read as they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn structs_grow_by_new_fields() {
    let folder = Folder::new();
    let store = folder.open().await;
    let checks = [
        (
            "select s from t order by k",
            "{\"lr\":0.5,\"name\":\"a\"}, {\"lr\":1.0}, -, {\"name\":\"b\",\"net\":{\"layers\":[8,4]}}, {}",
        ),
        ("select s['lr'], s['name'] from t order by k", "0.5 a, 1.0 -, - -, - b, - -"),
        (
            "select s['name'], k from t where s['lr'] > 0.7 or s['name'] = 'b' order by k",
            "- 2, b 4",
        ),
        ("select sum(s['lr']), count(s), count(s['name']) from t", "1.5 4 2"),
        ("select s -> 'net' -> 'layers' ->> 1 from t where k = 4", "4"),
        ("select k from t where s = '{\"lr\":1.0}' and s['lr'] = 1", "2"),
        (
            "select max(s['lr']) over (order by k), s from t where k < 3 order by k desc limit 1",
            "1.0 {\"lr\":1.0}",
        ),
        ("select d -> 0 ->> 'x', d -> 1 ->> 'y' from t where k = 1", "1 z"),
        ("select grid[1][2], array_length(grid) from t where k = 1", "2 2"),
        ("select unnest(grid[2]) from t where k = 1", "3"),
    ];
    let first = [
        r#"{"k":1,"s":{"lr":0.5,"name":"a"},"d":[{"x":1},{"x":2,"y":"z"}],"grid":[[1,2],[3]]}"#,
        r#"{"k":2,"s":{"lr":1}}"#,
        r#"{"k":3}"#,
    ];
    log(&store, "me/shop/t", "w", &first).await;
    store.flush().await.unwrap();
    let next = [r#"{"k":4,"s":{"name":"b","net":{"layers":[8,4]}}}"#, r#"{"k":5,"s":{}}"#];
    log(&store, "me/shop/t", "v", &next).await;
    check(&store, &checks).await;
    store.flush().await.unwrap();
    check(&store, &checks).await;
    store.close().await.unwrap();
    drop(store);
    // One slot each has all of them.
    let files = folder.files("tables/me/shop/t", ".parquet");
    let rows = rows_of(files.last().unwrap());
    let schema = rows.schema();
    let names: Vec<&str> = schema.fields().iter().skip(6).map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["k", "s", "d", "grid"]);
    let store = folder.open().await;
    check(&store, &checks).await;
}

/// Structs that do not fit the stored ones change nothing for those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn irregular_structs_are_stored_apart() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"s":{"n":1,"t":"x"}}"#,
        r#"{"k":2,"s":{"n":0.5}}"#,
        r#"{"k":3,"s":{"n":"many"}}"#,
        r#"{"k":4,"s":{"n":2,"a b":1,"":2}}"#,
        r#"{"k":5,"s":{"n":2,"N":3}}"#,
        r#"{"k":6,"s":{}}"#,
        r#"{"k":7,"s":{"n":[1,"x"]}}"#,
        r#"{"k":8,"s":[1]}"#,
        r#"{"k":9,"s":{"n":3,"t":null}}"#,
    ];
    let checks = [
        (
            "select s from t order by k",
            "{\"n\":1,\"t\":\"x\"}, {\"n\":0.5}, {\"n\":\"many\"}, {\"n\":2,\"a b\":1,\"\":2}, \
             {\"n\":2,\"N\":3}, {}, {\"n\":[1,\"x\"]}, [1], \
             {\"n\":3,\"t\":null}",
        ),
        ("select s ->> 'n' from t where k < 6 order by k", "1, 0.5, many, 2, 2"),
        ("select s ->> 'a b' from t where k = 4", "1"),
    ];
    log(&store, "me/shop/t", "w", &rows).await;
    check(&store, &checks).await;
    store.flush().await.unwrap();
    check(&store, &checks).await;
}

/// Structs whose keys are data do not become as many fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_stored_fields_is_bounded() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows: Vec<String> =
        (0..600).map(|i| format!(r#"{{"k":{i},"s":{{"user{i}":{i}}}}}"#)).collect();
    log(&store, "me/shop/t", "w", &rows.iter().map(String::as_str).collect::<Vec<_>>()).await;
    store.flush().await.unwrap();
    let rows = rows_of(&folder.files("tables/me/shop/t", ".parquet")[0]);
    assert_eq!(
        rows.column_by_name("s").unwrap().data_type().to_string().matches("user").count(),
        255
    );
    check(
        &store,
        &[
            ("select count(s), count(distinct s) from t", "600 600"),
            ("select s['user7'], s ->> 'user7' from t where k = 7", "7 7"),
            ("select s['user555'] from t where k = 555", "555"),
        ],
    )
    .await;
}

/// A table of many columns has no more stored fields than one of few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_stored_fields_of_a_table_is_bounded() {
    let folder = Folder::new();
    let store = folder.open().await;
    let fields: Vec<String> = (0..200).map(|i| format!(r#""f{i}":{i}"#)).collect();
    let cells: Vec<String> =
        (0..30).map(|i| format!(r#""s{i}":{{{}}}"#, fields.join(","))).collect();
    log(&store, "me/shop/t", "w", &[&format!("{{{}}}", cells.join(","))]).await;
    store.flush().await.unwrap();
    drop(store);
    // The limit also counts what an earlier process stored.
    let store = folder.open().await;
    log(&store, "me/shop/t", "w2", &[r#"{"late":{"f1":1}}"#, r#"{"s0":{"f200":7}}"#]).await;
    store.flush().await.unwrap();
    let files = folder.files("tables/me/shop/t", ".parquet");
    let fields = |file: &std::path::PathBuf| {
        let rows = rows_of(file);
        let all: Vec<String> =
            rows.schema().fields().iter().map(|it| it.data_type().to_string()).collect();
        all.iter().map(|ty| ty.matches("\"f").count()).sum::<usize>()
    };
    let most = files.iter().map(fields).max().unwrap();
    assert!((4_000..=4_096).contains(&most), "{most}");
    check(
        &store,
        &[
            ("select s0['f7'], s29['f199'] from t where s1 is not null", "7 199"),
            ("select late['f1'] from t where late is not null", "1"),
            ("select s0['f200'] from t where s0['f200'] is not null", "7"),
        ],
    )
    .await;
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-9_i128..9).prop_map(Value::Int),
        prop_oneof![Just(i128::MAX), Just(1 << 53), Just((1 << 53) + 1)].prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        ".{0,12}".prop_map(Value::String),
        (0_i64..1 << 50).prop_map(|at| Value::Timestamp(Timestamp::from_micros(at))),
    ]
}

fn list() -> impl Strategy<Value = Value> {
    let of_one_kind = prop_oneof![
        prop::collection::vec(any::<bool>().prop_map(Value::Bool), 0..4),
        prop::collection::vec((0_i128..9).prop_map(Value::Int), 0..4),
        prop::collection::vec(any::<f64>().prop_map(Value::Float), 0..4),
        prop::collection::vec(".{0,20}".prop_map(Value::String), 0..4),
    ];
    let list = prop_oneof![of_one_kind, prop::collection::vec(scalar(), 0..4)];
    let list = list.prop_map(Value::List);
    prop_oneof![6 => list.clone(), 1 => prop::collection::vec(list, 0..3).prop_map(Value::List)]
}

/// Structs of a few names, of which some cannot be names of fields, and lists of them.
fn structs() -> impl Strategy<Value = Value> {
    let of = |value: BoxedStrategy<Value>| {
        let name = prop::sample::select(vec!["a", "b", "c", "A", "x y", ""]);
        let cells = prop::collection::btree_map(name, value, 0..4);
        cells.prop_map(|cells| Value::Struct(cells.into_iter().collect()))
    };
    let leaf = prop_oneof![3 => (0_i128..9).prop_map(Value::Int), 1 => scalar(), 1 => list()];
    let flat = of(leaf.clone().boxed()).boxed();
    let lists = prop::collection::vec(flat.clone(), 0..3).prop_map(Value::List);
    let inner = prop_oneof![2 => leaf, 1 => flat.clone(), 1 => lists.clone()];
    prop_oneof![3 => flat, 1 => lists, 2 => of(inner.boxed())]
}

/// Returns whether a list or struct is what a reader gets for another one: integers may be floats, and
/// fields may have another order.
fn is_read_as(was: &Value, is: &Value) -> bool {
    match (was, is) {
        (Value::Int(n), Value::Float(x)) => *n as f64 == *x && *x as i128 == *n,
        (Value::List(was), Value::List(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| is_read_as(was, is))
        }
        (Value::Struct(was), Value::Struct(is)) => {
            let is_held = |(name, was)| is.get(name).is_some_and(|is| is_read_as(was, is));
            was.len() == is.len() && was.cells().all(is_held)
        }
        (was, is) => was == is,
    }
}

/// A row reads back as it was logged, from memory, from files and after a restart, whatever lists and
/// structs came before in its column.
#[test]
fn every_list_and_struct_is_read_back_as_it_was_logged() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rounds = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let cell = prop_oneof![5 => list(), 4 => structs(), 1 => scalar()];
    let rows_of = prop::collection::vec(cell, 1..12);
    let test = |values: Vec<Value>| {
        runtime.block_on(async {
            let folder = Folder::new();
            let store = folder.open().await;
            let lines = values.iter().map(|value| {
                let mut line = br#"{"v":"#.to_vec();
                write_cell(&mut line, value);
                line.push(b'}');
                String::from_utf8(line).unwrap()
            });
            store.append(batch("w", 0, lines.collect())).await.unwrap();
            check_rows(&store, &values, "in memory").await;
            store.flush().await.unwrap();
            check_rows(&store, &values, "in files").await;
            store.close().await.unwrap();
            drop(store);
            for state in ["state-0", "state-1"].map(|name| folder.files("tables", name)) {
                state.iter().for_each(|file| fs::remove_file(file).unwrap());
            }
            let store = folder.open().await;
            check_rows(&store, &values, "after the state was rebuilt").await;
            store.close().await.unwrap();
        });
        Ok(())
    };
    TestRunner::new(rounds).run(&rows_of, test).unwrap();
}

async fn check_rows(
    store: &streamtable_store_embedded::EmbeddedStore,
    values: &[Value],
    place: &str,
) {
    let read = rows(store).await;
    assert_eq!(read.len(), values.len());
    let is_nested = |value: &Value| matches!(value, Value::List(_) | Value::Struct(_));
    for (row, was) in read.iter().zip(values).filter(|(_, value)| is_nested(value)) {
        let is = row.row.get("v").unwrap_or(&Value::Null);
        assert!(is_read_as(was, is), "{place}: {is:?} is not {was:?}");
    }
}

/// Copies a folder that an earlier version wrote.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Returns the rows of a small Parquet file.
fn rows_of(file: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    reader.build().unwrap().next().unwrap().unwrap()
}

/// `data/json_lists` was written by the version that stored all lists and structs as JSON text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_earlier_versions_are_read_and_moved() {
    let folder = Folder::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/json_lists"), folder.path());
    let store = folder.open().await;
    let before = [
        (
            "select v from old where k < 5 order by k",
            "[1.0,0.0,2.5], [0.0,1.0,NaN], [0.5,-0.5,0.25], -",
        ),
        (
            "select tags, odd from old where k < 3 order by k",
            "[\"new\",\"red\"] [1,\"a\"], [] [true,false]",
        ),
        ("select v[1], tags[1] from old where k < 5 order by k", "1.0 new, 0.0 -, 0.5 blue, - -"),
        ("select ids[1][2], s -> 'l' ->> 1 from old where k = 1", "2 2"),
        ("select l2_distance(v, [0.5, -0.5, 0.25]) from old where k = 3", "0.0"),
        ("select m + 0, m['json'] from mixed where k < 3 order by k", "7 -, - [1,2,3]"),
    ];
    check(&store, &before).await;
    for i in 0..8 {
        let row = format!(
            r#"{{"k":{},"v":[0.5,0.5,1],"tags":["x"],"s":{{"a":2,"l":[3]}},"ids":[[4]]}}"#,
            10 + i,
        );
        log(&store, "me/shop/old", &format!("w{i}"), &[&row]).await;
        let row = format!(r#"{{"k":{},"m":[4]}}"#, 10 + i);
        log(&store, "me/shop/mixed", &format!("w{i}"), &[&row]).await;
        check(&store, &before).await;
    }
    let all = [("select count(v), sum(v[1]), count(tags[1]) from old", "11 5.5 10")];
    check(&store, &all).await;
    store.close().await.unwrap();
    drop(store);
    // The files of the earlier version were joined with the next ones; `v` and `tags` have 9 lists there.
    for (table, texts, lists, count) in [
        ("old", "v", "v__floats", 9),
        ("old", "tags", "tags__texts", 9),
        ("old", "s", "s__nested", 7),
        ("old", "ids", "ids__nested", 8),
        ("mixed", "m__json", "m__ints", 8),
    ] {
        let files = folder.files(&format!("tables/me/shop/{table}"), ".parquet");
        let rows: Vec<RecordBatch> = files.iter().map(|file| rows_of(file)).collect();
        let joined = rows.iter().max_by_key(|rows| rows.num_rows()).unwrap();
        let filled = |field| {
            let column = joined.column_by_name(field).unwrap();
            column.len() - column.null_count()
        };
        assert_eq!((filled(texts), filled(lists)), (0, count), "{table}.{texts}");
    }
    let store = folder.open().await;
    check(&store, &before).await;
    check(&store, &all).await;
}

/// Other programs find lists and structs in the folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_has_lists_and_structs_for_other_readers() {
    let folder = Folder::new();
    let store = folder.open().await;
    let row = r#"{"v":[0.5],"tags":["a",null],"s":{"lr":0.5,"sizes":[[8]]}}"#;
    log(&store, "me/shop/t", "w", &[row]).await;
    store.flush().await.unwrap();
    let log = fs::read_to_string(&folder.files("tables", "00000.json")[0]).unwrap();
    for element in ["double", "string"] {
        let ty =
            format!(r#"\"type\":\"array\",\"elementType\":\"{element}\",\"containsNull\":true"#);
        assert!(log.contains(&ty), "{log}");
    }
    let file = fs::File::open(&folder.files("tables", ".parquet")[0]).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let paths: Vec<String> =
        reader.parquet_schema().columns().iter().map(|it| it.path().string()).collect();
    assert!(paths.contains(&"v.list.element".to_owned()), "{paths:?}");
    assert!(paths.contains(&"tags.list.element".to_owned()), "{paths:?}");
    assert!(paths.contains(&"s.lr".to_owned()), "{paths:?}");
    assert!(paths.contains(&"s.sizes.list.element.list.element".to_owned()), "{paths:?}");
}
