//! The operators `->` and `->>`, which read fields of JSON text, as users of PostgreSQL know them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::common::metadata::FieldMetadata;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as SqlExpr, visit_expressions_mut};
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, udfs};
use streamtable_wire::{CELL_MARK, CellMark};

/// Lets the operators bind tighter than comparisons. The parser reads `o ->> 'a' = 'x'` as
/// `o ->> ('a' = 'x')`; parentheses that the query has are kept.
pub(super) fn bind_tightly(statement: &mut Statement) {
    match statement {
        Statement::Statement(sql) => {
            let _ = visit_expressions_mut(sql, |expr| {
                rotate(expr);
                ControlFlow::<()>::Continue(())
            });
        }
        Statement::Explain(explain) => bind_tightly(&mut explain.statement),
        // Other statements are refused when they are planned.
        _ => {}
    }
}

/// Turns `left -> (field = value)` into `(left -> field) = value`, and `(value = left) -> field` into
/// `value = (left -> field)`.
fn rotate(expr: &mut SqlExpr) {
    let place = descend(expr, |arrow| &mut arrow.right, first_operand);
    if let Some(place) = place {
        descend(place, |arrow| &mut arrow.left, last_operand);
    }
}

/// An operator of this module with its operands.
struct Arrow {
    left: Box<SqlExpr>,
    op: BinaryOperator,
    right: Box<SqlExpr>,
}

/// Replaces an operator by one of its operands, and moves it to the innermost operand of that, as `inner`
/// finds it. Returns the operator's new place; `None` if the expression is no such operator.
fn descend(
    expr: &mut SqlExpr,
    side: impl Fn(&mut Arrow) -> &mut Box<SqlExpr>,
    inner: impl Fn(&mut SqlExpr) -> Option<&mut SqlExpr>,
) -> Option<&mut SqlExpr> {
    let SqlExpr::BinaryOp { op: BinaryOperator::Arrow | BinaryOperator::LongArrow, .. } = expr
    else {
        return None;
    };
    let nothing = || SqlExpr::Tuple(Vec::new());
    let SqlExpr::BinaryOp { left, op, right } = std::mem::replace(expr, nothing()) else {
        return None;
    };
    let mut arrow = Arrow { left, op, right };
    *expr = std::mem::replace(&mut **side(&mut arrow), nothing());
    let mut place = expr;
    while inner(place).is_some() {
        place = inner(place)?;
    }
    **side(&mut arrow) = std::mem::replace(place, nothing());
    let Arrow { left, op, right } = arrow;
    *place = SqlExpr::BinaryOp { left, op, right };
    Some(place)
}

fn binds_less_tightly(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, StringConcat};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | StringConcat)
}

/// Returns the first operand of a comparison, or of another operation that binds less tightly.
fn first_operand(expr: &mut SqlExpr) -> Option<&mut SqlExpr> {
    match expr {
        SqlExpr::BinaryOp { left, op, .. } if binds_less_tightly(op) => Some(left),
        SqlExpr::IsDistinctFrom(left, _)
        | SqlExpr::IsNotDistinctFrom(left, _)
        | SqlExpr::IsNull(left)
        | SqlExpr::IsNotNull(left)
        | SqlExpr::IsTrue(left)
        | SqlExpr::IsNotTrue(left)
        | SqlExpr::IsFalse(left)
        | SqlExpr::IsNotFalse(left)
        | SqlExpr::InList { expr: left, .. }
        | SqlExpr::InSubquery { expr: left, .. }
        | SqlExpr::Between { expr: left, .. }
        | SqlExpr::Like { expr: left, .. }
        | SqlExpr::ILike { expr: left, .. }
        | SqlExpr::SimilarTo { expr: left, .. } => Some(left),
        _ => None,
    }
}

/// Returns the last operand of such an operation.
fn last_operand(expr: &mut SqlExpr) -> Option<&mut SqlExpr> {
    match expr {
        SqlExpr::BinaryOp { right, op, .. } if binds_less_tightly(op) => Some(right),
        SqlExpr::IsDistinctFrom(_, right)
        | SqlExpr::IsNotDistinctFrom(_, right)
        | SqlExpr::Between { high: right, .. }
        | SqlExpr::Like { pattern: right, .. }
        | SqlExpr::ILike { pattern: right, .. }
        | SqlExpr::SimilarTo { pattern: right, .. } => Some(right),
        _ => None,
    }
}

/// Makes JSON text of the columns of a result that are unions, the type of `->` and `json_get`. Of the
/// formats of results, only Arrow has it.
pub(super) fn results_as_text(plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = plan.schema();
    if !schema.fields().iter().any(|field| *field.data_type() == *JSON_UNION_DATA_TYPE) {
        return Ok(plan);
    }
    let mark = HashMap::from([(CELL_MARK.to_owned(), CellMark::Json.name().to_owned())]);
    let columns = schema.columns().into_iter().zip(schema.fields().to_vec());
    let columns = columns.map(|(column, field)| {
        if *field.data_type() != *JSON_UNION_DATA_TYPE {
            return Expr::Column(column);
        }
        let (relation, name) = (column.relation.clone(), column.name.clone());
        let text = udfs::json_union_to_text_udf().call(vec![Expr::Column(column)]);
        let metadata = Some(FieldMetadata::from(mark.clone()));
        text.alias_qualified_with_metadata(relation, name, metadata)
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    #[track_caller]
    fn check(condition: &str, expected: &str) {
        let mut statements =
            DFParser::parse_sql(&format!("SELECT 1 FROM t WHERE {condition}")).unwrap();
        bind_tightly(&mut statements[0]);
        assert_eq!(shown(&statements[0]), expected, "{condition}");
    }

    /// Returns the condition with parentheses around each use of the operators.
    fn shown(statement: &Statement) -> String {
        let mut statement = statement.clone();
        let Statement::Statement(sql) = &mut statement else { panic!("{statement}") };
        let _ = visit_expressions_mut(sql, |expr| {
            if let SqlExpr::BinaryOp {
                op: BinaryOperator::Arrow | BinaryOperator::LongArrow, ..
            } = expr
            {
                let inner = std::mem::replace(expr, SqlExpr::Tuple(Vec::new()));
                *expr = SqlExpr::Nested(Box::new(inner));
            }
            ControlFlow::<()>::Continue(())
        });
        let text = statement.to_string();
        text.strip_prefix("SELECT 1 FROM t WHERE ").unwrap().to_owned()
    }

    #[test]
    fn the_operators_bind_tighter_than_comparisons() {
        check("o ->> 'a' = 'x'", "(o ->> 'a') = 'x'");
        check("o -> 'a' -> 'b' > 1", "((o -> 'a') -> 'b') > 1");
        check("o ->> 'a' IS NOT NULL", "(o ->> 'a') IS NOT NULL");
        check("o ->> 'a' IN ('x', 'y')", "(o ->> 'a') IN ('x', 'y')");
        check(
            "o ->> 'a' LIKE 'x%' AND NOT o -> 'b' IS NULL",
            "(o ->> 'a') LIKE 'x%' AND NOT (o -> 'b') IS NULL",
        );
        check("o ->> 'a' || '!' = 'x!'", "(o ->> 'a') || '!' = 'x!'");
        check("o ->> 'a' BETWEEN 'a' AND 'b' OR p", "(o ->> 'a') BETWEEN 'a' AND 'b' OR p");
        check("o ->> ('a' = 'x')", "(o ->> ('a' = 'x'))");
        check("1 = o -> 'n'", "1 = (o -> 'n')");
        check("a ->> 'x' = b ->> 'y'", "(a ->> 'x') = (b ->> 'y')");
        check("'a' || o ->> 'n' = 'ax'", "'a' || (o ->> 'n') = 'ax'");
    }
}
