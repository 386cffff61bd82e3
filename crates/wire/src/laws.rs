//! Property tests: laws that hold for every input.

use proptest::collection::vec;
use proptest::prelude::*;
use streamtable_schema::{
    Change, ColumnPolicy, Media, MediaError, Row, RowCheck, Schema, SchemaError, StoredFile,
    TIMESTAMP_COLUMN, Timestamp, Type, Value, row,
};

use crate::graphql::{
    self, CreateArtifactFiles, CreateManifest, CreateRunFiles, CreateTable, FindTable,
    GraphqlRequest, ReadRows, ServerFeatures, WhoAmI, parse_answer,
};
use crate::strategies::{
    at_rest, damaged, document, name, odd_row, place, row, soup, standard_soup, typo, value,
};
use crate::{
    Chunk, FileStreamAnswer, FileStreamRequest, HISTORY_FILE, HistoryKeys, HistoryLine, Json,
    Logged, RESERVED_COLUMNS, RowSink, SentPost, SentUpload, WeaveType, cell, history_body,
    is_verdict, json, write_row,
};

/// A sink that checks each row against an empty table.
struct Sink<'a> {
    check: RowCheck<'a>,
    types: Vec<(String, Type)>,
}

impl RowSink for Sink<'_> {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.types.push((column.to_owned(), ty.clone()));
        self.check.cell(column, ty).map(drop)
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        Ok(place(media))
    }
}

type Written = (String, Vec<(String, Type)>);

/// Writes a row after a line that must not change.
fn write(row: &Row, logged: Logged<'_>) -> Result<Written, SchemaError> {
    let (schema, mut change) = (Schema::new(ColumnPolicy::Evolve), Change::default());
    let mut sink = Sink { check: schema.check(&mut change), types: Vec::new() };
    let mut out = b"before\n".to_vec();
    let result = write_row(row, logged, &mut out, &mut sink);
    let line = out.strip_prefix(b"before\n").expect("existing content is kept");
    if let Err(error) = result {
        assert_eq!(line, b"");
        return Err(error);
    }
    Ok((String::from_utf8(line.to_vec()).expect("a line is UTF-8"), sink.types))
}

/// Reference implementation: returns the first column for which a row must be refused.
fn refused(row: &Row) -> Option<&str> {
    let mut seen = Vec::new();
    let mut cells = row.cells();
    let refused = cells.find(|(name, value)| {
        let twice = seen.contains(name);
        seen.push(*name);
        let mut schema = Schema::new(ColumnPolicy::Evolve);
        let fits = schema.admit(&row! { "c" => (*value).clone() }).is_ok();
        twice || RESERVED_COLUMNS.contains(name) || !fits || has_reserved_type(value)
    });
    refused.map(|(name, _)| name)
}

fn has_reserved_type(value: &Value) -> bool {
    match value {
        Value::List(items) => items.iter().any(has_reserved_type),
        Value::Struct(row) => row.cells().any(|(name, value)| match value {
            Value::String(text) if name == "_type" => cell::is_reserved_type(text),
            value => has_reserved_type(value),
        }),
        _ => false,
    }
}

fn weave_type() -> impl Strategy<Value = WeaveType> {
    let json = document().prop_map(|json| {
        let text = json.to_string();
        let ty: WeaveType = format!(r#"{{"type":"const","valType":"any","val":{text}}}"#)
            .parse()
            .expect("a document is JSON");
        let WeaveType::Const { value, .. } = ty else { unreachable!("{ty:?}") };
        value
    });
    let json = json.boxed();
    let basic = name().prop_filter("`id` is a synonym of `string`", |name| name != "id");
    let leaf = prop_oneof![basic.prop_map(WeaveType::Basic), Just(WeaveType::Timestamp)];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let other = ("[A-Z][a-z]{0,3}", vec(("[a-z_]{5,6}", json.clone()), 0..3));
        prop_oneof![
            boxed.clone().prop_map(WeaveType::List),
            boxed.clone().prop_map(WeaveType::Dict),
            vec(inner.clone(), 0..4).prop_map(WeaveType::Union),
            (boxed, json.clone()).prop_map(|(ty, value)| WeaveType::Const { ty, value }),
            (proptest::collection::hash_map(name(), inner, 0..4), vec(name(), 0..2)).prop_map(
                |(properties, not_required)| WeaveType::TypedDict {
                    properties: properties.into_iter().collect(),
                    not_required,
                }
            ),
            other.prop_map(|(name, mut rest)| {
                rest.dedup_by(|a, b| a.0 == b.0);
                let rest: Vec<(String, Json)> = rest;
                WeaveType::Other { name, rest }
            }),
        ]
    })
}

/// Parses the bytes with every parser for external input. Only a panic is a failure.
fn read_as_anything(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = json::parse(&text);
    let _ = HistoryLine::parse(&text);
    if let Ok(ty) = text.parse::<WeaveType>() {
        let _ = (ty.to_type(), ty.to_string());
    }
    let _ = FileStreamRequest::parse(bytes);
    let _ = FileStreamAnswer::parse(bytes);
    let answer = ::http::Response::new(bytes);
    let _ = SentPost { rows: Some(0..9), request: "r", must_state: true }.ack(&answer);
    let _ = SentUpload { bytes: b"", must_state: false }.ack(&answer);
    let _ = is_verdict(&answer, false);
    if let Ok(keys) = serde_json::from_slice::<HistoryKeys>(bytes) {
        let _ = (keys.columns(), keys.next_step());
    }
    if let Ok(request) = GraphqlRequest::parse(bytes) {
        let _ = request.variables_of::<FindTable>();
    }
    let _ = graphql::error_messages(bytes);
    let _ = parse_answer::<WhoAmI>(bytes);
    let _ = parse_answer::<ServerFeatures>(bytes);
    let _ = parse_answer::<FindTable>(bytes).map(|found| found.has_artifact());
    let _ = parse_answer::<CreateTable>(bytes).map(|made| made.artifact().is_some());
    let _ = parse_answer::<CreateManifest>(bytes).map(|made| made.manifest().is_some());
    let _ = parse_answer::<CreateArtifactFiles>(bytes);
    let _ = parse_answer::<CreateRunFiles>(bytes);
    let _ = parse_answer::<ReadRows>(bytes);
}

const SAMPLES: [&str; 8] = [
    r#"{"a":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1704164645678,"_micros":901},"b":[NaN,-1.5e-7,"\ud83d\ude00"],"_client_id":"w","_timestamp":1.5,"_step":3,"_runtime":0.1}"#,
    r#"{"img":{"_type":"image-file","path":"media/images/a.png","sha256":"0","size":69,"format":"png","width":5,"height":3},"more":{"_type":"images/separated","count":1,"filenames":["a.png"],"captions":["x"],"format":"png","width":2,"height":2}}"#,
    r#"{"pil":{"_type":"_wt_::{\"type\": \"pil_image\", \"width\": {\"type\": \"const\", \"valType\": \"int\", \"val\": 4}}","_val":"wandb-run-file://e/p/t/0-x"},"obj":{"_type":"_wt_::{\"type\": \"LabObj\", \"a\": \"int\"}","_val":{"_type":"LabObj","a":1}}}"#,
    r#"{"type":"typedDict","propertyTypes":{"a":{"type":"union","members":["int","none"]},"b":{"type":"list","objectType":"unknown"}},"notRequiredKeys":["b"]}"#,
    r#"{"files":{"wandb-history.jsonl":{"offset":3,"content":["{\"a\":1}","{}"]}},"uploaded":["x"],"dropped":0,"complete":true,"exitcode":0}"#,
    r#"{"lastStep":4,"sets":[],"keys":{"a.b":{"typeCounts":[{"type":"map","count":5,"keys":{"c":[{"type":"nil"}]}}]},"d":{"typeCounts":[{"type":"list","items":[{"type":"number"}]}]}}}"#,
    r#"{"operationName":"StreamTableFind","query":"query { viewer { id } }","variables":{"entity":"e"}}"#,
    r#"{"data":{"viewer":{"defaultEntity":{"name":"me"}},"project":{"run":{"historyKeys":{"lastStep":2,"keys":{}},"history":["{}"]},"artifactCollection":{"artifactMembership":{"commitHash":"0"}}}},"errors":[]}"#,
];

proptest! {
    #[test]
    fn a_written_row_reads_back(
        row in row(),
        writer in any::<String>(),
        at in -8_589_934_592_000_000..8_589_934_592_000_000_i64,
    ) {
        let logged = Logged { writer: &writer, at: Timestamp::from_micros(at) };
        let (line, _) = write(&row, logged).unwrap();
        let mut expected: Row = row.into_iter().map(|(name, value)| (name, at_rest(value))).collect();
        if expected.get(TIMESTAMP_COLUMN).is_none() {
            expected.push(TIMESTAMP_COLUMN, Timestamp::from_millis(logged.at.as_millis()));
        }
        prop_assert_eq!(
            HistoryLine::parse(&line),
            Ok(HistoryLine {
                row: expected,
                writer: Some(writer.clone()),
                logged_at: Some(logged.at),
                step: None,
                runtime: None,
            })
        );
    }

    #[test]
    fn a_written_value_reads_back_at_any_time_of_logging(value in value(), at in any::<i64>()) {
        let logged = Logged { writer: "w", at: Timestamp::from_micros(at) };
        let (line, _) = write(&row! { "c" => value.clone() }, logged).unwrap();
        let read = HistoryLine::parse(&line).unwrap();
        prop_assert_eq!(read.row.get("c"), Some(&at_rest(value)));
        prop_assert_eq!(
            read.row.get(TIMESTAMP_COLUMN),
            Some(&Timestamp::from_millis(logged.at.as_millis()).into())
        );
    }

    #[test]
    fn rows_are_refused_by_the_rules_and_typed_by_their_values(row in odd_row()) {
        let logged = Logged { writer: "w", at: Timestamp::from_millis(0) };
        match (write(&row, logged), refused(&row)) {
            (Ok((_, types)), None) => {
                let expected: Vec<(String, Type)> = row
                    .cells()
                    .map(|(name, value)| (name.to_owned(), Type::of(value)))
                    .collect();
                prop_assert_eq!(types, expected);
            }
            (Err(error), Some(column)) => prop_assert_eq!(error.column(), Some(column)),
            (written, refused) => prop_assert!(false, "{written:?}, but {refused:?}"),
        }
    }

    #[test]
    fn documents_of_serde_json_are_parsed_unchanged(document in document()) {
        let parsed = json::parse(&document.to_string());
        prop_assert_eq!(parsed, Ok(Value::from(document.clone())));
        let parsed = json::parse(&serde_json::to_string_pretty(&document).unwrap());
        prop_assert_eq!(parsed, Ok(Value::from(document)));
    }

    #[test]
    fn the_parser_accepts_the_same_texts_as_serde_json(text in prop_oneof![standard_soup(), typo()]) {
        match (json::parse(&text), serde_json::from_str::<serde_json::Value>(&text)) {
            // Floats out of range are infinite here; serde_json refuses them.
            (Ok(_), Err(error)) => prop_assert!(error.to_string().contains("out of range")),
            // The meaning of `-0` depends on serde_json's features.
            (ours, theirs) if text.contains("-0") => {
                prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            }
            // serde_json may be one bit off for long floats.
            (ours, theirs) => {
                let ty = |value| Type::of(&value);
                prop_assert_eq!(ours.ok().map(ty), theirs.ok().map(Value::from).map(ty));
            }
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in prop_oneof![any::<String>(), soup()]) {
        read_as_anything(text.as_bytes());
    }

    #[test]
    fn no_damaged_input_makes_a_parser_panic(bytes in damaged(&SAMPLES)) {
        read_as_anything(&bytes);
    }

    #[test]
    fn a_history_body_is_a_request(offset in any::<u64>(), lines in vec(any::<String>(), 0..5)) {
        let body = history_body(offset, &lines);
        let content = lines.iter().map(Into::into).collect();
        let files = [(HISTORY_FILE.into(), Chunk { offset, content })].into();
        let request = FileStreamRequest { files, ..FileStreamRequest::default() };
        prop_assert_eq!(String::from_utf8(request.to_bytes()), String::from_utf8(body.clone()));
        prop_assert_eq!(FileStreamRequest::parse(&body).unwrap(), request);
    }

    #[test]
    fn a_weave_type_reads_back(ty in weave_type()) {
        let text = ty.to_string();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(text.parse(), Ok(ty), "{}", text);
    }

    #[test]
    fn a_type_converts_to_a_weave_type_and_back(value in value(), other in value()) {
        let ty = Type::of(&value).unite(&Type::of(&other));
        let weave = WeaveType::from(&ty);
        prop_assert_eq!(weave.to_string().parse::<WeaveType>(), Ok(weave.clone()));
        prop_assert_eq!(weave.to_type(), Some(ty));
    }

    #[test]
    fn a_schema_round_trips_through_history_keys(rows in vec(row(), 0..4)) {
        let mut schema = Schema::new(ColumnPolicy::Evolve);
        for row in &rows {
            schema.admit(row).unwrap();
        }
        let text = serde_json::to_string(&HistoryKeys::new(&schema, rows.len() as u64)).unwrap();
        let keys: HistoryKeys = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(keys.next_step(), rows.len() as u64);
        let columns = keys.columns();
        prop_assert_eq!(columns.len(), schema.columns().len(), "{}", text);
        for ((name, ty), column) in columns.iter().zip(schema.columns()) {
            prop_assert_eq!(name.as_str(), &*column.name);
            prop_assert!(ty.includes(&column.ty), "{} is not {}", column.ty, ty);
        }
    }
}
