//! Completes a table's state at start from the other files on disk.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use streamtable_schema::{TablePath, Timestamp};
use streamtable_store::{Problem, ProblemKind, StoreError};

use super::delta::{CommittedTable, DeltaFolder};
use super::folder::{data_files, dated_files};
use super::parquet::{FileState, about, read_file, read_lines, state_of, within};
use super::state::DataFile;
use super::table::{Table, sorted};
use crate::columns::{FirstSeen, KnownSlot};
use crate::memtable::{MemBatch, Memory};
use crate::place::Folder;

impl Table {
    /// Takes over a commit that the state does not contain because of a crash between the two
    /// writes. If the Delta log is damaged, missing or older than the state, the next flush
    /// corrects it.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let version = self.state.lock().version;
        let newest = self.blocking(|folder| Ok(DeltaFolder::newest_version(folder)?)).await?;
        if newest == version {
            return Ok(());
        }
        let mut flush_state = self.flush_state.lock().await;
        let found = flush_state.delta.read().await;
        flush_state.delta.release();
        match found {
            Err(error @ StoreError::Unavailable { .. }) => Err(error),
            Ok(Some(found))
                if version.is_none_or(|it| found.version > it) && self.has(&found).await? =>
            {
                drop(flush_state);
                self.take_over(found);
                let from = self.state.lock().state_upto;
                self.learn_lines(from, false).await
            }
            found => {
                let detail = match found {
                    Ok(Some(_)) => {
                        flush_state.must_commit = true;
                        "the Delta log does not fit the table's state; it is corrected".to_owned()
                    }
                    Ok(None) => {
                        flush_state.is_delta_lost = true;
                        "the Delta log is missing; it is written again".to_owned()
                    }
                    Err(error) => {
                        flush_state.is_delta_lost = true;
                        format!("the Delta log cannot be read; it is written again: {error}")
                    }
                };
                flush_state.must_commit = true;
                drop(flush_state);
                self.report(Problem::new(ProblemKind::DeltaLogDamaged, detail));
                self.state.lock().is_unwritten = true;
                Ok(())
            }
        }
    }

    /// Returns whether a Delta log belongs to this table and continues its state.
    async fn has(&self, found: &CommittedTable) -> Result<bool, StoreError> {
        let new = {
            let state = self.state.lock();
            if found.flushed_upto < state.flushed_upto {
                return Ok(false);
            }
            found
                .files
                .iter()
                .filter(|file| !state.files.contains(file))
                .cloned()
                .collect::<Vec<_>>()
        };
        self.blocking(move |folder| {
            for file in new {
                if !folder.has(&file.name)? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    fn take_over(&self, found: CommittedTable) {
        let mut state = self.state.lock();
        // Rows after the last file are in the log, even if the commit claims that they are flushed.
        let last = found.files.iter().map(|file| file.end).max().unwrap_or(0);
        state.flushed_upto = state.flushed_upto.max(last);
        state.visible_upto = state.visible_upto.max(state.flushed_upto);
        state.next_position = state.next_position.max(state.flushed_upto);
        // Positions that were deleted at the time of the commit are in no file.
        let rows: u64 = found.files.iter().map(|file| file.rows).sum();
        let flushed_upto = state.flushed_upto;
        state.deleted.remove(0..flushed_upto);
        state.hole_count = flushed_upto.saturating_sub(rows);
        state.files = Arc::new(found.files);
        state.version = Some(found.version);
        state.is_unwritten = true;
        self.add_slots(&mut state, found.slots);
    }

    fn add_slots(&self, state: &mut super::state::TableState, slots: Vec<KnownSlot>) {
        let seen = FirstSeen { position: state.state_upto, at: Timestamp::from_micros(0) };
        Arc::make_mut(&mut state.columns).restore(slots, seen);
    }

    /// Rebuilds a state that was lost from the Delta log, or from the files alone.
    pub(super) async fn rebuild(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let on_disk = self.blocking(move |folder| Ok(own_files(folder, &path)?)).await?;
        let mut flush_state = self.flush_state.lock().await;
        let found = flush_state.delta.read().await;
        flush_state.delta.release();
        let is_there = |file: &DataFile| on_disk.iter().any(|it| it.name == file.name);
        match found {
            Err(error @ StoreError::Unavailable { .. }) => return Err(error),
            // The log of another table names files that are not here.
            Ok(Some(found)) if found.files.is_empty() || found.files.iter().any(is_there) => {
                self.take_over(found);
            }
            _ => {
                let files = self.blocking(move |folder| Ok(chosen(folder, on_disk)?)).await?;
                let slots = self.blocking({
                    let files = files.clone();
                    move |folder| {
                        let slots = files.iter().map(|file| Ok(about(folder, file)?.slots));
                        slots.collect::<Result<Vec<_>, StoreError>>()
                    }
                });
                let slots = slots.await?;
                let mut state = self.state.lock();
                state.flushed_upto = files.last().map_or(0, |file| file.end);
                state.visible_upto = state.flushed_upto;
                state.next_position = state.flushed_upto;
                let rows: u64 = files.iter().map(|file| file.rows).sum();
                state.hole_count = state.flushed_upto - rows;
                state.files = Arc::new(files);
                for slots in slots {
                    self.add_slots(&mut state, slots);
                }
                flush_state.is_delta_lost = true;
            }
        }
        flush_state.must_commit = true;
        drop(flush_state);
        {
            let mut state = self.state.lock();
            state.is_unwritten = true;
            state.is_copy_damaged = true;
        }
        self.learn_lines(0, true).await?;
        self.end.send_replace(self.state.lock().visible_upto);
        Ok(())
    }

    /// Reads from the files which lines are stored at and after a position.
    async fn learn_lines(&self, from: u64, is_rebuild: bool) -> Result<(), StoreError> {
        let files = Arc::clone(&self.state.lock().files);
        for file in files.iter().filter(|file| file.end > from) {
            self.learn_lines_of(file, from, is_rebuild).await?;
        }
        Ok(())
    }

    async fn learn_lines_of(
        &self,
        file: &DataFile,
        from: u64,
        is_rebuild: bool,
    ) -> Result<(), StoreError> {
        let read = file.clone();
        let lines = self.blocking(move |folder| {
            let mut lines: Vec<(Arc<str>, u64, u64)> = Vec::new();
            let (mut times, mut last_step) = (None, None);
            let learned = read_lines(folder, &read, from, |line| {
                let writer = match lines.last() {
                    Some((writer, ..)) if **writer == *line.writer => Arc::clone(writer),
                    _ => line.writer.into(),
                };
                lines.push((writer, line.line, line.position));
                let (low, high) = times.unwrap_or((line.time, line.time));
                times = Some((line.time.min(low), line.time.max(high)));
                last_step = last_step.max(line.step);
            });
            Ok(learned.map(|()| (lines, times, last_step)))
        });
        let (lines, times, last_step) = match lines.await? {
            Ok(learned) => learned,
            Err(error) => {
                // The check of all files reports it.
                tracing::warn!(table = %self.path, %error, "a file's lines are not known");
                return Ok(());
            }
        };
        let mut state = self.state.lock();
        for (writer, line, position) in lines {
            let replaced = state.note_line(&writer, line, position);
            // Only a rebuild finds both rows in files: a commit leaves out the replaced one.
            if let Some(old) = replaced.filter(|_| is_rebuild) {
                state.deleted.add(old..old + 1);
            }
        }
        if let Some((low, high)) = times {
            state.note(Timestamp::from_micros(low), last_step);
            state.note(Timestamp::from_micros(high), last_step);
        }
        Ok(())
    }

    /// Takes over files whose rows are in neither the state nor the log. Such files exist if both
    /// lost their newest part.
    pub(super) async fn adopt(&self, memory: &Arc<Memory>) -> Result<(), StoreError> {
        let (end, path) = (self.state.lock().visible_upto, self.path.clone());
        let files = self.blocking(move |folder| {
            let files = data_files(folder)?.into_iter().filter(|file| file.end > end);
            let files = files.filter(|file| !is_of_another(folder, file, &path));
            Ok(files.filter(|it| matches!(state_of(folder, it), Ok(FileState::Whole))).collect())
        });
        let files: Vec<DataFile> = files.await?;
        for file in files {
            let end = self.state.lock().visible_upto;
            if file.end <= end || self.state.lock().files.contains(&file) {
                continue;
            }
            let read = file.clone();
            let found = self.blocking(move |folder| {
                Ok((about(folder, &read)?.slots, read_file(folder, &read)?))
            });
            let (slots, batches) = found.await?;
            self.learn_lines_of(&file, end, false).await?;
            self.adopt_rows(&file, slots, &batches, memory)?;
            self.end.send_replace(file.end);
            self.flush_state.lock().await.must_commit = true;
            self.report(Problem::new(
                ProblemKind::StateDamaged,
                format!("the state and the log did not know {}; it was taken over", file.name),
            ));
        }
        Ok(())
    }

    /// Adds the rows of a file after all others.
    fn adopt_rows(
        &self,
        file: &DataFile,
        slots: Vec<KnownSlot>,
        batches: &[RecordBatch],
        memory: &Arc<Memory>,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let end = state.visible_upto;
        self.add_slots(&mut state, slots);
        state.hole_count += file.first.saturating_sub(end);
        if state.memtable.is_empty() && file.first >= end {
            state.files =
                Arc::new(sorted(state.files.iter().cloned().chain([file.clone()]).collect()));
            state.hole_count += file.end - file.first - file.rows;
            state.flushed_upto = file.end;
        } else {
            let columns = Arc::clone(&state.columns);
            let mut rows = 0;
            for batch in batches {
                let batch = within(batch, end..file.end);
                if batch.num_rows() == 0 {
                    continue;
                }
                let batch = MemBatch::of_all_slots(&batch, &columns)
                    .map_err(|error| StoreError::Io { reason: error.to_string() })?;
                rows += batch.batch.num_rows() as u64;
                let charge = memory.charge(batch.batch.get_array_memory_size());
                state.memtable.push(batch, charge);
            }
            state.hole_count += file.end - file.first.max(end) - rows;
        }
        state.visible_upto = file.end;
        state.next_position = state.next_position.max(file.end);
        state.is_unwritten = true;
        Ok(())
    }
}

/// Returns the table that a file names. A file that cannot be read names none.
pub(super) fn owner(folder: &Folder, file: &DataFile) -> Option<TablePath> {
    about(folder, file).ok()?.table
}

fn is_of_another(folder: &Folder, file: &DataFile, table: &TablePath) -> bool {
    owner(folder, file).is_some_and(|owner| owner != *table)
}

/// Returns the Parquet files in a table's folder, except those of other tables.
fn own_files(folder: &Folder, table: &TablePath) -> io::Result<Vec<DataFile>> {
    let files = data_files(folder)?.into_iter();
    Ok(files.filter(|file| !is_of_another(folder, file, table)).collect())
}

/// Chooses undamaged files that do not overlap and together hold all rows. If a file was replaced
/// by a larger one, or by one without the replaced rows, the newer one is chosen. Fails if a file
/// cannot be read, since its rows may be in no other one.
fn chosen(folder: &Folder, mut files: Vec<DataFile>) -> io::Result<Vec<DataFile>> {
    let dated = dated_files(folder)?;
    let modified = |file: &DataFile| dated.iter().find(|(it, _)| it.name == file.name)?.1;
    files.sort_by_cached_key(|file| {
        let width = file.end - file.first;
        (std::cmp::Reverse(width), file.rows, std::cmp::Reverse(modified(file)))
    });
    let mut chosen: Vec<DataFile> = Vec::new();
    for file in files {
        let overlaps = chosen.iter().any(|it| it.first < file.end && file.first < it.end);
        if !overlaps && state_of(folder, &file)? == FileState::Whole {
            chosen.push(file);
        }
    }
    Ok(sorted(chosen))
}
