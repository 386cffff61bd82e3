//! The syntax tree of an expression: a table's rows and the steps applied to them.

use streamtable_name::TablePath;

use crate::{ArtifactUri, Filter};

/// An expression: the rows of a table, and the steps applied to them in order.
///
/// The text form is Weave's expression language; [`Display`](std::fmt::Display) prints it byte for
/// byte as Weave does. The grammar, with optional white space between any two tokens:
///
/// ```text
/// expr    = "get" "(" string ")" ".rows" step*
/// step    = ".filter" "(" "(row) =>" any ")"
///         | ".sort" "(" "(row) =>" "[" column,* "]" "," "[" direction,* "]" ")"
///         | ".limit" "(" integer ")"
///         | "[" string "]"
/// any     = all ("or" all)*                     "||" is read as "or"
/// all     = one ("and" one)*                    "&&" is read as "and"
/// one     = operand op operand | not
/// not     = "!" not | "(" any ")" | column ".contains" "(" string ")"
/// op      = "==" | "!=" | "<" | "<=" | ">" | ">="
/// operand = column | literal
/// column  = "row" "[" string "]"
/// literal = string | integer | float | "true" | "false" | "null"
///         | "NaN" | "Infinity" | "-Infinity"
/// direction = '"asc"' | '"desc"'
/// ```
///
/// Strings are written as in JSON. Single quotes and unescaped line breaks are accepted too,
/// because Weave prints both. A number with a decimal point or an exponent is a float. `!` binds
/// tightly, as in Weave, so a negated comparison needs parentheses: `!(row["a"] == 1)`.
///
/// For every tree, parsing the printed text gives the same tree, if the text is within
/// [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) and [`MAX_FILTER_DEPTH`](crate::MAX_FILTER_DEPTH).
///
/// ```
/// use streamtable_url::{Direction, Expr, SortKey, Step};
///
/// let newest = Expr::rows_of("stacey/mesa/my_stream_table".parse()?)
///     .then(Step::Sort(vec![SortKey { column: "timestamp".into(), direction: Direction::Desc }]))
///     .then(Step::Limit(10))
///     .then(Step::Pick("score".into()));
/// assert_eq!(
///     newest.to_string(),
///     r#"get(
///     "wandb-artifact:///stacey/mesa/my_stream_table:latest/obj")
///   .rows
///   .sort((row) => [row["timestamp"]], ["desc"])
///   .limit(10)["score"]"#
/// );
/// # Ok::<(), streamtable_name::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The table that the rows come from.
    pub source: ArtifactUri,
    /// The steps applied to the rows, in order.
    pub steps: Vec<Step>,
}

impl Expr {
    /// Makes the expression of a table's own panel: all rows of its latest version.
    pub fn rows_of(table: TablePath) -> Self {
        Self { source: table.into(), steps: Vec::new() }
    }

    /// Appends a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Returns the table if this is the expression of its own panel: all rows, no step, no suffix.
    ///
    /// The version is ignored: a table's artifact holds its name, not its rows.
    pub fn panel_table(&self) -> Option<&TablePath> {
        let is_panel = self.steps.is_empty() && self.source.suffix().is_none();
        is_panel.then(|| self.source.table())
    }
}

/// A step applied to rows.
///
/// Column names are arbitrary text; a dot has no special meaning. Whether a column exists is not
/// checked when parsing but by the program that runs the expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Keeps the rows that match the filter: `.filter((row) => …)`.
    Filter(Filter),
    /// Keeps at most this many rows from the start: `.limit(10)`.
    Limit(u64),
    /// Replaces the rows with one column: `["column"]`. If the column holds structs, the next step
    /// treats them as rows.
    Pick(String),
    /// Sorts by the first key, then by the second among equal rows, and so on: `.sort((row) =>
    /// [row["a"], row["b"]], ["asc", "desc"])`.
    Sort(Vec<SortKey>),
}

/// A column to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column's name.
    pub column: String,
    /// The sort direction.
    pub direction: Direction,
}

/// A sort direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending: `"asc"`.
    Asc,
    /// Descending: `"desc"`.
    Desc,
}
