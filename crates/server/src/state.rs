//! State shared by all handlers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use streamtable_store::{FileStore, MemoryCeiling, Store};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::config::ServerConfig;
use crate::graphql::StepIndexes;
use crate::live::Hub;
use crate::storage::Signer;

/// State shared by all handlers. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Stores rows.
    pub store: Arc<dyn Store>,
    /// Stores files.
    pub files: Arc<dyn FileStore>,
    /// Stores everything except rows and files.
    pub catalog: Catalog,
    pub(crate) shared: Arc<Shared>,
}

/// State that handlers share in addition to the stores.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) signer: Signer,
    /// One permit for each KiB of memory that request bodies may use.
    pub(crate) body_memory: Arc<Semaphore>,
    /// One permit for each processor: limits the threads that read large bodies.
    pub(crate) body_readers: Arc<Semaphore>,
    /// One permit for each GraphQL document that may execute concurrently.
    pub(crate) documents: Arc<Semaphore>,
    /// The memory limit of the process.
    pub(crate) memory: Arc<MemoryCeiling>,
    /// One permit for each concurrent upload.
    pub(crate) uploads: Arc<Semaphore>,
    /// When each run's last heartbeat was recorded.
    pub(crate) heartbeats: Mutex<HashMap<i64, Instant>>,
    pub(crate) steps: StepIndexes,
    /// The views that pages have open.
    pub(crate) live: Hub,
    /// Cancelled when the server shuts down: streams that wait for new rows then end.
    pub(crate) stopping: CancellationToken,
}

impl AppState {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        files: Arc<dyn FileStore>,
        catalog: Catalog,
        signer: Signer,
        config: ServerConfig,
        memory: Arc<MemoryCeiling>,
    ) -> Self {
        let limits = &config.limits;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Shared {
            signer,
            body_memory: Arc::new(Semaphore::new(limits.body_memory_bytes.div_ceil(1024))),
            body_readers: Arc::new(Semaphore::new(processors)),
            documents: Arc::new(Semaphore::new((processors * 4).max(16))),
            memory,
            uploads: Arc::new(Semaphore::new(limits.max_uploads)),
            heartbeats: Mutex::default(),
            steps: StepIndexes::default(),
            live: Hub::default(),
            stopping: CancellationToken::new(),
            config,
        };
        Self { store, files, catalog, shared: Arc::new(shared) }
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.shared.config
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("store", &self.store)
            .field("files", &self.files)
            .field("catalog", &self.catalog)
            .finish_non_exhaustive()
    }
}
