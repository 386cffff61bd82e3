use streamtable_schema::{Media, MediaKind, Row, StoredFile, Timestamp, Value, row};

use super::HistoryLine;

const NONE: Option<(u32, u32)> = None;

/// Checks the cells of a line without protocol fields.
#[track_caller]
fn check(line: &str, expected: Row) {
    let read = HistoryLine::parse(line);
    assert_eq!(read, Ok(HistoryLine { row: expected, ..HistoryLine::default() }));
}

/// Checks the value of a cell.
#[track_caller]
fn check_cell(json: &str, expected: impl Into<Value>) {
    check(&format!(r#"{{"c":{json}}}"#), row! { "c" => expected.into() });
}

/// Checks that JSON which resembles a cell stays a struct.
#[track_caller]
fn stays(json: &str) {
    check_cell(json, crate::json::parse(json).unwrap());
}

#[track_caller]
fn refuses(line: &str, message: &str) {
    assert_eq!(HistoryLine::parse(line).unwrap_err().to_string(), message);
}

fn stored(kind: MediaKind, format: &str, dimensions: Option<(u32, u32)>, path: &str) -> Media {
    let file = StoredFile { path: path.to_owned(), sha256: None, size: None };
    Media::stored(kind, format, dimensions, file).unwrap()
}

fn image(path: &str) -> Media {
    stored(MediaKind::Image, "png", NONE, path)
}

/// As Python's json module writes it.
#[test]
fn rows_of_the_legacy_client() {
    let line = r#"{"": null, "a/b.c": true, "x y": "caf\u00e9 \ud83d\ude00", "n": 2.0, "e": 1e-07, "nan": NaN, "inf": [Infinity, -Infinity], "big": 9223372036854775808, "3": {"deep": [1, [], {}]}, "_client_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "timestamp": {"_type": "_wt_::{\"type\": \"timestamp\"}", "_val": 1704164645678}, "_timestamp": 1704164645.678901}"#;
    let deep: Value = [Value::from(1), Value::List(vec![]), Row::new().into()].into();
    let expected = HistoryLine {
        row: row! {
            "" => (),
            "a/b.c" => true,
            "x y" => "café 😀",
            "n" => 2.0,
            "e" => 1e-7,
            "nan" => f64::NAN,
            "inf" => [f64::INFINITY, f64::NEG_INFINITY],
            "big" => 9_223_372_036_854_775_808_i128,
            "3" => row! { "deep" => deep },
            "timestamp" => Timestamp::from_millis(1_704_164_645_678),
        },
        writer: Some("7c9e6679-7425-40de-944b-e07fc1f90ae7".into()),
        logged_at: Some(Timestamp::from_micros(1_704_164_645_678_901)),
        step: None,
        runtime: None,
    };
    assert_eq!(HistoryLine::parse(line), Ok(expected));
}

/// As Go's encoder writes it: raw UTF-8, whole floats without a decimal point, two-digit exponents.
#[test]
fn rows_of_the_present_sdk() {
    let line = r#"{"loss":1,"é":-0,"big":1.7953500882148914e+09,"tiny":5e-324,"nan":NaN,"inf":-Infinity,"nested":{"lr":1e-05},"_timestamp":1.7041646456789e+09,"_runtime":3,"_step":12}"#;
    let read = HistoryLine::parse(line).unwrap();
    let expected = HistoryLine {
        row: row! {
            "loss" => 1,
            "é" => -0.0,
            "big" => 1_795_350_088.214_891_4,
            "tiny" => 5e-324,
            "nan" => f64::NAN,
            "inf" => f64::NEG_INFINITY,
            "nested" => row! { "lr" => 1e-5 },
        },
        writer: None,
        logged_at: Some(Timestamp::from_micros(1_704_164_645_678_900)),
        step: Some(12),
        runtime: Some(3.0),
    };
    assert_eq!(read, expected);
}

#[test]
fn protocol_fields() {
    #[track_caller]
    fn check(line: &str, expected: HistoryLine) {
        assert_eq!(HistoryLine::parse(line), Ok(expected));
    }
    let none = HistoryLine::default;
    let at = |micros| HistoryLine { logged_at: Some(Timestamp::from_micros(micros)), ..none() };
    check("{}", none());
    check(r#"{"_timestamp":0}"#, at(0));
    check(r#"{"_timestamp":-0.000001}"#, at(-1));
    check(r#"{"_timestamp":-1.5}"#, at(-1_500_000));
    check(r#"{"_timestamp":-62135596800.000001}"#, at(-62_135_596_800_000_000));
    check(r#"{"_timestamp":8589934591.999999}"#, at(8_589_934_591_999_999));
    check(r#"{"_step":-1}"#, HistoryLine { step: Some(-1), ..none() });
    check(r#"{"_runtime":7}"#, HistoryLine { runtime: Some(7.0), ..none() });

    // Protocol fields of the wrong type are columns of the user.
    let own = |row| HistoryLine { row, ..none() };
    check(r#"{"_timestamp":"noon"}"#, own(row! { "_timestamp" => "noon" }));
    check(r#"{"_timestamp":NaN}"#, own(row! { "_timestamp" => f64::NAN }));
    check(r#"{"_timestamp":1e300}"#, own(row! { "_timestamp" => 1e300 }));
    check(r#"{"_timestamp":-9.3e12}"#, own(row! { "_timestamp" => -9.3e12 }));
    check(r#"{"_client_id":7}"#, own(row! { "_client_id" => 7 }));
    check(r#"{"_step":"a"}"#, own(row! { "_step" => "a" }));
    check(r#"{"_step":1.5}"#, own(row! { "_step" => 1.5 }));
    check(r#"{"_step":null}"#, own(row! { "_step" => () }));
    check(r#"{"_step":[1]}"#, own(row! { "_step" => [1] }));
    let beyond = 9_223_372_036_854_775_808_i128;
    check(r#"{"_step":9223372036854775808}"#, own(row! { "_step" => beyond }));
    check(r#"{"_runtime":NaN}"#, own(row! { "_runtime" => f64::NAN }));
    check(r#"{"_runtime":{}}"#, own(row! { "_runtime" => Row::new() }));
    check(
        r#"{"_type":"image-file","path":"a.png"}"#,
        own(row! {
            "_type" => "image-file",
            "path" => "a.png",
        }),
    );
    check(r#"{"timestamp":"noon"}"#, own(row! { "timestamp" => "noon" }));
    check(r#"{"_wandb":true,"a":1}"#, own(row! { "_wandb" => true, "a" => 1 }));

    // Only top-level fields are protocol fields.
    let inner = row! { "_client_id" => "x", "_step" => 1, "_timestamp" => 2, "_runtime" => 3 };
    let line = r#"{"c":{"_client_id":"x","_step":1,"_timestamp":2,"_runtime":3}}"#;
    check(line, own(row! { "c" => inner }));

    // The last duplicate counts, as everywhere.
    check(
        r#"{"_step":1,"a":1,"_step":2,"a":2}"#,
        HistoryLine { step: Some(2), ..own(row! { "a" => 2 }) },
    );
}

#[test]
fn refusals() {
    refuses("", "at byte 0: expected a value");
    refuses("[]", "at byte 0: expected an object");
    refuses("null", "at byte 0: expected an object");
    refuses(r#"{"a":1"#, "at byte 6: expected a comma or the end of the object");
    refuses(r#"{"a":1} {}"#, "at byte 8: expected the end");
    refuses(&r#"{"a":"#.repeat(1000), "at byte 800: expected a smaller nesting depth");
}

#[test]
fn numbers() {
    check_cell("170141183460469231731687303715884105727", i128::MAX);
    check_cell("-170141183460469231731687303715884105728", i128::MIN);
    check_cell("170141183460469231731687303715884105728", 2_f64.powi(127));
    check_cell(&"9".repeat(400), f64::INFINITY);
    check_cell("1.7976931348623157e308", f64::MAX);
    check_cell("1e400", f64::INFINITY);
    check_cell("2.2250738585072014e-308", f64::MIN_POSITIVE);
    check_cell("4.9406564584124654e-324", 5e-324);
    check_cell("1e-400", 0.0);
    check_cell("1E+2", 100.0);
}

#[test]
fn instants() {
    let cell = |rest: &str| format!(r#"{{"_type":"_wt_::{{\"type\": \"timestamp\"}}",{rest}}}"#);
    #[track_caller]
    fn is(json: &str, micros: i64) {
        check_cell(json, Timestamp::from_micros(micros));
    }
    is(&cell(r#""_val":1704164645678"#), 1_704_164_645_678_000);
    is(&cell(r#""_val":-1"#), -1000);
    is(&cell(r#""_val":1704164645678,"_micros":901"#), 1_704_164_645_678_901);
    is(&cell(r#""_val":-1,"_micros":999"#), -1);
    is(&cell(r#""_val":1.704164645678e+12"#), 1_704_164_645_678_000);
    is(&cell(r#""_val":0.5"#), 500);
    is(&cell(r#""_val":9223372036854775,"_micros":807"#), i64::MAX);
    is(&cell(r#""_val":-9223372036854776,"_micros":192"#), i64::MIN);
    // Without spaces, in another order, and as a bare name.
    is(r#"{"_val":7,"_type":"_wt_::{\"type\":\"timestamp\"}"}"#, 7000);
    is(r#"{"_type":"_wt_::\"timestamp\"","_val":7}"#, 7000);
    is(r#"{"_type":"\u005fwt_::\"timestamp\"","_v\u0061l":7}"#, 7000);

    stays(&cell(r#""_val":null"#));
    stays(&cell(r#""_val":"2024-01-02""#));
    stays(&cell(r#""_val":NaN"#));
    stays(&cell(r#""_val":Infinity"#));
    stays(&cell(r#""_val":9223372036854776"#));
    stays(&cell(r#""_val":170141183460469231731687303715884105727"#));
    stays(&cell(r#""_val":1,"_micros":170141183460469231731687303715884105727"#));
    stays(&cell(r#""_val":1,"_micros":0.5"#));
    stays(&cell(r#""_val":1,"note":"mine""#));
    stays(&cell(r#""note":"mine""#));
}

#[test]
fn cells_that_stay_structs() {
    // Only the exact cell that weave writes for unsupported values is null.
    check_cell(r#"{"_type":"unknown","_val":null}"#, ());
    stays(r#"{"_type":"unknown","_val":1}"#);
    stays(r#"{"_type":"unknown","_val":null,"a":1}"#);
    stays(r#"{"_type":"unknown"}"#);

    stays(r#"{"_type":"_wt_::{\"type\": \"timedelta\"}","_val":"0"}"#);
    stays(
        r#"{"_type":"_wt_::{\"type\": \"WeaveNDArray\", \"dtype\": \"float32\", \"shape\": [2, 3]}","_val":"0"}"#,
    );
    stays(r#"{"_type":"_wt_::{\"type\": \"Markdown\"}","_val":"wandb-run-file://e/p/t/0-x"}"#);
    stays(r#"{"_type":"_wt_::{broken","_val":1}"#);
    stays(r#"{"_type":"_wt_::","_val":1}"#);
    stays(r#"{"_type":["_wt_::1"],"_val":1}"#);
    stays(
        r#"{"_type":"table-file","path":"media/table/tab_7_0.table.json","sha256":"ab","size":47,"ncols":2,"nrows":2,"log_mode":"IMMUTABLE","artifact_path":"wandb-client-artifact://x/tab.table.json","_latest_artifact_path":"wandb-client-artifact://y:latest/tab.table.json"}"#,
    );
    stays(
        r#"{"_type":"incremental-table-file","increment_num":2,"previous_increments_paths":["a"]}"#,
    );
    stays(r#"{"_type":"histogram","bins":[0,0.5,1],"values":[3,NaN]}"#);
    stays(r#"{"_type":"mine","_val":1}"#);
}

#[test]
fn objects_are_replaced_by_their_fields() {
    let ty = r#"_wt_::{\"type\": \"LabObj\", \"_base_type\": {\"type\": \"Object\"}, \"_relocatable\": true, \"_is_object\": true, \"a\": \"int\", \"t\": {\"type\": \"timestamp\"}}"#;
    let at = r#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":7}"#;
    check_cell(
        &format!(r#"{{"_type":"{ty}","_val":{{"_type":"LabObj","a":1,"t":{at}}}}}"#),
        row! { "_type" => "LabObj", "a" => 1, "t" => Timestamp::from_millis(7) },
    );
    stays(&format!(r#"{{"_type":"{ty}","_val":{{"_type":"LabObj"}},"note":1}}"#));
}

#[test]
fn images() {
    let sha256 = "0123456789abcdef".repeat(4);
    let sdk = format!(
        r#"{{"_type":"image-file","path":"media/images/img_6_0123456789abcdef0123.png","sha256":"{sha256}","size":69,"format":"png","width":5,"height":3,"caption":"a \"cat\""}}"#
    );
    let file = StoredFile {
        path: "media/images/img_6_0123456789abcdef0123.png".into(),
        sha256: Some(sha256),
        size: Some(69),
    };
    let media = Media::stored(MediaKind::Image, "png", Some((5, 3)), file).unwrap();
    check_cell(&sdk, media.with_caption(r#"a "cat""#));

    let named = |format: &str, path: &str| {
        format!(r#"{{"_type":"image-file","format":"{format}","path":"{path}"}}"#)
    };
    let jpeg = stored(MediaKind::Image, "jpeg", NONE, "a.JPEG");
    check_cell(&named("JPEG", "a.JPEG"), jpeg.clone());
    check_cell(r#"{"_type":"image-file","path":"a.JPEG"}"#, jpeg);
    check_cell(&named("png", "a"), image("a"));
    // Invalid dimensions are dropped, and so are overlays.
    check_cell(r#"{"_type":"image-file","path":"a.png","width":-1,"height":3}"#, image("a.png"));
    check_cell(r#"{"_type":"image-file","path":"a.png","masks":{"m":{}}}"#, image("a.png"));

    stays(&named("svg+xml", "a.svg"));
    stays(&named("", "a.png"));
    stays(r#"{"_type":"image-file","path":"a"}"#);
    stays(r#"{"_type":"image-file","path":1}"#);
    stays(r#"{"_type":"image-file"}"#);
    stays(r#"{"_type":"image-file","path":"a.png","_val":1}"#);
    for path in ["", "/a.png", "a//b.png", "../a.png", "a/../b.png", "./a.png", "a/", r"a\\b.png"] {
        stays(&named("png", path));
    }
    stays(&named("png", "wandb-client-artifact://x/a.png"));
}

#[test]
fn many_images() {
    let expected = [
        stored(MediaKind::Image, "png", Some((2, 3)), "a.png").with_caption("one"),
        stored(MediaKind::Image, "png", Some((2, 3)), "b.png"),
    ];
    check_cell(
        r#"{"_type":"images/separated","count":2,"filenames":["a.png","b.png"],"format":"PNG","width":2,"height":3,"captions":["one",null]}"#,
        expected,
    );
    check_cell(r#"{"_type":"images/separated","filenames":[]}"#, Vec::<Value>::new());
    check_cell(
        r#"{"_type":"images/separated","filenames":["a.png"],"captions":3}"#,
        [image("a.png")],
    );
    stays(r#"{"_type":"images/separated","filenames":["a.png","../b.png"]}"#);
    stays(r#"{"_type":"images/separated","filenames":["a.png",3]}"#);
    stays(r#"{"_type":"images/separated","filenames":"a.png"}"#);
    stays(r#"{"_type":"images/separated","count":2}"#);
}

#[test]
fn other_media() {
    check_cell(
        r#"{"_type":"html-file","path":"media/html/html_11_0.html","sha256":"ab","size":113}"#,
        Media::stored(
            MediaKind::Html,
            "html",
            NONE,
            StoredFile {
                path: "media/html/html_11_0.html".into(),
                sha256: Some("ab".into()),
                size: Some(113),
            },
        )
        .unwrap(),
    );
    check_cell(
        r#"{"_type":"audio-file","path":"media/audio/a.wav","caption":"c"}"#,
        stored(MediaKind::Audio, "wav", NONE, "media/audio/a.wav").with_caption("c"),
    );
    check_cell(
        r#"[{"_type":"video-file","path":"media/videos/v.gif","width":4,"height":2}]"#,
        [stored(MediaKind::Video, "gif", Some((4, 2)), "media/videos/v.gif")],
    );
    check_cell(
        r#"{"in":{"_type":"markdown-file","path":"m.md"}}"#,
        row! { "in" => stored(MediaKind::Markdown, "md", NONE, "m.md") },
    );
}

#[test]
fn images_of_the_legacy_client() {
    let cell = |sides: &str, reference: &str| {
        format!(
            r#"{{"_type":"_wt_::{{\"type\": \"pil_image\"{sides}, \"mode\": {{\"type\": \"const\", \"valType\": \"string\", \"val\": \"RGB\"}}}}","_val":"{reference}"}}"#
        )
    };
    let side = |name: &str, pixels: &str| {
        format!(r#", \"{name}\": {{\"type\": \"const\", \"valType\": \"int\", \"val\": {pixels}}}"#)
    };
    let sides = side("width", "4") + &side("height", "2");
    let uuid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let image = |dimensions, path: &str| stored(MediaKind::Image, "png", dimensions, path);
    let is = |json: &str, media: Media| check_cell(json, media);

    let reference = format!("wandb-run-file://stacey/mesa/my_stream_table/0-{uuid}");
    is(&cell(&sides, &reference), image(Some((4, 2)), &format!("0-{uuid}.png")));
    is(&cell("", &reference), image(NONE, &format!("0-{uuid}.png")));
    is(&cell(&side("width", "4"), &reference), image(NONE, &format!("0-{uuid}.png")));
    let odd = side("width", "-1") + &side("height", "1e9");
    is(&cell(&odd, &reference), image(NONE, &format!("0-{uuid}.png")));
    is(&cell(&sides, "wandb-run-file://e/my project/t/a/b c"), image(Some((4, 2)), "a/b c.png"));

    for reference in [
        "",
        "0",
        "wandb-run-file://",
        "wandb-run-file://e/p/t",
        "wandb-run-file://e/p/t/",
        "wandb-run-file://e/p/t/../0-x",
        "wandb-run-file://e/p/t//0-x",
        "wandb-artifact:///e/p/t:latest/obj",
        "wandb-run-file:///e/p/t/..",
    ] {
        stays(&cell(&sides, reference));
    }
}

/// A cell directly in a row may take the fast path, a cell in a list does not; both must agree.
#[track_caller]
fn reads_alike(cell: &str) {
    let one = HistoryLine::parse(&format!(r#"{{"c":{cell}}}"#)).map(|line| line.row);
    let in_list = HistoryLine::parse(&format!(r#"{{"c":[{cell}]}}"#)).map(|line| line.row);
    let cell = |row: Row| row.get("c").cloned();
    let listed = in_list.map(|row| match cell(row) {
        Some(Value::List(items)) => items.into_iter().next(),
        other => other,
    });
    assert_eq!(one.map(cell).map_err(drop), listed.map_err(drop));
}

#[test]
fn the_fast_path_for_timestamps() {
    let around = [0, 1, 999, 1000, 1_704_164_645_678_901, i64::MAX];
    for at in around.into_iter().flat_map(|at| [at, -at, at.wrapping_add(1), i64::MIN]) {
        let mut cell = Vec::new();
        crate::cell::write_timestamp(&mut cell, Timestamp::from_micros(at));
        let cell = String::from_utf8(cell).unwrap();
        // At the ends of the range, the slow path is sufficient.
        if at.unsigned_abs() < i64::MAX as u64 - 1_000_000 {
            let short = crate::cell::instant(&cell);
            assert_eq!(short, Some((Timestamp::from_micros(at), cell.len())), "{cell}");
        }
        check_cell(&cell, Timestamp::from_micros(at));
        reads_alike(&cell);
    }
    let start = r#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":"#;
    for rest in [
        "1}",
        "-1}",
        "0}",
        "-0}",
        "007}",
        "00}",
        "-}",
        "}",
        "1.5}",
        "1e3}",
        "1 }",
        "1",
        "null}",
        "9223372036854775807}",
        "9223372036854775808}",
        "99999999999999999999}",
        r#"1,"_micros":5}"#,
        r#"1,"_micros":-5}"#,
        r#"1,"_micros":05}"#,
        r#"1,"_micros":5,"x":1}"#,
        r#"1,"_micros":5.0}"#,
        r#"1,"_micros":9223372036854775807}"#,
        r#"1,"x":5}"#,
    ] {
        reads_alike(&format!("{start}{rest}"));
    }
}

/// Each of these lines is near the size limit. Quadratic code would take minutes.
#[test]
fn large_lines() {
    let keys = |n: usize| (0..n).map(|i| format!(r#""k{i}":{i},"#)).collect::<String>();
    let read = |line: &str| HistoryLine::parse(line).unwrap().row;

    assert_eq!(read(&format!("{{{}\"_step\":1}}", keys(100_000))).len(), 100_000);
    let twice = keys(100_000) + &keys(100_000);
    assert_eq!(read(&format!("{{{twice}\"_step\":1}}")).len(), 100_000);

    // Structs with many fields that resemble a cell until the last one.
    for cell in [
        r#""_type":"image-file""#,
        r#""_type":"_wt_::{\"type\": \"LabObj\"}","_val":{}"#,
        r#""_type":"_wt_::{\"type\": \"timestamp\"}","_val":1"#,
    ] {
        let Some(Value::Struct(fields)) =
            read(&format!(r#"{{"c":{{{}{cell}}}}}"#, keys(100_000))).get("c").cloned()
        else {
            panic!("not a struct")
        };
        assert!(fields.len() > 100_000);
    }
    let paths = vec![r#""a.png""#; 100_000].join(",");
    let many =
        format!(r#"{{"c":{{{}"_type":"images/separated","filenames":[{paths}]}}}}"#, keys(100_000));
    assert!(matches!(read(&many).get("c"), Some(Value::List(images)) if images.len() == 100_000));

    // Objects nested as deep as allowed.
    let (open, close) = (r#"{"_type":"_wt_::{\"type\":\"O\"}","_val":{"a":"#, "}}");
    let payload = vec!["0"; 300_000].join(",");
    let deep = format!(r#"{{"c":{}[{payload}]{}}}"#, open.repeat(78), close.repeat(78));
    assert_eq!(read(&deep).len(), 1);
}
