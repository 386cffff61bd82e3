//! Reads the newest rows first if a query asks for the newest.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions, SortOrderPushdownResult,
};

use crate::columns::fixed;

/// Reverses scans below a sort that keeps the rows with the greatest time or position.
///
/// Files are in the order of positions, and times nearly follow them. If they are read from the
/// end, the first rows are mostly those that the sort keeps, and the dynamic filter of the sort
/// then skips nearly all others without reading them. The sort remains: the order of reading is
/// only a hint.
#[derive(Debug)]
pub(super) struct NewestFirst;

impl PhysicalOptimizerRule for NewestFirst {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let turn_below = |plan: Arc<dyn ExecutionPlan>| {
            let Some(column) = plan.downcast_ref::<SortExec>().and_then(greatest) else {
                return Ok(Transformed::no(plan));
            };
            match turn(plan.children()[0], column)? {
                Some(input) => Ok(Transformed::yes(with_inputs(&plan, vec![input])?)),
                None => Ok(Transformed::no(plan)),
            }
        };
        plan.transform_down(turn_below).data()
    }

    fn name(&self) -> &'static str {
        "newest_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns the column whose greatest values a sort keeps, if it is descending and has a limit.
fn greatest(sort: &SortExec) -> Option<usize> {
    let first = sort.expr().first();
    let column = first.expr.downcast_ref::<Column>()?;
    (sort.fetch().is_some() && first.options.descending).then(|| column.index())
}

/// Reverses the scans that a column of a plan comes from unchanged; `None` if there is none.
fn turn(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let place = if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        let config = scan.data_source().downcast_ref::<FileScanConfig>();
        return config.map_or(Ok(None), |config| turn_scan(config, column));
    } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let expr = &projection.expr()[column].expr;
        expr.downcast_ref::<Column>().map(Column::index)
    } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        Some(filter.projection().as_ref().map_or(column, |columns| columns[column]))
    } else {
        let keeps_columns = plan.downcast_ref::<UnionExec>().is_some()
            || plan.downcast_ref::<CooperativeExec>().is_some()
            || plan.downcast_ref::<RepartitionExec>().is_some();
        keeps_columns.then_some(column)
    };
    let Some(place) = place else { return Ok(None) };
    let mut turned = false;
    let mut inputs = Vec::new();
    for child in plan.children() {
        let input = turn(child, place)?;
        turned |= input.is_some();
        inputs.push(input.unwrap_or_else(|| Arc::clone(child)));
    }
    if turned { with_inputs(plan, inputs).map(Some) } else { Ok(None) }
}

fn with_inputs(
    plan: &Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(inputs, options)
}

/// Reverses a scan: the last file is read first, and in each file the row groups with the greatest
/// values.
fn turn_scan(config: &FileScanConfig, column: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let source = config.file_source();
    let expr = source.projection().and_then(|it| it.as_ref().get(column));
    let Some(column) = expr.and_then(|it| it.expr.downcast_ref::<Column>()) else {
        return Ok(None);
    };
    if config.preserve_order || ![fixed::TIME, fixed::POSITION].contains(&column.name()) {
        return Ok(None);
    }
    let schema = Arc::clone(source.table_schema().table_schema());
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new_with_schema(column.name(), &schema)?);
    let options = SortOptions { descending: true, nulls_first: false };
    let order = [PhysicalSortExpr::new(column, options)];
    let SortOrderPushdownResult::Inexact { inner } =
        source.try_pushdown_sort(&order, &EquivalenceProperties::new(schema))?
    else {
        return Ok(None);
    };
    // If only the sort filters rows, the end of the last file is enough, and a second reader would
    // only decode rows that the first makes unnecessary.
    let is_all = source.filter().is_none_or(|it| it.is::<DynamicFilterPhysicalExpr>());
    let partitions = if is_all { 1 } else { config.file_groups.len().max(1) };
    let mut files: Vec<_> = config.file_groups.iter().flat_map(FileGroup::iter).cloned().collect();
    files.reverse();
    // `split_files` would sort them by name again.
    let size = files.len().div_ceil(partitions).max(1);
    let groups = files.chunks(size).map(|files| FileGroup::new(files.to_vec())).collect();
    let config = FileScanConfigBuilder::from(config.clone())
        .with_source(inner)
        .with_file_groups(groups)
        .with_output_ordering(Vec::new())
        .build();
    Ok(Some(DataSourceExec::from_data_source(config)))
}
