use streamtable_schema::Type;

use super::{Json, WeaveType};

/// Checks that a type is written as it was read, with Python's spaces, and its schema type.
#[track_caller]
fn check(text: &str, ty: Option<&str>) {
    let weave = check_type(text, ty);
    let compact = serde_json::to_string(&weave).unwrap();
    assert_eq!(compact.replace(' ', ""), text.replace(' ', ""));
    assert_eq!(weave.to_string().replace(' ', ""), text.replace(' ', ""));
    assert_eq!(weave.to_string().parse(), Ok(weave.clone()));
    assert_eq!(serde_json::from_str::<WeaveType>(text).unwrap(), weave);
}

/// Checks the schema type of a type.
#[track_caller]
fn check_type(text: &str, ty: Option<&str>) -> WeaveType {
    let weave: WeaveType = text.parse().unwrap();
    assert_eq!(weave.to_type().map(|ty| ty.to_string()).as_deref(), ty);
    weave
}

#[track_caller]
fn prints(ty: &Type, text: &str) {
    let weave = WeaveType::from(ty);
    assert_eq!(weave.to_string(), text);
    assert_eq!(weave.to_type().as_ref(), Some(ty));
}

/// The table of the protocol notes §10.
#[test]
fn grammar() {
    check(r#""none""#, Some("null"));
    check(r#""boolean""#, Some("bool"));
    check(r#""int""#, Some("int"));
    check(r#""float""#, Some("float"));
    check(r#""number""#, Some("float"));
    check(r#""string""#, Some("string"));
    check(r#""unknown""#, Some("unknown"));
    check(r#""bytes""#, None);
    check(r#""any""#, None);
    check(r#""invalid""#, None);
    check(r#""timestamp""#, Some("timestamp"));
    check(r#"{"type":"timestamp"}"#, Some("timestamp"));
    check(r#"{"type":"date"}"#, None);
    check(r#"{"type":"timedelta"}"#, None);
    check(r#"{"type":"list","objectType":"int"}"#, Some("list<int>"));
    check(r#"{"type":"list","objectType":"unknown"}"#, Some("list<unknown>"));
    check(
        r#"{"type":"typedDict","propertyTypes":{"z":"int","a":{"type":"list","objectType":"string"}}}"#,
        Some("struct{a: list<string>, z: int}"),
    );
    check(
        r#"{"type":"typedDict","propertyTypes":{"z":"int","a":"none"},"notRequiredKeys":["z"]}"#,
        Some("struct{a: null, z: int?}"),
    );
    check(r#"{"type":"dict","keyType":"string","objectType":"int"}"#, None);
    check(r#"{"type":"union","members":["int","none"]}"#, Some("int?"));
    check(r#"{"type":"union","members":["string","int","float"]}"#, Some("float | string"));
    check(
        r#"{"type":"union","members":["string",{"type":"list","objectType":"int"}]}"#,
        Some("string | list<int>"),
    );
    check(r#"{"type":"union","members":["any","int"]}"#, None);
    check(r#"{"type":"union","members":[]}"#, Some("unknown"));
    check(r#"{"type":"const","valType":"int","val":4}"#, Some("int"));
    check(r#"{"type":"const","valType":"string","val":"RGB"}"#, Some("string"));
    check(r#"{"type":"const","valType":"any","val":{"b":[1,2.5,null],"a":true}}"#, None);
    check(r#"{"type":"tagged","tag":"int","value":"string"}"#, None);
    check(r#"{"type":"function","inputTypes":{"row":"any"},"outputType":"int"}"#, None);
    check(r#"{"type":"FilesystemArtifactRef","objectType":"int"}"#, None);
    check(
        r#"{"type":"stream_table","_base_type":{"type":"Object"},"_relocatable":true,"_is_object":true,"table_name":"string"}"#,
        None,
    );
    check(r#"{"type":"WeaveNDArray","dtype":"float32","shape":[2,3]}"#, None);
    check(
        r#"{"type":"pil_image","width":{"type":"const","valType":"int","val":4},"height":{"type":"const","valType":"int","val":2},"mode":{"type":"const","valType":"string","val":"RGB"}}"#,
        Some("image"),
    );
    check(
        r#"{"type":"image-file","_base_type":{"type":"Object"},"_is_object":true,"boxLayers":{},"boxScoreKeys":[],"maskLayers":{},"classMap":{}}"#,
        Some("image"),
    );
    check(r#"{"type":"audio-file"}"#, Some("audio"));
    check(r#"{"type":"video-file"}"#, Some("video"));
    check(r#"{"type":"html-file"}"#, Some("html"));
    check(r#"{"type":"bokeh-file"}"#, None);
    check(r#"{"type":"dataframe","objectType":"int"}"#, None);
    check(r#""Markdown""#, None);
}

/// Types that violate the grammar are accepted and written in the correct form.
#[test]
fn odd_types() {
    #[track_caller]
    fn reads(text: &str, printed: &str, ty: Option<&str>) {
        let weave = check_type(text, ty);
        assert_eq!(weave.to_string(), printed);
        assert_eq!(printed.parse(), Ok(weave));
    }
    reads(r#""id""#, r#""string""#, Some("string"));
    reads("7", r#""unknown""#, Some("unknown"));
    reads("[]", r#""unknown""#, Some("unknown"));
    reads("{}", r#""unknown""#, Some("unknown"));
    reads(r#"{"type":7}"#, r#""unknown""#, Some("unknown"));
    reads(r#"{"type":"int"}"#, r#"{"type": "int"}"#, Some("int"));
    reads(r#"{"type":"list"}"#, r#"{"type": "list"}"#, None);
    reads(r#"{"type":"union","members":7}"#, r#"{"type": "union", "members": 7}"#, None);
    reads(
        r#"{"type":"timestamp","unit":"ms"}"#,
        r#"{"type": "timestamp", "unit": "ms"}"#,
        Some("timestamp"),
    );
    reads(
        r#"{"objectType":"int","type":"list"}"#,
        r#"{"type": "list", "objectType": "int"}"#,
        Some("list<int>"),
    );
    reads(r#""a\u00e9\ud83d\ude00""#, r#""a\u00e9\ud83d\ude00""#, None);
    let nan = r#"{"type": "const", "valType": "float", "val": NaN}"#;
    assert_eq!(check_type(nan, Some("float")).to_string(), nan);
    let error = r#"{"type": "list","#.parse::<WeaveType>().unwrap_err();
    assert_eq!(error.to_string(), "at byte 16: expected a key");
}

#[test]
fn numbers_keep_their_kind() {
    let text =
        r#"{"type":"Box","a":9007199254740993,"b":-1,"c":1.5,"d":1e300,"e":9223372036854775808}"#;
    let big = Json::Float(9_223_372_036_854_775_808.0);
    let rest = [
        ("a", Json::Int(9_007_199_254_740_993)),
        ("b", Json::Int(-1)),
        ("c", Json::Float(1.5)),
        ("d", Json::Float(1e300)),
        ("e", big),
    ];
    let rest = rest.map(|(name, json)| (name.to_owned(), json)).to_vec();
    let expected = WeaveType::Other { name: "Box".into(), rest };
    assert_eq!(text.parse(), Ok(expected.clone()));
    assert_eq!(serde_json::from_str::<WeaveType>(text).unwrap(), expected);
}

#[test]
fn types_of_tables() {
    let union = |types: &[Type]| types.iter().fold(Type::Unknown, |all, ty| all.unite(ty));
    prints(&Type::Unknown, r#""unknown""#);
    prints(&Type::Null, r#""none""#);
    prints(&Type::Timestamp, r#"{"type": "timestamp"}"#);
    prints(&Type::list(Type::Unknown), r#"{"type": "list", "objectType": "unknown"}"#);
    prints(
        &union(&[Type::Null, Type::Int, Type::String]),
        r#"{"type": "union", "members": ["none", "int", "string"]}"#,
    );
    let optional = union(&[Type::Float, Type::Null]);
    prints(
        &Type::fields([("b", optional), ("a é", Type::Bool)]),
        r#"{"type": "typedDict", "propertyTypes": {"a \u00e9": "boolean", "b": {"type": "union", "members": ["none", "float"]}}}"#,
    );
    prints(
        &union(&[Type::list(Type::Int), Type::fields([("a", Type::Int)])]),
        r#"{"type": "union", "members": [{"type": "list", "objectType": "int"}, {"type": "typedDict", "propertyTypes": {"a": "int"}}]}"#,
    );
    prints(&Type::Media(streamtable_schema::MediaKind::Markdown), r#"{"type": "markdown-file"}"#);
}

/// Quadratic code would take minutes on these.
#[test]
fn large_types() {
    let keys = |n: usize| (0..n).map(|i| format!(r#""k{i}":"int""#)).collect::<Vec<_>>().join(",");
    let names = (0..100_000).map(|i| format!(r#""k{i}""#)).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"type":"typedDict","propertyTypes":{{{}}},"notRequiredKeys":[{names}]}}"#,
        keys(100_000)
    );
    let Some(Type::Struct(fields)) = text.parse::<WeaveType>().unwrap().to_type() else {
        panic!("not a struct")
    };
    assert_eq!(fields.len(), 100_000);

    let members = (0..10_000)
        .map(|i| format!(r#"{{"type":"typedDict","propertyTypes":{{"k{i}":"int"}}}}"#))
        .collect::<Vec<_>>()
        .join(",");
    let text = format!(r#"{{"type":"union","members":[{members}]}}"#);
    let Some(Type::Struct(fields)) = text.parse::<WeaveType>().unwrap().to_type() else {
        panic!("not a struct")
    };
    assert_eq!(fields.len(), 10_000);

    let deep =
        format!(r#"{}"int"{}"#, r#"{"type":"list","objectType":"#.repeat(159), "}".repeat(159));
    let weave: WeaveType = deep.parse().unwrap();
    assert_eq!(weave.to_string().replace(' ', ""), deep);
    assert!(r#"{"type":"list","objectType":"#.repeat(100_000).parse::<WeaveType>().is_err());
}
