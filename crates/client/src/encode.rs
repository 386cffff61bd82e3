//! Encoding of rows, on the caller's thread and without holding a lock.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use streamtable_schema::{Media, MediaError, MediaSource, RowCheck, SchemaError, StoredFile, Type};
use streamtable_wire::{Logged, RowSink, media_file, write_row};

use crate::MediaFile;

/// Maximum size of a media file in bytes.
const MAX_MEDIA_BYTES: u64 = 1 << 30;

/// An encoded row, and the names and types of its cells. It is reused to avoid allocations, and
/// because most rows have the same columns and types as the previous one: cells that the table
/// accepted before need no new lookup.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) line: Vec<u8>,
    pub(crate) files: Vec<MediaFile>,
    cells: Cells,
    /// The id of the table that accepted these cells.
    known_to: Option<u64>,
}

/// The column names and types of a row's cells.
#[derive(Debug, Default)]
struct Cells {
    /// The names, concatenated.
    names: String,
    cells: Vec<KnownCell>,
    /// Number of cells of the row being written. Later ones belong to the previous row.
    count: usize,
}

#[derive(Debug)]
struct KnownCell {
    name: Range<usize>,
    ty: Type,
    /// The column of this cell in the table that accepted the row.
    column: Option<usize>,
}

impl Cells {
    fn push(&mut self, name: &str, ty: &Type) {
        if let Some(cell) = self.cells.get(self.count) {
            let before = &self.names.as_bytes()[cell.name.clone()];
            if before == name.as_bytes() && cell.ty == *ty {
                self.count += 1;
                return;
            }
            self.cut();
        }
        let start = self.names.len();
        self.names.push_str(name);
        let name = start..self.names.len();
        self.cells.push(KnownCell { name, ty: ty.clone(), column: None });
        self.count += 1;
    }

    /// Removes the remaining cells of the previous row.
    fn cut(&mut self) {
        self.cells.truncate(self.count);
        self.names.truncate(self.cells.last().map_or(0, |cell| cell.name.end));
    }
}

impl Encoded {
    /// Encodes a row into a cleared buffer.
    pub(crate) fn write<T: Serialize + ?Sized>(
        &mut self,
        row: &T,
        logged: Logged<'_>,
    ) -> Result<(), SchemaError> {
        let Self { line, files, cells, .. } = self;
        cells.count = 0;
        let result = write_row(row, logged, line, &mut Sink { files, cells });
        cells.cut();
        result
    }

    fn clear(&mut self) {
        /// Maximum memory that a thread keeps for lines and for names. Types need about as much as
        /// the line.
        const KEPT_BYTES: usize = 1 << 20;
        const KEPT_CELLS: usize = 1 << 12;

        let Self { line, files, cells, .. } = self;
        files.clear();
        let is_long = line.capacity().max(cells.names.capacity()) > KEPT_BYTES;
        if is_long || cells.cells.capacity() > KEPT_CELLS {
            *cells = Cells::default();
        }
        line.clear();
        line.shrink_to(KEPT_BYTES);
    }

    /// Checks the row against the columns of a table, which is identified by a number.
    pub(crate) fn check(&mut self, table: u64, mut check: RowCheck<'_>) -> Result<(), SchemaError> {
        let is_known = self.known_to.take() == Some(table);
        let Cells { names, cells, .. } = &mut self.cells;
        for cell in cells {
            match cell.column.filter(|_| is_known) {
                Some(column) => check.known_cell(column)?,
                None => cell.column = Some(check.cell(&names[cell.name.clone()], &cell.ty)?),
            }
        }
        check.finish()
    }

    /// Called when the table has accepted the row that was checked last.
    pub(crate) fn taken_by(&mut self, table: u64) {
        self.known_to = Some(table);
    }
}

/// Calls `use_it` with a buffer that this thread reuses for every row.
///
/// If the `Serialize` implementation of a row logs another row, that row gets a buffer of its own.
pub(crate) fn with_memory<R>(use_it: impl FnOnce(&mut Encoded) -> R) -> R {
    thread_local! {
        static MEMORY: Cell<Option<Box<Encoded>>> = const { Cell::new(None) };
    }
    // While a thread ends, rows may still be logged, but the buffer is not kept.
    let mut memory = MEMORY.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let result = use_it(&mut memory);
    memory.clear();
    let _ = MEMORY.try_with(|kept| kept.set(Some(memory)));
    result
}

struct Sink<'a> {
    files: &'a mut Vec<MediaFile>,
    cells: &'a mut Cells,
}

impl RowSink for Sink<'_> {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.cells.push(column, ty);
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
            unreachable!("the file source is a path, which was just read")
        };
        check_size(bytes.len() as u64)?;
        let file = media_file(media.kind(), media.format(), &bytes);
        self.files.push(MediaFile { path: file.path.as_str().into(), bytes });
        Ok((media, file))
    }
}

fn file_size(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    // Only regular files: reading a FIFO or a device could block forever.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(metadata.len())
}

/// Reads a file, up to one byte more than the maximum, even if it is growing.
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

    use proptest::prelude::*;
    use proptest::sample::select;
    use streamtable_schema::{Change, ColumnPolicy, Row, Schema, Timestamp, Value};

    use super::*;

    #[test]
    fn a_thread_keeps_a_buffer_of_limited_size() {
        with_memory(|encoded| encoded.line.resize(20 << 20, b'x'));
        let (len, kept) = with_memory(|encoded| (encoded.line.len(), encoded.line.capacity()));
        assert!(len == 0 && (1..=1 << 20).contains(&kept), "{len} of {kept}");
    }

    /// A type may have almost as many parts as its line has bytes.
    #[test]
    fn types_of_long_rows_are_not_kept() {
        let fields = |count: usize| (0..count).map(|n| (n.to_string(), n)).collect();
        let row = |count| Row::from_iter([("a", Value::Struct(fields(count)))]);
        let mut encoded = Encoded::default();
        for (count, is_kept) in [(10, true), (100_000, false), (10, true)] {
            encoded.write(&row(count), LOGGED).unwrap();
            encoded.clear();
            assert_eq!(!encoded.cells.cells.is_empty(), is_kept, "{count} fields");
        }
    }

    #[test]
    fn a_row_logged_by_another_row_has_its_own_buffer() {
        with_memory(|outer| {
            outer.line.push(b'x');
            with_memory(|inner| assert_eq!(inner.line, b""));
            assert_eq!(outer.line, b"x");
        });
    }

    #[test]
    fn rows_can_be_logged_while_a_thread_ends() {
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                with_memory(|encoded| encoded.line.push(b'x'));
            }
        }
        thread_local!(static LAST: OnceCell<Last> = const { OnceCell::new() });
        let thread = std::thread::spawn(|| {
            // Thread-local values are dropped in reverse order of creation, so this is the last one.
            LAST.with(|last| assert!(last.set(Last).is_ok()));
            with_memory(|encoded| encoded.line.push(b'x'));
        });
        assert!(thread.join().is_ok());
    }

    const LOGGED: Logged<'static> = Logged { writer: "w", at: Timestamp::from_micros(0) };

    /// Few columns and kinds, so that rows are often equal or similar to the previous one.
    fn row() -> impl Strategy<Value = Row> {
        let value =
            select(vec![Value::from(1), 0.5.into(), "x".into(), Value::Null, vec![1].into()]);
        let name = select(&["a", "b", "c", "long name"][..]);
        prop::collection::vec((name, value), 0..5).prop_map(Row::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The kept cells of the previous row never change a result, whatever its table and its
        /// outcome.
        #[test]
        fn reused_buffers_do_not_change_results(
            policy in select(&[ColumnPolicy::Strict, ColumnPolicy::Evolve][..]),
            rows in prop::collection::vec((row(), 0..2usize, any::<bool>()), 0..30),
        ) {
            let mut kept = Encoded::default();
            let mut tables = [0, 1].map(|_| [Schema::new(policy), Schema::new(policy)]);
            let mut change = Change::default();
            for (row, table, has_room) in rows {
                let [with, without] = &mut tables[table];
                kept.clear();
                let written = kept.write(&row, LOGGED);
                let mut fresh = Encoded::default();
                prop_assert_eq!(&written, &fresh.write(&row, LOGGED));
                prop_assert_eq!(&kept.line, &fresh.line);
                if written.is_err() {
                    continue;
                }
                let expected = fresh.check(7, without.check(&mut change));
                if expected.is_ok() && has_room {
                    without.apply(&mut change);
                }
                let checked = kept.check(table as u64, with.check(&mut change));
                prop_assert_eq!(&checked, &expected);
                if checked.is_ok() && has_room {
                    with.apply(&mut change);
                    kept.taken_by(table as u64);
                }
                prop_assert_eq!(&*with, &*without);
            }
        }
    }
}
