//! Opening a table, in four steps: [`Resolved`] → [`Connection`] → [`Buffer`] → [`StreamTable`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamtable_schema::{Schema, SchemaError, TableName, TablePath};
use streamtable_transport::{AnyTransport, ApiKey};
use streamtable_url::BaseUrl;
use streamtable_wire::RESERVED_COLUMNS;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::builder::Target;
use crate::driver::drive;
use crate::exit;
use crate::journal::{JournalKind, MemoryJournal};
use crate::lazy_backend::LazyBackend;
use crate::media::MediaQueue;
use crate::session::{Backoff, Session, reachable};
use crate::shared::{Core, Shared, TableOptions, eprint_line};
use crate::spool::disk::off_thread;
use crate::spool::frame::Header;
use crate::spool::journal::SpoolJournal;
use crate::spool::layout;
use crate::spool::recover::SpoolHome;
use crate::spool::{SpoolConfig, SyncPolicy};
use crate::{
    Append, AppendError, Appended, Backend, Buffering, Builder, Open, OpenError, Opened, Settings,
    StreamTable, WandbBackend, WhenFull, WhenStopped, WhenUnreachable,
};

/// Opens a table and returns it with the delivery task.
pub(crate) async fn open_table(
    mut builder: Builder,
) -> Result<(StreamTable, JoinHandle<()>), OpenError> {
    let resolved = resolve(&mut builder)?;
    let connection = connect(&builder, resolved).await?;
    let schema = create_schema(&mut builder, &connection.opened)?;
    let buffer = create_buffer(&builder, &connection).await?;
    Ok(start(builder, connection, schema, buffer))
}

impl Builder {
    fn is_offline(&self) -> bool {
        matches!(self.buffering, Buffering::Offline(_))
    }

    fn seed(&self) -> u64 {
        self.writer.as_u64_pair().0
    }
}

/// The options combined with the settings of this machine, before anything is sent.
struct Resolved {
    name: TableName,
    /// Whether neither the caller nor the settings chose the project.
    has_default_project: bool,
    backend: Arc<dyn Backend>,
    destination: Destination,
}

/// The entity of tables on a backend of the caller, if their name and the settings contain none.
const DEFAULT_ENTITY: &str = "local";

/// Where the rows go, and where they may wait for it.
struct Destination {
    /// The server's URL, or the identity of the caller's backend, if it has one.
    server: Option<String>,
    /// Whether the backend is the caller's own.
    is_custom: bool,
    spool_dir: Option<PathBuf>,
}

/// Checks the options and combines them with the settings of this machine.
fn resolve(builder: &mut Builder) -> Result<Resolved, OpenError> {
    let mut name: TableName = builder.name.parse()?;
    if let Some(project) = &builder.project {
        name = name.with_project(project)?;
    }
    if let Some(entity) = &builder.entity {
        name = name.with_entity(entity)?;
    }
    let api_key = builder.api_key.take().transpose()?;
    let target = match builder.target.take() {
        None if !builder.is_offline() => Some(Target::Server(default_transport()?)),
        target => target,
    };
    let is_to_server = matches!(target, Some(Target::Server(_)));
    // An invalid key that is not needed must not cause an error.
    let needs_key = api_key.is_none() && is_to_server && !builder.is_offline();
    let settings = match builder.settings.take() {
        Some(settings) => settings,
        None => Settings::from_machine(builder.base_url.as_deref(), needs_key)?,
    };
    let has_default_project = name.project().is_none() && settings.project.is_none();
    let mut name = settings.complete(name)?;
    let base_url = builder.base_url.take().unwrap_or_else(|| settings.base_url.clone());
    let (is_custom, server) = match &target {
        Some(Target::Backend(backend)) => (true, backend.identity().filter(|id| !id.is_empty())),
        _ => (false, Some(server_id(&base_url)?)),
    };
    let destination = Destination { server, is_custom, spool_dir: settings.spool_dir.clone() };
    let settings = Settings { base_url, ..settings };
    let backend = create_backend(target, settings, api_key, builder.is_offline())?;
    // A server knows a default entity for the key.
    if is_custom && name.entity().is_none() {
        name = name.with_entity(DEFAULT_ENTITY)?;
    }
    Ok(Resolved { name, has_default_project, backend, destination })
}

fn server_id(base_url: &str) -> Result<String, OpenError> {
    match base_url.parse::<BaseUrl>() {
        Ok(base) => Ok(base.as_str().to_owned()),
        Err(error) => Err(OpenError::Address { reason: error.to_string() }),
    }
}

fn create_backend(
    target: Option<Target>,
    settings: Settings,
    api_key: Option<ApiKey>,
    is_offline: bool,
) -> Result<Arc<dyn Backend>, OpenError> {
    Ok(match target {
        Some(Target::Backend(backend)) => backend,
        Some(Target::Server(transport)) if !is_offline => {
            let settings = Settings { api_key: api_key.or(settings.api_key), ..settings };
            Arc::new(WandbBackend::new(transport, &settings)?)
        }
        _ => Arc::new(OfflineBackend),
    })
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

/// A table that the backend has opened, or that is opened without it.
struct Connection {
    opened: Opened,
    backend: Arc<dyn Backend>,
    destination: Destination,
}

/// Opens the table at the backend, unless it is offline.
async fn connect(builder: &Builder, resolved: Resolved) -> Result<Connection, OpenError> {
    let Resolved { name, has_default_project, mut backend, destination } = resolved;
    if builder.is_offline() {
        return Ok(Connection { opened: Opened::new(name.to_path()?), backend, destination });
    }
    let backoff = Backoff::new(builder.retry, builder.seed());
    let opened = match open_at_backend(&*backend, &name, builder.open_timeout, backoff).await {
        Err(OpenError::Unavailable { reason, .. })
            if builder.when_unreachable == WhenUnreachable::LogAnyway
                && name.entity().is_some() =>
        {
            tracing::warn!(%name, %reason, "the server cannot be reached; rows wait");
            backend = Arc::new(LazyBackend::new(backend, name.clone()));
            Opened::new(name.to_path()?)
        }
        opened => opened?,
    };
    if has_default_project {
        report_default_project(builder, &opened.table);
    }
    Ok(Connection { opened, backend, destination })
}

/// Reports where the rows go if the caller gave only the name of the table.
fn report_default_project(builder: &Builder, table: &TablePath) {
    tracing::info!(%table, "no project is given");
    if builder.print_url {
        let name = &builder.name;
        eprint_line(format_args!(
            "streamtable: {name:?} has no project, so rows go to {table}; write project/table, or \
             set WANDB_PROJECT, for another one"
        ));
    }
}

/// Opens the table at the backend, with retries until the timeout.
pub(crate) async fn open_at_backend(
    backend: &dyn Backend,
    name: &TableName,
    timeout: Duration,
    mut backoff: Backoff,
) -> Result<Opened, OpenError> {
    let start = Instant::now();
    let deadline = start + reachable(timeout);
    let mut last_reason = "no response".to_owned();
    for attempt in 1.. {
        let left = deadline.saturating_duration_since(Instant::now());
        let open = Open { name: name.clone(), timeout: left };
        match tokio::time::timeout_at(deadline + GRACE, backend.open(open)).await {
            Ok(Err(OpenError::Unavailable { reason, .. })) => last_reason = reason,
            Ok(other) => return other,
            Err(_) => break,
        }
        if !pause(backoff.delay(attempt), Duration::ZERO, deadline).await {
            break;
        }
    }
    Err(OpenError::Unavailable { waited: start.elapsed(), reason: last_reason })
}

/// How long after its deadline a backend may return why it has failed.
const GRACE: Duration = Duration::from_millis(250);

/// The time left before a deadline in which one more attempt makes no sense.
const TOO_LATE: Duration = Duration::from_millis(50);

/// Waits before the next attempt to open a table. Returns `false` at the deadline, when there is
/// none.
///
/// Waits at least as long as the server asked for. Otherwise, a delay is at most half of the time
/// that is left, so that there are attempts until the end.
pub(crate) async fn pause(delay: Duration, asked: Duration, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.saturating_sub(asked) <= TOO_LATE {
        tokio::time::sleep_until(deadline).await;
        return false;
    }
    tokio::time::sleep(asked.max(delay.min(left / 2))).await;
    true
}

/// Makes the columns: those of the existing table, and those of the rows' type.
fn create_schema(builder: &mut Builder, opened: &Opened) -> Result<Schema, OpenError> {
    let mut schema = Schema::with_columns(builder.columns, opened.columns.iter().cloned());
    let Some(declared) = builder.declared.take() else { return Ok(schema) };
    if let Some((name, _)) = declared.iter().find(|(name, _)| is_reserved(name)) {
        return Err(SchemaError::ReservedColumn { column: name.clone() }.into());
    }
    schema.admit_columns(declared)?;
    Ok(schema)
}

fn is_reserved(column: &str) -> bool {
    RESERVED_COLUMNS.contains(&column)
}

/// Where the rows of an open table wait.
struct Buffer {
    journal: JournalKind,
    /// Where orphaned spools of the table are, if rows are spooled.
    home: Option<SpoolHome>,
}

/// Creates the spool, or a buffer in memory if the caller allows that.
async fn create_buffer(builder: &Builder, connection: &Connection) -> Result<Buffer, OpenError> {
    let (config, must_spool) = match &builder.buffering {
        Buffering::Memory => (None, false),
        Buffering::Spool(config) | Buffering::Offline(config) => (Some(config.clone()), true),
        // Rows for the caller's own backend are only spooled if the caller configured where.
        Buffering::SpoolIfPossible if connection.destination.is_custom => (None, false),
        Buffering::SpoolIfPossible => (Some(SpoolConfig::default()), false),
    };
    let in_memory = || Buffer {
        journal: JournalKind::Memory(MemoryJournal::new(builder.buffer_bytes)),
        home: None,
    };
    let Some(mut config) = config else { return Ok(in_memory()) };
    let Some(dir) = config.dir.take().or_else(|| connection.destination.spool_dir.clone()) else {
        if must_spool {
            let reason = "no folder is known for it: give one to the builder".to_owned();
            return Err(OpenError::Spool { reason });
        }
        return Ok(in_memory());
    };
    match create_spool(builder, connection, config, dir).await {
        Ok(buffer) => Ok(buffer),
        Err(error) if must_spool => Err(OpenError::Spool { reason: error.to_string() }),
        Err(error) => {
            let table = &connection.opened.table;
            tracing::warn!(%table, %error, "there is no spool; a killed process loses rows");
            Ok(in_memory())
        }
    }
}

/// Rows for a backend without an identity cannot be spooled, because a later process could deliver
/// them to another backend.
const NO_IDENTITY: &str =
    "the backend has no identity: implement `Backend::identity`, or set `SpoolConfig::server`";

/// Creates the spool of a table below `dir`.
async fn create_spool(
    builder: &Builder,
    connection: &Connection,
    config: SpoolConfig,
    dir: PathBuf,
) -> io::Result<Buffer> {
    let Connection { opened, destination, .. } = connection;
    let Some(server) = config.server.clone().or_else(|| destination.server.clone()) else {
        return Err(io::Error::other(NO_IDENTITY));
    };
    let header = Header {
        writer: builder.writer.to_string(),
        server: server.clone(),
        table: opened.table.to_string(),
        columns: builder.columns.as_str().to_owned(),
        base: opened.first_line,
        line: 0,
        created: builder.clock.now().as_micros(),
        process: builder.disk.process(),
    };
    let home = SpoolHome {
        disk: Arc::clone(&builder.disk),
        table_dir: layout::table_dir(&dir, &server, &opened.table),
        server,
        retry: builder.retry,
        pace: opened.pace,
        sync: config.sync != SyncPolicy::Never,
    };
    let (disk, table_dir) = (Arc::clone(&home.disk), home.table_dir.clone());
    let memory_bytes = builder.buffer_bytes;
    let create = move || SpoolJournal::create(disk, table_dir, header, &config, memory_bytes);
    let journal = off_thread(&home.disk, create).await??;
    Ok(Buffer { journal: JournalKind::Spool(Box::new(journal)), home: Some(home) })
}

/// Starts the delivery task.
fn start(
    builder: Builder,
    connection: Connection,
    schema: Schema,
    buffer: Buffer,
) -> (StreamTable, JoinHandle<()>) {
    let Connection { opened, backend, .. } = connection;
    let (seed, is_offline) = (builder.seed(), builder.is_offline());
    let session = Session::new(builder.limits, builder.retry, opened.pace, seed);
    let media = MediaQueue::new(builder.media_buffer_bytes, builder.retry, !seed);
    let mut core = Core::new(schema, buffer.journal, session, media);
    core.logs_when_stopped =
        builder.when_stopped == WhenStopped::LogAnyway && core.journal.spool().is_some();
    let options = TableOptions {
        writer: builder.writer.to_string().into(),
        columns: builder.columns,
        limits: builder.limits,
        clock: builder.clock,
        on_reject: builder.on_reject,
        on_media_reject: builder.on_media_reject,
        print_url: builder.print_url,
        is_offline,
    };
    let shared = Arc::new(Shared::new(core, opened, options));
    exit::watch(&shared);
    let driver = tokio::spawn(drive(Arc::clone(&shared), backend, buffer.home));
    let must_wait = builder.when_full == WhenFull::Wait;
    let (drop_timeout, idle_timeout) = (builder.drop_timeout, builder.finish_idle_timeout);
    (StreamTable::new(shared, must_wait, drop_timeout, idle_timeout), driver)
}

/// The backend of offline tables.
#[derive(Debug)]
struct OfflineBackend;

#[async_trait]
impl Backend for OfflineBackend {
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
