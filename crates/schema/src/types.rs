//! Types of values, and how they unite.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use crate::{MediaKind, Row, Value};

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

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" (at {path})") }
}

/// Whether lists and structs may stand beside other kinds in a union.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Containers {
    Apart,
    Mixed,
}

impl Type {
    /// Returns the type of a value.
    ///
    /// Fails when a list inside it holds what does not unite.
    pub fn of(value: &Value) -> Result<Self, Clash> {
        of(value, Containers::Apart)
    }

    /// Returns the type of a value, where a list may hold anything beside anything.
    pub fn of_any(value: &Value) -> Self {
        of(value, Containers::Mixed).unwrap_or(Self::Unknown)
    }

    /// Returns the narrowest type that holds what both hold.
    ///
    /// Singletons unite with one another and with null; an integer type widens to float. A list
    /// unites with a list, element by element; a struct with a struct, field by field, where a
    /// field that one side lacks may be null. A list or a struct does not unite with another kind.
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

    /// Tells whether a value is one of this type.
    pub fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Union(union), value) => union.members.iter().any(|m| m.accepts(value)),
            (Self::List(element), Value::List(items)) => items.iter().all(|v| element.accepts(v)),
            (Self::Struct(fields), Value::Struct(row)) => fields.accepts(row),
            (this, Value::List(_) | Value::Struct(_)) => {
                debug_assert!(!matches!(this, Self::Union(_)));
                false
            }
            (this, singleton) => this.includes(&Self::of_any(singleton)),
        }
    }

    /// Tells whether null is one of the type's values.
    pub fn is_optional(&self) -> bool {
        self.members().contains(&Self::Null)
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
            match by_name.entry(name.into()) {
                Entry::Vacant(entry) => drop(entry.insert(ty)),
                Entry::Occupied(mut entry) => {
                    let both = entry.get().unite_any(&ty);
                    entry.insert(both);
                }
            }
        }
        Self::Struct(Fields { by_name })
    }

    /// Makes a list type.
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_))
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
            && self.iter().all(|(name, ty)| other.get(name).is_some() || ty.is_optional())
    }

    fn accepts(&self, row: &Row) -> bool {
        row.cells().all(|(name, value)| self.get(name).is_some_and(|ty| ty.accepts(value)))
            && self.iter().all(|(name, ty)| row.get(name).is_some() || ty.is_optional())
    }
}

impl Union {
    /// Returns the members in their order.
    pub fn members(&self) -> &[Type] {
        &self.members
    }
}

fn of(value: &Value, rule: Containers) -> Result<Type, Clash> {
    Ok(match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        // What 64 bits do not hold is as good as a float to every reader.
        Value::Int(n) if i64::try_from(*n).is_err() => Type::Float,
        Value::Int(_) => Type::Int,
        Value::Float(_) => Type::Float,
        Value::String(_) => Type::String,
        Value::Timestamp(_) => Type::Timestamp,
        Value::Media(media) => Type::Media(media.kind()),
        Value::List(items) => {
            let mut element = Type::Unknown;
            for item in items {
                let item = of(item, rule).map_err(|clash| clash.inside("[]"))?;
                element = unite(&element, &item, rule).map_err(|clash| clash.inside("[]"))?;
            }
            Type::list(element)
        }
        Value::Struct(row) => {
            let mut fields = Vec::with_capacity(row.len());
            for (name, value) in row.cells() {
                let ty = of(value, rule).map_err(|clash| clash.inside(&format!(".{name}")))?;
                fields.push((name, ty));
            }
            Type::fields(fields)
        }
    })
}

fn unite(a: &Type, b: &Type, rule: Containers) -> Result<Type, Clash> {
    if a == b {
        return Ok(a.clone());
    }
    let mut members = a.members().to_vec();
    for new in b.members() {
        add(&mut members, new, rule)?;
    }
    if rule == Containers::Apart && members.iter().any(Type::is_container) {
        let singletons = members.iter().filter(|m| **m != Type::Null).count();
        if singletons > 1 {
            return Err(Clash { path: String::new(), held: a.clone(), came: b.clone() });
        }
    }
    members.sort();
    Ok(match members.len() {
        0 => Type::Unknown,
        1 => members.remove(0),
        _ => Type::Union(Union { members }),
    })
}

/// Adds one member to those of a union.
fn add(members: &mut Vec<Type>, new: &Type, rule: Containers) -> Result<(), Clash> {
    for member in members.iter_mut() {
        let merged = match (&*member, new) {
            (same, new) if same == new => return Ok(()),
            (Type::Int | Type::Float, Type::Int | Type::Float) => Type::Float,
            (Type::List(x), Type::List(y)) => {
                Type::list(unite(x, y, rule).map_err(|clash| clash.inside("[]"))?)
            }
            (Type::Struct(x), Type::Struct(y)) => Type::Struct(unite_fields(x, y, rule)?),
            _ => continue,
        };
        *member = merged;
        return Ok(());
    }
    members.push(new.clone());
    Ok(())
}

fn unite_fields(a: &Fields, b: &Fields, rule: Containers) -> Result<Fields, Clash> {
    let mut by_name = BTreeMap::new();
    for name in a.by_name.keys().chain(b.by_name.keys()) {
        if by_name.contains_key(name) {
            continue;
        }
        let [x, y] = [a, b].map(|fields| fields.get(name).unwrap_or(&Type::Null));
        let ty = unite(x, y, rule).map_err(|clash| clash.inside(&format!(".{name}")))?;
        by_name.insert(name.clone(), ty);
    }
    Ok(Fields { by_name })
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
    /// `struct{a: int, b: bool?}`.
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
                for (i, (name, ty)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {ty}")?;
                }
                f.write_str("}")
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
