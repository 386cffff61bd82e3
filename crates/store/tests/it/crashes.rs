//! What a process that ends at a bad moment leaves behind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use streamtable_schema::Value;
use streamtable_store::{EmbeddedStore, Numbering, ReadRow, Store};

use crate::support::{Folder, Kept, batch, lines, log, number, rows, table};

#[tokio::test]
async fn rows_in_the_log_come_back() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 10);
    assert_eq!(lines(&store, "w").await, (0..10).collect::<Vec<_>>());
    // What was seen before is known.
    assert_eq!(log(&store, "w", 5..12).await.stored, 2);
    assert_eq!(store.next_line(&table(), "w"), 12);
    assert_eq!(number(&store, "select count(*) from requests").await, 12);
}

#[tokio::test]
async fn rows_at_rest_come_back() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.close().await.unwrap();
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    assert_eq!(log(&store, "w", 0..11).await.repeated, 10);
    assert_eq!(lines(&store, "w").await, (0..11).collect::<Vec<_>>());
    assert_eq!(number(&store, "select sum(n) from requests").await, 55);
    let info = store.table(&table()).unwrap();
    assert_eq!((info.summary.rows, info.end, info.columns.len()), (11, 11, 2));
    assert_eq!(folder.files("tables", ".parquet").len(), 1);
}

/// A commit is made, and the process ends before anything is told of it.
#[tokio::test]
async fn a_commit_that_was_not_told_is_found() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.put_to_rest().await.unwrap();
    log(&store, "w", 10..20).await;
    let kept = Kept::of(&folder);
    store.put_to_rest().await.unwrap();
    drop(store);
    kept.put_back(&folder);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    log(&store, "w", 15..25).await;
    store.put_to_rest().await.unwrap();
    assert_eq!(lines(&store, "w").await, (0..25).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, 25);
}

/// The same for the very first commit, when there is no state at all.
#[tokio::test]
async fn a_first_commit_that_was_not_told_is_found() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    let mixed = vec![r#"{"n":"ten","other":[1]}"#.to_owned()];
    store.append(batch("w", 10, mixed)).await.unwrap();
    let before = (rows(&store).await, store.table(&table()).unwrap().columns);
    let kept = Kept::of(&folder);
    store.put_to_rest().await.unwrap();
    drop(store);
    kept.put_back(&folder);
    let store = folder.open().await;
    assert_eq!(log(&store, "w", 0..11).await.repeated, 11);
    let columns = store.table(&table()).unwrap().columns;
    let types = |columns: &[streamtable_store::ColumnInfo]| {
        columns.iter().map(|it| (it.name.clone(), it.ty.clone())).collect::<Vec<_>>()
    };
    assert_eq!(types(&columns), types(&before.1));
    assert_eq!(rows(&store).await, before.0);
}

#[tokio::test]
async fn one_process_owns_a_folder() {
    let folder = Folder::new();
    let store = folder.open().await;
    let config = streamtable_store::StoreConfig::new(folder.path());
    let error = EmbeddedStore::open(config).await.unwrap_err();
    assert!(error.to_string().contains("another process owns"), "{error}");
    drop(store);
    folder.open().await;
}

#[derive(Clone, Debug)]
enum Op {
    Append { writer: u8, first: u64, count: u64, kind: u8 },
    Overwrite { line: u64, count: u64, value: u8 },
    Rest,
    Crash,
    CrashAfterCommit,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u8..3, 0u64..60, 1u64..30, 0u8..5)
            .prop_map(|(writer, first, count, kind)| Op::Append { writer, first, count, kind }),
        3 => (0u64..20, 1u64..6, 0u8..3)
            .prop_map(|(line, count, value)| Op::Overwrite { line, count, value }),
        2 => Just(Op::Rest),
        1 => Just(Op::Crash),
        1 => Just(Op::CrashAfterCommit),
        1 => Just(Op::Close),
    ]
}

/// What a table should hold: lines of writers in the order in which they came, and the run's lines.
#[derive(Default)]
struct Model {
    once: Vec<(String, u64, Value)>,
    run: BTreeMap<u64, Value>,
}

fn value(kind: u8, line: u64) -> (String, Value) {
    match kind {
        0 => (line.to_string(), Value::from(line)),
        1 => (format!("{line}.5"), Value::from(line as f64 + 0.5)),
        2 => (format!("\"text {line}\""), Value::from(format!("text {line}"))),
        3 => (format!("[{line}]"), vec![line].into()),
        _ => ("null".to_owned(), Value::Null),
    }
}

/// An integer among floats reads as one of them.
fn read(row: &ReadRow) -> Value {
    match row.row.get("v") {
        Some(Value::Float(x)) if x.fract() == 0.0 => Value::from(*x as u64),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

async fn check(store: &EmbeddedStore, model: &Model) -> TestCaseResult {
    let rows = rows(store).await;
    prop_assert!(rows.windows(2).all(|pair| pair[0].position < pair[1].position));
    let once: Vec<_> = rows
        .iter()
        .filter(|row| row.writer != "run")
        .map(|row| (row.writer.clone(), row.line, read(row)))
        .collect();
    prop_assert_eq!(&once, &model.once);
    let run: BTreeMap<u64, Value> =
        rows.iter().filter(|row| row.writer == "run").map(|row| (row.line, read(row))).collect();
    prop_assert_eq!(&run, &model.run);
    let count = model.once.len() + model.run.len();
    prop_assert_eq!(rows.len(), count);
    if count > 0 {
        let told = store.table(&table()).unwrap().summary.rows;
        prop_assert_eq!(told, count as u64);
        prop_assert_eq!(number(store, "select count(*) from requests").await, count as i64);
        let distinct = "select count(*) from (select distinct _writer, _line from requests)";
        prop_assert_eq!(number(store, distinct).await, count as i64);
    }
    Ok(())
}

async fn run(ops: Vec<Op>) -> TestCaseResult {
    let folder = Folder::new();
    let mut store = folder.open().await;
    let mut model = Model::default();
    for op in ops {
        match op {
            Op::Append { writer, first, count, kind } => {
                let writer = format!("w{writer}");
                let mut texts = Vec::new();
                for line in first..first + count {
                    let (text, value) = value(kind, line);
                    texts.push(format!(r#"{{"v":{text}}}"#));
                    if !model.once.iter().any(|(w, l, _)| *w == writer && *l == line) {
                        model.once.push((writer.clone(), line, value));
                    }
                }
                store.append(batch(&writer, first, texts)).await.unwrap();
            }
            Op::Overwrite { line, count, value: kind } => {
                let mut texts = Vec::new();
                for line in line..line + count {
                    let (text, value) = value(kind, line);
                    texts.push(format!(r#"{{"v":{text}}}"#));
                    model.run.insert(line, value);
                }
                let batch = batch("run", line, texts);
                let batch = streamtable_store::Batch { numbering: Numbering::Overwrite, ..batch };
                store.append(batch).await.unwrap();
            }
            Op::Rest => store.put_to_rest().await.unwrap(),
            Op::Crash => {
                drop(store);
                store = folder.open().await;
            }
            Op::CrashAfterCommit => {
                let kept = Kept::of(&folder);
                store.put_to_rest().await.unwrap();
                drop(store);
                kept.put_back(&folder);
                store = folder.open().await;
            }
            Op::Close => {
                store.close().await.unwrap();
                drop(store);
                store = folder.open().await;
            }
        }
        check(&store, &model).await?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Whatever comes and whenever it ends: no row is lost, none is there twice, the order stays.
    #[test]
    fn any_schedule(ops in prop::collection::vec(op(), 1..20)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(run(ops))?;
    }
}
