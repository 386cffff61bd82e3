//! Planning of queries on mixed columns, and of columns of lists and structs.
//!
//! The engine's planner computes the type of each operator while it reads the query, and refuses
//! operators on structs. So operands are marked, by a cast with metadata, as having the type that
//! the rules take of them. [`resolve`](super::resolve()) removes the marks.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ExprSchema as _, Result, ScalarValue, TableReference};
use datafusion::functions::core::expr_fn::get_field;
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
use super::nested;
use super::part::{Part, parts, type_of};
use super::rules::{Operand, Operators, Taken};

/// The key in the metadata of the casts that mark operands.
const MARK: &str = "streamtable.operand";

/// The value under it for lists and structs.
const NATIVE: &str = "native";

/// Marks the operands of operators on mixed cells, so that they can be planned.
#[derive(Debug)]
pub(in crate::query) struct Operands {
    known: Arc<KnownColumns>,
}

impl Operands {
    pub(in crate::query) fn new(known: Arc<KnownColumns>) -> Self {
        Self { known }
    }

    /// Makes lists of columns that are compared with lists.
    fn with_lists(&self, expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
        let RawBinaryExpr { op, left, right } = expr;
        if Operators::of_sql(&op) != Some(Operators::Equality) || !self.known.has_nested() {
            return RawBinaryExpr { op, left, right };
        }
        let is_list = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::List(_)));
        let native = |expr: &Expr| match expr {
            Expr::Column(column) => self.native(column, &expr.get_type(schema).ok()?),
            _ => None,
        };
        if is_list(&right)
            && let Some(left) = native(&left)
        {
            return RawBinaryExpr { op, left, right };
        }
        match native(&right).filter(|_| is_list(&left)) {
            Some(right) => RawBinaryExpr { op, left, right },
            None => RawBinaryExpr { op, left, right },
        }
    }

    /// Reads a column, which is JSON text or has it as a part, as lists or structs.
    fn native(&self, column: &Column, ty: &DataType) -> Option<Expr> {
        let text = json_of(column, ty)?;
        Some(marked(text, self.known.native(&column.name)?, NATIVE))
    }

    /// Reads a field of the structs of a column, which is JSON text or has it as a part: as its own type, if its
    /// values have one.
    fn field(&self, column: &Column, ty: &DataType, path: &[&str]) -> Option<Expr> {
        let mut args = vec![json_of(column, ty)?];
        if parts(ty).and_then(|parts| parts.find(path.first()?)).is_some() {
            return None;
        }
        let ty = self.known.type_at(&column.name, path)?;
        args.extend(path.iter().map(|field| lit(*field)));
        let read = json_function(nested::reader_of(&ty)).call(args);
        let read = match nested::native_type(&ty) {
            Some(native) => marked(read, native, NATIVE),
            None => read,
        };
        let fields: String = path.iter().map(|field| format!("[{field}]")).collect();
        Some(read.alias(format!("{}{fields}", column.quoted_flat_name())))
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
        let RawBinaryExpr { op, left, right } = self.with_lists(expr, schema);
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
        let Expr::Column(column) = &expr else {
            return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
        };
        let Ok(ty) = schema.field_from_column(column).map(|it| it.data_type().clone()) else {
            return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
        };
        if let GetFieldAccess::NamedStructField { name } = &field_access {
            let field = name.try_as_str().flatten().unwrap_or_default();
            if let Some(read) = self.field(column, &ty, &[field]) {
                return Ok(PlannerResult::Planned(read));
            }
        } else if let Some(expr) = self.native(column, &ty) {
            return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }));
        }
        Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
    }

    /// Plans `column.field.field`.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let path: Vec<&str> = names.iter().map(String::as_str).collect();
        let column = Column::new(qualifier.cloned(), field.name());
        let read = self.field(&column, field.data_type(), &path);
        Ok(read.map_or_else(|| PlannerResult::Original(Vec::new()), PlannerResult::Planned))
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

/// Returns the JSON text of the lists and structs of a column.
pub(super) fn json_of(column: &Column, ty: &DataType) -> Option<Expr> {
    let column = Expr::Column(column.clone());
    match Part::of(ty) {
        Some(Part::Text) => Some(column),
        _ => type_of(parts(ty)?, Part::Json).map(|_| get_field(column, Part::Json.name())),
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
    /// Lists or structs of the type of the cast.
    Native,
}

/// Returns what a cast marks; `None` if it is a cast.
pub(super) fn mark_of(cast: &Cast) -> Option<Mark> {
    let what = cast.field.metadata().get(MARK)?;
    Some(if what == NATIVE { Mark::Native } else { Mark::Operand })
}
