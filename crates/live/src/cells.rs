//! Conversion of columns to the types that pages support.
//!
//! | a column of | becomes |
//! | --- | --- |
//! | booleans | booleans |
//! | floats, and integers that floats represent exactly | floats |
//! | other integers | strings of their digits |
//! | instants | milliseconds since 1970 |
//! | strings | strings with a dictionary |
//! | media | the JSON of the API, with the URL of the file |
//! | several types | strings |

use std::sync::Arc;

use crate::error::LiveError;
use crate::json;
use crate::shape::Shape;
use crate::table_reader::TableReader;
use arrow::array::cast::AsArray;
use arrow::array::types::{Int32Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow::array::{Array, ArrayRef, RecordBatch, StringDictionaryBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Converts a column to a type that pages support.
pub(crate) fn show(
    array: &ArrayRef,
    shape: Shape,
    reader: &TableReader,
) -> Result<ArrayRef, LiveError> {
    Ok(match shape {
        Shape::Bool => cast(array, &DataType::Boolean)?,
        Shape::Int { is_exact: true } | Shape::Float => cast(array, &DataType::Float64)?,
        Shape::Time => millis(array)?,
        Shape::Date => cast(array, &DataType::Date32)?,
        Shape::Int { is_exact: false } | Shape::Text => {
            texts_of(&cast(array, &DataType::Utf8View)?)
        }
        Shape::Media => {
            let media = Media::new(array)?;
            texts(array.len(), |row| media.text(row, reader))?
        }
        Shape::Mixed => {
            let Some(parts) = array.as_struct_opt() else {
                return Ok(texts_of(&cast(array, &DataType::Utf8View)?));
            };
            let mixed = Mixed::new(parts)?;
            texts(array.len(), |row| mixed.text(row, reader))?
        }
        Shape::Other => {
            let options = FormatOptions::default();
            let format = ArrayFormatter::try_new(array.as_ref(), &options)?;
            texts(array.len(), |row| {
                Ok(array.is_valid(row).then(|| format.value(row).to_string()))
            })?
        }
    })
}

/// Returns the type of the column that [`show`] returns.
pub(crate) fn shown_type(shape: Shape) -> DataType {
    match shape {
        Shape::Bool => DataType::Boolean,
        Shape::Int { is_exact: true } | Shape::Float => DataType::Float64,
        Shape::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        Shape::Date => DataType::Date32,
        _ => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    }
}

/// Converts instants to milliseconds, rounded down also before 1970.
fn millis(array: &ArrayRef) -> Result<ArrayRef, LiveError> {
    let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    Ok(Arc::new(micros.unary::<_, TimestampMillisecondType>(|micros| micros.div_euclid(1000))))
}

fn texts_of(array: &ArrayRef) -> ArrayRef {
    let array = array.as_string_view();
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for text in array {
        builder.append_option(text);
    }
    Arc::new(builder.finish())
}

fn texts(
    rows: usize,
    mut text: impl FnMut(usize) -> Result<Option<String>, LiveError>,
) -> Result<ArrayRef, LiveError> {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for row in 0..rows {
        builder.append_option(text(row)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// Media cells as the JSON of the API, with the URLs of their files.
struct Media {
    batch: RecordBatch,
    columns: json::Columns,
}

impl Media {
    fn new(array: &ArrayRef) -> Result<Self, LiveError> {
        let field: FieldRef = Arc::new(Field::new("media", array.data_type().clone(), true));
        let batch = RecordBatch::try_new(Arc::new(Schema::new([field])), vec![Arc::clone(array)])?;
        Ok(Self { batch, columns: json::Columns::default() })
    }

    fn text(&self, row: usize, reader: &TableReader) -> Result<Option<String>, LiveError> {
        let array = self.batch.column(0);
        if array.is_null(row) {
            return Ok(None);
        }
        let one = self.batch.slice(row, 1);
        let mut out = Vec::new();
        self.columns.of(&one)?.write_cell(&mut out, 0, 0);
        let path =
            array.as_struct_opt().and_then(|it| it.column_by_name("path")?.as_string_view_opt());
        if let Some(path) = path.filter(|path| path.is_valid(row)) {
            let url = reader.file_url(path.value(row));
            if let Some(url) = url
                && out.pop_if(|last| *last == b'}').is_some()
            {
                out.extend_from_slice(b",\"url\":");
                json::write_str(&mut out, &url);
                out.push(b'}');
            }
        }
        Ok(Some(String::from_utf8_lossy(&out).into_owned()))
    }
}

/// Cells of a column with several types.
struct Mixed<'a> {
    parts: &'a StructArray,
    members: Vec<Member<'a>>,
}

enum Member<'a> {
    Shown(ArrayFormatter<'a>),
    Text(&'a arrow::array::StringViewArray),
    Media(Media),
}

impl<'a> Mixed<'a> {
    fn new(parts: &'a StructArray) -> Result<Self, LiveError> {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        let members = parts.fields().iter().zip(parts.columns()).map(|(field, column)| {
            Ok(match (field.name().as_str(), column.as_string_view_opt()) {
                ("media", _) => Member::Media(Media::new(column)?),
                (_, Some(texts)) => Member::Text(texts),
                _ => Member::Shown(ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?),
            })
        });
        Ok(Self { parts, members: members.collect::<Result<_, LiveError>>()? })
    }

    fn text(&self, row: usize, reader: &TableReader) -> Result<Option<String>, LiveError> {
        for (member, column) in self.members.iter().zip(self.parts.columns()) {
            if column.is_null(row) {
                continue;
            }
            return match member {
                Member::Shown(format) => Ok(Some(format.value(row).to_string())),
                Member::Text(texts) => Ok(Some(texts.value(row).to_owned())),
                Member::Media(media) => media.text(row, reader),
            };
        }
        Ok(None)
    }
}
