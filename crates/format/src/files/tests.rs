//! Whole files, as bytes.

use std::io::Write;
use std::sync::Arc;

use streamtable_schema::{Row, Timestamp, Value, row};

use super::{Format, Input, InputError, Item, Options, Source};

/// The content of a file.
#[derive(Debug, PartialEq)]
struct Content {
    rows: Vec<Result<Row, String>>,
    notes: Vec<String>,
}

fn read(name: &str, bytes: &[u8], options: &Options) -> Result<Content, InputError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::write(&path, bytes)?;
    let input = Input::inspect(&Source::File(path), options)?;
    let mut content = Content {
        rows: Vec::new(),
        notes: input.notes().iter().map(ToString::to_string).collect(),
    };
    let count = Arc::default();
    input.read(&count, &mut |item| {
        match item {
            Item::Row(_, row) => content.rows.push(row),
            Item::Note(note) => content.notes.push(note.to_string()),
        }
        true
    })?;
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), bytes.len() as u64);
    Ok(content)
}

#[track_caller]
fn check(name: &str, bytes: &[u8], rows: &[Row]) -> Vec<String> {
    let content = read(name, bytes, &Options::default()).unwrap();
    let expected: Vec<_> = rows.iter().cloned().map(Ok).collect();
    assert_eq!(content.rows, expected);
    content.notes
}

#[track_caller]
fn check_decision(name: &str, bytes: &[u8], option: &str) {
    match read(name, bytes, &Options::default()) {
        Err(error @ InputError::Decision { .. }) => {
            assert!(error.to_string().contains(option), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn csv_cells_have_the_type_of_their_column() {
    let text = "version,hash,n,price,ok,at,none\n\
                10.10,7e10,1,2.50,true,2026-01-02T03:04:05Z,\n\
                10.10.1,abc,NaN,3.00,false,2026-01-02T03:04:06+01:00,\n";
    let notes = check(
        "a.csv",
        text.as_bytes(),
        &[
            row! { "version" => "10.10", "hash" => "7e10", "n" => 1, "price" => 2.5, "ok" => true,
            "at" => at("2026-01-02T03:04:05Z"), "none" => () },
            row! { "version" => "10.10.1", "hash" => "abc", "n" => f64::NAN, "price" => 3.0,
            "ok" => false, "at" => at("2026-01-02T02:04:06Z"), "none" => () },
        ],
    );
    assert_eq!(notes, [] as [&str; 0]);
}

#[test]
fn a_late_text_makes_the_whole_column_text() {
    let mut text = "v\n".to_owned();
    (0..100_000).for_each(|n| text += &format!("{n}\n"));
    text += "n/a\n";
    let content = read("a.csv", text.as_bytes(), &Options::default()).unwrap();
    assert_eq!(content.rows[7], Ok(row! { "v" => "7" }));
    assert_eq!(content.rows.len(), 100_001);
}

#[test]
fn files_of_spreadsheets_are_read() {
    let rows = [row! { "id" => 1, "price" => "1,5" }, row! { "id" => 2, "price" => "2,25" }];
    let notes = check("a.csv", b"id;price\r\n1;1,5\r\n2;2,25\r\n", &rows);
    assert!(notes[0].contains("semicolons") && notes[1].contains("--decimal-comma"), "{notes:?}");
    check("a.csv", b"sep=;\nid;price\n1;1,5\n2;2,25\n", &rows);
    let options = Options { decimal_comma: true, ..Options::default() };
    let content = read("a.csv", b"id;price\n1;1,5\n2;2,25\n", &options).unwrap();
    assert_eq!(content.rows[1], Ok(row! { "id" => 2, "price" => 2.25 }));
}

#[test]
fn encodings_are_detected_or_asked_for() {
    let rows = [row! { "name" => "Café" }];
    check("a.csv", "\u{feff}name\nCafé\n".as_bytes(), &rows);
    let utf16: Vec<u8> = "\u{feff}name\nCafé\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check("a.csv", &utf16, &rows);
    let latin1 = b"name\nCaf\xe9\n";
    check_decision("a.csv", latin1, "--encoding windows-1252");
    let options = Options { encoding: Some("windows-1252".to_owned()), ..Options::default() };
    assert_eq!(read("a.csv", latin1, &options).unwrap().rows, [Ok(rows[0].clone())]);
    let options = Options { encoding: Some("klingon".to_owned()), ..Options::default() };
    assert!(read("a.csv", latin1, &options).is_err());
}

#[test]
fn compressed_files_are_read() {
    check("a.csv.gz", &gzip(b"a,b\n1,x\n"), &[row! { "a" => 1, "b" => "x" }]);
    check("a.jsonl.gz", &gzip(b"{\"a\":1}\n{\"a\":2}\n"), &[row! { "a" => 1 }, row! { "a" => 2 }]);
    let zstd = zstd::encode_all(&b"{\"a\":1}\n"[..], 1).unwrap();
    check("a.txt", &zstd, &[row! { "a" => 1 }]);
    check_decision("a.csv.bz2", b"BZh91AY&SY", "unpack");
}

#[test]
fn every_layout_of_json_is_read() {
    let rows = [row! { "a" => 1 }, row! { "a" => 2 }];
    for text in [
        "{\"a\":1}\n{\"a\":2}\n",
        "{\"a\":1}{\"a\":2}",
        "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n",
        "[{\"a\":1},{\"a\":2}]",
        "[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n",
        "\u{feff}{\"a\":1}\r\n\r\n{\"a\":2}",
    ] {
        for name in ["a.json", "a.jsonl", "a"] {
            check(name, text.as_bytes(), &rows);
        }
    }
    let content = read("a.jsonl", b"{\"a\":1}\n{\"a\":\n{\"a\":2}\n", &Options::default()).unwrap();
    assert!(content.rows[1].as_ref().unwrap_err().starts_with("invalid JSON"), "{content:?}");
    assert_eq!(content.rows.len(), 3);
}

#[test]
fn a_file_that_needs_a_decision_is_not_read() {
    check_decision("a.csv", b"Report\nid,name\n1,a\n2,b\n", "--skip-lines 1");
    check_decision("a.txt", b"id,name\n1,a\n", "--format");
    let options = Options { text: vec!["zip".to_owned()], ..Options::default() };
    let error = read("a.csv", b"id,name\n1,a\n", &options).unwrap_err();
    assert!(error.to_string().contains("id, name"), "{error}");
}

#[test]
fn repeated_names_are_numbered() {
    let notes = check(
        "a.csv",
        b"name,name,\n1,2,3\n",
        &[row! {
            "name" => 1, "name_2" => 2, "column_3" => 3
        }],
    );
    assert_eq!(notes.len(), 2);
}

#[test]
fn rows_of_other_lengths_are_reported_one_by_one() {
    let content = read("a.csv", b"a,b\n1,2\n3\n4,5,6\n7,8\n", &Options::default()).unwrap();
    assert_eq!(content.rows[1], Err("1 cells for 2 columns".to_owned()));
    assert_eq!(content.rows[3], Ok(row! { "a" => 7, "b" => 8 }));
}

#[test]
fn a_missing_closing_quote_is_reported() {
    let text = format!("a\n\"{}", "x".repeat(2 * streamtable_wire::MAX_LINE_BYTES + 100_000));
    let error = read("a.csv", text.as_bytes(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("is a closing quote missing?"), "{error}");
}

#[test]
fn columns_of_an_export_are_assigned_anew() {
    let text = b"{\"_position\":0,\"_writer\":\"w\",\"_line\":0,\"a\":1}\n";
    let notes = check("a.jsonl", text, &[row! { "a" => 1 }]);
    assert_eq!(notes.len(), 1);
}

#[test]
fn columns_are_left_out_on_request() {
    let options = Options { skip: vec!["b".to_owned()], ..Options::default() };
    let content = read("a.csv", b"a,b\n1,2\n", &options).unwrap();
    assert_eq!(content.rows, [Ok(row! { "a" => 1 })]);
}

#[test]
fn arrow_files_and_streams_are_read() {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = RecordBatch::try_from_iter([("a", numbers)]).unwrap();
    let rows = [row! { "a" => 1 }, row! { "a" => Value::Null }];
    let mut file = Vec::new();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut stream = Vec::new();
    let mut writer =
        arrow_ipc::writer::StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut parquet = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for bytes in [file, stream, parquet] {
        check("a", &gzip(&bytes), &rows);
        let format = Input::inspect(&Source::File("/dev/null".into()), &Options::default());
        assert_eq!(format.unwrap().format(), Format::Json);
    }
}

#[test]
fn what_readers_add_is_left_out_and_times_are_kept() {
    let rows = [row! { "loss" => 0.5, "timestamp" => at("2023-11-14T22:13:20.25Z") }];
    let notes = check(
        "a.jsonl",
        b"{\"loss\":0.5,\"_step\":3,\"_runtime\":1,\"_timestamp\":1.70000000025e9}",
        &rows,
    );
    assert_eq!(notes, ["columns that the server assigns anew were left out: _step, _runtime"]);
    let rows = [row! { "timestamp" => "noon", "a" => 1 }];
    let notes = check(
        "a.jsonl",
        br#"{"_timestamp":"2026-01-02T03:04:05.000000Z","timestamp":"noon","a":1}"#,
        &rows,
    );
    assert_eq!(notes.len(), 2);
    assert!(notes[0].starts_with("column \"timestamp\": no instant with a zone"), "{notes:?}");
    assert_eq!(notes[1], "columns that the server assigns anew were left out: _timestamp");
}

#[test]
fn numbers_are_times_on_request() {
    use super::TimeUnit::{Micros, Millis, Nanos, Seconds};
    for (unit, text, expected) in [
        (Seconds, "1788970985", Some("2026-09-09T16:23:05Z")),
        (Seconds, "1788970985.5", Some("2026-09-09T16:23:05.5Z")),
        (Millis, "1788970985123", Some("2026-09-09T16:23:05.123Z")),
        (Micros, "-1", Some("1969-12-31T23:59:59.999999Z")),
        (Nanos, "1999", Some("1970-01-01T00:00:00.000001Z")),
        (Seconds, "1788970985123", None),
        (Millis, "NaN", None),
    ] {
        let options = Options { timestamp: Some(unit), ..Options::default() };
        let text = format!("{{\"timestamp\":{text},\"a\":1}}\n");
        let content = read("a.jsonl", text.as_bytes(), &options).unwrap();
        let row = content.rows[0].as_ref().unwrap();
        match expected {
            Some(expected) => {
                assert_eq!(row["timestamp"], Value::from(at(expected)), "{text}");
                assert_eq!(content.notes, [] as [&str; 0]);
            }
            None => assert_eq!(content.notes.len(), 1, "{text}"),
        }
    }
    let content = read("a.csv", b"timestamp\n1788970985\n1788970986\n", &Options::default());
    let notes = content.unwrap().notes;
    assert!(notes[0].contains("a column like others") && notes[0].contains("--timestamp"));
    assert_eq!(notes.len(), 1, "once: {notes:?}");
}

#[test]
fn lines_of_spools_and_records_of_rejected_rows_are_rows() {
    let line = r#"{"a":[{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":7}],"x":NaN,"_client_id":"w","timestamp":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1500},"_timestamp":1.500001}"#;
    let time = Timestamp::from_millis;
    let rows = [row! { "a" => vec![time(7)], "x" => f64::NAN, "timestamp" => time(1500) }];
    let read = |text: &str| read("a.jsonl", text.as_bytes(), &Options::default()).unwrap().rows;
    let expected = format!("{:?}", rows.clone().map(Ok::<_, String>));
    assert_eq!(format!("{:?}", read(line)), expected);
    let mut quoted = Vec::new();
    streamtable_wire::write_cell(&mut quoted, &Value::from(line));
    let quoted = String::from_utf8(quoted).unwrap();
    let record = format!(r#"{{"writer":"w","line":7,"reason":"no","text":{quoted}}}"#);
    assert_eq!(format!("{:?}", read(&record)), expected);
    let line = line.replace("\"x\":NaN,", "");
    let record = format!(r#"{{"writer":"w","line":7,"reason":"no","row":{line}}}"#);
    assert_eq!(read(&record), [Ok(row! { "a" => vec![time(7)], "timestamp" => time(1500) })]);
    // A row of a user's with the same columns.
    let own = r#"{"writer":"w","line":7,"reason":"no","row":{"a":1}}"#;
    let row = row! { "writer" => "w", "line" => 7, "reason" => "no", "row" => row! { "a" => 1 } };
    assert_eq!(read(own), [Ok(row)]);
}

#[test]
fn marked_columns_hold_what_they_stand_for() {
    use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringViewArray, StructArray};
    use arrow_schema::{Field, Schema};
    use streamtable_wire::CELL_MARK;

    let texts = |texts: &[Option<&str>]| -> ArrayRef {
        Arc::new(StringViewArray::from_iter(texts.iter().copied()))
    };
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, None, None]));
    let part = |name: &str, array: &ArrayRef| {
        (Arc::new(Field::new(name, array.data_type().clone(), true)), Arc::clone(array))
    };
    let mixed: ArrayRef = Arc::new(StructArray::from(vec![
        part("n", &numbers),
        part("s", &texts(&[None, Some("[1]"), None, None])),
        part("json", &texts(&[None, None, Some("[NaN]"), None])),
    ]));
    let json = texts(&[Some("{\"a\":[1]}"), Some("no JSON"), None, Some("[]")]);
    let columns = [
        ("mixed", "mixed", mixed.clone()),
        ("json", "json", json),
        ("nested", "nested", mixed.clone()),
        ("own", "", mixed),
    ];
    let fields = columns.iter().map(|(name, mark, array)| {
        let field = Field::new(*name, array.data_type().clone(), true);
        field.with_metadata([(CELL_MARK.to_owned(), (*mark).to_owned())].into())
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(.., array)| Arc::clone(array)).collect();
    let batch = RecordBatch::try_new(schema, arrays).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let rows = read("a.parquet", &bytes, &Options::default()).unwrap().rows;
    let cells = |name: &str| -> Vec<String> {
        rows.iter().map(|row| format!("{:?}", row.as_ref().unwrap()[name])).collect()
    };
    assert_eq!(cells("mixed"), ["0.5", "\"[1]\"", "[NaN]", "null"]);
    assert_eq!(cells("json"), ["{\"a\": [1]}", "\"no JSON\"", "null", "[]"]);
    // A list or struct as such: the fields that are null are absent.
    assert_eq!(
        cells("nested"),
        ["{\"n\": 0.5}", "{\"s\": \"[1]\"}", "{\"json\": \"[NaN]\"}", "{}"]
    );
    assert_eq!(cells("own")[0], "{\"n\": 0.5, \"s\": null, \"json\": null}");
}

#[test]
fn media_are_found_next_to_the_rows() {
    use streamtable_schema::{Media, MediaKind};
    let cell = r#"{"_type":"image-file","path":"media/a.png","format":"png","caption":"c","width":2,"height":3}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let read = || {
        let input = Input::inspect(&Source::File(path.clone()), &Options::default()).unwrap();
        let (mut rows, mut notes) = (Vec::new(), Vec::new());
        let mut sink = |item| {
            match item {
                Item::Row(_, row) => rows.push(row.unwrap()),
                Item::Note(note) => notes.push(note.to_string()),
            }
            true
        };
        input.read(&Arc::default(), &mut sink).unwrap();
        (rows, notes)
    };
    std::fs::write(&path, format!("{{\"a\":[{cell}],\"b\":{cell}}}\n")).unwrap();
    let (rows, notes) = read();
    assert!(matches!(&rows[0]["b"], Value::Media(media) if media.dimensions() == Some((2, 3))));
    assert_eq!(notes.len(), 1);
    std::fs::create_dir(folder.path().join("media")).unwrap();
    std::fs::write(folder.path().join("media/a.png"), b"png").unwrap();
    let (rows, notes) = read();
    let file = Media::from_path(MediaKind::Image, folder.path().join("media/a.png")).unwrap();
    let file = Value::from(file.with_caption("c"));
    assert_eq!(rows, [row! { "a" => Value::List(vec![file.clone()]), "b" => file }]);
    assert_eq!(notes, [] as [&str; 0]);
    std::fs::write(&path, format!("{{\"b\":{}}}\n", cell.replace("media/a", "../media/a")))
        .unwrap();
    let rows = format!("{:?}", read().0);
    assert!(!rows.contains("Path"), "a path outside of the folder is followed: {rows}");
}
