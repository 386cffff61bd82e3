//! The memtable: rows that are durable in the log and not flushed yet.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray,
    new_null_array,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::columns::{Columns, fixed, may_share, width};

/// Batches are merged until they have this many rows.
const MAX_BATCH_ROWS: usize = 1 << 16;

/// The number of bytes of the arrays in memory, of all tables.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: AtomicUsize,
}

impl Memory {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts bytes until the charge is dropped.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge { memory: Arc::clone(self), bytes }
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Charge {
    /// Changes the number of bytes.
    fn resize(&mut self, bytes: usize) {
        self.memory.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.memory.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Rows as arrays: the fixed columns, then the slots that the rows have values in. Other slots of
/// the table are read as null.
#[derive(Debug)]
pub(crate) struct MemBatch {
    pub(crate) batch: RecordBatch,
    /// The slots, in ascending order.
    pub(crate) slots: Arc<[u32]>,
    /// How many bytes the slots take for each row, without long texts.
    pub(crate) width: usize,
    /// The bytes of the lines that the rows were parsed from.
    pub(crate) line_bytes: usize,
}

/// Batches in the order of their positions.
///
/// Small batches are merged so that each is at most about half as large as the one before: a row is
/// copied only a few times, and there are few batches. Rows with different columns are merged only
/// if their arrays stay in proportion to their lines.
#[derive(Debug, Default)]
pub(crate) struct MemTable {
    batches: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    rows: MemBatch,
    charge: Charge,
}

impl MemTable {
    /// Adds rows after the others.
    pub(crate) fn push(&mut self, rows: MemBatch, charge: Charge) {
        let mut last = Held { rows, charge };
        while let Some(before) = self.batches.pop_if(|before| before.takes(&last)) {
            match before.rows.merge(&last.rows) {
                Ok(rows) => {
                    last.charge.resize(rows.batch.get_array_memory_size());
                    last.rows = rows;
                }
                Err(error) => {
                    // Batches of one table are compatible by construction, and can be read without
                    // being merged.
                    tracing::error!(%error, "batches of a table cannot be merged");
                    self.batches.push(before);
                    break;
                }
            }
        }
        self.batches.push(last);
    }

    /// Removes the rows before a position.
    pub(crate) fn drop_before(&mut self, position: u64) {
        self.batches.retain_mut(|it| {
            let batch = &mut it.rows.batch;
            let gone = rows_before(batch, position);
            if gone > 0 {
                *batch = batch.slice(gone, batch.num_rows() - gone);
            }
            batch.num_rows() > 0
        });
    }

    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.batches.iter().map(|it| it.rows.batch.clone()).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batches.iter().map(|it| it.charge.bytes).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

impl Held {
    /// Returns whether the next batch should be merged into this one.
    fn takes(&self, next: &Self) -> bool {
        let (own, other) = (&self.rows, &next.rows);
        let rows = own.batch.num_rows() + other.batch.num_rows();
        if own.batch.num_rows() > 2 * other.batch.num_rows() || rows > MAX_BATCH_ROWS {
            return false;
        }
        // Common slots are counted twice unless all slots are the same.
        let width = if own.slots == other.slots { own.width } else { own.width + other.width };
        may_share(rows, width, own.line_bytes + other.line_bytes)
    }
}

impl MemBatch {
    /// Creates a batch from rows that were read from a file of the table.
    pub(crate) fn of_all_slots(batch: &RecordBatch, columns: &Columns) -> Result<Self, ArrowError> {
        let schema = columns.arrow_schema();
        let batch = conform(batch, &schema)?;
        let own = schema.fields().iter().skip(fixed::ALL.len());
        Ok(Self {
            slots: (0..own.len() as u32).collect(),
            width: own.map(|field| width(field.data_type())).sum(),
            line_bytes: batch.get_array_memory_size(),
            batch,
        })
    }

    fn merge(&self, next: &Self) -> Result<Self, ArrowError> {
        let (own, other) = (&self.batch, &next.batch);
        let line_bytes = self.line_bytes + next.line_bytes;
        let (schema, slots, width) = if self.slots == next.slots && own.schema() == other.schema() {
            (own.schema(), Arc::clone(&self.slots), self.width)
        } else {
            union(self, next)
        };
        let (own, other) = (conform(own, &schema)?, conform(other, &schema)?);
        let column = |(a, b): (&ArrayRef, &ArrayRef)| {
            concat(&[a.as_ref(), b.as_ref()]).map(|joined| compact(&joined))
        };
        let columns = own.columns().iter().zip(other.columns()).map(column);
        let columns = columns.collect::<Result<_, _>>()?;
        let options =
            RecordBatchOptions::new().with_row_count(Some(own.num_rows() + other.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Self { batch, slots, width, line_bytes })
    }
}

/// Returns the union of the schemas and slots of two batches, and its width.
fn union(a: &MemBatch, b: &MemBatch) -> (SchemaRef, Arc<[u32]>, usize) {
    let fields = |it: &MemBatch| -> Vec<(u32, FieldRef)> {
        let schema = it.batch.schema();
        let own = schema.fields().iter().skip(fixed::ALL.len()).cloned();
        it.slots.iter().copied().zip(own).collect()
    };
    let mut all = fields(a);
    all.extend(fields(b));
    // The type of a slot of nested values may have grown.
    all.sort_by_key(|(slot, field)| (*slot, Reverse(width(field.data_type()))));
    all.dedup_by_key(|(slot, _)| *slot);
    let width = all.iter().map(|(_, field)| width(field.data_type())).sum();
    let schema = a.batch.schema();
    let fixed = schema.fields().iter().take(fixed::ALL.len()).cloned();
    let slots = all.iter().map(|(slot, _)| *slot).collect();
    let fields: Vec<FieldRef> = fixed.chain(all.into_iter().map(|(_, field)| field)).collect();
    (Arc::new(Schema::new(fields)), slots, width)
}

/// Returns how many of a batch's rows are before a position.
pub(crate) fn rows_before(batch: &RecordBatch, position: u64) -> usize {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    positions(batch).map_or(0, |it| it.values().partition_point(|&row| row < position))
}

pub(crate) fn positions(batch: &RecordBatch) -> Option<&arrow::array::Int64Array> {
    batch.column_by_name(fixed::POSITION)?.as_primitive_opt::<Int64Type>()
}

/// Gives a batch the columns of a schema: columns that it lacks are null.
///
/// All null columns of a type share their memory.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let own = batch.schema();
    if Arc::ptr_eq(&own, schema) {
        return Ok(batch.clone());
    }
    let names = own.fields().iter().map(|field| field.name().as_str());
    let places: HashMap<&str, usize> = names.zip(0..).collect();
    let mut nulls: Vec<ArrayRef> = Vec::new();
    let column = |field: &FieldRef| {
        if let Some(&place) = places.get(field.name().as_str()) {
            return with_type(batch.column(place), field.data_type());
        }
        let ty = field.data_type();
        let shared = nulls.iter().find(|it| it.data_type() == ty).cloned();
        shared.unwrap_or_else(|| {
            let array = new_null_array(ty, batch.num_rows());
            nulls.push(Arc::clone(&array));
            array
        })
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// Gives the elements of lists the name that they have in a type, which is another one in files, and
/// structs the fields of the type: those that they lack are null.
fn with_type(array: &ArrayRef, ty: &DataType) -> ArrayRef {
    if array.data_type() == ty {
        return Arc::clone(array);
    }
    let typed = match ty {
        DataType::List(field) => array.as_list_opt::<i32>().map(|lists| {
            let (_, offsets, elements, nulls) = lists.clone().into_parts();
            let elements = with_type(&elements, field.data_type());
            let lists = ListArray::try_new(Arc::clone(field), offsets, elements, nulls)?;
            Ok::<ArrayRef, ArrowError>(Arc::new(lists))
        }),
        DataType::Struct(fields) => array.as_struct_opt().map(|structs| {
            let column = |field: &FieldRef| match structs.column_by_name(field.name()) {
                Some(array) => with_type(array, field.data_type()),
                None => new_null_array(field.data_type(), structs.len()),
            };
            let columns = fields.iter().map(column).collect();
            let nulls = structs.nulls().cloned();
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?) as ArrayRef)
        }),
        _ => None,
    };
    // The next step reports a type that is not the expected one.
    typed.and_then(Result::ok).unwrap_or_else(|| Arc::clone(array))
}

/// Copies concatenated texts into one shared block of memory.
fn compact(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => match array.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()),
            None => Arc::clone(array),
        },
        DataType::List(field) => match array.as_list_opt::<i32>() {
            Some(lists) => {
                let elements = compact(lists.values());
                let (offsets, nulls) = (lists.offsets().clone(), lists.nulls().cloned());
                let compacted = ListArray::try_new(Arc::clone(field), offsets, elements, nulls);
                compacted.map_or_else(|_| Arc::clone(array), |it| Arc::new(it) as ArrayRef)
            }
            None => Arc::clone(array),
        },
        DataType::Struct(fields) => match array.as_struct_opt() {
            Some(parts) => {
                let columns = parts.columns().iter().map(compact).collect();
                let compacted =
                    StructArray::try_new(fields.clone(), columns, parts.nulls().cloned());
                compacted.map_or_else(|_| Arc::clone(array), |it| Arc::new(it) as ArrayRef)
            }
            None => Arc::clone(array),
        },
        _ => Arc::clone(array),
    }
}
