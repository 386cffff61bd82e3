//! Admission of rows: the part of `log` that checks a row and stores it in the journal.

use serde::Serialize;
use streamtable_wire::{Logged, MAX_LINE_BYTES};

use super::{Core, Delivered, Shared, now};
use crate::encode::{Encoded, with_memory};
use crate::journal::JournalError;
use crate::spool::media::MediaSpool;
use crate::{MediaFile, Refusal};

/// Why a row was not accepted.
pub(crate) enum NotTaken {
    Refused(Refusal),
    /// There may be space once more than `delivered` is delivered.
    NoRoom {
        bytes: u64,
        limit: u64,
        delivered: Delivered,
    },
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Full { bytes, limit } => Self::Full { bytes, limit },
            JournalError::TooLong { bytes, limit } => {
                let bound = |n| usize::try_from(n).unwrap_or(usize::MAX);
                Self::TooLong { bytes: bound(bytes), limit: bound(limit) }
            }
            JournalError::Io { reason } => Self::Journal { reason },
        }
    }
}

impl Core {
    /// Checks whether a row may be accepted.
    fn check(&mut self, row: &mut Encoded) -> Result<(), Refusal> {
        if self.is_finished {
            return Err(Refusal::Finished);
        }
        if self.is_driver_gone {
            return Err(Refusal::DriverGone);
        }
        if let Some(reason) = self.stop_reason().filter(|_| !self.logs_when_stopped) {
            return Err(Refusal::Stopped(reason.clone()));
        }
        Ok(row.check(self.number, self.schema.check(&mut self.change))?)
    }

    /// Stores a row in the journal, if there is space for it and its files.
    fn append(&mut self, row: &Encoded) -> Result<(), Refusal> {
        match (self.keep(row), self.stop_reason()) {
            // Waiting for space would not help.
            (Err(Refusal::Full { .. }), Some(reason)) => Err(Refusal::Stopped(reason.clone())),
            (kept, _) => kept,
        }
    }

    fn keep(&mut self, row: &Encoded) -> Result<(), Refusal> {
        if !row.files.is_empty() {
            let full = |(bytes, limit)| Refusal::Full { bytes, limit };
            self.media.check_room(&row.files).map_err(full)?;
        }
        Ok(self.journal.journal().append(&row.line)?)
    }
}

impl Shared {
    /// Accepts one row and returns its line number, or returns why not. Waits for nothing but the
    /// lock.
    pub(crate) fn log_row<T: Serialize + ?Sized>(&self, row: &T) -> Result<u64, NotTaken> {
        let logged = Logged { writer: &self.writer, at: self.clock.now() };
        with_memory(|encoded| {
            encoded.write(row, logged).map_err(Refusal::from)?;
            self.log_encoded(encoded)
        })
    }

    fn log_encoded(&self, row: &mut Encoded) -> Result<u64, NotTaken> {
        let bytes = row.line.len();
        if bytes > MAX_LINE_BYTES {
            return Err(Refusal::TooLong { bytes, limit: MAX_LINE_BYTES }.into());
        }
        if let Some(media_spool) = self.media_spool.as_ref().filter(|_| !row.files.is_empty()) {
            self.put_media(row, media_spool)?;
        }
        let mut core = self.core();
        let core_ref = &mut *core;
        core_ref.check(row)?;
        match core_ref.append(row) {
            Err(Refusal::Full { bytes, limit })
                if !core_ref.stats().is_settled() && !self.is_offline =>
            {
                // A full buffer has no reason to wait for more rows.
                core_ref.flush();
                self.wake.notify_one();
                return Err(NotTaken::NoRoom { bytes, limit, delivered: core_ref.delivered() });
            }
            kept => kept?,
        }
        core_ref.schema.apply(&mut core_ref.change);
        row.accepted_by(core_ref.number);
        let now = now();
        let line = core_ref.session.line_count();
        let mut is_news = core_ref.session.logged(now, bytes);
        let is_offline = self.is_offline;
        // Offline tables never send files from memory.
        let files = row.files.drain(..).map(|file| match is_offline {
            true => MediaFile { bytes: bytes::Bytes::new(), ..file },
            false => file,
        });
        is_news |= core_ref.media.add(now, files);
        drop(core);
        if is_news {
            self.wake.notify_one();
        }
        Ok(line)
    }

    /// Writes a row's files to disk before the row, without holding the lock: they may be large.
    ///
    /// If the row is refused afterwards, its files are removed with the spool.
    fn put_media(&self, row: &mut Encoded, media_spool: &MediaSpool) -> Result<(), Refusal> {
        let new: Vec<MediaFile> = {
            let mut core = self.core();
            core.check(row)?;
            core.media.unknown(&row.files).cloned().collect()
        };
        let put = new.iter().try_for_each(|file| media_spool.put(file));
        put.map_err(|error| Refusal::Journal { reason: error.to_string() })
    }

    /// Makes the accepted rows as durable as the journal does.
    pub(crate) fn commit(&self) -> Result<(), JournalError> {
        let mut core = self.core();
        let Some(spool) = core.journal.spool() else { return Ok(()) };
        let was_due = spool.is_sync_due();
        let result = spool.commit();
        let is_news = !was_due && spool.is_sync_due();
        drop(core);
        if is_news {
            self.wake.notify_one();
        }
        result
    }

    /// Waits until there may be space: the buffer has shrunk, or never will.
    pub(crate) async fn room(&self, before: Delivered) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            {
                let core = self.core();
                let is_over =
                    core.is_finished || core.is_driver_gone || core.stop_reason().is_some();
                if is_over || core.delivered() != before {
                    return;
                }
            }
            progress.await;
        }
    }

    /// Returns the panel's URL, the first time it is called after a row was accepted.
    pub(crate) fn announce(&self) -> Option<&str> {
        let url = self.panel_url.as_deref()?;
        let mut core = self.core();
        let is_first = !core.is_announced && core.session.line_count() > 0;
        core.is_announced |= is_first;
        is_first.then_some(url)
    }
}
