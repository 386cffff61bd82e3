//! Bounds on plans, and planning that stops when its query times out.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use streamtable_store::StoreError;

use super::costs;
use super::engine::failed;
use super::running::RunningQuery;
use super::types::{check_expr, check_type};

/// The maximum number of relations (scans, joins, projections, …) in a plan, each counted as often
/// as it is used. The text is bounded before, but a plan may have several times as many relations
/// as its text.
const MAX_RELATIONS: u64 = 8_000;

/// The maximum number of expressions in a plan, each counted as often as it is used.
const MAX_EXPRESSIONS: u64 = 400_000;

/// The maximum number of expressions to sort by, or to group by: the planner compares each pair.
const MAX_KEYS: usize = 256;

/// The maximum number of expressions in a filter after columns of a subquery are substituted into
/// it.
const MAX_MERGED: usize = 50_000;

/// The maximum number of bytes of a plan's constants in one batch, each repeated for each row.
const MAX_CONSTANT_BYTES: usize = 64 << 20;

/// The minimum number of rows in a batch.
const MIN_BATCH_ROWS: usize = 16;

/// The tables of `information_schema` that can be read; the others show settings of the server.
const INFORMATION_TABLES: [&str; 4] = ["columns", "schemata", "tables", "views"];

/// Refuses a plan that is too large once its shared parts (for example, a `WITH` that is used
/// twice) are expanded, as planning and execution do, and one with a part that is not allowed: a
/// type, a function or a table.
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<(), StoreError> {
    let size = expanded_size(plan, &mut HashMap::new()).map_err(failed)?;
    let parts = [
        (size.relations, MAX_RELATIONS, "relations"),
        (size.expressions, MAX_EXPRESSIONS, "expressions"),
    ];
    for (found, limit, what) in parts {
        if found > limit {
            return Err(StoreError::Query {
                message: format!(
                    "the query has {found} {what} once each use of a WITH is counted; the limit is \
                     {limit}"
                ),
            });
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    relations: u64,
    expressions: u64,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.relations = self.relations.saturating_add(other.relations);
        self.expressions = self.expressions.saturating_add(other.expressions);
    }
}

fn check_keys(plan: &LogicalPlan) -> Result<()> {
    let (keys, what) = match plan {
        LogicalPlan::Sort(sort) => (sort.expr.len(), "sorts by"),
        LogicalPlan::Aggregate(aggregate) => (aggregate.group_expr.len(), "groups by"),
        LogicalPlan::Window(window) => {
            let keys = |expr: &Expr| match expr {
                Expr::WindowFunction(call) => {
                    call.params.partition_by.len() + call.params.order_by.len()
                }
                _ => 0,
            };
            (window.window_expr.iter().map(keys).max().unwrap_or(0), "has a window over")
        }
        _ => return Ok(()),
    };
    if keys <= MAX_KEYS {
        return Ok(());
    }
    plan_err!("the query {what} {keys} expressions; the limit is {MAX_KEYS}")
}

fn check_table(plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::TableScan(scan) = plan else { return Ok(()) };
    let name = &scan.table_name;
    let is_information = name.schema() == Some("information_schema");
    if !is_information || INFORMATION_TABLES.contains(&name.table()) {
        return Ok(());
    }
    let (table, known) = (name.table(), INFORMATION_TABLES.join(", "));
    plan_err!("information_schema.{table} and SHOW of it are not available; {known} are")
}

/// Refuses aggregate and window functions whose buffers would be too large. The plan must be
/// optimized, so that constants are literals.
pub(super) fn check_buffers(plan: &LogicalPlan) -> Result<(), StoreError> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                costs::check_sizes(expr).map_err(refused)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map(drop)
    .map_err(failed)
}

fn refused(error: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Visits each shared part once, however often it is used.
fn expanded_size(
    plan: &LogicalPlan,
    known: &mut HashMap<*const LogicalPlan, Size>,
) -> Result<Size> {
    let key = std::ptr::from_ref(plan);
    if let Some(&size) = known.get(&key) {
        return Ok(size);
    }
    let mut size = Size { relations: 1, expressions: 0 };
    check_keys(plan)?;
    check_table(plan)?;
    for field in plan.schema().fields() {
        check_type(field.data_type()).map_err(refused)?;
    }
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            size.expressions += 1;
            costs::check_call(expr).map_err(refused)?;
            check_expr(expr).map_err(refused)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    plan.apply_subqueries(|subquery| {
        // The node itself is made for this call: only its content has a stable address.
        size.relations += 1;
        for input in subquery.inputs() {
            size.add(expanded_size(input, known)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    for input in plan.inputs() {
        size.add(expanded_size(input, known)?);
    }
    known.insert(key, size);
    Ok(size)
}

/// Returns the number of rows that a batch may have, so that constants that are repeated for each
/// row take a bounded amount of memory.
pub(super) fn batch_rows(plan: &LogicalPlan, default: usize) -> Result<usize> {
    let mut bytes = 0_usize;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    // The elements of a list are looked up, not repeated.
                    Expr::InList(_) => return Ok(TreeNodeRecursion::Jump),
                    Expr::Literal(value, _) => bytes = bytes.saturating_add(variable_bytes(value)),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok((MAX_CONSTANT_BYTES / bytes.max(1)).clamp(MIN_BATCH_ROWS.min(default), default))
}

fn variable_bytes(value: &ScalarValue) -> usize {
    match value {
        ScalarValue::List(_)
        | ScalarValue::LargeList(_)
        | ScalarValue::FixedSizeList(_)
        | ScalarValue::Struct(_)
        | ScalarValue::Map(_) => value.size(),
        value => value.try_as_str().flatten().map_or(0, str::len),
    }
}

/// An optimizer rule that stops when its query does, and that does not substitute large expressions
/// into each other.
#[derive(Debug)]
pub(super) struct Guarded<R: ?Sized> {
    rule: Arc<R>,
    query: Arc<RunningQuery>,
}

type LogicalRule = dyn OptimizerRule + Send + Sync;
type PhysicalRule = dyn PhysicalOptimizerRule + Send + Sync;

impl Guarded<LogicalRule> {
    pub(super) fn wrap(rule: Arc<LogicalRule>, query: &Arc<RunningQuery>) -> Arc<LogicalRule> {
        Arc::new(Self { rule, query: Arc::clone(query) })
    }
}

impl Guarded<PhysicalRule> {
    pub(super) fn wrap_physical(
        rule: Arc<PhysicalRule>,
        query: &Arc<RunningQuery>,
    ) -> Arc<PhysicalRule> {
        Arc::new(Self { rule, query: Arc::clone(query) })
    }
}

impl OptimizerRule for Guarded<LogicalRule> {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        self.query.check()?;
        check_merge(&plan)?;
        self.rule.rewrite(plan, config)
    }
}

impl PhysicalOptimizerRule for Guarded<PhysicalRule> {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.query.check()?;
        self.rule.optimize(plan, config)
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.query.check()?;
        self.rule.optimize_with_context(plan, context)
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

/// Refuses a filter over a projection that would become too large if it was pushed down: each
/// column in it is replaced by the projection's expression, and again for each projection further
/// down.
fn check_merge(plan: &LogicalPlan) -> Result<()> {
    let LogicalPlan::Filter(filter) = plan else { return Ok(()) };
    let LogicalPlan::Projection(projection) = filter.input.as_ref() else { return Ok(()) };
    let mut columns = 0_usize;
    let mut merged = 0_usize;
    filter.predicate.apply(|expr| {
        merged += 1;
        columns += usize::from(matches!(expr, Expr::Column(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut largest = 0;
    for expr in &projection.expr {
        let mut size = 0_usize;
        expr.apply(|_| {
            size += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        largest = largest.max(size);
    }
    if merged.saturating_add(columns.saturating_mul(largest)) <= MAX_MERGED {
        return Ok(());
    }
    Err(DataFusionError::External(Box::new(StoreError::Query {
        message: format!(
            "a filter has more than {MAX_MERGED} expressions once the columns that subqueries \
             compute are put into it"
        ),
    })))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};

    use super::*;

    #[test]
    fn shared_plans_count_as_often_as_they_are_used() {
        let mut plan = LogicalPlanBuilder::values(vec![vec![lit(1)]]).unwrap().build().unwrap();
        for i in 0..40 {
            let part = Arc::new(plan);
            let side = |name: String| {
                LogicalPlanBuilder::new_from_arc(Arc::clone(&part)).alias(name).unwrap()
            };
            let right = side(format!("r{i}")).build().unwrap();
            plan = side(format!("l{i}"))
                .cross_join(right)
                .and_then(|joined| joined.project(vec![col(format!("l{i}.column1"))]))
                .and_then(|projected| projected.alias("t"))
                .and_then(LogicalPlanBuilder::build)
                .unwrap();
        }
        let error = check_plan(&plan).unwrap_err();
        assert!(error.to_string().contains("relations"), "{error}");
    }

    #[test]
    fn batches_shrink_as_constants_grow() {
        let plan = |bytes: usize| {
            LogicalPlanBuilder::empty(true)
                .project(vec![lit("x".repeat(bytes))])
                .and_then(LogicalPlanBuilder::build)
                .unwrap()
        };
        assert_eq!(batch_rows(&plan(100), 8192).unwrap(), 8192);
        assert_eq!(batch_rows(&plan(1 << 20), 8192).unwrap(), 64);
        assert_eq!(batch_rows(&plan(100 << 20), 8192).unwrap(), 16);
    }
}
