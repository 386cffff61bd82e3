//! A row: named values in the caller's order.

use std::borrow::Cow;

use serde::Serialize;

use crate::{SchemaError, Value, serialize};

/// One row of a table, or one struct in a cell: named values in the caller's order.
///
/// A name given twice is kept twice and refused when the row meets its table, so that building a
/// row cannot fail and no value vanishes. See [`row!`](crate::row!) for the shortest way to make
/// one.
///
/// ```
/// use streamtable_schema::{Row, row};
///
/// let row = row! { "path" => "/", "ms" => 7, "ok" => true };
/// assert_eq!(row, Row::new().with("path", "/").with("ms", 7).with("ok", true));
/// assert_eq!(row.get("ms"), Some(&7.into()));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    cells: Vec<(Cow<'static, str>, Value)>,
}

impl Row {
    /// Makes a row without cells.
    pub const fn new() -> Self {
        Self { cells: Vec::new() }
    }

    /// Makes a row without cells that has room for so many.
    pub fn with_capacity(cells: usize) -> Self {
        Self { cells: Vec::with_capacity(cells) }
    }

    /// Adds a cell behind the others.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.push(name, value);
        self
    }

    /// Adds a cell behind the others.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.cells.push((name.into(), value.into()));
    }

    /// Makes a row of any value that serializes as a struct or as a map.
    ///
    /// Fields keep their order; keys that are numbers or booleans become texts. Fails with a
    /// [`SchemaError`] that names the column when a value has no meaning in a table, such as a
    /// bare byte string.
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
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.cells.iter().map(|(name, value)| (&**name, value))
    }

    /// Returns the value of the first cell of this name, looking at one cell after the other.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.cells().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// Returns how many cells the row has.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Tells whether the row has no cell.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

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
    /// Converts a JSON object, in the order in which its map gives its keys.
    fn from(map: serde_json::Map<String, serde_json::Value>) -> Self {
        map.into_iter().collect()
    }
}

/// Makes a [`Row`]: `row! { "path" => "/", "ms" => 7 }`.
///
/// Names are texts (`&'static str` or `String`), values anything that converts to a
/// [`Value`](crate::Value), rows included.
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
    fn the_macro_takes_what_converts() {
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
