//! The parser of expressions: one function per rule of the grammar that is documented at [`Expr`].

use std::str::FromStr;

use crate::scan::Scanner;
use crate::{
    Comparison, Direction, Expr, Filter, Literal, Operand, ParseError, Reason, SortKey, Step,
};

/// Maximum length of an expression's text in bytes. A longer text is an error.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Maximum nesting depth of parentheses and negations in a filter. Deeper nesting is an error.
pub const MAX_FILTER_DEPTH: usize = 64;

type Result<T> = std::result::Result<T, ParseError>;

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ParseError::new(text, 0, Reason::TooLong { bytes: text.len() }));
        }
        expr(&mut Scanner::new(text))
    }
}

fn expr(s: &mut Scanner<'_>) -> Result<Expr> {
    s.expect("get")?;
    s.expect("(")?;
    let at = s.position();
    let source = s.string()?.parse().map_err(|error| s.error(at, Reason::Uri(error)))?;
    s.expect(")")?;
    if !(s.eat(".") && s.eat("rows")) {
        return Err(s.expected("`.rows`"));
    }
    let mut steps = Vec::new();
    while s.peek().is_some() {
        steps.push(step(s)?);
    }
    Ok(Expr { source, steps })
}

fn step(s: &mut Scanner<'_>) -> Result<Step> {
    if s.eat("[") {
        let column = s.string()?;
        s.expect("]")?;
        return Ok(Step::Pick(column));
    }
    if !s.eat(".") {
        return Err(s.expected("`.`, `[` or the end"));
    }
    let method = if s.eat("filter") {
        filter
    } else if s.eat("limit") {
        limit
    } else if s.eat("sort") {
        sort
    } else {
        return Err(s.expected("`filter`, `limit` or `sort`"));
    };
    s.expect("(")?;
    let step = method(s)?;
    s.expect(")")?;
    Ok(step)
}

fn limit(s: &mut Scanner<'_>) -> Result<Step> {
    let at = s.position();
    match s.number() {
        Ok(Literal::Int(rows)) => u64::try_from(rows).ok(),
        _ => None,
    }
    .map(Step::Limit)
    .ok_or_else(|| s.expected_at(at, "a number of rows"))
}

fn sort(s: &mut Scanner<'_>) -> Result<Step> {
    lambda(s)?;
    let columns = list(s, column)?;
    s.expect(",")?;
    let at = s.position();
    let directions = list(s, direction)?;
    if columns.len() != directions.len() {
        let (columns, directions) = (columns.len(), directions.len());
        return Err(s.error(at, Reason::Directions { columns, directions }));
    }
    let keys = columns.into_iter().zip(directions);
    Ok(Step::Sort(keys.map(|(column, direction)| SortKey { column, direction }).collect()))
}

fn direction(s: &mut Scanner<'_>) -> Result<Direction> {
    let at = s.position();
    match s.string()?.as_str() {
        "asc" => Ok(Direction::Asc),
        "desc" => Ok(Direction::Desc),
        _ => Err(s.expected_at(at, "`\"asc\"` or `\"desc\"`")),
    }
}

fn filter(s: &mut Scanner<'_>) -> Result<Step> {
    lambda(s)?;
    any(s, 0).map(Step::Filter)
}

fn any(s: &mut Scanner<'_>, depth: usize) -> Result<Filter> {
    let mut filter = all(s, depth)?;
    while s.eat("or") || s.eat("||") {
        filter = filter.or(all(s, depth)?);
    }
    Ok(filter)
}

fn all(s: &mut Scanner<'_>, depth: usize) -> Result<Filter> {
    let mut filter = one(s, depth, false)?;
    while s.eat("and") || s.eat("&&") {
        filter = filter.and(one(s, depth, false)?);
    }
    Ok(filter)
}

fn one(s: &mut Scanner<'_>, depth: usize, is_negated: bool) -> Result<Filter> {
    let at = s.position();
    if depth > MAX_FILTER_DEPTH {
        return Err(s.error(at, Reason::TooDeep));
    }
    if s.eat("!") {
        return Ok(!one(s, depth + 1, true)?);
    }
    if s.eat("(") {
        let filter = any(s, depth + 1)?;
        s.expect(")")?;
        return Ok(filter);
    }
    let left = operand(s)?;
    if let Operand::Column(column) = &left
        && s.eat(".")
    {
        s.expect("contains")?;
        s.expect("(")?;
        let text = s.string()?;
        s.expect(")")?;
        return Ok(Filter::Contains { column: column.clone(), text });
    }
    // In Weave, `!a == b` negates `a`; parentheses make the meaning explicit.
    if is_negated {
        return Err(s.expected("`.contains`, or parentheses around the negated comparison"));
    }
    let op = Comparison::ALL.into_iter().find(|op| s.eat(op.as_str()));
    let op = op.ok_or_else(|| s.expected("a comparison"))?;
    Ok(Filter::Compare { left, op, right: operand(s)? })
}

fn operand(s: &mut Scanner<'_>) -> Result<Operand> {
    let words = [
        ("null", Literal::Null),
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
        ("NaN", Literal::Float(f64::NAN)),
        ("Infinity", Literal::Float(f64::INFINITY)),
    ];
    match s.peek() {
        Some('r') => return column(s).map(Operand::Column),
        Some('"' | '\'') => s.string().map(Literal::String),
        Some('-' | '0'..='9') => s.number(),
        _ => words
            .into_iter()
            .find_map(|(word, literal)| s.eat(word).then_some(literal))
            .ok_or_else(|| s.expected("a column or a value")),
    }
    .map(Operand::Literal)
}

fn column(s: &mut Scanner<'_>) -> Result<String> {
    s.expect("row")?;
    s.expect("[")?;
    let name = s.string()?;
    s.expect("]")?;
    Ok(name)
}

fn lambda(s: &mut Scanner<'_>) -> Result<()> {
    ["(", "row", ")", "=>"].into_iter().try_for_each(|token| s.expect(token))
}

fn list<T>(s: &mut Scanner<'_>, item: fn(&mut Scanner<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut items = Vec::new();
    s.expect("[")?;
    if s.eat("]") {
        return Ok(items);
    }
    loop {
        items.push(item(s)?);
        if s.eat("]") {
            return Ok(items);
        }
        if !s.eat(",") {
            return Err(s.expected("`,` or `]`"));
        }
    }
}

#[cfg(test)]
mod tests;
