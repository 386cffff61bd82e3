//! The options for opening a table.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamtable_schema::{ColumnPolicy, NameError, NamePart, Row, Schema, TableName, TablePath};
use streamtable_transport::{AnyTransport, ApiKey, ApiKeyError, Transport};
use streamtable_url::BaseUrl;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};
use crate::driver::drive;
use crate::journal::{Journal, Kept, MemoryJournal};
use crate::late::Late;
use crate::media::MediaQueue;
use crate::session::{Backoff, Session, reachable};
use crate::shared::{Core, OnReject, Shared};
use crate::spool::disk::{Disk, Machine, off_thread};
use crate::spool::frame::Header;
use crate::spool::journal::SpoolJournal;
use crate::spool::layout;
use crate::spool::recover::SpoolHome;
use crate::spool::{SpoolConfig, SyncPolicy};
use crate::{
    Append, AppendError, Appended, Backend, BatchLimits, Open, OpenError, Opened, RetryPolicy,
    Settings, StreamTable, WandbBackend,
};

/// What `log` does if the buffer of waiting rows is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuses the row and returns it to the caller.
    #[default]
    Refuse,
    /// Waits until there is space.
    Wait,
}

/// What `open` does if the server is unreachable or busy until the call times out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// Fails with an error.
    #[default]
    Fail,
    /// Opens the table; rows wait until the server is reachable. The name must be complete,
    /// including the entity. Until the server has seen the rows, they are only checked against the
    /// columns of this process's rows.
    LogAnyway,
}

/// A row that the backend rejected permanently after `log` had accepted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The row, as the backend received it.
    pub row: Row,
    /// The row as JSON, including the protocol's own fields.
    pub line: String,
    /// The reason given by the backend.
    pub reason: String,
}

/// Opens a table with options other than the defaults.
///
/// Rows go to a W&B-compatible server: over hyper (feature `hyper`, on by default) or over another
/// [`transport`](Self::transport). A [`backend`](Self::backend) sends them anywhere else.
pub struct Builder {
    name: String,
    project: Option<String>,
    entity: Option<String>,
    settings: Option<Settings>,
    base_url: Option<String>,
    api_key: Option<Result<ApiKey, ApiKeyError>>,
    target: Option<Target>,
    columns: ColumnPolicy,
    pub(crate) when_full: WhenFull,
    limits: BatchLimits,
    retry: RetryPolicy,
    buffer_bytes: u64,
    media_buffer_bytes: u64,
    open_timeout: Duration,
    finish_patience: Duration,
    pub(crate) drop_timeout: Duration,
    clock: Arc<dyn Clock>,
    journal: Option<Box<dyn Journal>>,
    on_reject: Option<OnReject>,
    quiet: bool,
    writer: Uuid,
    spool: SpoolChoice,
    is_offline: bool,
    when_unreachable: WhenUnreachable,
    disk: Arc<dyn Disk>,
}

/// Whether rows are spooled to disk.
enum SpoolChoice {
    /// If the settings contain a folder and it is usable.
    IfPossible,
    Never,
    Must(SpoolConfig),
}

enum Target {
    Transport(AnyTransport),
    Backend(Arc<dyn Backend>),
}

impl Builder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            project: None,
            entity: None,
            settings: None,
            base_url: None,
            api_key: None,
            target: None,
            columns: ColumnPolicy::Strict,
            when_full: WhenFull::Refuse,
            limits: BatchLimits::default(),
            retry: RetryPolicy::default(),
            buffer_bytes: 64 << 20,
            media_buffer_bytes: 256 << 20,
            open_timeout: Duration::from_secs(30),
            finish_patience: Duration::from_secs(60),
            drop_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            journal: None,
            on_reject: None,
            quiet: false,
            writer: Uuid::new_v4(),
            spool: SpoolChoice::IfPossible,
            is_offline: false,
            when_unreachable: WhenUnreachable::Fail,
            disk: Arc::new(Machine),
        }
    }

    /// Sets the project, if the table name has none.
    #[must_use]
    pub fn project(mut self, project: &str) -> Self {
        self.project = Some(project.to_owned());
        self
    }

    /// Sets the entity, if the table name has none. Overrides `WANDB_ENTITY`.
    #[must_use]
    pub fn entity(mut self, entity: &str) -> Self {
        self.entity = Some(entity.to_owned());
        self
    }

    /// Sets all settings, so that nothing is read from this machine.
    ///
    /// The default is [`Settings::from_env`], read when the table is opened.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Sets the base URL of the server's API. Overrides the settings.
    #[must_use]
    pub fn base_url(mut self, base_url: &str) -> Self {
        self.base_url = Some(base_url.trim_end_matches('/').to_owned());
        self
    }

    /// Sets the API key. Takes precedence over the settings.
    ///
    /// A key that cannot be sent in a header is an [`OpenError::Key`] from [`open`](Self::open).
    #[must_use]
    pub fn api_key(mut self, key: &str) -> Self {
        self.api_key = Some(ApiKey::new(key));
        self
    }

    /// Sends rows to a W&B-compatible server over this transport.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.target = Some(Target::Transport(AnyTransport::new(transport)));
        self
    }

    /// Sends rows to another backend, which needs no API key and no base URL from here.
    #[must_use]
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.target = Some(Target::Backend(Arc::new(backend)));
        self
    }

    /// Sets what happens to a row whose columns differ from the table's. The default is
    /// [`ColumnPolicy::Strict`].
    #[must_use]
    pub fn columns(mut self, columns: ColumnPolicy) -> Self {
        self.columns = columns;
        self
    }

    /// Sets what `log` does if the buffer is full. The default is [`WhenFull::Refuse`].
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets how many rows are sent together, and when.
    #[must_use]
    pub fn limits(mut self, limits: BatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the delays between retries.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Limits the memory for rows that wait for delivery. The default is 64 MiB.
    ///
    /// Without a spool, it limits all waiting rows; with a spool, it limits the newest rows, which
    /// are in memory, too.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: u64) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Limits the memory for media files that wait for delivery; the files of a single row may
    /// exceed it. The default is 256 MiB.
    #[must_use]
    pub fn media_buffer_bytes(mut self, bytes: u64) -> Self {
        self.media_buffer_bytes = bytes;
        self
    }

    /// Spools waiting rows to disk with this configuration; `open` fails if that is impossible.
    ///
    /// Without this call, rows for a server are spooled if the settings [contain a
    /// folder](Settings::spool_dir) and it is usable; rows for another [`backend`](Self::backend)
    /// are not spooled.
    #[must_use]
    pub fn spool(mut self, config: SpoolConfig) -> Self {
        self.spool = SpoolChoice::Must(config);
        self
    }

    /// Keeps waiting rows in memory only. They are lost when the process ends.
    #[must_use]
    pub fn no_spool(mut self) -> Self {
        self.spool = SpoolChoice::Never;
        self
    }

    /// Only writes rows to the spool; needs neither a server nor a key. They are delivered by the
    /// next process that opens the table, or by [`spool::sync`](crate::spool::sync).
    ///
    /// The table name must be complete, including the entity.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.is_offline = true;
        self
    }

    /// Sets what happens if the server cannot be reached. The default is [`WhenUnreachable::Fail`].
    #[must_use]
    pub fn when_unreachable(mut self, when_unreachable: WhenUnreachable) -> Self {
        self.when_unreachable = when_unreachable;
        self
    }

    /// Uses another journal than memory or the spool for waiting rows. It must be empty;
    /// [`buffer_bytes`](Self::buffer_bytes) is ignored.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Box::new(journal));
        self
    }

    /// Limits how long `open` tries to reach the server. The default is 30 s.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Limits how long `finish` waits while no row is being stored. The default is 60 s.
    #[must_use]
    pub fn finish_patience(mut self, patience: Duration) -> Self {
        self.finish_patience = patience;
        self
    }

    /// Limits how long delivery continues after the last handle is dropped without `finish`. The
    /// default is 5 s.
    #[must_use]
    pub fn drop_timeout(mut self, timeout: Duration) -> Self {
        self.drop_timeout = timeout;
        self
    }

    /// Uses another clock than the system's for the timestamps of rows.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets a callback for rows that the backend rejects permanently.
    ///
    /// It is called on the delivery task, so it should return quickly and must not wait for the
    /// table.
    #[must_use]
    pub fn on_reject(mut self, on_reject: impl Fn(Rejected) + Send + Sync + 'static) -> Self {
        self.on_reject = Some(Box::new(on_reject));
        self
    }

    /// Does not print `View data at: …` on standard error when the first row is logged.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    #[cfg(test)]
    pub(crate) fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    #[cfg(test)]
    pub(crate) fn writer(mut self, writer: Uuid) -> Self {
        self.writer = writer;
        self
    }

    /// Opens the table, creating it if it does not exist.
    ///
    /// Names and settings are checked before anything is sent. A task on the current tokio runtime
    /// delivers the rows.
    ///
    /// # Panics
    ///
    /// Panics if it is not called from within a tokio runtime.
    pub async fn open(self) -> Result<StreamTable, OpenError> {
        Ok(self.open_with_driver().await?.0)
    }

    /// Opens the table and returns it with the delivery task.
    pub(crate) async fn open_with_driver(self) -> Result<(StreamTable, JoinHandle<()>), OpenError> {
        let resolved = resolve(
            &self.name,
            self.project.as_deref(),
            self.entity,
            self.settings,
            self.base_url,
            self.api_key.transpose()?,
            self.target,
            self.is_offline,
        )?;
        let Resolved { name, mut backend, .. } = resolved;
        let seed = self.writer.as_u64_pair().0;
        let opened = if self.is_offline {
            Opened::new(name.to_path()?)
        } else {
            let backoff = Backoff::new(self.retry, seed);
            match open(&*backend, &name, self.open_timeout, backoff).await {
                Err(OpenError::Unavailable { reason, .. })
                    if self.when_unreachable == WhenUnreachable::LogAnyway
                        && name.entity().is_some() =>
                {
                    tracing::warn!(%name, %reason, "the server cannot be reached; rows wait");
                    backend = Arc::new(Late::new(backend, name.clone()));
                    Opened::new(name.to_path()?)
                }
                opened => opened?,
            }
        };

        let must_spool = self.is_offline || matches!(self.spool, SpoolChoice::Must(_));
        let config = match self.spool {
            _ if self.journal.is_some() => None,
            SpoolChoice::Never => None,
            SpoolChoice::Must(config) => Some(config),
            // Rows for another backend are only spooled if the caller configured where.
            SpoolChoice::IfPossible if resolved.is_custom && !self.is_offline => None,
            SpoolChoice::IfPossible => Some(SpoolConfig::default()),
        };
        let dir = config.as_ref().and_then(|config| config.dir.clone()).or(resolved.spool_dir);
        let spool = match (config, dir) {
            (Some(config), Some(dir)) => {
                let server = config.server.clone().unwrap_or(resolved.server);
                let header = Header {
                    writer: self.writer.to_string(),
                    server: server.clone(),
                    table: opened.table.to_string(),
                    columns: columns_name(self.columns).to_owned(),
                    base: opened.first_line,
                    line: 0,
                    created: self.clock.now().as_micros(),
                    process: self.disk.process(),
                };
                let home = SpoolHome {
                    disk: Arc::clone(&self.disk),
                    table_dir: layout::table_dir(&dir, &server, &opened.table),
                    server,
                    retry: self.retry,
                    pace: opened.pace,
                    sync: config.sync != SyncPolicy::Never,
                };
                let journal = begin(&home, header, config, self.buffer_bytes).await;
                Some(journal.map(|journal| (home, journal)))
            }
            (Some(_), None) if must_spool => {
                let reason = "no folder is known for it: give one to the builder".to_owned();
                return Err(OpenError::Spool { reason });
            }
            _ if self.is_offline => {
                let reason = "offline there is nothing else".to_owned();
                return Err(OpenError::Spool { reason });
            }
            _ => None,
        };
        let (home, journal) = match spool {
            Some(Ok((home, journal))) => (Some(home), Kept::Spool(Box::new(journal))),
            Some(Err(error)) if must_spool => {
                return Err(OpenError::Spool { reason: error.to_string() });
            }
            other => {
                if let Some(Err(error)) = other {
                    let table = &opened.table;
                    tracing::warn!(%table, %error, "there is no spool; a killed process loses rows");
                }
                let memory = || Box::new(MemoryJournal::new(self.buffer_bytes));
                (None, Kept::Plain(self.journal.unwrap_or_else(|| memory())))
            }
        };

        let schema = Schema::with_columns(self.columns, opened.columns.iter().cloned());
        let session = Session::new(self.limits, self.retry, opened.pace, seed);
        let media = MediaQueue::new(self.media_buffer_bytes, self.retry, !seed);
        let shared = Arc::new(Shared::new(
            Core::new(schema, journal, session, media),
            opened,
            self.writer.to_string().into(),
            self.columns,
            self.limits,
            self.clock,
            self.on_reject,
            self.quiet,
            self.is_offline,
        ));
        let driver = tokio::spawn(drive(Arc::clone(&shared), backend, home));
        let must_wait = self.when_full == WhenFull::Wait;
        let table = StreamTable::new(shared, must_wait, self.drop_timeout, self.finish_patience);
        Ok((table, driver))
    }
}

/// Creates the spool of a table.
async fn begin(
    home: &SpoolHome,
    header: Header,
    config: SpoolConfig,
    memory_bytes: u64,
) -> std::io::Result<SpoolJournal> {
    let (disk, table_dir) = (Arc::clone(&home.disk), home.table_dir.clone());
    let create = move || SpoolJournal::create(disk, table_dir, header, &config, memory_bytes);
    off_thread(&home.disk, create).await?
}

fn columns_name(columns: ColumnPolicy) -> &'static str {
    match columns {
        ColumnPolicy::Strict => "strict",
        ColumnPolicy::Evolve => "evolve",
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The options after resolving names and settings, before anything is sent.
struct Resolved {
    name: TableName,
    backend: Arc<dyn Backend>,
    /// Identifies the destination of the rows.
    server: String,
    is_custom: bool,
    spool_dir: Option<PathBuf>,
}

/// Identifies a backend that has no URL.
const CUSTOM_SERVER: &str = "backend";

/// Combines the caller's options with this machine's settings.
#[expect(clippy::too_many_arguments, reason = "called once, by the builder")]
fn resolve(
    name: &str,
    project: Option<&str>,
    entity: Option<String>,
    settings: Option<Settings>,
    base_url: Option<String>,
    api_key: Option<ApiKey>,
    target: Option<Target>,
    is_offline: bool,
) -> Result<Resolved, OpenError> {
    let mut name: TableName = name.parse()?;
    if let Some(project) = project {
        name = name.with_project(project)?;
    }
    if let Some(entity) = &entity {
        name = name.with_entity(entity)?;
    }
    let target = match target {
        None if !is_offline => Some(Target::Transport(default_transport()?)),
        target => target,
    };
    // A key that nobody needs may be as bad as it likes.
    let is_to_server = matches!(target, Some(Target::Transport(_)));
    let needs_key = api_key.is_none() && is_to_server && !is_offline;
    let settings = match settings {
        Some(settings) => settings,
        None => Settings::from_machine(base_url.as_deref(), needs_key)?,
    };
    if name.project().is_none()
        && let Some(project) = &settings.project
    {
        name = name.with_project(project)?;
    }
    if name.entity().is_none()
        && let Some(entity) = &settings.entity
    {
        name = name.with_entity(entity)?;
    }
    let spool_dir = settings.spool_dir.clone();
    let is_custom = matches!(target, Some(Target::Backend(_)));
    let address = base_url.unwrap_or_else(|| settings.base_url.clone());
    let server = match address.parse::<BaseUrl>() {
        _ if is_custom => CUSTOM_SERVER.to_owned(),
        Ok(base) => base.as_str().to_owned(),
        Err(error) => return Err(OpenError::Address { reason: error.to_string() }),
    };
    let backend: Arc<dyn Backend> = match target {
        Some(Target::Backend(backend)) => backend,
        Some(Target::Transport(transport)) if !is_offline => {
            let settings =
                Settings { base_url: address, api_key: api_key.or(settings.api_key), ..settings };
            Arc::new(WandbBackend::new(transport, &settings)?)
        }
        _ => Arc::new(Nowhere),
    };
    // No server knows a default project, so fail without a request.
    if name.project().is_none() {
        return Err(NameError::Missing { part: NamePart::Project }.into());
    }
    Ok(Resolved { name, backend, server, is_custom, spool_dir })
}

/// Returns the transport of a builder that was given neither transport nor backend.
#[cfg(feature = "hyper")]
fn default_transport() -> Result<AnyTransport, OpenError> {
    match streamtable_transport_hyper::HyperTransport::new() {
        Ok(transport) => Ok(AnyTransport::new(transport)),
        Err(error) => Err(OpenError::Transport { reason: error.to_string() }),
    }
}

/// Returns an error: without the feature `hyper` there is no default transport.
#[cfg(not(feature = "hyper"))]
fn default_transport() -> Result<AnyTransport, OpenError> {
    let reason = "the crate was built without its feature `hyper`: pass a transport to \
                  `open_with` or to the builder";
    Err(OpenError::Transport { reason: reason.to_owned() })
}

/// What stands where rows do not go.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Backend for Nowhere {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Err(AppendError::Transient {
            message: "the table is offline".to_owned(),
            retry_after: None,
        })
    }

    async fn finish(&self, _: &TablePath) -> Result<(), AppendError> {
        Ok(())
    }
}

/// Opens the table, with retries until the timeout.
pub(crate) async fn open(
    backend: &dyn Backend,
    name: &TableName,
    timeout: Duration,
    mut backoff: Backoff,
) -> Result<Opened, OpenError> {
    let start = Instant::now();
    let deadline = start + reachable(timeout);
    let mut last_reason = "no answer".to_owned();
    for attempt in 1.. {
        let left = deadline.saturating_duration_since(Instant::now());
        let open = Open { name: name.clone(), timeout: left };
        match tokio::time::timeout_at(deadline, backend.open(open)).await {
            Ok(Err(OpenError::Unavailable { reason, .. })) => last_reason = reason,
            Ok(other) => return other,
            Err(_) => break,
        }
        let next = Instant::now() + reachable(backoff.delay(attempt));
        if next >= deadline {
            break;
        }
        tokio::time::sleep_until(next).await;
    }
    Err(OpenError::Unavailable { waited: start.elapsed(), reason: last_reason })
}
