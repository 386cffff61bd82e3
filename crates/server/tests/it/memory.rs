//! A store in memory, as small as may be.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, Row, Schema, TablePath, Timestamp, Type};
use streamtable_store::{
    Appended, Batch, ColumnInfo, Numbering, Query, ReadRow, RejectedLine, Rows, Store, StoreError,
    TableInfo, TableSummary, TypeSeen,
};
use streamtable_wire::HistoryLine;
use tokio::sync::watch;

#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<TablePath, Table>>);

#[derive(Debug)]
struct Table {
    rows: BTreeMap<u64, ReadRow>,
    texts: BTreeMap<(String, u64), (u64, Bytes)>,
    schema: Schema,
    end: u64,
    first: Timestamp,
    last: Timestamp,
    watch: watch::Sender<u64>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            texts: BTreeMap::new(),
            schema: Schema::new(ColumnPolicy::Evolve),
            end: 0,
            first: Timestamp::from_millis(0),
            last: Timestamp::from_millis(0),
            watch: watch::Sender::new(0),
        }
    }
}

fn with_policy(schema: &Schema, policy: ColumnPolicy) -> Schema {
    let columns = schema.columns().iter().map(|column| (&column.name, column.ty.clone()));
    Schema::with_columns(policy, columns)
}

impl Table {
    fn admit(&mut self, row: &Row, columns: ColumnPolicy) -> Result<(), String> {
        if columns == ColumnPolicy::Strict {
            let mut strict = with_policy(&self.schema, ColumnPolicy::Strict);
            if !self.rows.is_empty() {
                strict.admit(row).map_err(|error| error.to_string())?;
            }
        }
        if self.schema.admit(row).is_err() {
            let old = self.schema.columns().iter().map(|c| (c.name.to_string(), c.ty.clone()));
            let new = row.cells().map(|(name, value)| (name.to_owned(), Type::of_any(value)));
            self.schema = Schema::with_columns(ColumnPolicy::Evolve, old.chain(new));
        }
        Ok(())
    }

    fn info(&self, path: &TablePath) -> TableInfo {
        let columns = self.schema.columns().iter().map(|column| ColumnInfo {
            name: column.name.to_string(),
            ty: column.ty.clone(),
            history: vec![TypeSeen { ty: column.ty.clone(), position: 0, at: self.first }],
        });
        TableInfo {
            summary: TableSummary {
                path: path.clone(),
                rows: self.rows.len() as u64,
                bytes: 0,
                created_at: self.first,
                last_write: self.last,
            },
            end: self.end,
            columns: columns.collect(),
            has_steps: self.rows.values().any(|row| row.step.is_some()),
            last_step: self.rows.values().filter_map(|row| row.step).max(),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        let mut tables = self.0.lock().unwrap();
        let table = tables.entry(batch.table.clone()).or_default();
        let mut appended = Appended::default();
        for (i, text) in batch.lines.iter().enumerate() {
            let line = batch.first_line + i as u64;
            let parsed = HistoryLine::parse(std::str::from_utf8(text).unwrap());
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(error) => {
                    appended.rejected.push(RejectedLine { line, reason: error.to_string() });
                    continue;
                }
            };
            let writer = parsed.writer.clone().unwrap_or_else(|| batch.writer.clone());
            let key = (writer.clone(), line);
            if let Some((position, known)) = table.texts.get(&key).cloned() {
                if batch.numbering == Numbering::Once || known == text {
                    appended.repeated += 1;
                    continue;
                }
                table.rows.remove(&position);
            }
            if let Err(reason) = table.admit(&parsed.row, batch.columns) {
                appended.rejected.push(RejectedLine { line, reason });
                continue;
            }
            if table.end == 0 {
                table.first = batch.received_at;
            }
            table.last = batch.received_at;
            table.texts.insert(key, (table.end, text.clone()));
            let row = ReadRow {
                position: table.end,
                writer,
                line,
                logged_at: parsed.logged_at.unwrap_or(batch.received_at),
                step: parsed.step,
                runtime: parsed.runtime,
                row: parsed.row,
            };
            table.rows.insert(table.end, row);
            table.end += 1;
            appended.stored += 1;
        }
        appended.end = table.end;
        table.watch.send_replace(table.end);
        Ok(appended)
    }

    fn tables(&self) -> Vec<TableSummary> {
        let tables = self.0.lock().unwrap();
        let full = tables.iter().filter(|(_, table)| table.end > 0);
        full.map(|(path, table)| table.info(path).summary).collect()
    }

    fn table(&self, path: &TablePath) -> Option<TableInfo> {
        let tables = self.0.lock().unwrap();
        tables.get(path).filter(|table| table.end > 0).map(|table| table.info(path))
    }

    fn next_line(&self, path: &TablePath, writer: &str) -> u64 {
        let tables = self.0.lock().unwrap();
        let Some(table) = tables.get(path) else { return 0 };
        let lines = table.texts.keys().filter(|(own, _)| own == writer).map(|(_, line)| line + 1);
        lines.max().unwrap_or(0)
    }

    async fn read(
        &self,
        path: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let tables = self.0.lock().unwrap();
        let table = tables.get(path).ok_or(StoreError::NoTable { table: path.clone() })?;
        Ok(table.rows.range(from..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn watch(&self, path: &TablePath) -> watch::Receiver<u64> {
        self.0.lock().unwrap().entry(path.clone()).or_default().watch.subscribe()
    }

    async fn query(&self, _: Query) -> Result<Rows, StoreError> {
        Err(StoreError::Query { message: "this store knows no SQL".to_owned() })
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
