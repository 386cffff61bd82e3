#![doc = include_str!("../README.md")]

mod exit;

pub use exit::at_exit;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

/// Pages are prefaulted in ranges of this size, because each single page would be a page fault.
const PREFAULT_BYTES: usize = 128 << 10;

/// A file that is written through a memory map.
///
/// Data written by [`write_at`](Self::write_at) is visible at once to every reader of the file, in
/// this process or another, and survives if the process is killed. To survive a power cut, call
/// `File::sync_data` as for any file.
#[derive(Debug)]
pub struct MappedFile {
    map: MmapRaw,
    /// The range of prefaulted pages, which can be written without a page fault.
    prefaulted: Range<usize>,
}

impl MappedFile {
    /// Maps a whole file that is open for reading and writing.
    ///
    /// A write error on mapped memory raises `SIGBUS`, which ends the process. Returns `None` if
    /// that could happen: the file is empty or sparse, or its file system does not guarantee that
    /// allocated space can be written.
    ///
    /// Two cases remain that end the process: if the file is truncated while it is mapped, and if
    /// the disk fails to read back a page that was partly written. From Linux 5.14 on, a page that
    /// the file system cannot provide, such as after an I/O error, is an error of `write_at`; this
    /// requires calls of [`written_away`](Self::written_away) after each sync.
    pub fn new(file: &File) -> io::Result<Option<Self>> {
        if !guarantees_space(file)? {
            return Ok(None);
        }
        let map = MmapOptions::new().map_raw(file)?;
        Ok(Some(Self { map, prefaulted: 0..0 }))
    }

    /// Returns the file's length in bytes when it was mapped.
    #[expect(clippy::len_without_is_empty, reason = "an empty file is not mapped")]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Writes all bytes in order: if the process is killed, a prefix has been written.
    ///
    /// Fails without writing anything if the file is too short, or the file system cannot provide
    /// the pages.
    pub fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if end > self.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        if start < self.prefaulted.start || end > self.prefaulted.end {
            self.prefault(start..end)?;
        }
        copy_in_order(bytes, &mut self.map, start);
        Ok(())
    }

    /// Called after a sync, or when the system may have written dirty pages to disk. The kernel
    /// then write-protects those pages, so they must be prefaulted again before the next write.
    pub fn written_away(&mut self) {
        self.prefaulted = 0..0;
    }

    /// Prefaults pages. This avoids a page fault per page, and returns an error for a page that
    /// would raise `SIGBUS`. If the system does not support it, page faults happen one by one.
    fn prefault(&mut self, part: Range<usize>) -> io::Result<()> {
        let until = part.end.next_multiple_of(PREFAULT_BYTES).min(self.len());
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;

            let count = until - part.start;
            match self.map.advise_range(memmap2::Advice::PopulateWrite, part.start, count) {
                // The error of a page that would raise `SIGBUS` if it were touched.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::FAULT) => {
                    return Err(io::Error::other(
                        "the file system cannot provide the file's pages",
                    ));
                }
                _ => {}
            }
        }
        self.prefaulted = part.start..until;
        Ok(())
    }
}

/// Copies bytes in order into a map that has space for them at `start`.
fn copy_in_order(bytes: &[u8], map: &mut MmapRaw, start: usize) {
    assert!(start <= map.len() && bytes.len() <= map.len() - start, "beyond the map");
    let to = map.as_mut_ptr().wrapping_add(start);
    let (head, rest) = bytes.split_at(to.align_offset(size_of::<u64>()).min(bytes.len()));
    let (words, tail) = rest.as_chunks();
    let words_to = to.wrapping_add(head.len()).cast::<u64>();
    let tail_to = to.wrapping_add(bytes.len() - tail.len());
    // Volatile writes keep their order, and a killed process stops between two instructions.
    #[expect(
        unsafe_code,
        reason = "memory that other processes may map must be written through pointers"
    )]
    // SAFETY: all bytes go to `start..start + bytes.len()`, which is inside the map (asserted
    // above). The map is writable and lives as long as the borrow. No reference into it is ever
    // made, and the exclusive borrow excludes other writers through this map. `words_to` is
    // aligned: `head` either ends at the next word boundary or takes all bytes.
    unsafe {
        for (i, &byte) in head.iter().enumerate() {
            to.add(i).write_volatile(byte);
        }
        for (i, &word) in words.iter().enumerate() {
            words_to.add(i).write_volatile(u64::from_ne_bytes(word));
        }
        for (i, &byte) in tail.iter().enumerate() {
            tail_to.add(i).write_volatile(byte);
        }
    }
}

/// Returns whether a write at any offset of the file has allocated space, even if the disk is full.
#[cfg(target_os = "linux")]
fn guarantees_space(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    /// The unit of `st_blocks`, regardless of the file system's block size.
    const BLOCK_BYTES: u64 = 512;

    // The kernel's numbers for ext4, XFS and tmpfs, from statfs(2). On these, writing a page of an
    // allocated file needs no more space. Not btrfs, which may copy the page; not overlayfs, NFS or
    // FUSE, which have unknown storage behind them. The integer type differs between machines.
    let kind = rustix::fs::fstatfs(file)?.f_type;
    let is_safe = matches!(kind, 0xef53 | 0x5846_5342 | 0x0102_1994);
    let metadata = file.metadata()?;
    let has_holes = metadata.blocks().saturating_mul(BLOCK_BYTES) < metadata.len();
    Ok(is_safe && !has_holes && metadata.len() > 0)
}

/// On other systems it is unknown.
#[cfg(not(target_os = "linux"))]
fn guarantees_space(_: &File) -> io::Result<bool> {
    Ok(false)
}
