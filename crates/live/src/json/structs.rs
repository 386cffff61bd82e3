//! JSON encoding of the structs that represent media and mixed columns in SQL.

use arrow::array::types::{Int32Type, Int64Type};
use arrow::array::{Array, AsArray, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Fields};
use arrow::error::ArrowError;
use arrow::json::writer::{NullableEncoder, make_encoder};
use arrow::json::{Encoder, EncoderOptions};
use std::io::Write;
use std::str::FromStr;
use streamtable_schema::MediaKind;
use streamtable_wire::media_type;

use super::columns::write_json_text;
use super::write_str;

/// The fields of a media struct.
const MEDIA: [&str; 8] = ["kind", "path", "hash", "size", "width", "height", "format", "caption"];

/// The possible fields of a mixed column's struct, which has at least two of them.
const MIXED: [&str; 6] = ["n", "s", "b", "t", "media", "json"];

/// Returns the encoder for a media or mixed struct, or `None` for any other struct.
pub(super) fn encoder<'a>(
    array: &'a StructArray,
    options: &'a EncoderOptions,
) -> Result<Option<Box<dyn Encoder + 'a>>, ArrowError> {
    if is_media(array.fields()) {
        return Ok(Some(Box::new(Media(array))));
    }
    if !is_mixed(array.fields()) {
        return Ok(None);
    }
    let members = array.fields().iter().zip(array.columns()).map(|(field, column)| {
        Ok(if field.name() == "json" {
            Member::Json(column.as_string_view())
        } else {
            Member::Plain(make_encoder(field, column.as_ref(), options)?)
        })
    });
    Ok(Some(Box::new(Mixed(members.collect::<Result<_, ArrowError>>()?))))
}

fn is_media(fields: &Fields) -> bool {
    use DataType::{Int32, Int64, Utf8View};
    let types = [Utf8View, Utf8View, Utf8View, Int64, Int32, Int32, Utf8View, Utf8View];
    fields.len() == MEDIA.len()
        && fields.iter().zip(MEDIA).all(|(field, name)| field.name() == name)
        && fields.iter().zip(types).all(|(field, ty)| *field.data_type() == ty)
}

fn is_mixed(fields: &Fields) -> bool {
    let is_new = |i: usize, name: &str| fields.iter().take(i).all(|field| field.name() != name);
    fields.len() >= 2
        && fields.iter().enumerate().all(|(i, field)| {
            let name = field.name().as_str();
            MIXED.contains(&name) && is_new(i, name)
        })
        && fields
            .iter()
            .all(|field| field.name() != "json" || *field.data_type() == DataType::Utf8View)
}

/// Writes a media struct in the form of the protocol's media cells.
struct Media<'a>(&'a StructArray);

impl Encoder for Media<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let array = self.0;
        let text = |place| text(array, place, row);
        let side = |place: usize| {
            let array = array.column(place).as_primitive::<Int32Type>();
            array.is_valid(row).then(|| array.value(row))
        };
        let kind = text(0).unwrap_or_default();
        out.extend_from_slice(br#"{"_type":"#);
        match MediaKind::from_str(kind) {
            Ok(kind) => write_str(out, media_type(kind)),
            Err(_) => write_str(out, kind),
        }
        for (name, place) in [("path", 1), ("sha256", 2), ("format", 6), ("caption", 7)] {
            if let Some(text) = text(place) {
                let _ = write!(out, ",\"{name}\":");
                write_str(out, text);
            }
        }
        let sizes = array.column(3).as_primitive::<Int64Type>();
        if sizes.is_valid(row) {
            let _ = write!(out, r#","size":{}"#, sizes.value(row));
        }
        if let (Some(width), Some(height)) = (side(4), side(5)) {
            let _ = write!(out, r#","width":{width},"height":{height}"#);
        }
        out.push(b'}');
    }
}

fn text(array: &StructArray, place: usize, row: usize) -> Option<&str> {
    let array = array.column(place).as_string_view();
    array.is_valid(row).then(|| array.value(row))
}

/// Writes the one non-null field.
struct Mixed<'a>(Vec<Member<'a>>);

enum Member<'a> {
    Plain(NullableEncoder<'a>),
    Json(&'a StringViewArray),
}

impl Encoder for Mixed<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        for member in &mut self.0 {
            match member {
                Member::Plain(encoder) if !encoder.is_null(row) => return encoder.encode(row, out),
                Member::Json(texts) if texts.is_valid(row) => {
                    return write_json_text(out, texts.value(row));
                }
                Member::Plain(_) | Member::Json(_) => {}
            }
        }
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};

    use super::super::Columns;
    use super::*;

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringViewArray::from_iter(values.iter().copied()))
    }

    #[track_caller]
    fn check(fields: Vec<(&str, ArrayRef)>, expected: &[&str]) {
        let fields = fields.into_iter().map(|(name, array)| {
            let ty = array.data_type().clone();
            (Arc::new(arrow::datatypes::Field::new(name, ty, true)), array)
        });
        let array: ArrayRef = Arc::new(StructArray::from(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let columns = Columns::default();
        let mut cells = columns.of(&batch).unwrap();
        for (row, expected) in expected.iter().enumerate() {
            let mut out = Vec::new();
            cells.write_cell(&mut out, 0, row);
            assert_eq!(String::from_utf8(out).unwrap(), *expected);
        }
    }

    #[test]
    fn media_structs_become_media_cells() {
        let sides: ArrayRef = Arc::new(Int32Array::from(vec![Some(2), None]));
        check(
            vec![
                ("kind", text(&[Some("image"), Some("new")])),
                ("path", text(&[Some("a.png"), Some("b")])),
                ("hash", text(&[Some("00"), None])),
                ("size", Arc::new(Int64Array::from(vec![Some(9), None]))),
                ("width", sides.clone()),
                ("height", sides),
                ("format", text(&[Some("png"), Some("x")])),
                ("caption", text(&[None, Some("\"")])),
            ],
            &[
                r#"{"_type":"image-file","path":"a.png","sha256":"00","format":"png","size":9,"width":2,"height":2}"#,
                r#"{"_type":"new","path":"b","format":"x","caption":"\""}"#,
            ],
        );
    }

    #[test]
    fn mixed_structs_become_their_value() {
        let n: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), None, None, None]));
        check(
            vec![
                ("n", n.clone()),
                ("s", text(&[None, Some("x"), None, None])),
                ("json", text(&[None, None, Some("[1,NaN]"), None])),
            ],
            &[r#""NaN""#, r#""x""#, r#"[1,"NaN"]"#, "null"],
        );
        // The parts are in the order in which the kinds came.
        let texts = text(&[None, Some("x"), None, None]);
        check(vec![("s", texts), ("n", n.clone())], &[r#""NaN""#, r#""x""#]);
        // A struct from the query itself.
        check(vec![("n", n.clone())], &[r#"{"n":"NaN"}"#, r#"{"n":null}"#]);
        check(vec![("n", n.clone()), ("z", n)], &[r#"{"n":"NaN","z":"NaN"}"#]);
    }
}
