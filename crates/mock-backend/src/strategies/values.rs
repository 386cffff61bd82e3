use proptest::prelude::*;
use proptest::strategy::Union;
use streamtable_schema::{Row, Timestamp, Type, Value};

use super::{stored_media, types};

/// Texts that are hard to print, parse or compare correctly.
const ODD_TEXTS: [&str; 24] = [
    "",
    " ",
    ".",
    "..",
    "\0",
    "\u{1}\u{8}\u{c}\u{1f}\u{7f}",
    "\r\n\t",
    "\"",
    "\\",
    "\\\"\\u0041",
    "'; drop table t; --",
    "NaN",
    "Infinity",
    "-Infinity",
    "null",
    "true",
    "1e999",
    "</script><!--",
    "\u{202e}right to left\u{200f}",
    "e\u{301}\u{1f469}\u{200d}\u{1f4bb}",
    "\u{feff}\u{fffd}\u{10ffff}",
    "\u{2028}\u{2029}\u{85}",
    "{\"_type\": \"image-file\"}",
    "2024-01-02T03:04:05Z",
];

/// Texts, many of them unusual.
pub fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(&ODD_TEXTS[..]).prop_map(str::to_owned);
    prop_oneof![3 => "[a-z]{0,6}".boxed(), 2 => odd.boxed(), 2 => any::<String>().boxed()]
}

/// Values of a cell, up to four levels deep. Media files are assumed to be stored with the table.
pub fn value() -> impl Strategy<Value = Value> {
    types().prop_flat_map(|ty| value_of(&ty))
}

/// Values of a type.
pub fn value_of(ty: &Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Unknown | Type::Null => Just(Value::Null).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Type::Int => integer().prop_map(Value::from).boxed(),
        Type::Float => prop_oneof![
            4 => float().prop_map(Value::from).boxed(),
            1 => (-9_007_199_254_740_992..=9_007_199_254_740_992_i64)
                .prop_map(Value::from)
                .boxed(),
        ]
        .boxed(),
        Type::String => text().prop_map(Value::from).boxed(),
        Type::Timestamp => timestamp().prop_map(Value::from).boxed(),
        Type::Media(kind) => stored_media(*kind).prop_map(Value::from).boxed(),
        Type::List(element) if **element == Type::Unknown => Just(Value::List(Vec::new())).boxed(),
        Type::List(element) => {
            prop::collection::vec(value_of(element), 0..4).prop_map(Value::List).boxed()
        }
        Type::Struct(fields) => fields
            .iter()
            .map(|(name, ty)| field(name.to_owned(), ty))
            .collect::<Vec<_>>()
            .prop_map(|fields| Value::Struct(fields.into_iter().flatten().collect::<Row>()))
            .boxed(),
        Type::Union(union) => Union::new(union.members().iter().map(value_of)).boxed(),
    }
}

/// A field of a struct; a nullable one may be missing.
fn field(name: String, ty: &Type) -> BoxedStrategy<Option<(String, Value)>> {
    let present = value_of(ty).prop_map(move |value| Some((name.clone(), value)));
    if ty.is_optional() {
        prop_oneof![4 => present, 1 => Just(None)].boxed()
    } else {
        present.boxed()
    }
}

fn integer() -> impl Strategy<Value = i64> {
    let odd = prop::sample::select(vec![0, -1, i64::MIN, i64::MAX, (1 << 53) + 1]);
    prop_oneof![2 => (-100..100_i64).boxed(), 1 => odd.boxed(), 1 => any::<i64>().boxed()]
}

fn float() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 0.1 + 0.2, 1.0];
    let odd = prop::sample::select(odd.to_vec());
    prop_oneof![1 => odd.boxed(), 2 => any::<f64>().boxed()]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    // The years 1653 to 2286, and the full range.
    let plain = -10_000_000_000_000_000..10_000_000_000_000_000_i64;
    prop_oneof![3 => plain.boxed(), 1 => any::<i64>().boxed()].prop_map(Timestamp::from_micros)
}
