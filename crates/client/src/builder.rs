//! The choices that an opening table offers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamtable_schema::{ColumnPolicy, NameError, NamePart, Row, Schema, TableName};
use streamtable_transport::{AnyTransport, ApiKey, ApiKeyError, Transport};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};
use crate::driver::drive;
use crate::journal::{Journal, MemoryJournal};
use crate::media::MediaQueue;
use crate::session::{Backoff, Session, reachable};
use crate::shared::{Core, OnReject, Shared};
use crate::{
    Backend, BatchLimits, Open, OpenError, Opened, RetryPolicy, Settings, StreamTable, WandbBackend,
};

/// What `log` does when rows wait for delivery as many as may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Refuses the row and hands it back.
    #[default]
    Refuse,
    /// Waits until there is room.
    Wait,
}

/// A row that the backend refused for good, after `log` had taken it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The row, as the backend saw it.
    pub row: Row,
    /// The same as JSON, with all that the protocol adds.
    pub line: String,
    /// What the backend said.
    pub reason: String,
}

/// Opens a table with other than the default choices.
///
/// Where the rows go is the one thing without a default: a [`transport`](Self::transport) to a
/// W&B-compatible server, or any other [`backend`](Self::backend).
pub struct Builder {
    name: String,
    project: Option<String>,
    entity: Option<String>,
    settings: Option<Settings>,
    base_url: Option<String>,
    api_key: Option<ApiKey>,
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
        }
    }

    /// Names the project, if the table's name does not.
    #[must_use]
    pub fn project(mut self, project: &str) -> Self {
        self.project = Some(project.to_owned());
        self
    }

    /// Names the entity, if the table's name does not. Beats `WANDB_ENTITY`.
    #[must_use]
    pub fn entity(mut self, entity: &str) -> Self {
        self.entity = Some(entity.to_owned());
        self
    }

    /// Gives all that would be looked up on this machine; then nothing is.
    ///
    /// [`Settings::from_env`] by default, read when the table is opened.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Gives the address of the server's API. Beats the settings.
    #[must_use]
    pub fn base_url(mut self, base_url: &str) -> Self {
        self.base_url = Some(base_url.trim_end_matches('/').to_owned());
        self
    }

    /// Gives the key. Beats the settings.
    pub fn api_key(mut self, key: &str) -> Result<Self, ApiKeyError> {
        self.api_key = Some(ApiKey::new(key)?);
        Ok(self)
    }

    /// Sends rows to a W&B-compatible server, over this transport.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.target = Some(Target::Transport(AnyTransport::new(transport)));
        self
    }

    /// Sends rows to a backend of any kind. Key and base URL are then its own matter.
    #[must_use]
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.target = Some(Target::Backend(Arc::new(backend)));
        self
    }

    /// Chooses what happens to a row whose columns are not the table's. [`ColumnPolicy::Strict`]
    /// by default.
    #[must_use]
    pub fn columns(mut self, columns: ColumnPolicy) -> Self {
        self.columns = columns;
        self
    }

    /// Chooses what `log` does when the buffer is full. [`WhenFull::Refuse`] by default.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Chooses how many rows go out together, and when.
    #[must_use]
    pub fn limits(mut self, limits: BatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Chooses how long to wait before a repetition.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Bounds the memory of rows that wait to be delivered. 64 MiB by default.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: u64) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Bounds the memory of media files that wait to be delivered; the files of one row may go
    /// beyond it alone. 256 MiB by default.
    #[must_use]
    pub fn media_buffer_bytes(mut self, bytes: u64) -> Self {
        self.media_buffer_bytes = bytes;
        self
    }

    /// Keeps rows that wait in another journal than memory. It must be empty;
    /// [`buffer_bytes`](Self::buffer_bytes) has no meaning then.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Box::new(journal));
        self
    }

    /// Bounds how long `open` tries to reach the server. 30 s by default.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Bounds how long `finish` waits without any row being stored. 60 s by default.
    #[must_use]
    pub fn finish_patience(mut self, patience: Duration) -> Self {
        self.finish_patience = patience;
        self
    }

    /// Bounds how long delivery goes on after the last handle is dropped without `finish`. 5 s by
    /// default.
    #[must_use]
    pub fn drop_timeout(mut self, timeout: Duration) -> Self {
        self.drop_timeout = timeout;
        self
    }

    /// Stamps rows by another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Calls `on_reject` with each row that the backend refuses for good.
    ///
    /// It is called on the task that delivers, so it should not take long, and must not wait for
    /// the table itself.
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
    pub(crate) fn writer(mut self, writer: Uuid) -> Self {
        self.writer = writer;
        self
    }

    /// Opens the table, and makes it if it is not there.
    ///
    /// Names and settings are checked before anything is sent. A task of the present tokio runtime
    /// delivers the rows.
    ///
    /// Panics when it is not called from within a tokio runtime.
    pub async fn open(self) -> Result<StreamTable, OpenError> {
        Ok(self.open_with_driver().await?.0)
    }

    /// Opens the table, and returns the task that delivers, too.
    pub(crate) async fn open_with_driver(self) -> Result<(StreamTable, JoinHandle<()>), OpenError> {
        let (name, backend) = resolve(
            &self.name,
            self.project.as_deref(),
            self.entity,
            self.settings,
            self.base_url,
            self.api_key,
            self.target,
        )?;
        let seed = self.writer.as_u64_pair().0;
        let opened = open(&*backend, &name, self.open_timeout, Backoff::new(self.retry, seed));
        let opened = opened.await?;

        let schema = Schema::with_columns(self.columns, opened.columns.iter().cloned());
        let journal =
            self.journal.unwrap_or_else(|| Box::new(MemoryJournal::new(self.buffer_bytes)));
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
        ));
        let driver = tokio::spawn(drive(Arc::clone(&shared), backend));
        let must_wait = self.when_full == WhenFull::Wait;
        let table = StreamTable::new(shared, must_wait, self.drop_timeout, self.finish_patience);
        Ok((table, driver))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Puts together what the caller said and what the machine knows.
fn resolve(
    name: &str,
    project: Option<&str>,
    entity: Option<String>,
    settings: Option<Settings>,
    base_url: Option<String>,
    api_key: Option<ApiKey>,
    target: Option<Target>,
) -> Result<(TableName, Arc<dyn Backend>), OpenError> {
    let mut name: TableName = name.parse()?;
    if let Some(project) = project {
        name = name.with_project(project)?;
    }
    if let Some(entity) = &entity {
        name = name.with_entity(entity)?;
    }
    let target = target.ok_or(OpenError::NoTransport)?;
    // A key that nobody needs may be as bad as it likes.
    let needs_key = api_key.is_none() && matches!(target, Target::Transport(_));
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
    let backend: Arc<dyn Backend> = match target {
        Target::Backend(backend) => backend,
        Target::Transport(transport) => {
            let settings = Settings {
                base_url: base_url.unwrap_or(settings.base_url),
                api_key: api_key.or(settings.api_key),
                ..settings
            };
            Arc::new(WandbBackend::new(transport, &settings)?)
        }
    };
    // A project cannot be asked of anybody, so its absence need not cost a request.
    if name.project().is_none() {
        return Err(NameError::Missing { part: NamePart::Project }.into());
    }
    Ok((name, backend))
}

/// Opens the table, as often as the time allows.
async fn open(
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
