//! Running queries: how they are stopped, how much memory they hold, and how many each owner has.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use parking_lot::Mutex;
use streamtable_store::{MemoryCeiling, OwnerPermits, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

/// How often the memory of the process is compared with its ceiling.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// How long a stopped query has to release its memory before the next one is stopped.
const STOP_PAUSE: Duration = Duration::from_millis(200);

/// A query that is running, or being planned.
#[derive(Debug)]
pub(super) struct RunningQuery {
    started: Instant,
    deadline: Instant,
    timeout: Duration,
    /// Set if the caller no longer waits for the answer.
    is_dropped: AtomicBool,
    /// Set if the query was stopped because the process uses too much memory.
    is_stopped: AtomicBool,
    task: OnceLock<AbortHandle>,
    /// The bytes that its operators and functions have reserved.
    used: Arc<AtomicUsize>,
    /// The memory of function results, reserved while batches with them may be in use.
    results: MemoryReservation,
    /// The pool in which its operators reserve memory.
    pool: Arc<dyn MemoryPool>,
}

impl RunningQuery {
    pub(super) fn new(timeout: Duration, pool: &Arc<dyn MemoryPool>) -> Self {
        let used = Arc::new(AtomicUsize::new(0));
        let pool: Arc<dyn MemoryPool> =
            Arc::new(CountingPool { pool: Arc::clone(pool), used: Arc::clone(&used) });
        let started = Instant::now();
        Self {
            started,
            deadline: started + timeout,
            timeout,
            is_dropped: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            task: OnceLock::new(),
            used,
            results: MemoryConsumer::new("function results").register(&pool),
            pool,
        }
    }

    /// Returns the pool in which its operators reserve memory.
    pub(super) fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.pool
    }

    /// Returns an error if the query must stop. Long computations without a yield call this
    /// periodically, because a task can be aborted only when it yields.
    pub(super) fn check(&self) -> Result<()> {
        let error = if self.is_stopped.load(Ordering::Relaxed) {
            stopped()
        } else if self.is_dropped.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            too_long(self.timeout)
        } else {
            return Ok(());
        };
        Err(DataFusionError::External(Box::new(error)))
    }

    /// Reserves memory until the query ends.
    pub(super) fn reserve(&self, bytes: usize) -> Result<()> {
        self.results.try_grow(bytes)
    }

    /// Sets the task that is aborted when the query is stopped.
    pub(super) fn set_task(&self, task: AbortHandle) {
        if self.is_stopped.load(Ordering::Acquire) {
            task.abort();
        }
        // This is called only once for a query.
        let _ = self.task.set(task);
    }

    /// Stops the query because the caller no longer waits for its answer.
    pub(super) fn abandon(&self) {
        self.is_dropped.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Returns the reason why the query was stopped, if it was.
    pub(super) fn stop_reason(&self) -> Option<StoreError> {
        self.is_stopped.load(Ordering::Acquire).then(stopped)
    }

    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable {
        reason: "the query was stopped: the server is above its memory limit, and this query used \
                 the most"
            .to_owned(),
    }
}

pub(super) fn too_long(timeout: Duration) -> StoreError {
    StoreError::Limit { message: format!("the query took longer than {timeout:?}") }
}

/// The results of one function in a query that may still be in use: those of the last few batches.
#[derive(Debug, Default)]
pub(super) struct HeldResults(Mutex<VecDeque<usize>>);

impl HeldResults {
    /// Reserves memory for a result in place of the oldest of `max` results.
    pub(super) fn hold(&self, query: &RunningQuery, bytes: usize, max: usize) -> Result<()> {
        let mut held = self.0.lock();
        while held.len() >= max.max(1) {
            query.results.shrink(held.pop_front().unwrap_or(0));
        }
        query.results.try_grow(bytes)?;
        held.push_back(bytes);
        Ok(())
    }
}

/// A pool that counts what one query reserves in the shared pool.
#[derive(Debug)]
struct CountingPool {
    pool: Arc<dyn MemoryPool>,
    used: Arc<AtomicUsize>,
}

impl fmt::Display for CountingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pool)
    }
}

impl MemoryPool for CountingPool {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
        self.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.pool.shrink(reservation, shrink);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.pool.try_grow(reservation, additional)?;
        self.used.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

/// All queries that are running.
#[derive(Debug)]
pub(super) struct RunningQueries {
    queries: Mutex<Vec<Weak<RunningQuery>>>,
    permits: OwnerPermits,
}

impl RunningQueries {
    /// Creates an empty collection, in which each owner may have `max` queries.
    pub(super) fn new(max: usize) -> Self {
        Self { queries: Mutex::default(), permits: OwnerPermits::new(max) }
    }

    pub(super) fn add(&self, query: &Arc<RunningQuery>) {
        let mut queries = self.queries.lock();
        queries.retain(|query| query.strong_count() > 0);
        queries.push(Arc::downgrade(query));
    }

    /// Waits until the owner may have one more query. The permit is for that query.
    pub(super) async fn permit(
        &self,
        owner: &str,
        deadline: tokio::time::Instant,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        match timeout_at(deadline, self.permits.of(owner).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(StoreError::Unavailable {
                reason: format!(
                    "{} other queries of the same caller did not end in time",
                    self.permits.each()
                ),
            }),
        }
    }

    /// Stops the query that has reserved the most memory; if several have, the one that has run
    /// longest.
    fn stop_largest(&self) -> bool {
        let running: Vec<_> = self.queries.lock().iter().filter_map(Weak::upgrade).collect();
        let largest = running
            .iter()
            .filter(|query| !query.is_stopped.load(Ordering::Relaxed))
            .max_by_key(|query| (query.used.load(Ordering::Relaxed), query.started.elapsed()));
        let Some(largest) = largest else { return false };
        tracing::warn!(
            reserved = largest.used.load(Ordering::Relaxed),
            "the largest query is stopped: the process uses more memory than it may"
        );
        largest.stop();
        true
    }
}

/// Monitors the memory of the process on a separate thread until the engine is dropped, and stops
/// the largest query while it is above the ceiling.
pub(super) fn watch(
    queries: &Arc<RunningQueries>,
    memory: &Arc<MemoryCeiling>,
) -> std::io::Result<()> {
    let (queries, memory) = (Arc::downgrade(queries), Arc::clone(memory));
    let work = move || {
        loop {
            std::thread::sleep(WATCH_EVERY);
            let Some(queries) = queries.upgrade() else { return };
            if memory.is_exceeded() && queries.stop_largest() {
                std::thread::sleep(STOP_PAUSE);
            }
        }
    };
    std::thread::Builder::new().name("streamtable-memory".to_owned()).spawn(work).map(drop)
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    fn query(pool: &Arc<dyn MemoryPool>) -> Arc<RunningQuery> {
        Arc::new(RunningQuery::new(Duration::from_secs(60), pool))
    }

    #[test]
    fn the_largest_query_is_stopped_first() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000));
        let (small, large) = (query(&pool), query(&pool));
        let queries = RunningQueries::new(1);
        queries.add(&small);
        queries.add(&large);
        let held = MemoryConsumer::new("sort").register(large.pool());
        held.try_grow(100).unwrap();
        assert!(queries.stop_largest());
        assert!(small.check().is_ok());
        assert!(large.check().unwrap_err().to_string().contains("memory limit"));
        assert!(large.stop_reason().is_some_and(|it| it.is_retryable()));
        assert!(queries.stop_largest());
        assert!(!queries.stop_largest());
        drop((held, small, large));
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn results_are_held_for_the_last_batches() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let query = query(&pool);
        let held = HeldResults::default();
        for _ in 0..10 {
            held.hold(&query, 40, 2).unwrap();
        }
        assert_eq!(pool.reserved(), 80);
        assert!(held.hold(&query, 61, 2).is_err());
        drop(query);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_query_ends_with_its_time() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let query = RunningQuery::new(Duration::ZERO, &pool);
        assert!(query.check().unwrap_err().to_string().contains("longer than"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_waits_for_its_own_queries_only() {
        let queries = RunningQueries::new(1);
        let soon = || tokio::time::Instant::now() + Duration::from_secs(1);
        let first = queries.permit("a", soon()).await.unwrap();
        let second = queries.permit("a", soon()).await;
        assert!(second.is_err_and(|error| error.is_retryable()));
        assert!(queries.permit("b", soon()).await.is_ok());
        drop(first);
        assert!(queries.permit("a", soon()).await.is_ok());
    }
}
