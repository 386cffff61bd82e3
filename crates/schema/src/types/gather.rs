//! The one way in which types come together, from values and from other types.

use std::collections::BTreeMap;

use super::{Clash, Fields, Type, Union};
use crate::{MAX_DEPTH, Value};

/// Whether lists and structs may stand beside other kinds in a union.
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

/// Returns the narrowest type that holds what both hold.
pub(super) fn unite(a: &Type, b: &Type, rule: Containers) -> Result<Type, Clash> {
    let mut all = Gathered::default();
    all.ty(a, Containers::Mixed)?;
    all.ty(b, rule)?;
    Ok(all.finish())
}

/// All that some values and types hold, gathered one by one.
///
/// A list of structs costs what its cells cost, however many fields its structs have between them:
/// that a field may be null is found at the end, by counting.
#[derive(Default)]
struct Gathered<'a> {
    /// Without duplicates.
    singletons: Vec<Type>,
    element: Option<Box<Self>>,
    fields: Option<GatheredFields<'a>>,
}

#[derive(Default)]
struct GatheredFields<'a> {
    /// How many structs came.
    structs: usize,
    by_name: BTreeMap<&'a str, GatheredField<'a>>,
}

#[derive(Default)]
struct GatheredField<'a> {
    all: Gathered<'a>,
    /// In how many structs the field was.
    structs: usize,
    /// The last of them, counted from 1.
    last: usize,
}

/// Sets of the kinds that do not mix. Null is none of them.
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
        // What 64 bits do not hold is as good as a float to every reader.
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
    /// Adds a value, and what is inside it down to `room` containers.
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

    /// Adds all that a type holds.
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

    /// Fails where kinds would come together that neither side holds both.
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
    /// Returns a field of the struct that came last.
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
