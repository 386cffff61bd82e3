//! Order, writers and tables.

use streamtable_schema::TablePath;

use super::compare::{NUMBER, check_rows, numbered};
use super::{Case, Check, Suite, case, ensure};

pub(super) const CASES: &[Case] = &[
    case!(rows_are_stored_in_order_before_the_answer),
    case!(writers_do_not_overwrite_each_other),
    case!(tables_are_separate),
    case!(other_writers_continue_after_one_has_finished),
];

async fn rows_are_stored_in_order_before_the_answer(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    for count in [1, 2, 5, 1, 20] {
        let start = writer.rows.len();
        writer.log((start..start + count).map(numbered))?;
        writer.deliver(&*backend, start..start + count).await?;
        suite.check(table, start + count, "although `append` returned Ok").await?;
    }
    Ok(())
}

async fn writers_do_not_overwrite_each_other(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let (mut first, mut second) =
        (suite.writer(&*backend, table).await?, suite.writer(&*backend, table).await?);
    // Both writers use the same line numbers.
    first.log((0..6).map(numbered))?;
    second.log((6..12).map(numbered))?;
    for rows in [0..2, 2..3, 3..6] {
        first.deliver(&*backend, rows.clone()).await?;
        second.deliver(&*backend, rows).await?;
    }
    let stored = suite.read(table).await?;
    // The writers may be interleaved in any way.
    let is_of = |row: &streamtable_schema::Row, first: bool| {
        row.get(NUMBER).is_some_and(|n| (0..6).any(|i| *n == i.into()) == first)
    };
    let of = |first| stored.iter().filter(|row| is_of(row, first)).cloned().collect::<Vec<_>>();
    let story = "although two writers appended it with the same line numbers";
    check_rows(&of(true), 6, story)?;
    let mut all = of(true);
    all.extend(of(false));
    check_rows(&all, 12, story)
}

async fn tables_are_separate(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let other = suite.table("tables-are-separate")?;
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..3).map(numbered))?;
    writer.deliver(&*backend, 0..3).await?;
    suite.open(&*backend, &other).await?;
    suite.check(&other, 0, "in another table").await?;
    // The same writer and lines, in another table.
    writer.table = other.clone();
    writer.deliver(&*backend, 0..2).await?;
    suite.check(&other, 2, "although `append` returned Ok for this table").await?;
    suite.check(table, 3, "after an append to another table").await
}

async fn other_writers_continue_after_one_has_finished(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let (mut first, mut second) =
        (suite.writer(&*backend, table).await?, suite.writer(&*backend, table).await?);
    first.log([numbered(0)])?;
    first.deliver(&*backend, 0..1).await?;
    let finished = backend.finish(table).await;
    ensure!(finished.is_ok(), "`finish` failed: {finished:?}");
    second.log([numbered(1)])?;
    second.deliver(&*backend, 0..1).await?;
    suite.check(table, 2, "after another writer had finished").await
}
