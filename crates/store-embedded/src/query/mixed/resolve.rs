//! Applies the rules to a plan: after this, no operator or function has a mixed operand that the
//! engine cannot compute.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, Case, Cast, InList, InSubquery, Like, ScalarFunction, Sort,
    TryCast, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable as _, Join, JoinConstraint, LogicalPlan,
    LogicalPlanBuilder, Operator, ScalarUDF, Subquery, Union, WindowFunctionDefinition, lit, when,
};

use super::KnownColumns;
use super::accepting::{aggregate, scalar};
use super::cells::NullIf;
use super::functions::{self, Use};
use super::in_place::in_place;
use super::nested::ToList;
use super::part::parts;
use super::planning::{Mark, json_of, literal, mark_of, may_be_mixed};
use super::rules::{self, Operand, Operators, Taken, Unfit};

/// Applies the rules to a plan, and to its subqueries. The result has lists and structs if `nested`, otherwise
/// their JSON text.
pub(in crate::query) fn resolve(
    plan: LogicalPlan,
    known: &KnownColumns,
    nested: bool,
) -> Result<LogicalPlan> {
    let resolved = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let resolver = Resolver { schema: &schema, known };
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(resolver.all(expr)?.update_data(|expr| name.restore(expr)))
        })?;
        let node = match node.data {
            LogicalPlan::Sort(mut sort) => {
                sort.expr = resolver.keys(sort.expr)?;
                LogicalPlan::Sort(sort)
            }
            LogicalPlan::Distinct(Distinct::On(mut on)) => {
                if let Some(keys) = on.sort_expr {
                    // The first keys are the expressions of `ON`, and must remain so.
                    let first = keys[..on.on_expr.len().min(keys.len())].to_vec();
                    on.on_expr = resolver.keys(first)?.into_iter().map(|key| key.expr).collect();
                    on.sort_expr = Some(resolver.keys(keys)?);
                }
                LogicalPlan::Distinct(Distinct::On(on))
            }
            LogicalPlan::Join(join) => LogicalPlan::Join(resolve_join(join)?),
            LogicalPlan::Union(union) => LogicalPlan::Union(resolve_union(union)?),
            node => node,
        };
        Ok(Transformed::yes(node.recompute_schema()?))
    });
    in_place(resolved?.data, nested)
}

/// Applies the rules to the expressions of one node.
struct Resolver<'a> {
    schema: &'a DFSchema,
    known: &'a KnownColumns,
}

impl Resolver<'_> {
    fn all(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| self.one(expr).map(Transformed::yes))
    }

    /// Applies the rules to an expression whose operands are resolved.
    fn one(&self, expr: Expr) -> Result<Expr> {
        Ok(match expr {
            Expr::Cast(cast) if mark_of(&cast).is_some() => match mark_of(&cast) {
                Some(Mark::Native) => {
                    let to_list = ToList::new(cast.field.data_type().clone());
                    ScalarUDF::from(to_list).call(vec![*cast.expr])
                }
                _ => *cast.expr,
            },
            Expr::Cast(Cast { expr, field }) => match self.cast(&expr, field.data_type(), false)? {
                Some(taken) => taken.of(*expr),
                None => Expr::Cast(Cast { expr, field }),
            },
            Expr::TryCast(TryCast { expr, field }) => {
                match self.cast(&expr, field.data_type(), true)? {
                    Some(taken) => taken.of(*expr),
                    None => Expr::TryCast(TryCast { expr, field }),
                }
            }
            Expr::BinaryExpr(binary) => self.binary(binary)?,
            Expr::Like(like) => Expr::Like(self.like(like)?),
            Expr::SimilarTo(like) => Expr::SimilarTo(self.like(like)?),
            Expr::Between(between) => Expr::Between(self.between(between)?),
            Expr::InList(list) => self.in_list(list)?,
            Expr::InSubquery(within) => Expr::InSubquery(self.in_subquery(within)?),
            Expr::Case(case) => self.case(case)?,
            Expr::Negative(expr) => Expr::Negative(Box::new(self.taking(Use::Number, *expr)?)),
            Expr::Not(expr) => Expr::Not(Box::new(self.taking(Use::Bool, *expr)?)),
            Expr::IsTrue(expr) => Expr::IsTrue(Box::new(self.taking(Use::Bool, *expr)?)),
            Expr::IsFalse(expr) => Expr::IsFalse(Box::new(self.taking(Use::Bool, *expr)?)),
            Expr::IsNotTrue(expr) => Expr::IsNotTrue(Box::new(self.taking(Use::Bool, *expr)?)),
            Expr::IsNotFalse(expr) => Expr::IsNotFalse(Box::new(self.taking(Use::Bool, *expr)?)),
            Expr::ScalarFunction(call) => self.scalar(call)?,
            Expr::AggregateFunction(call) => Expr::AggregateFunction(self.aggregate(call)?),
            Expr::WindowFunction(call) => Expr::WindowFunction(Box::new(self.window(*call)?)),
            expr => expr,
        })
    }

    fn ty(&self, expr: &Expr) -> Result<DataType> {
        expr.get_type(self.schema)
    }

    fn types(&self, exprs: &[Expr]) -> Result<Vec<DataType>> {
        exprs.iter().map(|expr| self.ty(expr)).collect()
    }

    fn taking(&self, wanted: Use, expr: Expr) -> Result<Expr> {
        let ty = self.ty(&expr)?;
        let taken = rules::arguments(|_| wanted, &[Operand { ty: &ty, literal: None }]);
        let [expr] = take_all(taken, [expr])?;
        Ok(expr)
    }

    fn cast(&self, expr: &Expr, to: &DataType, is_try: bool) -> Result<Option<Taken>> {
        let ty = self.ty(expr)?;
        let Some(fields) = parts(&ty).filter(|_| ty != *to) else { return Ok(None) };
        rules::cast(fields, to, is_try)
            .map(Some)
            .map_err(|needs| Unfit::new(0, needs, fields).error(&expr.schema_name().to_string()))
    }

    fn binary(&self, BinaryExpr { left, op, right }: BinaryExpr) -> Result<Expr> {
        let binary = |left, right| Expr::BinaryExpr(BinaryExpr { left, op, right });
        let may_be = may_be_mixed(&left) || may_be_mixed(&right);
        let Some(operators) = Operators::of(op).filter(|_| may_be) else {
            return Ok(binary(left, right));
        };
        let (left_type, right_type) = (self.ty(&left)?, self.ty(&right)?);
        if parts(&left_type).is_none() && parts(&right_type).is_none() {
            return Ok(binary(left, right));
        }
        let operands = [operand(&left, &left_type), operand(&right, &right_type)];
        if matches!(op, Operator::Eq | Operator::NotEq) {
            for (cell, ty, other) in
                [(&left, &left_type, operands[1]), (&right, &right_type, operands[0])]
            {
                let Some(fields) = parts(ty) else { continue };
                let equal = rules::equal_cells(other, fields, fields)?;
                if !equal.is_empty() {
                    let list = equal.into_iter().map(lit).collect();
                    let negated = op == Operator::NotEq;
                    return Ok(Expr::InList(InList { expr: cell.clone(), list, negated }));
                }
            }
        }
        let [left, right] = take_all(operators.take(operands), [*left, *right])?;
        Ok(binary(Box::new(left), Box::new(right)))
    }

    fn like(&self, like: Like) -> Result<Like> {
        let expr = Box::new(self.taking(Use::Text, *like.expr)?);
        let pattern = Box::new(self.taking(Use::Text, *like.pattern)?);
        Ok(Like { expr, pattern, ..like })
    }

    fn between(&self, between: Between) -> Result<Between> {
        let Between { expr, negated, low, high } = between;
        let exprs = [*expr, *low, *high];
        let types = self.types(&exprs)?;
        let operands: Vec<Operand<'_>> =
            exprs.iter().zip(&types).map(|(expr, ty)| operand(expr, ty)).collect();
        let [expr, low, high] = take_all(Ok(rules::all_ordered(&operands)), exprs)?.map(Box::new);
        Ok(Between { expr, negated, low, high })
    }

    fn in_list(&self, InList { expr, list, negated }: InList) -> Result<Expr> {
        let ty = self.ty(&expr)?;
        let types = self.types(&list)?;
        if parts(&ty).is_none() && types.iter().all(|ty| parts(ty).is_none()) {
            return Ok(Expr::InList(InList { expr, list, negated }));
        }
        let all: Vec<DataType> = std::iter::once(ty.clone()).chain(types.iter().cloned()).collect();
        let name = |unfit: Unfit| unfit.error(&expr.schema_name().to_string());
        let is_constant = list.iter().all(|item| literal(item).is_some());
        let taken = if is_constant { rules::cells(&all) } else { rules::keys(&all) };
        let taken = taken.map_err(name)?;
        let mut taken = taken.into_iter().flatten();
        let of_expr = taken.next().unwrap_or(Taken::Whole);
        let to = of_expr.ty(&ty);
        let mut cells = Vec::with_capacity(list.len());
        for ((item, ty_of_item), taken) in list.into_iter().zip(&types).zip(taken) {
            let equal = match (parts(&ty), parts(&to)) {
                (Some(own), Some(to)) => rules::equal_cells(operand(&item, ty_of_item), own, to)?,
                _ => Vec::new(),
            };
            match equal.is_empty() {
                true => cells.push(taken.of(item)),
                false => cells.extend(equal.into_iter().map(lit)),
            }
        }
        let expr = Box::new(of_expr.of(*expr));
        Ok(Expr::InList(InList { expr, list: cells, negated }))
    }

    fn in_subquery(&self, within: InSubquery) -> Result<InSubquery> {
        let InSubquery { expr, subquery, negated } = within;
        let types = [self.ty(&expr)?, subquery.subquery.schema().field(0).data_type().clone()];
        let name = |unfit: Unfit| unfit.error(&expr.schema_name().to_string());
        let Some(taken) = rules::keys(&types).map_err(name)? else {
            return Ok(InSubquery { expr, subquery, negated });
        };
        let [of_expr, of_column] =
            <[Taken; 2]>::try_from(taken).unwrap_or([Taken::Whole, Taken::Whole]);
        let plan = with_columns(&subquery.subquery, vec![of_column])?;
        Ok(InSubquery {
            expr: Box::new(of_expr.of(*expr)),
            subquery: Subquery { subquery: plan, ..subquery },
            negated,
        })
    }

    fn case(&self, case: Case) -> Result<Expr> {
        let Case { expr, when_then_expr, else_expr } = case;
        let (whens, thens): (Vec<Expr>, Vec<Expr>) =
            when_then_expr.into_iter().map(|(when, then)| (*when, *then)).unzip();
        // The values that are compared with each other, and the values of the result.
        let has_base = expr.is_some();
        let compared: Vec<Expr> = expr.map(|it| *it).into_iter().chain(whens).collect();
        let compared = if has_base { self.alike(compared)? } else { compared };
        let count = thens.len();
        let results: Vec<Expr> = thens.into_iter().chain(else_expr.map(|it| *it)).collect();
        let mut results = self.alike(results)?.into_iter();
        let thens: Vec<Expr> = results.by_ref().take(count).collect();
        let mut compared = compared.into_iter().map(Box::new);
        let expr = if has_base { compared.next() } else { None };
        let when_then_expr = compared.zip(thens.into_iter().map(Box::new)).collect();
        Ok(Expr::Case(Case { expr, when_then_expr, else_expr: results.next().map(Box::new) }))
    }

    /// Makes cells of all values if one of them is mixed.
    fn alike(&self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        let types = self.types(&exprs)?;
        let name = |unfit: Unfit| unfit.error(&exprs[unfit.operand].schema_name().to_string());
        match rules::cells(&types).map_err(name)? {
            Some(taken) => {
                Ok(exprs.into_iter().zip(taken).map(|(it, taken)| taken.of(it)).collect())
            }
            None => Ok(exprs),
        }
    }

    fn scalar(&self, ScalarFunction { func, args }: ScalarFunction) -> Result<Expr> {
        let func = scalar(&func).map_or_else(|| Arc::clone(&func), Arc::clone);
        let name = func.name().to_owned();
        let types = self.types(&args)?;
        if types.iter().any(|ty| parts(ty).is_some())
            && functions::conditional_values(&name, &types).is_some()
        {
            return self.conditional(&name, args, &types);
        }
        let uses = |i| functions::scalar(&name, i).unwrap_or(Use::Whole);
        let mut args = take_args(uses, args, &types)?;
        if functions::takes_lists(&name) || name == "arrow_typeof" {
            // The type of a mixed cell is that of all its parts.
            let is_list = |ty: &DataType| functions::takes_lists(&name) || parts(ty).is_none();
            let as_list = |(arg, ty): (Expr, &DataType)| match is_list(ty) {
                true => self.as_list(arg, ty),
                false => arg,
            };
            args = args.into_iter().zip(&types).map(as_list).collect();
        }
        Ok(Expr::ScalarFunction(ScalarFunction { func, args }))
    }

    /// Converts a column of lists or structs, which is JSON text or has it as a part.
    fn as_list(&self, expr: Expr, ty: &DataType) -> Expr {
        let list = |expr: &Expr| match expr {
            Expr::Column(column) => json_of(column, ty).zip(self.known.native(&column.name)),
            _ => None,
        };
        match list(&expr) {
            Some((text, list)) => ScalarUDF::from(ToList::new(list)).call(vec![text]),
            None => expr,
        }
    }

    /// Replaces `nullif`, `nvl` and `nvl2` by what the engine can compute on cells.
    fn conditional(&self, function: &str, args: Vec<Expr>, types: &[DataType]) -> Result<Expr> {
        let args = match function {
            "nvl" => return Ok(coalesce(self.alike(args)?)),
            "nullif" => {
                let name = |unfit: Unfit| unfit.error(&args[0].schema_name().to_string());
                let null_if = ScalarUDF::from(NullIf::new(rules::cell_of(types).map_err(name)?));
                return Ok(null_if.call(args));
            }
            _ => args,
        };
        let Ok([a, b, c]) = <[Expr; 3]>::try_from(args) else {
            return plan_err!("{function} takes three arguments");
        };
        match when(a.is_not_null(), b).otherwise(c)? {
            Expr::Case(case) => self.case(case),
            case => Ok(case),
        }
    }

    fn aggregate(&self, call: AggregateFunction) -> Result<AggregateFunction> {
        let AggregateFunction { func, mut params } = call;
        let func = aggregate(&func).map_or_else(|| Arc::clone(&func), Arc::clone);
        let types = self.types(&params.args)?;
        let uses = |i| functions::set(func.name(), i).unwrap_or(Use::Whole);
        let given = params.args.clone();
        params.args = take_args(uses, params.args, &types)?;
        params.order_by = if func.supports_within_group_clause() {
            // The keys are also the first arguments.
            let same = |key: Sort| match given.iter().position(|arg| *arg == key.expr) {
                Some(i) => Sort { expr: params.args[i].clone(), ..key },
                None => key,
            };
            params.order_by.into_iter().map(same).collect()
        } else {
            self.keys(params.order_by)?
        };
        Ok(AggregateFunction { func, params })
    }

    fn window(&self, call: WindowFunction) -> Result<WindowFunction> {
        let WindowFunction { fun, mut params } = call;
        let fun = match fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                let function =
                    aggregate(&function).map_or_else(|| Arc::clone(&function), Arc::clone);
                WindowFunctionDefinition::AggregateUDF(function)
            }
            fun => fun,
        };
        let types = self.types(&params.args)?;
        let uses = |i| functions::set(fun.name(), i).unwrap_or(Use::Whole);
        params.args = take_args(uses, params.args, &types)?;
        params.order_by = self.keys(params.order_by)?;
        Ok(WindowFunction { fun, params })
    }

    /// Replaces each mixed key by its parts: the values of the kind that came first are first in
    /// both directions, then the other kinds. Nulls are where they are in other columns.
    fn keys(&self, keys: Vec<Sort>) -> Result<Vec<Sort>> {
        let mut resolved = Vec::with_capacity(keys.len());
        for key in keys {
            let ty = self.ty(&key.expr)?;
            let Some(fields) = parts(&ty) else {
                resolved.push(key);
                continue;
            };
            let expr = match key.expr {
                Expr::Alias(alias) => *alias.expr,
                expr => expr,
            };
            if key.nulls_first {
                resolved.push(Sort::new(expr.clone().is_null(), false, false));
            }
            let of_part = rules::each_part(fields);
            resolved.extend(of_part.map(|it| Sort::new(it.of(expr.clone()), key.asc, false)));
        }
        Ok(resolved)
    }
}

fn operand<'a>(expr: &'a Expr, ty: &'a DataType) -> Operand<'a> {
    Operand { ty, literal: literal(expr) }
}

fn take_args(
    uses: impl Fn(usize) -> Use,
    args: Vec<Expr>,
    types: &[DataType],
) -> Result<Vec<Expr>> {
    let operands: Vec<Operand<'_>> =
        args.iter().zip(types).map(|(expr, ty)| operand(expr, ty)).collect();
    match rules::arguments(uses, &operands) {
        Ok(Some(taken)) => {
            Ok(args.into_iter().zip(taken).map(|(it, taken)| taken.of(it)).collect())
        }
        Ok(None) => Ok(args),
        Err(unfit) => Err(unfit.error(&args[unfit.operand].schema_name().to_string())),
    }
}

fn take_all<const N: usize>(
    taken: Result<Option<Vec<Taken>>, Unfit>,
    exprs: [Expr; N],
) -> Result<[Expr; N]> {
    let taken =
        taken.map_err(|unfit| unfit.error(&exprs[unfit.operand].schema_name().to_string()))?;
    let Some(taken) = taken.and_then(|it| <[Taken; N]>::try_from(it).ok()) else {
        return Ok(exprs);
    };
    let mut taken = taken.into_iter();
    Ok(exprs.map(|expr| taken.next().unwrap_or(Taken::Whole).of(expr)))
}

fn resolve_join(mut join: Join) -> Result<Join> {
    let mut is_changed = false;
    let on = join.on.into_iter().map(|(left, right)| {
        let types =
            [left.get_type(&**join.left.schema())?, right.get_type(&**join.right.schema())?];
        let taken = rules::keys(&types);
        is_changed |= matches!(taken, Ok(Some(_)));
        let [left, right] = take_all(taken, [left, right])?;
        Ok((left, right))
    });
    join.on = on.collect::<Result<_>>()?;
    if is_changed {
        // `USING` allows only columns.
        join.join_constraint = JoinConstraint::On;
    }
    Ok(join)
}

/// Makes cells of the columns of all inputs where those of one input are mixed.
fn resolve_union(union: Union) -> Result<Union> {
    let width = union.schema.fields().len();
    let mut of_inputs: Vec<Vec<Taken>> = vec![Vec::with_capacity(width); union.inputs.len()];
    for column in 0..width {
        let types: Vec<DataType> = union
            .inputs
            .iter()
            .map(|input| input.schema().field(column).data_type().clone())
            .collect();
        let name = union.schema.field(column).name();
        let taken = rules::cells(&types).map_err(|unfit| unfit.error(name))?;
        let taken = taken.unwrap_or_else(|| vec![Taken::Whole; types.len()]);
        of_inputs.iter_mut().zip(taken).for_each(|(of_input, taken)| of_input.push(taken));
    }
    let inputs =
        union.inputs.iter().zip(of_inputs).map(|(input, taken)| with_columns(input, taken));
    Union::try_new_with_loose_types(inputs.collect::<Result<_>>()?)
}

/// Replaces columns by the parts that are taken of them, under their names.
fn with_columns(plan: &Arc<LogicalPlan>, taken: Vec<Taken>) -> Result<Arc<LogicalPlan>> {
    if taken.iter().all(|it| *it == Taken::Whole) {
        return Ok(Arc::clone(plan));
    }
    let columns = plan.schema().columns();
    let exprs = columns.into_iter().zip(taken).map(|(column, taken)| match taken {
        Taken::Whole => Expr::Column(column),
        taken => {
            let (relation, name) = (column.relation.clone(), column.name.clone());
            taken.of(Expr::Column(column)).alias_qualified(relation, name)
        }
    });
    let exprs: Vec<Expr> = exprs.collect();
    let plan = LogicalPlanBuilder::from(plan.as_ref().clone()).project(exprs)?.build()?;
    Ok(Arc::new(plan))
}
