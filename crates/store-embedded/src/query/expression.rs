//! Checks expressions from users before they become part of a query.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, FunctionArguments, Query, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use streamtable_store::StoreError;

/// The stack size for the parser. Only the used part takes memory.
const STACK_BYTES: usize = 16 << 20;

/// Puts a text in parentheses if it is one expression over the cells of a row, so that it can be
/// inserted into a query without changing its meaning.
///
/// Subqueries, window functions and `*` are refused. Columns and functions are looked up when the
/// query is planned. [`Query::row_expression`](streamtable_store::Query::row_expression) calls it.
pub fn row_expression(text: &str) -> Result<String, StoreError> {
    super::sql_limits::EXPRESSION.check(text)?;
    // The caller's thread may have a small stack, and the parser's tree is dropped recursively.
    stacker::grow(STACK_BYTES, || check(text))?;
    // The check found anything left open in the text, except a comment that ends with its line.
    Ok(format!("({text}\n)"))
}

fn check(text: &str) -> Result<(), StoreError> {
    let refuse = |message: String| StoreError::Query { message };
    let failed = |error: &dyn std::fmt::Display| refuse(error.to_string());
    let mut parser =
        Parser::new(&GenericDialect {}).try_with_sql(text).map_err(|error| failed(&error))?;
    let expr = parser.parse_expr().map_err(|error| failed(&error))?;
    parser.expect_token(&Token::EOF).map_err(|error| failed(&error))?;
    if let ControlFlow::Break(what) = expr.visit(&mut Plain) {
        return Err(refuse(format!("an expression holds no {what}")));
    }
    Ok(())
}

/// Finds syntax that is not allowed in an expression over one row.
struct Plain;

impl Visitor for Plain {
    type Break = &'static str;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        ControlFlow::Break("query")
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(function) if function.over.is_some() => ControlFlow::Break("window"),
            Expr::Function(function) if matches!(function.args, FunctionArguments::Subquery(_)) => {
                ControlFlow::Break("query")
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => ControlFlow::Break("star"),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_taken: bool) {
        assert_eq!(row_expression(text).is_ok(), is_taken, "{text}");
    }

    #[test]
    fn expressions() {
        for text in [
            "1",
            "\"a\" + 1 -- and one",
            "upper(\"it\"\"s\") || ') --'",
            "case when \"x\" > 1 then 'a' else 'b' end",
            "\"mixed\"['n'] / 2 /* half */",
        ] {
            check(text, true);
        }
        for text in [
            "",
            "1, 2",
            "1) from t --",
            "(select 1)",
            "exists (select 1)",
            "1 in (select a from t)",
            "array(select 1)",
            "sum(a) over ()",
            "count(*) over (order by a)",
            "*",
            "t.*",
            "'open",
            "\"open",
            "1 /* open",
            "1; drop table t",
            "1 as b",
        ] {
            check(text, false);
        }
        check(&"(".repeat(20_000), false);
        check(&format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000)), false);
    }
}
