//! Lets every step of admission fail once, by an error and by a panic.

use std::sync::Arc;

use streamtable_schema::{ColumnPolicy, Timestamp};
use streamtable_store::{Append as _, Batch, OnDuplicate, Read as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::world::{open, table};
use crate::EmbeddedStore;
use crate::seeded_bug::{FailingStep, Failure, fail_steps};

/// More steps than the admission of any batch here takes.
const MANY: usize = 200;

/// Makes a runtime whose threads all share the same failing steps. The calling thread does too.
fn runtime(failing: &Arc<FailingStep>) -> Runtime {
    fail_steps(Arc::clone(failing));
    let failing = Arc::clone(failing);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all();
    builder.on_thread_start(move || fail_steps(Arc::clone(&failing)));
    builder.build().unwrap()
}

/// Makes lines of several writers that add columns and widen them.
fn batch(on_duplicate: OnDuplicate, padding: usize) -> Batch {
    let line = |n: usize| {
        let text = "x".repeat(padding);
        let value = if n.is_multiple_of(2) { n.to_string() } else { format!("\"{n}\"") };
        format!(r#"{{"n":{n},"v":{value},"c{n}":"{text}","_client_id":"w{}"}}"#, n % 3).into()
    };
    Batch {
        table: table(),
        writer: "run".to_owned(),
        first_line: 3.into(),
        lines: (0..6).map(line).collect(),
        on_duplicate,
        columns: ColumnPolicy::Evolve,
        received_at: Timestamp::from_millis(1_700_000_000_000),
    }
}

/// Everything that a client can see of the table.
async fn visible(store: &EmbeddedStore) -> String {
    let rows = store.read(&table(), 0, 100).await.unwrap();
    let mut next = Vec::new();
    for writer in ["run", "w0", "w1", "w2"] {
        next.push(store.next_line(&table(), writer).await.unwrap());
    }
    format!("{rows:?} {next:?} {:?}", store.table(&table()).await.unwrap())
}

/// Lets step `n` fail, and returns whether there was one.
async fn fails(
    failing: &FailingStep,
    n: usize,
    failure: Failure,
    on_duplicate: OnDuplicate,
    padding: usize,
) -> bool {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).await;
    let batch = batch(on_duplicate, padding);
    let earlier = Batch { first_line: 0.into(), lines: batch.lines[..2].to_vec(), ..batch.clone() };
    store.append(earlier).await.unwrap();
    let before = visible(&store).await;
    let charged = store.memtable_bytes();
    failing.arm(n, failure);
    let appended = store.append(batch.clone()).await;
    if !failing.disarm() {
        assert_eq!(appended.unwrap().stored, 6);
        return false;
    }
    let error = appended.unwrap_err().to_string();
    assert!(!error.contains("secret"), "the text of a panic is in {error:?}");
    assert_eq!(visible(&store).await, before, "step {n} leaves a trace");
    assert_eq!(store.memtable_bytes(), charged, "step {n} leaves memory charged");
    let again = store.append(batch.clone()).await.unwrap();
    assert_eq!((again.stored, again.repeated, again.end), (6, 0, 8), "after step {n}");
    let once_more = store.append(batch).await.unwrap();
    assert_eq!((once_more.stored, once_more.repeated), (0, 6), "after step {n}");
    let after = visible(&store).await;
    drop(store);
    let reopened = open(folder.path()).await;
    let rows = |text: &str| text.split("Some(TableInfo").next().map(str::to_owned);
    assert_eq!(rows(&visible(&reopened).await), rows(&after), "after step {n} and a restart");
    true
}

#[track_caller]
fn check(on_duplicate: OnDuplicate, padding: usize) {
    let failing = Arc::new(FailingStep::default());
    let runtime = runtime(&failing);
    for failure in [Failure::Error, Failure::Panic] {
        let step = |n| runtime.block_on(fails(&failing, n, failure, on_duplicate, padding));
        let steps = (1..MANY).take_while(|&n| step(n)).count();
        // One at the start, one a line, one a change of columns, one a set of arrays, two at the end.
        assert!((14..MANY - 1).contains(&steps), "{steps} steps");
    }
}

#[test]
fn rows_are_stored_once_after_any_step_of_admission_failed() {
    check(OnDuplicate::Ignore, 3);
}

#[test]
fn lines_are_overwritten_once_after_any_step_of_admission_failed() {
    check(OnDuplicate::Replace, 3);
}

#[test]
fn rows_of_a_large_batch_are_stored_once_after_any_step_of_admission_failed() {
    check(OnDuplicate::Ignore, 4 << 10);
}
