//! Accumulates types from values and from other types; all unions are computed here.

use std::collections::BTreeMap;

use super::{Fields, Type, Union};
use crate::{MAX_DEPTH, Value};

/// Returns the type of a value.
pub(super) fn of(value: &Value) -> Type {
    if let Some(ty) = singleton(value) {
        return ty;
    }
    let mut all = Gathered::default();
    // A row is itself a struct around its cells.
    all.value(value, MAX_DEPTH + 1);
    all.finish()
}

/// Returns the narrowest type that includes both.
pub(super) fn unite(a: &Type, b: &Type) -> Type {
    let mut all = Gathered::default();
    all.ty(a);
    all.ty(b);
    all.finish()
}

/// The union of some values and types, accumulated one by one.
///
/// The cost for a list of structs is proportional to its cells, not to its distinct fields:
/// optional fields are found at the end, by counting.
#[derive(Default)]
struct Gathered<'a> {
    /// Without duplicates.
    singletons: Vec<Type>,
    element: Option<Box<Self>>,
    fields: Option<GatheredFields<'a>>,
}

#[derive(Default)]
struct GatheredFields<'a> {
    /// The number of structs so far.
    structs: usize,
    by_name: BTreeMap<&'a str, GatheredField<'a>>,
}

#[derive(Default)]
struct GatheredField<'a> {
    all: Gathered<'a>,
    /// The number of structs that have this field.
    structs: usize,
    /// The last struct that has it, counted from 1.
    last: usize,
}

/// Returns the type of a value that is neither a list nor a struct.
fn singleton(value: &Value) -> Option<Type> {
    Some(match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        // Readers treat an integer that does not fit 64 bits as a float.
        Value::Int(n) if i64::try_from(*n).is_err() => Type::Float,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::String(_) => Type::String,
        Value::Timestamp(_) => Type::Timestamp,
        Value::Media(media) => Type::Media(media.kind()),
        Value::List(_) | Value::Struct(_) => return None,
    })
}

impl<'a> Gathered<'a> {
    /// Adds a value, and its content down to `room` levels.
    fn value(&mut self, value: &'a Value, room: usize) {
        match value {
            Value::List(items) => {
                let all = self.element.get_or_insert_default();
                let Some(room) = room.checked_sub(1) else { return };
                for item in items {
                    all.value(item, room);
                }
            }
            Value::Struct(row) => {
                let all = self.fields.get_or_insert_default();
                all.structs += 1;
                let Some(room) = room.checked_sub(1) else { return };
                for (name, value) in row.cells() {
                    all.field(name).value(value, room);
                }
            }
            _ => self.singleton(singleton(value).unwrap_or(Type::Unknown)),
        }
    }

    /// Adds another type.
    fn ty(&mut self, ty: &'a Type) {
        for member in ty.members() {
            match member {
                Type::List(element) => self.element.get_or_insert_default().ty(element),
                Type::Struct(fields) => {
                    let all = self.fields.get_or_insert_default();
                    all.structs += 1;
                    for (name, ty) in fields.iter() {
                        all.field(name).ty(ty);
                    }
                }
                singleton => self.singleton(singleton.clone()),
            }
        }
    }

    fn singleton(&mut self, ty: Type) {
        if !self.singletons.contains(&ty) {
            self.singletons.push(ty);
        }
    }

    fn finish(self) -> Type {
        let mut members = self.singletons;
        if members.contains(&Type::Float) {
            members.retain(|member| *member != Type::Int);
        }
        members.extend(self.element.map(|element| Type::list(element.finish())));
        members.extend(self.fields.map(|fields| Type::Struct(fields.finish())));
        members.sort();
        if members.len() > 1 {
            Type::Union(Union { members })
        } else {
            members.pop().unwrap_or(Type::Unknown)
        }
    }
}

impl<'a> GatheredFields<'a> {
    /// Returns a field of the latest struct.
    fn field(&mut self, name: &'a str) -> &mut Gathered<'a> {
        let field = self.by_name.entry(name).or_default();
        if field.last != self.structs {
            field.last = self.structs;
            field.structs += 1;
        }
        &mut field.all
    }

    fn finish(self) -> Fields {
        let by_name = self.by_name.into_iter().map(|(name, mut field)| {
            if field.structs < self.structs {
                field.all.singleton(Type::Null);
            }
            (name.to_owned(), field.all.finish())
        });
        Fields { by_name: by_name.collect() }
    }
}
