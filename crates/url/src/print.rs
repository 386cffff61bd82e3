//! Printing of expressions. The layout is Weave's: a link to a table's panel must be byte for byte
//! the same as its clients print it.

use std::fmt::{self, Display, Formatter, Write};

use crate::{Direction, Expr, Filter, Literal, Operand, Step};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "get(\n    {})\n  .rows", Quoted(&self.source.to_string()))?;
        self.steps.iter().try_for_each(|step| print_step(f, step))
    }
}

/// Prints a step and its separator.
fn print_step(f: &mut Formatter<'_>, step: &Step) -> fmt::Result {
    match step {
        Step::Filter(filter) => write!(f, "\n  .filter((row) => {filter})"),
        Step::Limit(rows) => write!(f, "\n  .limit({rows})"),
        Step::Pick(column) => write!(f, "[{}]", Quoted(column)),
        Step::Sort(keys) => {
            f.write_str("\n  .sort((row) => [")?;
            join(f, ", ", keys.iter().map(|key| Column(&key.column)))?;
            f.write_str("], [")?;
            join(f, ", ", keys.iter().map(|key| direction(key.direction)))?;
            f.write_str("])")
        }
    }
}

fn direction(direction: Direction) -> Quoted<'static> {
    Quoted(match direction {
        Direction::Asc => "asc",
        Direction::Desc => "desc",
    })
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare { left, op, right } => write!(f, "{left} {} {right}", op.as_str()),
            Self::Contains { column, text } => {
                write!(f, "{}.contains({})", Column(column), Quoted(text))
            }
            Self::Not(filter) => match **filter {
                Self::Contains { .. } | Self::Not(_) => write!(f, "!{filter}"),
                _ => write!(f, "!({filter})"),
            },
            Self::And(group) => join(f, " and ", group.iter().map(Factor)),
            Self::Or(group) => join(f, " or ", group.iter()),
        }
    }
}

/// A member of an `and`, which binds more tightly than `or`.
struct Factor<'a>(&'a Filter);

impl Display for Factor<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::Or(_) => write!(f, "({})", self.0),
            filter => filter.fmt(f),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => Column(name).fmt(f),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) if value.is_infinite() => {
                f.write_str(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            // `Debug` keeps the decimal point of a whole number, so it is parsed as a float again.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::String(value) => Quoted(value).fmt(f),
        }
    }
}

struct Column<'a>(&'a str);

impl Display for Column<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "row[{}]", Quoted(self.0))
    }
}

/// A string literal, written as in JSON.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

fn join<T: Display>(
    f: &mut Formatter<'_>,
    separator: &str,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (n, item) in items.enumerate() {
        if n > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
