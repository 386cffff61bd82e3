//! The syntax tree of a filter.

use std::ops::{Deref, Not};

/// A condition on one row.
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
    /// Compares two operands. With `null`, `==` and `!=` test whether a cell is null.
    Compare {
        /// The left operand.
        left: Operand,
        /// The operator.
        op: Comparison,
        /// The right operand.
        right: Operand,
    },
    /// Tests whether a column's text contains another, case-sensitively: `row["a"].contains("b")`.
    Contains {
        /// The column's name.
        column: String,
        /// The text to look for.
        text: String,
    },
    /// Negates another filter.
    Not(Box<Self>),
    /// True if all members are true.
    And(Group),
    /// True if at least one member is true.
    Or(Group),
}

impl Filter {
    /// Makes the filter that is true if both are.
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

    /// Makes the filter that is true if at least one is.
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

/// The members of a [`Filter::And`] or [`Filter::Or`], made by [`Filter::and`] and [`Filter::or`].
///
/// Invariant: at least two members, and no member is a group of the same kind.
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
    /// The row's cell in this column: `row["column"]`.
    Column(String),
    /// A constant.
    Literal(Literal),
}

/// A constant in a comparison.
///
/// Two literals are equal if they are written alike: `NaN` equals `NaN`.
#[derive(Clone, Debug)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without decimal point and exponent.
    Int(i128),
    /// A number with decimal point or exponent, `NaN`, `Infinity` or `-Infinity`.
    Float(f64),
    /// A string.
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

/// A comparison operator.
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
    // Ordered so that no operator comes after one of its prefixes: the first match is the longest.
    pub(crate) const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Le, Self::Lt, Self::Ge, Self::Gt];

    /// Returns the operator as text.
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
