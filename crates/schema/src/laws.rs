//! Property tests: laws that hold for every type, value, row and table.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::*;

fn name() -> impl Strategy<Value = &'static str> + Clone {
    select(&["a", "b", "c"][..])
}

fn singleton_type() -> impl Strategy<Value = Type> {
    select(vec![
        Type::Unknown,
        Type::Null,
        Type::Bool,
        Type::Int,
        Type::Float,
        Type::String,
        Type::Timestamp,
        Type::Media(MediaKind::Image),
        Type::Media(MediaKind::Html),
    ])
}

/// Generates any type.
fn ty() -> impl Strategy<Value = Type> {
    singleton_type().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            vec((name(), inner.clone()), 0..3).prop_map(Type::fields),
            vec(inner, 2..4).prop_map(|members| union(&members)),
        ]
    })
}

fn union(members: &[Type]) -> Type {
    members.iter().fold(Type::Unknown, |all, member| all.unite(member))
}

fn singleton() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::Int(n.into())),
        any::<f64>().prop_map(Value::Float),
        "[ab]?".prop_map(Value::String),
        any::<i64>().prop_map(|micros| Timestamp::from_micros(micros).into()),
        select(&MediaKind::ALL[..]).prop_map(|kind| Media::from_path(kind, "x.y").unwrap().into()),
    ]
}

/// Generates any value, including values that a table refuses.
fn value() -> impl Strategy<Value = Value> {
    let wide = any::<u64>().prop_map(Value::from);
    let leaf = prop_oneof![19 => singleton(), 1 => wide];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::List),
            vec((name(), inner), 0..3).prop_map(|cells| Row::from_iter(cells).into()),
        ]
    })
}

/// Generates a value that usually fits what other rows hold in the column of this name.
fn cell(name: &'static str) -> impl Strategy<Value = (&'static str, Value)> {
    let usual = match name {
        "a" => singleton().boxed(),
        "b" => vec(singleton(), 0..3).prop_map(Value::List).boxed(),
        _ => vec(singleton(), 0..3)
            .prop_map(|values| Row::from_iter(["a", "b", "c"].into_iter().zip(values)).into())
            .boxed(),
    };
    prop_oneof![12 => usual, 1 => value()].prop_map(move |value| (name, value))
}

fn row() -> impl Strategy<Value = Row> {
    let all = Just(vec!["a", "b", "c"]).boxed();
    let names = prop_oneof![
        8 => all,
        2 => subsequence(vec!["a", "b", "c"], 0..=3),
        1 => vec(name(), 0..5),
    ];
    names.prop_shuffle().prop_flat_map(|names| {
        names.into_iter().map(cell).collect::<Vec<_>>().prop_map(Row::from_iter)
    })
}

fn policy() -> impl Strategy<Value = ColumnPolicy> {
    select(vec![ColumnPolicy::Strict, ColumnPolicy::Evolve])
}

/// Reference implementation: returns whether a value is of a type.
fn is_of(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Union(union), value) => union.members().iter().any(|member| is_of(member, value)),
        (Type::List(element), Value::List(items)) => items.iter().all(|item| is_of(element, item)),
        (Type::Struct(fields), Value::Struct(row)) => {
            row.cells().all(|(name, value)| fields.get(name).is_some_and(|ty| is_of(ty, value)))
                && fields.iter().all(|(name, ty)| row.get(name).is_some() || ty.is_optional())
        }
        (Type::Null, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Float, Value::Float(_) | Value::Int(_))
        | (Type::String, Value::String(_))
        | (Type::Timestamp, Value::Timestamp(_)) => true,
        (Type::Int, Value::Int(n)) => i64::try_from(*n).is_ok(),
        (Type::Media(kind), Value::Media(media)) => media.kind() == *kind,
        _ => false,
    }
}

/// Reference implementation: returns whether a cell can be stored in a table.
fn has_meaning(value: &Value) -> bool {
    match value {
        Value::Int(n) => i64::try_from(*n).is_ok(),
        Value::List(items) => items.iter().all(has_meaning),
        Value::Struct(row) => {
            let names: BTreeSet<&str> = row.cells().map(|(name, _)| name).collect();
            names.len() == row.len() && row.cells().all(|(_, value)| has_meaning(value))
        }
        _ => true,
    }
}

/// Reference implementation: returns the columns for which a table refuses a row.
fn faults(schema: &Schema, row: &Row) -> BTreeSet<String> {
    let count = |name: &str| row.cells().filter(|(other, _)| *other == name).count();
    let is_closed = schema.policy() == ColumnPolicy::Strict && !schema.columns().is_empty();
    let missing = schema.columns().iter().map(|column| &*column.name);
    let missing = missing.filter(|name| is_closed && count(name) == 0);
    let bad = row.cells().filter(|(name, value)| {
        let is_new = schema.column(name).is_none();
        count(name) > 1 || (is_closed && is_new) || !has_meaning(value)
    });
    missing.chain(bad.map(|(name, _)| name)).map(str::to_owned).collect()
}

fn columns(schema: &Schema) -> BTreeMap<&str, &Type> {
    schema.columns().iter().map(|column| (&*column.name, &column.ty)).collect()
}

proptest! {
    #[test]
    fn types_round_trip_through_serde(ty in ty()) {
        let json = serde_json::to_string(&ty).unwrap();
        prop_assert_eq!(serde_json::from_str::<Type>(&json).unwrap(), ty, "{}", json);
    }

    #[test]
    fn types_form_a_lattice(a in ty(), b in ty(), c in ty()) {
        let both = a.unite(&b);
        prop_assert_eq!(&both, &b.unite(&a));
        prop_assert_eq!(both.unite(&c), a.unite(&b.unite(&c)));
        prop_assert_eq!(&a.unite(&a), &a);
        prop_assert_eq!(&a.unite(&both), &both);
        prop_assert_eq!(&a.unite(&Type::Unknown), &a);

        // The union includes both types, and every type that includes both includes the union.
        prop_assert!(both.includes(&a) && both.includes(&b));
        prop_assert_eq!(c.includes(&a) && c.includes(&b), c.includes(&both));
    }

    #[test]
    fn inclusion_is_a_partial_order(a in ty(), b in ty(), c in ty()) {
        prop_assert!(a.includes(&a));
        prop_assert!(a.includes(&Type::Unknown));
        for (a, b) in [(&a, &b), (&a, &a.unite(&b)), (&a.unite(&b), &b)] {
            prop_assert_eq!(a.includes(b), a.unite(b) == *a);
            prop_assert_eq!(a.includes(b) && b.includes(a), a == b);
        }
        if a.includes(&b) && b.includes(&c) {
            prop_assert!(a.includes(&c));
        }
    }

    #[test]
    fn a_type_accepts_its_own_values(a in ty(), b in ty(), v in value()) {
        let of_value = Type::of(&v);
        for ty in [&a, &of_value, &of_value.unite(&a), &Type::list(a.clone())] {
            prop_assert_eq!(ty.accepts(&v), is_of(ty, &v), "{} and {:?}", ty, &v);
            if ty.accepts(&v) {
                prop_assert!(ty.unite(&b).accepts(&v));
            }
        }
        prop_assert!(of_value.accepts(&v));
    }

    #[test]
    fn rows_give_one_schema_in_any_order(
        (rows, shuffled) in vec(row(), 1..5)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let [one, other] = [rows, shuffled].map(|rows| {
            let mut schema = Schema::new(ColumnPolicy::Evolve);
            rows.iter().try_for_each(|row| schema.admit(row)).ok().map(|()| schema)
        });
        prop_assert_eq!(one.as_ref().map(columns), other.as_ref().map(columns));
    }

    #[test]
    fn rows_are_refused_exactly_by_the_rules(
        policy in policy(),
        rows in vec(row(), 1..8),
    ) {
        let mut schema = Schema::new(policy);
        for row in &rows {
            let before = schema.clone();
            let faults = faults(&schema, row);
            match schema.admit(row) {
                Ok(()) => {
                    prop_assert!(faults.is_empty(), "{faults:?} in {row:?}");
                    for (name, value) in row.cells() {
                        prop_assert!(schema.column(name).unwrap().ty.accepts(value));
                    }
                    for (i, column) in before.columns().iter().enumerate() {
                        prop_assert_eq!(&column.name, &schema.columns()[i].name);
                        prop_assert!(schema.columns()[i].ty.includes(&column.ty));
                    }
                }
                Err(SchemaError::EmptyRow) => {
                    prop_assert!(row.is_empty() && before.columns().is_empty());
                    prop_assert_eq!(policy, ColumnPolicy::Strict);
                }
                Err(error) => {
                    prop_assert!(faults.contains(error.column().unwrap()), "{error}");
                    prop_assert_eq!(&schema, &before);
                }
            }
        }
    }

    #[test]
    fn rows_pass_through_serde_unchanged(row in row()) {
        prop_assert_eq!(Row::from_serialize(&row), Ok(row));
    }

    #[test]
    fn parsed_names_print_unchanged(text in "([aA.é:_ -]{0,3}/){0,4}[aA.é:_ -]{0,3}") {
        if let Ok(name) = text.parse::<TableName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn any_bytes_are_an_image_or_an_error(
        head in select(vec![
            &b""[..], b"\x89PNG", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8",
            b"II*\0\x08\0\0\0", b"MM\0+\0\x08\0\0", b"\0\0\x01\0", b"\xff\x0a",
            b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cftypavif\0\0\0\xffmeta",
        ]),
        tail in vec(prop_oneof![any::<u8>(), 0_u8..3, Just(0xff)], 0..80),
    ) {
        match Media::image([head, &tail].concat()) {
            Ok(image) => {
                let (width, height) = image.dimensions().unwrap();
                prop_assert!(width > 0 && height > 0);
            }
            Err(error) => {
                prop_assert_eq!(error, MediaError::NotAnImage { bytes: head.len() + tail.len() });
            }
        }
    }
}
