//! Tables of one Rust type, and the columns that are derived from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use streamtable::{
    ColumnPolicy, ColumnType, Columns, OpenError, Row, Schema, SchemaError, Timestamp, row,
};

use crate::support::{builder, mock, open};

/// Checks the columns of a type, and that they include what its values serialize as.
#[track_caller]
fn check<T: Columns>(expected: &str, values: &[T]) {
    let mut schema = Schema::new(ColumnPolicy::Strict);
    schema.admit_columns(T::columns()).unwrap();
    assert_eq!(schema.to_string(), expected);
    for value in values {
        let row = Row::from_serialize(value).unwrap();
        schema.admit(&row).unwrap_or_else(|error| panic!("{row:?}: {error}"));
    }
    assert_eq!(schema.to_string(), expected, "the values have changed the columns");
}

#[derive(Clone, Serialize, Columns)]
struct Place {
    x: i32,
    y: Option<f64>,
}

#[derive(Serialize, Columns)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Served,
    NotFound,
}

#[derive(Serialize, Columns)]
struct Meters(f64);

#[derive(Serialize, Columns)]
#[serde(rename_all = "camelCase")]
struct Visit<'a, T> {
    first_path: &'a str,
    r#type: Cow<'a, str>,
    #[serde(rename = "ms")]
    latency: Meters,
    outcome: Outcome,
    places: Vec<Place>,
    #[serde(flatten)]
    home: Place,
    value: T,
    #[serde(skip)]
    _secret: SystemTime,
    #[serde(with = "streamtable::timestamp")]
    at: SystemTime,
    logged: Timestamp,
    #[columns(as = String)]
    #[serde(serialize_with = "as_text")]
    took: Duration,
}

fn as_text<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:?}"))
}

#[test]
fn columns_follow_the_attributes_of_serde() {
    let visit = |value| Visit {
        first_path: "/",
        r#type: "get".into(),
        latency: Meters(7.5),
        outcome: Outcome::NotFound,
        places: vec![Place { x: 1, y: None }],
        home: Place { x: 2, y: Some(0.5) },
        value,
        _secret: SystemTime::UNIX_EPOCH,
        at: SystemTime::UNIX_EPOCH,
        logged: Timestamp::from_micros(0),
        took: Duration::from_secs(1),
    };
    check(
        "firstPath: string, type: string, ms: float, outcome: string, \
         places: list<struct{x: int, y: float?}>, x: int, y: float?, value: bool?, at: timestamp, \
         logged: timestamp, took: string",
        &[visit(None), visit(Some(true))],
    );
    assert_eq!(serde_json::to_string(&Outcome::Served).unwrap(), r#""served""#);
}

#[derive(Serialize, Columns)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "UPPERCASE")]
enum Tagged {
    Empty,
    Inner(Place),
    Named {
        radius: u8,
        x: i64,
    },
    #[serde(skip)]
    _Hidden(SystemTime),
}

#[derive(Serialize, Columns)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    One(u8),
    Two { a: bool },
    Nothing,
}

#[derive(Serialize, Columns)]
enum External {
    Circle(u8),
    Box { width: u8, height: f32 },
    Pair(u8, f32),
}

#[derive(Serialize, Columns)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Nothing,
}

#[derive(Serialize, Columns)]
struct Cells<T> {
    cell: T,
}

#[track_caller]
fn check_cell<T: ColumnType + Serialize>(expected: &str, values: Vec<T>) {
    let cells: Vec<_> = values.into_iter().map(|cell| Cells { cell }).collect();
    check(&format!("cell: {expected}"), &cells);
}

#[test]
fn types_of_enums_include_all_variants() {
    check_cell(
        "struct{RADIUS: int?, X: int?, kind: string, x: int?, y: float?}",
        vec![
            Tagged::Empty,
            Tagged::Inner(Place { x: 1, y: None }),
            Tagged::Named { radius: 1, x: 2 },
        ],
    );
    check_cell(
        "struct{Box: struct{height: float, width: int}?, Circle: int?, Pair: list<float>?}",
        vec![External::Circle(1), External::Box { width: 1, height: 0.5 }, External::Pair(1, 0.5)],
    );
    check_cell(
        "float | string | null",
        vec![Untagged::Number(7.0), Untagged::Text("x".to_owned()), Untagged::Nothing],
    );
    #[derive(Serialize, Columns)]
    #[serde(untagged)]
    enum Fits {
        One(u8),
        Many(Vec<u8>),
    }
    check_cell("int | list<int>", vec![Fits::One(1), Fits::Many(vec![1])]);
    check_cell(
        "struct{c: int | struct{a: bool} | null, t: string}",
        vec![Adjacent::One(1), Adjacent::Two { a: true }, Adjacent::Nothing],
    );
}

#[derive(Serialize, Columns)]
struct Node {
    name: &'static str,
    children: Vec<Self>,
    more: BTreeMap<String, u8>,
}

/// The type of a column is finite.
#[test]
fn a_type_inside_itself_is_known_from_the_rows() {
    let mut schema = Schema::new(ColumnPolicy::Strict);
    schema.admit_columns(Node::columns()).unwrap();
    assert_eq!(
        schema.to_string(),
        "name: string, children: list<struct{children: list<unknown>, more: struct{}, \
         name: string}>, more: struct{}"
    );
    let leaf = || Node { name: "leaf", children: vec![], more: BTreeMap::new() };
    let more = [("a".to_owned(), 1)].into();
    let root = Node { name: "root", children: vec![leaf(), leaf()], more };
    schema.admit(&Row::from_serialize(&root).unwrap()).unwrap();
}

#[derive(Serialize, Columns)]
struct Request {
    path: &'static str,
    user: Option<u64>,
}

#[tokio::test(start_paused = true)]
async fn columns_are_known_before_the_first_row() {
    let table = builder(&mock()).open_typed::<Request>().await.unwrap();
    assert_eq!(table.untyped().schema().to_string(), "path: string, user: int?");
    table.log(&Request { path: "/", user: None }).await.unwrap();
    let error = table.untyped().log(row! { "path" => "/", "id" => 1 }).await.unwrap_err();
    let expected = r#"the row was refused: column "id" is not one of the table's"#;
    assert!(error.to_string().starts_with(expected), "{error}");
    table.log_all(&[Request { path: "/", user: Some(7) }]).await.unwrap();
    table.clone().try_log(&Request { path: "/", user: Some(8) }).unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 3);
}

#[tokio::test(start_paused = true)]
async fn a_type_that_does_not_fit_the_table_is_an_error_when_it_is_opened() {
    #[derive(Debug, Serialize, Columns)]
    struct Reserved {
        _step: u8,
    }

    let mock = mock();
    let table = open(&mock).await;
    table.log(row! { "path" => "/", "user" => 7, "ms" => 1 }).await.unwrap();
    table.finish().await.unwrap();
    let error = builder(&mock).open_typed::<Request>().await.unwrap_err();
    let missing = SchemaError::MissingColumn { column: "ms".to_owned() };
    assert!(matches!(&error, OpenError::Columns(found) if *found == missing), "{error}");
    let builder = || builder(&mock).columns(ColumnPolicy::Evolve);
    let table = builder().open_typed::<Request>().await.unwrap();
    assert_eq!(
        table.untyped().schema().to_string(),
        "path: string, user: float?, ms: float, timestamp: timestamp"
    );
    let error = builder().open_typed::<Cells<u8>>().await.map(|_| ()).err();
    assert!(error.is_none(), "an evolving table gets new columns");
    let error = builder().open_typed::<Reserved>().await.unwrap_err();
    assert!(error.to_string().contains(r#"column "_step" is reserved"#), "{error}");
}

#[test]
fn a_blocking_table_has_a_type_too() {
    let table = builder(&mock()).open_typed_blocking::<Request>().unwrap();
    table.log(&Request { path: "/", user: None }).unwrap();
    table.log_all(&[Request { path: "/", user: Some(7) }]).unwrap();
    assert_eq!(table.untyped().schema().to_string(), "path: string, user: int?");
    assert_eq!(table.finish().unwrap().acked, 2);
}
