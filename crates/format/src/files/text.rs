//! Character encodings.

use std::io::Read;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::options::InputError;

/// Decodes text to UTF-8. A byte order mark decides the encoding and is removed; without one, the bytes
/// are taken as UTF-8 unless an encoding is named.
pub(super) fn decoded(
    input: Box<dyn Read + Send>,
    encoding: Option<&'static Encoding>,
) -> Box<dyn Read + Send> {
    let is_utf8 = encoding.is_none_or(|it| it == encoding_rs::UTF_8);
    Box::new(
        DecodeReaderBytesBuilder::new()
            .encoding(encoding.filter(|_| !is_utf8))
            .utf8_passthru(true)
            .strip_bom(true)
            .bom_override(true)
            .build(input),
    )
}

/// Finds an encoding by its name.
pub(super) fn encoding(name: &str) -> Result<&'static Encoding, InputError> {
    Encoding::for_label(name.as_bytes()).ok_or_else(|| {
        InputError::decision(
            format!("the encoding {name:?} is unknown"),
            "use a name such as utf-8, windows-1252 or shift_jis",
        )
    })
}

/// Guesses the encoding of a text that is not UTF-8.
pub(super) fn guess(text: &[u8]) -> &'static str {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(text, true);
    detector.guess(None, Utf8Detection::Deny).name()
}

/// Returns the error for a text that is not UTF-8.
pub(super) fn not_utf8(line: u64, text: &[u8]) -> InputError {
    let guess = guess(text).to_ascii_lowercase();
    InputError::decision(
        format!("line {line} is not UTF-8; its encoding looks like {guess}"),
        format!("read it with --encoding {guess}"),
    )
}
