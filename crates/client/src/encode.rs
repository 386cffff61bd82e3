//! From a row to a line, on the caller's thread and outside of any lock.

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;
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
    /// Writes a row; on an error nothing of it is left.
    pub(crate) fn write<T: Serialize + ?Sized>(
        &mut self,
        row: &T,
        logged: Logged<'_>,
    ) -> Result<(), SchemaError> {
        self.line.clear();
        let Self { line, files, names, cells } = self;
        files.clear();
        names.clear();
        cells.clear();
        write_row(row, logged, line, &mut Sink { files, names, cells })
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
        static MEMORY: RefCell<Encoded> = RefCell::default();
    }
    /// What a thread keeps at the most.
    const KEPT_BYTES: usize = 1 << 20;

    MEMORY.with(|memory| match memory.try_borrow_mut() {
        Ok(mut memory) => {
            let result = use_it(&mut memory);
            memory.files.clear();
            memory.line.shrink_to(KEPT_BYTES);
            result
        }
        Err(_) => use_it(&mut Encoded::default()),
    })
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
                let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
                check_size(bytes)?;
                let bytes = Bytes::from(std::fs::read(path).map_err(unreadable)?);
                media.clone().with_bytes(bytes)?
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

fn check_size(bytes: u64) -> Result<(), MediaError> {
    if bytes > MAX_MEDIA_BYTES {
        return Err(MediaError::TooLarge { bytes, limit: MAX_MEDIA_BYTES });
    }
    Ok(())
}
