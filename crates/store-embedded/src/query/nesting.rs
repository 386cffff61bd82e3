//! A bound on nested expressions whose planning time doubles with each level.
//!
//! The planner asks an expression for its type and for whether it can be null separately, and some
//! kinds of expressions ask their operands both for each question: `n` of them inside each other take
//! 2ⁿ steps. No step checks the time, so such a query would keep a planning thread for hours.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Function, Visitor};
use streamtable_store::StoreError;

use super::sql_limits;

/// The maximum number of steps for one expression.
const MAX_STEPS: u64 = 1 << 16;

const TOO_DEEP: &str = "the SQL has too many casts, conditions and functions such as coalesce inside \
    each other; compute the inner ones in a subquery";

/// Functions that are planned as a condition.
const CONDITIONS: [&str; 4] = ["coalesce", "ifnull", "nvl", "nvl2"];

/// Refuses a statement with an expression that takes too many steps to plan.
pub(super) fn check(statement: &Statement) -> Result<(), StoreError> {
    sql_limits::visit(statement, Steps::default())
}

/// Counts the steps of the expressions that are being visited.
#[derive(Debug, Default)]
struct Steps {
    /// The expressions that are open, the innermost last.
    open: Vec<Open>,
}

/// The operands of an expression that were visited.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    steps: u64,
    /// Whether the value of an operand is that of a `CASE`.
    has_case: bool,
    /// Whether the value of an operand is that of a cast.
    has_cast: bool,
}

impl Visitor for Steps {
    type Break = String;

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<String> {
        self.open.push(Open::default());
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        let operands = self.open.pop().unwrap_or_default();
        let steps = match operands.steps {
            0 if is_leaf(expr) => 0,
            steps => steps.saturating_mul(factor(expr, operands)).saturating_add(1),
        };
        if steps > MAX_STEPS {
            return ControlFlow::Break(TOO_DEEP.to_owned());
        }
        if let Some(around) = self.open.last_mut() {
            around.steps = around.steps.saturating_add(steps);
            let is_nested = matches!(expr, Expr::Nested(_));
            around.has_case |= matches!(expr, Expr::Case { .. }) || is_nested && operands.has_case;
            around.has_cast |= matches!(expr, Expr::Cast { .. }) || is_nested && operands.has_cast;
        }
        ControlFlow::Continue(())
    }
}

fn is_leaf(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_))
}

/// Returns how many times planning an expression plans its operands, as measured.
fn factor(expr: &Expr, operands: Open) -> u64 {
    match expr {
        Expr::Cast { .. } if operands.has_cast => 1,
        Expr::Between { .. } => 3,
        Expr::Cast { .. }
        | Expr::UnaryOp { .. }
        | Expr::InList { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::Extract { .. }
        | Expr::AtTimeZone { .. }
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_) => 2,
        Expr::Function(function) if is_condition(function) => 2,
        Expr::Nested(_) | Expr::Case { .. } => 1,
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => 1,
        _ if operands.has_case => 2,
        _ => 1,
    }
}

fn is_condition(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.is_some_and(|name| CONDITIONS.iter().any(|it| name.value.eq_ignore_ascii_case(it)))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;

    use super::*;

    /// Puts an expression into another one.
    type Around<'a> = &'a dyn Fn(&str) -> String;

    #[track_caller]
    fn is_allowed(expr: &str) -> bool {
        let sql = format!("select {expr} from t");
        check(&DFParser::parse_sql(&sql).unwrap().pop_front().unwrap()).is_ok()
    }

    fn nested(levels: usize, around: Around<'_>) -> String {
        (0..levels).fold("a".to_owned(), |inner, _| around(&inner))
    }

    #[test]
    fn expressions_that_double_are_refused() {
        let doubling: [(Around<'_>, usize); 7] = [
            (&|it| format!("cast(-cast({it} as int) as varchar)"), 8),
            (&|it| format!("coalesce({it}, 'x')"), 17),
            (&|it| format!("NVL({it}, 'x')"), 17),
            (&|it| format!("upper(case when a = 'a' then {it} else 'b' end)"), 17),
            (&|it| format!("{it} in ('a', 'b')"), 17),
            (&|it| format!("{it} is distinct from 'a'"), 17),
            (&|it| format!("{it} = any(['a', 'b']) is true"), 9),
        ];
        for (around, levels) in doubling {
            assert!(is_allowed(&nested(4, around)), "{}", around("a"));
            assert!(!is_allowed(&nested(levels, around)), "{}", around("a"));
        }
    }

    #[test]
    fn long_and_plainly_nested_expressions_are_allowed() {
        let plain: [Around<'_>; 5] = [
            &|it| format!("{it}::int"),
            &|it| format!("replace({it}, 'x', 'y')"),
            &|it| format!("case when a = 'a' then 'x' else {it} end"),
            &|it| format!("{it} || 'x'"),
            &|it| format!("({it})"),
        ];
        for around in plain {
            assert!(is_allowed(&nested(24, around)), "{}", around("a"));
        }
        assert!(is_allowed(&vec!["cast(a as int)"; 2_000].join(" + ")));
        assert!(is_allowed(&vec!["a = 1"; 1_000].join(" and ")));
        assert!(is_allowed(&format!("a in ({})", vec!["1"; 49_000].join(","))));
    }
}
