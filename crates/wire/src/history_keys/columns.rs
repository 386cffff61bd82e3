//! Conversion of a `historyKeys` document to a table's columns.

use std::collections::HashMap;

use streamtable_schema::{MAX_DEPTH, MediaKind, Type};

use super::{HistoryKeys, TypeCount};
use crate::unite::unite_all;
use crate::{RESERVED_COLUMNS, WeaveType, cell};

/// Returns the columns of a document, without those that the protocol fills.
pub(super) fn columns(document: &HistoryKeys) -> Vec<(String, Type)> {
    let mut all = Branch::default();
    for (key, column) in document.keys.iter() {
        let path = split(key);
        if RESERVED_COLUMNS.contains(&path[0].as_str()) {
            continue;
        }
        let is_too_deep = path.len() > MAX_DEPTH + 1;
        let place = path.into_iter().take(MAX_DEPTH + 1).fold(&mut all, Branch::child);
        if !is_too_deep {
            place.types.extend(column.type_counts.iter().map(to_type));
        }
    }
    all.children.into_iter().map(|(name, branch)| (name, branch.into_type())).collect()
}

/// Escapes a column's name for use as a key of the document.
pub(super) fn escape(name: &str) -> String {
    name.replace('.', r"\.")
}

/// Splits a dotted name; a dot after a backslash is part of a name.
fn split(key: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        let last = path.last_mut().expect("the path is never empty");
        match c {
            '\\' if chars.peek() == Some(&'.') => last.extend(chars.next()),
            '.' => path.push(String::new()),
            c => last.push(c),
        }
    }
    path
}

/// The types of one column or field, and of its sub-fields.
#[derive(Default)]
struct Branch {
    types: Vec<Type>,
    /// In order of appearance.
    children: Vec<(String, Self)>,
    by_name: HashMap<String, usize>,
}

impl Branch {
    fn child(&mut self, name: String) -> &mut Self {
        let i = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.children.push((name.clone(), Self::default()));
            self.children.len() - 1
        });
        &mut self.children[i].1
    }

    fn into_type(self) -> Type {
        let own = unite_all(self.types);
        if self.children.is_empty() {
            return own;
        }
        let below = self.children.into_iter().map(|(name, branch)| (name, branch.into_type()));
        let below = Type::fields(below);
        // Fields with dotted names are merged into the column's struct type, if it has one.
        let (structs, mut others): (Vec<Type>, Vec<Type>) =
            own.members().iter().cloned().partition(|member| matches!(member, Type::Struct(_)));
        others.push(structs.iter().fold(below, |below, whole| merge_fields(whole, &below)));
        unite_all(others)
    }
}

/// Merges the fields of two structs into one.
fn merge_fields(a: &Type, b: &Type) -> Type {
    let (Type::Struct(x), Type::Struct(y)) = (a, b) else { return a.unite(b) };
    let all = x.iter().chain(y.iter().filter(|(name, _)| x.get(name).is_none()));
    Type::fields(all.map(|(name, ty)| match y.get(name) {
        Some(other) if x.get(name).is_some() => (name, merge_fields(ty, other)),
        _ => (name, ty.clone()),
    }))
}

fn to_type(count: &TypeCount) -> Type {
    match count.name.as_str() {
        "string" => Type::String,
        "number" => Type::Float,
        "nil" => Type::Null,
        "bool" => Type::Bool,
        "map" => fields(count),
        "list" => Type::list(unite_all(count.items.iter().map(to_type))),
        cell::IMAGES => Type::list(Type::Media(MediaKind::Image)),
        name => match (name.strip_prefix(cell::WEAVE_PREFIX), cell::media_kind(name)) {
            (Some(weave), _) => {
                let ty = weave.parse::<WeaveType>().ok().and_then(|ty| ty.to_type());
                ty.unwrap_or(Type::Unknown)
            }
            (None, Some(kind)) => Type::Media(kind),
            // A user's struct that has a field `_type` of its own.
            (None, None) if !count.keys.is_empty() => fields(count),
            (None, None) => Type::Unknown,
        },
    }
}

fn fields(count: &TypeCount) -> Type {
    let fields = count.keys.iter();
    Type::fields(fields.map(|(name, types)| (name, unite_all(types.iter().map(to_type)))))
}
