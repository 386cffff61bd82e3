//! The time of a row is no column, and the column `timestamp` belongs to users whose values are no times.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use streamtable_schema::{ColumnPolicy, Timestamp, Value, row};
use streamtable_store::{Append as _, Batch, Read as _, Store as _};
use streamtable_store_embedded::EmbeddedStore;
use streamtable_wire::{Logged, write_row};

use crate::support::{Folder, ask, batch, rows, table};

/// The time at which our client logs the row of a line number.
const fn logged_at(line: u64) -> i64 {
    1_600_000_000_000_123 + line as i64 * 1_000_000
}

/// A sink for rows without media.
struct Anything;

impl streamtable_wire::RowSink for Anything {
    fn cell(
        &mut self,
        _: &str,
        _: &streamtable_schema::Type,
    ) -> Result<(), streamtable_schema::SchemaError> {
        Ok(())
    }

    fn media(
        &mut self,
        media: &streamtable_schema::Media,
    ) -> Result<
        (streamtable_schema::Media, streamtable_schema::StoredFile),
        streamtable_schema::MediaError,
    > {
        unreachable!("{media:?}")
    }
}

/// Who sends a row: what each of them adds to it by itself.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// Nothing.
    Curl,
    /// Writer, time and `timestamp`.
    Ours,
    /// Step, runtime and time.
    Sdk,
}

use Sender::{Curl, Ours, Sdk};

fn line(sender: Sender, number: u64, cells: &str) -> String {
    match sender {
        Curl => cells.to_owned(),
        Ours => {
            let Ok(Value::Struct(row)) = streamtable_wire::json::parse(cells) else {
                panic!("{cells}")
            };
            let at = Timestamp::from_micros(logged_at(number));
            let mut out = Vec::new();
            write_row(&row, Logged { writer: "w", at }, &mut out, &mut Anything).unwrap();
            String::from_utf8(out).unwrap()
        }
        Sdk => {
            let at = logged_at(number) as f64 / 1e6;
            let comma = if cells == "{}" { "" } else { "," };
            let cells = cells.strip_suffix('}').unwrap();
            format!(r#"{cells}{comma}"_step":{number},"_runtime":0.5,"_timestamp":{at}}}"#)
        }
    }
}

/// Appends one row, and returns why it is rejected.
async fn send(
    store: &EmbeddedStore,
    (number, sender, columns, cells): (u64, Sender, ColumnPolicy, &str),
) -> Option<String> {
    let lines = vec![line(sender, number, cells)];
    let batch = Batch { columns, ..batch("w", number, lines) };
    let appended = store.append(batch).await.unwrap();
    appended.rejected.into_iter().next().map(|rejected| rejected.reason)
}

/// Returns the result of a query: the names of its columns, then its rows.
async fn text(store: &EmbeddedStore, sql: &str) -> Vec<String> {
    let batches = ask(store, sql).await;
    let schema = batches[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let of_batch = |batch: &RecordBatch| -> Vec<String> {
        let options = FormatOptions::new().with_null("-");
        let cells: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|array| ArrayFormatter::try_new(array, &options).unwrap())
            .collect();
        let row = |i| cells.iter().map(|cell| cell.value(i).to_string()).collect::<Vec<_>>();
        (0..batch.num_rows()).map(|i| row(i).join(" | ")).collect()
    };
    std::iter::once(names.join(" | ")).chain(batches.iter().flat_map(of_batch)).collect()
}

/// Whichever client creates a table, every other one can append the same columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_clients_can_append_to_a_table_of_any_client() {
    for first in [Curl, Ours, Sdk] {
        for policy in [ColumnPolicy::Strict, ColumnPolicy::Evolve] {
            let folder = Folder::new();
            let mut store = folder.open().await;
            assert_eq!(send(&store, (0, first, policy, r#"{"i":0,"t":"x"}"#)).await, None);
            let mut number = 0;
            for columns in [ColumnPolicy::Strict, ColumnPolicy::Evolve] {
                for sender in [Curl, Ours, Sdk] {
                    for cells in [
                        r#"{"i":1,"t":"x"}"#,
                        r#"{"timestamp":"2026-09-09T18:23:05+02:00","i":1,"t":"x"}"#,
                        r#"{"i":1,"timestamp":null,"t":"x"}"#,
                    ] {
                        number += 1;
                        let reason = send(&store, (number, sender, columns, cells)).await;
                        assert_eq!(reason, None, "{first:?}, then {sender:?} {columns:?} {cells}");
                    }
                }
            }
            for is_reopened in [false, true] {
                if is_reopened {
                    drop(store);
                    store = folder.open().await;
                }
                let found = text(&store, "select * exclude (_writer, _line) from requests").await;
                let names = found[0].replace(" | _step | _runtime", "");
                assert_eq!(names, "timestamp | i | t", "{first:?} {policy:?}");
                assert_eq!(found.len() as u64, number + 2);
                let own = text(
                    &store,
                    "select count(*) from requests where timestamp = '2026-09-09T16:23:05Z'",
                );
                assert_eq!(own.await[1], "6");
                let own = text(&store, "select count(_timestamp) from requests where i = 1");
                assert_eq!(own.await[1], number.to_string());
                for reason in [
                    (99, Curl, ColumnPolicy::Strict, r#"{"i":1,"t":"x","timestamp":5}"#),
                    (99, Ours, ColumnPolicy::Strict, r#"{"i":1,"t":"x","timestamp":"noon"}"#),
                ] {
                    let reason = send(&store, reason).await.unwrap();
                    assert!(
                        reason.starts_with(r#"column "timestamp" holds timestamp, this row has "#),
                        "{reason}"
                    );
                }
                store.flush().await.unwrap();
                store.close().await.unwrap();
            }
        }
    }
}

/// A `timestamp` that is no instant is the user's from the first row on: rows of all clients keep it, and
/// what they add themselves does not get into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timestamp_that_is_no_time_is_the_users() {
    let folder = Folder::new();
    let store = folder.open().await;
    let strict = ColumnPolicy::Strict;
    let evolve = ColumnPolicy::Evolve;
    for row in [
        (0, Ours, strict, r#"{"timestamp":1788970985,"n":0}"#),
        (1, Curl, strict, r#"{"timestamp":1788970985123,"n":1}"#),
        (2, Sdk, evolve, r#"{"n":2}"#),
        (3, Ours, evolve, r#"{"n":3}"#),
    ] {
        assert_eq!(send(&store, row).await, None, "{row:?}");
    }
    for sender in [Curl, Ours, Sdk] {
        let reason = send(&store, (4, sender, strict, r#"{"n":4}"#)).await.unwrap();
        assert!(reason.starts_with(r#"column "timestamp" is missing"#), "{sender:?}: {reason}");
    }
    let mut store = store;
    for is_flushed in [false, true] {
        assert_eq!(
            text(&store, "select * exclude (_writer, _line, _step, _runtime) from requests").await,
            [
                "_timestamp | timestamp | n",
                "2020-09-13T12:26:40.000123Z | 1788970985 | 0",
                "2023-11-14T22:13:20Z | 1788970985123 | 1",
                "2020-09-13T12:26:42.000123Z | - | 2",
                "2020-09-13T12:26:43Z | - | 3",
            ]
        );
        let cells: Vec<_> = rows(&store).await.into_iter().map(|row| row.row).collect();
        let expected = [
            row! { "timestamp" => 1_788_970_985_i64, "n" => 0 },
            row! { "timestamp" => 1_788_970_985_123_i64, "n" => 1 },
            row! { "timestamp" => (), "n" => 2 },
            row! { "timestamp" => (), "n" => 3 },
        ];
        assert_eq!(cells, expected);
        if !is_flushed {
            store.flush().await.unwrap();
            store.close().await.unwrap();
            drop(store);
            store = folder.open().await;
        }
    }
    assert_eq!(text(&store, "select max(timestamp) from requests").await[1], "1788970985123");
    let columns = store.table(&table()).await.unwrap().unwrap().columns;
    let types: Vec<String> = columns.iter().map(|it| format!("{}: {}", it.name, it.ty)).collect();
    assert_eq!(types, ["timestamp: int", "n: int"]);
    store.close().await.unwrap();
}

/// If other values follow after times, `timestamp` is a mixed column: queries on its times still answer,
/// and nothing is shown twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_are_followed_by_texts_stay_in_their_column() {
    for first in [
        r#"{"n":0}"#,
        r#"{"timestamp":"2020-09-13T12:26:40.000000Z","n":0}"#,
        r#"{"timestamp":null,"n":0}"#,
    ] {
        for sender in [Curl, Ours] {
            let folder = Folder::new();
            let mut store = folder.open().await;
            let evolve = ColumnPolicy::Evolve;
            let at = r#"{"n":1,"timestamp":"2026-09-09T16:23:05Z"}"#;
            for row in [
                (0, sender, evolve, first),
                (1, sender, evolve, at),
                (2, sender, evolve, r#"{"timestamp":"09/09/2026","n":2}"#),
                (3, sender, evolve, r#"{"n":3}"#),
                (4, sender, evolve, r#"{"n":4,"timestamp":"2026-09-10T16:23:05Z"}"#),
            ] {
                assert_eq!(send(&store, row).await, None, "{row:?}");
            }
            for round in 0..3 {
                let context = format!("{first} {sender:?} {round}");
                let found = text(
                    &store,
                    "select n, timestamp['t'] is not null as t, timestamp['s'] as s from requests",
                );
                let expected = [
                    "n | t | s",
                    "0 | true | -",
                    "1 | true | -",
                    "2 | false | 09/09/2026",
                    "3 | false | -",
                    "4 | false | 2026-09-10T16:23:05Z",
                ];
                assert_eq!(found.await, expected, "{context}");
                let found = text(&store, "select n from requests where timestamp > '2026-01-01'");
                assert_eq!(found.await, ["n", "1"], "{context}");
                let found =
                    text(&store, "select n from requests where _timestamp >= '2026-09-10'").await;
                assert_eq!(found, ["n", "4"], "{context}");
                let columns = text(&store, "select * exclude (_writer, _line) from requests").await;
                let mut names: Vec<&str> = columns[0].split(" | ").collect();
                names.sort_unstable();
                assert_eq!(names, ["_timestamp", "n", "timestamp"], "{context}");
                match round {
                    0 => store.flush().await.unwrap(),
                    _ => {
                        store.close().await.unwrap();
                        drop(store);
                        store = folder.open().await;
                    }
                }
            }
            store.close().await.unwrap();
        }
    }
}
