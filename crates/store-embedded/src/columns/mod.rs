//! The columns of a table: which rows they accept, and where their values are stored.
//!
//! The values of a column are stored in *slots*, one for each kind of value. Most columns have one
//! slot, which has the column's own name in files, so that any reader of the folder sees the column
//! it expects. A column that holds several kinds has another slot for each further kind. No slot
//! ever changes its type, so widening a column rewrites nothing.

mod accepted;
mod build;
mod column_match;
mod native;
mod read;
mod row_time;
mod shape;
mod slot;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use streamtable_schema::{Timestamp, Type, Value};
use streamtable_store::{ColumnInfo, TypeSeen};
use streamtable_wire::WeaveType;

pub(crate) use accepted::{AcceptedRow, AcceptedRows, may_share, width};
pub(crate) use build::build;
pub(crate) use column_match::ColumnMatch;
pub(crate) use native::with_native_values;
pub(crate) use read::{nested_value, read_rows, value};
pub(crate) use shape::Shape;
pub(crate) use slot::{Kind, KnownSlot, MediaField};

/// The columns that every table has in its files, before the slots of its own columns.
pub(crate) mod fixed {
    pub(crate) const POSITION: &str = "_pos";
    pub(crate) const WRITER: &str = "_writer";
    pub(crate) const LINE: &str = "_line";
    pub(crate) const TIME: &str = "_time";
    pub(crate) const STEP: &str = "_step";
    pub(crate) const RUNTIME: &str = "_runtime";
    pub(crate) const ALL: [&str; 6] = [POSITION, WRITER, LINE, TIME, STEP, RUNTIME];
}

/// The columns of a table, in first-seen order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, usize>,
    /// Every slot in the order of creation: the column, and the slot's index in the column.
    slots: Vec<(usize, usize)>,
    /// The Arrow field of each slot, in the same order.
    flushed_fields: Vec<FieldRef>,
    /// The fixed columns and `flushed_fields`, computed on first use.
    schema: OnceLock<SchemaRef>,
    /// The names of the slots in flushed files, in lower case: some readers ignore case.
    fields: HashSet<String>,
    /// The parts of all shapes.
    parts: usize,
}

/// A column and its slots.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Arc<str>,
    /// The type of all values so far, unless it became too large to widen further.
    pub(crate) ty: Type,
    pub(crate) history: Vec<TypeSeen>,
    pub(crate) slots: Vec<Slot>,
    /// Whether the column has held an integer that a float cannot hold.
    pub(crate) has_inexact: bool,
}

/// The storage of a column's values of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    /// The field name in files.
    pub(crate) field: String,
    /// The index among the table's slots.
    pub(crate) place: usize,
    /// The shape of nested values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<Shape>,
}

impl Slot {
    pub(crate) fn arrow_type(&self) -> DataType {
        self.shape.as_ref().map_or_else(|| self.kind.arrow_type(), Shape::arrow_type)
    }

    /// Returns whether the slot stores lists or structs as such.
    pub(crate) fn is_native(&self) -> bool {
        self.kind == Kind::Nested || self.kind.element().is_some()
    }

    /// Returns whether the slot stores lists.
    fn has_lists(&self) -> bool {
        self.kind.element().is_some() || matches!(self.shape, Some(Shape::List(_)))
    }
}

impl Columns {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.columns.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Returns the public description of the columns.
    pub(crate) fn infos(&self) -> Vec<ColumnInfo> {
        let info = |column: &Column| ColumnInfo {
            name: column.name.to_string(),
            ty: column.ty.clone(),
            history: column.history.clone(),
            has_inexact: column.has_inexact,
        };
        self.columns.iter().map(info).collect()
    }

    /// Returns the schema of the table's files: the fixed columns, then the slots in the order of
    /// creation.
    pub(crate) fn arrow_schema(&self) -> SchemaRef {
        let schema = || {
            let fields: Vec<FieldRef> = FIXED.iter().chain(&self.flushed_fields).cloned().collect();
            Arc::new(ArrowSchema::new(fields))
        };
        Arc::clone(self.schema.get_or_init(schema))
    }

    /// Returns the schema of some slots, in ascending order: the fixed columns, then those slots.
    pub(crate) fn schema_of(&self, slots: &[u32]) -> SchemaRef {
        if slots.len() == self.slots.len() {
            return self.arrow_schema();
        }
        let own = slots.iter().map(|&slot| &self.flushed_fields[slot as usize]);
        Arc::new(ArrowSchema::new(FIXED.iter().chain(own).cloned().collect::<Vec<FieldRef>>()))
    }

    fn slot(&self, slot: u32) -> &Slot {
        let (column, slot) = self.slots[slot as usize];
        &self.columns[column].slots[slot]
    }

    /// Returns each slot's column and kind, in the order of [`arrow_schema`](Self::arrow_schema).
    pub(crate) fn slots(&self) -> impl Iterator<Item = (&Column, &Slot)> {
        self.slots.iter().map(|&(column, slot)| {
            let column = &self.columns[column];
            (column, &column.slots[slot])
        })
    }

    fn add_column(&mut self, name: &str, ty: Type, seen: FirstSeen) {
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), self.columns.len());
        let history = vec![seen.of(ty.clone())];
        self.columns.push(Column { name, ty, history, slots: Vec::new(), has_inexact: false });
    }

    fn widen(&mut self, column: usize, ty: Type, seen: FirstSeen) {
        let column = &mut self.columns[column];
        column.history.push(seen.of(ty.clone()));
        column.ty = ty;
    }

    /// Adds a slot of a new kind to a column, and returns its index.
    fn add_slot(&mut self, column: usize, kind: Kind, shape: Option<Shape>) -> usize {
        let place = self.slots.len();
        let own = &self.columns[column];
        let wanted = slot::field_name(&own.name, own.slots.is_empty().then_some(kind), kind);
        let field =
            slot::unique(wanted, |name| self.fields.contains(name) || fixed::ALL.contains(&name));
        self.push_slot(column, Slot { kind, field, place, shape });
        place
    }

    fn push_slot(&mut self, column: usize, slot: Slot) {
        let own = &mut self.columns[column];
        self.parts += slot.shape.as_ref().map_or(0, Shape::parts);
        self.fields.insert(slot.field.to_lowercase());
        self.flushed_fields.push(Arc::new(Field::new(&slot.field, slot.arrow_type(), true)));
        self.schema = OnceLock::new();
        self.slots.push((column, own.slots.len()));
        own.slots.push(slot);
    }

    /// Gives a slot a larger shape.
    fn grow_slot(&mut self, place: usize, shape: Shape) {
        let (column, slot) = self.slots[place];
        let slot = &mut self.columns[column].slots[slot];
        self.parts += shape.parts();
        self.parts -= slot.shape.as_ref().map_or(0, Shape::parts);
        slot.shape = Some(shape);
        self.flushed_fields[place] = Arc::new(Field::new(&slot.field, slot.arrow_type(), true));
        self.schema = OnceLock::new();
    }

    /// Returns the slot for a value of a column.
    fn slot_of(&self, column: usize, value: &Value) -> SlotOf {
        let Some(kind) = Kind::of(value) else { return SlotOf::Null };
        let own = &self.columns[column].slots;
        let find = |kind| own.iter().find(|slot| slot.kind == kind).map(|slot| slot.place);
        if kind == Kind::Json
            && let Some(found) = nested_slot(own, self.parts, value)
        {
            return found;
        }
        let found = find(kind).or_else(|| match value {
            // In a float column, an integer becomes a float unless digits would be lost.
            Value::Int(n) if slot::is_exact(*n) => find(Kind::Float),
            Value::List(items) if items.iter().all(|item| *item == Value::Null) => {
                own.iter().find(|slot| slot.has_lists()).map(|slot| slot.place)
            }
            Value::List(items) if kind == Kind::Ints && slot::are_exact(items) => {
                find(Kind::Floats)
            }
            _ => None,
        });
        found.map_or(SlotOf::Missing(kind, None), SlotOf::Place)
    }

    /// Takes over slots that the Delta table has and the state lacks because of a crash between the
    /// two writes.
    pub(crate) fn restore(&mut self, slots: Vec<KnownSlot>, seen: FirstSeen) {
        for KnownSlot { column, kind, field, shape } in slots {
            if self.fields.contains(&field.to_lowercase()) {
                self.restore_shape(&field, shape);
                continue;
            }
            let found = self.find(&column, 0);
            let column = found.unwrap_or_else(|| {
                // The type follows from the rows.
                self.add_column(&column, Type::Unknown, seen);
                self.columns.len() - 1
            });
            let place = self.slots.len();
            self.push_slot(column, Slot { kind, field, place, shape });
        }
    }

    fn restore_shape(&mut self, field: &str, found: Option<Shape>) {
        let known = self.slots().find(|(_, slot)| slot.field == field).map(|(_, slot)| slot);
        let Some((slot, found)) = known.zip(found) else { return };
        let (place, mut shape) = (slot.place, slot.shape.clone());
        if let Some(shape) = &mut shape {
            shape.merge(found);
        }
        if let Some(shape) = shape.filter(|it| slot.shape.as_ref() != Some(it)) {
            self.grow_slot(place, shape);
        }
    }

    /// Finds a column. A row usually has them in the table's order, so `hint` is tried first.
    fn find(&self, name: &str, hint: usize) -> Option<usize> {
        match self.columns.get(hint) {
            Some(column) if *column.name == *name => Some(hint),
            _ => self.by_name.get(name).copied(),
        }
    }
}

/// The slot for a value.
enum SlotOf {
    /// None: the value is null.
    Null,
    /// The slot at this index.
    Place(usize),
    /// The slot at this index, after it got a larger shape.
    Grown(usize, Shape),
    /// A new slot of this kind, and of this shape if the kind is that of nested values.
    Missing(Kind, Option<Shape>),
}

/// Returns the slot for a list or struct; `None` if it is stored as JSON text. One that would change
/// the kind of a stored part gets another slot: numbers with and without decimals are common in a field.
/// The shapes of all columns have `parts`.
fn nested_slot(own: &[Slot], parts: usize, value: &Value) -> Option<SlotOf> {
    if !matches!(value, Value::List(_) | Value::Struct(_)) {
        return None;
    }
    let shapes = || own.iter().filter_map(|slot| Some((slot.place, slot.shape.as_ref()?)));
    if let Some((place, _)) = shapes().find(|(_, shape)| shape.holds(value)) {
        return Some(SlotOf::Place(place));
    }
    let own_parts: usize = shapes().map(|(_, shape)| shape.parts()).sum();
    let grown = shapes().find_map(|(place, shape)| {
        Some((SlotOf::Grown(place, Shape::grown(Some(shape), value)?), shape.parts()))
    });
    let (found, held) = match grown {
        Some(grown) => grown,
        None => (SlotOf::Missing(Kind::Nested, Some(Shape::grown(None, value)?)), 0),
    };
    let (SlotOf::Grown(_, shape) | SlotOf::Missing(_, Some(shape))) = &found else { return None };
    let added = shape.parts().saturating_sub(held);
    let has_room = own_parts + added <= shape::MAX_PARTS && parts + added <= shape::MAX_TABLE_PARTS;
    has_room.then_some(found)
}

static FIXED: LazyLock<[FieldRef; fixed::ALL.len()]> = LazyLock::new(|| {
    let field = |name, ty, is_nullable| Arc::new(Field::new(name, ty, is_nullable));
    [
        field(fixed::POSITION, DataType::Int64, false),
        field(fixed::WRITER, DataType::Utf8View, false),
        field(fixed::LINE, DataType::Int64, false),
        field(fixed::TIME, timestamp_type(), false),
        field(fixed::STEP, DataType::Int64, true),
        field(fixed::RUNTIME, DataType::Float64, true),
    ]
});

/// Returns the Arrow type of instants: microseconds, UTC.
pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The first row with a type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstSeen {
    pub(crate) position: u64,
    pub(crate) at: Timestamp,
}

impl FirstSeen {
    fn of(self, ty: Type) -> TypeSeen {
        TypeSeen { ty, position: self.position, at: self.at }
    }
}

/// A column as it is stored on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoredColumn {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    history: Vec<StoredType>,
    slots: Vec<Slot>,
    /// Missing in the states of older versions; then the column is assumed to have one.
    #[serde(default = "unknown")]
    has_inexact: bool,
}

fn unknown() -> bool {
    true
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredType {
    #[serde(rename = "type")]
    ty: String,
    position: u64,
    at: i64,
}

fn type_text(ty: &Type) -> String {
    WeaveType::from(ty).to_string()
}

fn read_type(text: &str) -> Type {
    text.parse::<WeaveType>().ok().and_then(|ty| ty.to_type()).unwrap_or(Type::Unknown)
}

impl Columns {
    pub(crate) fn to_stored(&self) -> Vec<StoredColumn> {
        let stored = |column: &Column| StoredColumn {
            name: column.name.to_string(),
            ty: type_text(&column.ty),
            history: column
                .history
                .iter()
                .map(|seen| StoredType {
                    ty: type_text(&seen.ty),
                    position: seen.position,
                    at: seen.at.as_micros(),
                })
                .collect(),
            slots: column.slots.clone(),
            has_inexact: column.has_inexact,
        };
        self.columns.iter().map(stored).collect()
    }

    pub(crate) fn from_stored(stored: Vec<StoredColumn>) -> Self {
        let mut this = Self::default();
        let mut slots = Vec::new();
        for (i, column) in stored.into_iter().enumerate() {
            let name: Arc<str> = column.name.into();
            this.by_name.insert(Arc::clone(&name), i);
            for (j, slot) in column.slots.iter().enumerate() {
                slots.push((slot.place, i, j));
                this.fields.insert(slot.field.to_lowercase());
            }
            let seen = |seen: StoredType| TypeSeen {
                ty: read_type(&seen.ty),
                position: seen.position,
                at: Timestamp::from_micros(seen.at),
            };
            let history = column.history.into_iter().map(seen).collect();
            let ty = read_type(&column.ty);
            let (slots, has_inexact) = (column.slots, column.has_inexact);
            this.columns.push(Column { name, ty, history, slots, has_inexact });
        }
        slots.sort_unstable();
        this.slots = slots.into_iter().map(|(_, column, slot)| (column, slot)).collect();
        let field = |(_, slot): (&Column, &Slot)| {
            Arc::new(Field::new(&slot.field, slot.arrow_type(), true))
        };
        this.flushed_fields = this.slots().map(field).collect();
        let parts = this.slots().filter_map(|(_, slot)| slot.shape.as_ref()).map(Shape::parts);
        this.parts = parts.sum();
        this
    }
}
