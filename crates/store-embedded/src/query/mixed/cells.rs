//! Functions on mixed cells that the planner inserts. Queries cannot name them.
//!
//! Each takes its argument once, so that a plan does not grow with the number of uses of a part.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, StringViewArray, StructArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{CastOptions, cast, cast_with_options, is_not_null, is_null, nullif};
use arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::part::{Part, in_order, parts};

/// Converts any value that fits to a mixed cell with given parts.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToCell {
    to: Fields,
    signature: Signature,
}

impl ToCell {
    pub(super) fn new(to: Fields) -> Self {
        Self { to, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToCell {
    fn name(&self) -> &'static str {
        "mixed_cell"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(self.to.clone()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        on_array(&args, |array| Ok(Arc::new(cells(array, &self.to)?)))
    }
}

fn cells(array: &ArrayRef, to: &Fields) -> Result<StructArray> {
    let given = parts(array.data_type());
    let own = Part::of(array.data_type());
    let part = |(part, field): (Part, &FieldRef)| {
        let ty = field.data_type();
        let column = match given {
            Some(_) => column(array.as_struct(), part)?,
            None => (own == Some(part)).then(|| Arc::clone(array)),
        };
        Ok(match column {
            Some(column) => cast(&column, ty)?,
            None => new_null_array(ty, array.len()),
        })
    };
    let columns = in_order(to).zip(to).map(part).collect::<Result<Vec<_>>>()?;
    let nulls = match array.data_type() {
        DataType::Null => Some(NullBuffer::new_null(array.len())),
        _ => array.logical_nulls(),
    };
    Ok(StructArray::try_new(to.clone(), columns, nulls)?)
}

/// Returns a part of cells, if they have it. It is null where the cell is.
fn column(cells: &StructArray, part: Part) -> Result<Option<ArrayRef>> {
    let Some(column) = cells.column_by_name(part.name()) else { return Ok(None) };
    Ok(Some(match cells.null_count() {
        0 => Arc::clone(column),
        _ => nullif(column, &is_null(cells)?)?,
    }))
}

/// Converts any value that fits to a text that is the same for equal cells, and different for
/// others: a letter for the kind, then the value.
///
/// The engine's joins compare texts; on structs some of its optimizations are wrong.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToKey {
    cell: Fields,
    signature: Signature,
}

impl ToKey {
    pub(super) fn new(cell: Fields) -> Self {
        Self { cell, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToKey {
    fn name(&self) -> &'static str {
        "mixed_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        on_array(&args, |array| Ok(Arc::new(keys(array, &self.cell)?)))
    }
}

fn keys(array: &ArrayRef, cell: &Fields) -> Result<StringViewArray> {
    let cells = cells(array, cell)?;
    let texts = in_order(cell).map(|part| {
        let text = FromCell::new(DataType::Utf8View, vec![(part, false)]).from(&cells)?;
        Ok((&part.name()[..1], text))
    });
    let texts = texts.collect::<Result<Vec<(&str, ArrayRef)>>>()?;
    let key = |row: usize| {
        let (kind, text) = texts.iter().find(|(_, text)| text.is_valid(row))?;
        Some(format!("{kind}{}", text.as_string_view().value(row)))
    };
    Ok((0..cells.len()).map(key).collect())
}

/// Converts the value of a mixed cell to a type; null for the values of parts that are not listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FromCell {
    /// Differs for different conversions: the engine distinguishes columns by it.
    name: String,
    to: DataType,
    /// Each part that is converted, and whether a value that cannot be converted becomes null.
    parts: Vec<(Part, bool)>,
    signature: Signature,
}

impl FromCell {
    pub(super) fn new(to: DataType, parts: Vec<(Part, bool)>) -> Self {
        let names: Vec<&str> = parts.iter().map(|(part, _)| part.name()).collect();
        let name = format!("mixed_{}_as_{to}", names.join("_"));
        Self { name, to, parts, signature: Signature::any(1, Volatility::Immutable) }
    }

    pub(super) fn to(&self) -> &DataType {
        &self.to
    }

    fn from(&self, cells: &StructArray) -> Result<ArrayRef> {
        let mut value = new_null_array(&self.to, cells.len());
        for &(part, is_try) in &self.parts {
            let Some(column) = column(cells, part)? else { continue };
            let column = match column.as_struct_opt().filter(|_| part == Part::Media) {
                Some(media) if !self.to.is_nested() => column_named(media, "path")?,
                _ => column,
            };
            let options = CastOptions { safe: is_try, ..CastOptions::default() };
            let converted = cast_with_options(&column, &self.to, &options)?;
            value = match value.null_count() == value.len() {
                true => converted,
                false => zip(&is_not_null(&value)?, &value, &converted)?,
            };
        }
        Ok(value)
    }
}

fn column_named(array: &StructArray, name: &str) -> Result<ArrayRef> {
    let Some(column) = array.column_by_name(name) else {
        return exec_err!("a media cell has no {name}");
    };
    Ok(nullif(column, &is_null(array)?)?)
}

impl ScalarUDFImpl for FromCell {
    fn name(&self) -> &str {
        &self.name
    }

    /// Returns that nothing is known about the values: by default their type would not be known, and
    /// the engine then refuses to sort by functions of them.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.to)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        on_array(&args, |array| self.from(array.as_struct()))
    }
}

/// Returns the first argument; null where it is equal to the second as a cell.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct NullIf {
    cell: Fields,
    signature: Signature,
}

impl NullIf {
    pub(super) fn new(cell: Fields) -> Self {
        Self { cell, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for NullIf {
    fn name(&self) -> &'static str {
        "mixed_nullif"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args[0].to_array(args.number_rows)?;
        let other = args.args[1].to_array(args.number_rows)?;
        let is_equal = eq(&keys(&value, &self.cell)?, &keys(&other, &self.cell)?)?;
        Ok(ColumnarValue::Array(nullif(&value, &is_equal)?))
    }
}

/// Applies a function to the one argument; the result for a constant is a constant.
pub(super) fn on_array(
    args: &ScalarFunctionArgs,
    function: impl Fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match &args.args[0] {
        ColumnarValue::Array(array) => function(array).map(ColumnarValue::Array),
        ColumnarValue::Scalar(value) => {
            let array = function(&value.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
        }
    }
}

/// Returns a constant cell with one part.
pub(super) fn constant(fields: &Fields, part: Part, value: &ScalarValue) -> Result<ScalarValue> {
    let columns = fields.iter().map(|field| {
        if field.name() == part.name() {
            value.cast_to(field.data_type())?.to_array()
        } else {
            Ok(new_null_array(field.data_type(), 1))
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let nulls = value.is_null().then(|| NullBuffer::new_null(1));
    Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?)))
}
