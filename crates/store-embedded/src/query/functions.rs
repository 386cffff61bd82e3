//! Functions whose results may be much larger than their arguments, or take much longer.
//!
//! The engine's memory pool sees operators, not functions: `repeat('x', 2000000000)` allocates
//! without asking the pool. So each call of such a function is replaced by a wrapper, which
//! estimates the largest possible result in advance, computes large batches in parts, stops between
//! parts if the query has ended, and reserves the memory of the results in the pool.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, LogicalPlan, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::optimizer::AnalyzerRule;
use streamtable_store::StoreError;

use super::costs::{self, ScalarCost};
use super::forward::forward_to_function;
use super::growth::{Growth, Need};
use super::operators::{Operation, OperatorFunction};
use super::patterns::{self, Patterns};
use super::running::{HeldResults, RunningQuery};
use super::windows::metered;

/// The maximum number of bytes of the result for one row.
const MAX_ROW_BYTES: u64 = 16 << 20;

/// The maximum number of bytes of a result that is the same for all rows: it is repeated for each
/// row when it is combined with columns.
const MAX_CONSTANT_BYTES: u64 = 1 << 20;

/// The maximum number of bytes of the results for one batch of rows.
const MAX_BATCH_BYTES: u64 = 128 << 20;

/// The maximum number of steps for one row: about a second.
const MAX_ROW_STEPS: u64 = 1 << 30;

/// The maximum resources of the results that are computed in one part.
const PART: Need = Need { bytes: 16 << 20, steps: 1 << 27 };

/// Smaller results are not reserved.
const SMALL_BYTES: usize = 64 << 10;

/// Wraps the functions and operators of a plan that need a bound.
#[derive(Clone, Debug)]
pub(super) struct BoundFunctions {
    query: Arc<RunningQuery>,
    /// The number of batches that may be in use at a time.
    batches: usize,
}

impl BoundFunctions {
    pub(super) fn new(query: &Arc<RunningQuery>, batches: usize) -> Self {
        Self { query: Arc::clone(query), batches }
    }

    /// Returns whether a plan has a function that needs a wrapper.
    fn is_needed(plan: &LogicalPlan) -> Result<bool> {
        let mut is_needed = false;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    is_needed |= match expr {
                        Expr::ScalarFunction(call) => growth(&call.func).is_some(),
                        Expr::WindowFunction(_) => true,
                        expr => Operation::of(expr).and_then(costs::operator).is_some(),
                    };
                    let found = if is_needed {
                        TreeNodeRecursion::Stop
                    } else {
                        TreeNodeRecursion::Continue
                    };
                    Ok(found)
                })
            })
        })?;
        Ok(is_needed)
    }

    fn bound(&self, expr: Expr) -> Result<Transformed<Expr>> {
        Ok(match expr {
            Expr::ScalarFunction(call) => {
                let is_bounded = (call.func.inner().as_ref() as &dyn Any).is::<Bounded>();
                match growth(&call.func) {
                    Some(growth) if !is_bounded => {
                        let func = self.wrap(call.func, growth);
                        Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, ..call }))
                    }
                    _ => Transformed::no(Expr::ScalarFunction(call)),
                }
            }
            Expr::WindowFunction(mut call) => {
                call.fun = metered(call.fun, &self.query);
                Transformed::yes(Expr::WindowFunction(call))
            }
            expr => match Operation::of(&expr) {
                Some(operation) => self.bound_operator(operation, expr)?,
                None => Transformed::no(expr),
            },
        })
    }

    fn bound_operator(&self, operation: Operation, expr: Expr) -> Result<Transformed<Expr>> {
        let Some(growth) = costs::operator(operation) else { return Ok(Transformed::no(expr)) };
        if let (Some(syntax), Some(pattern)) = (growth.pattern(), constant_pattern(&expr)) {
            self.query.check()?;
            // The engine knows more about its own operators than about functions.
            if patterns::is_small(syntax, pattern)? {
                return Ok(Transformed::no(expr));
            }
        }
        let args = match expr {
            Expr::BinaryExpr(BinaryExpr { left, right, .. }) => vec![*left, *right],
            Expr::Like(like) | Expr::SimilarTo(like) => vec![*like.expr, *like.pattern],
            expr => return Ok(Transformed::no(expr)),
        };
        let func = self.wrap(Arc::new(ScalarUDF::from(OperatorFunction::new(operation))), growth);
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
    }

    fn wrap(&self, function: Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Bounded {
            function,
            growth,
            bounds: self.clone(),
            held: HeldResults::default(),
            patterns: Patterns::default(),
        }))
    }
}

/// Returns how the result of a function grows; `None` if it does not have to be bounded.
fn growth(function: &ScalarUDF) -> Option<Growth> {
    match costs::scalar(function.name()) {
        Some(ScalarCost::Estimated(growth)) => Some(growth),
        _ => None,
    }
}

/// Returns the pattern of an operator that has a pattern, if it is a constant.
fn constant_pattern(expr: &Expr) -> Option<&str> {
    let mut pattern = match expr {
        Expr::BinaryExpr(binary) => &binary.right,
        Expr::Like(like) | Expr::SimilarTo(like) => &like.pattern,
        _ => return None,
    };
    // Type coercion casts a literal to the column's kind of text, and a text as text stays the same.
    while let Expr::Cast(cast) = pattern.as_ref()
        && cast.field.data_type().is_string()
    {
        pattern = &cast.expr;
    }
    match pattern.as_ref() {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

impl AnalyzerRule for BoundFunctions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // Most plans have none, and rewriting a wide plan takes time.
        if !Self::is_needed(&plan)? {
            return Ok(plan);
        }
        let bounded = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let bounded = expr.transform_up(|expr| self.bound(expr))?;
                Ok(bounded.update_data(|expr| name.restore(expr)))
            })
        });
        Ok(bounded?.data)
    }

    fn name(&self) -> &'static str {
        "bound_functions"
    }
}

/// A function whose results are bounded.
#[derive(Debug)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
    bounds: BoundFunctions,
    held: HeldResults,
    patterns: Patterns,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl Bounded {
    /// Returns the resources for each row, or `None` if all rows together need at most `enough`.
    fn needs(
        &self,
        args: &[ColumnarValue],
        rows: usize,
        enough: Need,
    ) -> Result<Option<Vec<Need>>> {
        let states = match self.growth.pattern() {
            Some(syntax) => self.patterns.states(syntax, args)?,
            None => 0,
        };
        self.growth.needs(args, rows, states, enough)
    }

    fn hold(&self, bytes: usize) -> Result<()> {
        self.held.hold(&self.bounds.query, bytes, self.bounds.batches)
    }

    fn refuse(&self, what: &str, found: u64, limit: u64) -> DataFusionError {
        let name = self.function.name();
        let message = format!("{name} needs {found} {what}; the limit is {limit}");
        DataFusionError::External(Box::new(StoreError::Limit { message }))
    }

    /// Computes a result that is the same for all rows.
    fn constant(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for need in self.needs(&args.args, 1, Need::default())?.unwrap_or_default() {
            let what = "bytes for a result that is the same for all rows";
            self.check(need, MAX_CONSTANT_BYTES, what)?;
        }
        let result =
            self.function.invoke_with_args(ScalarFunctionArgs { number_rows: 1, ..args })?;
        Ok(match result {
            ColumnarValue::Array(array) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
            scalar => scalar,
        })
    }

    fn check(&self, need: Need, max_bytes: u64, what: &str) -> Result<()> {
        if need.bytes > max_bytes {
            return Err(self.refuse(what, need.bytes, max_bytes));
        }
        if need.steps > MAX_ROW_STEPS {
            return Err(self.refuse("steps for one row", need.steps, MAX_ROW_STEPS));
        }
        Ok(())
    }

    /// Divides rows into parts that are computed at once. Refuses a row that needs too much.
    fn parts(&self, needs: &[Need]) -> Result<Vec<Range<usize>>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut part = Need::default();
        for (row, &need) in needs.iter().enumerate() {
            self.check(need, MAX_ROW_BYTES, "bytes for one row")?;
            part = part + need;
            match parts.last_mut() {
                Some(last) if part.is_within(PART) => last.end = row + 1,
                _ => {
                    parts.push(row..row + 1);
                    part = need;
                }
            }
        }
        Ok(parts)
    }

    fn rows(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let needs = self.needs(&args.args, args.number_rows, PART)?;
        let parts = needs.map(|needs| self.parts(&needs)).transpose()?.unwrap_or_default();
        if parts.len() <= 1 {
            let result = self.function.invoke_with_args(args)?;
            let bytes = match &result {
                ColumnarValue::Array(array) => array.get_array_memory_size(),
                ColumnarValue::Scalar(value) => value.size(),
            };
            if bytes >= SMALL_BYTES {
                self.hold(bytes)?;
            }
            return Ok(result);
        }
        let mut made = 0;
        let mut results: Vec<ArrayRef> = Vec::with_capacity(parts.len());
        for rows in parts {
            self.bounds.query.check()?;
            let length = rows.len();
            let result = self.function.invoke_with_args(slice(&args, rows))?.into_array(length)?;
            made += result.get_array_memory_size() as u64;
            if made > MAX_BATCH_BYTES {
                return Err(self.refuse("bytes for one batch of rows", made, MAX_BATCH_BYTES));
            }
            results.push(result);
        }
        self.hold(made as usize)?;
        let results: Vec<&dyn arrow::array::Array> = results.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&results)?))
    }
}

/// Returns the arguments for some of the rows.
fn slice(args: &ScalarFunctionArgs, rows: Range<usize>) -> ScalarFunctionArgs {
    let values = args.args.iter().map(|value| match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(rows.start, rows.len())),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    });
    ScalarFunctionArgs {
        args: values.collect(),
        arg_fields: args.arg_fields.clone(),
        number_rows: rows.len(),
        return_field: Arc::clone(&args.return_field),
        config_options: Arc::clone(&args.config_options),
    }
}

impl ScalarUDFImpl for Bounded {
    forward_to_function!();

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.bounds.query.check()?;
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        if is_constant { self.constant(args) } else { self.rows(args) }
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.function.simplify(args, context)? {
            ExprSimplifyResult::Simplified(expr) => {
                // The simplified form may have functions that need a bound.
                let bounded = expr.transform_up(|expr| self.bounds.bound(expr))?;
                ExprSimplifyResult::Simplified(bounded.data)
            }
            original => original,
        })
    }
}
