//! How far a writer's lines are settled: a small file beside its segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, How};
use super::frame::u32_at;
use super::layout;
use crate::seeded_bug::{Bug, is_seeded};

const SLOT_BYTES: usize = 24;

/// Remembers that all lines before some number are acked or rejected.
///
/// Two places are written in turn, so that one is whole at any time. When both are lost, lines are
/// sent again, which a server that tells them apart does not mind.
#[derive(Debug)]
pub(crate) struct Acked {
    file: Arc<dyn DiskFile>,
    count: u64,
    settled: u64,
}

impl Acked {
    /// Opens the file, and makes it if it is not there.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let file = disk.open(&dir.join(layout::ACKED), How::Write)?;
        let (count, settled) = read(&file.read_all(2 * SLOT_BYTES as u64)?);
        Ok(Self { file, count, settled })
    }

    /// Reads how far lines are settled, and changes nothing.
    pub(crate) fn peek(disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
        match disk.open(&dir.join(layout::ACKED), How::Read) {
            Ok(file) => Ok(read(&file.read_all(2 * SLOT_BYTES as u64)?).1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    /// The file, for whoever makes it safe.
    pub(crate) fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Writes down that all lines before `line` are settled.
    pub(crate) fn write(&mut self, line: u64) -> io::Result<()> {
        let line = if is_seeded(Bug::EagerWatermark) { line + 1 } else { line };
        self.count += 1;
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&self.count.to_le_bytes());
        slot[8..16].copy_from_slice(&line.to_le_bytes());
        let crc = crc32c::crc32c(&slot[..16]);
        slot[16..20].copy_from_slice(&crc.to_le_bytes());
        self.file.write_all_at(&slot, self.count % 2 * SLOT_BYTES as u64)?;
        self.settled = line;
        Ok(())
    }
}

/// Returns what the newest whole slot says.
fn read(bytes: &[u8]) -> (u64, u64) {
    let whole = bytes.chunks_exact(SLOT_BYTES).filter_map(|slot| {
        let number =
            |at: usize| slot[at..at + 8].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        (crc32c::crc32c(&slot[..16]) == u32_at(slot, 16)).then(|| (number(0), number(8)))
    });
    whole.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Machine;

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Acked::open(&Machine, dir.path()).unwrap();
        assert_eq!(Acked::peek(&Machine, dir.path()).unwrap(), 0);
        for line in [3, 70_000, 70_001] {
            let mut acked = open();
            acked.write(line).unwrap();
            assert_eq!((open().settled(), acked.settled()), (line, line));
        }
        // The newest is in the second place.
        let path = dir.path().join(layout::ACKED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_BYTES + 9] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Acked::peek(&Machine, dir.path()).unwrap(), 70_000);
        std::fs::write(&path, [7; 30]).unwrap();
        assert_eq!(open().settled(), 0);
    }
}
