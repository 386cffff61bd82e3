//! JSON text as Python's `json.dumps` writes it by default: separators `", "` and `": "`, ASCII
//! only.
//!
//! Digests are computed over this text, so it must match byte for byte.

use crate::json::{write_f64, write_i64, write_plain, write_str_body};
use crate::weave_type::Json;

/// Writes a value as Python would.
pub(crate) fn to_string(json: &Json) -> String {
    let mut out = Vec::new();
    write(&mut out, json);
    String::from_utf8(out).expect("only ASCII is written")
}

fn write(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(b) => write_plain(out, b),
        Json::Int(n) => write_i64(out, *n),
        Json::Float(x) => write_float(out, *x),
        Json::String(s) => write_text(out, s),
        Json::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b", " });
                write(out, item);
            }
            out.push(b']');
        }
        Json::Object(fields) => {
            out.push(b'{');
            for (i, (name, value)) in fields.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b", " });
                write_text(out, name);
                out.extend_from_slice(b": ");
                write(out, value);
            }
            out.push(b'}');
        }
    }
}

/// Writes a float with an exponent if Rust's `Debug` does; the exponent has a sign and at least two
/// digits.
fn write_float(out: &mut Vec<u8>, x: f64) {
    if !x.is_finite() {
        return write_f64(out, x);
    }
    let text = format!("{x:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            write_plain(out, format_args!("{digits}e{sign}{exponent:0>2}"));
        }
        None => write_plain(out, text),
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut utf8 = [0; 4];
    for c in text.chars() {
        match c {
            ' '..='~' | '\0'..='\x1f' => write_str_body(out, c.encode_utf8(&mut utf8).as_bytes()),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write_plain(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `python` is the output of `json.dumps` in Python 3.11.
    #[track_caller]
    fn check(json: Json, python: &str) {
        assert_eq!(to_string(&json), python);
    }

    #[test]
    fn output_matches_python() {
        check(Json::Null, "null");
        check(Json::Bool(true), "true");
        check(Json::Int(i64::MIN), "-9223372036854775808");
        for (x, python) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.234e22, "1.234e+22"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            check(Json::Float(x), python);
        }
        let text = "a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{80}é\u{2028}😀".to_owned();
        check(
            Json::String(text),
            r#""a\"\\/\b\f\n\r\t\u0001\u007f\u0080\u00e9\u2028\ud83d\ude00""#,
        );
        let pair = |name: &str, value| (name.to_owned(), value);
        check(
            Json::Object(vec![
                pair("z", Json::Array(vec![Json::Int(1), Json::Array(vec![])])),
                pair("a é", Json::Object(vec![])),
            ]),
            r#"{"z": [1, []], "a \u00e9": {}}"#,
        );
    }
}
