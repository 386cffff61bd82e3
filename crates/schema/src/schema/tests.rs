use super::*;
use crate::{Timestamp, row};

const STRICT: ColumnPolicy = ColumnPolicy::Strict;
const EVOLVE: ColumnPolicy = ColumnPolicy::Evolve;

/// Admits rows one by one. Each text is the schema after the row, or the error.
#[track_caller]
fn check<const N: usize>(policy: ColumnPolicy, cases: [(Row, &str); N]) {
    let mut schema = Schema::new(policy);
    for (row, expected) in cases {
        let before = schema.clone();
        match schema.admit(&row) {
            Ok(()) => assert_eq!(schema.to_string(), expected, "{row:?}"),
            Err(error) => {
                assert_eq!(error.to_string(), expected, "{row:?}");
                assert_eq!(schema, before, "{row:?} was refused but changed the schema");
            }
        }
        for (i, column) in schema.columns().iter().enumerate() {
            assert_eq!(schema.column(&column.name), Some(&schema.columns()[i]));
        }
    }
}

#[test]
fn strict_columns() {
    check(
        STRICT,
        [
            (row! {}, "the first row of a table has no cells; it must have at least one column"),
            (
                row! { "a" => 1, "b" => 2, "a" => 3 },
                r#"column "a" appears twice in one row; keep one"#,
            ),
            (row! { "a" => 1, "" => "x" }, "a: int, : string"),
            (row! { "" => (), "a" => 2 }, "a: int, : string?"),
            (
                row! {},
                r#"column "a" is missing: every row has the table's columns, null with null for an unknown value"#,
            ),
            (
                row! { "a" => 1 },
                r#"column "" is missing: every row has the table's columns, null with null for an unknown value"#,
            ),
            (
                row! { "a" => 1, "" => (), "c" => (), "d" => () },
                r#"column "c" is not one of the table's; open the table with evolving columns to add it"#,
            ),
            (row! { "a" => 1, "a" => 1 }, r#"column "a" appears twice in one row; keep one"#),
            // The cell that would widen a column comes before the cell that is refused.
            (
                row! { "a" => 0.5, "" => "x", "" => ["x"] },
                r#"column "" appears twice in one row; keep one"#,
            ),
            (row! { "a" => 1, "" => "x" }, "a: int, : string?"),
            (row! { "a" => 0.5, "" => 1 }, "a: float, : int | string | null"),
            (row! { "a" => 1, "" => false }, "a: float, : bool | int | string | null"),
            (
                row! { "a" => [1], "" => row! {} },
                "a: float | list<int>, : bool | int | string | struct{} | null",
            ),
        ],
    );
}

#[test]
fn evolving_columns() {
    check(
        EVOLVE,
        [
            (row! {}, ""),
            (row! { "b" => 1 }, "b: int"),
            (row! { "a" => () }, "b: int, a: null"),
            (row! {}, "b: int, a: null"),
            (
                row! { "c" => 1, "b" => 0.5, "c" => 2 },
                r#"column "c" appears twice in one row; keep one"#,
            ),
            (
                row! { "c" => 1, "b" => 0.5, "b" => 2 },
                r#"column "b" appears twice in one row; keep one"#,
            ),
            (
                row! { "c" => [1], "a" => [row! {}], "b" => row! {} },
                "b: int | struct{}, a: list<struct{}>?, c: list<int>",
            ),
            (
                row! { "a" => [row! { "x" => 1 }], "c" => row! {} },
                "b: int | struct{}, a: list<struct{x: int?}>?, c: list<int> | struct{}",
            ),
            (
                row! { "a" => [row! { "x" => [1] }] },
                "b: int | struct{}, a: list<struct{x: int | list<int> | null}>?, c: list<int> | struct{}",
            ),
        ],
    );
}

#[test]
fn values_that_cannot_be_stored() {
    check(
        EVOLVE,
        [
            (row! { "n" => i64::MAX, "m" => i64::MIN }, "n: int, m: int"),
            (
                row! { "n" => 1, "m" => i128::from(i64::MAX) + 1 },
                r#"column "m": the integer 9223372036854775808 does not fit a signed 64-bit integer; log it as a string or a float"#,
            ),
            (
                row! { "n" => 1, "o" => [row! { "x" => u64::MAX }] },
                r#"column "o": the integer 18446744073709551615 does not fit a signed 64-bit integer; log it as a string or a float"#,
            ),
            (
                row! { "o" => row! { "x" => row! { "a" => 1, "b" => 2, "a" => 3 } } },
                r#"column "o": the field "a" appears twice in one struct; keep one"#,
            ),
        ],
    );
}

#[track_caller]
fn check_depth(levels: usize, is_taken: bool) {
    let cell = (0..levels).fold(Value::Null, |inner, level| match level % 2 {
        0 => Value::List(vec![inner]),
        _ => row! { "a" => inner }.into(),
    });
    let row = row! { "deep" => cell };
    let result = Schema::new(STRICT).admit(&row);
    if is_taken {
        result.unwrap();
    } else {
        let error = ValueError::too_deep();
        assert_eq!(result, Err(SchemaError::Value { column: "deep".to_owned(), error }));
        assert!(Row::from_serialize(&row).is_err());
    }
    // Dropping it would recurse as deep as the value nests.
    std::mem::forget(row);
}

#[test]
fn depth() {
    check_depth(0, true);
    check_depth(crate::MAX_DEPTH, true);
    check_depth(crate::MAX_DEPTH + 1, false);
    check_depth(100_000, false);
}

#[test]
fn many_columns() {
    let cells = |range: std::ops::Range<usize>| range.map(|i| (format!("c{i}"), 1));
    let too_many =
        Err(SchemaError::TooManyColumns { column: format!("c{MAX_COLUMNS}"), limit: MAX_COLUMNS });
    for policy in [STRICT, EVOLVE] {
        let mut schema = Schema::new(policy);
        assert_eq!(schema.admit(&cells(0..MAX_COLUMNS + 1).collect()), too_many);
        assert_eq!(schema.columns(), []);
        schema.admit(&cells(0..MAX_COLUMNS).collect()).unwrap();
        assert_eq!(schema.columns().len(), MAX_COLUMNS);
        schema.admit(&cells(0..MAX_COLUMNS).rev().collect()).unwrap();
    }
    let mut schema = Schema::new(EVOLVE);
    schema.admit(&cells(0..9_999).collect()).unwrap();
    assert_eq!(schema.admit(&cells(9_999..10_001).collect()), too_many);
    assert_eq!(schema.columns().len(), 9_999);
}

#[test]
fn existing_columns() {
    let columns = [
        ("a", Type::Int),
        ("b", Type::Unknown),
        ("a", Type::list(Type::Int)),
        ("b", Type::Unknown),
    ];
    let mut schema = Schema::with_columns(STRICT, columns);
    assert_eq!(schema.policy(), STRICT);
    assert_eq!(schema.to_string(), "a: int | list<int>, b: unknown");
    schema.admit(&row! { "a" => [0.5], "b" => [1] }).unwrap();
    schema.admit(&row! { "a" => 1, "b" => () }).unwrap();
    assert_eq!(schema.to_string(), "a: int | list<float>, b: list<int>?");
    schema.admit(&row! { "a" => row! {}, "b" => () }).unwrap();
    assert_eq!(schema.to_string(), "a: int | list<float> | struct{}, b: list<int>?");
}

#[test]
fn known_cells_are_checked_by_column_number() {
    let mut schema = Schema::new(EVOLVE);
    let mut change = Change::default();
    let mut check = schema.check(&mut change);
    let numbers = ["a", "b"].map(|name| check.cell(name, &Type::Int).unwrap());
    check.finish().unwrap();
    schema.apply(&mut change);
    assert_eq!(numbers, [0, 1]);

    let mut check = schema.check(&mut change);
    check.known_cell(1).unwrap();
    assert_eq!(check.cell("c", &Type::Bool), Ok(2));
    let twice = SchemaError::DuplicateColumn { column: "b".to_owned() };
    assert_eq!(check.known_cell(1), Err(twice.clone()));
    assert_eq!(check.cell("b", &Type::Int), Err(twice));
}

#[test]
fn an_unfinished_check_changes_nothing() {
    let mut schema = Schema::new(EVOLVE);
    schema.admit(&row! { "a" => 1 }).unwrap();
    let before = schema.clone();
    let mut change = Change::default();

    let mut check = schema.check(&mut change);
    check.cell("a", &Type::Float).unwrap();
    check.cell("b", &Type::Int).unwrap();
    check.cell("b", &Type::Int).unwrap_err();
    drop(check);
    assert!(change.is_empty());
    schema.apply(&mut change);
    assert_eq!(schema, before);

    for ty in [Type::Int, Type::Float] {
        let mut check = schema.check(&mut change);
        check.cell("a", &ty).unwrap();
        check.finish().unwrap();
        assert_eq!(change.is_empty(), ty == Type::Int);
    }
    schema.apply(&mut change);
    assert_eq!(schema.to_string(), "a: float");
    assert!(change.is_empty());
    schema.apply(&mut change);
    assert_eq!(schema.to_string(), "a: float");
}

#[test]
fn the_time_of_a_row_is_no_column() {
    let time = || Timestamp::from_micros(7);
    check(
        STRICT,
        [
            (row! { "a" => 1 }, "a: int"),
            (row! { "timestamp" => time(), "a" => 1 }, "a: int, timestamp: timestamp"),
            (row! { "a" => 1, "timestamp" => () }, "a: int, timestamp: timestamp?"),
            (row! { "a" => 1 }, "a: int, timestamp: timestamp?"),
            (
                row! { "a" => 1, "timestamp" => "noon" },
                r#"column "timestamp" holds timestamp, this row has string"#,
            ),
            (
                row! { "a" => 1, "timestamp" => time(), "timestamp" => time() },
                r#"column "timestamp" appears twice in one row; keep one"#,
            ),
            (
                row! { "a" => 1, "time" => time() },
                r#"column "time" is not one of the table's; open the table with evolving columns to add it"#,
            ),
        ],
    );
    check(
        STRICT,
        [
            (row! { "timestamp" => time(), "a" => 1 }, "timestamp: timestamp, a: int"),
            (row! { "a" => 1 }, "timestamp: timestamp, a: int"),
        ],
    );
    // Another value is a cell like every other.
    check(
        STRICT,
        [
            (row! { "timestamp" => 5, "a" => 1 }, "timestamp: int, a: int"),
            (row! { "timestamp" => "noon", "a" => 1 }, "timestamp: int | string, a: int"),
            (
                row! { "a" => 1 },
                r#"column "timestamp" is missing: every row has the table's columns, null with null for an unknown value"#,
            ),
        ],
    );
    check(
        STRICT,
        [
            (row! { "a" => 1 }, "a: int"),
            (
                row! { "a" => 1, "timestamp" => 5 },
                r#"column "timestamp" is not one of the table's; open the table with evolving columns to add it"#,
            ),
        ],
    );
    check(
        EVOLVE,
        [
            (row! { "timestamp" => time() }, "timestamp: timestamp"),
            (row! { "timestamp" => "noon" }, "timestamp: string | timestamp"),
        ],
    );
}

#[test]
fn united_schemas_hold_the_columns_of_both() {
    let schema = |row: Row| {
        let mut schema = Schema::new(ColumnPolicy::Evolve);
        schema.admit(&row).unwrap();
        schema
    };
    let (a, b) = (schema(row! { "x" => 1, "y" => "a" }), schema(row! { "z" => true, "x" => 0.5 }));
    assert_eq!(a.unite(&b).to_string(), "x: float, y: string, z: bool");
    assert_eq!(b.unite(&a).to_string(), "z: bool, x: float, y: string");
    assert_eq!(a.unite(&b).policy(), ColumnPolicy::Evolve);
}
