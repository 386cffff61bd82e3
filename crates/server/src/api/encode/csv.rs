//! CSV as defined by RFC 4180, but with `\n` between lines.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use streamtable_live::json::Columns;
use streamtable_wire::CellMark;

/// Returns the header line with the column names.
pub(super) fn header(schema: &SchemaRef) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, field) in schema.fields().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_text(&mut out, field.name().as_bytes());
    }
    out.push(b'\n');
    out
}

/// Writes the rows of a batch.
pub(super) fn rows(
    out: &mut Vec<u8>,
    columns: &Columns,
    batch: &RecordBatch,
) -> Result<(), ArrowError> {
    let mut cells = columns.of(batch)?;
    let mut json = Vec::new();
    for row in 0..batch.num_rows() {
        for column in 0..cells.len() {
            if column > 0 {
                out.push(b',');
            }
            if cells.is_null(column, row) {
                continue;
            }
            let field = batch.schema_ref().field(column);
            let is_marked = CellMark::of_metadata(field.metadata()).is_some();
            let plain = (!is_marked).then(|| text(batch.column(column).as_ref(), row));
            match plain.flatten() {
                Some(text) => write_text(out, text.as_bytes()),
                None => {
                    json.clear();
                    cells.write_cell(&mut json, column, row);
                    // Values that JSON shows as strings (instants, NaN) need no quotes in CSV.
                    match serde_json::from_slice::<String>(&json) {
                        Ok(plain) => write_text(out, plain.as_bytes()),
                        Err(_) => write_text(out, &json),
                    }
                }
            }
        }
        out.push(b'\n');
    }
    Ok(())
}

/// Returns the text of a cell in a string column.
fn text(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

/// Writes a field, quoted if needed. An empty text is quoted because an empty field means null.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = !text.is_empty()
        && !text.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r'))
        && !text.starts_with(b" ")
        && !text.ends_with(b" ");
    if is_plain {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
