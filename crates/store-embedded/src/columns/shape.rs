//! The shapes of structs, and of lists of lists and of structs: how a slot stores them.
//!
//! A shape only grows: a struct gets further fields, which are null in earlier rows. A field that is null
//! where it is stored is one that the struct does not have. What does not fit is JSON text in another
//! slot, and so are structs with a field that is null.

use std::collections::HashSet;

use arrow::datatypes::{DataType, Field, Fields};
use serde::{Deserialize, Serialize};
use streamtable_schema::{Row, Value};

use super::Kind;
use super::slot::{is_exact, is_plain};

/// The deepest shape: a list of lists of scalars has depth 2.
const MAX_DEPTH: usize = 8;

/// The limit of the parts of all shapes of a column. A struct whose keys are data, such as the ids of
/// users, would otherwise become a column of as many fields.
pub(super) const MAX_PARTS: usize = 256;

/// The limit of the parts of all shapes of a table. Every query plans them, and every batch of rows has
/// an array for each.
pub(super) const MAX_TABLE_PARTS: usize = 4_096;

/// The longest name of a field, in bytes.
const MAX_NAME: usize = 120;

/// A shape of values. `Struct` has fields with unique names that every reader of files accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    Bool,
    Int,
    Float,
    Text,
    Time,
    List(Box<Self>),
    Struct(Vec<(String, Self)>),
}

impl Shape {
    /// Returns the smallest shape that has room for what `held` holds and for a list or struct; `None`
    /// if there is none, or if it would be too deep.
    pub(super) fn grown(held: Option<&Self>, value: &Value) -> Option<Self> {
        let grown = grown(held.cloned(), value, false, MAX_DEPTH)??;
        grown.holds(value).then_some(grown)
    }

    /// Returns whether a value has this shape, or a part of it.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::Bool, Value::Bool(_))
            | (Self::Float, Value::Float(_))
            | (Self::Text, Value::String(_))
            | (Self::Time, Value::Timestamp(_)) => true,
            (Self::Int, Value::Int(n)) => i64::try_from(*n).is_ok(),
            (Self::Float, Value::Int(n)) => is_exact(*n),
            (Self::List(element), Value::List(items)) => items.iter().all(|it| element.holds(it)),
            (Self::Struct(fields), Value::Struct(row)) => holds_fields(fields, row),
            _ => false,
        }
    }

    /// Returns the number of fields, lists and scalars.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::List(element) => 1 + element.parts(),
            Self::Struct(fields) => 1 + fields.iter().map(|(_, it)| it.parts()).sum::<usize>(),
            _ => 1,
        }
    }

    /// Adds the fields of a shape that the same slot has elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::List(own), Self::List(other)) => own.merge(*other),
            (Self::Struct(own), Self::Struct(other)) => {
                for (name, shape) in other {
                    match own.iter_mut().find(|(it, _)| *it == name) {
                        Some((_, held)) => held.merge(shape),
                        None => own.push((name, shape)),
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the kind of a scalar.
    pub(super) fn scalar(&self) -> Option<Kind> {
        Some(match self {
            Self::Bool => Kind::Bool,
            Self::Int => Kind::Int,
            Self::Float => Kind::Float,
            Self::Text => Kind::Text,
            Self::Time => Kind::Time,
            Self::List(_) | Self::Struct(_) => return None,
        })
    }

    pub(crate) fn arrow_type(&self) -> DataType {
        match self {
            Self::List(element) => DataType::new_list(element.arrow_type(), true),
            Self::Struct(fields) => DataType::Struct(arrow_fields(fields)),
            scalar => scalar.scalar().unwrap_or(Kind::Nested).arrow_type(),
        }
    }

    /// Returns the shape that is stored with a type.
    pub(crate) fn of_type(ty: &DataType) -> Option<Self> {
        Some(match ty {
            DataType::List(element) => Self::List(Self::of_type(element.data_type())?.into()),
            DataType::Struct(fields) => {
                let field = |it: &Field| Some((it.name().clone(), Self::of_type(it.data_type())?));
                Self::Struct(fields.iter().map(|it| field(it)).collect::<Option<_>>()?)
            }
            ty => match Kind::of_type(ty)? {
                Kind::Bool => Self::Bool,
                Kind::Int => Self::Int,
                Kind::Float => Self::Float,
                Kind::Text => Self::Text,
                Kind::Time => Self::Time,
                _ => return None,
            },
        })
    }
}

/// Returns the fields of a struct as Arrow has them.
pub(super) fn arrow_fields(fields: &[(String, Shape)]) -> Fields {
    fields.iter().map(|(name, shape)| Field::new(name, shape.arrow_type(), true)).collect()
}

/// Returns the place of a field. Structs usually have their fields in one order, so `hint` is tried
/// first.
pub(super) fn place_of(fields: &[(String, Shape)], name: &str, hint: usize) -> Option<usize> {
    match fields.get(hint) {
        Some((it, _)) if it == name => Some(hint),
        _ => fields.iter().position(|(it, _)| it == name),
    }
}

fn holds_fields(fields: &[(String, Shape)], row: &Row) -> bool {
    let mut next = 0;
    row.cells().all(|(name, value)| {
        let Some(place) = place_of(fields, name, next) else { return false };
        let is_first = place >= next || row.cells().filter(|(it, _)| *it == name).count() == 1;
        next = place + 1;
        // A stored null means that the struct does not have the field.
        is_first && !value.is_null() && fields[place].1.holds(value)
    })
}

/// Returns the shape that holds a value, too: `Some(None)` if nothing is known about it yet, `None` if
/// there is none. Integers of shapes that are not stored yet may become floats.
fn grown(held: Option<Shape>, value: &Value, is_new: bool, depth: usize) -> Option<Option<Shape>> {
    let is_new = is_new || held.is_none();
    let scalar = match value {
        Value::Null => return Some(held),
        Value::Bool(_) => Shape::Bool,
        Value::Int(_) => Shape::Int,
        Value::Float(_) => Shape::Float,
        Value::String(_) => Shape::Text,
        Value::Timestamp(_) => Shape::Time,
        Value::Media(_) => return None,
        Value::List(items) => {
            let mut element = match held {
                None => None,
                Some(Shape::List(element)) => Some(*element),
                Some(_) => return None,
            };
            for item in items {
                element = grown(element, item, is_new, depth.checked_sub(1)?)?;
            }
            // Nothing stores lists whose elements have no type.
            return element.map(|element| Some(Shape::List(element.into())));
        }
        Value::Struct(row) => {
            let fields = match held {
                None => Vec::new(),
                Some(Shape::Struct(fields)) => fields,
                Some(_) => return None,
            };
            let fields = grown_fields(fields, row, is_new, depth.checked_sub(1)?)?;
            // Nothing stores structs without fields.
            return (!fields.is_empty()).then_some(Some(Shape::Struct(fields)));
        }
    };
    Some(Some(match (held, scalar) {
        (None, scalar) => scalar,
        (Some(held), scalar) if held == scalar => held,
        (Some(Shape::Float), Shape::Int) => Shape::Float,
        (Some(Shape::Int), Shape::Float) if is_new => Shape::Float,
        _ => return None,
    }))
}

fn grown_fields(
    mut fields: Vec<(String, Shape)>,
    row: &Row,
    is_new: bool,
    depth: usize,
) -> Option<Vec<(String, Shape)>> {
    if row.len() > MAX_PARTS {
        return None;
    }
    let mut lower: HashSet<String> = fields.iter().map(|(name, _)| name.to_lowercase()).collect();
    for (i, (name, value)) in row.cells().enumerate() {
        if value.is_null() {
            return None;
        }
        if let Some(place) = place_of(&fields, name, i) {
            let held = fields[place].1.clone();
            fields[place].1 = grown(Some(held), value, is_new, depth)??;
            continue;
        }
        if name.len() > MAX_NAME || !is_plain(name) || !lower.insert(name.to_lowercase()) {
            return None;
        }
        fields.push((name.to_owned(), grown(None, value, true, depth)??));
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        streamtable_wire::read_cell(json).unwrap()
    }

    /// Checks the shape after each of some values: `-` if a value is not held.
    #[track_caller]
    fn check(values: &[&str], expected: &str) {
        let mut shape: Option<Shape> = None;
        let mut texts = Vec::new();
        for json in values {
            let grown = Shape::grown(shape.as_ref(), &value(json));
            texts.push(grown.as_ref().map_or_else(|| "-".to_owned(), text));
            shape = grown.or(shape);
        }
        assert_eq!(texts.join(" "), expected);
    }

    fn text(shape: &Shape) -> String {
        match shape {
            Shape::List(element) => format!("[{}]", text(element)),
            Shape::Struct(fields) => {
                let fields = fields.iter().map(|(name, shape)| format!("{name}:{}", text(shape)));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            scalar => scalar.scalar().unwrap().as_str().to_owned(),
        }
    }

    #[test]
    fn shapes_grow_by_fields() {
        check(&[r#"{"a":1}"#, r#"{"b":"x"}"#], "{a:int} {a:int,b:text}");
        check(&[r#"{"a":1}"#, "{}", r#"{"a":null}"#], "{a:int} {a:int} -");
        check(&[r#"{"a":{"b":1}}"#, r#"{"a":{"c":[1]}}"#], "{a:{b:int}} {a:{b:int,c:[int]}}");
        check(&["[[1],[]]", "[[2,null]]", "[null]"], "[[int]] [[int]] [[int]]");
        check(&[r#"[{"x":1},{"x":0.5,"y":true}]"#], "[{x:float,y:bool}]");
    }

    #[test]
    fn stored_scalars_keep_their_shape() {
        check(&[r#"{"a":0.5}"#, r#"{"a":1}"#, r#"{"a":"x"}"#], "{a:float} {a:float} -");
        check(&[r#"{"a":1}"#, r#"{"a":0.5}"#], "{a:int} -");
        check(&[r#"{"a":0.5}"#, r#"{"a":9007199254740993}"#], "{a:float} -");
        check(&[r#"{"a":9007199254740993,"b":[1,0.5]}"#], "{a:int,b:[float]}");
        check(&[r#"{"b":[9007199254740993,0.5]}"#, r#"{"a":18446744073709551616}"#], "- -");
    }

    #[test]
    fn some_values_have_no_shape() {
        check(&["{}", "[]", "[[]]", r#"{"a":null}"#, r#"{"a":1,"b":[]}"#], "- - - - -");
        check(&[r#"{"":1}"#, r#"{"a.b":1}"#, r#"{"a b":1}"#, r#"{"a":1,"A":2}"#], "- - - -");
        check(&[r#"{"a":1}"#, r#"{"A":1}"#, "[[1]]"], "{a:int} - -");
        check(&[r#"[[1],["a"]]"#, r#"[[1],2]"#], "- -");
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        check(&[&deep(MAX_DEPTH + 1)], "-");
        assert!(Shape::grown(None, &value(&deep(MAX_DEPTH))).is_some());
    }

    #[test]
    fn types_give_their_shapes_back() {
        let shape = Shape::grown(None, &value(r#"{"a":[{"b":1.5}],"c":true,"d":["x"]}"#)).unwrap();
        assert_eq!(Shape::of_type(&shape.arrow_type()), Some(shape));
    }
}
