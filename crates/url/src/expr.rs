//! The tree of an expression: a table's rows, and what is done with them.

use streamtable_schema::TablePath;

use crate::{ArtifactUri, Filter};

/// An expression: the rows of a table, and the steps they go through in order.
///
/// Its text is the language of Weave's expressions, and [`Display`](std::fmt::Display) prints it
/// byte for byte as Weave does. The grammar, with white space free between any two tokens:
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
/// A string is written as in JSON. It may also stand between single quotes, and hold line breaks
/// as they are: Weave prints both. A number with a point or an exponent is a float. `!` binds
/// tightly, as in Weave, so that a negated comparison needs its parentheses: `!(row["a"] == 1)`.
///
/// For every tree, parsing what was printed gives the same tree, as long as the text keeps to
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
/// # Ok::<(), streamtable_schema::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// The table whose rows these are.
    pub source: ArtifactUri,
    /// What is done with the rows, first step first.
    pub steps: Vec<Step>,
}

impl Expr {
    /// Makes the expression of a table's own panel: all rows of its latest version.
    pub fn rows_of(table: TablePath) -> Self {
        Self { source: table.into(), steps: Vec::new() }
    }

    /// Adds a step at the end.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Returns the table whose own panel this is: all its rows, with no step and no suffix.
    ///
    /// The version makes no difference: the artifact of a table holds its name, not its rows.
    pub fn panel_table(&self) -> Option<&TablePath> {
        let is_panel = self.steps.is_empty() && self.source.suffix().is_none();
        is_panel.then(|| self.source.table())
    }
}

/// One thing done with rows.
///
/// The names of columns are any text, and a dot in one is only a dot. A column that the rows do
/// not have is not an error of the text: whoever runs the expression decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Keeps the rows for which the filter holds: `.filter((row) => …)`.
    Filter(Filter),
    /// Keeps the first rows, at most this many: `.limit(10)`.
    Limit(u64),
    /// Takes one column in the place of the rows: `["column"]`. Where the column holds structs,
    /// a further step sees them as its rows.
    Pick(String),
    /// Sorts by the first key, rows equal in it by the second, and so on:
    /// `.sort((row) => [row["a"], row["b"]], ["asc", "desc"])`.
    Sort(Vec<SortKey>),
}

/// A column to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column's name.
    pub column: String,
    /// Which end comes first.
    pub direction: Direction,
}

/// Which end of a column comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The smallest first: `"asc"`.
    Asc,
    /// The largest first: `"desc"`.
    Desc,
}
