//! Fast path: rows of plain values are encoded directly from the dict.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

/// A row with string keys and values that are null, booleans, numbers or strings. Subclasses are
/// excluded, so no Python code runs while the row is read.
///
/// Nearly all rows are of this kind, and they must be fast.
pub(crate) struct Plain<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    has_others: Flag,
}

/// Set if a value was found that is not plain.
type Flag = std::cell::Cell<bool>;

impl<'a, 'py> Plain<'a, 'py> {
    /// Assumes that a dict is plain. If it is not, encoding fails and
    /// [`has_others`](Self::has_others) returns true.
    pub(crate) fn perhaps(row: &'a Bound<'py, PyAny>) -> Option<Self> {
        let dict = row.cast_exact::<PyDict>().ok()?;
        Some(Self { dict, has_others: Flag::new(false) })
    }

    /// Returns the row if it is plain.
    pub(crate) fn new(row: &'a Bound<'py, PyAny>) -> Option<Self> {
        let plain = Self::perhaps(row)?;
        let is_plain = |value: &Bound<'py, PyAny>| {
            value.is_exact_instance_of::<PyFloat>()
                || value.is_exact_instance_of::<PyString>()
                || value.is_exact_instance_of::<PyInt>()
                || value.is_exact_instance_of::<PyBool>()
                || value.is_none()
        };
        plain
            .dict
            .iter()
            .all(|(key, value)| key.is_exact_instance_of::<PyString>() && is_plain(&value))
            .then_some(plain)
    }

    /// Returns whether encoding found a key or value that is not plain.
    pub(crate) fn has_others(&self) -> bool {
        self.has_others.get()
    }
}

impl Serialize for Plain<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { dict, has_others } = self;
        let mut map = serializer.serialize_map(Some(dict.len()))?;
        for (key, value) in dict.iter() {
            if !key.is_exact_instance_of::<PyString>() {
                has_others.set(true);
                return Err(S::Error::custom(NOT_PLAIN));
            }
            map.serialize_entry(
                &Cell { value: &key, has_others },
                &Cell { value: &value, has_others },
            )?;
        }
        map.end()
    }
}

const NOT_PLAIN: &str = "not a plain value";

struct Cell<'a, 'py> {
    value: &'a Bound<'py, PyAny>,
    has_others: &'a Flag,
}

impl Serialize for Cell<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value;
        if let Ok(text) = value.cast_exact::<PyString>() {
            return match text.to_str() {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => Err(S::Error::custom(LONE_SURROGATE)),
            };
        }
        if let Ok(float) = value.cast_exact::<PyFloat>() {
            return serializer.serialize_f64(float.value());
        }
        if let Ok(flag) = value.cast_exact::<PyBool>() {
            return serializer.serialize_bool(flag.is_true());
        }
        if value.is_none() {
            return serializer.serialize_unit();
        }
        if !value.is_exact_instance_of::<PyInt>() {
            self.has_others.set(true);
            return Err(S::Error::custom(NOT_PLAIN));
        }
        match value.extract::<i64>() {
            Ok(int) => serializer.serialize_i64(int),
            Err(_) => Err(S::Error::custom(too_wide(value))),
        }
    }
}

/// The error for a string that is not valid Unicode.
pub(crate) const LONE_SURROGATE: &str =
    "the string contains an unpaired surrogate, which is not a character; log ascii(text) instead";

/// Makes the error for an integer that exceeds 64 bits. It may have too many digits to print.
pub(crate) fn too_wide(int: &Bound<'_, PyAny>) -> String {
    let bits = int.call_method0("bit_length").map_or_else(|_| "?".to_owned(), |n| n.to_string());
    format!(
        "an integer of {bits} bits does not fit a signed 64-bit integer; log it as a string or a float"
    )
}
