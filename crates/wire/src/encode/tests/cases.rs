//! Values and the JSON that they are written as.

use std::collections::HashMap;

use streamtable_schema::row;

use super::*;

#[test]
fn rows() {
    check(&row! { "b" => 1, "a" => "x" }, r#""b":1,"a":"x""#);
}

#[test]
fn cells() {
    check_cell((), "null");
    check_cell(Unit, "null");
    check_cell(Newtype(7), "7");
    check_cell(Pair(7, "x"), r#"[7,"x"]"#);
    check_cell((1, 2.5), "[1,2.5]");
    check_cell([(); 0], "[]");
    check_cell(Some(Some(7)), "7");
    check_cell(None::<i32>, "null");
    check_cell('é', r#""é""#);
    check_cell(0.1_f32, "0.10000000149011612");
    check_cell(f32::NAN, "NaN");
    check_cell(u64::from(u32::MAX), "4294967295");
    check_cell(i128::from(i64::MIN), "-9223372036854775808");
    check_cell(Kind::Unit, r#""Unit""#);
    check_cell(Kind::Newtype(7), r#"{"Newtype":7}"#);
    check_cell(Kind::Tuple(1, 2.0), r#"{"Tuple":[1,2.0]}"#);
    check_cell(Kind::Struct { a: 1 }, r#"{"Struct":{"a":1}}"#);
    check_cell(Tagged::One { a: 1 }, r#"{"kind":"One","a":1}"#);
    check_cell(
        Timestamp::from_micros(1),
        r#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":0,"_micros":1}"#,
    );
    check_cell(std::net::Ipv4Addr::LOCALHOST, r#""127.0.0.1""#);
    // A foreign time type is logged as what it serializes to.
    check_cell(std::time::Duration::new(1, 2), r#"{"secs":1,"nanos":2}"#);
}

#[test]
fn odd_keys() {
    check_cell(BTreeMap::from([(-7, 1)]), r#"{"-7":1}"#);
    check_cell(BTreeMap::from([(u128::from(u64::MAX), 1)]), r#"{"18446744073709551615":1}"#);
    check_cell(BTreeMap::from([(true, 1)]), r#"{"true":1}"#);
    check_cell(BTreeMap::from([('\n', 1)]), r#"{"\n":1}"#);
    check_cell(BTreeMap::from([(Newtype("x".to_owned()).0, 1)]), r#"{"x":1}"#);
    check_cell(HashMap::from([(Some("x"), 1)]), r#"{"x":1}"#);
    check(&BTreeMap::from([(1, "a"), (2, "b")]), r#""1":"a","2":"b""#);
    check(&HashMap::from([(std::net::Ipv4Addr::LOCALHOST, 1)]), r#""127.0.0.1":1"#);

    refuses_cell(HashMap::from([((), 1)]), ValueError::BadKey);
    refuses_cell(HashMap::from([(None::<&str>, 1)]), ValueError::BadKey);
    refuses_cell(HashMap::from([((1, 2), 1)]), ValueError::BadKey);
    let error = ValueError::BadKey;
    refuses(&HashMap::from([((), 1)]), SchemaError::Value { column: String::new(), error });
}

#[test]
fn shapes_of_rows() {
    check(&Some(Newtype(row! { "a" => 1 })), r#""a":1"#);
    check(&Box::new(row! { "a" => 1 }), r#""a":1"#);
    check(&Kind::Newtype(7), r#""Newtype":7"#);
    check(&Kind::Struct { a: 1 }, r#""Struct":{"a":1}"#);
    check(&Kind::Tuple(1, 2.0), r#""Tuple":[1,2.0]"#);
    check(&Tagged::One { a: 1 }, r#""kind":"One","a":1"#);
    check(&raw(r#"{"b": 1.50, "a": {"z": null}}"#), r#""b":1.5,"a":{"z":null}"#);
    check(&serde_json::json!({ "a": [1, 2.5, "x"] }), r#""a":[1,2.5,"x"]"#);
    let rest = BTreeMap::from([("x", 1), ("y", 2)]);
    check(&Record { path: "/", rest, note: None }, r#""path":"/","x":1,"y":2"#);
    let rest = Tagged::One { a: 1 };
    check(
        &Record { path: "/", rest, note: Some("n") },
        r#""path":"/","kind":"One","a":1,"note":"n""#,
    );
}

#[test]
fn values_of_serde_json() {
    let number = |text: &str| serde_json::from_str::<serde_json::Number>(text).unwrap();
    check_cell(number("7"), "7");
    check_cell(number("-9223372036854775808"), "-9223372036854775808");
    check_cell(number("1.5e3"), "1500.0");
    check_cell(serde_json::json!([1, null, { "a": "b" }, {}]).get(2), r#"{"a":"b"}"#);
    check_cell(raw(r#" {"b":[1, 2.0], "a" : "\u00e9"} "#), r#"{"b":[1,2.0],"a":"é"}"#);
    check_cell(raw("-0.0"), "-0.0");
    check_cell(raw("1e2"), "100.0");
    check_cell([raw("1"), raw("null")], "[1,null]");

    let beyond = || ValueError::IntegerRange { value: "9223372036854775808".into() };
    refuses_cell(number("9223372036854775808"), beyond());
    refuses_cell(raw("[9223372036854775808]"), beyond());
    let reserved = || ValueError::ReservedType { text: r#"_wt_::{"a"}"#.into() };
    refuses_cell(raw(r#"{"\u005ftype": "\u005fwt_::{\"a\"}"}"#), reserved());
    refuses_cell(raw(&format!("{}{}", "[".repeat(65), "]".repeat(65))), ValueError::too_deep());
}
