//! State shared by the protocol's handlers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::FromRef;
use parking_lot::Mutex;
use streamtable_schema::TablePath;
use streamtable_server_core::{Alerts, CatalogError, Core, SharedPermits};
use streamtable_store::{FileStore, Store};
use tokio::sync::Semaphore;

use crate::catalog::{RunCatalog, RunLocation};
use crate::graphql;
use crate::resumes::Resumes;
use crate::{WandbConfig, file_stream, storage};

/// The W&B protocol of a server. Cheap to clone.
#[derive(Clone)]
pub struct Wandb {
    pub(crate) core: Core,
    /// Stores rows.
    pub(crate) store: Arc<dyn Store>,
    /// Stores files.
    pub(crate) files: Arc<dyn FileStore>,
    /// Projects, runs and artifacts.
    pub(crate) catalog: RunCatalog,
    /// Receives the alerts of runs.
    pub(crate) alerts: Arc<dyn Alerts>,
    pub(crate) config: Arc<WandbConfig>,
    pub(crate) shared: Arc<Shared>,
}

/// State that handlers share in addition to the stores.
#[derive(Debug)]
pub(crate) struct Shared {
    /// One permit for each GraphQL document that may execute concurrently, of which one key may have
    /// half.
    pub(crate) documents: SharedPermits,
    /// One permit for each concurrent upload.
    pub(crate) uploads: Arc<Semaphore>,
    /// When each run's last heartbeat was recorded.
    pub(crate) heartbeats: Mutex<HashMap<i64, Instant>>,
    /// The runs that clients are about to resume.
    pub(crate) resumes: Resumes,
}

impl Wandb {
    /// Creates the protocol over a server's stores. The catalog must have been opened with
    /// [`TABLES`](crate::TABLES).
    pub fn new(
        core: Core,
        store: Arc<dyn Store>,
        files: Arc<dyn FileStore>,
        alerts: Arc<dyn Alerts>,
        config: WandbConfig,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let documents = (processors * 4).max(16);
        let shared = Shared {
            documents: SharedPermits::new(documents, documents / 2),
            uploads: Arc::new(Semaphore::new(config.max_uploads)),
            heartbeats: Mutex::default(),
            resumes: Resumes::default(),
        };
        Self {
            catalog: RunCatalog::new(core.catalog.clone()),
            core,
            store,
            files,
            alerts,
            config: Arc::new(config),
            shared: Arc::new(shared),
        }
    }

    /// Returns the routes of the protocol.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(graphql::router(&self.config))
            .merge(file_stream::router())
            .merge(storage::router())
            .with_state(self.clone())
    }

    /// Returns whether the content of a file that the catalog names is stored. If it is not, or
    /// cannot be read, a client may upload it again.
    pub(crate) async fn has_file(&self, sha256: &str) -> bool {
        match self.files.len(sha256).await {
            Ok(Some(_)) => true,
            Ok(None) | Err(_) => matches!(self.files.verify(sha256).await, Ok(Some(_))),
        }
    }

    /// Reads every file that the catalog names. Files that are missing, damaged or unreadable are
    /// then among the [`problems`](FileStore::problems) of the file store.
    pub async fn verify_files(&self) -> Result<(), CatalogError> {
        let mut last = String::new();
        loop {
            let page = self.catalog.file_names_after(last).await?;
            for sha256 in &page {
                if let Err(error) = self.files.verify(sha256).await {
                    tracing::warn!(sha256, %error, "a file cannot be checked now");
                }
            }
            match page.into_iter().next_back() {
                Some(name) => last = name,
                None => return Ok(()),
            }
        }
    }

    /// Returns whether a run exists for a table. It may have no rows yet.
    pub async fn has_run(&self, table: &TablePath) -> Result<bool, CatalogError> {
        let at = RunLocation::new(table.entity(), table.project(), table.table());
        Ok(self.catalog.run(&at).await?.is_some())
    }
}

impl FromRef<Wandb> for Core {
    fn from_ref(wandb: &Wandb) -> Self {
        wandb.core.clone()
    }
}

impl fmt::Debug for Wandb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wandb")
            .field("store", &self.store)
            .field("files", &self.files)
            .field("catalog", &self.catalog)
            .finish_non_exhaustive()
    }
}
