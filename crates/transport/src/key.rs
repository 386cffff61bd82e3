use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::HeaderValue;

/// The secret that says who is writing.
///
/// Invariant: not empty, visible ASCII only. Nothing prints it: there is no `Display`, and `Debug`
/// shows `ApiKey(…)`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text is no API key. Never repeats the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// There is nothing in it.
    #[error("the API key is empty")]
    Empty,
    /// It holds a blank, a control character or a character beyond ASCII.
    #[error("the API key has a blank or an unusual character at byte {position}")]
    Unprintable {
        /// Where, in bytes from the start.
        position: usize,
    },
}

impl ApiKey {
    /// Takes `key` as it is: blanks around it, as a pasted line has them, are refused, not cut.
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

    /// The value of `Authorization` that every W&B client sends, marked sensitive.
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
