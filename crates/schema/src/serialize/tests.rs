use std::collections::BTreeMap;

use serde::Serializer;
use serde::ser::Error;

use super::*;
use crate::{MAX_DEPTH, MediaError, MediaKind, Schema, StoredFile, row};

#[derive(Serialize)]
struct Outer<T> {
    cell: T,
}

/// Checks the cell that a value becomes.
#[track_caller]
fn check(value: impl Serialize, cell: impl Into<Value>) {
    let row = Row::from_serialize(&Outer { cell: value }).unwrap();
    assert_eq!(row, row! { "cell" => cell.into() });
}

#[track_caller]
fn check_refused(value: impl Serialize, error: ValueError) {
    let column = "cell".to_owned();
    let refused = Row::from_serialize(&Outer { cell: value });
    assert_eq!(refused, Err(SchemaError::Value { column, error }));
}

fn unsupported(what: &str) -> ValueError {
    ValueError::Unsupported { what: what.to_owned() }
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(Option<char>);

#[derive(Serialize)]
struct Pair(u8, f32);

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Dot,
    Circle(u8),
    Line(u8, u8),
    Box { w: u8, h: Option<u8> },
}

struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(b"x")
    }
}

struct Moody;

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

/// A map with one entry.
struct Entry<K, V>(K, V);

impl<K: Serialize, V: Serialize> Serialize for Entry<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.0, &self.1)])
    }
}

#[test]
fn singletons() {
    check((), ());
    check(None::<u8>, ());
    check(Unit, ());
    check(true, true);
    check((i8::MIN, i16::MIN, i32::MIN), [-128, -32768, -2147483648]);
    check((u8::MAX, u16::MAX, u32::MAX), [255_u32, 65535, 4294967295]);
    check((i64::MIN, i64::MAX), [i64::MIN, i64::MAX]);
    check(i128::MIN, i128::MIN);
    check(u128::from(u64::MAX), i128::from(u64::MAX));
    check(0.1_f32, 0.10000000149011612);
    check([f64::NAN, f64::NEG_INFINITY], [f64::NAN, f64::NEG_INFINITY]);
    check('é', "é");
    check("text", "text");
    check(Newtype(Some('x')), "x");
    check(Newtype(None), ());
    check(Some(Some(1)), 1);

    check_refused(u128::MAX, ValueError::IntegerRange { value: u128::MAX.to_string() });
    check_refused(Bytes, ValueError::BareBytes);
    check_refused([Some(Bytes)], ValueError::BareBytes);
    check_refused(Moody, unsupported("not today"));
}

#[test]
fn containers() {
    check([0_u8; 0], Value::List(vec![]));
    check(vec![Some(1), None], [Some(1), None]);
    check(Pair(1, 0.5), Value::List(vec![1.into(), 0.5.into()]));
    check(Outer { cell: [Outer { cell: 1 }] }, row! { "cell" => [row! { "cell" => 1 }] });

    check(Shape::Dot, "Dot");
    check(Shape::Circle(1), row! { "Circle" => 1 });
    check(Shape::Line(1, 2), row! { "Line" => [1, 2] });
    check(Shape::Box { w: 1, h: None }, row! { "Box" => row! { "w" => 1, "h" => () } });
}

#[test]
fn keys_of_maps() {
    check(BTreeMap::from([("b", 1), ("a", 2)]), row! { "a" => 2, "b" => 1 });
    check(BTreeMap::from([(-1, "x"), (10, "y")]), row! { "-1" => "x", "10" => "y" });
    check(BTreeMap::from([(true, 1), (false, 2)]), row! { "false" => 2, "true" => 1 });
    check(Entry('c', ()), row! { "c" => () });
    check(Entry(Shape::Dot, ()), row! { "Dot" => () });
    check(Entry(Newtype(Some('x')), ()), row! { "x" => () });
    check(Entry(u64::MAX, ()), row! { "18446744073709551615" => () });
    check(
        Entry(0.5, Entry(1.0, Entry(1e21, ()))),
        row! { "0.5" => row! { "1.0" => row! { "1e21" => () } } },
    );

    check_refused(Entry(f64::NAN, ()), ValueError::BadKey);
    check_refused(Entry((), ()), ValueError::BadKey);
    check_refused(Entry([1, 2], ()), ValueError::BadKey);
    check_refused(Entry(Shape::Circle(1), ()), ValueError::BadKey);
    check_refused(Entry(Bytes, ()), ValueError::BadKey);
    check_refused(Entry(Moody, ()), unsupported("not today"));
}

/// Checks the row that a value becomes.
#[track_caller]
fn check_row(value: impl Serialize, row: Row) {
    assert_eq!(Row::from_serialize(&value), Ok(row));
}

#[track_caller]
fn check_no_row(value: impl Serialize, message: &str) {
    assert_eq!(Row::from_serialize(&value).unwrap_err().to_string(), message);
}

#[test]
fn rows() {
    check_row(Some(Outer { cell: Unit }), row! { "cell" => () });
    check_row(row! { "b" => 1, "a" => 2, "b" => 3 }, row! { "b" => 1, "a" => 2, "b" => 3 });
    check_row(Entry(1, 2), row! { "1" => 2 });
    check_row(Shape::Circle(1), row! { "Circle" => 1 });
    check_row(Shape::Box { w: 1, h: Some(2) }, row! { "Box" => row! { "w" => 1, "h" => 2 } });

    check_no_row(1, "a row is a struct or a map of columns, not int");
    check_no_row((), "a row is a struct or a map of columns, not null");
    check_no_row([1], "a row is a struct or a map of columns, not list<int>");
    check_no_row(Shape::Dot, "a row is a struct or a map of columns, not string");
    check_no_row(
        Entry(Unit, 1),
        r#"column "": a map's key is not a string, a number or a boolean; convert it to a string"#,
    );
    check_no_row(Moody, r#"column "": cannot be serialized: not today"#);
}

#[test]
fn the_column_is_named() {
    #[derive(Serialize)]
    enum Event {
        One(Moody),
        Two(u8, Moody),
        Three { inner: Outer<Moody> },
    }
    let moody = r#"cannot be serialized: not today"#;
    check_no_row(Outer { cell: Entry("a", [Moody]) }, &format!(r#"column "cell": {moody}"#));
    check_no_row(Event::One(Moody), &format!(r#"column "One": {moody}"#));
    check_no_row(Event::Two(1, Moody), &format!(r#"column "Two": {moody}"#));
    let inner = Outer { cell: Moody };
    check_no_row(Event::Three { inner }, &format!(r#"column "Three": {moody}"#));
}

#[test]
fn wide_integers_are_checked_by_the_table() {
    let row = Row::from_serialize(&Outer { cell: [u64::MAX] }).unwrap();
    assert_eq!(row, row! { "cell" => [u64::MAX] });
    let error = ValueError::IntegerRange { value: u64::MAX.to_string() };
    let refused = Schema::default().admit(&row);
    assert_eq!(refused, Err(SchemaError::Value { column: "cell".to_owned(), error }));
}

#[test]
fn depth() {
    #[derive(Serialize)]
    enum Nested {
        Unit,
        Newtype(Box<Self>),
        Tuple(Box<Self>, ()),
        Struct { a: Box<Self> },
        List([Box<Self>; 1]),
    }
    /// Checks an enum variant nested in itself that uses `containers` levels each time.
    #[track_caller]
    fn check_depth(containers: usize, wrap: impl Fn(Box<Nested>) -> Nested) {
        for times in [MAX_DEPTH / containers, MAX_DEPTH / containers + 1] {
            let nested = (0..times).fold(Nested::Unit, |inner, _| wrap(Box::new(inner)));
            if times * containers <= MAX_DEPTH {
                Schema::default()
                    .admit(&Row::from_serialize(&Outer { cell: nested }).unwrap())
                    .unwrap();
            } else {
                check_refused(nested, ValueError::too_deep());
            }
        }
    }
    check_depth(1, Nested::Newtype);
    check_depth(2, |inner| Nested::Tuple(inner, ()));
    check_depth(2, |a| Nested::Struct { a });
    check_depth(2, |inner| Nested::List([inner]));
}

#[test]
fn timestamps_and_media_pass_through_serde() {
    let now = Timestamp::from_micros(-1);
    check(now, now);
    check(Some([now]), [now]);

    let file = StoredFile { path: "a/b".into(), sha256: Some("0".repeat(64)), size: Some(7) };
    for media in [
        Media::markdown("*a*\n"),
        Media::html("").with_caption("a\n\"b\""),
        Media::audio(vec![0, 255, b'\n'], "wav").unwrap(),
        Media::from_path(MediaKind::Image, "dir/é b.PNG").unwrap(),
        Media::stored(MediaKind::Video, "mp4", Some((4, 3)), file).unwrap(),
    ] {
        check(&media, media.clone());
        check(Entry("m", [&media]), row! { "m" => [media.clone()] });
    }

    #[derive(Serialize)]
    #[serde(rename = "$streamtable::Media")]
    struct Forged<T>(T);
    check_refused(Forged(7), unsupported("a media value that is not bytes"));
    check_refused(Forged(Bytes), unsupported("a damaged media value"));
    assert_eq!(
        "mime".parse::<MediaKind>(),
        Err(MediaError::UnknownKind { kind: "mime".to_owned() })
    );
}

/// Checks JSON through each way into a cell, whichever features serde_json has.
#[track_caller]
fn check_json(text: &str, cell: impl Into<Value>) {
    let cell = cell.into();
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    let raw: &serde_json::value::RawValue = serde_json::from_str(text).unwrap();
    assert_eq!(Value::from(json.clone()), cell);
    check(json, cell.clone());
    check(raw, cell);
}

#[test]
fn json() {
    check_json("null", ());
    check_json(
        "[true, -1, 9223372036854775807]",
        Value::List(vec![true.into(), (-1).into(), i64::MAX.into()]),
    );
    check_json("18446744073709551615", u64::MAX);
    check_json("[0.5, -2e3, 1.0, 1E2]", [0.5, -2000.0, 1.0, 100.0]);
    check_json(
        r#"{"a": {"b": ["\u00e9\n", {}]}}"#,
        row! { "a" => row! { "b" => Value::List(vec!["é\n".into(), row! {}.into()]) } },
    );
    check(serde_json::Number::from(7), 7);
    check(serde_json::Number::from_f64(7.0), 7.0);
    check(serde_json::json!({ "n": 1.5 }), row! { "n" => 1.5 });
}

#[test]
fn json_text_keeps_its_order() {
    let text = r#"{"b": 1, "a": {"d": 0.5, "c": 2}, "b": "again"}"#;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(text).unwrap();
    let row = row! { "b" => 1, "a" => row! { "d" => 0.5, "c" => 2 }, "b" => "again" };
    check(&raw, row.clone());
    check_row(&raw, row);

    // serde_json's `preserve_order` decides the order of the map.
    let json: serde_json::Value = serde_json::from_str(r#"{"b": 1, "a": 2}"#).unwrap();
    let serde_json::Value::Object(map) = json else { panic!("an object") };
    let names: Vec<String> = map.keys().cloned().collect();
    let row = Row::from(map.clone());
    assert_eq!(row.cells().map(|(name, _)| name).collect::<Vec<_>>(), names);
    check_row(map, row);
}

#[test]
fn json_text_obeys_the_depth_limit() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let raw = |text| serde_json::value::RawValue::from_string(text).unwrap();
    Row::from_serialize(&Outer { cell: raw(nested(MAX_DEPTH)) }).unwrap();
    check_refused(raw(nested(MAX_DEPTH + 1)), ValueError::too_deep());
    check_refused([raw(nested(MAX_DEPTH))], ValueError::too_deep());
}

/// Numbers that only serde_json's `arbitrary_precision` lets through.
#[test]
fn numbers_beyond_floats_and_integers() {
    for (text, exact) in [
        ("170141183460469231731687303715884105727", Value::from(i128::MAX)),
        ("340282366920938463463374607431768211456", 2_f64.powi(128).into()),
        ("1e999", f64::INFINITY.into()),
        ("-1e999", f64::NEG_INFINITY.into()),
    ] {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else { continue };
        let rounded = Value::from(text.parse::<f64>().unwrap());
        let value = Value::from(json);
        assert!(value == exact || value == rounded, "{text} became {value:?}");
    }
}
