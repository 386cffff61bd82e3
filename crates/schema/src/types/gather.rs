//! Accumulates types from values and from other types; all unions are computed here.

use std::collections::BTreeMap;

use super::{Clash, Fields, Type, Union};
use crate::{MAX_DEPTH, Value};

/// Whether a union may mix lists and structs with other kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Containers {
    Apart,
    Mixed,
}

/// Returns the type of a value.
pub(super) fn of(value: &Value, rule: Containers) -> Result<Type, Clash> {
    if let Some(ty) = singleton(value) {
        return Ok(ty);
    }
    let mut all = Gathered::default();
    // A row is itself a struct around its cells.
    all.value(value, MAX_DEPTH + 1, rule)?;
    Ok(all.finish())
}

/// Returns the narrowest type that includes both.
pub(super) fn unite(a: &Type, b: &Type, rule: Containers) -> Result<Type, Clash> {
    let mut all = Gathered::default();
    all.ty(a, Containers::Mixed)?;
    all.ty(b, rule)?;
    Ok(all.finish())
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

/// Bit flags for the kinds that do not mix. Null has none.
const SINGLETON: u8 = 1;
const LIST: u8 = 2;
const STRUCT: u8 = 4;

fn kinds(ty: &Type) -> u8 {
    match ty {
        Type::Unknown | Type::Null => 0,
        Type::List(_) => LIST,
        Type::Struct(_) => STRUCT,
        Type::Union(union) => union.members.iter().fold(0, |all, member| all | kinds(member)),
        _ => SINGLETON,
    }
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
    fn value(&mut self, value: &'a Value, room: usize, rule: Containers) -> Result<(), Clash> {
        match value {
            Value::List(items) => {
                self.meet(LIST, rule, || Type::of_any(value))?;
                let all = self.element.get_or_insert_default();
                let Some(room) = room.checked_sub(1) else { return Ok(()) };
                for item in items {
                    all.value(item, room, rule).map_err(|clash| clash.inside("[]"))?;
                }
            }
            Value::Struct(row) => {
                self.meet(STRUCT, rule, || Type::of_any(value))?;
                let all = self.fields.get_or_insert_default();
                all.structs += 1;
                let Some(room) = room.checked_sub(1) else { return Ok(()) };
                for (name, value) in row.cells() {
                    let field = all.field(name).value(value, room, rule);
                    field.map_err(|clash| clash.inside(&format!(".{name}")))?;
                }
            }
            _ => {
                let ty = singleton(value).unwrap_or(Type::Unknown);
                self.meet(kinds(&ty), rule, || ty.clone())?;
                self.singleton(ty);
            }
        }
        Ok(())
    }

    /// Adds another type.
    fn ty(&mut self, ty: &'a Type, rule: Containers) -> Result<(), Clash> {
        self.meet(kinds(ty), rule, || ty.clone())?;
        for member in ty.members() {
            match member {
                Type::List(element) => {
                    let all = self.element.get_or_insert_default();
                    all.ty(element, rule).map_err(|clash| clash.inside("[]"))?;
                }
                Type::Struct(fields) => {
                    let all = self.fields.get_or_insert_default();
                    all.structs += 1;
                    for (name, ty) in fields.iter() {
                        let field = all.field(name).ty(ty, rule);
                        field.map_err(|clash| clash.inside(&format!(".{name}")))?;
                    }
                }
                singleton => self.singleton(singleton.clone()),
            }
        }
        Ok(())
    }

    fn singleton(&mut self, ty: Type) {
        if !self.singletons.contains(&ty) {
            self.singletons.push(ty);
        }
    }

    /// Fails if this would mix kinds that neither side already mixes.
    fn meet(
        &mut self,
        coming: u8,
        rule: Containers,
        came: impl FnOnce() -> Type,
    ) -> Result<(), Clash> {
        let held = self.kinds();
        let both = held | coming;
        let is_new = both.count_ones() > 1 && both != held && both != coming;
        if rule == Containers::Apart && is_new {
            let held = std::mem::take(self).finish();
            return Err(Clash { path: String::new(), held, came: came() });
        }
        Ok(())
    }

    fn kinds(&self) -> u8 {
        let list = if self.element.is_some() { LIST } else { 0 };
        let fields = if self.fields.is_some() { STRUCT } else { 0 };
        self.singletons.iter().fold(list | fields, |all, ty| all | kinds(ty))
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
