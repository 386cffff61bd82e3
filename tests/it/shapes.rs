//! The columns of serde's shapes, as the documentation of `IntoRows` lists them.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use streamtable::{Media, Timestamp};

use crate::support::{builder, mock};

#[derive(Serialize)]
struct Row<T> {
    cell: T,
}

/// Checks the type of a column, or the reason why its cell is refused.
#[track_caller]
fn check<T: Serialize>(cells: &[T], expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let column = runtime.block_on(async {
        let table = builder(&mock()).no_spool().open().await.unwrap();
        for cell in cells {
            if let Err(error) = table.log(&Row { cell }).await {
                table.finish().await.unwrap();
                return error.to_string();
            }
        }
        table.finish().await.unwrap();
        table.schema().column("cell").unwrap().ty.to_string()
    });
    match expected.strip_prefix("… ") {
        Some(part) => assert!(column.contains(part), "{column}"),
        None => assert_eq!(column, expected),
    }
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Meters(f64);
#[derive(Serialize)]
struct Point {
    x: i64,
}
#[derive(Serialize)]
enum Shape {
    Empty,
    Circle(i64),
    Line(i64, f64),
    Box { side: i64 },
}
#[derive(Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    Empty,
    Box { side: i64 },
}

#[test]
fn a_column_has_the_type_of_the_shape() {
    check(&[true], "bool");
    check(&[7], "int");
    check(&[0.5], "float");
    check(&[0.1_f32], "float");
    check(&["x"], "string");
    check(&['x'], "string");
    check(&[u64::MAX], "… does not fit a signed 64-bit integer");
    check(&[None, Some(7)], "int?");
    check(&[()], "null");
    check(&[Unit], "null");
    check(&[Meters(7.5)], "float");
    check(&[vec![1, 2]], "list<int>");
    check(&[(1, 2.5)], "list<float>");
    check(&[Point { x: 1 }], "struct{x: int}");
    check(&[std::collections::BTreeMap::from([("x", 1)])], "struct{x: int}");
    check(&[Shape::Empty], "string");
    check(&[Shape::Circle(3)], "struct{Circle: int}");
    check(&[Shape::Line(3, 0.5)], "struct{Line: list<float>}");
    check(&[Shape::Box { side: 3 }], "struct{Box: struct{side: int}}");
    check(&[Timestamp::from_micros(0)], "timestamp");
    check(&[Media::html("<p>")], "html");
    check(&[SystemTime::UNIX_EPOCH], "struct{nanos_since_epoch: int, secs_since_epoch: int}");
    check(&[Duration::ZERO], "struct{nanos: int, secs: int}");
}

/// An enum that is sometimes a name and sometimes has fields makes a mixed column; a tag makes it one of
/// structs.
#[test]
fn unit_variants_and_others_mix_without_a_tag() {
    check(&[Shape::Empty, Shape::Circle(3)], "string | struct{Circle: int}");
    check(&[Tagged::Box { side: 1 }, Tagged::Empty], "struct{kind: string, side: int?}");
}
