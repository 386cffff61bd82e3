//! The query engine.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::physical_plan::{collect, execute_stream};
use datafusion::prelude::SessionConfig;
use futures_util::{Stream, StreamExt as _};
use object_store::local::LocalFileSystem;
use streamtable_schema::TablePath;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::at_rest::{self, AtRest};
use super::catalog::{Tables, Visible};
use super::icontains::IContains;
use super::named::Named;
use super::newest_first::NewestFirst;
use super::{Query, Rows};
use crate::columns::read_rows;
use crate::embedded::{Snapshot, StoreConfig, TABLES};
use crate::live::rows_before;
use crate::{ReadRow, StoreError};

/// The longest query, in bytes.
const MAX_SQL_BYTES: usize = 1 << 20;

/// So many batches of an answer wait for whoever reads it.
const WAITING_BATCHES: usize = 2;

/// Answers queries; all of them share its memory and its threads.
#[derive(Debug)]
pub(crate) struct Engine {
    resources: Arc<RuntimeEnv>,
    threads: usize,
    /// Where queries run: an operator may compute for seconds without a pause, and rows that come
    /// in shall not wait for it.
    pool: Option<Runtime>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.shutdown_background();
        }
    }
}

impl Engine {
    pub(crate) fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let spill = config.folder.join("spill");
        // What a process that was killed has left there is of no use to anybody.
        if spill.exists() {
            std::fs::remove_dir_all(&spill)?;
        }
        std::fs::create_dir_all(&spill)?;
        let disk =
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill]));
        let resources = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(config.query_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(failed)?;
        let tables = config.folder.join(TABLES);
        std::fs::create_dir_all(&tables)?;
        let tables = LocalFileSystem::new_with_prefix(tables).map_err(|e| failed(e.into()))?;
        resources.register_object_store(at_rest::place().as_ref(), Arc::new(tables));
        let threads = config.query_threads.max(1);
        let pool = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("streamtable-query")
            .enable_all()
            .build()?;
        Ok(Self { resources, threads, pool: Some(pool) })
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
        let positions = query.positions;
        let named = Arc::new(Named::in_query(&query.sql));
        let visible = Visible { tables, entities: query.entities, positions, named };
        let state = self.session(visible, query.home.as_ref(), self.threads)?;
        let (tell, told) = oneshot::channel();
        let (send, receive) = mpsc::channel(WAITING_BATCHES);
        let running = self.spawn(async move {
            let mut rows = match run(state, &query.sql).await {
                Ok(rows) => rows,
                Err(error) => return drop(tell.send(Err(error))),
            };
            // Whoever asked may have gone away: then nothing more is computed.
            if tell.send(Ok(rows.schema())).is_err() {
                return;
            }
            while let Some(batch) = rows.next().await {
                if send.send(batch.map_err(failed)).await.is_err() {
                    return;
                }
            }
        })?;
        let schema = timeout_at(deadline, told).await.map_err(|_| too_long.clone())?;
        let schema = schema.map_err(|_| ended())??;
        Ok(Rows { schema, batches: until(deadline, too_long, receive, running).boxed() })
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
        if from >= snapshot.end {
            return Ok(Vec::new());
        }
        let rows = |batches: Vec<RecordBatch>| {
            batches.iter().flat_map(|batch| read_rows(&columns, batch)).collect()
        };
        if first_live.is_some_and(|first| first <= from) {
            return Ok(rows(read_memory(&snapshot, from, limit)));
        }
        let state = self.session(Visible::none(), None, 1)?;
        let (tell, told) = oneshot::channel();
        let _running = self.spawn(async move {
            let batches = read_files(state, snapshot, from, limit).await;
            // Whoever asked may have gone away.
            let _ = tell.send(batches);
        })?;
        Ok(rows(told.await.map_err(|_| ended())??))
    }

    fn spawn(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Running, StoreError> {
        let pool = self.pool.as_ref().ok_or_else(ended)?;
        Ok(Running(pool.spawn(work)))
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
        // The rule takes a view's column and the one it is made of for two of the same name.
        options.optimizer.enable_leaf_expression_pushdown = false;
        options.execution.time_zone = Some("+00:00".to_owned());
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.resources))
            .with_catalog_list(Arc::new(visible))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(NewestFirst))
            .build();
        datafusion_functions_json::register_all(&mut state).map_err(failed)?;
        state.register_udf(Arc::new(ScalarUDF::from(IContains::new()))).map_err(failed)?;
        Ok(state)
    }
}

/// A query under way; it ends with whoever waits for it.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(mut state: SessionState, sql: &str) -> Result<SendableRecordBatchStream, StoreError> {
    let plan = state.create_logical_plan(sql).await.map_err(failed)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(failed)?;
    if is_plain(&plan) {
        // Rows that are neither sorted nor put together come oldest first.
        *state.config_mut() = state.config().clone().with_target_partitions(1);
    }
    let plan = state.create_physical_plan(&plan).await.map_err(failed)?;
    execute_stream(plan, state.task_ctx()).map_err(failed)
}

async fn read_files(
    state: SessionState,
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
    let schema = snapshot.columns.arrow_schema();
    let plan = AtRest::new(snapshot, schema).rows_from(&state, from, limit).await;
    collect(plan.map_err(failed)?, state.task_ctx()).await.map_err(failed)
}

fn ended() -> StoreError {
    StoreError::Unavailable { reason: "the query has ended early".to_owned() }
}

impl Visible {
    fn none() -> Self {
        let named = Arc::new(Named::All);
        Self { tables: Arc::new(NoTables), entities: Some(Vec::new()), positions: false, named }
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

fn read_memory(snapshot: &Snapshot, from: u64, limit: usize) -> Vec<RecordBatch> {
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

/// Passes batches on, and ends with an error when their time is over.
fn until(
    deadline: Instant,
    too_long: StoreError,
    batches: mpsc::Receiver<Result<RecordBatch, StoreError>>,
    running: Running,
) -> impl Stream<Item = Result<RecordBatch, StoreError>> + Send + 'static {
    futures_util::stream::unfold(Some((batches, running)), move |state| {
        let too_long = too_long.clone();
        async move {
            let (mut batches, mut running) = state?;
            match timeout_at(deadline, batches.recv()).await {
                Ok(Some(Ok(batch))) => Some((Ok(batch), Some((batches, running)))),
                Ok(Some(Err(error))) => Some((Err(error), None)),
                // An end that nobody meant must not look like one.
                Ok(None) => match (&mut running.0).await {
                    Ok(()) => None,
                    Err(_) => Some((Err(ended()), None)),
                },
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
            return StoreError::Limit {
                message: format!("the query needs too much memory: {message}"),
            };
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
