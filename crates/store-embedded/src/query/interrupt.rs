//! Stops joins when their query stops.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures_util::StreamExt as _;

use super::running::RunningQuery;

/// Makes every operator that can return more rows than it reads (joins, unions, `unnest`) check its
/// query after each batch.
///
/// A cross join collects one side in a loop that never yields, so aborting its task has no effect.
/// Nested cross joins of few rows return batches of a few rows each, whose memory is many times
/// what the operator reserves for them. The check ends such a loop.
#[derive(Debug)]
pub(super) struct Interrupt {
    query: Arc<RunningQuery>,
}

impl Interrupt {
    pub(super) fn new(query: &Arc<RunningQuery>) -> Self {
        Self { query: Arc::clone(query) }
    }
}

impl PhysicalOptimizerRule for Interrupt {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let multiplies = |plan: &Arc<dyn ExecutionPlan>| {
            plan.children().len() > 1 || plan.name() == "UnnestExec"
        };
        let wrapped = plan.transform_up(|plan| {
            Ok(if multiplies(&plan) {
                Transformed::yes(Arc::new(Interruptible::new(plan, &self.query)) as _)
            } else {
                Transformed::no(plan)
            })
        })?;
        Ok(wrapped.data)
    }

    fn name(&self) -> &'static str {
        "interrupt"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns the batches of its input, and an error once its query must stop.
#[derive(Debug)]
struct Interruptible {
    input: Arc<dyn ExecutionPlan>,
    query: Arc<RunningQuery>,
}

impl Interruptible {
    fn new(input: Arc<dyn ExecutionPlan>, query: &Arc<RunningQuery>) -> Self {
        Self { input, query: Arc::clone(query) }
    }
}

impl DisplayAs for Interruptible {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruptible")
    }
}

impl ExecutionPlan for Interruptible {
    fn name(&self) -> &'static str {
        "Interruptible"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(inputs.swap_remove(0), &self.query)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let (schema, query) = (rows.schema(), Arc::clone(&self.query));
        let rows = rows.map(move |batch| query.check().and(batch));
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
    }
}
