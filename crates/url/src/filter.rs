//! The tree of a filter: what is asked of a row.

use std::ops::{Deref, Not};

/// A question about one row, answered by yes or no.
///
/// ```
/// use streamtable_url::{Comparison, Filter, Operand};
///
/// let wrong = Filter::Compare {
///     left: Operand::Column("truth".into()),
///     op: Comparison::Ne,
///     right: Operand::Column("prediction".into()),
/// };
/// let seven = Filter::Contains { column: "note".into(), text: "seven".into() };
/// assert_eq!(
///     wrong.and(!seven).to_string(),
///     r#"row["truth"] != row["prediction"] and !row["note"].contains("seven")"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Compares two operands. Next to `null`, `==` and `!=` ask whether a cell holds nothing.
    Compare {
        /// What stands before the sign.
        left: Operand,
        /// The sign.
        op: Comparison,
        /// What stands after the sign.
        right: Operand,
    },
    /// Whether a column's text contains another, letter by letter: `row["a"].contains("b")`.
    Contains {
        /// The column's name.
        column: String,
        /// The text to look for.
        text: String,
    },
    /// Whether another filter does not hold.
    Not(Box<Self>),
    /// Whether all members hold.
    And(Group),
    /// Whether at least one member holds.
    Or(Group),
}

impl Filter {
    /// Makes the filter that holds where both do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let members = |filter| match filter {
            Self::And(group) => group.0,
            other => vec![other],
        };
        let mut all = members(self);
        all.extend(members(other));
        Self::And(Group(all))
    }

    /// Makes the filter that holds where at least one of both does.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let members = |filter| match filter {
            Self::Or(group) => group.0,
            other => vec![other],
        };
        let mut all = members(self);
        all.extend(members(other));
        Self::Or(Group(all))
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// The members of a [`Filter::And`] or [`Filter::Or`], made by [`Filter::and`] and
/// [`Filter::or`].
///
/// Invariant: two members or more, and none is a group of the same kind as the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Group(Vec<Filter>);

impl Deref for Group {
    type Target = [Filter];

    fn deref(&self) -> &[Filter] {
        &self.0
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// What the row holds in the column of this name: `row["column"]`.
    Column(String),
    /// A fixed value.
    Literal(Literal),
}

/// A fixed value in a comparison.
///
/// Two literals are equal when they are written alike: `NaN` equals `NaN`.
#[derive(Clone, Debug)]
pub enum Literal {
    /// `null`: nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without point or exponent.
    Int(i128),
    /// A number with point or exponent, `NaN`, `Infinity` or `-Infinity`.
    Float(f64),
    /// A text.
    String(String),
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            _ => false,
        }
    }
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Comparison {
    // A sign stands before the signs that it starts with, so that the first match is the longest.
    pub(crate) const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Le, Self::Lt, Self::Ge, Self::Gt];

    /// Returns the sign as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}
