use super::*;
use crate::{Media, Row, Timestamp, row};

fn list(element: Type) -> Type {
    Type::list(element)
}

fn fields<const N: usize>(fields: [(&str, Type); N]) -> Type {
    Type::fields(fields)
}

fn any(types: &[Type]) -> Type {
    types.iter().fold(Type::Unknown, |all, ty| all.unite(ty))
}

fn optional(ty: Type) -> Type {
    ty.unite(&Type::Null)
}

/// Checks the union of two types in both orders.
#[track_caller]
fn check(a: Type, b: Type, both: &str) {
    for (a, b) in [(&a, &b), (&b, &a)] {
        assert_eq!(a.unite(b).to_string(), both);
    }
}

#[test]
fn singletons() {
    check(Type::Int, Type::Int, "int");
    check(Type::Int, Type::Float, "float");
    check(Type::Int, Type::Bool, "bool | int");
    check(Type::String, Type::Int, "int | string");
    check(Type::String, Type::Timestamp, "string | timestamp");
    check(Type::Media(MediaKind::Image), Type::String, "string | image");
    check(Type::Media(MediaKind::Audio), Type::Media(MediaKind::Image), "image | audio");
    check(any(&[Type::Int, Type::String]), Type::Float, "float | string");
    check(any(&[Type::Float, Type::String]), Type::Int, "float | string");

    check(Type::Null, Type::Null, "null");
    check(Type::Null, Type::Int, "int?");
    check(optional(Type::Int), Type::Float, "float?");
    check(optional(Type::Int), Type::String, "int | string | null");

    check(Type::Unknown, Type::Unknown, "unknown");
    check(Type::Unknown, Type::Null, "null");
    check(Type::Unknown, list(Type::Int), "list<int>");
}

#[test]
fn containers_of_one_kind() {
    check(list(Type::Int), list(Type::Float), "list<float>");
    check(list(Type::Unknown), list(Type::Int), "list<int>");
    check(list(Type::Unknown), list(Type::Unknown), "list<unknown>");
    check(list(Type::Int), list(Type::String), "list<int | string>");
    check(list(Type::Int), Type::Null, "list<int>?");
    check(list(list(Type::Null)), list(list(Type::Bool)), "list<list<bool?>>");

    let a = || fields([("a", Type::Int)]);
    check(a(), fields([("a", Type::Float)]), "struct{a: float}");
    check(a(), fields([("b", Type::Bool)]), "struct{a: int?, b: bool?}");
    check(a(), fields([]), "struct{a: int?}");
    check(a(), Type::Null, "struct{a: int}?");
    check(fields([]), fields([]), "struct{}");
    check(fields([("a", Type::Unknown)]), fields([]), "struct{a: null}");
    check(
        fields([("a", list(Type::Int)), ("b", a())]),
        fields([("a", list(Type::Null)), ("b", fields([]))]),
        "struct{a: list<int?>, b: struct{a: int?}}",
    );
}

#[test]
fn containers_of_different_kinds() {
    let a = || fields([("a", Type::Int)]);
    check(list(Type::Int), Type::String, "string | list<int>");
    check(optional(Type::Int), list(Type::Int), "int | list<int> | null");
    check(list(Type::Int), a(), "list<int> | struct{a: int}");
    check(list(Type::Int), list(a()), "list<int | struct{a: int}>");
    check(
        fields([("x", list(a()))]),
        fields([("x", list(fields([("a", list(Type::Bool))])))]),
        "struct{x: list<struct{a: int | list<bool>}>}",
    );

    let mixed = || any(&[Type::Int, list(Type::Int)]);
    check(mixed(), mixed(), "int | list<int>");
    check(mixed(), Type::Unknown, "int | list<int>");
    check(mixed(), Type::Null, "int | list<int> | null");
    check(mixed(), Type::String, "int | string | list<int>");
    check(mixed(), list(Type::Float), "int | list<float>");
    check(mixed(), fields([]), "int | list<int> | struct{}");
}

#[track_caller]
fn check_of(value: impl Into<Value>, ty: &str) {
    let value = value.into();
    assert_eq!(Type::of(&value).to_string(), ty);
}

#[test]
fn types_of_values() {
    check_of((), "null");
    check_of(true, "bool");
    check_of(7, "int");
    check_of(i64::MIN, "int");
    check_of(u64::MAX, "float");
    check_of(f64::NAN, "float");
    check_of("x", "string");
    check_of(Timestamp::from_micros(0), "timestamp");
    for kind in MediaKind::ALL {
        check_of(Media::from_path(kind, "a.b").unwrap(), kind.as_str());
    }
    check_of([(); 0], "list<unknown>");
    check_of([Some(1), None], "list<int?>");
    check_of([Value::from(1), 0.5.into(), "x".into()], "list<float | string>");
    check_of([[1; 0], [0; 0]], "list<list<unknown>>");
    check_of(Row::new(), "struct{}");
    check_of(
        [row! { "a" => 1 }, row! {}, row! { "b" => "x" }],
        "list<struct{a: int?, b: string?}>",
    );
    check_of([row! { "a" => () }, row! { "a" => 1 }], "list<struct{a: int?}>");
    // Until the table refuses it, a duplicate name is one field with the union of its types.
    check_of([row! { "a" => 1, "a" => "x" }, row! {}], "list<struct{a: int | string | null}>");

    check_of([Value::from(1), [2].into()], "list<int | list<int>>");
    check_of(
        row! { "a" => [row! { "b" => 1 }, row! { "b" => row! {} }] },
        "struct{a: list<struct{b: int | struct{}}>}",
    );
    check_of(
        row! { "a" => [Value::from([1]), ().into(), row! {}.into()] },
        "struct{a: list<list<int> | struct{} | null>}",
    );
}

#[test]
fn structs_with_many_fields() {
    let names = |n: usize| (0..n).map(|i| (format!("f{i:05}"), Type::Int));
    assert_eq!(
        Type::fields(names(23)).to_string().split(", ").skip(18).collect::<Vec<_>>(),
        ["f00018: int", "f00019: int", "… 3 more}"]
    );
    assert!(Type::fields(names(20)).to_string().ends_with("f00019: int}"));

    // Each element has a field of its own: the work must not grow quadratically.
    let rows: Value = names(20_000).map(|(name, _)| row! { name => 1 }).collect();
    let Type::List(element) = Type::of(&rows) else { panic!("it is a list") };
    let Type::Struct(all) = *element else { panic!("of structs") };
    assert_eq!(all.len(), 20_000);
    assert!(all.iter().all(|(_, ty)| *ty == optional(Type::Int)));
    assert!(Type::of(&rows).accepts(&rows));
}

#[track_caller]
fn check_includes(a: &Type, b: &Type, expected: bool) {
    assert_eq!(a.includes(b), expected, "{a} includes {b}");
}

#[test]
fn inclusion() {
    check_includes(&Type::Float, &Type::Int, true);
    check_includes(&Type::Int, &Type::Float, false);
    check_includes(&Type::Int, &Type::Unknown, true);
    check_includes(&Type::Unknown, &Type::Null, false);
    check_includes(&optional(Type::Float), &optional(Type::Int), true);
    check_includes(&optional(Type::Int), &Type::Null, true);
    check_includes(&Type::Int, &optional(Type::Int), false);
    check_includes(&any(&[Type::Float, Type::String]), &any(&[Type::Int, Type::String]), true);
    check_includes(&list(Type::Int), &list(Type::Unknown), true);
    check_includes(&list(Type::Unknown), &list(Type::Int), false);
    check_includes(&any(&[Type::Int, list(Type::Float)]), &list(Type::Int), true);

    let [a, b] = ["a", "b"].map(|name| fields([(name, Type::Int)]));
    check_includes(&a, &b, false);
    check_includes(&a.unite(&b), &a, true);
    check_includes(&a, &a.unite(&b), false);
    check_includes(&a, &fields([]), false);
    check_includes(&fields([("a", Type::Null)]), &fields([]), true);
    check_includes(&fields([]), &fields([("a", Type::Null)]), false);
}

#[track_caller]
fn check_accepts(ty: &Type, value: impl Into<Value>, expected: bool) {
    let value = value.into();
    assert_eq!(ty.accepts(&value), expected, "{ty} accepts {value:?}");
}

#[test]
fn acceptance() {
    check_accepts(&Type::Float, 1, true);
    check_accepts(&Type::Int, 1.0, false);
    check_accepts(&Type::Int, u64::MAX, false);
    check_accepts(&Type::Unknown, (), false);
    check_accepts(&optional(Type::Bool), (), true);
    check_accepts(&any(&[Type::Int, Type::String]), "x", true);
    check_accepts(&list(Type::Float), Value::from(vec![Value::from(1), 0.5.into()]), true);
    check_accepts(&list(Type::Unknown), Vec::<i64>::new(), true);
    check_accepts(&list(Type::Unknown), [1], false);

    let ty = fields([("a", Type::Int), ("b", optional(Type::String))]);
    check_accepts(&ty, row! { "b" => "x", "a" => 1 }, true);
    check_accepts(&ty, row! { "a" => 1 }, true);
    check_accepts(&ty, row! { "a" => 1, "b" => () }, true);
    check_accepts(&ty, row! { "b" => "x" }, false);
    check_accepts(&ty, row! { "a" => 1, "c" => 1 }, false);
    check_accepts(&ty, [row! { "a" => 1 }], false);
}

#[test]
fn values_that_nest_too_deeply() {
    let nested = |levels: usize| (0..levels).fold(Value::Null, |v, _| Value::List(vec![v]));

    // A whole row around the deepest allowed cell is fully checked.
    let row = Value::from(row! { "a" => nested(crate::MAX_DEPTH) });
    assert!(Type::of(&row).to_string().contains("null"));

    let deep = nested(100_000);
    let ty = Type::of(&deep);
    assert_eq!(ty.to_string().matches("list").count(), crate::MAX_DEPTH + 2);
    assert!(!list(Type::Null).accepts(&deep));
    // Dropping it would recurse as deep as the value nests.
    std::mem::forget(deep);
}
