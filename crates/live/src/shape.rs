//! The types of columns in SQL and in the page.

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::error::LiveError;
use crate::proto::ColumnType;
use crate::sql;

/// A column of a table, possibly computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The name in SQL and in pages.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// The names of a struct's fields. The first part of a mixed cell is the kind that came first.
    members: Vec<String>,
    /// Whether the numbers of a mixed column are integers.
    has_whole_numbers: bool,
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    /// Integers. Exact if each value can be represented as a float.
    Int {
        is_exact: bool,
    },
    Float,
    Text,
    Time,
    Date,
    Media,
    /// Values of several types.
    Mixed,
    Other,
}

/// The fields of a mixed cell that hold its value, by their names in SQL.
const MIXED: [&str; 6] = ["n", "s", "b", "t", "media", "json"];

impl Column {
    pub(crate) fn of(field: &Field, has_inexact: bool) -> Self {
        let members = match field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|it| it.name().clone()).collect(),
            _ => Vec::new(),
        };
        let has_whole_numbers = match field.data_type() {
            DataType::Struct(fields) => {
                fields.find("n").is_some_and(|(_, it)| it.data_type().is_integer())
            }
            _ => false,
        };
        let shape = Shape::of(field.data_type(), has_inexact);
        Self { name: field.name().clone(), shape, members, has_whole_numbers }
    }

    /// Returns the same column under another name.
    pub(crate) fn renamed(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// Returns the column with the given name.
    pub(crate) fn find<'a>(columns: &'a [Self], name: &str) -> Result<&'a Self, LiveError> {
        columns.iter().find(|it| it.name == name).ok_or_else(|| LiveError::no_column(name))
    }

    /// Returns the type for the page.
    pub(crate) fn ty(&self) -> ColumnType {
        self.shape.ty()
    }

    /// Returns the value as SQL.
    pub(crate) fn value(&self) -> String {
        sql::name(&self.name)
    }

    /// Returns the value as SQL text, similar to how it is shown.
    pub(crate) fn text(&self) -> String {
        let this = self.value();
        let member = |name: &str| self.member(name);
        match self.shape {
            Shape::Text => this,
            Shape::Media => member("path"),
            Shape::Mixed => {
                let texts = self.members.iter().map(|name| match name.as_str() {
                    "s" | "json" => member(name),
                    "media" => format!("get_field({}, 'path')", member(name)),
                    _ => format!("CAST({} AS VARCHAR)", member(name)),
                });
                format!("coalesce({})", texts.collect::<Vec<_>>().join(", "))
            }
            _ => format!("CAST({this} AS VARCHAR)"),
        }
    }

    /// Returns an expression that distinguishes values, for grouping.
    pub(crate) fn key(&self) -> String {
        match self.shape {
            Shape::Media | Shape::Mixed | Shape::Other => self.text(),
            _ => self.value(),
        }
    }

    /// Returns the expressions to sort by. Mixed cells are sorted by kind, those of the kind that
    /// came first at the front, as `ORDER BY` does.
    pub(crate) fn sort_keys(&self) -> Vec<String> {
        match self.shape {
            Shape::Mixed => {
                let key = |name: &String| match name.as_str() {
                    "media" => format!("get_field({}, 'path')", self.member(name)),
                    _ => self.member(name),
                };
                self.members.iter().map(key).collect()
            }
            _ => vec![self.key()],
        }
    }

    fn member(&self, name: &str) -> String {
        format!("get_field({}, '{name}')", self.value())
    }

    /// Returns the part of mixed cells whose kind came first, and its type.
    pub(crate) fn first_part(&self) -> Option<(String, Shape)> {
        let name = self.members.first().filter(|_| self.shape == Shape::Mixed)?;
        let shape = match name.as_str() {
            "n" => Shape::Float,
            "s" | "json" => Shape::Text,
            "b" => Shape::Bool,
            "t" => Shape::Time,
            _ => return None,
        };
        Some((self.member(name), shape))
    }

    /// Returns whether the values are numbers, or were until another kind came.
    pub(crate) fn is_measured(&self) -> bool {
        self.is_number() || matches!(self.first_part(), Some((_, Shape::Float)))
    }

    /// Returns whether the numbers are integers.
    pub(crate) fn is_whole(&self) -> bool {
        match self.shape {
            Shape::Int { .. } => true,
            Shape::Mixed => self.has_whole_numbers,
            _ => false,
        }
    }

    /// Returns whether a mixed column contains numbers.
    pub(crate) fn has_number(&self) -> bool {
        self.members.iter().any(|name| name == "n")
    }

    /// Returns the number of a mixed cell as SQL; null if it is not a number.
    pub(crate) fn number(&self) -> String {
        self.member("n")
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Int { .. } | Shape::Float)
    }
}

impl Shape {
    fn of(ty: &DataType, has_inexact: bool) -> Self {
        use DataType::*;
        match ty {
            Boolean => Self::Bool,
            Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32 => Self::Int { is_exact: true },
            Int64 | UInt64 => Self::Int { is_exact: !has_inexact },
            Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..)
            | Decimal256(..) => Self::Float,
            Utf8 | LargeUtf8 | Utf8View | Null => Self::Text,
            Dictionary(_, values) => Self::of(values, has_inexact),
            Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)
            | Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => Self::Time,
            Date32 | Date64 => Self::Date,
            Struct(fields) => {
                let has = |name: &str| fields.iter().any(|field| field.name() == name);
                if has("kind") && has("path") && has("hash") {
                    Self::Media
                } else if fields.iter().all(|field| MIXED.contains(&field.name().as_str())) {
                    Self::Mixed
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }

    /// Returns the type for the page.
    pub(crate) fn ty(self) -> ColumnType {
        match self {
            Self::Bool => ColumnType::Boolean,
            Self::Int { is_exact: true } | Self::Float => ColumnType::Float,
            Self::Time => ColumnType::Datetime,
            Self::Date => ColumnType::Date,
            Self::Int { is_exact: false }
            | Self::Text
            | Self::Media
            | Self::Mixed
            | Self::Other => ColumnType::String,
        }
    }
}
