//! The query engine.

use std::ops::Range;
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
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{collect, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures_util::{Stream, StreamExt as _};
use object_store::ObjectStore;
#[cfg(test)]
use streamtable_schema::TablePath;
use streamtable_store::{MemoryCeiling, ReadRow, ResultTypes, Rows, SqlQuery, StoreError};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::catalog::{Tables, Visible};
use super::functions::BoundFunctions;
use super::interrupt::Interrupt;
use super::library::Library;
use super::messages::{explain, plain};
use super::mixed::{self, KnownColumns, Operands};
use super::named::Named;
use super::newest_first::NewestFirst;
use super::plan_limits::{Guarded, batch_rows, check_buffers, check_plan};
use super::running::{RunningQueries, RunningQuery, too_long, watch};
use super::steps::FirstSteps;
use super::table_scan::{self, TableScan};
use super::types::{BoundLiterals, check_type};
use super::{json_operators, nesting, sql_limits};
use crate::columns::{fixed, read_rows};
use crate::embedded::{Snapshot, StoreConfig};
use crate::memtable::rows_before;

/// The stack size of threads that plan and run queries. Plans are trees, and much of the engine
/// recurses into them. Only the used part takes memory.
const STACK_BYTES: usize = 32 << 20;

/// The maximum number of threads that plan queries, or read files for them.
const MAX_BLOCKING_THREADS: usize = 64;

/// How many queries are planned at a time: more than one owner can have, and fewer than there are
/// threads.
const MAX_PLANNING: usize = 32;

/// The timeout of reading one page of rows.
const READ_TIMEOUT: Duration = Duration::from_secs(600);

/// How many batches of an answer are buffered for its reader.
const WAITING_BATCHES: usize = 2;

/// Answers queries. All queries share its memory and its threads.
#[derive(Debug)]
pub(crate) struct Engine {
    resources: Arc<RuntimeEnv>,
    library: Arc<Library>,
    threads: usize,
    /// The runtime of queries: an operator may compute for seconds without yielding, and appends
    /// must not wait for it.
    pool: Option<Runtime>,
    queries: Arc<RunningQueries>,
    /// A permit for each query that may be planned now.
    planning: Arc<Semaphore>,
    memory: Arc<MemoryCeiling>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.shutdown_background();
        }
    }
}

impl Engine {
    pub(crate) fn new(
        config: &StoreConfig,
        tables: Arc<dyn ObjectStore>,
    ) -> Result<Self, StoreError> {
        let spill = config.folder.join("spill");
        // Spill files of a killed process are obsolete.
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
        resources.register_object_store(table_scan::place().as_ref(), tables);
        let threads = config.query_threads.max(1);
        let pool = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("streamtable-query")
            .thread_stack_size(STACK_BYTES)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_all()
            .build()?;
        let queries = Arc::new(RunningQueries::new(config.max_queries_per_owner));
        watch(&queries, &config.memory)?;
        Ok(Self {
            resources,
            library: Arc::new(Library::new().map_err(failed)?),
            threads,
            pool: Some(pool),
            queries,
            planning: Arc::new(Semaphore::new(MAX_PLANNING)),
            memory: Arc::clone(&config.memory),
        })
    }

    /// Answers an SQL query. Everything that depends on its text runs on the engine's own threads.
    pub(crate) async fn query(
        &self,
        tables: Arc<dyn Tables>,
        query: SqlQuery,
    ) -> Result<Rows, StoreError> {
        self.memory.check()?;
        let timeout = query.timeout;
        let deadline = Instant::now() + timeout;
        let permit = match &query.owner {
            Some(owner) => Some(Arc::new(self.queries.permit(owner, deadline).await?)),
            None => None,
        };
        let state = Arc::new(RunningQuery::new(timeout, &self.resources.memory_pool));
        self.queries.add(&state);
        let (library, resources) = (Arc::clone(&self.library), Arc::clone(&self.resources));
        let threads = self.threads;
        let (send_schema, schema) = oneshot::channel();
        let (send, receive) = mpsc::channel(WAITING_BATCHES);
        let running = Arc::clone(&state);
        let of_tables: Arc<KnownColumns> = Arc::default();
        let planning = Arc::clone(&self.planning);
        let of_owner = permit.clone();
        let task = self.spawn(async move {
            let Ok(turn) = planning.acquire_owned().await else { return };
            // Planning does not yield, so it runs on threads where it cannot delay running queries.
            let planned = tokio::task::spawn_blocking(move || {
                // Until planning ends, which may be after the query's time: an owner's slow plans must not
                // take all turns.
                let _held = (turn, of_owner);
                running.check().map_err(failed)?;
                let tokens = sql_limits::QUERY.tokens(&query.sql)?;
                let positions = query.positions;
                let named = Arc::new(Named::in_query(&tokens));
                let known = Arc::clone(&of_tables);
                let visible = Visible { tables, entities: query.entities, positions, named, known };
                let home = query.home.as_ref();
                let session = session(&library, &resources, visible, home, threads, &running)?;
                Handle::current()
                    .block_on(run(session, tokens, &of_tables, query.types))
                    .map_err(|error| explain(error, &query.sql, &of_tables))
            });
            let mut rows = match planned.await {
                Ok(Ok(rows)) => rows,
                Ok(Err(error)) => return drop(send_schema.send(Err(error))),
                Err(error) => {
                    tracing::error!(%error, "the query engine panicked");
                    return drop(send_schema.send(Err(engine_failed())));
                }
            };
            // If the caller was dropped, nothing more is computed.
            if send_schema.send(Ok(rows.schema())).is_err() {
                return;
            }
            while let Some(batch) = rows.next().await {
                if send.send(batch.map_err(failed)).await.is_err() {
                    return;
                }
            }
        })?;
        state.set_task(task.abort_handle());
        let mut running = Running { task, query: state, _permit: permit };
        let schema = timeout_at(deadline, schema).await.map_err(|_| too_long(timeout))?;
        let schema = match schema {
            Ok(schema) => schema?,
            Err(_) => return Err(running.end().await.err().unwrap_or_else(ended)),
        };
        Ok(Rows { schema, batches: until(deadline, timeout, receive, running).boxed() })
    }

    /// Reads at most `limit` rows of a table from a position on, in order.
    pub(crate) async fn read(
        &self,
        snapshot: Snapshot,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let columns = Arc::clone(&snapshot.columns);
        let first_in_memory = snapshot.memtable.first().and_then(|batch| {
            Some(crate::memtable::positions(batch)?.values().first().copied()? as u64)
        });
        if from >= snapshot.end {
            return Ok(Vec::new());
        }
        let rows = |batches: Vec<RecordBatch>| {
            batches.iter().flat_map(|batch| read_rows(&columns, batch)).collect()
        };
        if first_in_memory.is_some_and(|first| first <= from) {
            return Ok(rows(read_memory(&snapshot, from, limit)));
        }
        self.run_read(|state| read_files(state, snapshot, from, limit)).await.map(rows)
    }

    /// Returns the steps and positions of the first `limit` rows with a step in `steps`.
    pub(crate) async fn find_steps(
        &self,
        snapshot: Snapshot,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        self.run_read(|state| find_steps(state, snapshot, FirstSteps::new(steps, limit))).await
    }

    /// Runs a read on the engine's threads.
    async fn run_read<T, W>(
        &self,
        read: impl FnOnce(SessionState) -> W + Send,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let query = Arc::new(RunningQuery::new(READ_TIMEOUT, &self.resources.memory_pool));
        let read = read(read_session(&self.resources, &query));
        let (send, done) = oneshot::channel();
        let task = self.spawn(async move {
            let done = read.await;
            // The caller may have been dropped.
            let _ = send.send(done);
        })?;
        let mut running = Running { task, query, _permit: None };
        match timeout(READ_TIMEOUT, done).await.map_err(|_| too_long(READ_TIMEOUT))? {
            Ok(done) => done,
            Err(_) => Err(running.end().await.err().unwrap_or_else(ended)),
        }
    }

    fn spawn(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<JoinHandle<()>, StoreError> {
        let pool = self.pool.as_ref().ok_or_else(ended)?;
        Ok(pool.spawn(work))
    }
}

/// Creates the session in which one query is planned and run.
pub(super) fn session(
    library: &Library,
    resources: &Arc<RuntimeEnv>,
    visible: Visible,
    home: Option<&(String, String)>,
    partitions: usize,
    query: &Arc<RunningQuery>,
) -> Result<SessionState, StoreError> {
    // A name that no table has, so that a short name is not found if the query has no home.
    let (entity, project) = home.map_or(("-", "-"), |(entity, project)| (entity, project));
    let mut config = scan_config(partitions)
        .with_default_catalog_and_schema(entity, project)
        .with_information_schema(true);
    let options = config.options_mut();
    // Column names keep the case in which they were logged.
    options.sql_parser.enable_ident_normalization = false;
    // The rule confuses a view's column with the column of the same name that it is computed from.
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.execution.time_zone = Some("+00:00".to_owned());
    let known = Arc::clone(&visible.known);
    let optimizer = Optimizer::new().rules.into_iter().map(|rule| Guarded::wrap(rule, query));
    let mut physical = PhysicalOptimizer::new().rules;
    physical.push(Arc::new(NewestFirst));
    physical.push(Arc::new(Interrupt::new(query)));
    let physical = physical.into_iter().map(|rule| Guarded::wrap_physical(rule, query));
    let session = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(resources_of(resources, query))
        .with_catalog_list(Arc::new(visible))
        .with_analyzer_rule(Arc::new(BoundFunctions::new(query, partitions)))
        .with_optimizer_rules(optimizer.collect())
        .with_physical_optimizer_rules(physical.collect());
    // Before the default planner, which has no bounds.
    let planners: Vec<Arc<dyn ExprPlanner>> =
        vec![Arc::new(BoundLiterals), Arc::new(Operands::new(known))];
    let mut state = library.build(session, planners).map_err(failed)?;
    // The time that `now()` returns.
    state.mark_start_execution();
    Ok(state)
}

/// Creates the session of a read, which runs a plan of its own: it has no functions, since
/// registering them takes longer than most reads.
fn read_session(resources: &Arc<RuntimeEnv>, query: &RunningQuery) -> SessionState {
    SessionStateBuilder::new()
        .with_config(scan_config(1))
        .with_runtime_env(resources_of(resources, query))
        .build()
}

/// Returns the configuration by which tables are scanned.
fn scan_config(partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    config
}

/// Returns the resources, with the query's own share of the memory.
fn resources_of(resources: &RuntimeEnv, query: &RunningQuery) -> Arc<RuntimeEnv> {
    Arc::new(RuntimeEnv { memory_pool: Arc::clone(query.pool()), ..resources.clone() })
}

/// A running query, for the caller that waits for its answer. Dropping it stops the query.
struct Running {
    task: JoinHandle<()>,
    query: Arc<RunningQuery>,
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Running {
    /// Waits for the end of the task. Fails if the task panicked or was stopped. Called at most once.
    async fn end(&mut self) -> Result<(), StoreError> {
        match (&mut self.task).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_panic() => {
                tracing::error!("the query engine panicked");
                Err(engine_failed())
            }
            Err(_) => Err(self.query.stop_reason().unwrap_or_else(ended)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.query.abandon();
    }
}

/// Plans a query and starts it; `types` is that of [`SqlQuery`].
pub(super) async fn run(
    mut state: SessionState,
    tokens: Vec<TokenWithSpan>,
    known: &Arc<KnownColumns>,
    types: ResultTypes,
) -> Result<SendableRecordBatchStream, StoreError> {
    let depth = state.config().options().sql_parser.recursion_limit.get();
    let mut statement = parse(tokens, depth)?;
    json_operators::bind_tightly(&mut statement);
    sql_limits::check_selects(&statement)?;
    nesting::check(&statement)?;
    let planned = state.statement_to_plan(statement.clone()).await;
    // Which columns are mixed, and which are lists, is known only now.
    let accepts = known.has_mixed() || planned.is_err() && known.has_nested();
    let plan = if accepts {
        let mut planner = state.clone();
        mixed::accept(&mut planner, known).map_err(failed)?;
        planner.statement_to_plan(mixed::with_lists(statement)).await.map_err(failed)?
    } else {
        planned.map_err(failed)?
    };
    // Before any other code walks the plan.
    check_plan(&plan)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(failed)?;
    let plan = match known.has_mixed() || known.has_nested() {
        true => mixed::resolve(plan, known, types != ResultTypes::Flat).map_err(failed)?,
        false => plan,
    };
    let plan = match types {
        ResultTypes::All => plan,
        _ => json_operators::results_as_text(plan).map_err(failed)?,
    };
    if is_plain(&plan) {
        // Rows that are neither sorted nor aggregated are returned oldest first.
        *state.config_mut() = state.config().clone().with_target_partitions(1);
    }
    let plan = state.optimize(&plan).map_err(failed)?;
    check_buffers(&plan)?;
    let rows = batch_rows(&plan, state.config().batch_size()).map_err(failed)?;
    *state.config_mut() = state.config().clone().with_batch_size(rows);
    let planner = Arc::clone(state.query_planner());
    let plan = planner.create_physical_plan(&plan, &state).await.map_err(failed)?;
    for field in plan.schema().fields() {
        check_type(field.data_type())?;
    }
    execute_stream(plan, state.task_ctx()).map_err(failed)
}

/// Parses the tokens of a query, which are those of one statement.
fn parse(tokens: Vec<TokenWithSpan>, depth: usize) -> Result<Statement, StoreError> {
    let parser = DFParserBuilder::new(tokens).with_recursion_limit(depth).build();
    let mut statements = parser.and_then(|mut it| it.parse_statements()).map_err(failed)?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(StoreError::Query { message: "the query is empty".to_owned() }),
        (Some(_), more) => Err(StoreError::Query {
            message: format!("a query is one statement; this text has {}", more + 1),
        }),
    }
}

async fn read_files(
    state: SessionState,
    mut snapshot: Snapshot,
    from: u64,
    limit: usize,
) -> Result<Vec<RecordBatch>, StoreError> {
    // Only the files that can hold the first `limit` rows are opened.
    let mut rows = 0;
    let files = snapshot.files.iter().filter(|file| file.end > from).take_while(|file| {
        let is_needed = rows < limit as u64;
        // The first file may begin before the requested rows.
        rows += if file.first >= from { file.rows } else { 0 };
        is_needed
    });
    let files: Vec<_> = files.cloned().collect();
    if rows >= (limit as u64) + snapshot.deleted.count_within(from..snapshot.end) {
        snapshot.memtable.clear();
    }
    snapshot.files = Arc::new(files);
    let (schema, end) = (snapshot.columns.arrow_schema(), snapshot.end);
    let scan = TableScan::new(snapshot, schema);
    // The scan filters a row group as a whole before it returns rows, so the positions need an upper
    // bound. A near one is enough unless most of them are empty.
    let near = from.saturating_add(limit as u64).saturating_add(limit as u64).min(end);
    let found = collect_from(&scan, &state, from..near, limit).await?;
    if near == end || found.iter().map(RecordBatch::num_rows).sum::<usize>() >= limit {
        return Ok(found);
    }
    collect_from(&scan, &state, from..end, limit).await
}

async fn collect_from(
    scan: &TableScan,
    state: &SessionState,
    positions: Range<u64>,
    limit: usize,
) -> Result<Vec<RecordBatch>, StoreError> {
    let plan = scan.rows_from(state, positions, limit).await.map_err(failed)?;
    collect(plan, state.task_ctx()).await.map_err(failed)
}

async fn find_steps(
    state: SessionState,
    mut snapshot: Snapshot,
    mut first: FirstSteps,
) -> Result<Vec<(i64, u64)>, StoreError> {
    // The scan below need not filter deleted rows: `first` skips them.
    let deleted = std::mem::take(&mut snapshot.deleted);
    for batch in snapshot.memtable.drain(..) {
        first.add(&batch, &deleted);
    }
    if snapshot.files.is_empty() {
        return Ok(first.finish());
    }
    let schema = snapshot.columns.arrow_schema();
    let places = [fixed::POSITION, fixed::STEP].map(|name| schema.index_of(name));
    let places = places.into_iter().collect::<Result<Vec<_>, _>>();
    let schema = places.and_then(|places| schema.project(&places)).map_err(|e| failed(e.into()))?;
    let schema = Arc::new(schema);
    let conditions = first.conditions(&schema).map_err(failed)?;
    let scan = TableScan::new(snapshot, schema);
    for condition in conditions {
        let plan = scan.rows_that(&state, condition).await.map_err(failed)?;
        let mut batches = execute_stream(plan, state.task_ctx()).map_err(failed)?;
        while let Some(batch) = batches.next().await {
            first.add(&batch.map_err(failed)?, &deleted);
        }
    }
    Ok(first.finish())
}

fn engine_failed() -> StoreError {
    let reason = "the query engine cannot answer this query: one of its functions failed, probably \
                  because an argument is out of range";
    StoreError::Engine { reason: reason.to_owned() }
}

fn ended() -> StoreError {
    StoreError::Unavailable { reason: "the query has ended early".to_owned() }
}

#[cfg(test)]
impl Visible {
    pub(super) fn none() -> Self {
        let named = Arc::new(Named::all());
        let (tables, known) = (Arc::new(NoTables), Arc::default());
        Self { tables, entities: Some(Vec::new()), positions: false, named, known }
    }
}

#[cfg(test)]
#[derive(Debug)]
struct NoTables;

#[cfg(test)]
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
    for batch in &snapshot.memtable {
        let skip = rows_before(batch, from);
        let rest = batch.slice(skip, batch.num_rows() - skip);
        let Some(positions) = crate::memtable::positions(&rest) else { continue };
        let mut at = 0;
        // Runs of rows between deleted positions.
        while at < rest.num_rows() && left > 0 {
            let is_kept = |i: usize| !snapshot.deleted.contains(positions.value(i) as u64);
            let start = (at..rest.num_rows()).find(|&i| is_kept(i)).unwrap_or(rest.num_rows());
            let end = (start..rest.num_rows()).find(|&i| !is_kept(i)).unwrap_or(rest.num_rows());
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

/// Returns whether a query returns rows of one table unchanged, in their order.
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

/// Passes batches on, and ends with an error on timeout.
fn until(
    deadline: Instant,
    timeout: Duration,
    batches: mpsc::Receiver<Result<RecordBatch, StoreError>>,
    running: Running,
) -> impl Stream<Item = Result<RecordBatch, StoreError>> + Send + 'static {
    futures_util::stream::unfold(Some((batches, running)), move |state| async move {
        let (mut batches, mut running) = state?;
        match timeout_at(deadline, batches.recv()).await {
            Ok(Some(Ok(batch))) => Some((Ok(batch), Some((batches, running)))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            // A task that was stopped must not look like the end of the rows.
            Ok(None) => running.end().await.err().map(|error| (Err(error), None)),
            Err(_) => Some((Err(too_long(timeout)), None)),
        }
    })
}

pub(super) fn failed(error: DataFusionError) -> StoreError {
    if let Some(error) = own(&error) {
        return error.clone();
    }
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
    StoreError::Query { message: plain(&error.strip_backtrace()) }
}

/// Returns the store's own error that the engine has wrapped.
fn own(error: &DataFusionError) -> Option<&StoreError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref() {
            return Some(own);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_one_statement() {
        #[track_caller]
        fn check(sql: &str, expected: Option<&str>) {
            let error = parse(sql_limits::QUERY.tokens(sql).unwrap(), 50).err();
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(message.contains(expected.unwrap_or_default()), "{sql}: {message}");
            assert_eq!(message.is_empty(), expected.is_none(), "{sql}: {message}");
        }
        check("select 1", None);
        check("select 1;", None);
        check("", Some("the query is empty"));
        check(" -- nothing", Some("the query is empty"));
        check("select 1; select 2", Some("this text has 2"));
        check("select )", Some("Line: 1, Column: 8"));
    }
}
