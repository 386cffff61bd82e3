use proptest::prelude::*;
use streamtable_schema::{MediaKind, Type};

use super::column_name;

/// Maximum nesting of lists and structs.
const DEPTH: u32 = 4;

/// Types of single values, including null, and their unions.
pub fn singleton_type() -> impl Strategy<Value = Type> {
    let mut kinds =
        vec![Type::Null, Type::Bool, Type::Int, Type::Float, Type::String, Type::Timestamp];
    kinds.extend(MediaKind::ALL.map(Type::Media));
    let one = prop::sample::select(kinds);
    let some = prop::collection::vec(one.clone(), 2..4);
    prop_oneof![
        4 => one.boxed(),
        1 => some.prop_map(|kinds| {
            kinds.iter().fold(Type::Unknown, |all, kind| all.unite(kind))
        }).boxed(),
    ]
}

/// Types of columns: containers up to four levels deep, which are only combined with null.
pub fn types() -> impl Strategy<Value = Type> {
    singleton_type().prop_recursive(DEPTH, 12, 3, |inner| {
        let list = prop_oneof![5 => inner.clone().boxed(), 1 => Just(Type::Unknown).boxed()];
        let list = list.prop_map(Type::list);
        let fields = prop::collection::btree_map(column_name(), inner, 0..4).prop_map(Type::fields);
        (prop_oneof![list, fields], any::<bool>()).prop_map(|(container, may_be_null)| {
            if may_be_null { container.unite(&Type::Null) } else { container }
        })
    })
}
