//! The scan of a table for the query engine: flushed files, then the rows in memory.

use std::ffi::OsStr;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, NotExpr, lit};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule as _;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::checked::CheckedReaders;
use super::in_order::InOrder;
use crate::columns::fixed;
use crate::embedded::{DataFile, Snapshot};
use crate::memtable::conform;
use crate::place::Folder;

/// A snapshot of a table, with its columns as they are in files.
#[derive(Debug)]
pub(super) struct TableScan {
    snapshot: Snapshot,
    /// The schema of the positions and of the other columns that are needed, in the table's order.
    schema: SchemaRef,
}

/// Returns the engine's URL of the folder of all tables. Query plans show paths below it, so they
/// do not reveal where the folder is.
pub(super) fn place() -> ObjectStoreUrl {
    ObjectStoreUrl::parse("tables://").expect("a scheme alone is an object store's URL")
}

/// Returns the path of a table's file below the folder of all tables.
fn path_in_tables(
    folder: &Folder,
    file: &str,
) -> std::result::Result<object_store::path::Path, object_store::path::Error> {
    // A table's folder is `entity/project/table` there.
    let mut parts: Vec<_> =
        folder.path().iter().rev().take(3).map(OsStr::to_string_lossy).collect();
    parts.reverse();
    object_store::path::Path::parse(format!("{}/{file}", parts.join("/")))
}

impl TableScan {
    pub(super) fn new(snapshot: Snapshot, schema: SchemaRef) -> Self {
        Self { snapshot, schema }
    }

    /// Plans to read at most `limit` rows with a position in `positions`, in order.
    ///
    /// An optimized logical plan would be the same, but planning takes time that grows with the
    /// square of the number of columns.
    pub(super) async fn rows_from(
        &self,
        state: &SessionState,
        positions: Range<u64>,
        limit: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let position: Arc<dyn PhysicalExpr> = Arc::new(Column::new(fixed::POSITION, 0));
        let positions = positions.start as i64..positions.end as i64;
        let plan = self.rows_that(state, within(&position, positions)).await?;
        Ok(Arc::new(GlobalLimitExec::new(plan, 0, Some(limit))))
    }

    /// Plans to read the rows that meet a condition, in order. Parts of files whose statistics
    /// exclude it are not read.
    pub(super) async fn rows_that(
        &self,
        state: &SessionState,
        condition: Arc<dyn PhysicalExpr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.scan(state, None, &[], None).await?;
        let plan: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(condition, plan)?);
        FilterPushdown::new().optimize(plan, state.config_options())
    }

    fn files(
        &self,
        resources: &RuntimeEnv,
        partitions: usize,
        columns: &[usize],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let place = place();
        // A file's content never changes under the same name, so its metadata is read once. Reading
        // it for each query would take longer than many queries.
        let readers = CheckedReaders::new(
            resources.object_store(&place)?,
            resources.cache_manager.get_file_metadata_cache(),
            Arc::clone(&self.snapshot.sums),
        );
        let files =
            self.snapshot.files.iter().map(|file| self.file(file)).collect::<Result<_>>()?;
        let groups = FileGroup::new(files).split_files(partitions.max(1));
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_parquet_file_reader_factory(Arc::new(readers));
        let mut config = FileScanConfigBuilder::new(place, Arc::new(source))
            .with_file_groups(groups)
            .with_preserve_order(partitions == 1)
            .with_projection_indices(Some(columns.to_vec()))?;
        if let Some(place) = columns.iter().position(|&column| column == 0) {
            // Files are in the order of their positions, and so are the rows in each file.
            let position: Arc<dyn PhysicalExpr> = Arc::new(Column::new(fixed::POSITION, place));
            config = config.with_output_ordering(
                LexOrdering::new([PhysicalSortExpr::new_default(position)]).into_iter().collect(),
            );
        }
        Ok(DataSourceExec::from_data_source(config.build()))
    }

    fn file(&self, file: &DataFile) -> Result<PartitionedFile> {
        let path = path_in_tables(&self.snapshot.folder, &file.name)
            .map_err(|error| DataFusionError::External(error.into()))?;
        let exact = |n: u64| Precision::Exact(usize::try_from(n).unwrap_or(usize::MAX));
        let mut columns = vec![ColumnStatistics::new_unknown(); self.schema.fields().len()];
        let position = |n: u64| Precision::Exact(ScalarValue::Int64(Some(n as i64)));
        columns[0].min_value = position(file.first);
        columns[0].max_value = position(file.end.saturating_sub(1));
        columns[0].null_count = Precision::Exact(0);
        let statistics = Statistics {
            num_rows: exact(file.rows),
            total_byte_size: Precision::Absent,
            column_statistics: columns,
        };
        let mut file = PartitionedFile::new(String::new(), file.bytes);
        // The path is set as it is: parsing it from text would encode its `~`.
        file.object_meta.location = path;
        Ok(file.with_statistics(Arc::new(statistics)))
    }

    fn in_memory(&self, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::new(self.schema.project(columns)?);
        let projected = self.snapshot.memtable.iter().map(|batch| conform(batch, &schema));
        let batches = projected.collect::<std::result::Result<Vec<_>, _>>()?;
        let plan = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        Ok(plan)
    }

    /// Filters out deleted positions.
    fn filter_deleted(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let place = plan.schema().index_of(fixed::POSITION)?;
        let position: Arc<dyn PhysicalExpr> = Arc::new(Column::new(fixed::POSITION, place));
        let mut alive: Option<Arc<dyn PhysicalExpr>> = None;
        for range in self.snapshot.deleted.within(0..self.snapshot.end) {
            let within = within(&position, range.start as i64..range.end as i64);
            let outside: Arc<dyn PhysicalExpr> = Arc::new(NotExpr::new(within));
            alive = Some(match alive {
                Some(alive) => Arc::new(BinaryExpr::new(alive, Operator::And, outside)),
                None => outside,
            });
        }
        Ok(match alive {
            Some(alive) => Arc::new(FilterExec::try_new(alive, plan)?),
            None => plan,
        })
    }
}

/// Returns the condition that a column of integers is in a range.
pub(super) fn within(column: &Arc<dyn PhysicalExpr>, range: Range<i64>) -> Arc<dyn PhysicalExpr> {
    let compare = |operator, n: i64| -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(Arc::clone(column), operator, lit(n)))
    };
    let (from, end) = (compare(Operator::GtEq, range.start), compare(Operator::Lt, range.end));
    Arc::new(BinaryExpr::new(from, Operator::And, end))
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files are pruned by the physical filters that are pushed down to their scan.
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let has_deleted = self.snapshot.deleted.within(0..self.snapshot.end).next().is_some();
        let mut columns = wanted.clone();
        if has_deleted && !columns.contains(&0) {
            columns.push(0);
        }
        let partitions = state.config().target_partitions();
        let mut parts = Vec::new();
        if !self.snapshot.files.is_empty() {
            parts.push(self.files(state.runtime_env(), partitions, &columns)?);
        }
        if !self.snapshot.memtable.is_empty() {
            parts.push(self.in_memory(&columns)?);
        }
        let plan: Arc<dyn ExecutionPlan> = match parts.len() {
            0 => Arc::new(EmptyExec::new(Arc::new(self.schema.project(&columns)?))),
            // A single partition means that the rows are wanted in order.
            _ if partitions == 1 => Arc::new(InOrder::new(parts)?),
            1 => parts.remove(0),
            _ => UnionExec::try_new(parts)?,
        };
        if !has_deleted {
            return Ok(plan);
        }
        let plan = self.filter_deleted(plan)?;
        if columns.len() == wanted.len() {
            return Ok(plan);
        }
        let schema = plan.schema();
        let kept = (0..wanted.len()).map(|place| {
            let name = schema.field(place).name().clone();
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, place));
            (column, name)
        });
        Ok(Arc::new(ProjectionExec::try_new(kept.collect::<Vec<_>>(), plan)?))
    }
}
