//! What serializes as what, and what is refused.

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use streamtable_schema::{
    Change, ColumnPolicy, MAX_DEPTH, Media, MediaError, MediaKind, Row, RowCheck, Schema,
    SchemaError, StoredFile, Timestamp, Type, Value, ValueError, row,
};

use crate::{Logged, RowSink, TakeRow, for_each_row, write_row};

const LOGGED: Logged<'_> = Logged { writer: "w", at: Timestamp::from_millis(0) };

struct Sink<'a>(RowCheck<'a>);

impl Sink<'_> {
    fn finish(self) -> Result<(), SchemaError> {
        self.0.finish()
    }
}

impl RowSink for Sink<'_> {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.0.cell(column, ty)
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        Err(MediaError::TooLarge { bytes: media.format().len() as u64, limit: 1 })
    }
}

/// Writes a row for a table and, if it is taken, adds it.
fn write<T: Serialize + ?Sized>(schema: &mut Schema, row: &T) -> Result<String, SchemaError> {
    let mut change = Change::default();
    let mut out = b"before".to_vec();
    let mut sink = Sink(schema.check(&mut change));
    let result = write_row(row, LOGGED, &mut out, &mut sink);
    let line = out.strip_prefix(b"before").expect("what was there stays");
    if let Err(error) = result {
        assert_eq!(line, b"", "an error leaves nothing");
        return Err(error);
    }
    sink.finish()?;
    schema.apply(&mut change);
    Ok(String::from_utf8(line.to_vec()).unwrap())
}

/// Checks the cells that a row is written as, and that they are those of `Row::from_serialize`.
#[track_caller]
fn check<T: Serialize + ?Sized>(row: &T, cells: &str) {
    let evolve = || Schema::new(ColumnPolicy::Evolve);
    let (mut schema, mut other) = (evolve(), evolve());
    let line = write(&mut schema, row).unwrap();
    let (before, _) = line.rsplit_once(r#""_client_id":"#).unwrap();
    assert_eq!(before.trim_start_matches('{').trim_end_matches(','), cells);

    let row = Row::from_serialize(row).unwrap();
    assert_eq!(write(&mut other, &row).unwrap(), line);
    assert_eq!(other, schema);
}

/// Checks what a cell is written as.
#[track_caller]
fn check_cell<T: Serialize>(value: T, json: &str) {
    check(&BTreeMap::from([("c", value)]), &format!(r#""c":{json}"#));
}

/// Checks why a row is refused, also when it comes as a [`Row`].
#[track_caller]
fn refuses<T: Serialize + ?Sized>(row: &T, expected: SchemaError) {
    let mut schema = Schema::new(ColumnPolicy::Evolve);
    assert_eq!(write(&mut schema, row).unwrap_err(), expected);
    assert_eq!(schema, Schema::default());
}

/// Checks why a cell is refused.
#[track_caller]
fn refuses_cell<T: Serialize>(value: T, error: ValueError) {
    let row = BTreeMap::from([("c", value)]);
    refuses(&row, SchemaError::Value { column: "c".into(), error });
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype<T>(T);

#[derive(Serialize)]
struct Pair(i32, &'static str);

#[derive(Serialize)]
enum Kind {
    Unit,
    Newtype(i32),
    Tuple(i32, f64),
    Struct { a: i32 },
}

#[derive(Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { a: i32 },
}

#[derive(Serialize)]
struct Record<'a, T> {
    path: &'a str,
    #[serde(flatten)]
    rest: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// Serializes as a failure.
struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("the lock is poisoned"))
    }
}

/// Serializes as a byte string.
struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(b"abc")
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn deep(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
}

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
    // A foreign type that holds a time is what it serializes to.
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
fn what_is_no_row() {
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
    not_a_row(&Pair(1, "x"), Type::list(Type::Int.unite_any(&Type::String)));
    not_a_row(&Timestamp::from_micros(0), Type::Timestamp);
    not_a_row(&Media::html(""), Type::Media(MediaKind::Html));
    not_a_row(&serde_json::Number::from(7), Type::Int);
    not_a_row(&raw("[1.5]"), Type::list(Type::Float));

    let error = ValueError::Unsupported { what: "the lock is poisoned".into() };
    refuses(&Broken, SchemaError::Value { column: String::new(), error });
    refuses(&Bytes, SchemaError::Value { column: String::new(), error: ValueError::BareBytes });
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

#[test]
fn depth() {
    check_cell(deep(MAX_DEPTH), &format!("{}null{}", "[".repeat(64), "]".repeat(64)));
    refuses_cell(deep(MAX_DEPTH + 1), ValueError::too_deep());
    refuses_cell(deep(1000), ValueError::too_deep());
    // A variant that carries something is a struct around it.
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
    // Only a text is one, and only in a struct.
    check_cell(row! { "_type" => ["unknown"] }, r#"{"_type":["unknown"]}"#);
    check(&row! { "_type" => "unknown", "_val" => () }, r#""_type":"unknown","_val":null"#);

    #[derive(Serialize)]
    #[expect(non_camel_case_types, reason = "the name is what counts")]
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
fn clashes() {
    #[track_caller]
    fn clashes<T: Serialize>(value: T, path: &str, held: &str, came: &str) {
        let row = BTreeMap::from([("c", value)]);
        let error = write(&mut Schema::new(ColumnPolicy::Evolve), &row).unwrap_err();
        assert_eq!(error.column(), Some("c"));
        let at = format!(" (at {path})");
        assert_eq!(
            error.to_string(),
            format!("column \"c\" holds {held}, this row has {came}{at}")
        );
    }
    clashes((1, [1]), "[]", "int", "list<int>");
    clashes(row! { "a" => [Value::from([1]), "x".into()] }, ".a[]", "list<int>", "string");
    let nested = [row! { "b" => [1] }, row! { "b" => 1 }];
    clashes([nested], "[][].b", "list<int>", "int");

    #[derive(Serialize)]
    enum E {
        T(i32, [i32; 1]),
        S { s: (i32, [i32; 1]) },
        N((i32, [i32; 1])),
    }
    clashes(E::T(1, [1]), ".T[]", "int", "list<int>");
    clashes(E::S { s: (1, [1]) }, ".S.s[]", "int", "list<int>");
    clashes([E::N((1, [1]))], "[].N[]", "int", "list<int>");
}

/// What the table says reaches the caller, and the row leaves nothing.
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
        row! { "a" => [1], "b" => "x" },
        SchemaError::Mismatch {
            column: column("a"),
            path: String::new(),
            held: Type::Int,
            came: Type::list(Type::Int),
        },
    );
    refuses(
        row! { "a" => 1, "b" => "", "timestamp" => timestamp, "timestamp" => timestamp },
        SchemaError::DuplicateColumn { column: column("timestamp") },
    );
    write(&mut table, &row! { "b" => 2.5, "a" => () }).unwrap();
    assert_eq!(table.to_string(), "a: int?, b: float | string, timestamp: timestamp");
}

/// Row by row, as a client takes them.
struct Rows {
    lines: Vec<Result<String, String>>,
    stop_after: usize,
}

impl TakeRow for Rows {
    type Stop = &'static str;

    fn take<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), &'static str> {
        if self.lines.len() == self.stop_after {
            return Err("enough");
        }
        let line = write(&mut Schema::new(ColumnPolicy::Evolve), row);
        let cells = line.map(|line| line.split(r#""_client_id""#).next().unwrap().to_owned());
        self.lines.push(cells.map_err(|error| error.to_string()));
        Ok(())
    }
}

#[test]
fn sequences() {
    #[track_caller]
    fn check<T: Serialize + ?Sized>(rows: &T, expected: &[Result<&str, &str>]) {
        let mut taken = Rows { lines: Vec::new(), stop_after: 9 };
        for_each_row(rows, &mut taken).unwrap();
        let lines: Vec<_> = taken.lines.iter().map(|l| l.as_deref().map_err(|e| &**e)).collect();
        assert_eq!(lines, expected);
    }
    let (a, b) = (row! { "a" => 1 }, row! { "b" => 2 });
    let both: [Result<&str, &str>; 2] = [Ok(r#"{"a":1,"#), Ok(r#"{"b":2,"#)];
    check(&a, &both[..1]);
    check(&vec![a.clone(), b.clone()], &both);
    check(&(&a, &b), &both);
    check(&Some(Newtype([&a, &b])), &both);
    check(&serde_json::json!([{ "a": 1 }, { "b": 2 }]), &both);
    check(&Vec::<Row>::new(), &[]);
    check(&raw(r#"{"a":1}"#), &both[..1]);

    let not_a_row = |found| format!("a row is a struct or a map of columns, not {found}");
    let int = not_a_row("int");
    check(&7, &[Err(&int)]);
    check(&vec![Value::from(7), a.clone().into()], &[Err(&int), both[0]]);
    check(&None::<Vec<Row>>, &[Err(&not_a_row("null"))]);
    check(&Pair(1, "x"), &[Err(&not_a_row("list<int | string>"))]);
    check(&Timestamp::from_micros(7), &[Err(&not_a_row("timestamp"))]);
    check(&Broken, &[Err(r#"column "": cannot be serialized: the lock is poisoned"#)]);

    let mut taken = Rows { lines: Vec::new(), stop_after: 1 };
    assert_eq!(for_each_row(&[&a, &b], &mut taken), Err("enough"));
    assert_eq!(taken.lines.len(), 1);
    assert_eq!(for_each_row(&a, &mut taken), Err("enough"));
}
