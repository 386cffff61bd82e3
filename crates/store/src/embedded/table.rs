//! One table: its state, and how its rows come to rest.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use streamtable_schema::{TablePath, Timestamp};
use tokio::sync::watch;

use super::delta::{Change, DeltaFolder};
use super::folder::write_state;
use super::parquet::{is_whole, read_file, write_file};
use super::state::{DataFile, TableState};
use crate::StoreError;
use crate::columns::{Columns, Seen};
use crate::ranges::Ranges;

/// Files with fewer rows than this are put together.
const SMALL_FILE: u64 = 250_000;

/// Small files are put together when there are so many in a row.
const TOO_MANY_SMALL: usize = 8;

/// A file gets no more rows than this by being put together.
const FULL_FILE: u64 = 1_000_000;

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: TablePath,
    pub(super) folder: PathBuf,
    pub(super) state: Mutex<TableState>,
    pub(super) end: watch::Sender<u64>,
    /// Held by the batch that is admitted, from the decision on its lines until it is submitted to
    /// the log.
    pub(super) admission: tokio::sync::Mutex<()>,
    rest: tokio::sync::Mutex<Rest>,
}

/// What only one task at a time does with a table.
#[derive(Debug)]
struct Rest {
    delta: DeltaFolder,
    /// Files that were replaced, and when: some reader may still have them open.
    replaced: Vec<(Instant, String)>,
}

/// A table at a moment, for a reader.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) folder: PathBuf,
    pub(crate) columns: Arc<Columns>,
    pub(crate) files: Arc<Vec<DataFile>>,
    pub(crate) live: Vec<arrow::array::RecordBatch>,
    /// Positions to leave out.
    pub(crate) dead: Ranges,
    pub(crate) end: u64,
    pub(crate) has_steps: bool,
}

impl Table {
    pub(super) fn new(path: TablePath, folder: PathBuf, state: TableState) -> Self {
        let rest = Rest { delta: DeltaFolder::new(folder.clone()), replaced: Vec::new() };
        Self {
            path,
            folder,
            end: watch::Sender::new(state.end),
            state: Mutex::new(state),
            admission: tokio::sync::Mutex::new(()),
            rest: tokio::sync::Mutex::new(rest),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            folder: self.folder.clone(),
            columns: Arc::clone(&state.columns),
            files: Arc::clone(&state.files),
            live: state.live.batches(),
            dead: state.dead.clone(),
            end: state.end,
            has_steps: state.last_step.is_some(),
        }
    }

    /// Takes over what a crash cut short: a commit that the state does not know of.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let version = self.state.lock().version;
        if !DeltaFolder::is_ahead(&self.folder, version) {
            return Ok(());
        }
        let Some(at_rest) = self.rest.lock().await.delta.read().await? else { return Ok(()) };
        let mut state = self.state.lock();
        state.flushed = state.flushed.max(at_rest.flushed);
        state.end = state.end.max(state.flushed);
        state.next_position = state.next_position.max(state.flushed);
        // What was dead at the commit is in no file any more.
        let rows: u64 = at_rest.files.iter().map(|file| file.rows).sum();
        let flushed = state.flushed;
        state.dead.remove(0..flushed);
        state.empty = flushed.saturating_sub(rows);
        state.files = Arc::new(at_rest.files);
        state.version = Some(at_rest.version);
        state.is_unwritten = true;
        let seen = Seen { position: state.known, at: Timestamp::from_micros(0) };
        Arc::make_mut(&mut state.columns).restore(at_rest.slots, seen);
        Ok(())
    }

    /// Puts all rows that are durable to rest, and writes down that they are.
    pub(super) async fn put_to_rest(&self, keep_replaced: Duration) -> Result<(), StoreError> {
        let mut rest = self.rest.lock().await;
        self.put_live_to_rest(&mut rest).await?;
        self.put_small_files_together(&mut rest).await?;
        rest.replaced.retain(|(since, name)| {
            since.elapsed() < keep_replaced || {
                // A file that cannot be deleted costs room and nothing else.
                let _ = fs::remove_file(self.folder.join(name));
                false
            }
        });
        Ok(())
    }

    async fn put_live_to_rest(&self, rest: &mut Rest) -> Result<(), StoreError> {
        let (columns, batches, dead, files, end, mut stored) = {
            let state = self.state.lock();
            if !state.is_dirty() {
                return Ok(());
            }
            let stored = state.to_stored(&self.path);
            let files = Arc::clone(&state.files);
            let batches = state.live.batches();
            (Arc::clone(&state.columns), batches, state.dead.clone(), files, state.end, stored)
        };
        let nothing_new = batches.is_empty();
        let schema = columns.arrow_schema();
        let affected: Vec<DataFile> = files
            .iter()
            .filter(|file| dead.within(file.first..file.end).next().is_some())
            .cloned()
            .collect();
        let added = self
            .blocking({
                let (schema, dead, affected) = (schema.clone(), dead.clone(), affected.clone());
                move |folder| {
                    let mut added = Vec::new();
                    for file in &affected {
                        let batches = read_file(folder, file)?;
                        added.extend(write_file(folder, &schema, &batches, &dead)?);
                    }
                    added.extend(write_file(folder, &schema, &batches, &dead)?);
                    Ok(added)
                }
            })
            .await?;
        let change = Change {
            columns: &columns,
            add: &added,
            remove: &affected,
            flushed: end,
            is_compaction: false,
        };
        let version = match stored.version {
            Some(version) if nothing_new && affected.is_empty() => version,
            _ => rest.delta.commit(change).await?,
        };
        let gone = dead.count_within(0..end);
        let kept = files.iter().filter(|file| !affected.contains(file)).cloned();
        let files = Arc::new(sorted(kept.chain(added).collect()));
        stored.files = (*files).clone();
        stored.version = Some(version);
        stored.dead.remove(0..end);
        stored.empty += gone;
        {
            let mut state = self.state.lock();
            state.files = files;
            state.version = Some(version);
            state.flushed = end;
            state.live.drop_before(end);
            state.is_unwritten = true;
            for range in dead.within(0..end).collect::<Vec<_>>() {
                state.dead.remove(range);
            }
            state.empty += gone;
        }
        rest.replaced.extend(affected.into_iter().map(|file| (Instant::now(), file.name)));
        self.blocking(move |folder| Ok(write_state(folder, &stored)?)).await?;
        self.state.lock().is_unwritten = false;
        Ok(())
    }

    /// Reads every file at rest, sets those aside whose checksum is wrong, and returns their names.
    pub(super) async fn verify(&self) -> Result<Vec<String>, StoreError> {
        let mut rest = self.rest.lock().await;
        let files = Arc::clone(&self.state.lock().files);
        let mut damaged = Vec::new();
        for file in files.iter().cloned() {
            let checked = file.clone();
            let whole = self.blocking(move |folder| Ok(is_whole(folder, &checked)?)).await;
            match whole {
                Ok(true) => {}
                Ok(false) => {
                    self.set_aside(&mut rest, &file).await?;
                    damaged.push(file.name);
                }
                Err(error) => {
                    tracing::error!(table = %self.path, file = file.name, %error, "a file cannot be read");
                }
            }
        }
        Ok(damaged)
    }

    /// Deletes files that no version of the table needs any more: those that were replaced before a
    /// restart, and those whose commit a crash prevented. Those that were replaced since are left to
    /// [`put_to_rest`](Self::put_to_rest): somebody may be reading them.
    pub(super) async fn sweep(&self, keep_replaced: Duration) -> Result<(), StoreError> {
        let rest = self.rest.lock().await;
        let files = Arc::clone(&self.state.lock().files);
        let kept = files.iter().map(|file| &file.name);
        let kept = kept.chain(rest.replaced.iter().map(|(_, name)| name));
        let needed: HashSet<String> = kept.cloned().collect();
        self.blocking(move |folder| {
            let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_ours = DataFile::from_name(&name, 0).is_some();
                let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
                if is_ours && !needed.contains(&name) && age >= keep_replaced {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Takes a damaged file out of the table, so that all other rows can be read.
    async fn set_aside(&self, rest: &mut Rest, file: &DataFile) -> Result<(), StoreError> {
        let (columns, flushed) = {
            let state = self.state.lock();
            (Arc::clone(&state.columns), state.flushed)
        };
        let remove = std::slice::from_ref(file);
        let change = Change { columns: &columns, add: &[], remove, flushed, is_compaction: false };
        let version = rest.delta.commit(change).await?;
        {
            let mut state = self.state.lock();
            let kept = state.files.iter().filter(|it| *it != file).cloned().collect();
            state.files = Arc::new(kept);
            let span = file.first..file.end;
            let dead = state.dead.count_within(span.clone());
            state.dead.remove(span);
            state.empty += file.rows.max(dead);
            state.version = Some(version);
        }
        let name = file.name.clone();
        self.blocking(move |folder| {
            let aside = folder.join("_streamtable/damaged");
            fs::create_dir_all(&aside)?;
            Ok(fs::rename(folder.join(&name), aside.join(&name))?)
        })
        .await?;
        tracing::error!(
            table = %self.path,
            file = file.name,
            rows = file.rows,
            "a damaged file is set aside in _streamtable/damaged; its rows are lost to queries"
        );
        Ok(())
    }

    async fn put_small_files_together(&self, rest: &mut Rest) -> Result<(), StoreError> {
        loop {
            let (files, columns) = {
                let state = self.state.lock();
                (Arc::clone(&state.files), Arc::clone(&state.columns))
            };
            let Some(small) = small_files(&files) else { return Ok(()) };
            let schema = columns.arrow_schema();
            let joined = self
                .blocking({
                    let (schema, small) = (schema.clone(), small.clone());
                    move |folder| {
                        let mut batches = Vec::new();
                        for file in &small {
                            batches.extend(read_file(folder, file)?);
                        }
                        write_file(folder, &schema, &batches, &Ranges::default())
                    }
                })
                .await?;
            let added: Vec<DataFile> = joined.into_iter().collect();
            let flushed = self.state.lock().flushed;
            let version = rest
                .delta
                .commit(Change {
                    columns: &columns,
                    add: &added,
                    remove: &small,
                    flushed,
                    is_compaction: true,
                })
                .await?;
            let kept = files.iter().filter(|file| !small.contains(file)).cloned();
            let mut state = self.state.lock();
            state.files = Arc::new(sorted(kept.chain(added).collect()));
            state.version = Some(version);
            drop(state);
            // The state on disk still names the small files. They are there for a while, and the
            // commit is found at the next start as one that the state does not know.
            rest.replaced.extend(small.into_iter().map(|file| (Instant::now(), file.name)));
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&std::path::Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || work(&folder)).await?
    }
}

fn sorted(mut files: Vec<DataFile>) -> Vec<DataFile> {
    files.sort_by_key(|file| file.first);
    files
}

/// Finds neighbours that are worth putting together.
fn small_files(files: &[DataFile]) -> Option<Vec<DataFile>> {
    let mut run: Vec<DataFile> = Vec::new();
    let mut rows = 0;
    for file in files {
        if file.rows >= SMALL_FILE {
            run.clear();
            rows = 0;
            continue;
        }
        if rows + file.rows > FULL_FILE && run.len() >= TOO_MANY_SMALL {
            return Some(run);
        }
        rows += file.rows;
        run.push(file.clone());
        if rows > FULL_FILE {
            rows -= run.remove(0).rows;
        }
    }
    (run.len() >= TOO_MANY_SMALL).then_some(run)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use streamtable_schema::ColumnPolicy;

    use super::*;
    use crate::{Batch, EmbeddedStore, LineNumber, Numbering, Store as _, StoreConfig};

    #[tokio::test]
    async fn what_was_replaced_a_moment_ago_is_swept_later_however_old_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(StoreConfig::new(folder.path())).await.unwrap();
        let path: TablePath = "me/shop/requests".parse().unwrap();
        for line in 0..TOO_MANY_SMALL as u64 {
            let batch = Batch {
                table: path.clone(),
                writer: "w".to_owned(),
                first_line: LineNumber::new(line).unwrap(),
                lines: vec![r#"{"n":1}"#.into()],
                numbering: Numbering::Once,
                columns: ColumnPolicy::Strict,
                received_at: Timestamp::from_micros(0),
            };
            store.append(batch).await.unwrap();
            let table = store.inner.find(&path).unwrap();
            for file in table.state.lock().files.iter() {
                let file = fs::File::options().write(true).open(table.folder.join(&file.name));
                file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let read_before = table.snapshot();
            store.put_to_rest().await.unwrap();
            table.sweep(Duration::from_secs(60)).await.unwrap();
            for file in read_before.files.iter() {
                assert!(table.folder.join(&file.name).exists(), "{} is gone", file.name);
            }
        }
        let table = store.inner.find(&path).unwrap();
        assert_eq!(table.state.lock().files.len(), 1, "the files were not put together");
        store.close().await.unwrap();
    }
}
