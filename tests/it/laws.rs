//! Property tests: laws that hold for any rows.

use std::collections::HashMap;

use proptest::prelude::*;
use streamtable::{ColumnPolicy, Refusal, Row, StreamTable, Value};
use streamtable_mock_backend::strategies;
use streamtable_schema::{MediaSource, Type};

use crate::support::{builder, mock, open};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// A reference model of a table, independent of the implementation: the names of its columns, and
/// the kinds that each column has held.
#[derive(Default)]
struct Model {
    columns: HashMap<String, Type>,
}

impl Model {
    /// Accepts a row, or returns the columns that may be named in the error.
    fn admit(&mut self, row: &Row) -> Result<(), Vec<String>> {
        let mut blamed = Vec::new();
        let names: Vec<&str> = row.cells().map(|(name, _)| name).collect();
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                blamed.push((*name).to_owned());
            }
        }
        let mut columns = self.columns.clone();
        for (name, value) in row.cells() {
            let ty = Type::of(value);
            match self.columns.get(name) {
                None if !self.columns.is_empty() => blamed.push(name.to_owned()),
                None => drop(columns.insert(name.to_owned(), ty)),
                Some(held) => drop(columns.insert(name.to_owned(), held.unite(&ty))),
            }
        }
        blamed.extend(self.columns.keys().filter(|name| row.get(name).is_none()).cloned());
        if !blamed.is_empty() {
            return Err(blamed);
        }
        self.columns = columns;
        Ok(())
    }
}

/// Returns a row as it is stored: media are references to files.
fn stored(row: &Row) -> Row {
    fn value(v: &Value) -> Value {
        match v {
            Value::Media(media) => match media.source() {
                MediaSource::Bytes(bytes) => {
                    let file = streamtable_wire::media_file(media.kind(), media.format(), bytes);
                    let size = media.dimensions();
                    let known =
                        streamtable::Media::stored(media.kind(), media.format(), size, file);
                    match (known.unwrap(), media.caption()) {
                        (known, Some(caption)) => known.with_caption(caption).into(),
                        (known, None) => known.into(),
                    }
                }
                _ => v.clone(),
            },
            Value::List(items) => items.iter().map(value).collect(),
            Value::Struct(row) => stored(row).into(),
            other => other.clone(),
        }
    }
    row.cells().map(|(name, v)| (name.to_owned(), value(v))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Exactly the rows that the rules refuse are refused, and the error names an offending column.
    /// A refused row leaves the table unchanged.
    #[test]
    fn exactly_the_bad_rows_are_refused(
        batches in prop::collection::vec(strategies::misfit(), 1..3),
        strangers in strategies::rows(0..4),
    ) {
        let mut rows: Vec<Row> = Vec::new();
        for misfit in batches {
            rows.extend(misfit.rows);
            rows.push(misfit.row);
        }
        rows.extend(strangers);

        let mut model = Model::default();
        let mut kept = Vec::new();
        let verdicts: Vec<_> = rows.iter().map(|row| model.admit(row)).collect();
        let mock = mock();
        block_on(async {
            let table = open(&mock).await;
            for (row, verdict) in rows.iter().zip(&verdicts) {
                match (table.log(row).await, verdict) {
                    (Ok(_), Ok(())) => kept.push(row),
                    (Err(error), Err(blamed)) => {
                        let Refusal::Schema(reason) = &error.refused[0].reason else {
                            panic!("{error}");
                        };
                        let column = reason.column().map(str::to_owned);
                        prop_assert!(column.is_some_and(|c| blamed.contains(&c)), "{reason}");
                    }
                    (got, expected) => prop_assert!(false, "{row:?}: {got:?}, not {expected:?}"),
                }
            }
            prop_assert_eq!(table.finish().await.unwrap().acked, kept.len() as u64);
            let arrived = mock.rows(table.path());
            prop_assert_eq!(arrived.len(), kept.len());
            for (line, row) in arrived.iter().zip(&kept) {
                let mut cells: Vec<_> = line.row.clone().into_iter().collect();
                if row.get("timestamp").is_none() {
                    prop_assert_eq!(cells.pop().map(|(name, _)| name), Some("timestamp".into()));
                }
                prop_assert_eq!(Row::from_iter(cells), stored(row));
            }
            prop_assert!(mock.violations().is_empty(), "{:?}", mock.violations());
            Ok(())
        })?;
    }

    /// An evolving table accepts every valid row until a list or a struct meets another kind. Its
    /// columns are in the order in which they first appeared.
    #[test]
    fn columns_keep_the_order_of_their_first_row(rows in strategies::rows(1..6)) {
        let mock = mock();
        block_on(async {
            let table: StreamTable =
                builder(&mock).columns(ColumnPolicy::Evolve).open().await.unwrap();
            let mut expected: Vec<String> = Vec::new();
            for row in &rows {
                if table.log(row).await.is_ok() {
                    let cells = row.cells().map(|(name, _)| name.to_owned());
                    for name in cells.chain(["timestamp".to_owned()]) {
                        if !expected.contains(&name) {
                            expected.push(name);
                        }
                    }
                }
            }
            table.finish().await.unwrap();
            let schema = mock.schema(table.path()).unwrap();
            let columns: Vec<_> = schema.columns().iter().map(|c| c.name.to_string()).collect();
            prop_assert_eq!(columns, expected);
            Ok(())
        })?;
    }
}
