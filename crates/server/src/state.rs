//! What every handler shares.

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

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Where rows are.
    pub store: Arc<dyn Store>,
    /// Where files are.
    pub files: Arc<dyn FileStore>,
    /// What is known beside rows and files.
    pub catalog: Catalog,
    pub(crate) shared: Arc<Shared>,
}

/// What handlers share beside the stores.
pub(crate) struct Shared {
    pub(crate) config: ServerConfig,
    pub(crate) signer: Signer,
    /// A permit for each KiB that bodies may take in memory.
    pub(crate) body_memory: Arc<Semaphore>,
    /// A permit for each processor: large bodies are read on so many threads at once.
    pub(crate) body_readers: Arc<Semaphore>,
    /// A permit for each GraphQL document that may be carried out at once.
    pub(crate) documents: Arc<Semaphore>,
    /// How much memory the process may use.
    pub(crate) memory: Arc<MemoryCeiling>,
    /// A permit for each upload that may be under way.
    pub(crate) uploads: Arc<Semaphore>,
    /// When a run's last sign of life was written down.
    pub(crate) heartbeats: Mutex<HashMap<i64, Instant>>,
    pub(crate) steps: StepIndexes,
    /// The views that pages look at.
    pub(crate) live: Hub,
    /// Cancelled when the server stops: what waits for more to come ends then.
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
