//! The scrub: compares a table's files with their checksums.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use streamtable_store::{Problem, ProblemKind, StoreError};

use super::delta::Change;
use super::folder::{data_files, dated_files};
use super::parquet::{FileState, state_of};
use super::state::DataFile;
use super::table::{FlushState, Table};
use crate::disk::{cause, is_exhaustion};
use crate::place::is_unavailable;

impl Table {
    /// Reads every file of the table and its Delta log. Files that are damaged or missing are
    /// removed from the table; a Delta log that differs from the state is corrected. Returns the
    /// names of the removed files.
    ///
    /// In a bucket, which has its own checksums, only the files whose size is wrong are read.
    pub(super) async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.retry_unreadable().await;
        let files = Arc::clone(&self.state.lock().files);
        let lost = match self.folder.local() {
            Some(_) => self.check(&files).await,
            None => self.check_sizes(&files).await?,
        };
        self.check_delta().await?;
        Ok(lost)
    }

    /// Checks the files that queries could not read. Returns whether one of them was removed from
    /// the table, so that a query can be retried without it. Fails if a bucket does not answer: then
    /// nothing is known about the files, and that is why the query failed.
    pub(super) async fn check_suspects(&self) -> Result<bool, StoreError> {
        let suspects = self.sums.take_suspects();
        if suspects.is_empty() {
            return Ok(false);
        }
        let is_suspect = |file: &&DataFile| suspects.contains(&file.name);
        let files = Arc::clone(&self.state.lock().files);
        let files: Vec<DataFile> = files.iter().filter(is_suspect).cloned().collect();
        if let Some(file) = files.first().filter(|_| self.folder.local().is_none()) {
            let name = file.name.clone();
            self.blocking(move |folder| Ok(folder.has(&name).map(drop)))
                .await?
                .map_err(|error| StoreError::Unreachable { reason: error.to_string() })?;
        }
        self.check(&files).await;
        // Another query may have found the same damage first.
        let remaining = self.state.lock().readable_files();
        Ok(remaining.iter().filter(is_suspect).count() < suspects.len())
    }

    /// Tries to read the files again that could not be read.
    pub(super) async fn retry_unreadable(&self) {
        let files = {
            let mut state = self.state.lock();
            let state = &mut *state;
            state.unreadable.retain(|name, _| state.files.iter().any(|file| file.name == *name));
            let files = state.files.iter().filter(|it| state.unreadable.contains_key(&it.name));
            files.cloned().collect::<Vec<_>>()
        };
        if !files.is_empty() {
            self.check_locked(&mut *self.flush_state.lock().await, &files).await;
        }
    }

    /// Removes those files that are damaged or missing from the table, and returns their names. A
    /// file that cannot be read stays in the table, but is not served.
    async fn check(&self, files: &[DataFile]) -> Vec<String> {
        let mut suspects = Vec::new();
        for file in files {
            if self.is_suspect(file).await {
                suspects.push(file.clone());
            }
        }
        if suspects.is_empty() {
            return Vec::new();
        }
        self.check_locked(&mut *self.flush_state.lock().await, &suspects).await
    }

    /// Like [`check`](Self::check), for files that are listed with their sizes. Fails if they cannot
    /// be listed.
    async fn check_sizes(&self, files: &[DataFile]) -> Result<Vec<String>, StoreError> {
        let listed = self.blocking(|folder| Ok(data_files(folder)?)).await?;
        let is_listed = |file: &&DataFile| listed.contains(file);
        let suspects: Vec<DataFile> =
            files.iter().filter(|file| !is_listed(file)).cloned().collect();
        if suspects.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.check_locked(&mut *self.flush_state.lock().await, &suspects).await)
    }

    async fn is_suspect(&self, file: &DataFile) -> bool {
        let checked = file.clone();
        let found = self.blocking(move |folder| Ok(state_of(folder, &checked))).await;
        !matches!(found, Ok(Ok(FileState::Whole)))
    }

    /// Like [`check`](Self::check), for a caller that already holds the right to change the files.
    pub(super) async fn check_locked(
        &self,
        flush_state: &mut FlushState,
        files: &[DataFile],
    ) -> Vec<String> {
        let mut lost = Vec::new();
        for file in files {
            // It may have been replaced while it was being read.
            if !self.state.lock().files.contains(file) {
                continue;
            }
            let checked = file.clone();
            match self.blocking(move |folder| Ok(state_of(folder, &checked))).await {
                Ok(Ok(FileState::Whole)) => self.note_readable(file),
                Ok(Err(error)) if !is_exhaustion(&error) && !is_unavailable(&error) => {
                    self.note_unreadable(file, &error);
                }
                Ok(Ok(found)) => {
                    self.set_aside(flush_state, file, found).await;
                    lost.push(file.name.clone());
                }
                Ok(Err(error)) => self.log_unchecked(file, &error),
                Err(error) => self.log_unchecked(file, &error),
            }
        }
        lost
    }

    fn log_unchecked(&self, file: &DataFile, error: &dyn std::fmt::Display) {
        let name = &file.name;
        tracing::error!(table = %self.path, file = name, %error, "a file cannot be checked");
    }

    fn note_readable(&self, file: &DataFile) {
        if self.state.lock().unreadable.remove(&file.name).is_some() {
            tracing::info!(table = %self.path, file = file.name, "a file can be read again");
        }
    }

    /// Leaves a file out of queries until it can be read.
    fn note_unreadable(&self, file: &DataFile, error: &io::Error) {
        let reason = cause(error);
        let unreadable = &mut self.state.lock().unreadable;
        if unreadable.insert(file.name.clone(), reason.clone()).is_none() {
            tracing::error!(table = %self.path, file = file.name, reason, "a file cannot be read");
        }
    }

    /// Removes a file from the table, so that all other rows can be read.
    ///
    /// Always succeeds in memory, even if the disk fails. If something could not be written, the
    /// next flush writes it.
    async fn set_aside(&self, flush_state: &mut FlushState, file: &DataFile, found: FileState) {
        let (columns, files, flushed_upto) = {
            let mut state = self.state.lock();
            let kept = state.files.iter().filter(|it| *it != file).cloned().collect();
            state.files = Arc::new(kept);
            state.unreadable.remove(&file.name);
            let span = file.first..file.end;
            let deleted = state.deleted.count_within(span.clone());
            state.deleted.remove(span);
            state.hole_count += file.rows.max(deleted);
            state.is_unwritten = true;
            (Arc::clone(&state.columns), Arc::clone(&state.files), state.flushed_upto)
        };
        let detail = match found {
            FileState::Missing => format!("{} is missing", file.name),
            _ => format!("{} is damaged and was moved to _streamtable/damaged", file.name),
        };
        self.report(Problem::new(ProblemKind::FileLost, detail).with_rows(file.rows));
        flush_state.must_commit = true;
        let change = Change {
            columns: &columns,
            add: &[],
            remove: std::slice::from_ref(file),
            all: &files,
            flushed_upto,
            is_compaction: false,
        };
        match self.commit(flush_state, change).await {
            Ok(version) => self.state.lock().version = Some(version),
            Err(error) => {
                tracing::error!(table = %self.path, %error, "the Delta log cannot be written now");
            }
        }
        self.sums.forget(&file.name);
        if found == FileState::Missing {
            return;
        }
        let name = file.name.clone();
        let moved = self.blocking(move |folder| {
            Ok(folder.rename(&name, &folder.join("_streamtable/damaged"), &name)?)
        });
        if let Err(error) = moved.await {
            tracing::error!(table = %self.path, %error, "a damaged file cannot be moved");
        }
    }

    /// Reads the Delta log, and corrects it if it differs from the state.
    async fn check_delta(&self) -> Result<(), StoreError> {
        let mut flush_state = self.flush_state.lock().await;
        let (columns, files, flushed_upto, version) = {
            let state = self.state.lock();
            let (columns, files) = (Arc::clone(&state.columns), Arc::clone(&state.files));
            (columns, files, state.flushed_upto, state.version)
        };
        if version.is_none() || flush_state.is_delta_lost || flush_state.must_commit {
            // There is no log, or the next flush corrects it.
            return Ok(());
        }
        flush_state.delta.release();
        let found = flush_state.delta.read().await;
        flush_state.delta.release();
        let differs = match &found {
            Ok(Some(found)) => found.files != **files || Some(found.version) != version,
            Ok(None) => true,
            Err(StoreError::Unavailable { .. }) => false,
            // The commit finds out whether the log is damaged or the system cannot open files now.
            Err(_) => true,
        };
        if !differs {
            return Ok(());
        }
        if found.is_ok() {
            self.report(Problem::new(
                ProblemKind::DeltaLogDamaged,
                "the Delta log did not name the table's files and was corrected",
            ));
        }
        let change = Change {
            columns: &columns,
            add: &[],
            remove: &[],
            all: &files,
            flushed_upto,
            is_compaction: false,
        };
        let version = self.commit(&mut flush_state, change).await?;
        flush_state.delta.release();
        let mut state = self.state.lock();
        state.version = Some(version);
        state.is_unwritten = true;
        Ok(())
    }

    /// Collects garbage: deletes files that no version of the table needs, because they were
    /// replaced before a restart or their commit was prevented by a crash. Files that were replaced
    /// since the start are left to [`flush`](Self::flush), because a query may read them. A file
    /// with rows that are not flushed is kept.
    pub(super) async fn collect_garbage(&self, keep_replaced: Duration) -> Result<(), StoreError> {
        let flush_state = self.flush_state.lock().await;
        let (files, flushed_upto) = {
            let state = self.state.lock();
            (Arc::clone(&state.files), state.flushed_upto)
        };
        let kept = files.iter().map(|file| &file.name);
        let kept = kept.chain(flush_state.replaced.iter().map(|(_, name)| name));
        let needed: HashSet<String> = kept.cloned().collect();
        self.blocking(move |folder| {
            for (file, modified) in dated_files(folder)? {
                let Some(modified) = modified else { continue };
                let age = modified.elapsed().unwrap_or_default();
                if !needed.contains(&file.name) && file.end <= flushed_upto && age >= keep_replaced
                {
                    folder.remove_file(&file.name)?;
                }
            }
            Ok(())
        })
        .await
    }
}
