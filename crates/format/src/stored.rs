//! Columns of results that have a mark: values that have no Arrow type of their own.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, StructArray};
use arrow_schema::{DataType, Field};
use serde::{Serialize, Serializer};
use streamtable_schema::{Media, MediaKind, StoredFile, Value};
use streamtable_wire::{CellMark, read_marked};

use crate::arrow::Cell;

/// One cell of a column with a mark.
pub(crate) struct MarkedCell<'a> {
    cell: Cell<'a>,
    mark: CellMark,
}

impl<'a> MarkedCell<'a> {
    /// Returns the cell if its column has a mark.
    pub(crate) fn of(field: &Field, cell: Cell<'a>) -> Option<Self> {
        Some(Self { cell, mark: CellMark::of_metadata(field.metadata())? })
    }
}

impl Serialize for MarkedCell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { cell, mark } = self;
        if cell.array.is_null(cell.row) {
            return serializer.serialize_unit();
        }
        let value = match mark {
            CellMark::Json => json(cell),
            CellMark::Media => media(cell).map(Into::into),
            CellMark::Nested => {
                return Cell { nulls_are_absent: true, ..*cell }.serialize(serializer);
            }
            CellMark::Mixed => match part(cell) {
                Some((CellMark::Mixed, part)) => return part.serialize(serializer),
                Some((mark, cell)) => return MarkedCell { cell, mark }.serialize(serializer),
                None => return serializer.serialize_unit(),
            },
        };
        // A program may have changed the column.
        match value {
            Some(value) => value.serialize(serializer),
            None => cell.serialize(serializer),
        }
    }
}

/// Returns the part of a mixed cell that is not null. A part that is not marked itself has the mark of mixed
/// cells.
fn part<'a>(cell: &Cell<'a>) -> Option<(CellMark, Cell<'a>)> {
    let parts = cell.array.as_struct_opt()?;
    let (name, array) = parts
        .column_names()
        .into_iter()
        .zip(parts.columns())
        .find(|(_, it)| it.is_valid(cell.row))?;
    let mark = CellMark::named(name).unwrap_or(CellMark::Mixed);
    Some((mark, Cell { array: array.as_ref(), ..*cell }))
}

fn json(cell: &Cell<'_>) -> Option<Value> {
    read_marked(text(cell.array, cell.row)?)
}

fn text(array: &dyn Array, row: usize) -> Option<&str> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

fn media(cell: &Cell<'_>) -> Option<Media> {
    let (parts, row): (&StructArray, usize) = (cell.array.as_struct_opt()?, cell.row);
    let text = |name| text(parts.column_by_name(name)?.as_ref(), row);
    let side = |name| {
        let array = parts.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
        array.is_valid(row).then(|| u32::try_from(array.value(row)).ok())?
    };
    let size = parts.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
    let size = size.is_valid(row).then(|| u64::try_from(size.value(row)).ok()).flatten();
    let kind: MediaKind = text("kind")?.parse().ok()?;
    let sha256 = text("hash").map(str::to_owned);
    let file = StoredFile { path: text("path")?.to_owned(), sha256, size };
    let dimensions = side("width").zip(side("height"));
    let media = Media::stored(kind, text("format")?, dimensions, file).ok()?;
    Some(match text("caption") {
        Some(caption) => media.with_caption(caption),
        None => media,
    })
}
