//! The cache of checksums of a table's files.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use parquet::file::metadata::ParquetMetaData;

/// Checksums of a table's files that readers have checked, and the files that they could not read.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    files: Mutex<HashMap<String, Known>>,
    suspects: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The metadata whose checksum was right, while it is in memory.
    metadata: Vec<Weak<ParquetMetaData>>,
    blocks: Arc<[u32]>,
}

impl Sums {
    /// Returns the checksums of a file's blocks, if this metadata of the file was checked.
    pub(crate) fn checked(
        &self,
        file: &str,
        metadata: &Arc<ParquetMetaData>,
    ) -> Option<Arc<[u32]>> {
        let files = self.files.lock();
        let known = files.get(file)?;
        let is_same = |it: &Weak<_>| it.upgrade().is_some_and(|it| Arc::ptr_eq(&it, metadata));
        let is_checked = known.metadata.iter().any(is_same);
        is_checked.then(|| Arc::clone(&known.blocks))
    }

    /// Records that a file's metadata was checked, and the checksums of blocks in it.
    pub(crate) fn remember(&self, file: &str, metadata: &Arc<ParquetMetaData>, blocks: Vec<u32>) {
        let mut files = self.files.lock();
        let known = files.entry(file.to_owned()).or_default();
        known.metadata.retain(|it| it.strong_count() > 0);
        known.metadata.push(Arc::downgrade(metadata));
        known.blocks = blocks.into();
    }

    /// Removes a file that is no longer part of the table.
    pub(crate) fn forget(&self, file: &str) {
        self.files.lock().remove(file);
    }

    /// Records that a file could not be read.
    pub(crate) fn suspect(&self, file: &str) {
        self.suspects.lock().insert(file.to_owned());
    }

    /// Returns the files that could not be read since the last call.
    pub(crate) fn take_suspects(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.suspects.lock())
    }
}
