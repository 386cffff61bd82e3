//! Replacement of Arrow's views of strings and bytes by plain arrays.

use std::io::Read;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, LargeListArray, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema};

/// The largest number of bytes that the offsets of a plain array can address.
const MAX_BYTES: usize = i32::MAX as usize;

/// Rewrites data in Arrow's stream format.
pub(crate) fn replace(stream: &[u8]) -> Result<Vec<u8>, ArrowError> {
    let mut rewritten = Vec::with_capacity(stream.len());
    let reader = StreamReader::try_new(stream, None)?;
    let schema = plain_schema(&reader.schema());
    let mut writer = StreamWriter::try_new(&mut rewritten, &schema)?;
    for batch in reader {
        write(&mut writer, &schema, &batch?)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(rewritten)
}

/// Rewrites data in Arrow's stream format while it arrives. Calls `each` with every batch, as a
/// stream of its own, until it returns false; a result without rows is one empty batch.
pub(crate) fn replace_each(
    reader: impl Read,
    mut each: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), ArrowError> {
    let reader = StreamReader::try_new(reader, None)?;
    let schema = plain_schema(&reader.schema());
    let mut is_empty = true;
    for batch in reader {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        is_empty = false;
        if !each(rewritten(&schema, Some(&batch))?) {
            return Ok(());
        }
    }
    if is_empty {
        each(rewritten(&schema, None)?);
    }
    Ok(())
}

fn rewritten(schema: &Arc<Schema>, batch: Option<&RecordBatch>) -> Result<Vec<u8>, ArrowError> {
    let mut rewritten = Vec::new();
    let mut writer = StreamWriter::try_new(&mut rewritten, schema)?;
    if let Some(batch) = batch {
        write(&mut writer, schema, batch)?;
    }
    writer.finish()?;
    drop(writer);
    Ok(rewritten)
}

fn plain_schema(schema: &Schema) -> Arc<Schema> {
    let fields: Fields = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Writes a batch, in parts if it is too large for plain arrays.
fn write(
    writer: &mut StreamWriter<&mut Vec<u8>>,
    schema: &Arc<Schema>,
    batch: &RecordBatch,
) -> Result<(), ArrowError> {
    let rows = batch.num_rows();
    if rows > 1 && batch.columns().iter().any(|column| view_bytes(column) > MAX_BYTES) {
        let half = rows / 2;
        write(writer, schema, &batch.slice(0, half))?;
        return write(writer, schema, &batch.slice(half, rows - half));
    }
    let columns = batch.columns().iter().map(plain).collect::<Result<_, _>>()?;
    writer.write(&RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Returns at least the number of bytes that the views in an array refer to.
fn view_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|n| n as usize).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|n| n as usize).sum(),
        DataType::Struct(_) => array.as_struct().columns().iter().map(view_bytes).sum(),
        DataType::List(_) => view_bytes(array.as_list::<i32>().values()),
        DataType::LargeList(_) => view_bytes(array.as_list::<i64>().values()),
        DataType::FixedSizeList(_, _) => view_bytes(array.as_fixed_size_list().values()),
        _ => 0,
    }
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let ty = plain_type(field.data_type());
    Arc::new(Field::clone(field).with_data_type(ty))
}

fn plain_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        other => other.clone(),
    }
}

fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let nulls = || array.nulls().cloned();
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(StringArray::from_iter(array.as_string_view())),
        DataType::BinaryView => Arc::new(BinaryArray::from_iter(array.as_binary_view())),
        DataType::Struct(fields) if !fields.is_empty() => {
            let columns = array.as_struct().columns().iter().map(plain);
            let fields = fields.iter().map(plain_field).collect();
            Arc::new(StructArray::try_new(fields, columns.collect::<Result<_, _>>()?, nulls())?)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let (item, values) = (plain_field(item), plain(list.values())?);
            Arc::new(ListArray::try_new(item, list.offsets().clone(), values, nulls())?)
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            let (item, values) = (plain_field(item), plain(list.values())?);
            Arc::new(LargeListArray::try_new(item, list.offsets().clone(), values, nulls())?)
        }
        DataType::FixedSizeList(item, size) => {
            let values = plain(array.as_fixed_size_list().values())?;
            Arc::new(FixedSizeListArray::try_new(plain_field(item), *size, values, nulls())?)
        }
        _ => Arc::clone(array),
    })
}
