//! Queries that use columns of lists as lists, or fields of columns of structs, compute with them as they
//! are stored.
//!
//! In the view of a table, such a column is JSON text. Its conversion to text is moved up in the plan as
//! far as nothing needs the text, and left out where the column is used as a list or struct.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema as _, Result};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Projection, ScalarUDF, cast,
};
use streamtable_wire::{CELL_MARK, CellMark};

use super::nested::{JsonText, ToList, field_type, has_slots, json_text};

/// Leaves out conversions of lists and structs to JSON text and back. Those of the result are left out if
/// `nested`.
pub(super) fn in_place(plan: LogicalPlan, nested: bool) -> Result<LogicalPlan> {
    let uses = Uses::of(&plan)?;
    if uses.has_outer || !(nested || uses.has_lists) {
        return Ok(plan);
    }
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::Projection(projection) => projected(projection),
        node if !node.inputs().iter().any(|input| has_lists(input.schema())) => {
            Ok(Transformed::no(node))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Join(_) => rewritten(node),
        LogicalPlan::Aggregate(ref aggregate)
            if !aggregate.group_expr.iter().any(|it| matches!(it, Expr::GroupingSet(_))) =>
        {
            rewritten(node)
        }
        node => {
            let node = node.map_children(|input| as_text(input).map(Transformed::yes))?.data;
            Ok(Transformed::yes(node.recompute_schema()?))
        }
    })?;
    text_of(plan.data, |ty| !nested || has_slots(ty))
}

/// The columns and operations that a query uses.
#[derive(Debug, Default)]
struct Uses {
    /// Columns as lists or structs.
    has_lists: bool,
    /// Subqueries that refer to columns of outer queries. They need them with the types that they were planned
    /// with.
    has_outer: bool,
}

impl Uses {
    fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut uses = Self::default();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    uses.has_outer |= matches!(expr, Expr::OuterReferenceColumn(..));
                    uses.has_lists |= column_as_list(expr).is_some() || field_of(expr).is_some();
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(uses)
    }
}

fn is<T: Any>(function: &ScalarUDF) -> bool {
    (function.inner().as_ref() as &dyn Any).is::<T>()
}

/// Returns the column that an expression uses as a list.
fn column_as_list(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::ScalarFunction(call) if is::<ToList>(&call.func) => match &call.args[..] {
            [Expr::Column(column)] => Some(column),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the column and the path of the field that an expression reads of a struct, with the type that
/// it has.
fn field_of(expr: &Expr) -> Option<(&Column, Vec<&str>, DataType)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    if is::<ToList>(&call.func) {
        let [Expr::ScalarFunction(read)] = &call.args[..] else { return None };
        let ty = call.func.return_type(&[]).ok()?;
        return path_of(read).map(|(column, path)| (column, path, ty));
    }
    let ty = field_type(call.name())?;
    path_of(call).map(|(column, path)| (column, path, ty))
}

fn path_of(call: &ScalarFunction) -> Option<(&Column, Vec<&str>)> {
    let (Expr::Column(column), path) = call.args.split_first()? else { return None };
    Some((column, path.iter().map(text).collect::<Option<_>>()?))
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(text, _) => text.try_as_str().flatten(),
        _ => None,
    }
}

/// Returns a field of a column that holds structs now, if it is stored with the type that the expression
/// has.
fn stored_field(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (column, path, ty) = field_of(expr)?;
    let field = schema.field_from_column(column).ok().filter(|_| is_list(schema, column))?;
    let (mut stored, mut read) = (field.data_type(), Expr::Column(column.clone()));
    for name in path {
        let DataType::Struct(fields) = stored else { return None };
        stored = fields.find(name)?.1.data_type();
        read = get_field(read, name);
    }
    match (stored, &ty) {
        (stored, ty) if stored == ty => Some(read),
        (DataType::Utf8View, DataType::Utf8) => Some(cast(read, ty)),
        _ => None,
    }
}

fn has_lists(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| is_marked(field))
}

fn is_marked(field: &Field) -> bool {
    CellMark::of_metadata(field.metadata()) == Some(CellMark::Nested)
}

/// Returns whether a column of a node's inputs holds lists now.
fn is_list(schema: &DFSchema, column: &Column) -> bool {
    let field = schema.field_from_column(column);
    field.is_ok_and(|field| is_marked(field))
}

/// Passes on columns of lists as they are.
fn projected(projection: Projection) -> Result<Transformed<LogicalPlan>> {
    let Projection { expr, input, .. } = projection;
    let names = NamePreserver::new_for_projection();
    let expr = expr.into_iter().map(|expr| match expr {
        Expr::Column(column) => Ok(Expr::Column(column)),
        Expr::Alias(alias) if matches!(*alias.expr, Expr::Column(_)) => Ok(Expr::Alias(alias)),
        Expr::Alias(alias) => match stored(*alias.expr) {
            Ok(lists) => Ok(Expr::Alias(Alias {
                expr: Box::new(lists),
                metadata: Some(marked(alias.metadata)),
                ..alias
            })),
            Err(expr) => {
                let expr = Expr::Alias(Alias { expr: Box::new(expr), ..alias });
                with_lists(expr, input.schema()).map(|it| it.data)
            }
        },
        expr => {
            let name = names.save(&expr);
            with_lists(expr, input.schema()).map(|it| name.restore(it.data))
        }
    });
    let expr = expr.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(expr, input)?)))
}

/// Returns the lists of which an expression is the text; otherwise the expression.
fn stored(expr: Expr) -> std::result::Result<Expr, Expr> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if is::<JsonText>(&func) => {
            args.pop().ok_or(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        expr => Err(expr),
    }
}

fn marked(metadata: Option<FieldMetadata>) -> FieldMetadata {
    let mut metadata = metadata.unwrap_or_default();
    let mark = (CELL_MARK.to_owned(), CellMark::Nested.name().to_owned());
    metadata.extend(BTreeMap::from([mark]).into());
    metadata
}

/// Adapts the expressions of a node that passes on its inputs' columns, or none of them.
fn rewritten(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let node = node.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(with_lists(expr, &schema)?.update_data(|expr| name.restore(expr)))
    })?;
    let node = match node.data {
        LogicalPlan::Join(mut join) => {
            let is_column = |expr: &Expr| matches!(expr, Expr::Column(_));
            if !join.on.iter().all(|(left, right)| is_column(left) && is_column(right)) {
                // `USING` allows only columns.
                join.join_constraint = JoinConstraint::On;
            }
            LogicalPlan::Join(join)
        }
        node => node,
    };
    Ok(Transformed::yes(node.recompute_schema()?))
}

/// Takes columns that hold lists now as lists or as text, as the expression needs them.
fn with_lists(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        if let Some(column) = column_as_list(&expr) {
            let column = column.clone();
            let expr = match &expr {
                Expr::ScalarFunction(call)
                    if is_list(schema, &column) && has_type_of(call, schema, &column) =>
                {
                    Expr::Column(column)
                }
                _ => expr,
            };
            return Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump));
        }
        if let Some(field) = stored_field(&expr, schema) {
            return Ok(Transformed::new(field, true, TreeNodeRecursion::Jump));
        }
        Ok(match expr {
            Expr::Column(column) if is_list(schema, &column) => {
                let text = json_text(Expr::Column(column));
                Transformed::new(text, true, TreeNodeRecursion::Jump)
            }
            expr => Transformed::no(expr),
        })
    })
}

/// Returns whether a column has the type that a conversion returns.
fn has_type_of(call: &ScalarFunction, schema: &DFSchema, column: &Column) -> bool {
    let stored = schema.field_from_column(column);
    stored.is_ok_and(|it| call.func.return_type(&[]).is_ok_and(|ty| ty == *it.data_type()))
}

/// Makes JSON text of the columns that hold lists or structs.
fn as_text(plan: LogicalPlan) -> Result<LogicalPlan> {
    text_of(plan, |_| true)
}

/// Makes JSON text of those of the columns that hold lists or structs.
fn text_of(plan: LogicalPlan, is_text: impl Fn(&DataType) -> bool) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let becomes_text = |column: &Column| {
        let field = schema.field_from_column(column);
        field.is_ok_and(|it| is_marked(it) && is_text(it.data_type()))
    };
    if !schema.columns().iter().any(becomes_text) {
        return Ok(plan);
    }
    let columns = schema.columns().into_iter().map(|column| {
        if !becomes_text(&column) {
            return Expr::Column(column);
        }
        let (relation, name) = (column.relation.clone(), column.name.clone());
        json_text(Expr::Column(column)).alias_qualified(relation, name)
    });
    LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()
}
