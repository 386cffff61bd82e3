//! The watermark of a writer: a small file next to its segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile, How};
use super::frame::u32_at;
use super::layout;
use crate::seeded_bug::{Bug, is_seeded};

/// Size of a slot: a counter, the two line numbers, the salt of the writer, so that the file of another
/// writer is not taken for this one's, and the CRC-32C of these.
const SLOT_BYTES: usize = 32;

/// Position of the slots. Earlier versions had two slots of another form before it.
const SLOTS_AT: usize = 64;

/// Size of an earlier version's slot: a counter, the settled line, and the CRC-32C of both.
const FORMER_SLOT_BYTES: usize = 24;

/// How far a writer got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watermark {
    /// All lines before this one are settled: acked or rejected.
    pub(crate) settled: u64,
    /// All lines before this one were on disk.
    pub(crate) end: u64,
    /// Whether `settled` is the newest one, so that segments before its line were removed and all later
    /// ones must be there. It may be older if the file is damaged or of an earlier version.
    pub(crate) is_exact: bool,
}

/// Stores a writer's watermark.
///
/// The file has two slots that are written alternately, so that one of them is intact at any time.
/// If both are damaged, settled lines are sent again, and the server ignores the duplicates.
#[derive(Debug)]
pub(crate) struct Acked {
    file: Arc<dyn DiskFile>,
    salt: u32,
    count: u64,
    watermark: Watermark,
}

impl Acked {
    /// Creates the file of a new writer.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, salt: u32) -> io::Result<Self> {
        let mut this = Self::open(disk, dir, salt)?;
        this.write(0, 0)?;
        Ok(this)
    }

    /// Opens the file, creating it if it does not exist. `salt` is that of the writer.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, salt: u32) -> io::Result<Self> {
        let file = disk.open(&dir.join(layout::ACKED), How::Write)?;
        let (count, watermark) = read(&*file, salt)?;
        Ok(Self { file, salt, count, watermark })
    }

    /// Reads the watermark without changing anything.
    pub(crate) fn peek(disk: &dyn Disk, dir: &Path, salt: u32) -> io::Result<Watermark> {
        match disk.open(&dir.join(layout::ACKED), How::Read) {
            Ok(file) => Ok(read(&*file, salt)?.1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Watermark::default()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    pub(crate) fn settled(&self) -> u64 {
        self.watermark.settled
    }

    /// Returns the file, so that the caller can sync it.
    pub(crate) fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// Records that all lines before `settled` are settled, and those before `end` are on disk.
    pub(crate) fn write(&mut self, settled: u64, end: u64) -> io::Result<()> {
        let settled = if is_seeded(Bug::EagerWatermark) { settled + 1 } else { settled };
        // If the write fails, the next one has the same slot: the other one has the newest watermark.
        let count = self.count + 1;
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(&count.to_le_bytes());
        slot[8..16].copy_from_slice(&settled.to_le_bytes());
        slot[16..24].copy_from_slice(&end.to_le_bytes());
        slot[24..28].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&slot[..28]);
        slot[28..].copy_from_slice(&crc.to_le_bytes());
        let at = SLOTS_AT + (count % 2) as usize * SLOT_BYTES;
        self.file.write_all_at(&slot, at as u64)?;
        self.count = count;
        self.watermark = Watermark { settled, end, is_exact: true };
        Ok(())
    }
}

/// Returns the counter and the watermark of the newest intact slot that belongs to the writer.
fn read(file: &(dyn DiskFile + 'static), salt: u32) -> io::Result<(u64, Watermark)> {
    let bytes = file.read_all((SLOTS_AT + 2 * SLOT_BYTES) as u64)?;
    let slots = bytes.get(SLOTS_AT..).unwrap_or_default().chunks_exact(SLOT_BYTES);
    let whole = slots.filter_map(|slot| {
        let is_intact = crc32c::crc32c(&slot[..28]) == u32_at(slot, 28);
        let watermark =
            Watermark { settled: u64_at(slot, 8), end: u64_at(slot, 16), is_exact: true };
        (is_intact && u32_at(slot, 24) == salt).then(|| (u64_at(slot, 0), watermark))
    });
    Ok(whole.max_by_key(|&(count, _)| count).unwrap_or_else(|| (0, former(&bytes, salt))))
}

/// Returns the watermark of an earlier version's file.
fn former(bytes: &[u8], salt: u32) -> Watermark {
    let slots = bytes.chunks_exact(FORMER_SLOT_BYTES).take(2);
    let settled = slots.filter_map(|slot| {
        let is_intact = crc32c::crc32c(&slot[..16]) == u32_at(slot, 16);
        let is_own = matches!(u32_at(slot, 20), owner if owner == salt || owner == 0);
        (is_intact && is_own).then(|| (u64_at(slot, 0), u64_at(slot, 8)))
    });
    Watermark { settled: settled.max().unwrap_or_default().1, ..Watermark::default() }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Machine;
    use crate::spool::sim_disk::{SimMachine, Trouble};

    #[test]
    fn the_newest_intact_slot_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Acked::open(&Machine, dir.path(), 7).unwrap();
        let peek = || Acked::peek(&Machine, dir.path(), 7).unwrap();
        assert_eq!(peek(), Watermark::default());
        for line in [3, 70_000, 70_001] {
            let mut acked = open();
            acked.write(line, 2 * line).unwrap();
            let expected = Watermark { settled: line, end: 2 * line, is_exact: true };
            assert_eq!(
                (acked.watermark(), open().watermark(), peek()),
                (expected, expected, expected)
            );
        }
        // The newest value is in the second slot.
        let path = dir.path().join(layout::ACKED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOTS_AT + SLOT_BYTES + 9] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(peek().settled, 70_000);
        std::fs::write(&path, [7; 130]).unwrap();
        assert_eq!(open().watermark(), Watermark::default());
    }

    #[test]
    fn failed_writes_leave_the_newest_watermark() {
        let machine = SimMachine::default();
        let disk = machine.process();
        disk.create_dir(Path::new("/spool")).unwrap();
        let dir = Path::new("/spool");
        let mut acked = Acked::create(&*disk, dir, 7).unwrap();
        acked.write(5, 9).unwrap();
        for _ in 0..5 {
            // Half of the slot is written.
            machine.fail(0, Trouble::Short);
            machine.fail(1, Trouble::Io);
            acked.write(6, 9).unwrap_err();
            let newest = Acked::peek(&*disk, dir, 7).unwrap();
            assert_eq!(newest, Watermark { settled: 5, end: 9, is_exact: true });
        }
        acked.write(7, 9).unwrap();
        assert_eq!(Acked::peek(&*disk, dir, 7).unwrap().settled, 7);
    }

    #[test]
    fn the_watermark_of_another_writer_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        Acked::create(&Machine, dir.path(), 7).unwrap().write(3, 4).unwrap();
        let peek = |salt| Acked::peek(&Machine, dir.path(), salt).unwrap();
        assert_eq!((peek(7).settled, peek(8)), (3, Watermark::default()));
    }

    #[test]
    fn files_of_earlier_versions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |salt: u32| {
            let mut slot = [1_u64.to_le_bytes(), 5_u64.to_le_bytes()].concat();
            slot.extend(crc32c::crc32c(&slot).to_le_bytes());
            slot.extend(salt.to_le_bytes());
            std::fs::write(dir.path().join(layout::ACKED), slot).unwrap();
        };
        let peek = |salt| Acked::peek(&Machine, dir.path(), salt).unwrap();
        for (written, settled) in [(0, 5), (7, 5), (8, 0)] {
            write(written);
            assert_eq!(peek(7), Watermark { settled, end: 0, is_exact: false });
        }
        Acked::open(&Machine, dir.path(), 8).unwrap().write(6, 9).unwrap();
        assert_eq!(peek(8), Watermark { settled: 6, end: 9, is_exact: true });
    }
}
