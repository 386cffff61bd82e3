//! Value types, and their union.

mod gather;
mod serde;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::{MediaKind, Value};
use gather::{of, unite};

/// Maximum number of struct fields that are shown when a type is printed.
const SHOWN_FIELDS: usize = 20;

/// The type of a cell, of a column, or of a value inside one.
///
/// Types form a lattice: [`unite`](Self::unite) returns the narrowest type that includes both. It
/// is commutative, associative and idempotent, so the type of a column does not depend on the order
/// of its rows.
///
/// ```
/// use streamtable_schema::{Type, row};
///
/// let int = Type::Int;
/// assert_eq!(int.unite(&Type::Float), Type::Float);
/// assert_eq!(int.unite(&Type::String).to_string(), "int | string");
/// assert_eq!(int.unite(&Type::Null).to_string(), "int?");
///
/// let scores = Type::of(&row! { "cat" => 0.9, "dog" => 1 }.into());
/// assert_eq!(scores.unite(&int).to_string(), "int | struct{cat: float, dog: int}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// The element type of an empty list: nothing is known yet. Disappears in any union.
    Unknown,
    /// Only nulls.
    Null,
    /// Booleans.
    Bool,
    /// Integers.
    Int,
    /// Numbers, including integers.
    Float,
    /// Strings.
    String,
    /// Timestamps.
    Timestamp,
    /// Media of one kind.
    Media(MediaKind),
    /// Lists with elements of one type.
    List(Box<Self>),
    /// Structs with these fields.
    Struct(Fields),
    /// Any of several types.
    Union(Union),
}

/// The fields of a struct type, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fields {
    by_name: BTreeMap<String, Type>,
}

/// The members of a union type.
///
/// Invariant: at least two, sorted, without duplicates; no member is a union or [`Type::Unknown`];
/// not both [`Type::Int`] and [`Type::Float`]; at most one list and at most one struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Union {
    members: Vec<Type>,
}

impl Type {
    /// Returns the type of a value.
    ///
    /// Values that nest deeper than a row may ([`MAX_DEPTH`](crate::MAX_DEPTH)) are ignored;
    /// [`Schema::admit`](crate::Schema::admit) refuses them.
    pub fn of(value: &Value) -> Self {
        of(value)
    }

    /// Returns the narrowest type that includes both.
    ///
    /// Int and float give float. A list unites with a list, element by element. A struct unites with a
    /// struct, field by field; a field that one side lacks becomes optional. All other types form a
    /// union.
    #[must_use]
    pub fn unite(&self, other: &Self) -> Self {
        unite(self, other)
    }

    /// Returns whether every value of the other type is also of this type.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Unknown) => true,
            (Self::Float, Self::Int) => true,
            (Self::List(a), Self::List(b)) => a.includes(b),
            (Self::Struct(a), Self::Struct(b)) => a.includes(b),
            (_, Self::Union(other)) => other.members.iter().all(|member| self.includes(member)),
            (Self::Union(this), other) => this.members.iter().any(|member| member.includes(other)),
            (this, other) => this == other,
        }
    }

    /// Returns whether a value is of this type, down to the depth that [`of`](Self::of) checks.
    pub fn accepts(&self, value: &Value) -> bool {
        self.includes(&Self::of(value))
    }

    /// Returns whether null is one of the type's values.
    pub fn is_optional(&self) -> bool {
        self.members().first() == Some(&Self::Null)
    }

    /// Returns the members of a union, the type itself if it is not a union, and none for
    /// [`Type::Unknown`].
    pub fn members(&self) -> &[Self] {
        match self {
            Self::Unknown => &[],
            Self::Union(union) => &union.members,
            one => std::slice::from_ref(one),
        }
    }

    /// Makes a struct type. A duplicate name gets the union of its types.
    pub fn fields<N: Into<String>>(fields: impl IntoIterator<Item = (N, Self)>) -> Self {
        let mut by_name: BTreeMap<String, Self> = BTreeMap::new();
        for (name, ty) in fields {
            let name = name.into();
            let ty = match by_name.get(&name) {
                Some(held) => held.unite(&ty),
                None => ty,
            };
            by_name.insert(name, ty);
        }
        Self::Struct(Fields { by_name })
    }

    /// Makes a list type.
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }
}

impl Fields {
    /// Returns the fields, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Type)> {
        self.by_name.iter().map(|(name, ty)| (name.as_str(), ty))
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Returns the type of a field.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name)
    }

    fn includes(&self, other: &Self) -> bool {
        other.iter().all(|(name, ty)| self.get(name).is_some_and(|mine| mine.includes(ty)))
            && self.iter().all(|(name, ty)| ty.is_optional() || other.get(name).is_some())
    }
}

impl Union {
    /// Returns the members in their order.
    pub fn members(&self) -> &[Type] {
        &self.members
    }
}

impl fmt::Display for Type {
    /// Writes the type in a readable form: `int`, `string?`, `list<float>`, `int | string`,
    /// `struct{a: int, b: bool?}`. Shows only the first fields of a large struct.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Media(kind) => kind.fmt(f),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Struct(fields) => {
                f.write_str("struct{")?;
                for (i, (name, ty)) in fields.iter().take(SHOWN_FIELDS).enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {ty}")?;
                }
                match fields.len().checked_sub(SHOWN_FIELDS) {
                    None | Some(0) => f.write_str("}"),
                    Some(more) => write!(f, ", … {more} more}}"),
                }
            }
            Self::Union(Union { members }) => match &members[..] {
                [Self::Null, one] => write!(f, "{one}?"),
                many => {
                    // Null sorts first but is printed last.
                    let (null, rest) = match many {
                        [Self::Null, rest @ ..] => (true, rest),
                        rest => (false, rest),
                    };
                    for (i, member) in rest.iter().enumerate() {
                        let bar = if i == 0 { "" } else { " | " };
                        write!(f, "{bar}{member}")?;
                    }
                    f.write_str(if null { " | null" } else { "" })
                }
            },
        }
    }
}
