//! Golden bytes, laws, and bytes that no writer writes.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use streamtable_schema::{Media, MediaKind, Row, StoredFile, Timestamp, Value, row};

use super::*;
use crate::strategies::{place, png, row, rows_at_rest};
use crate::{HistoryLine, Logged, MAX_LINE_BYTES, RowSink, write_row};

fn line_of(row: Row) -> Vec<u8> {
    let mut out = Vec::new();
    write_line(&HistoryLine { row, ..HistoryLine::default() }, &mut out).unwrap();
    out
}

fn read(line: &[u8]) -> Result<HistoryLine, BinaryError> {
    LineReader::default().read(line)
}

/// Writes printable bytes as themselves, and others in hexadecimal digits.
fn dump(bytes: &[u8]) -> String {
    let chunk = |chunk: &[u8]| {
        let byte = |&byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' => format!(" {} ", char::from(byte)),
            _ => format!("{byte:02x} "),
        };
        chunk.iter().map(byte).collect::<String>().trim_end().to_owned()
    };
    bytes.chunks(24).map(chunk).collect::<Vec<_>>().join("\n")
}

fn every_kind() -> Row {
    let stored = StoredFile { path: "media/videos/v.mp4".into(), sha256: None, size: None };
    let odd = StoredFile { path: "a".into(), sha256: Some("X".into()), size: Some(300) };
    row! {
        "null" => (),
        "yes" => true,
        "int" => -2,
        "wide" => i128::from(i64::MAX) + 1,
        "float" => 0.5,
        "text" => "é",
        "time" => Timestamp::from_micros(1),
        "image" => place(&Media::image(png(5, 3)).unwrap().with_caption("cat")).0,
        "video" => Media::stored(MediaKind::Video, "mp4", None, stored).unwrap(),
        "odd" => Media::stored(MediaKind::Audio, "wav", None, odd).unwrap(),
        "ints" => vec![1, 2],
        "texts" => vec!["a", ""],
        "empty" => Vec::<i64>::new(),
        "mixed" => Value::List(vec![1.into(), Value::Null, "x".into()]),
        "nulls" => Value::List(vec![Value::Null; 2]),
        "lists" => Value::List(vec![vec![1].into(), vec![2, 3].into()]),
        "structs" => Value::List(vec![row! { "a" => true }.into(), row! { "a" => false }.into()]),
        "struct" => row! { "z" => 1.0, "a" => row! {} },
    }
}

#[test]
fn every_kind_of_value() {
    let line = line_of(every_kind());
    insta::assert_snapshot!("every_kind_of_value", dump(&line));
    assert_eq!(read(&line).unwrap().row, every_kind());
}

#[test]
fn a_body_has_each_shape_once() {
    let mut body = BodyWriter::default();
    let at = Timestamp::from_micros(1_704_164_645_678_901);
    for row in [row! { "a" => 1 }, row! { "a" => 2 }, row! { "a" => () }, row! { "a" => 3 }] {
        let line = HistoryLine {
            row: row.with("timestamp", Timestamp::from_millis(at.as_millis())),
            logged_at: Some(at),
            step: Some(7),
            runtime: Some(0.25),
            writer: None,
        };
        let mut bytes = Vec::new();
        write_line(&line, &mut bytes).unwrap();
        assert_eq!(read(&bytes), Ok(line));
        body.push(&bytes).unwrap();
    }
    insta::assert_snapshot!("a_body_has_each_shape_once", dump(&body.into_bytes()));
}

#[track_caller]
fn check(line: &[u8], expected: BinaryError) {
    assert_eq!(read(line), Err(expected), "{}", dump(line));
}

/// Makes a line of a shape and values.
fn shaped(shape: &[u8], values: &[u8]) -> Vec<u8> {
    let mut line = vec![MARK];
    input::write_varint(&mut line, shape.len() as u64);
    [&line, shape, values].concat()
}

#[test]
fn invalid_lines() {
    use BinaryError::*;
    let unknown = |number| Unknown { number };
    check(b"", Version);
    check(b"{}", Version);
    check(b"\x02\x02\0\0", Version);
    check(b"\x01", Incomplete);
    check(b"\x01\x02\0", Incomplete);
    check(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Incomplete);
    check(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", unknown(2));
    check(b"\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", unknown(0x80));
    check(&shaped(b"\0", b"\0"), Incomplete);
    check(&shaped(b"\0\0x", b""), Extra);
    check(&shaped(b"\0\0", b"x"), Extra);
    check(&shaped(b"\x10\0", b""), unknown(16));
    check(&shaped(b"\x02\0", b""), unknown(2));
    check(&shaped(b"\x01\0", b"1234567"), Incomplete);
}

#[test]
fn invalid_shapes_and_values() {
    use BinaryError::*;
    let unknown = |number| Unknown { number };
    let duplicate = |name: &str| Duplicate { name: name.into() };
    #[track_caller]
    fn check_column(kind: &[u8], values: &[u8], expected: BinaryError) {
        check(&shaped(&[b"\0\x01\x01a", kind].concat(), values), expected);
    }
    assert!(read(&shaped(b"\0\x01\x06_value\x01", b"\0")).is_ok());
    check_column(b"", b"", Incomplete);
    check_column(b"\x0b", b"", unknown(11));
    check_column(b"\x01", b"\x02", unknown(2));
    check_column(b"\x02", b"1234567", Incomplete);
    check_column(b"\x04", b"\x01\xff", Utf8);
    check_column(b"\x04", b"\x02x", Incomplete);
    check_column(b"\x06", b"\x05\0", unknown(5));
    check_column(b"\x06", b"\0\x20", unknown(32));
    check_column(b"\x07\x02", b"\xff\xff\xff\xff\x7f", Incomplete);
    check_column(b"\x08", b"\x02\0\x0b", unknown(11));
    check_column(b"\x09\x02\x01b\0\x01b\0", b"", duplicate("b"));
    check(&shaped(b"\0\x01\x01\xff\x01", b"\x01"), Utf8);
    check(&shaped(b"\0\x02\x01a\0\x01a\0", b""), duplicate("a"));
    check(&shaped(b"\x03\x01\x09timestamp\0", &[0; 8]), duplicate("timestamp"));
    check(&shaped(b"\0\x01\x05_step\x02", &[0; 8]), Reserved { name: "_step".into() });
    // Any number of elements without bytes, and few bytes for many names.
    check_column(b"\x07\0", b"\x7f", Repetition);
    check_column(b"\x07\x09\0", b"\x7f", Repetition);
    let name = "name".repeat(20);
    let kind = [&b"\x07\x09\x01\x50"[..], name.as_bytes(), b"\x01"].concat();
    check_column(&kind, b"\x02\0\0", Repetition);
    let items = vec![Value::from(row! { name => true }); 2];
    let line = line_of(row! { "a" => Value::List(items.clone()) });
    assert_eq!(line[6], shape::tag::MIXED);
    assert_eq!(read(&line).unwrap().row, row! { "a" => Value::List(items) });
}

#[test]
fn invalid_cells() {
    let image = |change: fn(&mut StoredFile)| {
        let mut file = StoredFile { path: "a/b".into(), sha256: None, size: None };
        change(&mut file);
        let media = Media::stored(MediaKind::Image, "png", None, file).unwrap();
        read(&line_of(row! { "a" => media }))
    };
    assert!(image(|_| ()).is_ok());
    for path in ["", "/a", "a//b", "../a", "a/..", "a\\b", "a\0"] {
        let mut file = StoredFile { path: path.into(), sha256: None, size: None };
        let media = Media::stored(MediaKind::Image, "png", None, file.clone()).unwrap();
        let error = read(&line_of(row! { "a" => media })).unwrap_err();
        assert!(matches!(error, BinaryError::Media { .. }), "{path:?}");
        file.path.clear();
    }
    let unstored = HistoryLine { row: row! { "a" => Media::html("x") }, ..HistoryLine::default() };
    let mut out = b"before".to_vec();
    assert!(write_line(&unstored, &mut out).is_err());
    assert_eq!(out, b"before");
    let text = "image-file".to_owned();
    let cell = line_of(row! { "a" => row! { "_type" => "image-file" } });
    check(&cell, BinaryError::ReservedType { text });
}

#[test]
fn nesting_has_a_limit() {
    let deep = |levels: usize, leaf: Value| {
        let value = (0..levels).fold(leaf, |inner, _| Value::List(vec![inner]));
        read(&line_of(row! { "a" => value.clone() })).map(|line| line.row == row! { "a" => value })
    };
    for leaf in [Value::Null, 1.into(), row! {}.into()] {
        assert_eq!(deep(63, leaf.clone()), Ok(true), "{leaf:?}");
        assert_eq!(deep(100, leaf.clone()), Err(BinaryError::TooDeep), "{leaf:?}");
    }
    assert_eq!(deep(64, 1.into()), Ok(true));
    assert_eq!(deep(65, 1.into()), Err(BinaryError::TooDeep));
    // Neither does writing take time that doubles with each level.
    let (twice, mixed) = (|inner: Value| Value::List(vec![inner, Value::Null]), Value::from(1));
    let nested = (0..64).fold(mixed, |inner, _| twice(inner));
    assert!(read(&line_of(row! { "a" => nested })).is_ok());
}

/// Splits a body that arrives in pieces of `step` bytes.
fn split(body: &[u8], step: usize) -> (Vec<Piece>, Result<(), SplitError>) {
    let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
    let mut result = Ok(());
    for chunk in body.chunks(step) {
        splitter.push(Bytes::copy_from_slice(chunk));
        result = result.and_then(|()| {
            while let Some(piece) = splitter.next_piece()? {
                pieces.push(piece);
            }
            Ok(())
        });
    }
    let result = result.and_then(|()| splitter.finish());
    (pieces, result)
}

/// Each line gets a copy of its shape, so a short body can expand to many bytes.
#[test]
fn short_rows_of_a_long_shape_are_few() {
    let row: Row =
        (0..10_000).map(|i| (format!("a_long_name_of_a_column_{i}"), Value::Null)).collect();
    let (mut body, line) = (BodyWriter::default(), line_of(row));
    (0..2_000).for_each(|_| body.push(&line).unwrap());
    let mut splitter = Splitter::default();
    splitter.push(body.into_bytes().into());
    let mut bytes = 0;
    let error = loop {
        match splitter.next_piece() {
            Ok(Some(Piece::Line(line))) => bytes += line.len(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, SplitError::Repetition);
    assert!(bytes < 300 << 20, "{bytes}");
}

#[test]
fn invalid_bodies() {
    #[track_caller]
    fn check(body: &[u8], pieces: &[&[u8]], expected: Result<(), SplitError>) {
        for step in [1, 3, 1000] {
            let (found, result) = split(body, step);
            let lines = found.iter().map(|piece| match piece {
                Piece::Line(line) => &line[..],
                Piece::TooLong => b"too long",
                Piece::NoShape => b"no shape",
            });
            assert_eq!(lines.collect::<Vec<_>>(), pieces);
            assert_eq!(result, expected);
        }
    }
    check(b"", &[], Err(SplitError::Incomplete));
    check(b"STr", &[], Err(SplitError::Incomplete));
    check(b"{\"a\":1}", &[], Err(SplitError::Version));
    check(b"STr2", &[], Err(SplitError::Version));
    check(b"STr1", &[], Ok(()));
    let empty = b"\x01\x02\0\0";
    check(b"STr1\x05\0\0\x02\0", &[empty], Ok(()));
    check(b"STr1\x05\0\0\x02\0\x02\x01\0\x02\0", &[empty, b"no shape", b"no shape", empty], Ok(()));
    check(b"STr1\x05\0\0\x02\0\x01\x02\0", &[empty, b"no shape"], Ok(()));
    check(b"STr1\x05\0\0\x02\0\x02", &[empty], Err(SplitError::Incomplete));
    check(b"STr1\x05\0", &[], Err(SplitError::Incomplete));
    check(b"STr1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", &[], Err(SplitError::Length));
}

#[test]
fn long_rows_are_skipped() {
    let (mut body, mut header) = (b"STr1\x05\0\0".to_vec(), Vec::new());
    input::write_varint(&mut header, (MAX_LINE_BYTES as u64 + 1) << 1);
    body.extend_from_slice(&header);
    body.resize(body.len() + MAX_LINE_BYTES + 1, 0);
    body.extend_from_slice(b"\x02\0");
    let end = Piece::Line(b"\x01\x02\0\0".to_vec().into());
    assert_eq!(split(&body, 1 << 20), (vec![Piece::TooLong, end], Ok(())));

    // A short row of a long shape is a long line.
    let shape = vec![0; MAX_LINE_BYTES - 10];
    let mut body = b"STr1".to_vec();
    input::write_varint(&mut body, (shape.len() as u64) << 1 | 1);
    body.extend_from_slice(&shape);
    body.extend_from_slice(b"\x02\0\x22\0");
    body.resize(body.len() + 16, 0);
    let (pieces, result) = split(&body, 1 << 20);
    assert_eq!((pieces.len(), &pieces[1], result), (2, &Piece::TooLong, Ok(())));
    body.extend_from_within(4..);
    assert_eq!(split(&body, 1 << 20).1, Err(SplitError::Shapes));
}

/// A writer of rows with ever new columns starts over before the reader refuses them.
#[test]
fn many_shapes() {
    let lines: Vec<_> = (0..3000).map(|n| line_of(row! { format!("{n:0500}") => n })).collect();
    let mut body = BodyWriter::default();
    for line in lines.iter().chain(&lines) {
        body.push(line).unwrap();
    }
    let (pieces, result) = split(&body.into_bytes(), 4096);
    let lines = lines.iter().chain(&lines).map(|line| Piece::Line(line.clone().into()));
    assert!(result.is_ok() && pieces.into_iter().eq(lines));
}

struct Stored;

impl RowSink for Stored {
    fn cell(
        &mut self,
        _: &str,
        _: &streamtable_schema::Type,
    ) -> Result<(), streamtable_schema::SchemaError> {
        Ok(())
    }

    fn media(
        &mut self,
        media: &Media,
    ) -> Result<(Media, StoredFile), streamtable_schema::MediaError> {
        Ok(place(media))
    }
}

fn line() -> impl Strategy<Value = HistoryLine> {
    let step = any::<Option<i64>>();
    let runtime = proptest::option::of(proptest::num::f64::NORMAL);
    let at = any::<Option<i64>>();
    (row(), at, step, runtime).prop_map(|(row, at, step, runtime)| HistoryLine {
        row: rows_at_rest(row),
        writer: None,
        logged_at: at.map(Timestamp::from_micros),
        step,
        runtime,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_line_reads_back(line in line()) {
        let mut bytes = Vec::new();
        write_line(&line, &mut bytes).unwrap();
        prop_assert!(is_binary(&bytes));
        prop_assert_eq!(read(&bytes), Ok(line));
    }

    /// `-0.0` equals `0.0`, and every NaN equals every other.
    #[test]
    fn floats_keep_their_bits(bits in any::<u64>()) {
        let line = read(&line_of(row! { "x" => f64::from_bits(bits) })).unwrap();
        let Some(Value::Float(x)) = line.row.get("x") else { panic!("{line:?}") };
        prop_assert_eq!(x.to_bits(), bits);
    }

    /// A row is the same whether it is sent as JSON or as bytes. Until the year 2242, JSON has the
    /// exact time of logging.
    #[test]
    fn a_binary_row_equals_the_json_row(row in row(), at in 0..8_583_000_000_000_000_i64) {
        let logged = Logged { writer: "w", at: Timestamp::from_micros(at) };
        let mut json = Vec::new();
        write_row(&row, logged, &mut json, &mut Stored).unwrap();
        let json = HistoryLine::parse(std::str::from_utf8(&json).unwrap()).unwrap();
        let mut row = rows_at_rest(row);
        if row.get("timestamp").is_none() {
            row.push("timestamp", Timestamp::from_millis(logged.at.as_millis()));
        }
        let line = HistoryLine { row, logged_at: Some(logged.at), ..HistoryLine::default() };
        let mut bytes = Vec::new();
        write_line(&line, &mut bytes).unwrap();
        prop_assert_eq!(read(&bytes), Ok(HistoryLine { writer: None, ..json }));
    }

    #[test]
    fn a_body_has_the_lines(lines in vec(line(), 0..12), again in 0..3_usize, step in 1..400_usize) {
        let (mut body, mut sent) = (BodyWriter::default(), Vec::new());
        for line in (0..=again).flat_map(|_| &lines) {
            let mut bytes = Vec::new();
            write_line(line, &mut bytes).unwrap();
            body.push(&bytes).unwrap();
            sent.push(Piece::Line(bytes.into()));
        }
        prop_assert_eq!(split(&body.into_bytes(), step), (sent, Ok(())));
    }

    /// The reader that keeps a shape reads each line as a new one does, whatever came before.
    #[test]
    fn a_kept_shape_changes_nothing(
        lines in vec((line(), any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..12),
    ) {
        let mut kept = LineReader::default();
        for (line, place, byte, what) in lines {
            let mut bytes = Vec::new();
            write_line(&line, &mut bytes).unwrap();
            let place = place.index(bytes.len());
            match what {
                0 => bytes[place] = byte,
                1 => bytes.truncate(place),
                2 => bytes.insert(place, byte),
                _ => {}
            }
            prop_assert_eq!(kept.read(&bytes), read(&bytes));
        }
    }

    #[test]
    fn any_bytes_give_rows_or_errors(bytes in vec(any::<u8>(), 0..200), small in vec(0..12_u8, 0..60)) {
        for bytes in [&bytes, &small] {
            for start in [&b"\x01"[..], b"\x01\x20\0\x03", b"\x01\x08\0\x01\x01a\x08"] {
                let _ = read(&[start, bytes].concat());
            }
            let whole = split(&[&b"STr1"[..], bytes].concat(), 1000);
            prop_assert_eq!(split(&[&b"STr1"[..], bytes].concat(), 1), whole);
        }
    }

    /// A line that was read reads back after it is written.
    #[test]
    fn what_is_read_reads_back(small in vec(0..12_u8, 0..60)) {
        if let Ok(line) = read(&[&b"\x01\x09\0\x01\x01a\x08\x01\x01b"[..], &small].concat()) {
            let mut bytes = Vec::new();
            write_line(&line, &mut bytes).unwrap();
            prop_assert_eq!(read(&bytes), Ok(line));
        }
    }
}
