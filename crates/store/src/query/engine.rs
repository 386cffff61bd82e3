//! The query engine.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, ident, lit};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures_util::{Stream, StreamExt as _};
use streamtable_schema::TablePath;
use tokio::time::Instant;

use super::at_rest::AtRest;
use super::catalog::{Tables, Visible};
use super::{Query, Rows};
use crate::columns::{fixed, read_rows};
use crate::embedded::{Snapshot, StoreConfig};
use crate::live::rows_before;
use crate::{ReadRow, StoreError};

/// The longest query, in bytes.
const MAX_SQL_BYTES: usize = 1 << 20;

/// Answers queries; all of them share its memory.
#[derive(Debug)]
pub(crate) struct Engine {
    runtime: Arc<RuntimeEnv>,
    threads: usize,
}

impl Engine {
    pub(crate) fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let spill = config.folder.join("spill");
        // What a process that was killed has left there is of no use to anybody.
        if spill.exists() {
            std::fs::remove_dir_all(&spill)?;
        }
        std::fs::create_dir_all(&spill)?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![spill]));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.query_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(failed)?;
        Ok(Self { runtime, threads: config.query_threads.max(1) })
    }

    /// Answers a question in SQL.
    pub(crate) async fn query(
        &self,
        tables: Arc<dyn Tables>,
        query: Query,
    ) -> Result<Rows, StoreError> {
        let deadline = Instant::now() + query.timeout;
        let too_long = too_long(query.timeout);
        if query.sql.len() > MAX_SQL_BYTES {
            let message = format!("a query has at most {MAX_SQL_BYTES} bytes");
            return Err(StoreError::Query { message });
        }
        let visible = Visible { tables, entities: query.entities };
        let state = self.session(visible, query.home.as_ref(), self.threads)?;
        let plan = async {
            let plan = state.create_logical_plan(&query.sql).await.map_err(failed)?;
            SQLOptions::new()
                .with_allow_ddl(false)
                .with_allow_dml(false)
                .with_allow_statements(false)
                .verify_plan(&plan)
                .map_err(failed)?;
            let mut state = state;
            if is_plain(&plan) {
                // Rows that are neither sorted nor put together come oldest first.
                *state.config_mut() = state.config().clone().with_target_partitions(1);
            }
            let plan = state.create_physical_plan(&plan).await.map_err(failed)?;
            execute_stream(plan, state.task_ctx()).map_err(failed)
        };
        let rows = tokio::time::timeout_at(deadline, plan).await.map_err(|_| too_long.clone())??;
        let schema = rows.schema();
        let batches = until(deadline, too_long, rows.map(|batch| batch.map_err(failed)));
        Ok(Rows { schema, batches: batches.boxed() })
    }

    /// Reads at most `limit` rows of a table from a position on, in order.
    pub(crate) async fn read(
        &self,
        snapshot: Snapshot,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let columns = Arc::clone(&snapshot.columns);
        let first_live = snapshot.live.first().and_then(|batch| {
            Some(crate::live::positions(batch)?.values().first().copied()? as u64)
        });
        let batches = if first_live.is_some_and(|first| first <= from) {
            from_memory(&snapshot, from, limit)
        } else if from >= snapshot.end {
            Vec::new()
        } else {
            self.from_files(snapshot, from, limit).await?
        };
        Ok(batches.iter().flat_map(|batch| read_rows(&columns, batch)).collect())
    }

    async fn from_files(
        &self,
        mut snapshot: Snapshot,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordBatch>, StoreError> {
        // Only the files that can have the first of them are opened.
        let mut rows = 0;
        let files = snapshot.files.iter().filter(|file| file.end > from).take_while(|file| {
            let is_needed = rows < limit as u64;
            // The first may begin before the rows that are asked for.
            rows += if file.first >= from { file.rows } else { 0 };
            is_needed
        });
        let files: Vec<_> = files.cloned().collect();
        if rows >= (limit as u64) + snapshot.dead.count_within(from..snapshot.end) {
            snapshot.live.clear();
        }
        snapshot.files = Arc::new(files);
        let state = self.session(Visible::none(), None, 1)?;
        let context = SessionContext::new_with_state(state);
        let frame = context
            .read_table(Arc::new(AtRest::new(snapshot)))
            .and_then(|frame| frame.filter(ident(fixed::POSITION).gt_eq(lit(from as i64))))
            .and_then(|frame| frame.limit(0, Some(limit)))
            .map_err(failed)?;
        frame.collect().await.map_err(failed)
    }

    fn session(
        &self,
        visible: Visible,
        home: Option<&(String, String)>,
        partitions: usize,
    ) -> Result<SessionState, StoreError> {
        // A name that no table has, so that a short name without a home finds nothing.
        let (entity, project) = home.map_or(("-", "-"), |(entity, project)| (entity, project));
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(entity, project)
            .with_information_schema(true);
        let options = config.options_mut();
        // Columns are called what the program that logged them called them.
        options.sql_parser.enable_ident_normalization = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.time_zone = Some("+00:00".to_owned());
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(Arc::new(visible))
            .with_default_features()
            .build();
        datafusion_functions_json::register_all(&mut state).map_err(failed)?;
        Ok(state)
    }
}

impl Visible {
    fn none() -> Self {
        Self { tables: Arc::new(NoTables), entities: Some(Vec::new()) }
    }
}

#[derive(Debug)]
struct NoTables;

impl Tables for NoTables {
    fn names(&self) -> Vec<TablePath> {
        Vec::new()
    }

    fn find(&self, _: &TablePath) -> Option<Snapshot> {
        None
    }
}

fn from_memory(snapshot: &Snapshot, from: u64, limit: usize) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut left = limit;
    for batch in &snapshot.live {
        let skip = rows_before(batch, from);
        let rest = batch.slice(skip, batch.num_rows() - skip);
        let Some(positions) = crate::live::positions(&rest) else { continue };
        let mut at = 0;
        // Runs of rows between those that hold no row any more.
        while at < rest.num_rows() && left > 0 {
            let alive = |i: usize| !snapshot.dead.contains(positions.value(i) as u64);
            let start = (at..rest.num_rows()).find(|&i| alive(i)).unwrap_or(rest.num_rows());
            let end = (start..rest.num_rows()).find(|&i| !alive(i)).unwrap_or(rest.num_rows());
            let count = (end - start).min(left);
            if count > 0 {
                batches.push(rest.slice(start, count));
            }
            left -= count;
            at = end;
        }
    }
    batches
}

/// Tells whether a query takes rows of one table as they are: in their order, then.
fn is_plain(plan: &LogicalPlan) -> bool {
    let mut is_plain = true;
    let mut scans = 0;
    let visited = plan.apply(|node| {
        match node {
            LogicalPlan::TableScan(_) => scans += 1,
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_) => {}
            _ => is_plain = false,
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok() && is_plain && scans == 1
}

/// Ends a stream with an error when its time is over.
fn until<S: Stream<Item = Result<RecordBatch, StoreError>> + Send + 'static>(
    deadline: Instant,
    too_long: StoreError,
    rows: S,
) -> impl Stream<Item = Result<RecordBatch, StoreError>> + Send + 'static {
    let state = Some(Box::pin(rows));
    futures_util::stream::unfold(state, move |rows| {
        let too_long = too_long.clone();
        async move {
            let mut rows = rows?;
            match tokio::time::timeout_at(deadline, rows.next()).await {
                Ok(Some(Ok(batch))) => Some((Ok(batch), Some(rows))),
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) => None,
                Err(_) => Some((Err(too_long), None)),
            }
        }
    })
}

fn too_long(timeout: Duration) -> StoreError {
    StoreError::Limit { message: format!("the query took longer than {timeout:?}") }
}

fn failed(error: DataFusionError) -> StoreError {
    let error = match error.find_root() {
        DataFusionError::ResourcesExhausted(message) => {
            return StoreError::Limit { message: format!("the query needs too much memory: {message}") };
        }
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_) => {
            return StoreError::Damaged { reason: error.strip_backtrace() };
        }
        _ => error,
    };
    StoreError::Query { message: error.strip_backtrace() }
}
