//! Flushes a table's rows from memory into Parquet files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use streamtable_store::{Problem, ProblemKind, StoreError};

use super::delta::{Change, DeltaFolder};
use super::folder::{read_state, write_state};
use super::parquet::{read_file, write_file};
use super::state::DataFile;
use super::table::{FlushState, Table, sorted};
use crate::log::Rotated;
use crate::ranges::Ranges;

/// Files with fewer rows than this are compacted.
const SMALL_FILE: u64 = 250_000;

/// Small files are compacted when there are this many in a row.
const TOO_MANY_SMALL: usize = 8;

/// A compacted file has at most this many rows.
const FULL_FILE: u64 = 1_000_000;

/// A failure, and the file that could not be read, if there was one.
type Unreadable = (Option<DataFile>, StoreError);

impl Table {
    /// Flushes all durable rows, and compacts small files.
    ///
    /// `log` is the extent of the log whose rows are flushed now. If `release` is set, the memory
    /// for the Delta log is freed afterwards.
    pub(super) async fn flush(
        &self,
        log: Rotated,
        keep_replaced: Duration,
        release: bool,
    ) -> Result<(), StoreError> {
        let mut flush_state = self.flush_state.lock().await;
        let flushed = async {
            self.flush_memtable(&mut flush_state, log).await?;
            self.compact(&mut flush_state).await
        };
        let flushed = flushed.await;
        let is_obsolete = |(since, _): &mut (Instant, String)| since.elapsed() >= keep_replaced;
        let obsolete: Vec<_> = flush_state.replaced.extract_if(.., is_obsolete).collect();
        if !obsolete.is_empty() {
            let sums = Arc::clone(&self.sums);
            let removed = self.blocking(move |folder| {
                for (_, name) in obsolete {
                    // If the file cannot be deleted, it only takes space.
                    let _ = folder.remove_file(&name);
                    sums.forget(&name);
                }
                Ok(())
            });
            let _ = removed.await;
        }
        if release || flushed.is_err() {
            flush_state.delta.release();
        }
        drop(flush_state);
        self.note_flush(&flushed);
        flushed
    }

    async fn flush_memtable(
        &self,
        flush_state: &mut FlushState,
        log: Rotated,
    ) -> Result<(), StoreError> {
        loop {
            match self.try_flush_memtable(flush_state, log).await {
                Ok(()) => return Ok(()),
                Err((Some(file), error)) => {
                    // If a file is damaged, only its own rows are lost.
                    if self.check_locked(flush_state, &[file]).await.is_empty() {
                        return Err(error);
                    }
                }
                Err((None, error)) => return Err(error),
            }
        }
    }

    async fn try_flush_memtable(
        &self,
        flush_state: &mut FlushState,
        log: Rotated,
    ) -> Result<(), Unreadable> {
        let (columns, batches, deleted, files, end, unreadable, mut stored) = {
            let mut state = self.state.lock();
            if !state.is_dirty() {
                state.oldest_segment = None;
                return Ok(());
            }
            state.frames = state.frames.max(log.frames);
            let stored = state.to_stored(&self.path);
            let files = Arc::clone(&state.files);
            let batches = state.memtable.batches();
            let unreadable = state.unreadable.clone();
            let columns = Arc::clone(&state.columns);
            (columns, batches, state.deleted.clone(), files, state.visible_upto, unreadable, stored)
        };
        let nothing_new = batches.is_empty();
        let affected: Vec<DataFile> = files
            .iter()
            .filter(|file| deleted.within(file.first..file.end).next().is_some())
            .cloned()
            .collect();
        if let Some(file) = affected.iter().find(|file| unreadable.contains_key(&file.name)) {
            let reason = format!("{} has replaced rows and cannot be read now", file.name);
            return Err((None, StoreError::Io { reason }));
        }
        let path = self.path.clone();
        let written = self.blocking({
            let (columns, deleted, affected) =
                (Arc::clone(&columns), deleted.clone(), affected.clone());
            move |folder| {
                let write = |batches: &[_]| write_file(folder, &path, &columns, batches, &deleted);
                let mut added = Vec::new();
                for file in &affected {
                    match read_file(folder, file) {
                        Ok(batches) => added.extend(write(&batches)?),
                        Err(error) => return Ok(Err((Some(file.clone()), error))),
                    }
                }
                added.extend(write(&batches)?);
                Ok(Ok(added))
            }
        });
        let added = written.await.map_err(|error| (None, error))??;
        let kept = files.iter().filter(|file| !affected.contains(file)).cloned();
        let files = Arc::new(sorted(kept.chain(added.iter().cloned()).collect()));
        let change = Change {
            columns: &columns,
            add: &added,
            remove: &affected,
            all: &files,
            flushed_upto: end,
            is_compaction: false,
        };
        let version = match stored.version {
            Some(version) if nothing_new && affected.is_empty() && !flush_state.must_commit => {
                version
            }
            _ => self.commit(flush_state, change).await.map_err(|error| (None, error))?,
        };
        let gone = deleted.count_within(0..end);
        stored.files = (*files).clone();
        stored.version = Some(version);
        stored.deleted.remove(0..end);
        stored.hole_count += gone;
        let count = {
            let mut state = self.state.lock();
            state.files = files;
            state.version = Some(version);
            state.flushed_upto = end;
            state.memtable.drop_before(end);
            state.is_unwritten = true;
            for range in deleted.within(0..end).collect::<Vec<_>>() {
                state.deleted.remove(range);
            }
            state.hole_count += gone;
            stored.problems.clone_from(&state.problems);
            state.writes + 1
        };
        flush_state.replaced.extend(affected.into_iter().map(|file| (Instant::now(), file.name)));
        let both = self.state.lock().is_copy_damaged;
        let last = if both { count + 1 } else { count };
        let wrote = self.blocking(move |folder| {
            for count in count..=last {
                write_state(folder, count, &stored)?;
            }
            Ok(())
        });
        wrote.await.map_err(|error| (None, error))?;
        let mut state = self.state.lock();
        state.writes = last;
        state.is_unwritten = false;
        state.is_copy_damaged = false;
        state.oldest_segment = (!state.memtable.is_empty()).then_some(log.next);
        Ok(())
    }

    /// Commits a change. If the Delta log cannot be read, it is moved aside, and a new one is
    /// started with all files of the table.
    pub(super) async fn commit(
        &self,
        flush_state: &mut FlushState,
        change: Change<'_>,
    ) -> Result<u64, StoreError> {
        if !flush_state.is_delta_lost {
            let error = match flush_state.delta.commit(change).await {
                Ok(version) => {
                    flush_state.must_commit = false;
                    return Ok(version);
                }
                Err(error) => error,
            };
            let newest = self.blocking(|folder| Ok(DeltaFolder::newest_version(folder)?));
            let has_log = newest.await?.is_some();
            match flush_state.delta.read().await {
                Err(error @ StoreError::Unavailable { .. }) => return Err(error),
                Ok(None) if has_log => {}
                Ok(_) => return Err(error),
                Err(_) if has_log => {}
                Err(_) => return Err(error),
            }
            self.report(Problem::new(
                ProblemKind::DeltaLogDamaged,
                format!("the Delta log cannot be read and was written again: {error}"),
            ));
        }
        flush_state.is_delta_lost = true;
        // The versions of the new log start at 0. After a crash, a state with a version of the old
        // log could take the new log for the old one.
        let renounced = self.blocking(|folder| {
            let found = read_state(folder)?;
            let Some(mut stored) = found.state else { return Ok(None) };
            stored.version = None;
            write_state(folder, found.count + 1, &stored)?;
            Ok(Some(found.count + 1))
        });
        if let Some(count) = renounced.await? {
            self.state.lock().writes = count;
        }
        flush_state.delta.set_aside(self.folder.join("_streamtable/damaged")).await?;
        let version = flush_state.delta.commit(change).await?;
        (flush_state.is_delta_lost, flush_state.must_commit) = (false, false);
        Ok(version)
    }

    async fn compact(&self, flush_state: &mut FlushState) -> Result<(), StoreError> {
        loop {
            let (files, columns, unreadable) = {
                let state = self.state.lock();
                let unreadable = state.unreadable.clone();
                (Arc::clone(&state.files), Arc::clone(&state.columns), unreadable)
            };
            let is_readable = |file: &DataFile| !unreadable.contains_key(&file.name);
            let Some(small) = small_files(&files, is_readable) else { return Ok(()) };
            let path = self.path.clone();
            let joined = self.blocking({
                let (columns, small) = (Arc::clone(&columns), small.clone());
                move |folder| {
                    let mut batches = Vec::new();
                    for file in &small {
                        match read_file(folder, file) {
                            Ok(rows) => batches.extend(rows),
                            Err(error) => return Ok(Err((file.clone(), error))),
                        }
                    }
                    Ok(Ok(write_file(folder, &path, &columns, &batches, &Ranges::default())?))
                }
            });
            let added: Vec<DataFile> = match joined.await? {
                Ok(joined) => joined.into_iter().collect(),
                Err((file, error)) => {
                    if self.check_locked(flush_state, &[file]).await.is_empty() {
                        return Err(error);
                    }
                    continue;
                }
            };
            let kept = files.iter().filter(|file| !small.contains(file)).cloned();
            let files = Arc::new(sorted(kept.chain(added.iter().cloned()).collect()));
            let change = Change {
                columns: &columns,
                add: &added,
                remove: &small,
                all: &files,
                flushed_upto: self.state.lock().flushed_upto,
                is_compaction: true,
            };
            let version = self.commit(flush_state, change).await?;
            let mut state = self.state.lock();
            state.files = files;
            state.version = Some(version);
            drop(state);
            // The state on disk still names the small files. They are kept for a while, and the
            // next start takes over the commit that the state does not contain.
            flush_state.replaced.extend(small.into_iter().map(|file| (Instant::now(), file.name)));
        }
    }
}

/// Finds neighboring files that are worth compacting and can be read.
fn small_files(
    files: &[DataFile],
    is_readable: impl Fn(&DataFile) -> bool,
) -> Option<Vec<DataFile>> {
    let mut run: Vec<DataFile> = Vec::new();
    let mut rows = 0;
    for file in files {
        if file.rows >= SMALL_FILE || !is_readable(file) {
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
    use std::fs;
    use std::time::SystemTime;

    use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};
    use streamtable_store::{Append as _, Batch, LineNumber, OnDuplicate, Store as _};

    use super::*;
    use crate::{EmbeddedStore, StoreConfig};

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
                on_duplicate: OnDuplicate::Ignore,
                columns: ColumnPolicy::Strict,
                received_at: Timestamp::from_micros(0),
            };
            store.append(batch).await.unwrap();
            let table = store.inner.find(&path).unwrap();
            for file in table.state.lock().files.iter() {
                let file =
                    fs::File::options().write(true).open(table.folder.path().join(&file.name));
                file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let read_before = table.snapshot();
            store.flush().await.unwrap();
            table.collect_garbage(Duration::from_secs(60)).await.unwrap();
            for file in read_before.files.iter() {
                assert!(table.folder.has(&file.name).unwrap(), "{} is gone", file.name);
            }
        }
        let table = store.inner.find(&path).unwrap();
        assert_eq!(table.state.lock().files.len(), 1, "the files were not put together");
        store.close().await.unwrap();
    }
}
