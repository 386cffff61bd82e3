//! Planning of queries on mixed columns, and of columns of lists and structs.
//!
//! The engine's planner computes the type of each operator while it reads the query, and refuses
//! operators on structs. So operands are marked, by a cast with metadata, as having the type that
//! the rules take of them. [`resolve`](super::resolve()) removes the marks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ExprSchema as _, Result, ScalarValue};
use datafusion::functions::core::overlay;
use datafusion::functions::datetime::date_part;
use datafusion::functions::unicode::{strpos, substr};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable as _, GetFieldAccess, ScalarUDF, lit};
use datafusion_functions_json::udfs;

use super::KnownColumns;
use super::accepting::accepting;
use super::part::{Part, parts};
use super::rules::{Operand, Operators, Taken};

/// The key in the metadata of the casts that mark operands.
const MARK: &str = "streamtable.operand";

/// The value under it for columns of lists.
const LIST: &str = "list";

/// Marks the operands of operators on mixed cells, so that they can be planned.
#[derive(Debug)]
pub(in crate::query) struct Operands {
    known: Arc<KnownColumns>,
}

impl Operands {
    pub(in crate::query) fn new(known: Arc<KnownColumns>) -> Self {
        Self { known }
    }

    fn call(&self, function: Arc<ScalarUDF>, args: Vec<Expr>) -> PlannerResult<Vec<Expr>> {
        let call = ScalarFunction::new_udf(accepting(function, &self.known), args);
        match self.known.has_mixed() {
            true => PlannerResult::Planned(Expr::ScalarFunction(call)),
            false => PlannerResult::Original(call.args),
        }
    }
}

impl ExprPlanner for Operands {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let may_be = self.known.has_mixed() && (may_be_mixed(&left) || may_be_mixed(&right));
        let operators = Operators::of_sql(&op).filter(|_| may_be);
        let original = |left, right| Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        let Some(operators) = operators else { return original(left, right) };
        let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema))
        else {
            return original(left, right);
        };
        if parts(&left_type).is_none() && parts(&right_type).is_none() {
            return original(left, right);
        }
        let operands = [(&left, &left_type), (&right, &right_type)]
            .map(|(expr, ty)| Operand { ty, literal: literal(expr) });
        let taken = operators.take(operands).map_err(|unfit| {
            unfit.error(&[&left, &right][unfit.operand].schema_name().to_string())
        })?;
        let Some([left_taken, right_taken]) = taken.and_then(|it| <[Taken; 2]>::try_from(it).ok())
        else {
            return original(left, right);
        };
        original(mark(left, &left_type, &left_taken), mark(right, &right_type, &right_taken))
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = expr;
        let column = match &expr {
            Expr::Column(column) => Some(column),
            _ => None,
        };
        let is_text = |column: &Column| {
            schema
                .field_from_column(column)
                .is_ok_and(|it| Part::of(it.data_type()) == Some(Part::Text))
        };
        let Some(column) = column.filter(|column| is_text(column)) else {
            return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
        };
        if let GetFieldAccess::NamedStructField { name } = &field_access {
            let field = name.try_as_str().flatten().unwrap_or_default();
            if let Some(reader) = self.known.field_reader(&column.name, field) {
                let title = format!("{}[{field}]", column.quoted_flat_name());
                let read = json_function(reader).call(vec![expr, lit(field)]);
                return Ok(PlannerResult::Planned(read.alias(title)));
            }
        } else if let Some(list) = self.known.list(&column.name) {
            let expr = marked(expr, list, LIST);
            return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
        }
        Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call(date_part(), args))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call(strpos(), args))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call(substr(), args))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call(overlay(), args))
    }
}

/// Returns whether an expression can be mixed, without computing its type: that takes as long as
/// the expression is large.
pub(super) fn may_be_mixed(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Alias(_)
            | Expr::Case(_)
            | Expr::ScalarFunction(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::ScalarSubquery(_)
            | Expr::Unnest(_)
    )
}

/// Returns the value of a constant.
pub(super) fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn json_function(name: &str) -> Arc<ScalarUDF> {
    match name {
        "json_get_bool" => udfs::json_get_bool_udf(),
        "json_get_int" => udfs::json_get_int_udf(),
        "json_get_float" => udfs::json_get_float_udf(),
        "json_get_str" => udfs::json_get_str_udf(),
        "json_get_json" => udfs::json_get_json_udf(),
        _ => udfs::json_as_text_udf(),
    }
}

/// Marks an operand as having the type of the part that is taken of it.
fn mark(expr: Expr, ty: &DataType, taken: &Taken) -> Expr {
    match taken {
        Taken::Whole => expr,
        taken => marked(expr, taken.ty(ty), ""),
    }
}

fn marked(expr: Expr, ty: DataType, what: &str) -> Expr {
    let metadata = HashMap::from([(MARK.to_owned(), what.to_owned())]);
    let field = Field::new("", ty, true).with_metadata(metadata);
    Expr::Cast(Cast::new_from_field(Box::new(expr), Arc::new(field)))
}

/// The operand of a marking cast.
pub(super) enum Mark {
    /// An operand of an operator.
    Operand,
    /// A column of lists of the type of the cast.
    List,
}

/// Returns what a cast marks; `None` if it is a cast.
pub(super) fn mark_of(cast: &Cast) -> Option<Mark> {
    let what = cast.field.metadata().get(MARK)?;
    Some(if what == LIST { Mark::List } else { Mark::Operand })
}
