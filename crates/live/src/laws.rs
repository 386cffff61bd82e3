//! Properties that hold for all names and values, over a real store.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::types::Float64Type;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};
use streamtable_store::{Batch, OnDuplicate, Store};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig, row_expression};

use crate::budget::Budget;
use crate::config::{Filter, Term, ViewConfig};
use crate::proto::SortOp;
use crate::table_reader::{TableAccess, TableReader};
use crate::view::View;
use crate::{shape::Column, sql};

/// Generates texts with characters that are special in SQL, patterns and JSON.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => prop::sample::select(vec![
            "\"", "'", "\\", "%", "_", ";", "--", "/*", "*/", "(", ")", "|", ".", "$1", "$$", "\n", "\u{202e}",
            "`", "[", "]", "{", "}", "select", " or 1=1", "e'", "\u{0}", "null", "NaN",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Zé0-9 ]{1,3}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(pieces, 1..8).prop_map(|pieces| pieces.concat())
}

async fn positions(store: &Arc<dyn Store>, table: &TablePath, config: ViewConfig) -> Vec<u64> {
    let access = TableAccess { store: Arc::clone(store), file_url: None };
    let reader = TableReader::new(access, table.clone());
    let columns = reader.columns(&ViewConfig::default()).await.unwrap();
    let position = columns.all.last().unwrap().name.clone();
    let end = store.watch(table).await.unwrap();
    let config = ViewConfig { columns: Some(vec![position]), ..config };
    let view = View::new(reader, config, end, Arc::new(Budget::new(u64::MAX)));
    let now = view.snapshot().await.unwrap();
    let window = view.window(&now, 0..1000, 0..10).await.unwrap();
    assert_eq!(window.rows as u64, now.count());
    let array = window.columns[0].1.as_primitive::<Float64Type>().clone();
    array.values().iter().map(|&x| x as u64).collect()
}

fn one(column: &str, op: &str, term: &str) -> ViewConfig {
    let terms = vec![Term::Text(term.to_owned())];
    let filter = Filter { column: column.to_owned(), op: op.to_owned(), terms };
    ViewConfig { filter: vec![filter], ..ViewConfig::default() }
}

fn check(names: &BTreeSet<String>, values: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(StoreConfig::new(folder.path())).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let table: TablePath = "me/p/t".parse().unwrap();
        let line = |value: &String| {
            let row: serde_json::Map<_, _> =
                names.iter().map(|name| (name.clone(), value.as_str().into())).collect();
            serde_json::Value::Object(row).to_string().into()
        };
        let batch = Batch {
            table: table.clone(),
            writer: "w".to_owned(),
            first_line: 0.into(),
            lines: values.iter().map(line).collect(),
            on_duplicate: OnDuplicate::Ignore,
            columns: ColumnPolicy::Evolve,
            received_at: Timestamp::from_millis(0),
        };
        let appended = store.append(batch).await.unwrap();
        assert_eq!(appended.stored as usize, values.len(), "{:?}", appended.rejected);
        let matching = |is_match: &dyn Fn(&str) -> bool| -> Vec<u64> {
            let matching = values.iter().zip(0..).filter(|(value, _)| is_match(value));
            matching.map(|(_, position)| position).collect()
        };
        for name in names {
            let term = &values[0];
            let found = positions(&store, &table, one(name, "==", term)).await;
            assert_eq!(found, matching(&|value| value == term), "{name:?} == {term:?}");
            let found = positions(&store, &table, one(name, "!=", term)).await;
            assert_eq!(found, matching(&|value| value != term), "{name:?} != {term:?}");
            let found = positions(&store, &table, one(name, "contains", term)).await;
            // The query engine decides which letters differ only in case.
            if values
                .iter()
                .all(|value| value.to_lowercase() == *value && value.to_uppercase() == *value)
            {
                assert_eq!(found, matching(&|value| value.contains(term.as_str())), "{term:?}");
            } else {
                assert!(
                    matching(&|value| value.contains(term.as_str()))
                        .iter()
                        .all(|it| found.contains(it)),
                    "{term:?}"
                );
            }
            let sort = vec![(name.clone(), SortOp::Asc)];
            let found =
                positions(&store, &table, ViewConfig { sort, ..ViewConfig::default() }).await;
            let mut sorted = matching(&|_| true);
            sorted.sort_by_key(|&position| &values[position as usize]);
            assert_eq!(found, sorted, "{name:?}");
        }
        store.close().await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn names_and_values_are_never_parsed_as_sql(
        names in btree_set(hostile(), 1..4),
        values in vec(hostile(), 1..6),
    ) {
        check(&names, &values);
    }
}

proptest! {
    #[test]
    fn conditions_are_one_expression(
        name in hostile(),
        terms in vec(prop_oneof![
            hostile().prop_map(Term::Text),
            any::<f64>().prop_map(Term::Number),
            any::<bool>().prop_map(Term::Bool),
        ], 1..4),
    ) {
        use arrow::datatypes::{DataType, Field, TimeUnit};
        let types = [
            DataType::Utf8View, DataType::Int64, DataType::Float64, DataType::Boolean,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), DataType::Date32,
            DataType::Struct(vec![Field::new("n", DataType::Float64, true), Field::new("s", DataType::Utf8View, true)].into()),
        ];
        for ty in types {
            let columns = [Column::of(&Field::new(&name, ty, true), true)];
            for op in ["==", "!=", ">", "in", "not in", "contains", "ends with", "is null"] {
                let filter = Filter { column: name.clone(), op: op.to_owned(), terms: terms.clone() };
                let config = ViewConfig { filter: vec![filter], ..ViewConfig::default() };
                // Values that do not fit the column are rejected.
                let Ok(Some(condition)) = sql::condition(&config, &columns) else { continue };
                prop_assert!(row_expression(&condition).is_ok(), "{}", condition);
            }
        }
let equal = format!("{} = {}", sql::name(&name), sql::text(&name));
        prop_assert!(row_expression(&equal).is_ok(), "{}", equal);
    }
}
