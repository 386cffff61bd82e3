//! A column as SQL has it, and as a page knows it.

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::error::LiveError;
use super::proto::ColumnType;
use super::sql;

/// A column of a table, computed or not.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Its name, for SQL and for pages.
    pub(super) name: String,
    pub(super) shape: Shape,
    /// The names of a struct's fields.
    members: Vec<String>,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Bool,
    /// Integers; exact where a float has each of them.
    Int {
        is_exact: bool,
    },
    Float,
    Text,
    Time,
    Date,
    Media,
    /// Values of several kinds.
    Mixed,
    Other,
}

/// The fields of a cell of several kinds that hold its value as it is, in SQL's names for them.
const MIXED: [&str; 6] = ["n", "s", "b", "t", "media", "json"];

impl Column {
    pub(super) fn of(field: &Field, has_inexact: bool) -> Self {
        let members = match field.data_type() {
            DataType::Struct(fields) => fields.iter().map(|it| it.name().clone()).collect(),
            _ => Vec::new(),
        };
        let shape = Shape::of(field.data_type(), has_inexact);
        Self { name: field.name().clone(), shape, members }
    }

    /// Returns the same column where it is called otherwise.
    pub(super) fn renamed(&self, name: String) -> Self {
        Self { name, ..self.clone() }
    }

    /// Finds a column by its name.
    pub(super) fn find<'a>(columns: &'a [Self], name: &str) -> Result<&'a Self, LiveError> {
        columns.iter().find(|it| it.name == name).ok_or_else(|| LiveError::no_column(name))
    }

    /// Returns the type that a page is told.
    pub(super) fn ty(&self) -> ColumnType {
        self.shape.ty()
    }

    /// Writes the value.
    pub(super) fn value(&self) -> String {
        sql::name(&self.name)
    }

    /// Writes the value as a text, near to how it is shown.
    pub(super) fn text(&self) -> String {
        let this = self.value();
        let member = |name: &str| format!("get_field({this}, '{name}')");
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

    /// Writes what tells values apart, and can be grouped by.
    pub(super) fn key(&self) -> String {
        match self.shape {
            Shape::Media | Shape::Mixed | Shape::Other => self.text(),
            _ => self.value(),
        }
    }

    /// Writes what values are sorted by: numbers as numbers, also where there are others.
    pub(super) fn sort_keys(&self) -> Vec<String> {
        match self.shape {
            Shape::Mixed if self.has_number() => vec![self.number(), self.text()],
            _ => vec![self.key()],
        }
    }

    /// Tells whether a column of several kinds has numbers.
    pub(super) fn has_number(&self) -> bool {
        self.members.iter().any(|name| name == "n")
    }

    /// Writes the number of a cell of several kinds; null where it is none.
    pub(super) fn number(&self) -> String {
        format!("get_field({}, 'n')", self.value())
    }

    pub(super) fn is_number(&self) -> bool {
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

    /// Returns the type that a page is told.
    pub(super) fn ty(self) -> ColumnType {
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
