//! The rows that a table takes, split into pieces from which arrays are built.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use streamtable_schema::Value;
use streamtable_wire::HistoryLine;

use super::slot::media_fields;
use super::{ColumnMatch, Columns, Kind, Slot, SlotOf};

/// The slot of a cell that is null.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// The number of bytes that arrays may take for each byte of the lines that they are built from.
///
/// Every array has room for every row of its piece, so rows of many different columns would need
/// memory in proportion to rows × columns. 32 lets all but the sparsest rows share a piece.
const ARRAY_BYTES_PER_LINE_BYTE: usize = 32;

/// The number of bytes that arrays may always take, however short their lines are, so that a few
/// small rows share a piece.
const SMALL_ARRAYS: usize = 64 << 10;

/// The bytes of an array in addition to its values: its structs, and the padding of its
/// allocations.
const ARRAY_OVERHEAD: usize = 640;

/// Returns whether rows that have values in slots of `width` bytes a row may share one set of arrays.
pub(crate) fn may_share(rows: usize, width: usize, line_bytes: usize) -> bool {
    let allowed = line_bytes.saturating_mul(ARRAY_BYTES_PER_LINE_BYTE).max(SMALL_ARRAYS);
    rows.saturating_mul(width) <= allowed
}

/// Returns how many bytes an array of a slot takes for each row, without long texts.
pub(crate) fn width(ty: &DataType) -> usize {
    let kind = match ty {
        DataType::Boolean => Kind::Bool,
        DataType::Utf8View => Kind::Text,
        DataType::Struct(fields) if *fields == media_fields() => Kind::Media,
        DataType::Struct(fields) => {
            return 1 + fields.iter().map(|field| width(field.data_type())).sum::<usize>();
        }
        DataType::List(_) => Kind::Ints,
        _ => Kind::Int,
    };
    kind.width()
}

impl Slot {
    fn width(&self) -> usize {
        match &self.shape {
            Some(shape) => width(&shape.arrow_type()),
            None => self.kind.width(),
        }
    }

    /// Returns how many bytes the elements of a cell's lists take, without long texts.
    fn elements_width(&self, value: &Value) -> usize {
        match (&self.shape, value) {
            (Some(_), value) => nested_elements_width(value),
            (None, Value::List(items)) => {
                self.kind.element().map_or(0, |element| items.len() * element.width())
            }
            _ => 0,
        }
    }

    fn overhead(&self) -> usize {
        let arrays = match (&self.shape, self.kind) {
            (Some(shape), _) => shape.parts(),
            (None, Kind::Media) => 9,
            (None, kind) => 1 + usize::from(kind.element().is_some()),
        };
        arrays * ARRAY_OVERHEAD
    }
}

fn nested_elements_width(value: &Value) -> usize {
    match value {
        Value::List(items) => {
            items.iter().map(|item| Kind::Text.width() + nested_elements_width(item)).sum()
        }
        Value::Struct(row) => row.cells().map(|(_, value)| nested_elements_width(value)).sum(),
        _ => 0,
    }
}

impl Kind {
    /// Returns how many bytes a slot of this kind takes for each row, without long texts and the
    /// elements of lists.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int | Self::Float | Self::Time => 9,
            Self::Text | Self::Json => 17,
            Self::Media => 105,
            Self::Bools | Self::Ints | Self::Floats | Self::Texts | Self::Times => 5,
            Self::Nested => 1,
        }
    }
}

/// A row that its table takes.
#[derive(Debug)]
pub(crate) struct AcceptedRow {
    pub(crate) position: u64,
    pub(crate) line: u64,
    /// When it was logged, in microseconds.
    pub(crate) at: i64,
    /// The index of its writer.
    pub(crate) writer: usize,
    pub(crate) parsed: HistoryLine,
}

/// Rows that a table takes, in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct AcceptedRows {
    pub(super) writers: Vec<Arc<str>>,
    pub(super) rows: Vec<AcceptedRow>,
    /// The slot of each cell of each row, or [`NO_SLOT`].
    pub(super) cells: Vec<u32>,
    pub(super) pieces: Vec<Piece>,
    /// For each slot of the table, one more than the index of the last piece that has the slot.
    marks: Vec<u32>,
    /// An estimate of the bytes that the arrays of all pieces but the last take.
    complete_bytes: usize,
}

/// Consecutive rows whose values share one set of arrays.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) rows: Range<usize>,
    /// The index of the first cell of the rows.
    pub(super) cells: usize,
    /// The slots that the rows have values in.
    pub(super) slots: Vec<u32>,
    /// The bytes of those slots for each row.
    pub(super) width: usize,
    /// The bytes of the lines.
    pub(super) line_bytes: usize,
    /// The bytes of the elements of lists, without long texts.
    element_bytes: usize,
    overhead: usize,
}

impl Piece {
    fn array_bytes(&self) -> usize {
        /// The bytes a row of the fixed columns: five columns of 8 bytes and one of texts, with
        /// their null bits.
        const FIXED_WIDTH: usize = 64;
        let fixed = super::FIXED.len() * ARRAY_OVERHEAD;
        let rows = self.rows.len() * (self.width + FIXED_WIDTH);
        rows + self.line_bytes + self.element_bytes + self.overhead + fixed
    }
}

impl AcceptedRows {
    /// Adds a writer, and returns its index.
    pub(crate) fn add_writer(&mut self, id: Arc<str>) -> usize {
        self.writers.push(id);
        self.writers.len() - 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns an estimate of the bytes that the arrays of all rows will take.
    pub(crate) fn array_bytes(&self) -> usize {
        self.complete_bytes + self.pieces.last().map_or(0, Piece::array_bytes)
    }

    /// Adds a row of `line_bytes` bytes whose cells have the columns in `fit`, and adds the slots
    /// that the columns need for it.
    pub(crate) fn push(
        &mut self,
        columns: &mut Arc<Columns>,
        fit: &ColumnMatch,
        row: AcceptedRow,
        line_bytes: usize,
    ) {
        let first_cell = self.cells.len();
        let (mut element_bytes, mut grown_width) = (0, 0);
        for ((_, value), &column) in row.parsed.row.cells().zip(fit.places()) {
            let place = match columns.slot_of(column, value) {
                SlotOf::Null => NO_SLOT,
                SlotOf::Place(place) => place as u32,
                SlotOf::Grown(place, shape) => {
                    let columns = Arc::make_mut(columns);
                    let before = columns.slot(place as u32).width();
                    columns.grow_slot(place, shape);
                    grown_width += columns.slot(place as u32).width() - before;
                    place as u32
                }
                SlotOf::Missing(kind, shape) => {
                    Arc::make_mut(columns).add_slot(column, kind, shape) as u32
                }
            };
            if place != NO_SLOT {
                element_bytes += columns.slot(place).elements_width(value);
            }
            self.cells.push(place);
        }
        self.marks.resize(columns.slot_count(), 0);
        self.place(columns, first_cell, line_bytes, grown_width);
        if let Some(piece) = self.pieces.last_mut() {
            piece.element_bytes += element_bytes;
        }
        self.rows.push(row);
    }

    /// Finds the piece for a row whose cells begin at `first_cell`, and which makes slots wider by
    /// `grown_width` bytes.
    fn place(
        &mut self,
        columns: &Columns,
        first_cell: usize,
        line_bytes: usize,
        grown_width: usize,
    ) {
        let cells = self.cells[first_cell..].iter().copied().filter(|&cell| cell != NO_SLOT);
        let current = self.pieces.len() as u32;
        let is_new = |marks: &[u32], cell: u32, piece: u32| marks[cell as usize] != piece;
        let missing = cells.clone().filter(|&cell| is_new(&self.marks, cell, current));
        let added: usize = missing.map(|cell| columns.slot(cell).width()).sum();
        let added = added + grown_width;
        let fits = self.pieces.last().is_some_and(|it| {
            may_share(it.rows.len() + 1, it.width + added, it.line_bytes + line_bytes)
        });
        let row = self.rows.len();
        if !fits {
            self.complete_bytes = self.array_bytes();
            self.pieces.push(Piece {
                rows: row..row,
                cells: first_cell,
                slots: Vec::new(),
                width: 0,
                line_bytes: 0,
                element_bytes: 0,
                overhead: 0,
            });
        }
        let current = self.pieces.len() as u32;
        let Some(piece) = self.pieces.last_mut() else { return };
        piece.rows.end += 1;
        piece.width += grown_width;
        piece.line_bytes += line_bytes;
        for cell in cells {
            if is_new(&self.marks, cell, current) {
                self.marks[cell as usize] = current;
                piece.slots.push(cell);
                piece.width += columns.slot(cell).width();
                piece.overhead += columns.slot(cell).overhead();
            }
        }
    }
}
