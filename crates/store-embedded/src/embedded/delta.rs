//! Flushed tables as Delta Lake tables that any reader of that format can open.

use std::collections::HashMap;
use std::io;

use arrow::datatypes::DataType as ArrowType;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{
    Action, Add, ArrayType, DataType, MetadataExt as _, MetadataValue, PrimitiveType, Remove,
    StructField, StructType, Transaction,
};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures_util::TryStreamExt as _;
use streamtable_store::StoreError;

use super::state::DataFile;
use crate::columns::{Columns, Kind, KnownSlot, Shape};
use crate::disk::is_absent;
use crate::place::{Entry, Folder, is_unavailable};

/// The application id of the transaction in each commit. Its version is the flushed watermark, the
/// position of the next row, so that a commit made before a crash is recognized after it.
const APPLICATION: &str = "streamtable";

/// The folder of a Delta table's log.
const LOG: &str = "_delta_log";

/// A table's folder as a Delta table.
/// The table's state is authoritative, and the Delta log repeats it for other readers: each commit
/// after the log was opened removes files that are not in the state, and adds those that are
/// missing.
/// lacks.
#[derive(Debug)]
pub(super) struct DeltaFolder {
    folder: Folder,
    /// The log as it was read; `None` if it must be read before the next commit.
    table: Option<DeltaTable>,
}

/// The flushed rows and files according to the Delta log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommittedTable {
    pub(super) version: u64,
    pub(super) flushed_upto: u64,
    pub(super) files: Vec<DataFile>,
    /// The slots of the table's columns, in their order.
    pub(super) slots: Vec<KnownSlot>,
}

/// The change that a commit makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) columns: &'a Columns,
    pub(super) add: &'a [DataFile],
    pub(super) remove: &'a [DataFile],
    /// All files of the table after the commit.
    pub(super) all: &'a [DataFile],
    /// All rows before this position are in the table after the commit.
    pub(super) flushed_upto: u64,
    /// Whether the commit only moves the same rows into other files.
    pub(super) is_compaction: bool,
}

impl DeltaFolder {
    pub(super) fn new(folder: Folder) -> Self {
        Self { folder, table: None }
    }

    /// Returns the newest version that the log's file names show. Blocks. Fails if a bucket could not
    /// be asked.
    pub(super) fn newest_version(folder: &Folder) -> io::Result<Option<u64>> {
        let entries = match folder.join(LOG).list() {
            Err(error) if is_unavailable(&error) => return Err(error),
            Err(_) => return Ok(None),
            Ok(entries) => entries,
        };
        let version = |entry: Entry| {
            let name = entry.folder.path().file_name()?.to_str()?.to_owned();
            let (number, ending) = name.split_once('.')?;
            let is_version = ending == "json" || ending.ends_with("checkpoint.parquet");
            is_version.then(|| number.parse::<u64>().ok())?
        };
        Ok(entries.into_iter().filter_map(version).max())
    }

    /// Frees the memory of the log. The next commit reads it again.
    pub(super) fn release(&mut self) {
        self.table = None;
    }

    /// Reads the Delta log. Returns `None` if there is none. Fails as
    /// [unavailable](StoreError::Unavailable) if a bucket could not be asked, and otherwise if the log
    /// is damaged.
    pub(super) async fn read(&mut self) -> Result<Option<CommittedTable>, StoreError> {
        let error = match self.try_read().await {
            Err(error) if self.folder.local().is_none() => error,
            read => return read,
        };
        // The error does not say whether the bucket failed or the log is damaged.
        self.table = None;
        let log = self.folder.join(LOG);
        tokio::task::spawn_blocking(move || read_all(&log))
            .await?
            .map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        tracing::warn!(folder = ?self.folder, %error, "the Delta log is read again");
        self.try_read().await
    }

    async fn try_read(&mut self) -> Result<Option<CommittedTable>, StoreError> {
        self.open().await?;
        let Some(table) = &self.table else { return Ok(None) };
        let state = table.snapshot().map_err(failed)?;
        let log_store = table.log_store();
        let flushed_upto =
            state.transaction_version(log_store.as_ref(), APPLICATION).await.map_err(failed)?;
        let files = self.files(table).await?;
        let flushed_upto = flushed_upto.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        let slots = state.schema().fields().filter_map(known_slot).collect();
        Ok(Some(CommittedTable { version: state.version(), flushed_upto, files, slots }))
    }

    async fn files(&self, table: &DeltaTable) -> Result<Vec<DataFile>, StoreError> {
        let log_store = table.log_store();
        let views: Vec<(String, i64)> = table
            .snapshot()
            .map_err(failed)?
            .snapshot()
            .file_views(log_store.as_ref(), None)
            .map_ok(|file| (file.path().into_owned(), file.size()))
            .try_collect()
            .await
            .map_err(failed)?;
        let mut files = Vec::new();
        for (name, bytes) in views {
            match DataFile::from_name(&name, u64::try_from(bytes).unwrap_or(0)) {
                Some(file) => files.push(file),
                None => tracing::warn!(
                    folder = %self.folder.path().display(),
                    file = name,
                    "a file of the table is not this store's, and is left alone"
                ),
            }
        }
        files.sort_by_key(|file| file.first);
        Ok(files)
    }

    /// Commits a change durably, and returns its version.
    pub(super) async fn commit(&mut self, change: Change<'_>) -> Result<u64, StoreError> {
        let version = match self.try_commit(change).await {
            Ok(version) => version,
            Err(error) => {
                // It is not known whether the commit was made, so the log must be read again.
                self.table = None;
                match self.read().await {
                    Ok(Some(found)) if change.is_in(&found) => found.version,
                    Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                    _ => {
                        self.table = None;
                        return Err(error);
                    }
                }
            }
        };
        let synced = self.folder.join(LOG).sync_file(&format!("{version:020}.json"));
        synced.inspect_err(|_| self.table = None)?;
        Ok(version)
    }

    async fn try_commit(&mut self, change: Change<'_>) -> Result<u64, StoreError> {
        let flushed = i64::try_from(change.flushed_upto).unwrap_or(i64::MAX);
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(APPLICATION, flushed));
        let now = now_millis();
        let (mut add, mut remove) = (change.add.to_vec(), change.remove.to_vec());
        if self.table.is_none() {
            self.open().await?;
            let present = match &self.table {
                Some(table) => self.files(table).await?,
                None => Vec::new(),
            };
            (add, remove) = difference(change.all, &present);
        }
        let mut actions: Vec<Action> = Vec::new();
        for file in &remove {
            actions.push(Action::Remove(remove_action(file, now, change.is_compaction)));
        }
        for file in &add {
            actions.push(Action::Add(add_action(file, now, change.is_compaction)));
        }
        let schema = delta_schema(change.columns)?;
        if self.table.is_none() {
            self.folder.join(LOG).create()?;
            let table = CreateBuilder::new()
                .with_log_store(self.log_store()?)
                .with_columns(schema.fields().cloned())
                .with_actions(actions)
                .with_commit_properties(properties)
                .await
                .map_err(failed)?;
            let version = table.version().unwrap_or(0) as u64;
            self.table = Some(table);
            return Ok(version);
        }
        let Some(table) = &mut self.table else {
            return Err(StoreError::Io { reason: "the table's folder is gone".to_owned() });
        };
        let state = table.snapshot().map_err(failed)?;
        if *state.schema() != schema {
            let metadata = state.metadata().clone().with_schema(&schema);
            let metadata = metadata.map_err(|error| failed(error.into()))?;
            actions.push(Action::Metadata(metadata));
        }
        let operation = if change.is_compaction {
            DeltaOperation::Optimize { predicate: None, target_size: 0 }
        } else {
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None }
        };
        let version = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state), table.log_store(), operation)
            .await
            .map_err(failed)?
            .version();
        table.update_state().await.map_err(failed)?;
        Ok(version as u64)
    }

    /// Moves the log into a folder, so that the next commit starts a new one.
    pub(super) async fn set_aside(&mut self, damaged: Folder) -> Result<(), StoreError> {
        self.table = None;
        if !self.has_log().await? {
            return Ok(());
        }
        let unique = uuid::Uuid::new_v4().simple();
        let folder = self.folder.clone();
        let moved = move || folder.rename(LOG, &damaged, &format!("delta_log-{unique}"));
        Ok(tokio::task::spawn_blocking(moved).await??)
    }

    async fn has_log(&self) -> Result<bool, StoreError> {
        let folder = self.folder.clone();
        Ok(tokio::task::spawn_blocking(move || folder.has(LOG)).await??)
    }

    async fn open(&mut self) -> Result<(), StoreError> {
        if self.table.is_none() && self.has_log().await? {
            let mut table = DeltaTable::new(self.log_store()?);
            match table.load().await {
                Ok(()) => self.table = Some(table),
                Err(DeltaTableError::NotATable(_)) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn log_store(&self) -> Result<LogStoreRef, StoreError> {
        let folder = match &self.folder {
            Folder::Local(folder) => folder,
            Folder::Bucket(bucket, key) => return Ok(bucket.delta_log(key)),
        };
        let url = url::Url::from_directory_path(folder).map_err(|()| StoreError::Io {
            reason: format!("{} is no absolute path", folder.display()),
        })?;
        DeltaTableBuilder::from_url(url).and_then(|it| it.build_storage()).map_err(failed)
    }
}

impl Change<'_> {
    /// Returns whether a log has this change: the names of files are unique.
    fn is_in(&self, found: &CommittedTable) -> bool {
        let is_new = |file: &DataFile| self.add.contains(file);
        self.all.iter().any(is_new)
            && found.flushed_upto == self.flushed_upto
            && found.files == self.all
    }
}

/// Reads all files of a log, to find out whether its bucket answers. Blocks.
fn read_all(log: &Folder) -> io::Result<()> {
    for entry in log.list()? {
        if let Some(name) = entry.folder.path().file_name().and_then(|name| name.to_str())
            && entry.found.is_ok_and(|found| !found.is_folder)
        {
            match log.read(name) {
                Err(error) if !is_absent(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Returns the files to add and to remove so that `present` becomes `wanted`.
fn difference(wanted: &[DataFile], present: &[DataFile]) -> (Vec<DataFile>, Vec<DataFile>) {
    let is_wanted = |file: &DataFile| wanted.iter().any(|it| it.name == file.name);
    let add = wanted.iter().filter(|file| !present.contains(file)).cloned().collect();
    (add, present.iter().filter(|file| !is_wanted(file)).cloned().collect())
}

fn failed(error: DeltaTableError) -> StoreError {
    StoreError::Io { reason: format!("the Delta table: {error}") }
}

fn now_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn add_action(file: &DataFile, now: i64, is_compaction: bool) -> Add {
    Add {
        path: file.name.clone(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: now,
        data_change: !is_compaction,
        stats: Some(format!(r#"{{"numRecords":{}}}"#, file.rows)),
        ..Add::default()
    }
}

fn remove_action(file: &DataFile, now: i64, is_compaction: bool) -> Remove {
    Remove {
        path: file.name.clone(),
        data_change: !is_compaction,
        deletion_timestamp: Some(now),
        size: Some(i64::try_from(file.bytes).unwrap_or(i64::MAX)),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::new()),
        ..Remove::default()
    }
}

/// The metadata keys of a field's column and kind. They make the folder readable without any other
/// file.
const COLUMN: &str = "streamtable.column";
const KIND: &str = "streamtable.kind";

fn delta_schema(columns: &Columns) -> Result<StructType, StoreError> {
    let schema = columns.arrow_schema();
    let slots = columns.slots().map(Some);
    let fixed = schema.fields().len() - columns.slot_count();
    let slots = std::iter::repeat_n(None, fixed).chain(slots);
    let fields = schema.fields().iter().zip(slots).map(|(field, slot)| {
        let ty = delta_type(field.data_type())?;
        let delta = StructField::new(field.name(), ty, field.is_nullable());
        Ok(match slot {
            Some((column, slot)) => delta.with_metadata([
                (COLUMN, column.name.to_string()),
                (KIND, slot.kind.as_str().to_owned()),
            ]),
            None => delta,
        })
    });
    let fields = fields.collect::<Result<Vec<_>, StoreError>>()?;
    StructType::try_new(fields).map_err(|error| StoreError::Io { reason: error.to_string() })
}

fn known_slot(field: &StructField) -> Option<KnownSlot> {
    let text = |name: &str| match field.metadata().get(name)? {
        MetadataValue::String(text) => Some(text.as_str()),
        _ => None,
    };
    let kind = Kind::from_name(text(KIND)?)?;
    let shape = match kind {
        Kind::Nested => Some(shape_of(field.data_type())?),
        _ => None,
    };
    Some(KnownSlot { column: text(COLUMN)?.to_owned(), kind, shape, field: field.name().clone() })
}

/// Returns the shape of nested values of a type.
fn shape_of(ty: &DataType) -> Option<Shape> {
    Some(match ty {
        DataType::Array(list) => Shape::List(shape_of(list.element_type())?.into()),
        DataType::Struct(fields) => {
            let field = |it: &StructField| Some((it.name().clone(), shape_of(it.data_type())?));
            Shape::Struct(fields.fields().map(field).collect::<Option<_>>()?)
        }
        DataType::Primitive(PrimitiveType::Boolean) => Shape::Bool,
        DataType::Primitive(PrimitiveType::Long) => Shape::Int,
        DataType::Primitive(PrimitiveType::Double) => Shape::Float,
        DataType::Primitive(PrimitiveType::String) => Shape::Text,
        DataType::Primitive(PrimitiveType::Timestamp) => Shape::Time,
        _ => return None,
    })
}

fn delta_type(ty: &ArrowType) -> Result<DataType, StoreError> {
    Ok(match ty {
        ArrowType::Boolean => DataType::BOOLEAN,
        ArrowType::Int32 => DataType::INTEGER,
        ArrowType::Int64 => DataType::LONG,
        ArrowType::Float64 => DataType::DOUBLE,
        ArrowType::Utf8View => DataType::STRING,
        ArrowType::Timestamp(..) => DataType::TIMESTAMP,
        ArrowType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let ty = delta_type(field.data_type())?;
                Ok(StructField::new(field.name(), ty, field.is_nullable()))
            });
            let fields = fields.collect::<Result<Vec<_>, StoreError>>()?;
            let ty = StructType::try_new(fields);
            ty.map_err(|error| StoreError::Io { reason: error.to_string() })?.into()
        }
        ArrowType::List(element) => {
            ArrayType::new(delta_type(element.data_type())?, element.is_nullable()).into()
        }
        other => {
            return Err(StoreError::Io { reason: format!("no Parquet type for {other}") });
        }
    })
}
