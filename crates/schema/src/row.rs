//! Rows: named values in the caller's order.

use std::borrow::Cow;
use std::fmt;
use std::ops::Index;

use serde::Serialize;

use crate::{SchemaError, Value, serialize};

/// A row of a table, or a struct in a cell: named values in the caller's order.
///
/// A duplicate name is kept here and refused when the row is checked against its table, so that
/// building a row cannot fail and no value is lost. [`row!`](crate::row!) is the shortest way to
/// build one.
///
/// ```
/// use streamtable_schema::{Row, row};
///
/// let row = row! { "path" => "/", "ms" => 7, "ok" => true };
/// assert_eq!(row, Row::new().with("path", "/").with("ms", 7).with("ok", true));
/// assert_eq!(row.get("ms"), Some(&7.into()));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Row {
    cells: Vec<(Cow<'static, str>, Value)>,
}

impl Row {
    /// Makes an empty row.
    pub const fn new() -> Self {
        Self { cells: Vec::new() }
    }

    /// Makes an empty row with capacity for `cells` cells.
    pub fn with_capacity(cells: usize) -> Self {
        Self { cells: Vec::with_capacity(cells) }
    }

    /// Appends a cell and returns the row.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.push(name, value);
        self
    }

    /// Appends a cell.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.cells.push((name.into(), value.into()));
    }

    /// Makes a row from any value that serializes as a struct or a map.
    ///
    /// Fields keep their order; keys that are numbers or booleans become strings. Fails with a
    /// [`SchemaError`] that names the column if a value cannot be stored in a table, such as a bare
    /// byte string.
    ///
    /// ```
    /// use streamtable_schema::{Row, row};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Request<'a> {
    ///     path: &'a str,
    ///     ms: Option<f64>,
    /// }
    ///
    /// let row = Row::from_serialize(&Request { path: "/", ms: Some(7.5) })?;
    /// assert_eq!(row, row! { "path" => "/", "ms" => 7.5 });
    /// # Ok::<(), streamtable_schema::SchemaError>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, SchemaError> {
        serialize::row(value)
    }

    /// Returns the cells in order.
    pub fn cells(&self) -> Cells<'_> {
        self.into_iter()
    }

    /// Returns the value of the first cell with this name, by linear search.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.cells().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// Returns the value of the first cell with this name, for changes.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.cells.iter_mut().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// Removes the first cell with this name and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.cells.iter().position(|(n, _)| n == name)?;
        Some(self.cells.remove(place).1)
    }

    /// Returns the number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Returns whether the row has no cells.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

impl fmt::Debug for Row {
    /// Writes the row like JSON, always in one line: `{"a": null, "ms": 7.0}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write!(f, "{}", format_args!("{self:?}"));
        }
        f.debug_map().entries(self.cells()).finish()
    }
}

impl fmt::Display for Row {
    /// Writes the row like JSON, in one line, as `Debug` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Index<&str> for Row {
    type Output = Value;

    /// Returns the value of the first cell with this name, or null if there is none.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl<'a> IntoIterator for &'a Row {
    type Item = (&'a str, &'a Value);
    type IntoIter = Cells<'a>;

    fn into_iter(self) -> Cells<'a> {
        Cells(self.cells.iter())
    }
}

/// The cells of a row, in order.
#[derive(Clone, Debug)]
pub struct Cells<'a>(std::slice::Iter<'a, (Cow<'static, str>, Value)>);

impl<'a> Iterator for Cells<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&**name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Cells<'_> {}

impl IntoIterator for Row {
    type Item = (Cow<'static, str>, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.cells.into_iter()
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> FromIterator<(N, V)> for Row {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(cells: I) -> Self {
        Self { cells: cells.into_iter().map(|(n, v)| (n.into(), v.into())).collect() }
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Value>> Extend<(N, V)> for Row {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, cells: I) {
        self.cells.extend(cells.into_iter().map(|(n, v)| (n.into(), v.into())));
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Row {
    /// Converts a JSON object, in the iteration order of its map.
    fn from(map: serde_json::Map<String, serde_json::Value>) -> Self {
        map.into_iter().collect()
    }
}

/// Makes a [`Row`]: `row! { "path" => "/", "ms" => 7 }`.
///
/// Names are strings (`&'static str` or `String`). Values are anything that converts to a
/// [`Value`](crate::Value), including rows.
#[macro_export]
macro_rules! row {
    ($($name:expr => $value:expr),* $(,)?) => {
        <$crate::Row as ::std::iter::FromIterator<
            (::std::borrow::Cow<'static, str>, $crate::Value)
        >>::from_iter([
            $((::std::borrow::Cow::from($name), $crate::Value::from($value))),*
        ])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macro_accepts_convertible_values() {
        assert_eq!(row! {}, Row::new());
        let name = "a".to_owned();
        let row = row! {
            "x" => 1,
            name => None::<i64>,
            Cow::Borrowed("z") => row! { "x" => [0.5] },
        };
        let names: Vec<&str> = row.cells().map(|(name, _)| name).collect();
        assert_eq!(names, ["x", "a", "z"]);
        assert_eq!(row.get("z"), Some(&Value::Struct(Row::new().with("x", [0.5]))));
        assert_eq!(row.get("y"), None);
    }

    #[test]
    fn a_row_is_shown_like_json() {
        let row = row! { "a" => None::<i64>, "b" => [1.0, f64::NAN], "c" => row! { "d" => "x\"" } };
        assert_eq!(format!("{row:?}"), r#"{"a": null, "b": [1.0, NaN], "c": {"d": "x\""}}"#);
        assert_eq!(format!("{:#?}", [row]).lines().count(), 3);
        let at = crate::Timestamp::from_micros(0);
        let row = row! { "at" => at, "n" => -7, "ok" => true };
        assert_eq!(format!("{row:?}"), r#"{"at": 1970-01-01T00:00:00Z, "n": -7, "ok": true}"#);
    }

    #[test]
    fn cells_keep_their_order() {
        let mut row: Row = [("b", 1), ("a", 2)].into_iter().collect();
        row.extend([("b".to_owned(), "again")]);
        assert_eq!(row, row! { "b" => 1, "a" => 2, "b" => "again" });
        assert_eq!(row.get("b"), Some(&1.into()));
        assert_eq!((row.len(), row.is_empty()), (3, false));
        let names: Vec<_> = row.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a", "b"]);
    }
}
