//! Rows that are refused, with the reason.

use streamtable_schema::{MAX_DEPTH, MediaKind, Value, row};

use super::*;

fn deep(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
}

#[test]
fn values_that_are_not_rows() {
    #[track_caller]
    fn not_a_row<T: Serialize + ?Sized>(row: &T, found: Type) {
        refuses(row, SchemaError::NotARow { found });
    }
    not_a_row(&7, Type::Int);
    not_a_row("x", Type::String);
    not_a_row(&(), Type::Null);
    not_a_row(&Unit, Type::Null);
    not_a_row(&Kind::Unit, Type::String);
    not_a_row(&None::<Row>, Type::Null);
    not_a_row(&[1, 2], Type::list(Type::Int));
    not_a_row(&Pair(1, "x"), Type::list(Type::Int.unite(&Type::String)));
    not_a_row(&Timestamp::from_micros(0), Type::Timestamp);
    not_a_row(&Media::html(""), Type::Media(MediaKind::Html));
    not_a_row(&serde_json::Number::from(7), Type::Int);
    not_a_row(&raw("[1.5]"), Type::list(Type::Float));

    let error = ValueError::Unsupported { what: "the lock is poisoned".into() };
    refuses(&Broken, SchemaError::Value { column: String::new(), error });
    refuses(&Bytes, SchemaError::Value { column: String::new(), error: ValueError::BareBytes });
}

#[test]
fn depth() {
    check_cell(deep(MAX_DEPTH), &format!("{}null{}", "[".repeat(64), "]".repeat(64)));
    refuses_cell(deep(MAX_DEPTH + 1), ValueError::too_deep());
    refuses_cell(deep(1000), ValueError::too_deep());
    // An enum variant with content adds a struct level.
    let nested = |n| (0..n).fold(row! { "k" => 1 }, |inner, _| row! { "k" => inner });
    check_cell(nested(63), &format!("{}1{}", r#"{"k":"#.repeat(64), "}".repeat(64)));
    refuses_cell(nested(64), ValueError::too_deep());

    #[derive(Serialize)]
    enum Nest {
        N(Box<Self>),
        T(Box<Self>, ()),
        S { s: Box<Self> },
        End,
    }
    let nest =
        |n, wrap: fn(Box<Nest>) -> Nest| (0..n).fold(Nest::End, |inner, _| wrap(inner.into()));
    check_cell(nest(64, Nest::N), &format!(r#"{}"End"{}"#, r#"{"N":"#.repeat(64), "}".repeat(64)));
    refuses_cell(nest(65, Nest::N), ValueError::too_deep());
    let tuple = |n| nest(n, |inner| Nest::T(inner, ()));
    check_cell(tuple(1), r#"{"T":["End",null]}"#);
    refuses_cell(tuple(33), ValueError::too_deep());
    let fields = |n| nest(n, |s| Nest::S { s });
    check_cell(fields(1), r#"{"S":{"s":"End"}}"#);
    check_cell(fields(32), &format!(r#"{}"End"{}"#, r#"{"S":{"s":"#.repeat(32), "}}".repeat(32)));
    refuses_cell(fields(33), ValueError::too_deep());
}

#[test]
fn refused_values() {
    let range = |value: &str| ValueError::IntegerRange { value: value.into() };
    refuses_cell(u64::MAX, range("18446744073709551615"));
    refuses_cell(i128::MIN, range("-170141183460469231731687303715884105728"));
    refuses_cell(u128::MAX, range("340282366920938463463374607431768211455"));
    refuses_cell([Some(u64::MAX)], range("18446744073709551615"));
    refuses_cell(Bytes, ValueError::BareBytes);
    refuses_cell(
        row! { "a" => 1, "b" => 2, "a" => 3 },
        ValueError::DuplicateField { name: "a".into() },
    );
    refuses_cell([Media::html("")], MediaError::TooLarge { bytes: 4, limit: 1 }.into());
    refuses_cell([Broken], ValueError::Unsupported { what: "the lock is poisoned".into() });
}

#[test]
fn reserved_types() {
    let cell = |text: &str| row! { "a" => 1, "_type" => text };
    let refused = |text: &str| {
        refuses_cell([cell(text)], ValueError::ReservedType { text: text.into() });
    };
    refused("_wt_::");
    refused("_wt_::\"");
    refused("_wt_::{\"type\": \"timestamp\"}");
    refused("unknown");
    refused("image-file");
    refused("images/separated");
    refused("markdown-file");

    for text in
        ["", "unknown\"", "\"unknown", "Unknown", " unknown", "_wt_:", "x_wt_::", "histogram"]
    {
        let json = serde_json::to_string(text).unwrap();
        check_cell(cell(text), &format!(r#"{{"a":1,"_type":{json}}}"#));
    }
    // Only a string in a struct is reserved.
    check_cell(row! { "_type" => ["unknown"] }, r#"{"_type":["unknown"]}"#);
    check(&row! { "_type" => "unknown", "_val" => () }, r#""_type":"unknown","_val":null"#);

    #[derive(Serialize)]
    #[expect(non_camel_case_types, reason = "the name decides")]
    enum Sly {
        _type(&'static str),
        unknown,
    }
    refuses_cell(Sly::_type("unknown"), ValueError::ReservedType { text: "unknown".into() });
    refuses_cell(
        BTreeMap::from([("_type", Sly::unknown)]),
        ValueError::ReservedType { text: "unknown".into() },
    );
}

#[test]
fn reserved_columns() {
    for column in crate::RESERVED_COLUMNS {
        refuses(
            &row! { "a" => 1, column => 2 },
            SchemaError::ReservedColumn { column: column.into() },
        );
        check_cell(row! { column => 1 }, &format!(r#"{{"{column}":1}}"#));
    }
    check(&row! { "_client" => 1, "client_id" => 2 }, r#""_client":1,"client_id":2"#);
    check(&row! { "timestamp" => [1] }, r#""timestamp":[1]"#);
}

#[test]
fn lists_and_structs_mix_with_other_kinds() {
    #[track_caller]
    fn is_of<T: Serialize>(value: T, ty: &str) {
        let mut schema = Schema::new(ColumnPolicy::Strict);
        write(&mut schema, &BTreeMap::from([("c", value)])).unwrap();
        assert_eq!(schema.to_string(), format!("c: {ty}"));
    }
    is_of((1, [1]), "list<int | list<int>>");
    is_of(row! { "a" => [Value::from([1]), "x".into()] }, "struct{a: list<string | list<int>>}");
    is_of([row! { "b" => [1] }, row! { "b" => 1 }], "list<struct{b: int | list<int>}>");

    #[derive(Serialize)]
    enum E {
        S { s: (i32, [i32; 1]) },
        U,
    }
    is_of(
        [E::U, E::S { s: (1, [1]) }],
        "list<string | struct{S: struct{s: list<int | list<int>>}}>",
    );
}

/// An error of the sink reaches the caller, and nothing of the row is written.
#[test]
fn refusals_of_the_table() {
    let mut table = Schema::new(ColumnPolicy::Strict);
    let timestamp = Timestamp::from_millis(0);
    write(&mut table, &row! { "a" => 1, "b" => "x" }).unwrap();
    let mut refuses = |row: Row, expected: SchemaError| {
        let before = table.clone();
        assert_eq!(write(&mut table, &row).unwrap_err(), expected);
        assert_eq!(table, before);
    };
    let column = String::from;
    refuses(row! { "a" => 1 }, SchemaError::MissingColumn { column: column("b") });
    refuses(
        row! { "a" => 1, "b" => "x", "c" => 1 },
        SchemaError::ExtraColumn { column: column("c") },
    );
    refuses(
        row! { "a" => 1, "b" => "x", "a" => 2 },
        SchemaError::DuplicateColumn { column: column("a") },
    );
    refuses(
        row! { "a" => 1, "b" => "", "timestamp" => timestamp, "timestamp" => timestamp },
        SchemaError::DuplicateColumn { column: column("timestamp") },
    );
    write(&mut table, &row! { "b" => 2.5, "a" => () }).unwrap();
    write(&mut table, &row! { "b" => "", "a" => [1] }).unwrap();
    assert_eq!(table.to_string(), "a: int | list<int> | null, b: float | string");
}
