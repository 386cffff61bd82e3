//! Stops joins when their query stops, and bounds the rows that windows keep.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures_util::StreamExt as _;

use super::growth;
use super::running::RunningQuery;

/// The memory of one result of a window: a value, and its place in an array.
const WINDOW_RESULT_BYTES: usize = size_of::<ScalarValue>() + 16;

/// Makes every operator that can return more rows than it reads (joins, unions, `unnest`) check its
/// query after each batch, and reserves the rows that a window keeps: it computes all its results in
/// one call.
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
        let wrap = |input, row_bytes| -> Arc<dyn ExecutionPlan> {
            Arc::new(Interruptible { input, query: Arc::clone(&self.query), row_bytes })
        };
        let wrapped = plan.transform_up(|plan| {
            if multiplies(&plan) {
                return Ok(Transformed::yes(wrap(plan, None)));
            }
            let Some(window) = plan.downcast_ref::<WindowAggExec>() else {
                return Ok(Transformed::no(plan));
            };
            let row_bytes = window.window_expr().len().saturating_mul(WINDOW_RESULT_BYTES);
            let input = wrap(Arc::clone(window.input()), Some(row_bytes));
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            Ok(Transformed::yes(plan.replace_children(vec![input], options)?))
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
    /// If the reader keeps all rows: the bytes that it needs for each row, in addition to two copies
    /// of the row.
    row_bytes: Option<usize>,
}

/// Reserves the memory of a batch for a reader that keeps all rows.
fn hold(batch: &RecordBatch, row_bytes: usize, held: &MemoryReservation) -> Result<()> {
    let cells = batch.columns().iter().flat_map(|column| growth::row_bytes(column.as_ref()));
    let cells = cells.fold(0_usize, |sum, bytes| sum.saturating_add(bytes as usize));
    let rows = batch.num_rows().saturating_mul(row_bytes);
    held.try_grow(cells.saturating_mul(2).saturating_add(rows))
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
        let (query, row_bytes) = (Arc::clone(&self.query), self.row_bytes);
        Ok(Arc::new(Self { input: inputs.swap_remove(0), query, row_bytes }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let (schema, query) = (rows.schema(), Arc::clone(&self.query));
        let held = MemoryConsumer::new("window").register(query.pool());
        let row_bytes = self.row_bytes;
        let rows = rows.map(move |batch| {
            query.check()?;
            let batch = batch?;
            if let Some(row_bytes) = row_bytes {
                hold(&batch, row_bytes, &held)?;
            }
            Ok(batch)
        });
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
    }
}
