//! Moves lists and structs that were stored as JSON text to the slots of their kinds: earlier versions
//! stored all of them so, and a slot may have grown since.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::kernels::zip::zip;
use arrow::compute::nullif;
use arrow::error::ArrowError;
use streamtable_schema::Value;

use super::build::array;
use super::{Column, Columns, Kind, SlotOf, fixed, read};

/// Returns rows whose lists and structs are in the slots of their kinds, as far as the table has such
/// slots. `batch` has all slots of the table.
pub(crate) fn with_native_values(
    columns: &Columns,
    batch: RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let mut arrays = batch.columns().to_vec();
    let mut is_changed = false;
    for (i, column) in columns.iter().enumerate() {
        is_changed |= move_values(columns, (i, column), &mut arrays)?;
    }
    if !is_changed {
        return Ok(batch);
    }
    RecordBatch::try_new(batch.schema(), arrays)
}

fn move_values(
    columns: &Columns,
    (index, column): (usize, &Column),
    arrays: &mut [ArrayRef],
) -> Result<bool, ArrowError> {
    let place = |slot: &super::Slot| fixed::ALL.len() + slot.place;
    let mut natives = column.slots.iter().filter(|slot| slot.is_native()).peekable();
    let json = column.slots.iter().find(|slot| slot.kind == Kind::Json);
    let (Some(json), true) = (json, natives.peek().is_some()) else { return Ok(false) };
    let texts = Arc::clone(&arrays[place(json)]);
    if texts.null_count() == texts.len() {
        return Ok(false);
    }
    let mut cells: Vec<Option<(usize, Value)>> = Vec::with_capacity(texts.len());
    for i in 0..texts.len() {
        let value = read::value(Kind::Json, &texts, i);
        cells.push(value.and_then(|value| match columns.slot_of(index, &value) {
            SlotOf::Place(place) if place != json.place => Some((place, value)),
            _ => None,
        }));
    }
    let mut is_changed = false;
    for native in natives {
        let moved: BooleanArray = cells
            .iter()
            .map(|cell| Some(matches!(cell, Some((at, _)) if *at == native.place)))
            .collect();
        if moved.true_count() == 0 {
            continue;
        }
        let values: Vec<Option<Value>> = cells
            .iter_mut()
            .map(|cell| cell.take_if(|(at, _)| *at == native.place).map(|(_, value)| value))
            .collect();
        let values = array(native, &values)?;
        arrays[place(native)] = zip(&moved, &values, &arrays[place(native)])?;
        let texts = Arc::clone(&arrays[place(json)]);
        arrays[place(json)] =
            Arc::new(nullif(texts.as_string_view(), &moved)?.as_string_view().gc());
        is_changed = true;
    }
    Ok(is_changed)
}
