#![doc = include_str!("../README.md")]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

/// Pages are made ready for writing so many bytes at a time: one by one each would be a fault.
const READY_BYTES: usize = 128 << 10;

/// A file that is written through memory.
///
/// What [`write_at`](Self::write_at) wrote is what any reader of the file sees, in this process or
/// another, and stays when the process is killed. Against power cuts `File::sync_data` helps, as
/// ever.
#[derive(Debug)]
pub struct MappedFile {
    map: MmapRaw,
    /// Pages of this part are ready for writing.
    ready: Range<usize>,
}

impl MappedFile {
    /// Maps all of a file that is open for reading and writing.
    ///
    /// Memory has no way to tell of an error but to end the process (`SIGBUS`). So `None` is
    /// returned for a file that has holes, is empty, or lies where room that was allocated may be
    /// missing all the same. What is mapped must not be cut shorter by anybody, and a disk that
    /// fails to read back a page that was begun ends the process, too. A page that the system does
    /// not give at all, as after an error of the file system, is an error of `write_at` from Linux
    /// 5.14 on, if [`written_away`](Self::written_away) is told.
    pub fn new(file: &File) -> io::Result<Option<Self>> {
        if !keeps_room(file)? {
            return Ok(None);
        }
        let map = MmapOptions::new().map_raw(file)?;
        Ok(Some(Self { map, ready: 0..0 }))
    }

    /// The file's length in bytes when it was mapped.
    #[expect(clippy::len_without_is_empty, reason = "an empty file is not mapped")]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Writes all bytes, the first first: whoever is killed in the middle leaves a beginning.
    ///
    /// Fails without having written anything if the file is not long enough, or the system does not
    /// give its pages.
    pub fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if end > self.len() {
            return Err(ErrorKind::WriteZero.into());
        }
        if start < self.ready.start || end > self.ready.end {
            self.make_ready(start..end)?;
        }
        copy_in_order(bytes, &mut self.map, start);
        Ok(())
    }

    /// Hears that the system may have written pages away, as a sync does. It watches for the next
    /// write to each, so they are made ready anew.
    pub fn written_away(&mut self) {
        self.ready = 0..0;
    }

    /// Saves the faults that touching page by page would cost, and tells of those that would end
    /// the process. Where the system cannot do that they come one by one.
    fn make_ready(&mut self, part: Range<usize>) -> io::Result<()> {
        let until = part.end.next_multiple_of(READY_BYTES).min(self.len());
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;

            let count = until - part.start;
            match self.map.advise_range(memmap2::Advice::PopulateWrite, part.start, count) {
                // What it says where touching a page would raise SIGBUS.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::FAULT) => {
                    return Err(io::Error::other("the file system does not give the file's pages"));
                }
                _ => {}
            }
        }
        self.ready = part.start..until;
        Ok(())
    }
}

/// Copies bytes into a map that has room for them from `start` on, in order.
fn copy_in_order(bytes: &[u8], map: &mut MmapRaw, start: usize) {
    assert!(start <= map.len() && bytes.len() <= map.len() - start, "beyond the map");
    let to = map.as_mut_ptr().wrapping_add(start);
    let (head, rest) = bytes.split_at(to.align_offset(size_of::<u64>()).min(bytes.len()));
    let (words, tail) = rest.as_chunks();
    let words_to = to.wrapping_add(head.len()).cast::<u64>();
    let tail_to = to.wrapping_add(bytes.len() - tail.len());
    // Volatile writes keep their order, and a process dies between two instructions.
    #[expect(
        unsafe_code,
        reason = "memory that others may map, too, is only written to by pointer"
    )]
    // SAFETY: all bytes go to `start..start + bytes.len()`, which lies within the map, as was just
    // asserted. The map is writable and stays while it is borrowed, no reference into it is ever
    // made, and nobody else writes there by it, since the borrow is exclusive. `words_to` is
    // aligned: `head` reaches up to the next word, or takes all.
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

/// Tells whether a write to any place of the file will find room, however full the disk is.
#[cfg(target_os = "linux")]
fn keeps_room(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    /// `st_blocks` counts these, whatever the file system's blocks are.
    const BLOCK_BYTES: u64 = 512;

    // The kernel's numbers for ext4, XFS and tmpfs, as statfs(2) lists them: there a page of an
    // allocated file needs no more room when it is written. Not btrfs, which may copy it, nor
    // overlayfs, NFS or FUSE, behind which is anything. The type of the number is the machine's.
    let kind = rustix::fs::fstatfs(file)?.f_type;
    let is_kept = matches!(kind, 0xef53 | 0x5846_5342 | 0x0102_1994);
    let metadata = file.metadata()?;
    let has_holes = metadata.blocks().saturating_mul(BLOCK_BYTES) < metadata.len();
    Ok(is_kept && !has_holes && metadata.len() > 0)
}

/// Elsewhere it is not known.
#[cfg(not(target_os = "linux"))]
fn keeps_room(_: &File) -> io::Result<bool> {
    Ok(false)
}
