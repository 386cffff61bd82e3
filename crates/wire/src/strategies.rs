//! Generators for the property tests.

use std::borrow::Cow;
use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use streamtable_schema::{Media, MediaKind, MediaSource, Row, StoredFile, Timestamp, Value};

use crate::{RESERVED_COLUMNS, media_file};

/// Rows that any empty table accepts.
pub(crate) fn row() -> impl Strategy<Value = Row> {
    vec((name(), value()), 0..8).prop_map(|cells| {
        let is_own = |name: &str| !RESERVED_COLUMNS.contains(&name);
        distinct(cells.into_iter().filter(|(name, _)| is_own(name)).collect())
    })
}

/// Rows that sometimes break a rule.
pub(crate) fn odd_row() -> impl Strategy<Value = Row> {
    let column = prop_oneof![
        30 => name(),
        1 => proptest::sample::select(&RESERVED_COLUMNS[..]).prop_map(str::to_owned),
    ];
    vec((column, prop_oneof![4 => value().boxed(), 1 => odd_value().boxed()]), 0..5)
        .prop_map(|cells| cells.into_iter().map(|(name, value)| (Cow::from(name), value)).collect())
}

/// Names of columns and fields, including names with a special meaning elsewhere.
pub(crate) fn name() -> impl Strategy<Value = String> {
    const NAMES: [&str; 16] = [
        "",
        "a",
        "b",
        "a.b",
        r"a\.b",
        r"\",
        "a/b",
        "x y",
        "été",
        "_type",
        "_val",
        "_micros",
        "type",
        "timestamp",
        "$serde_json::private::Number",
        "\"\n",
    ];
    prop_oneof![
        4 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Values that any column accepts.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    singleton().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec((name(), inner), 0..5).prop_map(|fields| distinct(fields).into()),
        ]
    })
}

/// Values of which some are refused.
fn odd_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => singleton(),
        1 => any::<i128>().prop_map(Value::Int),
        1 => (60..70_usize).prop_map(deep),
    ];
    let field = proptest::sample::select(&["a", "b", "c", "_type"][..]);
    let reserved = proptest::sample::select(&["unknown", "image-file", "_wt_::1", "Unknown"][..]);
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((field.clone(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Row>().into()),
            reserved.clone().prop_map(|ty| Row::new().with("_type", ty).into()),
        ]
    })
}

fn deep(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]))
}

fn singleton() -> impl Strategy<Value = Value> {
    const FLOATS: [f64; 8] =
        [0.0, -0.0, 1.0, 1e16, 1e300, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY];
    const INTS: [i64; 5] = [0, -1, i64::MIN, i64::MAX, 1_704_164_645_678_901];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        proptest::sample::select(&INTS[..]).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(&FLOATS[..]).prop_map(Value::from),
        proptest::num::f64::ANY.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(&INTS[..]).prop_map(|t| Timestamp::from_micros(t).into()),
        any::<i64>().prop_map(|t| Timestamp::from_micros(t).into()),
        media().prop_map(Value::from),
    ]
}

fn media() -> impl Strategy<Value = Media> {
    let stored = (
        proptest::sample::select(&MediaKind::ALL[..]),
        "[a-z0-9]{1,16}",
        any::<Option<(u32, u32)>>(),
        ("[a-z]{1,3}(/[^/\\\\\0]{3})?", any::<Option<String>>(), any::<Option<u64>>()),
    );
    let stored = stored.prop_map(|(kind, format, dimensions, (path, sha256, size))| {
        Media::stored(kind, &format, dimensions, StoredFile { path, sha256, size }).unwrap()
    });
    let fresh = prop_oneof![
        any::<String>().prop_map(Media::html),
        any::<Vec<u8>>().prop_map(|bytes| Media::audio(bytes, "wav").unwrap()),
        (1..9_u8, 1..9_u8).prop_map(|(width, height)| Media::image(png(width, height)).unwrap()),
    ];
    (prop_oneof![stored, fresh], any::<Option<String>>()).prop_map(|(media, caption)| match caption
    {
        Some(caption) => media.with_caption(caption),
        None => media,
    })
}

/// Returns a value with its media stored.
pub(crate) fn at_rest(value: Value) -> Value {
    match value {
        Value::Media(media) => place(&media).0.into(),
        Value::List(items) => items.into_iter().map(at_rest).collect(),
        Value::Struct(row) => Value::Struct(rows_at_rest(row)),
        other => other,
    }
}

/// Returns a row with its media stored.
pub(crate) fn rows_at_rest(row: Row) -> Row {
    row.into_iter().map(|(name, value)| (name, at_rest(value))).collect()
}

/// Stores a media value.
pub(crate) fn place(media: &Media) -> (Media, StoredFile) {
    let file = match media.source() {
        MediaSource::Bytes(bytes) => media_file(media.kind(), media.format(), bytes),
        MediaSource::Stored(file) => file.clone(),
        MediaSource::Path(path) => panic!("no strategy generates a path: {}", path.display()),
    };
    let placed =
        Media::stored(media.kind(), media.format(), media.dimensions(), file.clone()).unwrap();
    let placed = match media.caption() {
        Some(caption) => placed.with_caption(caption),
        None => placed,
    };
    (placed, file)
}

fn distinct(cells: Vec<(String, Value)>) -> Row {
    let mut seen = HashSet::new();
    cells.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect()
}

/// The tokens of JSON.
const WORDS: [&str; 26] = [
    "{", "}", "[", "]", ",", ":", " ", "\"", "\"a\"", "\"b\":", "\\", "\\n", "\n", "é", "0", "1",
    "-", "+", ".", "e", "E", "12", "true", "false", "null", "nul",
];

/// Tokens that only the protocol has or gives a meaning.
const OUR_WORDS: [&str; 8] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "\\u",
    "d83d",
    "\\ude00",
    "\"_type\":\"unknown\"",
    "\"_val\":null",
];

/// Texts of standard JSON tokens in any order.
pub(crate) fn standard_soup() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(&WORDS[..]), 0..24).prop_map(|words| words.concat())
}

/// Texts of all accepted tokens in any order.
pub(crate) fn soup() -> impl Strategy<Value = String> {
    let word = proptest::sample::select([&WORDS[..], &OUR_WORDS[..]].concat());
    vec(word, 0..24).prop_map(|words| words.concat())
}

/// Documents with one token added and one character removed at any position.
pub(crate) fn typo() -> impl Strategy<Value = String> {
    let place = any::<proptest::sample::Index>;
    let word = proptest::sample::select(&WORDS[..]);
    (document(), place(), word, place()).prop_map(|(document, add, word, leave_out)| {
        // serde_json cannot parse this key if `arbitrary_precision` is enabled.
        let text = document.to_string().replace("$serde_json::private::Number", "number");
        let mut chars: Vec<char> = text.chars().collect();
        let at = add.index(chars.len() + 1);
        chars.splice(at..at, word.chars());
        chars.remove(leave_out.index(chars.len()));
        chars.into_iter().collect()
    })
}

/// JSON documents that serde_json supports.
pub(crate) fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        proptest::num::f64::NORMAL.prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Into::into),
            vec((name(), inner), 0..5)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The texts with some bytes changed, added, doubled or removed.
pub(crate) fn damaged(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<proptest::sample::Index>(), 0..5_u8, any::<u8>());
    (proptest::sample::select(texts), vec(damage, 0..6)).prop_map(|(text, damages)| {
        let mut bytes = text.as_bytes().to_vec();
        for (place, what, byte) in damages {
            let i = place.index(bytes.len() + 1);
            match what {
                0 => bytes.insert(i, byte),
                1 => bytes.truncate(i),
                2 => bytes.extend_from_within(i..),
                3 if i < bytes.len() => bytes[i] = byte,
                _ if i < bytes.len() => drop(bytes.remove(i)),
                _ => {}
            }
        }
        bytes
    })
}

/// Returns the header of a PNG image, the only part that is read.
pub(crate) fn png(width: u8, height: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend([0, 0, 0, width, 0, 0, 0, height, 8, 6, 0, 0, 0]);
    bytes
}
