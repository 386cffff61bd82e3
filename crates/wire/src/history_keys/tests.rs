use streamtable_schema::{ColumnPolicy, Schema, Timestamp, row};

use super::HistoryKeys;

fn parse(json: &str) -> HistoryKeys {
    serde_json::from_str(json).unwrap()
}

/// Checks the columns of a document whose `keys` are these.
#[track_caller]
fn check(keys: &str, expected: &str) {
    let document = parse(&format!(r#"{{"lastStep":0,"keys":{keys}}}"#));
    let columns = document.columns().into_iter().map(|(name, ty)| format!("{name}: {ty}"));
    assert_eq!(columns.collect::<Vec<_>>().join(", "), expected);
}

/// Checks the columns of a document with one column of these types.
#[track_caller]
fn check_types(types: &str, expected: &str) {
    check(&format!(r#"{{"c":{{"typeCounts":{types}}}}}"#), &format!("c: {expected}"));
}

#[test]
fn steps() {
    #[track_caller]
    fn check(json: &str, last: i64, next: u64) {
        let keys = parse(json);
        assert_eq!((keys.last_step, keys.next_step()), (last, next));
        assert!(keys.columns().is_empty());
    }
    check(r#"{"lastStep":4,"sets":[],"keys":{}}"#, 4, 5);
    check(r#"{"lastStep":-1}"#, -1, 0);
    check(r#"{"lastStep":null,"keys":null}"#, -1, 0);
    check("{}", -1, 0);
    check(r#"{"lastStep":-7}"#, -7, 0);
    check(r#"{"lastStep":9223372036854775807}"#, i64::MAX, i64::MAX as u64);

    let schema = Schema::default();
    assert_eq!(HistoryKeys::new(&schema, 0).last_step, -1);
    assert_eq!(HistoryKeys::new(&schema, 3).last_step, 2);
    assert_eq!(HistoryKeys::new(&schema, u64::MAX).last_step, i64::MAX);
    assert!(serde_json::from_str::<HistoryKeys>(r#"{"lastStep":"4"}"#).is_err());
}

#[test]
fn types() {
    check_types(r#"[{"type":"string","count":3}]"#, "string");
    check_types(r#"[{"type":"number"},{"type":"nil"},{"type":"bool"}]"#, "bool | float | null");
    check_types(r#"[{"type":"_wt_::{\"type\": \"timestamp\"}"}]"#, "timestamp");
    check_types(r#"[{"type":"_wt_::{\"type\":\"pil_image\"}"}]"#, "image");
    check_types(r#"[{"type":"image-file","keys":{"path":[{"type":"string"}]}}]"#, "image");
    check_types(r#"[{"type":"images/separated"}]"#, "list<image>");
    check_types(r#"[{"type":"list"}]"#, "list<unknown>");
    check_types(r#"[{"type":"list","items":[{"type":"number"},{"type":"nil"}]}]"#, "list<float?>");
    check_types(r#"[{"type":"map"}]"#, "struct{}");
    check_types(
        r#"[{"type":"map","keys":{"b":[{"type":"string"},{"type":"nil"}],"a":[{"type":"map"}],"u":[]}}]"#,
        "struct{a: struct{}, b: string?, u: unknown}",
    );
    check_types(
        r#"[{"type":"map"},{"type":"list"},{"type":"string"}]"#,
        "string | list<unknown> | struct{}",
    );
    // A user's struct with a `_type`, and unknown types.
    check_types(r#"[{"type":"mine","keys":{"a":[{"type":"bool"}]}}]"#, "struct{a: bool}");
    for name in
        [r#""histogram""#, r#""table-file""#, r#""_wt_::{oops""#, r#""_wt_::\"any\"""#, "null"]
    {
        check_types(&format!(r#"[{{"type":{name},"count":null}}]"#), "unknown");
    }
    check_types("[]", "unknown");
    check_types("null", "unknown");
    check(r#"{"c":{}}"#, "c: unknown");
}

#[test]
fn names() {
    let number = r#"{"typeCounts":[{"type":"number","count":1}]}"#;
    let keys = |names: &[&str]| {
        let keys = names.iter().map(|name| format!("{}:{number}", serde_json::json!(name)));
        format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
    };
    check(&keys(&["z", "a", "m"]), "z: float, a: float, m: float");
    check(&keys(&["a.b", "c", "a.d"]), "a: struct{b: float, d: float}, c: float");
    check(&keys(&["a.b.c", "a.b.d"]), "a: struct{b: struct{c: float, d: float}}");
    check(&keys(&[r"a\.b", r"a.b\.c"]), "a.b: float, a: struct{b.c: float}");
    check(&keys(&[r"a\\.b", r"a\b", r"\"]), r"a\.b: float, a\b: float, \: float");
    check(
        &keys(&["", ".", "a."]),
        ": float?, a: struct{: float}".replace("float?", "float | struct{: float}").as_str(),
    );
    check(
        &keys(&["_step", "_runtime", "_timestamp", "_client_id", "_wandb.runtime", "_x"]),
        "_x: float",
    );
    check(&keys(&["timestamp", "a._step"]), "timestamp: float, a: struct{_step: float}");
    // A struct given both as a whole and by dotted names is one struct.
    check(
        r#"{"a":{"typeCounts":[{"type":"map","keys":{"x":[{"type":"bool"}]}},{"type":"nil"}]},"a.y":{"typeCounts":[{"type":"string"}]},"a.x":{"typeCounts":[{"type":"bool"}]}}"#,
        "a: struct{x: bool, y: string}?",
    );
    // The last duplicate counts.
    check(
        r#"{"a":{"typeCounts":[{"type":"string"}]},"a":{"typeCounts":[{"type":"bool"}]}}"#,
        "a: bool",
    );
}

#[test]
fn of_a_table() {
    let mut schema = Schema::new(ColumnPolicy::Evolve);
    let row = row! {
        "z" => 1,
        "a.b" => "x",
        r"c\.d" => [row! { "e.f" => 1.5 }, row! { "e.f" => (), "g" => [()] }],
        "t" => Timestamp::from_micros(0),
        "img" => streamtable_schema::Media::image(crate::strategies::png(1, 1)).unwrap(),
    };
    schema.admit(&row).unwrap();
    schema.admit(&row! { "z" => "one", "new" => true }).unwrap();
    let keys = HistoryKeys::new(&schema, 2);
    insta::assert_snapshot!(serde_json::to_string_pretty(&keys).unwrap());
    check(
        &serde_json::to_string(&keys.keys).unwrap(),
        r"z: float | string, a.b: string, c\.d: list<struct{e.f: float?, g: list<null>?}>, t: timestamp, img: image, new: bool",
    );
}

/// Quadratic code would take minutes on these, and recursion would overflow the stack.
#[test]
fn large_documents() {
    let number = r#"{"typeCounts":[{"type":"number"}]}"#;
    let document = |names: &mut dyn Iterator<Item = String>| {
        let keys = names.map(|name| format!(r#""{name}":{number}"#)).collect::<Vec<_>>().join(",");
        parse(&format!(r#"{{"lastStep":0,"keys":{{{keys}}}}}"#))
    };
    assert_eq!(document(&mut (0..100_000).map(|i| format!("k{i}"))).columns().len(), 100_000);
    assert_eq!(document(&mut (0..100_000).map(|i| format!("a.k{i}"))).columns().len(), 1);
    assert_eq!(document(&mut (0..100_000).map(|i| format!("k{i}.a.b"))).columns().len(), 100_000);

    let deep = document(&mut ["a.".repeat(500_000)].into_iter()).columns();
    assert!(deep[0].1.to_string().len() < 1000);
    let maps = (0..10_000).map(|i| format!(r#"{{"type":"map","keys":{{"k{i}":[]}}}}"#));
    let maps = maps.collect::<Vec<_>>().join(",");
    let columns = parse(&format!(r#"{{"keys":{{"c":{{"typeCounts":[{maps}]}}}}}}"#)).columns();
    assert_eq!(columns.len(), 1);
}

#[test]
fn the_newest_values_do_not_change_the_columns() {
    let rows = [
        row! { "a" => 1, "d" => row! { "x" => 2.5, "y.z" => "t", "l" => [1] } },
        row! { "a" => 7, "b" => true, "long" => "x".repeat(1000), "nan" => f64::NAN },
    ];
    let mut schema = Schema::new(ColumnPolicy::Evolve);
    for row in &rows {
        schema.admit(row).unwrap();
    }
    let plain = HistoryKeys::new(&schema, 2);
    let keys = plain.clone().with_newest(rows.iter());
    assert_eq!(keys.columns(), plain.columns());
    let values = keys.keys.iter().filter_map(|(name, keys)| {
        Some((name.as_str(), keys.previous_value.as_ref()?.to_string()))
    });
    let values: Vec<_> = values.collect();
    let expected = [("a", "1"), ("b", "true"), ("d.x", "2.5"), (r"d.y\.z", "\"t\"")];
    assert_eq!(values, expected.map(|(name, value)| (name, value.to_owned())));
}
