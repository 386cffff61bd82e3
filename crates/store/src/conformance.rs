//! A conformance suite for implementations of [`Store`].
//!
//! Each case uses its own project, so that the suite can run against a store with existing data.
//!
//! ```
//! use streamtable_store::{Store, conformance};
//!
//! async fn test_conformance(store: &dyn Store) {
//!     assert_eq!(conformance::run_all(store, "suite").await, Vec::<String>::new());
//! }
//! ```

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use streamtable_schema::{ColumnPolicy, Row, TablePath, Timestamp, Value, row};
use streamtable_wire::HistoryLine;
use streamtable_wire::binary::write_line;

use crate::{
    Appended, Batch, LineNumber, OnDuplicate, ReadRow, ResultTypes, SqlQuery, Store, StoreError,
    TableInfo,
};

/// The result of a case: success, or a sentence that describes the failure.
type Check<T = ()> = Result<T, String>;

/// Runs all cases in projects whose names begin with `prefix`, which must be new to the store.
/// Returns the failures, each with the name of its case in front.
pub async fn run_all(store: &dyn Store, prefix: &str) -> Vec<String> {
    let mut failures = Vec::new();
    macro_rules! cases {
        ($($case:ident)*) => {$(
            let project = format!("{prefix}-{}", stringify!($case));
            match Table::new(store, &project) {
                Ok(table) => {
                    let failed = $case(&table).await.err();
                    failures.extend(failed.map(|what| format!("{}: {what}", stringify!($case))));
                }
                Err(what) => failures.push(what),
            }
        )*};
    }
    cases! {
        an_unknown_table_is_empty
        rows_come_back_in_order
        a_line_is_stored_once
        binary_lines_are_stored_like_json
        lines_may_leave_holes
        line_numbers_end
        writers_take_turns
        writers_do_not_disturb_one_another
        a_row_names_its_writer
        no_writer_is_named_like_its_table
        a_line_takes_the_place_of_another
        a_strict_table_refuses_a_row_alone
        an_evolving_table_takes_what_comes
        columns_keep_their_order_and_history
        every_kind_of_value_comes_back
        what_is_no_row_is_refused_alone
        reads_begin_anywhere
        rows_are_found_by_their_steps
        a_watch_includes_acked_rows
        queries_see_what_was_acked
        queries_see_kinds
        queries_come_oldest_first
        queries_only_read
        queries_see_only_their_entities
        queries_have_a_deadline
        row_expressions_are_one_expression
    }
    failures
}

struct Table<'a> {
    store: &'a dyn Store,
    path: TablePath,
}

impl<'a> Table<'a> {
    fn new(store: &'a dyn Store, project: &str) -> Check<Self> {
        let path = TablePath::new("conformance", project, "table");
        Ok(Self { store, path: path.map_err(|error| error.to_string())? })
    }

    fn batch(&self, writer: &str, first_line: u32, lines: &[&str]) -> Batch {
        Batch {
            table: self.path.clone(),
            writer: writer.to_owned(),
            first_line: first_line.into(),
            lines: lines.iter().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect(),
            on_duplicate: OnDuplicate::Ignore,
            columns: ColumnPolicy::Evolve,
            received_at: Timestamp::from_millis(1_700_000_000_000),
        }
    }

    async fn append(&self, batch: Batch) -> Check<Appended> {
        self.store.append(batch).await.map_err(|error| error.to_string())
    }

    async fn log(&self, writer: &str, first_line: u32, lines: &[&str]) -> Check<Appended> {
        self.append(self.batch(writer, first_line, lines)).await
    }

    /// Returns the table's description, or `None` if it does not exist.
    async fn info(&self) -> Check<Option<TableInfo>> {
        self.store.table(&self.path).await.map_err(|error| error.to_string())
    }

    async fn next_line(&self, writer: &str) -> Check<u64> {
        self.store.next_line(&self.path, writer).await.map_err(|error| error.to_string())
    }

    async fn read(&self, from: u64, limit: usize) -> Check<Vec<ReadRow>> {
        self.store.read(&self.path, from, limit).await.map_err(|error| error.to_string())
    }

    /// Returns the values of one column, read in pages of odd sizes.
    async fn column(&self, name: &str) -> Check<Vec<Value>> {
        let mut values = Vec::new();
        let mut from = 0;
        loop {
            let rows = self.read(from, 7).await?;
            let Some(last) = rows.last() else { return Ok(values) };
            from = last.position + 1;
            values.extend(rows.into_iter().filter_map(|row| row.row.get(name).cloned()));
        }
    }

    fn query(&self, sql: &str) -> SqlQuery {
        SqlQuery {
            sql: sql.to_owned(),
            home: Some((self.path.entity().to_owned(), self.path.project().to_owned())),
            entities: Some(vec![self.path.entity().to_owned()]),
            // Not a speed limit: the machine may be busy.
            timeout: Duration::from_secs(120),
            positions: false,
            types: ResultTypes::Flat,
            owner: None,
        }
    }

    async fn ask(&self, query: SqlQuery) -> Result<Vec<RecordBatch>, StoreError> {
        self.store.query(query).await?.batches.try_collect().await
    }

    /// Answers a query whose result is one column of integers.
    async fn integers(&self, sql: &str) -> Check<Vec<i64>> {
        let batches = self.ask(self.query(sql)).await.map_err(|error| error.to_string())?;
        let mut values = Vec::new();
        for batch in &batches {
            let column = batch.column(0).as_primitive_opt::<Int64Type>();
            let column = column.ok_or_else(|| format!("{sql} gives no integers"))?;
            values.extend(column.iter().flatten());
        }
        Ok(values)
    }
}

macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Check {
    ensure!(found == expected, "{what}: {found:?} instead of {expected:?}");
    Ok(())
}

fn ints(values: impl IntoIterator<Item = i64>) -> Vec<Value> {
    values.into_iter().map(Value::from).collect()
}

async fn an_unknown_table_is_empty(table: &Table<'_>) -> Check {
    ensure!(table.info().await?.is_none(), "there is a table before its first row");
    same("rows", table.read(0, 10).await?, Vec::new())?;
    same("next line", table.next_line("w").await?, 0)?;
    let asked = table.ask(table.query(r#"select * from "table""#)).await;
    ensure!(matches!(asked, Err(StoreError::Query { .. })), "a query finds it: {asked:?}");
    Ok(())
}

async fn rows_come_back_in_order(table: &Table<'_>) -> Check {
    let appended = table.log("w", 0, &[r#"{"n":0}"#, r#"{"n":1}"#]).await?;
    let expected = Appended { stored: 2, end: 2, ..Appended::default() };
    same("the first batch", appended, expected)?;
    table.log("w", 2, &[r#"{"n":2,"_timestamp":1.5,"_step":7,"_runtime":0.25}"#]).await?;
    same("values", table.column("n").await?, ints(0..3))?;
    let rows = table.read(2, 10).await?;
    let expected = ReadRow {
        position: 2,
        writer: "w".to_owned(),
        line: 2,
        logged_at: Timestamp::from_millis(1500),
        step: Some(7),
        runtime: Some(0.25),
        row: row! { "n" => 2 },
    };
    same("the last row", rows, vec![expected])?;
    let info = table.info().await?.ok_or("no table")?;
    same("rows", info.summary.rows, 3)?;
    same("the last step", info.last_step, Some(7))?;
    let tables = table.store.tables().await.map_err(|error| error.to_string())?;
    ensure!(tables.is_sorted_by_key(|it| &it.path), "the list of tables is not sorted");
    ensure!(
        tables.iter().any(|it| it.path == table.path && it.rows == 3),
        "the table is not listed"
    );
    Ok(())
}

async fn a_line_is_stored_once(table: &Table<'_>) -> Check {
    let lines = [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#];
    table.log("w", 0, &lines).await?;
    let again = table.log("w", 0, &lines).await?;
    same("again", (again.stored, again.repeated), (0, 3))?;
    let more = table.log("w", 2, &[lines[2], r#"{"n":3}"#]).await?;
    same("overlapping", (more.stored, more.repeated, more.end), (1, 1, 4))?;
    same("values", table.column("n").await?, ints(0..4))
}

async fn binary_lines_are_stored_like_json(table: &Table<'_>) -> Check {
    let texts = [
        r#"{"a":1,"x":0.5,"s":"é","b":true,"l":[1,2],"m":[1,null,"x"],"_timestamp":1.5,"_step":7}"#,
        r#"{"a":"mixed","x":NaN,"big":9223372036854775807,"t":null,"_timestamp":1.5,"_runtime":0.5}"#,
        r#"{"d":{"z":1,"a":{"n":[]}},"timestamp":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1500}}"#,
        r#"{"i":{"_type":"image-file","path":"media/images/a.png","format":"png","width":2,"height":3}}"#,
        r#"{"wide":170141183460469231731687303715884105727}"#,
        "{}",
    ];
    let binary = |text: &&str| {
        let line = HistoryLine::parse(text).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        write_line(&line, &mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes.into())
    };
    let mut lines = texts.iter().map(binary).collect::<Result<Vec<Bytes>, String>>()?;
    let json = table.log("json", 0, &texts).await?;
    lines.insert(2, Bytes::from_static(b"\x01\x02\0\0 damaged"));
    let batch = Batch { lines, ..table.batch("binary", 0, &[]) };
    let stored = table.append(batch.clone()).await?;
    same("stored", stored.stored, json.stored)?;
    let numbers =
        |it: &Appended| it.rejected.iter().map(|rejected| rejected.line).collect::<Vec<u64>>();
    same("rejected as JSON", numbers(&json), Vec::new())?;
    same("rejected", numbers(&stored), vec![2])?;
    let again = table.append(batch).await?;
    same("again", (again.stored, again.repeated), (0, json.stored))?;
    let rows = table.read(0, 100).await?;
    let (json, binary) = rows.split_at(json.stored as usize);
    for (json, binary) in json.iter().zip(binary) {
        let (line, position) = (binary.line, binary.position);
        let json = ReadRow { writer: "binary".to_owned(), line, position, ..json.clone() };
        same("a row", binary, &json)?;
    }
    Ok(())
}

async fn lines_may_leave_holes(table: &Table<'_>) -> Check {
    table.log("w", 10, &[r#"{"n":10}"#]).await?;
    table.log("w", 0, &[r#"{"n":0}"#]).await?;
    same("next line", table.next_line("w").await?, 11)?;
    same("values", table.column("n").await?, ints([10, 0]))
}

async fn line_numbers_end(table: &Table<'_>) -> Check {
    let last = |before| LineNumber::new(LineNumber::END - before).map_err(|it| it.to_string());
    let lines = [r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#];
    let batch = |first_line, count| Batch { first_line, ..table.batch("w", 0, &lines[..count]) };
    for first_line in [last(1)?, last(2)?] {
        let refused = table.store.append(batch(first_line, 3)).await;
        ensure!(matches!(refused, Err(StoreError::LineNumber(_))), "past the end: {refused:?}");
    }
    ensure!(table.read(0, 10).await?.is_empty(), "rows of a refused batch are stored");
    same("stored", table.append(batch(last(2)?, 2)).await?.stored, 2)?;
    same("again", table.append(batch(last(1)?, 1)).await?.repeated, 1)?;
    let rows = table.read(0, 10).await?;
    let numbers: Vec<u64> = rows.iter().map(|row| row.line).collect();
    same("numbers", numbers, vec![last(2)?.get(), last(1)?.get()])?;
    same("next line", table.next_line("w").await?, LineNumber::END)?;
    let sql = r#"select _line from "table" where _line > 0"#;
    same(sql, table.integers(sql).await?, vec![i64::MAX - 1, i64::MAX])
}

async fn writers_take_turns(table: &Table<'_>) -> Check {
    let line = |n: usize| format!(r#"{{"n":{n},"c{}":{n},"_client_id":"w{}"}}"#, n % 7, n % 3);
    let lines: Vec<String> = (0..100).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    same("stored", table.log("w", 0, &lines).await?.stored, 100)?;
    same("values", table.column("n").await?, ints(0..100))?;
    same("again", table.log("other", 50, &lines[50..]).await?.repeated, 50)?;
    let sql =
        r#"select count(*) from "table" where _writer = 'w1' and _line % 3 = 1 and n = _line"#;
    same(sql, table.integers(sql).await?, vec![33])?;
    let sql = r#"select count(*) from "table" where c3 = n"#;
    same(sql, table.integers(sql).await?, vec![14])
}

async fn writers_do_not_disturb_one_another(table: &Table<'_>) -> Check {
    let (a, b) = futures_util::future::join(
        table.log("a", 0, &[r#"{"n":0}"#, r#"{"n":1}"#]),
        table.log("b", 0, &[r#"{"n":10}"#, r#"{"n":11}"#]),
    )
    .await;
    same("stored", a?.stored + b?.stored, 4)?;
    for (writer, expected) in [("a", [0, 1]), ("b", [10, 11])] {
        let rows = table.read(0, 10).await?;
        let own = rows.iter().filter(|row| row.writer == writer);
        let values: Vec<Value> = own.filter_map(|row| row.row.get("n").cloned()).collect();
        same(writer, values, ints(expected))?;
    }
    Ok(())
}

async fn a_row_names_its_writer(table: &Table<'_>) -> Check {
    let lines = [r#"{"n":0,"_client_id":"c"}"#, r#"{"n":1}"#, r#"{"n":2,"_client_id":"c"}"#];
    same("stored", table.log("w", 0, &lines).await?.stored, 3)?;
    same("again", table.log("other", 0, &lines[..1]).await?.repeated, 1)?;
    let rows = table.read(0, 10).await?;
    let writers: Vec<&str> = rows.iter().map(|row| row.writer.as_str()).collect();
    same("writers", writers, vec!["c", "w", "c"])?;
    same("values", table.column("n").await?, ints(0..3))
}

async fn no_writer_is_named_like_its_table(table: &Table<'_>) -> Check {
    let own = table.path.table();
    let put = |first_line, lines: &[&str]| {
        let batch = table.batch(own, first_line, lines);
        table.append(Batch { on_duplicate: OnDuplicate::Replace, ..batch })
    };
    same("plain", put(0, &[r#"{"n":0}"#, r#"{"n":1}"#]).await?.stored, 2)?;
    let rejected =
        |appended: Appended| -> Vec<u64> { appended.rejected.iter().map(|it| it.line).collect() };
    let batch = table.log(own, 0, &[r#"{"n":7}"#, r#"{"n":8}"#]).await?;
    same("of the batch", rejected(batch), vec![0, 1])?;
    let named = format!(r#"{{"n":9,"_client_id":"{own}"}}"#);
    let mixed = table.log("w", 0, &[&named, r#"{"n":2}"#]).await?;
    same("of a line", (mixed.stored, mixed.repeated), (1, 0))?;
    same("of a line", rejected(mixed), vec![0])?;
    same("plain again", put(0, &[r#"{"n":0}"#]).await?.repeated, 1)?;
    same("values", table.column("n").await?, ints(0..3))
}

async fn a_line_takes_the_place_of_another(table: &Table<'_>) -> Check {
    let put = |first_line, lines: &[&str]| {
        let batch = table.batch("run", first_line, lines);
        table.append(Batch { on_duplicate: OnDuplicate::Replace, ..batch })
    };
    put(0, &[r#"{"n":0}"#, r#"{"n":1}"#, r#"{"n":2}"#]).await?;
    let same_again = put(1, &[r#"{"n":1}"#]).await?;
    same("the same again", (same_again.stored, same_again.repeated), (0, 1))?;
    same("another", put(1, &[r#"{"n":"one"}"#]).await?.stored, 1)?;
    let mut values = table.column("n").await?;
    values.sort_by_key(|value| format!("{value:?}"));
    same("values", values, vec!["one".into(), 0.into(), 2.into()])?;
    let rows = table.info().await?.map(|info| info.summary.rows);
    same("rows", rows, Some(3))?;
    same("count", table.integers(r#"select count(*) from "table""#).await?, vec![3])
}

async fn a_strict_table_refuses_a_row_alone(table: &Table<'_>) -> Check {
    let lines = [
        r#"{"a":1,"b":"x"}"#,
        r#"{"a":2}"#,
        r#"{"a":3,"b":"y","c":0}"#,
        r#"{"a":[4],"b":"z"}"#,
        r#"{"b":"x","a":5.5}"#,
    ];
    let batch = Batch { columns: ColumnPolicy::Strict, ..table.batch("w", 100, &lines) };
    let appended = table.append(batch).await?;
    same("stored", appended.stored, 3)?;
    let refused: Vec<u64> = appended.rejected.iter().map(|it| it.line).collect();
    same("refused", refused, vec![101, 102])?;
    ensure!(appended.rejected[0].reason.contains("\"b\""), "{:?}", appended.rejected[0]);
    same("values", table.column("a").await?, vec![1.into(), vec![4].into(), 5.5.into()])
}

async fn an_evolving_table_takes_what_comes(table: &Table<'_>) -> Check {
    let lines = [r#"{"a":1}"#, r#"{"a":[1,2],"b":true}"#, r#"{"a":"x"}"#, r#"{}"#, r#"{"a":null}"#];
    let appended = table.log("w", 0, &lines).await?;
    same("stored", (appended.stored, appended.rejected), (5, Vec::new()))?;
    let list: Value = vec![1, 2].into();
    let rows: Vec<Row> = table.read(0, 10).await?.into_iter().map(|row| row.row).collect();
    let expected = vec![
        row! { "a" => 1 },
        row! { "a" => list, "b" => true },
        row! { "a" => "x" },
        row! { "a" => () },
        row! { "a" => () },
    ];
    same("rows", rows, expected)
}

async fn columns_keep_their_order_and_history(table: &Table<'_>) -> Check {
    table.log("w", 0, &[r#"{"z":1,"a":"x"}"#, r#"{"a":"y","z":2.5,"m":null}"#]).await?;
    let info = table.info().await?.ok_or("no table")?;
    let found: Vec<(String, String, Vec<u64>)> = info
        .columns
        .into_iter()
        .map(|it| {
            let history = it.history.iter().map(|seen| seen.position).collect();
            (it.name, it.ty.to_string(), history)
        })
        .collect();
    let column =
        |name: &str, ty: &str, history: &[u64]| (name.to_owned(), ty.to_owned(), history.to_vec());
    let expected =
        vec![column("z", "float", &[0, 1]), column("a", "string", &[0]), column("m", "null", &[1])];
    same("columns", found, expected)
}

async fn every_kind_of_value_comes_back(table: &Table<'_>) -> Check {
    let line = concat!(
        r#"{"b":true,"i":-9007199254740993,"big":123456789012345678901234567890,"f":0.1,"#,
        r#""nan":NaN,"inf":-Infinity,"s":"é\u0000","t":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1500},"#,
        r#""m":{"_type":"image-file","path":"media/images/a.png","sha256":"00","format":"png","width":3,"height":2,"size":9,"caption":"c"},"#,
        // Legacy clients send neither the hash nor the size.
        r#""legacy":{"_type":"image-file","path":"media/images/b.png","format":"png"},"#,
        r#""l":[1,[NaN,"x"],{"k":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":7}}],"o":{"z":1,"a":null}}"#
    );
    let expected = streamtable_wire::HistoryLine::parse(line).map_err(|error| error.to_string())?;
    same("stored", table.log("w", 0, &[line]).await?.stored, 1)?;
    let rows = table.read(0, 1).await?;
    same("the row", rows.into_iter().map(|row| row.row).collect(), vec![expected.row])
}

async fn what_is_no_row_is_refused_alone(table: &Table<'_>) -> Check {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let lines = [r#"{"n":0}"#, "", "[1]", "{", deep.as_str(), r#"{"n":5}"#];
    let appended = table.log("w", 0, &lines).await?;
    let refused: Vec<u64> = appended.rejected.iter().map(|it| it.line).collect();
    same("refused", refused, vec![1, 2, 3, 4])?;
    same("values", table.column("n").await?, ints([0, 5]))
}

async fn reads_begin_anywhere(table: &Table<'_>) -> Check {
    let lines: Vec<String> = (0..50).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    table.log("w", 0, &lines).await?;
    for (from, limit, expected) in [(0, 3, 0..3), (48, 10, 48..50), (17, 1, 17..18), (50, 5, 0..0)]
    {
        let rows = table.read(from, limit).await?;
        let positions: Vec<u64> = rows.iter().map(|row| row.position).collect();
        same("positions", positions, expected.collect())?;
    }
    Ok(())
}

async fn rows_are_found_by_their_steps(table: &Table<'_>) -> Check {
    let steps = [Some(5), Some(0), None, Some(2), Some(2), Some(9)];
    let line = |step: &Option<i64>| match step {
        Some(step) => format!(r#"{{"n":1,"_step":{step}}}"#),
        None => r#"{"n":1}"#.to_owned(),
    };
    let lines: Vec<String> = steps.iter().map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let find = async |steps, limit| {
        let found = table.store.find_steps(&table.path, steps, limit).await;
        found.map_err(|error| error.to_string())
    };
    same("before the first row", find(0..9, 9).await?, Vec::new())?;
    table.log("w", 0, &lines).await?;
    let all = [(0, 1), (2, 2), (2, 3), (2, 4), (5, 0), (9, 5)];
    for (steps, limit, expected) in [
        (i64::MIN..i64::MAX, 10, &all[..]),
        (0..9, 10, &all[..5]),
        (1..6, 2, &all[1..3]),
        (3..5, 10, &[]),
        (0..9, 0, &[]),
    ] {
        same(&format!("{steps:?}"), find(steps, limit).await?, expected.to_vec())?;
    }
    Ok(())
}

async fn a_watch_includes_acked_rows(table: &Table<'_>) -> Check {
    let watch =
        || async { table.store.watch(&table.path).await.map_err(|error| error.to_string()) };
    let mut before = watch().await?;
    same("before", *before.borrow_and_update(), 0)?;
    for rows in 1..3 {
        table.log("w", rows, &[r#"{"n":0}"#]).await?;
        same("a change", before.has_changed().ok(), Some(true))?;
        same("after", *before.borrow_and_update(), u64::from(rows))?;
        same("watched later", *watch().await?.borrow(), u64::from(rows))?;
    }
    Ok(())
}

async fn queries_see_what_was_acked(table: &Table<'_>) -> Check {
    for n in 0..5 {
        table.log("w", n, &[format!(r#"{{"n":{n},"g":"{}"}}"#, n % 2).as_str()]).await?;
        let counted = table.integers(r#"select count(*) from "table""#).await?;
        same("count", counted, vec![i64::from(n) + 1])?;
    }
    let path = &table.path;
    for name in [
        "\"table\"".to_owned(),
        format!("\"{path}\""),
        format!("{}.\"{}\".\"{}\"", path.entity(), path.project(), path.table()),
    ] {
        let sql = format!("select sum(n) from {name} where g = '1'");
        same(&sql, table.integers(&sql).await?, vec![4])?;
    }
    let sql = r#"select count(*) from "table" where timestamp = '2023-11-14T22:13:20Z' and _writer = 'w' and _line >= 3"#;
    same(sql, table.integers(sql).await?, vec![2])
}

async fn queries_see_kinds(table: &Table<'_>) -> Check {
    let lines = [
        r#"{"x":1,"mixed":1,"o":{"a":[5]},"Big Name":1}"#,
        r#"{"x":0.5,"mixed":"one","o":{"a":[6]},"Big Name":2}"#,
        r#"{"x":2,"mixed":null,"o":null,"Big Name":3}"#,
    ];
    table.log("w", 0, &lines).await?;
    let batches = table.ask(table.query(r#"select sum(x) from "table""#)).await;
    let batches = batches.map_err(|error| error.to_string())?;
    let sum = batches[0].column(0).as_primitive_opt::<Float64Type>().map(|it| it.value(0));
    same("the sum of integers and floats", sum, Some(3.5))?;
    for (sql, expected) in [
        (r#"select t.mixed.n from "table" t where t.mixed.n is not null"#, vec![1]),
        (r#"select count(*) from "table" t where t.mixed.s = 'one'"#, vec![1]),
        (r#"select count(*) from "table" where mixed is null"#, vec![1]),
        (r#"select json_get_int(o, 'a', 0) from "table" where o is not null"#, vec![5, 6]),
        (r#"select "Big Name" from "table""#, vec![1, 2, 3]),
    ] {
        same(sql, table.integers(sql).await?, expected)?;
    }
    Ok(())
}

async fn queries_come_oldest_first(table: &Table<'_>) -> Check {
    for first in [0, 100, 200] {
        let lines: Vec<String> = (first..first + 100).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        table.log("w", first, &lines).await?;
    }
    same("all", table.integers(r#"select n from "table""#).await?, (0..300).collect())?;
    let sql = r#"select n from (select * from "table" where n % 3 = 0) where n > 150 limit 2"#;
    same("some", table.integers(sql).await?, vec![153, 156])?;
    let sql = r#"select n from "table" order by n desc limit 2"#;
    same("sorted", table.integers(sql).await?, vec![299, 298])
}

async fn queries_only_read(table: &Table<'_>) -> Check {
    table.log("w", 0, &[r#"{"n":0}"#]).await?;
    for sql in [
        "create table x as select 1",
        "create external table x stored as csv location '/etc/passwd'",
        r#"insert into "table" values (1)"#,
        r#"delete from "table""#,
        r#"drop table "table""#,
        r#"copy (select 1) to '/tmp/streamtable-must-not-be'"#,
        "set datafusion.execution.batch_size = 1",
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select 1; select 2",
        "not sql",
        "",
    ] {
        let asked = table.ask(table.query(sql)).await;
        ensure!(matches!(asked, Err(StoreError::Query { .. })), "{sql:?} gives {asked:?}");
    }
    let deep = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let asked = table.ask(table.query(&deep)).await;
    ensure!(matches!(asked, Err(StoreError::Query { .. })), "a deep query is answered");
    Ok(())
}

async fn queries_see_only_their_entities(table: &Table<'_>) -> Check {
    table.log("w", 0, &[r#"{"n":0}"#]).await?;
    for sql in [
        format!("select * from \"{}\"", table.path),
        format!("select * from conformance.\"{}\".\"table\"", table.path.project()),
        "select * from \"table\"".to_owned(),
    ] {
        let query = SqlQuery { entities: Some(vec!["other".to_owned()]), ..table.query(&sql) };
        let asked = table.ask(query).await;
        ensure!(matches!(asked, Err(StoreError::Query { .. })), "{sql:?} gives {asked:?}");
    }
    let sql = "select count(*) from information_schema.tables where table_catalog = 'conformance'";
    let query = SqlQuery { entities: Some(Vec::new()), ..table.query(sql) };
    let asked = table.ask(query).await.map_err(|error| error.to_string())?;
    let count = asked[0].column(0).as_primitive_opt::<Int64Type>().map(|it| it.value(0));
    same("tables listed", count, Some(0))
}

async fn queries_have_a_deadline(table: &Table<'_>) -> Check {
    table.log("w", 0, &[r#"{"n":0}"#]).await?;
    let sql = "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b \
               where a.value * b.value % 7 = 3";
    let query = SqlQuery { timeout: Duration::from_millis(200), ..table.query(sql) };
    let asked = table.ask(query).await;
    ensure!(matches!(asked, Err(StoreError::Limit { .. })), "it ends with {asked:?}");
    Ok(())
}

async fn row_expressions_are_one_expression(table: &Table<'_>) -> Check {
    table.log("w", 0, &[r#"{"n":3}"#]).await?;
    for (text, expected) in
        [("n", 6), ("n - 1 -- less", 4), ("case when n > 1 then 5 else n end", 10)]
    {
        let checked = table.store.row_expression(text).await.map_err(|error| error.to_string())?;
        let sql = format!(r#"select cast({checked} * 2 as bigint) from "table""#);
        same(text, table.integers(&sql).await?, vec![expected])?;
    }
    for text in
        ["", "n, n", "n) from x --", "(select 1)", "count(*) over ()", "*", "'open", "n; select 1"]
    {
        let refused = table.store.row_expression(text).await;
        ensure!(matches!(refused, Err(StoreError::Query { .. })), "{text:?} gives {refused:?}");
    }
    Ok(())
}
