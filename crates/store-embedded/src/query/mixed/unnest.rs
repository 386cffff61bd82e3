//! `unnest` of columns of lists, which are JSON text while a query is planned.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Subscript, Value,
    visit_expressions_mut,
};

/// Makes the columns in `unnest` lists: of whole slices, which are planned as lists. The engine's planner
/// computes the type of this argument without asking any other planner.
pub(in crate::query) fn with_lists(mut statement: Statement) -> Statement {
    if let Statement::Statement(sql) = &mut statement {
        let _ = visit_expressions_mut(sql, |expr| {
            if let Some(argument) = argument(expr) {
                *argument = whole_slice(argument.clone());
            }
            ControlFlow::<()>::Continue(())
        });
    }
    statement
}

/// Returns the column in `unnest`.
fn argument(expr: &mut Expr) -> Option<&mut Expr> {
    let Expr::Function(call) = expr else { return None };
    if !["unnest", "unnest_outer"].contains(&call.name.to_string().as_str()) {
        return None;
    }
    let FunctionArguments::List(list) = &mut call.args else { return None };
    match &mut list.args[..] {
        [
            FunctionArg::Unnamed(FunctionArgExpr::Expr(
                argument @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)),
            )),
        ] => Some(argument),
        _ => None,
    }
}

fn whole_slice(list: Expr) -> Expr {
    let number = |n: i64| Some(Expr::value(Value::Number(n.to_string(), false)));
    let slice = Subscript::Slice {
        lower_bound: number(1),
        upper_bound: number(i64::from(i32::MAX)),
        stride: None,
    };
    Expr::CompoundFieldAccess {
        root: Box::new(list),
        access_chain: vec![AccessExpr::Subscript(slice)],
    }
}
