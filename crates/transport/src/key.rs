use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;

/// The secret that identifies the writer.
///
/// Invariant: not empty, visible ASCII only. It is never printed: there is no `Display`, and
/// `Debug` shows `ApiKey(…)`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// The reason why a string is not an API key. Never contains the string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// The string is empty.
    #[error("the API key is empty")]
    Empty,
    /// The string contains white space, a control character or a non-ASCII character.
    #[error("the API key has white space or a non-ASCII character at byte {position}")]
    Unprintable {
        /// The byte offset of the character.
        position: usize,
    },
}

impl ApiKey {
    /// Makes a key of the unchanged string. White space around it, as in a pasted line, is an error
    /// and is not trimmed.
    pub fn new(key: impl Into<String>) -> Result<Self, ApiKeyError> {
        let key = key.into();
        if key.is_empty() {
            return Err(ApiKeyError::Empty);
        }
        match key.bytes().position(|byte| !byte.is_ascii_graphic()) {
            Some(position) => Err(ApiKeyError::Unprintable { position }),
            None => Ok(Self(key)),
        }
    }

    /// Returns the secret itself. Every call is a place where it may leak.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the `Authorization` value that every W&B client sends, marked sensitive.
    pub(crate) fn to_basic(&self) -> HeaderValue {
        let credentials = BASE64_STANDARD.encode(format!("api:{}", self.0));
        let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
            .expect("base64 is a valid header value");
        value.set_sensitive(true);
        value
    }
}

impl FromStr for ApiKey {
    type Err = ApiKeyError;

    fn from_str(key: &str) -> Result<Self, ApiKeyError> {
        Self::new(key)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, expected: Result<&str, ApiKeyError>) {
        let found = key.parse::<ApiKey>();
        assert_eq!(found.as_ref().map(ApiKey::expose), expected.as_ref().copied());
    }

    #[test]
    fn parsed_from_text() {
        check("0123abcDEF_-.:!", Ok("0123abcDEF_-.:!"));
        check("", Err(ApiKeyError::Empty));
        check("key\n", Err(ApiKeyError::Unprintable { position: 3 }));
        check("a key", Err(ApiKeyError::Unprintable { position: 1 }));
        check("kéy", Err(ApiKeyError::Unprintable { position: 1 }));
        check("\u{7f}", Err(ApiKeyError::Unprintable { position: 0 }));
    }

    #[test]
    fn never_shown() {
        let key = ApiKey::new("sesame").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.to_basic()), "ApiKey(…) Sensitive");
        let error = ApiKey::new("sesame\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sesame"));
    }
}
