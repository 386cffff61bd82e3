//! Types of values, and how they unite.

mod gather;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::{MediaKind, Value};
use gather::{Containers, of, unite};

/// How many of a struct's fields its type shows when it is printed.
const SHOWN_FIELDS: usize = 20;

/// The type of a cell, of a column, or of what lies inside one.
///
/// Types form a lattice: [`unite`](Self::unite) gives the narrowest type that holds all that both
/// hold. It is commutative, associative and idempotent, so the type of a column does not depend on
/// the order in which its rows came.
///
/// ```
/// use streamtable_schema::{Type, row};
///
/// let int = Type::Int;
/// assert_eq!(int.unite(&Type::Float)?, Type::Float);
/// assert_eq!(int.unite(&Type::String)?.to_string(), "int | string");
/// assert_eq!(int.unite(&Type::Null)?.to_string(), "int?");
///
/// let scores = Type::of(&row! { "cat" => 0.9, "dog" => 1 }.into())?;
/// let clash = scores.unite(&int).unwrap_err();
/// assert_eq!(clash.held, scores);
/// # Ok::<(), streamtable_schema::Clash>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// Nothing is known yet: the type of the elements of an empty list. Vanishes in any union.
    Unknown,
    /// Only nulls.
    Null,
    /// True and false.
    Bool,
    /// Integers.
    Int,
    /// Numbers; integers among them.
    Float,
    /// Texts.
    String,
    /// Instants.
    Timestamp,
    /// Media of one kind.
    Media(MediaKind),
    /// Lists whose elements are of one type.
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
/// Invariant: two or more, sorted, none twice, none itself a union or [`Type::Unknown`], not both
/// [`Type::Int`] and [`Type::Float`], at most one list and at most one struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Union {
    members: Vec<Type>,
}

/// Two types that do not unite: a list or a struct met another kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{held} and {came} do not mix{}", at(path))]
pub struct Clash {
    /// Where inside the value, such as `.a[].b`; empty for the value itself.
    pub path: String,
    /// What was there.
    pub held: Type,
    /// What came.
    pub came: Type,
}

pub(crate) fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" (at {path})") }
}

impl Type {
    /// Returns the type of a value.
    ///
    /// Fails when a list inside it holds what does not unite. What nests deeper than a row may
    /// ([`MAX_DEPTH`](crate::MAX_DEPTH)) is not looked at; [`Schema::admit`](crate::Schema::admit)
    /// refuses it.
    pub fn of(value: &Value) -> Result<Self, Clash> {
        of(value, Containers::Apart)
    }

    /// Returns the type of a value, where a list may hold anything beside anything.
    ///
    /// Looks no deeper than [`of`](Self::of).
    pub fn of_any(value: &Value) -> Self {
        of(value, Containers::Mixed).unwrap_or(Self::Unknown)
    }

    /// Returns the narrowest type that holds what both hold.
    ///
    /// Singletons unite with one another and with null; an integer type widens to float. A list
    /// unites with a list, element by element; a struct with a struct, field by field, where a
    /// field that one side lacks may be null. A list or a struct does not unite with another kind,
    /// unless one of the two types mixes those kinds already (see [`unite_any`](Self::unite_any)).
    pub fn unite(&self, other: &Self) -> Result<Self, Clash> {
        unite(self, other, Containers::Apart)
    }

    /// Returns the narrowest type that holds what both hold, lists and structs among singletons
    /// included.
    ///
    /// This is the rule for rows that cannot be refused, such as those of foreign clients.
    pub fn unite_any(&self, other: &Self) -> Self {
        unite(self, other, Containers::Mixed).unwrap_or(Self::Unknown)
    }

    /// Tells whether every value of the other type is one of this type.
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

    /// Tells whether a value is one of this type, as deep as [`of`](Self::of) looks.
    pub fn accepts(&self, value: &Value) -> bool {
        self.includes(&Self::of_any(value))
    }

    /// Tells whether null is one of the type's values.
    pub fn is_optional(&self) -> bool {
        self.members().first() == Some(&Self::Null)
    }

    /// Returns the types that this one is a union of: itself alone for any but a union, and none
    /// for [`Type::Unknown`].
    pub fn members(&self) -> &[Self] {
        match self {
            Self::Unknown => &[],
            Self::Union(union) => &union.members,
            one => std::slice::from_ref(one),
        }
    }

    /// Makes a struct type. A name given twice has the type of both.
    pub fn fields<N: Into<String>>(fields: impl IntoIterator<Item = (N, Self)>) -> Self {
        let mut by_name: BTreeMap<String, Self> = BTreeMap::new();
        for (name, ty) in fields {
            let name = name.into();
            let ty = match by_name.get(&name) {
                Some(held) => held.unite_any(&ty),
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

    /// Returns how many fields there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Tells whether there is no field.
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

impl Clash {
    /// Says that the clash lies inside this step of an outer value: `.name` of a struct, `[]` of a
    /// list.
    #[must_use]
    pub fn inside(self, step: &str) -> Self {
        Self { path: format!("{step}{}", self.path), ..self }
    }
}

impl fmt::Display for Type {
    /// Writes the type as people read it: `int`, `string?`, `list<float>`, `int | string`,
    /// `struct{a: int, b: bool?}`. Of many fields it writes the first.
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
                    // Null sorts first and reads best last.
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
