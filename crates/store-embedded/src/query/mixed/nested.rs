//! Lists and structs in SQL. A column of them is JSON text; where a query uses it as a list, its cells
//! become lists of the type that the column's values have. Lists whose elements are of one kind are
//! stored as lists, and [`in_place`](super::in_place) saves the way through the text.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, ListArray,
    StringViewArray, StringViewBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use streamtable_schema::{Row, Type, Value};
use streamtable_wire::{CELL_MARK, CellMark, read_cell, write_cell};

use super::cells::on_array;
use super::part::{Part, parts};
use crate::columns::{Kind, Slot, nested_value, timestamp_type, value};

/// Returns the type of the lists and structs among the values of a type.
pub(super) fn containers(ty: &Type) -> Type {
    let is_container = |ty: &&Type| matches!(ty, Type::List(_) | Type::Struct(_));
    match ty.members() {
        [one] if is_container(&one) => one.clone(),
        members => members.iter().filter(is_container).fold(Type::Unknown, |all, ty| all.unite(ty)),
    }
}

/// Returns the Arrow type of the lists or structs of a column with some slots: the one that all of them have,
/// otherwise the type of lists that most are stored as.
pub(super) fn native_type_of(ty: &Type, slots: &[Slot]) -> Option<DataType> {
    let stored = |kind: &Kind| slots.iter().any(|slot| slot.kind == *kind);
    let first = || slots.iter().map(|slot| slot.kind).find(|it| it.element().is_some());
    let of_values = native_type(ty).map(|ty| {
        let mut stored = slots.iter().filter(|it| it.is_native()).map(Slot::arrow_type);
        stored.find(|it| sorted(it) == ty).unwrap_or(ty)
    });
    of_values.or_else(|| Some(Some(Kind::Floats).filter(stored).or_else(first)?.arrow_type()))
}

/// Returns the Arrow type of lists or structs of a type, with fields in the order of their names; `None`
/// if it is neither, or if values in it are of several kinds.
pub(super) fn native_type(ty: &Type) -> Option<DataType> {
    value_type(ty).filter(DataType::is_nested)
}

fn value_type(ty: &Type) -> Option<DataType> {
    let mut members = ty.members().iter().filter(|member| **member != Type::Null);
    let member = members.next();
    if members.next().is_some() {
        return None;
    }
    Some(match member {
        // Empty lists and lists of nulls.
        None => DataType::Utf8View,
        Some(Type::Bool) => DataType::Boolean,
        Some(Type::Int) => DataType::Int64,
        Some(Type::Float) => DataType::Float64,
        Some(Type::String) => DataType::Utf8View,
        Some(Type::Timestamp) => timestamp_type(),
        Some(Type::List(element)) => DataType::new_list(value_type(element)?, true),
        Some(Type::Struct(fields)) => {
            let field = |(name, ty): (&str, &Type)| Some(Field::new(name, value_type(ty)?, true));
            let fields: Fields = fields.iter().map(field).collect::<Option<_>>()?;
            // Queries and readers would take other structs for mixed cells or media.
            let is_empty = fields.is_empty();
            let ty = DataType::Struct(fields);
            if is_empty || parts(&ty).is_some() || Part::of(&ty).is_some() {
                return None;
            }
            ty
        }
        Some(_) => return None,
    })
}

/// Returns a type with the fields of structs in the order of their names.
fn sorted(ty: &DataType) -> DataType {
    match ty {
        DataType::List(element) => DataType::new_list(sorted(element.data_type()), true),
        DataType::Struct(fields) => {
            let mut fields: Vec<Field> = fields
                .iter()
                .map(|it| Field::new(it.name(), sorted(it.data_type()), true))
                .collect();
            fields.sort_by(|a, b| a.name().cmp(b.name()));
            DataType::Struct(fields.into())
        }
        ty => ty.clone(),
    }
}

/// Returns the type of the field at a path in the structs of a type; unknown for a field that no struct has.
/// `None` if there are no structs.
pub(super) fn type_at(ty: &Type, path: &[&str]) -> Option<Type> {
    let Some((field, rest)) = path.split_first() else { return Some(ty.clone()) };
    let fields = ty.members().iter().find_map(|member| match member {
        Type::Struct(fields) => Some(fields),
        _ => None,
    });
    fields?.get(field).map_or(Some(Type::Unknown), |ty| type_at(ty, rest))
}

/// Returns the function of JSON text that reads values of a type.
pub(super) fn reader_of(ty: &Type) -> &'static str {
    let mut members = ty.members().iter().filter(|member| **member != Type::Null);
    let member = members.next();
    match (member, members.next()) {
        (Some(Type::Bool), None) => "json_get_bool",
        (Some(Type::Int), None) => "json_get_int",
        (Some(Type::Float), None) => "json_get_float",
        (Some(Type::String), None) => "json_get_str",
        (Some(Type::List(_) | Type::Struct(_)), None) => "json_get_json",
        _ => "json_as_text",
    }
}

/// Returns the type of the fields that a function of JSON text reads, if it is the type of stored ones.
pub(super) fn field_type(function: &str) -> Option<DataType> {
    Some(match function {
        "json_get_bool" => DataType::Boolean,
        "json_get_int" => DataType::Int64,
        "json_get_float" => DataType::Float64,
        "json_get_str" => DataType::Utf8,
        _ => return None,
    })
}

/// Converts lists or structs to one type: JSON text, or what [`JsonText`] takes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToList {
    to: DataType,
    signature: Signature,
}

impl ToList {
    pub(super) fn new(to: DataType) -> Self {
        Self { to, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ToList {
    fn name(&self) -> &'static str {
        "list_of_json"
    }

    /// Returns the name of the column, as the column would have it.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|it| it.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    /// Returns that nothing is known about the values, except their type.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.to)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        on_array(&args, |array| {
            if let Some(lists) = same_lists(array, &self.to) {
                return Ok(lists);
            }
            let cells = values(array)?;
            column(&cells.iter().map(Option::as_ref).collect::<Vec<_>>(), &self.to)
        })
    }
}

/// Returns the lists of cells of which all are lists of a type.
fn same_lists(array: &ArrayRef, ty: &DataType) -> Option<ArrayRef> {
    if array.data_type() == ty {
        return Some(Arc::clone(array));
    }
    let mut used = slots_of(array)?.columns().iter().filter(|it| it.null_count() < it.len());
    let (lists, None) = (used.next()?, used.next()) else { return None };
    (lists.data_type() == ty).then(|| Arc::clone(lists))
}

/// Returns the slots of a column that has several. Their names have parentheses, which names of
/// stored fields do not have.
fn slots_of(array: &ArrayRef) -> Option<&StructArray> {
    array.as_struct_opt().filter(|it| has_slots(it.data_type()))
}

/// Returns whether a type is that of a column that has several slots.
pub(super) fn has_slots(ty: &DataType) -> bool {
    match ty {
        DataType::Struct(fields) => fields.iter().all(|it| it.name().starts_with('(')),
        _ => false,
    }
}

/// Converts lists and structs to JSON text: a column of them, or a struct of such columns and one of JSON text, of
/// which at most one is not null in each row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonText {
    signature: Signature,
}

/// Returns the JSON text of lists.
pub(in crate::query) fn json_text(lists: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::from(JsonText { signature }).call(vec![lists])
}

impl ScalarUDFImpl for JsonText {
    fn name(&self) -> &'static str {
        "json_of_list"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    /// Keeps the metadata of the column. The mark is that of the text.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let mut metadata =
            args.arg_fields.first().map(|field| field.metadata().clone()).unwrap_or_default();
        if let Some(mark) = metadata.get_mut(CELL_MARK) {
            CellMark::Json.name().clone_into(mark);
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8View, true).with_metadata(metadata)))
    }

    /// Returns that nothing is known about the values, except their type.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        on_array(&args, |array| Ok(Arc::new(texts(array)?)))
    }
}

fn texts(array: &ArrayRef) -> Result<StringViewArray> {
    if let Some(texts) = array.as_string_view_opt() {
        return Ok(texts.clone());
    }
    if let Some(cells) = slots_of(array) {
        let columns = cells.columns().iter().map(texts).collect::<Result<Vec<_>>>()?;
        let text = |i| columns.iter().find(|it| it.is_valid(i)).map(|it| it.value(i));
        return Ok((0..array.len()).map(text).collect());
    }
    let element = Kind::of_type(array.data_type()).and_then(Kind::element);
    let lists = element.zip(array.as_list_opt::<i32>());
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = Vec::new();
    for i in 0..array.len() {
        if array.is_null(i) {
            builder.append_null();
            continue;
        }
        text.clear();
        match lists {
            Some((element, lists)) => {
                let offsets = lists.value_offsets();
                let elements = offsets[i] as usize..offsets[i + 1] as usize;
                write_list(&mut text, element, lists.values(), elements);
            }
            None => write_cell(&mut text, &nested_value(array, i)),
        }
        let text = str::from_utf8(&text).map_err(|it| DataFusionError::External(it.into()))?;
        builder.append_value(text);
    }
    Ok(builder.finish())
}

/// Writes some elements of a kind as a list.
fn write_list(out: &mut Vec<u8>, element: Kind, elements: &ArrayRef, range: Range<usize>) {
    out.push(b'[');
    for i in range.clone() {
        if i > range.start {
            out.push(b',');
        }
        write_cell(out, &value(element, elements, i).unwrap_or(Value::Null));
    }
    out.push(b']');
}

/// Returns the lists and structs of a column; `None` for those that are null or cannot be read.
fn values(array: &ArrayRef) -> Result<Vec<Option<Value>>> {
    if let Some(cells) = slots_of(array) {
        let mut columns = cells.columns().iter().map(values).collect::<Result<Vec<_>>>()?;
        let value = |i: usize| columns.iter_mut().find_map(|column| column[i].take());
        return Ok((0..array.len()).map(value).collect());
    }
    if matches!(array.data_type(), DataType::List(_) | DataType::Struct(_)) {
        let cell = |i| array.is_valid(i).then(|| nested_value(array, i));
        return Ok((0..array.len()).map(cell).collect());
    }
    let texts = cast(array, &DataType::Utf8View)?;
    Ok(texts.as_string_view().iter().map(|text| read_cell(text?).ok()).collect())
}

/// Makes a column of values; null where a value is not of the type.
fn column(values: &[Option<&Value>], ty: &DataType) -> Result<ArrayRef> {
    let values_of = || values.iter().copied();
    Ok(match ty {
        DataType::Boolean => {
            let value = |value: Option<&Value>| match value {
                Some(Value::Bool(value)) => Some(*value),
                _ => None,
            };
            Arc::new(values_of().map(value).collect::<BooleanArray>())
        }
        DataType::Int64 => {
            let value = |value: Option<&Value>| match value {
                Some(Value::Int(value)) => i64::try_from(*value).ok(),
                _ => None,
            };
            Arc::new(values_of().map(value).collect::<Int64Array>())
        }
        DataType::Float64 => {
            let value = |value: Option<&Value>| match value {
                Some(Value::Float(value)) => Some(*value),
                Some(Value::Int(value)) => Some(*value as f64),
                _ => None,
            };
            Arc::new(values_of().map(value).collect::<Float64Array>())
        }
        DataType::Utf8View => Arc::new(values_of().map(text_of).collect::<StringViewArray>()),
        DataType::Timestamp(..) => {
            let value = |value: Option<&Value>| match value {
                Some(Value::Timestamp(value)) => Some(value.as_micros()),
                _ => None,
            };
            let array = values_of().map(value).collect::<TimestampMicrosecondArray>();
            Arc::new(array.with_data_type(ty.clone()))
        }
        DataType::List(field) => {
            let lists: Vec<_> = values_of().map(elements_of).collect();
            let lengths = lists.iter().map(|list| list.map_or(0, |list| list.len()));
            let offsets = OffsetBuffer::from_lengths(lengths);
            let nulls: NullBuffer = lists.iter().map(Option::is_some).collect();
            let elements: Vec<Option<&Value>> =
                lists.into_iter().flatten().flat_map(|list| list.iter().map(Some)).collect();
            let elements = column(&elements, field.data_type())?;
            let field = Arc::new(Field::clone(field));
            Arc::new(ListArray::try_new(field, offsets, elements, Some(nulls))?)
        }
        DataType::Struct(fields) => {
            let structs: Vec<_> = values_of().map(struct_of).collect();
            let field = |field: &FieldRef| {
                let values = structs.iter().map(|it| it.and_then(|row| row.get(field.name())));
                column(&values.collect::<Vec<_>>(), field.data_type())
            };
            let columns = fields.iter().map(field).collect::<Result<Vec<_>>>()?;
            let nulls: NullBuffer = structs.iter().map(Option::is_some).collect();
            Arc::new(StructArray::try_new(fields.clone(), columns, Some(nulls))?)
        }
        ty => return exec_err!("no list of {ty}"),
    })
}

fn text_of(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn struct_of(value: Option<&Value>) -> Option<&Row> {
    match value {
        Some(Value::Struct(row)) => Some(row),
        _ => None,
    }
}

fn elements_of(value: Option<&Value>) -> Option<&[Value]> {
    match value {
        Some(Value::List(elements)) => Some(elements),
        _ => None,
    }
}
