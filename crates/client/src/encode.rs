//! From a row to a line, on the caller's thread and outside of any lock.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use streamtable_schema::{Media, MediaError, MediaSource, RowCheck, SchemaError, StoredFile, Type};
use streamtable_wire::{Logged, RowSink, media_file, write_row};

use crate::MediaFile;

/// The largest media file that a row may carry.
const MAX_MEDIA_BYTES: u64 = 1 << 30;

/// A row as it will travel, and what its table must know of it. Kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) line: Vec<u8>,
    pub(crate) files: Vec<MediaFile>,
    /// The columns' names, one behind the other.
    names: String,
    cells: Vec<(Range<usize>, Type)>,
}

impl Encoded {
    /// Writes a row into memory that is clear.
    pub(crate) fn write<T: Serialize + ?Sized>(
        &mut self,
        row: &T,
        logged: Logged<'_>,
    ) -> Result<(), SchemaError> {
        let Self { line, files, names, cells } = self;
        write_row(row, logged, line, &mut Sink { files, names, cells })
    }

    fn clear(&mut self) {
        /// What a thread keeps at the most, of lines and of names.
        const KEPT_BYTES: usize = 1 << 20;
        const KEPT_CELLS: usize = 1 << 12;

        let Self { line, files, names, cells } = self;
        files.clear();
        line.clear();
        line.shrink_to(KEPT_BYTES);
        names.clear();
        names.shrink_to(KEPT_BYTES);
        cells.clear();
        cells.shrink_to(KEPT_CELLS);
    }

    /// Checks the row against the columns of its table.
    pub(crate) fn check(&self, mut check: RowCheck<'_>) -> Result<(), SchemaError> {
        for (name, ty) in &self.cells {
            check.cell(&self.names[name.clone()], ty)?;
        }
        check.finish()
    }
}

/// Calls `use_it` with memory for a row that this thread keeps from call to call.
///
/// A row whose own `Serialize` logs another row gets memory of its own.
pub(crate) fn with_memory<R>(use_it: impl FnOnce(&mut Encoded) -> R) -> R {
    thread_local! {
        static MEMORY: Cell<Encoded> = Cell::default();
    }
    // A thread that ends may log once more, but has no memory to keep.
    let mut memory = MEMORY.try_with(Cell::take).unwrap_or_default();
    let result = use_it(&mut memory);
    memory.clear();
    let _ = MEMORY.try_with(|kept| kept.set(memory));
    result
}

struct Sink<'a> {
    files: &'a mut Vec<MediaFile>,
    names: &'a mut String,
    cells: &'a mut Vec<(Range<usize>, Type)>,
}

impl RowSink for Sink<'_> {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        let start = self.names.len();
        self.names.push_str(column);
        self.cells.push((start..self.names.len(), ty.clone()));
        Ok(())
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        let media = match media.source() {
            MediaSource::Path(path) => {
                let unreadable = |e| MediaError::unreadable(path, &e);
                check_size(file_size(path).map_err(unreadable)?)?;
                media.clone().with_bytes(read(path).map_err(unreadable)?.into())?
            }
            _ => media.clone(),
        };
        let MediaSource::Bytes(bytes) = media.source().clone() else {
            unreachable!("a stored file is not asked for, and a path was just read")
        };
        check_size(bytes.len() as u64)?;
        let file = media_file(media.kind(), media.format(), &bytes);
        self.files.push(MediaFile { path: file.path.as_str().into(), bytes });
        Ok((media, file))
    }
}

fn file_size(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    // What is no file may never end, or never begin.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(metadata.len())
}

/// Reads a file, however it grows meanwhile: no more than a row may carry, and a byte.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_MEDIA_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_size(bytes: u64) -> Result<(), MediaError> {
    if bytes > MAX_MEDIA_BYTES {
        return Err(MediaError::TooLarge { bytes, limit: MAX_MEDIA_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;

    use super::*;

    #[test]
    fn a_thread_keeps_memory_but_not_much() {
        with_memory(|encoded| encoded.line.resize(20 << 20, b'x'));
        let (len, kept) = with_memory(|encoded| (encoded.line.len(), encoded.line.capacity()));
        assert!(len == 0 && (1..=1 << 20).contains(&kept), "{len} of {kept}");
    }

    #[test]
    fn a_row_within_a_row_has_memory_of_its_own() {
        with_memory(|outer| {
            outer.line.push(b'x');
            with_memory(|inner| assert_eq!(inner.line, b""));
            assert_eq!(outer.line, b"x");
        });
    }

    #[test]
    fn a_thread_may_log_in_its_last_moments() {
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                with_memory(|encoded| encoded.line.push(b'x'));
            }
        }
        thread_local!(static LAST: OnceCell<Last> = const { OnceCell::new() });
        let thread = std::thread::spawn(|| {
            // What is made first ends last.
            LAST.with(|last| assert!(last.set(Last).is_ok()));
            with_memory(|encoded| encoded.line.push(b'x'));
        });
        assert!(thread.join().is_ok());
    }
}
