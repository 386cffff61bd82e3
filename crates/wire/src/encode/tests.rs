//! Tests of the encoder: accepted and refused values.

mod cases;
mod golden;
mod refusals;
mod sequences;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use streamtable_schema::{
    Change, ColumnPolicy, Media, MediaError, Row, RowCheck, Schema, SchemaError, StoredFile,
    Timestamp, Type, ValueError,
};

use super::{Logged, RowSink, write_row};

const LOGGED: Logged<'_> = Logged { writer: "w", at: Timestamp::from_millis(0) };

struct Sink<'a>(RowCheck<'a>);

impl Sink<'_> {
    fn finish(self) -> Result<(), SchemaError> {
        self.0.finish()
    }
}

impl RowSink for Sink<'_> {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.0.cell(column, ty).map(drop)
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        Err(MediaError::TooLarge { bytes: media.format().len() as u64, limit: 1 })
    }
}

/// Writes a row for a table and, if it is accepted, updates the table's schema.
fn write<T: Serialize + ?Sized>(schema: &mut Schema, row: &T) -> Result<String, SchemaError> {
    let mut change = Change::default();
    let mut out = b"before".to_vec();
    let mut sink = Sink(schema.check(&mut change));
    let result = write_row(row, LOGGED, &mut out, &mut sink);
    let line = out.strip_prefix(b"before").expect("existing content is kept");
    if let Err(error) = result {
        assert_eq!(line, b"", "an error leaves `out` unchanged");
        return Err(error);
    }
    sink.finish()?;
    schema.apply(&mut change);
    Ok(String::from_utf8(line.to_vec()).unwrap())
}

/// Checks the cells that a row is written as, and that `Row::from_serialize` gives the same.
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

/// Checks the JSON of a cell.
#[track_caller]
fn check_cell<T: Serialize>(value: T, json: &str) {
    check(&BTreeMap::from([("c", value)]), &format!(r#""c":{json}"#));
}

/// Checks why a row is refused.
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

/// A value whose serialization fails.
struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("the lock is poisoned"))
    }
}

/// A value that serializes as a byte string.
struct Bytes;

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(b"abc")
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}
