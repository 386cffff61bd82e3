//! Parts of SQL statements. Names and values are untrusted: only this module turns them into SQL.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::config::{Filter, Term, ViewConfig};
use crate::error::LiveError;
use crate::proto::SortOp;
use crate::shape::{Column, Shape};

/// Returns a name as a quoted identifier.
pub(crate) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a text as a string literal.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a number as SQL.
pub(crate) fn number(x: f64) -> String {
    if x.is_finite() {
        format!("CAST('{x:e}' AS DOUBLE)")
    } else if x.is_nan() {
        "CAST('NaN' AS DOUBLE)".to_owned()
    } else if x > 0.0 {
        "CAST('Infinity' AS DOUBLE)".to_owned()
    } else {
        "CAST('-Infinity' AS DOUBLE)".to_owned()
    }
}

/// Returns an instant, given in microseconds since 1970, as SQL.
fn instant(micros: i64) -> String {
    format!("arrow_cast({micros}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

/// Returns the condition for a view's filters; `None` if there are none.
///
/// A filter without a value accepts all rows, as in the page.
pub(crate) fn condition(
    config: &ViewConfig,
    columns: &[Column],
) -> Result<Option<String>, LiveError> {
    let mut conditions = Vec::new();
    for filter in &config.filter {
        let column = Column::find(columns, &filter.column)?;
        conditions.extend(one_filter(filter, column)?);
    }
    let joined = conditions.join(if config.any_filter { " OR " } else { " AND " });
    Ok(Some(joined).filter(|joined| !joined.is_empty()))
}

fn one_filter(filter: &Filter, column: &Column) -> Result<Option<String>, LiveError> {
    let this = column.value();
    match filter.op.as_str() {
        "is null" => return Ok(Some(format!("({this} IS NULL)"))),
        "is not null" => return Ok(Some(format!("({this} IS NOT NULL)"))),
        _ => {}
    }
    let terms: Vec<&Term> =
        filter.terms.iter().filter(|term| !matches!(term, Term::Null(()))).collect();
    let Some(&first) = terms.first() else { return Ok(None) };
    let compare = |op: &str| -> Result<String, LiveError> {
        let (left, right) = operands(column, first, op)?;
        Ok(format!("({left} {op} {right})"))
    };
    let like = |pattern: &dyn Fn(String) -> String, is_not: bool| {
        let pattern = text(&pattern(like_literal(&term_text(first))));
        let not = if is_not { "NOT " } else { "" };
        format!("({} {not}ILIKE {pattern})", column.text())
    };
    let begins = |term: String| format!("{term}%");
    let ends = |term: String| format!("%{term}");
    let contains = |is_not: bool| {
        let term = term_text(first);
        if !term.is_ascii() {
            // `icontains` ignores case only for ASCII letters.
            return like(&|term| format!("%{term}%"), is_not);
        }
        let not = if is_not { "NOT " } else { "" };
        format!("({not}icontains({}, {}))", column.text(), text(&term))
    };
    Ok(Some(match filter.op.as_str() {
        "==" => compare("=")?,
        "!=" => format!("({} OR {this} IS NULL)", compare("<>")?),
        op @ (">" | ">=" | "<" | "<=") => compare(op)?,
        "in" | "not in" => {
            let any = terms.iter().map(|term| {
                let (left, right) = operands(column, term, "=")?;
                Ok(format!("{left} = {right}"))
            });
            let any = any.collect::<Result<Vec<_>, LiveError>>()?.join(" OR ");
            match filter.op.as_str() {
                "in" => format!("({any})"),
                _ => format!("(({any}) IS NOT TRUE)"),
            }
        }
        "begins with" => like(&begins, false),
        "not begins with" => like(&begins, true),
        "ends with" => like(&ends, false),
        "not ends with" => like(&ends, true),
        "contains" => contains(false),
        "not contains" => contains(true),
        op => return Err(LiveError::refused(format!("unknown filter {op:?}"))),
    }))
}

/// Returns the two operands of a comparison.
fn operands(column: &Column, term: &Term, op: &str) -> Result<(String, String), LiveError> {
    let wrong = || {
        let (value, column) = (term_text(term), &column.name);
        LiveError::refused(format!("{value:?} is not a value of the column {column:?}"))
    };
    Ok(match column.shape {
        Shape::Bool => match term {
            Term::Bool(it) => (column.value(), it.to_string()),
            _ => match term_text(term).as_str() {
                "true" | "1" => (column.value(), "true".to_owned()),
                "false" | "0" => (column.value(), "false".to_owned()),
                _ => return Err(wrong()),
            },
        },
        Shape::Int { .. } => match term_text(term).trim().parse::<i64>() {
            Ok(n) => (column.value(), format!("CAST('{n}' AS BIGINT)")),
            Err(_) => (
                format!("CAST({} AS DOUBLE)", column.value()),
                number(term_number(term).ok_or_else(wrong)?),
            ),
        },
        Shape::Float => (column.value(), number(term_number(term).ok_or_else(wrong)?)),
        Shape::Time => (column.value(), instant(term_instant(term).ok_or_else(wrong)?)),
        Shape::Date => {
            let micros = term_instant(term).ok_or_else(wrong)?;
            (
                format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", column.value()),
                instant(micros),
            )
        }
        // In a column with several types, numbers are compared as numbers.
        Shape::Mixed if column.has_number() && op != "=" && op != "<>" => match term_number(term) {
            Some(x) => (column.number(), number(x)),
            None => (column.text(), text(&term_text(term))),
        },
        Shape::Text | Shape::Mixed | Shape::Media | Shape::Other => {
            (column.text(), text(&term_text(term)))
        }
    })
}

fn term_text(term: &Term) -> String {
    match term {
        Term::Bool(it) => it.to_string(),
        Term::Number(x) => x.to_string(),
        Term::Text(text) => text.clone(),
        Term::Null(()) => String::new(),
    }
}

fn term_number(term: &Term) -> Option<f64> {
    match term {
        Term::Number(x) => Some(*x),
        Term::Text(text) => match text.trim() {
            "∞" => Some(f64::INFINITY),
            "−∞" | "-∞" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        Term::Bool(_) | Term::Null(()) => None,
    }
}

/// Parses an instant: milliseconds, RFC 3339, or a date with an optional time, in UTC by default.
fn term_instant(term: &Term) -> Option<i64> {
    let text = match term {
        Term::Number(millis) if millis.is_finite() && millis.abs() < 9e15 => {
            return Some((millis * 1e3) as i64);
        }
        Term::Text(text) => text.trim(),
        _ => return None,
    };
    let civil = || -> Option<Timestamp> {
        let time = text.parse::<DateTime>().ok();
        let time = time.or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)))?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    Some(text.parse::<Timestamp>().ok().or_else(civil)?.as_microsecond())
}

/// Escapes a text for a `LIKE` pattern.
fn like_literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '%' | '_') {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

/// Returns the sort keys as SQL; empty if rows stay in table order.
pub(crate) fn order(config: &ViewConfig, columns: &[Column]) -> Result<Vec<String>, LiveError> {
    let mut keys = Vec::new();
    for (sorted, op) in &config.sort {
        let column = Column::find(columns, sorted)?;
        let Some((is_descending, is_absolute)) = direction(*op) else { continue };
        let direction = if is_descending { "DESC NULLS LAST" } else { "ASC NULLS FIRST" };
        for key in column.sort_keys() {
            let key = if is_absolute && column.is_number() { format!("abs({key})") } else { key };
            keys.push(format!("{key} {direction}"));
        }
    }
    Ok(keys)
}

/// Returns whether rows are sorted in descending order, and whether by absolute value; `None` if
/// only columns are sorted.
pub(crate) fn direction(op: SortOp) -> Option<(bool, bool)> {
    Some(match op {
        SortOp::Asc => (false, false),
        SortOp::Desc => (true, false),
        SortOp::AscAbs => (false, true),
        SortOp::DescAbs => (true, true),
        SortOp::None
        | SortOp::ColAsc
        | SortOp::ColDesc
        | SortOp::ColAscAbs
        | SortOp::ColDescAbs => return None,
    })
}
