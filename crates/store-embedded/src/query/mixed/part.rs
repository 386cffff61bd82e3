//! The parts of a mixed cell, and which types they have.

use arrow::datatypes::{DataType, Field, Fields};
use streamtable_schema::Type;

use crate::columns::{Column, Kind, timestamp_type};

/// A part of a mixed cell: its values of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::query) enum Part {
    Number,
    Text,
    Bool,
    Time,
    Media,
    /// Lists and structs, as JSON text.
    Json,
}

impl Part {
    const ALL: [Self; 6] =
        [Self::Number, Self::Text, Self::Bool, Self::Time, Self::Media, Self::Json];

    /// Returns the part's name in SQL.
    pub(in crate::query) fn name(self) -> &'static str {
        match self {
            Self::Number => "n",
            Self::Text => "s",
            Self::Bool => "b",
            Self::Time => "t",
            Self::Media => "media",
            Self::Json => "json",
        }
    }

    /// Returns the word for the part's values in messages.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Number => "numbers",
            Self::Text => "texts",
            Self::Bool => "booleans",
            Self::Time => "times",
            Self::Media => "media",
            Self::Json => "lists or structs",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Returns the part whose values have an SQL type.
    pub(super) fn of(ty: &DataType) -> Option<Self> {
        use DataType::{
            Boolean, Date32, Date64, Dictionary, LargeUtf8, Struct, Timestamp, Utf8, Utf8View,
        };
        match ty {
            ty if ty.is_numeric() => Some(Self::Number),
            Utf8 | LargeUtf8 | Utf8View => Some(Self::Text),
            Boolean => Some(Self::Bool),
            Timestamp(..) | Date32 | Date64 => Some(Self::Time),
            Struct(fields) if is_media(fields) => Some(Self::Media),
            Dictionary(_, values) => Self::of(values),
            _ => None,
        }
    }

    /// Returns the parts of a column's cells, that of the kind which came first at the front.
    pub(in crate::query) fn of_column(column: &Column) -> Vec<Self> {
        let mut parts = Vec::new();
        for slot in &column.slots {
            let part = match slot.kind {
                Kind::Int | Kind::Float => Self::Number,
                Kind::Text => Self::Text,
                Kind::Bool => Self::Bool,
                Kind::Time => Self::Time,
                Kind::Media => Self::Media,
                Kind::Bools
                | Kind::Ints
                | Kind::Floats
                | Kind::Texts
                | Kind::Times
                | Kind::Nested
                | Kind::Json => Self::Json,
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts
    }

    /// Returns the parts that values of a type have.
    pub(super) fn of_type(ty: &Type) -> Vec<Self> {
        let has = |part: &Self| {
            ty.members().iter().any(|member| match member {
                Type::Int | Type::Float => *part == Self::Number,
                Type::String => *part == Self::Text,
                Type::Bool => *part == Self::Bool,
                Type::Timestamp => *part == Self::Time,
                Type::Media(_) => *part == Self::Media,
                Type::List(_) | Type::Struct(_) => *part == Self::Json,
                Type::Unknown | Type::Null | Type::Union(_) => false,
            })
        };
        Self::ALL.into_iter().filter(has).collect()
    }

    /// Returns whether the part may have a type.
    fn has(self, ty: &DataType) -> bool {
        match self {
            Self::Json => Self::of(ty) == Some(Self::Text),
            part => Self::of(ty) == Some(part),
        }
    }

    /// Returns the part's type in a cell that has to hold values of both types.
    fn wider(self, a: &DataType, b: &DataType) -> DataType {
        match self {
            Self::Number if is_small_integer(a) && is_small_integer(b) => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8View,
            Self::Bool => DataType::Boolean,
            Self::Time => timestamp_type(),
            Self::Media => a.clone(),
        }
    }
}

fn is_small_integer(ty: &DataType) -> bool {
    ty.is_integer() && *ty != DataType::UInt64
}

fn is_media(fields: &Fields) -> bool {
    ["kind", "path", "hash"].iter().all(|name| fields.find(name).is_some())
}

/// Returns the parts of a mixed column's type, with that of the kind which came first at the front;
/// `None` for other types.
pub(super) fn parts(ty: &DataType) -> Option<&Fields> {
    let DataType::Struct(fields) = ty else { return None };
    let is_part = |(i, field): (usize, &arrow::datatypes::FieldRef)| {
        let is_new = fields.iter().take(i).all(|other| other.name() != field.name());
        is_new && Part::named(field.name()).is_some_and(|part| part.has(field.data_type()))
    };
    (fields.len() > 1 && fields.iter().enumerate().all(is_part)).then_some(fields)
}

/// Returns the type of a part, if a mixed column has it.
pub(super) fn type_of(fields: &Fields, part: Part) -> Option<&DataType> {
    fields.find(part.name()).map(|(_, field)| field.data_type())
}

/// Returns the parts of a mixed column, that of the kind which came first at the front.
pub(super) fn in_order(fields: &Fields) -> impl Iterator<Item = Part> + '_ {
    fields.iter().filter_map(|field| Part::named(field.name()))
}

/// Returns the parts of the narrowest mixed type for the values of some types; `None` if one of the
/// types does not fit into a mixed cell.
pub(super) fn united<'a>(types: impl Iterator<Item = &'a DataType> + Clone) -> Option<Fields> {
    let mut united: Vec<(Part, DataType)> = Vec::new();
    let mut add = |part: Part, ty: &DataType| match united.iter_mut().find(|it| it.0 == part) {
        Some((_, held)) => *held = part.wider(held, ty),
        None => united.push((part, part.wider(ty, ty))),
    };
    // The order of a mixed type is kept.
    for fields in types.clone().filter_map(parts) {
        for part in in_order(fields) {
            type_of(fields, part).into_iter().for_each(|ty| add(part, ty));
        }
    }
    for ty in types.filter(|ty| parts(ty).is_none() && !ty.is_null()) {
        add(Part::of(ty)?, ty);
    }
    let field = |(part, ty): (Part, DataType)| Field::new(part.name(), ty, true);
    Some(united.into_iter().map(field).collect())
}

/// Returns the kinds in a mixed column in words, such as "numbers and texts".
pub(super) fn in_words(parts: &[Part]) -> String {
    let words: Vec<&str> = parts.iter().map(|part| part.plural()).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => "nothing".to_owned(),
    }
}
