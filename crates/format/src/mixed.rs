//! Columns that Arrow has no type for, as StreamTable exports them.
//!
//! The metadata of their fields names their kind, so that a struct or text of somebody else's file is
//! never taken for one.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field};
use serde::{Serialize, Serializer};
use streamtable_schema::Value;
use streamtable_wire::json;

use crate::arrow::Cell;

/// The key of a field's metadata that names the kind of the column.
pub const KIND: &str = "streamtable:kind";

/// A column with values of several types: a struct with one field per type, at most one of which is not
/// null. The values of its field `json` are JSON texts.
pub const MIXED: &str = "mixed";

/// A column with lists or structs as JSON texts.
pub const JSON: &str = "json";

/// A cell of a column, whose field may have a kind.
pub(crate) struct Column<'a> {
    pub(crate) field: &'a Field,
    pub(crate) cell: Cell<'a>,
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Cell { array, row, naive } = self.cell;
        let kind = self.field.metadata().get(KIND).map(String::as_str);
        match (kind, array.data_type()) {
            (Some(JSON), _) => Json(self.cell).serialize(serializer),
            (Some(MIXED), DataType::Struct(fields)) if array.is_valid(row) => {
                let columns = array.as_struct().columns();
                let there = fields.iter().zip(columns).find(|(_, column)| column.is_valid(row));
                let Some((field, column)) = there else { return serializer.serialize_unit() };
                let cell = Cell { array: column.as_ref(), row, naive };
                match field.name() == JSON {
                    true => Json(cell).serialize(serializer),
                    false => cell.serialize(serializer),
                }
            }
            _ => self.cell.serialize(serializer),
        }
    }
}

/// A cell with a JSON text. What is not JSON stays a text.
struct Json<'a>(Cell<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Cell { array, row, .. } = self.0;
        let text = match array.data_type() {
            _ if array.is_null(row) => return serializer.serialize_unit(),
            DataType::Utf8 => array.as_string::<i32>().value(row),
            DataType::LargeUtf8 => array.as_string::<i64>().value(row),
            DataType::Utf8View => array.as_string_view().value(row),
            _ => return self.0.serialize(serializer),
        };
        json::parse(text).unwrap_or_else(|_| Value::from(text)).serialize(serializer)
    }
}
