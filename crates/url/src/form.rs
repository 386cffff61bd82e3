//! Form encoding, compatible with Python's `quote_plus` and `unquote_plus`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters to escape in any part of a URL: all but letters, digits and `_ . - ~`.
pub(crate) const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

const FORM: &AsciiSet = &ENCODED.remove(b' ');

/// Encodes a text as a form value, byte for byte as Python's `quote_plus`.
///
/// A space becomes `+`; letters, digits and `_ . - ~` are unchanged; all else becomes the percent
/// escapes of its UTF-8 bytes, in capitals.
///
/// ```
/// assert_eq!(streamtable_url::form_encode("a b\n\"é\"~"), "a+b%0A%22%C3%A9%22~");
/// ```
pub fn form_encode(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string().replace(' ', "+")
}

/// Decodes a form value: the inverse of [`form_encode`].
///
/// Unescaped characters such as `:` or `é` are accepted. Unlike Python, it returns an error for a
/// `%` without two hexadecimal digits and for escapes that are not UTF-8: they mean that the link
/// was truncated.
pub fn form_decode(text: &str) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    // For each decoded byte, its position in the text.
    let mut positions = Vec::with_capacity(text.len());
    let mut rest = text.bytes().enumerate();
    while let Some((position, byte)) = rest.next() {
        let mut digit = || char::from(rest.next()?.1).to_digit(16);
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit()
                .zip(digit())
                .and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
                .ok_or(FormError::Percent { position })?,
            byte => byte,
        });
        positions.push(position);
    }
    String::from_utf8(bytes).map_err(|error| {
        let position = positions.get(error.utf8_error().valid_up_to()).copied();
        FormError::Utf8 { position: position.unwrap_or(text.len()) }
    })
}

/// The reason why a text is not a form value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("byte {position}: expected two hexadecimal digits after `%`")]
    Percent {
        /// The byte offset of the `%`.
        position: usize,
    },
    /// The decoded bytes are not UTF-8.
    #[error("byte {position}: the percent escapes are not utf-8")]
    Utf8 {
        /// The byte offset of the first invalid escape.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plain: &str, encoded: &str) {
        assert_eq!(form_encode(plain), encoded);
        assert_eq!(form_decode(encoded).as_deref(), Ok(plain));
    }

    #[track_caller]
    fn decodes(encoded: &str, result: Result<&str, FormError>) {
        assert_eq!(form_decode(encoded).as_deref(), result.as_ref().copied());
    }

    #[test]
    fn as_quote_plus() {
        check("", "");
        check("azAZ09_.-~", "azAZ09_.-~");
        check(" !\"#$%&'()*+,/", "+%21%22%23%24%25%26%27%28%29%2A%2B%2C%2F");
        check(":;<=>?@[\\]^`{|}", "%3A%3B%3C%3D%3E%3F%40%5B%5C%5D%5E%60%7B%7C%7D");
        check("\0\t\n\r\u{7f}", "%00%09%0A%0D%7F");
        check("é€😀", "%C3%A9%E2%82%AC%F0%9F%98%80");
    }

    #[test]
    fn unescaped_characters_are_accepted() {
        decodes("%c3%A9 été/:", Ok("é été/:"));
        decodes("ab%", Err(FormError::Percent { position: 2 }));
        decodes("%41%4", Err(FormError::Percent { position: 3 }));
        decodes("%+1", Err(FormError::Percent { position: 0 }));
        decodes("%4é", Err(FormError::Percent { position: 0 }));
        decodes("a+%41%FFb", Err(FormError::Utf8 { position: 5 }));
        decodes("%C3", Err(FormError::Utf8 { position: 0 }));
    }
}
