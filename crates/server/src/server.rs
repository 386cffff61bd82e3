//! The life of a server: start, serving, shutdown.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use streamtable_live::{TableAccess, ViewCache};
use streamtable_server_core::catalog::{FeatureTables, MAINTENANCE_INTERVAL};
use streamtable_server_core::{Bodies, Core, SigningKey, clock, folder};
use streamtable_store::{FileStore, MemoryCeiling, Store, StoreError};
use streamtable_store_embedded::{EmbeddedStore, LocalFiles, StoreConfig, TablesPlace};
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::access::{self, LoginState, end_with_access, guard};
use crate::api::{self, ApiState};
use crate::boards::{self, BoardCatalog};
use crate::config::{ServerConfig, TlsFiles};
use crate::live::LiveState;
use crate::metrics::{self, MeteredStore, Metrics, MetricsState, observe};
use crate::monitors::{self, Monitors};
use crate::page::{self, PageState};
use crate::{Catalog, CatalogError, NewKey, Right, health, serve};

/// Maximum memory of the open live views of one key, in bytes. It is a sixteenth of the memory limit if
/// that is less.
const MAX_VIEW_BYTES: u64 = 256 << 20;

/// Name of the first key.
const FIRST_KEY: &str = "first";

/// The tables that this server's features add to the catalog.
const FEATURES: &[FeatureTables] = &[
    boards::TABLES,
    monitors::TABLES,
    #[cfg(feature = "wandb")]
    streamtable_wandb::TABLES,
];

/// A server that listens, and serves requests once [`run`](Self::run) is called.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    parts: Parts,
    tls: Option<TlsAcceptor>,
    first_key: Option<NewKey>,
}

/// The parts from which a server's features are built.
struct Parts {
    config: Arc<ServerConfig>,
    core: Core,
    store: Arc<dyn Store>,
    files: Arc<dyn FileStore>,
    memory: Arc<MemoryCeiling>,
    /// Further pages, with the entity whose writers may open them.
    pages: Vec<(String, Router)>,
}

/// Why a server did not start, or failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The operating system's message.
        reason: String,
    },
    /// The data folder cannot be used.
    #[error("cannot use the folder {}: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's message.
        reason: String,
    },
    /// Other machines could reach the server, although no key exists.
    #[error(
        "{addr} can be reached from other machines, and there is no key yet: make one first, with \
         `streamtable keys add`"
    )]
    NoKeys {
        /// The address.
        addr: SocketAddr,
    },
    /// The system clock is before 1970. HTTP has no such dates, and rows would get wrong times.
    #[error("the system clock is before 1970; set it, then start the server")]
    Clock,
    /// The certificate or its key cannot be used.
    #[error("the certificate {} cannot be used: {reason}", path.display())]
    Tls {
        /// The file that cannot be used.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the stores in the data folder, and starts to listen; see
    /// [`with_parts`](Self::with_parts).
    pub async fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        check_clock()?;
        let folder = config.data_dir.clone();
        let failed = |reason: String| ServerError::Folder { path: folder.clone(), reason };
        let made = folder.clone();
        let made = tokio::task::spawn_blocking(move || folder::make(&made)).await;
        made.map_err(std::io::Error::other).flatten().map_err(|error| failed(error.to_string()))?;
        let memory = Arc::new(MemoryCeiling::new(config.memory_limit));
        let store_config = StoreConfig {
            memory: Arc::clone(&memory),
            tables: config.store.as_deref().map(TablesPlace::open).transpose()?,
            ..StoreConfig::new(folder.join("store"))
        };
        let store = EmbeddedStore::open(store_config).await?;
        let recovery = store.recovery();
        tracing::info!(?recovery, "the store is open");
        // The store owns the folder now: no other server loses the uploads that it is receiving.
        let place = folder.join("files");
        let files = tokio::task::spawn_blocking(move || LocalFiles::open(place));
        let files = files.await.map_err(|error| failed(error.to_string()))??;
        let store: Arc<dyn Store> = Arc::new(store);
        let listening = Self::listen(config, Arc::clone(&store), Arc::new(files), memory).await;
        if listening.is_err()
            && let Err(error) = store.close().await
        {
            // The store must release its folder before the caller tries again.
            tracing::error!(%error, "the store was not closed");
        }
        listening
    }

    /// Creates a server from open stores, and starts to listen.
    ///
    /// If no key ever existed, creates one for all entities, which [`first_key`](Self::first_key)
    /// returns. On an address beyond loopback it does not: there, a server without keys does not
    /// start. If there are tables but no key, the catalog counts as lost, not new: see
    /// [`LostCatalog`](crate::LostCatalog).
    pub async fn with_parts(
        config: ServerConfig,
        store: Arc<dyn Store>,
        files: Arc<dyn FileStore>,
    ) -> Result<Self, ServerError> {
        check_clock()?;
        let memory = Arc::new(MemoryCeiling::new(config.memory_limit));
        Self::listen(config, store, files, memory).await
    }

    async fn listen(
        config: ServerConfig,
        store: Arc<dyn Store>,
        files: Arc<dyn FileStore>,
        memory: Arc<MemoryCeiling>,
    ) -> Result<Self, ServerError> {
        let folder_failed =
            |reason: String| ServerError::Folder { path: config.data_dir.clone(), reason };
        let folder = config.data_dir.clone();
        let (has_tables, lost) = (!store.tables().await?.is_empty(), config.lost_catalog);
        let opened = tokio::task::spawn_blocking(move || {
            folder::make(&folder)?;
            folder::warn_if_open(&folder)?;
            let path = folder.join("catalog.db");
            let is_new = !path.exists() && !has_tables;
            let catalog = Catalog::open_for_server(&path, FEATURES, has_tables, lost);
            let (signing_key, problem) = SigningKey::open(&folder, is_new)?;
            Ok::<_, std::io::Error>((catalog, signing_key, problem))
        });
        let opened = opened.await.map_err(|error| folder_failed(error.to_string()))?;
        let (catalog, signing_key, problem) =
            opened.map_err(|error| folder_failed(error.to_string()))?;
        let catalog = catalog?;
        if let Some(problem) = problem {
            tracing::error!("{problem}");
            catalog.report(problem);
        }

        let tls = config.tls.as_ref().map(read_tls).transpose()?;
        let mut first_key = None;
        if !catalog.has_keys().await? {
            if !config.addr.ip().is_loopback() {
                return Err(ServerError::NoKeys { addr: config.addr });
            }
            first_key = Some(catalog.add_key(FIRST_KEY, None, Right::Admin).await?);
        }

        let addr = config.addr;
        let failed =
            |error: std::io::Error| ServerError::Listen { addr, reason: error.to_string() };
        let listener = TcpListener::bind(addr).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let limits = &config.limits;
        let core = Core {
            catalog,
            signing_key,
            base_url: config.base_url(),
            bodies: Bodies::new(limits.body_memory_bytes, limits.max_wait, Arc::clone(&memory)),
            stopping: CancellationToken::new(),
        };
        let parts =
            Parts { config: Arc::new(config), core, store, files, memory, pages: Vec::new() };
        Ok(Self { listener, local_addr, parts, tls, first_key })
    }

    /// Returns the address on which the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the URL of the server for clients on this machine.
    pub fn local_url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut addr = self.local_addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("{scheme}://{addr}")
    }

    /// Returns the key that this start created, if it was the first start.
    pub fn first_key(&self) -> Option<&NewKey> {
        self.first_key.as_ref()
    }

    /// Returns the catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.parts.core.catalog
    }

    /// Adds pages of the caller's own, for those who may write to an entity. A browser without a key is
    /// asked for one.
    ///
    /// # Panics
    ///
    /// [`run`](Self::run) panics if a path is one of the server's own.
    #[must_use]
    pub fn with_pages(mut self, entity: &str, pages: Router) -> Self {
        self.parts.pages.push((entity.to_owned(), pages));
        self
    }

    /// Serves until `shutdown` completes; then accepts no more connections, lets running requests
    /// end, and closes the store.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let addr = self.local_addr;
        let listener = tokio::net::TcpListener::from_std(self.listener)
            .map_err(|error| ServerError::Listen { addr, reason: error.to_string() })?;
        let limits = self.parts.config.limits.clone();
        let store = Arc::clone(&self.parts.store);
        let Core { catalog, stopping, .. } = self.parts.core.clone();
        let maintenance = tokio::spawn(maintain(catalog.clone(), stopping.clone()));
        let (router, monitors) = router(self.parts);
        let watching = monitors.start();
        let shutdown = async move {
            shutdown.await;
            stopping.cancel();
        };
        serve::serve(listener, self.tls, router, &limits, shutdown).await;
        // This task ends on the same signal. Its own failures are logged and reported.
        let _ = maintenance.await;
        for task in watching {
            let _ = task.await;
        }
        let closed = store.close().await;
        // On a failure the catalog is still durable, only not in one file.
        let _ = catalog.maintain().await;
        Ok(closed?)
    }
}

/// Fails if the clock is wrong in a way with which a server cannot run. Called before anything is
/// opened or changed.
fn check_clock() -> Result<(), ServerError> {
    if clock::is_before_1970() { Err(ServerError::Clock) } else { Ok(()) }
}

/// Maintains the catalog until the server stops.
async fn maintain(catalog: Catalog, stopping: CancellationToken) {
    let mut tick = tokio::time::interval(MAINTENANCE_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopping.cancelled() => return,
        }
        // Failures are logged and reported by `/readyz`; the next attempt may succeed.
        let _ = catalog.maintain().await;
    }
}

/// How often all uploaded files are read, to find damage before a reader does.
#[cfg(feature = "wandb")]
const VERIFY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Verifies uploaded files at the start and then periodically, until the server stops.
#[cfg(feature = "wandb")]
async fn verify_files(wandb: streamtable_wandb::Wandb, stopping: CancellationToken) {
    let verify = async {
        loop {
            if let Err(error) = wandb.verify_files().await {
                tracing::error!(%error, "uploaded files cannot be checked");
            }
            tokio::time::sleep(VERIFY_INTERVAL).await;
        }
    };
    tokio::select! {
        () = verify => {}
        () = stopping.cancelled() => {}
    }
}

/// Returns the routes, and the monitors, which are to be started.
fn router(parts: Parts) -> (Router, Monitors) {
    let Parts { config, core, store, files, memory, pages } = parts;
    let metrics = Metrics::default();
    let metered = MeteredStore { store, metrics: metrics.clone(), slow_query: config.slow_query };
    let store: Arc<dyn Store> = Arc::new(metered);
    let monitors = Monitors::new(&core, Arc::clone(&store), &config.monitors);
    let figures = MetricsState {
        core: core.clone(),
        metrics: metrics.clone(),
        store: Arc::clone(&store),
        files: Arc::clone(&files),
        memory: Arc::clone(&memory),
        monitors: monitors.clone(),
        started: clock::now(),
    };
    #[cfg(feature = "wandb")]
    let wandb = streamtable_wandb::Wandb::new(
        core.clone(),
        Arc::clone(&store),
        Arc::clone(&files),
        Arc::new(monitors.clone()),
        config.wandb.clone(),
    );
    #[cfg(feature = "wandb")]
    tokio::spawn(verify_files(wandb.clone(), core.stopping.clone()));
    #[cfg(feature = "wandb")]
    let (routes, file_url) = (wandb.router(), Some(streamtable_wandb::run_file_url as _));
    #[cfg(feature = "wandb")]
    let runs = Some(Arc::new(wandb.clone()) as _);
    // Only this protocol has files.
    #[cfg(not(feature = "wandb"))]
    let (routes, file_url, runs) = (Router::new(), None, None);

    let access = TableAccess { store: Arc::clone(&store), file_url };
    let view_bytes = MAX_VIEW_BYTES.min(memory.limit() / 16);
    let live = LiveState {
        core: core.clone(),
        access,
        cache: Arc::new(ViewCache::new(view_bytes)),
        memory,
    };
    let boards = BoardCatalog::new(core.catalog.clone());
    let tails = Arc::default();
    let api = ApiState {
        core: core.clone(),
        store: Arc::clone(&store),
        live,
        boards,
        monitors: monitors.clone(),
        tails,
        runs,
    };
    let login = LoginState { core: core.clone(), config: Arc::clone(&config) };
    let page = PageState {
        core: core.clone(),
        config: Arc::clone(&config),
        store: Arc::clone(&store),
        #[cfg(feature = "wandb")]
        wandb,
    };
    let routes = pages.into_iter().fold(routes, |routes, (entity, pages)| {
        routes.merge(page::for_writers(core.clone(), entity, pages))
    });
    let router = routes
        .merge(health::router(core.clone(), store, files))
        .merge(metrics::router(figures))
        .merge(access::login_router(login))
        .merge(access::keys_router(core.clone()))
        .merge(api::router(api).layer(from_fn_with_state(core.clone(), end_with_access)))
        .merge(page::router(page))
        .fallback(page::elsewhere)
        .layer(from_fn_with_state(config, guard))
        .layer(from_fn_with_state(metrics, observe));
    (router, monitors)
}

fn read_tls(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    let failed = |path: &PathBuf, reason: String| ServerError::Tls { path: path.clone(), reason };
    let certificate = &files.certificate;
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| failed(certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| failed(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| failed(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
