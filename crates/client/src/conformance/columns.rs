//! Values and columns.

use streamtable_schema::{Row, Schema, TablePath, Timestamp, Type, Value, row};

use super::compare::{check_row, numbered};
use super::{Case, Check, Suite, case, ensure};
use crate::ColumnPolicy;

pub(super) const CASES: &[Case] = &[
    case!(values_are_read_back_as_logged),
    case!(equal_rows_are_all_stored),
    case!(a_large_append),
    case!(a_new_table_has_no_columns),
    case!(columns_are_known_when_the_table_is_opened_again),
];

/// Rows with values that are easily damaged by a conversion, an encoding or a missing quote.
fn values() -> Vec<Row> {
    let texts =
        ["", "a\0b", "'; drop table \"rows\"; --", "\"\\\n\r\t", "日本 🦀 é", "null", "NaN"];
    let numbers = [0.1, -0.0, 1e300, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(texts.map(|text| row! { "text" => text }));
    rows.extend(numbers.map(|x| row! { "x" => x }));
    rows.extend([0, -1, i64::MAX, i64::MIN, (1 << 53) + 1].map(|n| row! { "n" => n }));
    rows.push(row! { "at" => Timestamp::from_micros(1_700_000_000_123_456) });
    rows.push(row! { "list" => [1, 2], "empty" => Vec::<i64>::new(), "nested" => [[1], [2]] });
    rows.push(row! { "struct" => row! { "a" => 1, "b" => row! { "c" => "x" } } });
    rows.push(row! { "ok" => true, "nothing" => Value::Null });
    // A column holds numbers and texts, whatever came first.
    rows.extend([row! { "mixed" => 1 }, row! { "mixed" => 2.5 }, row! { "mixed" => "3" }]);
    rows.push(row! { "ms" => 1, "MS" => 2 });
    rows.push(row! { "select \"x\"; --" => 1, "ключ" => 2, " " => 3, "a.b[0]" => 4 });
    rows
}

async fn values_are_read_back_as_logged(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    let rows = values();
    writer.log(rows.iter().cloned())?;
    writer.deliver(&*backend, 0..rows.len()).await?;
    let stored = suite.read(table).await?;
    ensure!(stored.len() == rows.len(), "{} rows of {} are stored", stored.len(), rows.len());
    let mut pairs = rows.iter().zip(&stored).enumerate();
    pairs.try_for_each(|(n, (logged, stored))| check_row(n, logged, stored))
}

async fn equal_rows_are_all_stored(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    let row = numbered(0);
    writer.log([(); 5].map(|()| row.clone()))?;
    writer.deliver(&*backend, 0..3).await?;
    writer.deliver(&*backend, 3..5).await?;
    let stored = suite.read(table).await?.len();
    ensure!(
        stored == 5,
        "{stored} of 5 rows with the same content are stored; a row that is sent again has the same \
         writer and line number, and its content says nothing"
    );
    Ok(())
}

/// More rows than most databases take in one statement. The client sends up to 20,000 in a call.
const MANY: usize = 5000;

/// Many rows in one call, and a long text.
async fn a_large_append(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..MANY).map(numbered))?;
    writer.deliver(&*backend, 0..MANY).await?;
    suite.check(table, MANY, &format!("although `append` of {MANY} rows returned Ok")).await?;

    let text = "long text ".repeat(100_000);
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log([numbered(MANY).with("long", &text)])?;
    writer.deliver(&*backend, 0..1).await?;
    let stored = suite.read(table).await?;
    let stored = stored.last().and_then(|row| row.get("long")?.as_str()).unwrap_or_default();
    ensure!(
        stored == text,
        "a text of {} bytes is read back with {} bytes",
        text.len(),
        stored.len()
    );
    Ok(())
}

async fn a_new_table_has_no_columns(suite: &Suite, table: &TablePath) -> Check {
    let backend = suite.make();
    let opened = suite.open(&*backend, table).await?;
    let names: Vec<&str> = opened.columns.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names.is_empty(), "`open` of a new table returned the columns {names:?}");
    suite.check(table, 0, "in a new table").await
}

async fn columns_are_known_when_the_table_is_opened_again(
    suite: &Suite,
    table: &TablePath,
) -> Check {
    let backend = suite.make();
    let mut writer = suite.writer(&*backend, table).await?;
    writer.log((0..2).map(numbered))?;
    writer.log([row! { "n" => 2, "text" => Value::Null, "scores" => [0.5] }])?;
    writer.deliver(&*backend, 0..3).await?;
    drop(backend);

    let opened = suite.open(&*suite.make(), table).await?;
    let schema = Schema::with_columns(ColumnPolicy::Evolve, opened.columns.iter().cloned());
    for (name, expected) in
        [("n", Type::Int), ("text", Type::String), ("scores", Type::list(Type::Float))]
    {
        let column = schema.columns().iter().find(|column| &*column.name == name);
        let Some(column) = column else {
            return Err(format!(
                "`open` does not return the column {name:?}, so the client accepts any value for \
                 it, such as a list in a column of strings"
            ));
        };
        ensure!(
            column.ty.includes(&expected),
            "`open` returns the type {} for the column {name:?}, which holds {expected}",
            column.ty
        );
    }
    Ok(())
}
