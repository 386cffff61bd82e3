//! Arrow columns as readable text.

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::text::{Align, Grid, printable_cell};

/// The fields of a mixed column's struct. At most one of them is not null.
const MEMBERS: [&str; 6] = ["n", "s", "b", "t", "media", "json"];

/// Creates a grid for a schema. Numbers are aligned right.
pub(crate) fn grid(schema: &SchemaRef) -> Grid {
    let columns: Vec<(&str, Align)> = schema
        .fields()
        .iter()
        .map(|field| {
            let is_number = field.data_type().is_numeric();
            (field.name().as_str(), if is_number { Align::Right } else { Align::Left })
        })
        .collect();
    Grid::new(&columns)
}

/// Adds the rows of a batch, at most `limit`.
pub(crate) fn push(grid: &mut Grid, batch: &RecordBatch, limit: usize) -> Result<(), ArrowError> {
    let options = FormatOptions::default()
        .with_null("")
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
    let columns: Vec<CellText<'_>> = batch
        .columns()
        .iter()
        .map(|column| CellText::new(column, &options))
        .collect::<Result<_, _>>()?;
    for row in 0..batch.num_rows().min(limit) {
        grid.push(columns.iter().map(|column| printable_cell(&column.of(row))).collect());
    }
    Ok(())
}

/// How the cells of a column are formatted.
enum CellText<'a> {
    Plain(ArrayFormatter<'a>),
    /// A media cell is shown as its path.
    Media(&'a StructArray, Box<Self>),
    /// A mixed cell is shown as its non-null field.
    Members(Vec<(&'a dyn Array, Self)>),
}

impl<'a> CellText<'a> {
    fn new(array: &'a dyn Array, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        if let DataType::Struct(fields) = array.data_type() {
            let array = array.as_struct();
            let is_media = ["kind", "path", "hash"].iter().all(|name| fields.find(name).is_some());
            if is_media && let Some(path) = array.column_by_name("path") {
                return Ok(Self::Media(array, Box::new(Self::new(path, options)?)));
            }
            if fields.len() > 1 && fields.iter().all(|f| MEMBERS.contains(&f.name().as_str())) {
                let member = |column: &'a arrow::array::ArrayRef| {
                    Ok((column.as_ref() as &dyn Array, Self::new(column, options)?))
                };
                let members: Result<_, ArrowError> = array.columns().iter().map(member).collect();
                return Ok(Self::Members(members?));
            }
        }
        Ok(Self::Plain(ArrayFormatter::try_new(array, options)?))
    }

    fn of(&self, row: usize) -> String {
        match self {
            Self::Plain(formatter) => formatter.value(row).to_string(),
            Self::Media(array, _) if array.is_null(row) => String::new(),
            Self::Media(_, path) => path.of(row),
            Self::Members(members) => members
                .iter()
                .find(|(array, _)| !array.is_null(row))
                .map_or(String::new(), |(_, text)| text.of(row)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Field;

    use super::*;

    fn text(column: ArrayRef) -> Vec<String> {
        let options = FormatOptions::default()
            .with_null("")
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
        let cells = CellText::new(&column, &options).unwrap();
        (0..column.len()).map(|row| cells.of(row)).collect()
    }

    fn strings(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn structs(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
        let columns: Vec<_> = columns
            .into_iter()
            .map(|(name, array)| {
                (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
            })
            .collect();
        Arc::new(StructArray::from(columns))
    }

    #[test]
    fn cells_are_formatted() {
        assert_eq!(text(Arc::new(Int64Array::from(vec![Some(7), None]))), ["7", ""]);
        assert_eq!(text(Arc::new(Float64Array::from(vec![0.5, f64::NAN]))), ["0.5", "NaN"]);
        let times = TimestampMicrosecondArray::from(vec![1_000_000]).with_timezone("UTC");
        assert_eq!(text(Arc::new(times)), ["1970-01-01 00:00:01.000000"]);
        let media = structs(vec![
            ("kind", strings(&[Some("image-file")])),
            ("path", strings(&[Some("media/a.png")])),
            ("hash", strings(&[Some("00")])),
        ]);
        assert_eq!(text(media), ["media/a.png"]);
        let mixed = structs(vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, None]))),
            ("s", strings(&[None, Some("x"), None])),
        ]);
        assert_eq!(text(mixed), ["1", "x", ""]);
    }
}
