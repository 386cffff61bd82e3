//! The settled watermark of a writer: a small file next to its segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, How};
use super::frame::u32_at;
use super::layout;
use crate::seeded_bug::{Bug, is_seeded};

/// Size of a slot: a counter, a line number, the CRC-32C of both, and the salt of the writer, so that the
/// file of another writer is not taken for this one's. Earlier versions wrote zero in place of the salt.
const SLOT_BYTES: usize = 24;

/// Stores that all lines before some number are settled: acked or rejected.
///
/// The file has two slots that are written alternately, so that one of them is intact at any time.
/// If both are damaged, settled lines are sent again, and the server ignores the duplicates.
#[derive(Debug)]
pub(crate) struct Acked {
    file: Arc<dyn DiskFile>,
    salt: u32,
    count: u64,
    settled: u64,
}

impl Acked {
    /// Opens the file, creating it if it does not exist. `salt` is that of the writer.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, salt: u32) -> io::Result<Self> {
        let file = disk.open(&dir.join(layout::ACKED), How::Write)?;
        let (count, settled) = read(&file.read_all(2 * SLOT_BYTES as u64)?, salt);
        Ok(Self { file, salt, count, settled })
    }

    /// Reads the watermark without changing anything.
    pub(crate) fn peek(disk: &dyn Disk, dir: &Path, salt: u32) -> io::Result<u64> {
        match disk.open(&dir.join(layout::ACKED), How::Read) {
            Ok(file) => Ok(read(&file.read_all(2 * SLOT_BYTES as u64)?, salt).1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// Returns the file, so that the caller can sync it.
    pub(crate) fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Records that all lines before `line` are settled.
    pub(crate) fn write(&mut self, line: u64) -> io::Result<()> {
        let line = if is_seeded(Bug::EagerWatermark) { line + 1 } else { line };
        self.count += 1;
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&self.count.to_le_bytes());
        slot[8..16].copy_from_slice(&line.to_le_bytes());
        let crc = crc32c::crc32c(&slot[..16]);
        slot[16..20].copy_from_slice(&crc.to_le_bytes());
        slot[20..].copy_from_slice(&self.salt.to_le_bytes());
        self.file.write_all_at(&slot, self.count % 2 * SLOT_BYTES as u64)?;
        self.settled = line;
        Ok(())
    }
}

/// Returns the counter and the watermark of the newest intact slot that belongs to the writer.
fn read(bytes: &[u8], salt: u32) -> (u64, u64) {
    let whole = bytes.chunks_exact(SLOT_BYTES).filter_map(|slot| {
        let number =
            |at: usize| slot[at..at + 8].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        let is_intact = crc32c::crc32c(&slot[..16]) == u32_at(slot, 16);
        let is_own = matches!(u32_at(slot, 20), owner if owner == salt || owner == 0);
        (is_intact && is_own).then(|| (number(0), number(8)))
    });
    whole.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Machine;

    #[test]
    fn the_newest_intact_slot_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Acked::open(&Machine, dir.path(), 7).unwrap();
        assert_eq!(Acked::peek(&Machine, dir.path(), 7).unwrap(), 0);
        for line in [3, 70_000, 70_001] {
            let mut acked = open();
            acked.write(line).unwrap();
            assert_eq!((open().settled(), acked.settled()), (line, line));
        }
        // The newest value is in the second slot.
        let path = dir.path().join(layout::ACKED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_BYTES + 9] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Acked::peek(&Machine, dir.path(), 7).unwrap(), 70_000);
        std::fs::write(&path, [7; 30]).unwrap();
        assert_eq!(open().settled(), 0);
    }

    #[test]
    fn the_watermark_of_another_writer_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        Acked::open(&Machine, dir.path(), 7).unwrap().write(3).unwrap();
        let peek = |salt| Acked::peek(&Machine, dir.path(), salt).unwrap();
        assert_eq!((peek(7), peek(8)), (3, 0));
        // An earlier version wrote no salt.
        let path = dir.path().join(layout::ACKED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_BYTES + 20..].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(peek(8), 3);
    }
}
