//! Golden bytes of rows with every kind of value.

use streamtable_schema::{
    Media, MediaError, MediaKind, SchemaError, StoredFile, Timestamp, Type, row,
};

use crate::strategies::{place, png};
use crate::{HistoryLine, Logged, RowSink, write_row};

struct Sink(String);

impl RowSink for Sink {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.0 += &format!("{column}: {ty}\n");
        Ok(())
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        Ok(place(media))
    }
}

#[test]
fn every_kind_of_value() {
    let stored = StoredFile { path: "media/videos/v.mp4".into(), sha256: None, size: None };
    let row = row! {
        "null" => (),
        "bool" => true,
        "int" => i64::MIN,
        "float" => 0.1,
        "whole" => 2.0,
        "huge" => f64::MAX,
        "tiny" => 5e-324,
        "odd" => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0],
        "text" => "é \"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}😀",
        "instant" => Timestamp::from_millis(1_704_164_645_678),
        "instant_us" => Timestamp::from_micros(1_704_164_645_678_901),
        "before" => Timestamp::from_micros(-1),
        "first" => Timestamp::from_micros(i64::MIN),
        "last" => Timestamp::from_micros(i64::MAX),
        "image" => Media::image(png(5, 3)).unwrap().with_caption("a \"cat\""),
        "audio" => Media::audio(&b"RIFF"[..], "wav").unwrap(),
        "video" => Media::stored(MediaKind::Video, "mp4", None, stored).unwrap(),
        "html" => Media::html("<p>"),
        "markdown" => Media::markdown("**hot**"),
        "list" => vec![Some(1.5), None],
        "empty" => Vec::<i64>::new(),
        "struct" => row! { "z" => 1, "a" => row! {}, "" => [row! { "_step" => 1 }] },
        "" => "no name",
        "a/b.c d" => "odd name",
        "_type" => "image-file",
    };
    let logged = Logged {
        writer: "0b0e7a1c-3f43-4c05-9d0c-5f8f5b7c8a55",
        at: Timestamp::from_micros(1_704_164_645_678_901),
    };
    let (mut line, mut sink) = (Vec::new(), Sink(String::new()));
    write_row(&row, logged, &mut line, &mut sink).unwrap();
    let line = String::from_utf8(line).unwrap();
    insta::assert_snapshot!("every_kind_of_value", line);
    insta::assert_snapshot!("types_of_every_kind_of_value", sink.0);
    assert_eq!(HistoryLine::parse(&line).unwrap().logged_at, Some(logged.at));
}

#[test]
fn the_time_of_logging() {
    #[track_caller]
    fn check(micros: i64, end: &str) {
        let logged = Logged { writer: "w", at: Timestamp::from_micros(micros) };
        let mut line = Vec::new();
        let row = row! { "timestamp" => "mine" };
        write_row(&row, logged, &mut line, &mut Sink(String::new())).unwrap();
        let line = String::from_utf8(line).unwrap();
        let expected = format!(r#"{{"timestamp":"mine","_client_id":"w","_timestamp":{end}}}"#);
        assert_eq!(line, expected);
    }
    check(0, "0.000000");
    check(1, "0.000001");
    check(-1, "-0.000001");
    check(-1_500_000, "-1.500000");
    check(1_704_164_645_678_901, "1704164645.678901");
    check(i64::MAX, "9223372036854.775807");
    check(i64::MIN, "-9223372036854.775808");
}

#[test]
fn the_timestamp_that_is_added() {
    #[track_caller]
    fn check(micros: i64, cell: &str) {
        let logged = Logged { writer: "w\"", at: Timestamp::from_micros(micros) };
        let (mut line, mut sink) = (Vec::new(), Sink(String::new()));
        write_row(&row! {}, logged, &mut line, &mut sink).unwrap();
        let line = String::from_utf8(line).unwrap();
        let start =
            r#"{"_client_id":"w\"","timestamp":{"_type":"_wt_::{\"type\": \"timestamp\"}","#;
        assert_eq!(line.strip_prefix(start).unwrap().split_once('}').unwrap().0, cell);
        assert_eq!(sink.0, "", "what is added is no cell of the row");
    }
    check(0, r#""_val":0"#);
    check(1999, r#""_val":1"#);
    check(-1, r#""_val":-1"#);
    check(i64::MAX, r#""_val":9223372036854775"#);
}
