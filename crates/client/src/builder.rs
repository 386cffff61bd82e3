//! The options for opening a table.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use streamtable_schema::{ColumnPolicy, Type};
use streamtable_transport::{AnyTransport, ApiKey, ApiKeyError, Transport};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};
use crate::open;
use crate::shared::{OnMediaReject, OnReject};
use crate::spool::SpoolConfig;
use crate::spool::disk::{Disk, Machine};
use crate::{
    Backend, BatchLimits, Buffering, OpenError, Rejected, RejectedMedia, RetryPolicy, Settings,
    StreamTable, WhenFull, WhenStopped, WhenUnreachable,
};

/// Opens a table with options other than the defaults.
///
/// Rows go to a W&B-compatible server: over hyper (feature `hyper`, on by default) or over another
/// [`transport`](Self::transport). A [`backend`](Self::backend) sends them anywhere else.
///
/// ```no_run
/// use std::time::Duration;
/// use streamtable::spool::{SpoolConfig, SyncPolicy};
/// use streamtable::{ColumnPolicy, StreamTable, WhenFull, WhenUnreachable, row};
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let table = StreamTable::builder("my-team/shop/requests")
///         .base_url("http://127.0.0.1:8080")
///         .columns(ColumnPolicy::Evolve) // rows may add columns
///         .when_full(WhenFull::Wait) // `log` waits for space
///         .when_unreachable(WhenUnreachable::LogAnyway) // rows wait for the server
///         .spool(SpoolConfig { sync: SyncPolicy::Always, ..SpoolConfig::default() })
///         .open_timeout(Duration::from_secs(10))
///         .on_reject(|rejected| eprintln!("{}: {:?}", rejected.reason, rejected.row))
///         .open()
///         .await?;
///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
///     table.finish().await?;
///     Ok(())
/// }
/// ```
pub struct Builder {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    pub(crate) entity: Option<String>,
    pub(crate) settings: Option<Settings>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Result<ApiKey, ApiKeyError>>,
    pub(crate) target: Option<Target>,
    pub(crate) columns: ColumnPolicy,
    /// The columns of the rows' type, if they are of one.
    pub(crate) declared: Option<Vec<(String, Type)>>,
    pub(crate) when_full: WhenFull,
    pub(crate) limits: BatchLimits,
    pub(crate) retry: RetryPolicy,
    pub(crate) buffer_bytes: u64,
    pub(crate) media_buffer_bytes: u64,
    pub(crate) open_timeout: Duration,
    pub(crate) finish_idle_timeout: Duration,
    pub(crate) drop_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_reject: Option<OnReject>,
    pub(crate) on_media_reject: Option<OnMediaReject>,
    pub(crate) print_url: bool,
    pub(crate) writer: Uuid,
    pub(crate) buffering: Buffering,
    pub(crate) when_unreachable: WhenUnreachable,
    pub(crate) when_stopped: WhenStopped,
    pub(crate) disk: Arc<dyn Disk>,
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
            declared: None,
            when_full: WhenFull::Refuse,
            limits: BatchLimits::default(),
            retry: RetryPolicy::default(),
            buffer_bytes: 64 << 20,
            media_buffer_bytes: 256 << 20,
            open_timeout: Duration::from_secs(30),
            finish_idle_timeout: Duration::from_secs(60),
            drop_timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            on_reject: None,
            on_media_reject: None,
            print_url: true,
            writer: Uuid::new_v4(),
            buffering: Buffering::SpoolIfPossible,
            when_unreachable: WhenUnreachable::Fail,
            when_stopped: WhenStopped::Refuse,
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
        self.target = Some(Target::Server(AnyTransport::new(transport)));
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

    /// Sets where rows wait for delivery. The default is [`Buffering::SpoolIfPossible`].
    #[must_use]
    pub fn buffering(mut self, buffering: Buffering) -> Self {
        self.buffering = buffering;
        self
    }

    /// Is short for [`Buffering::Spool`].
    #[must_use]
    pub fn spool(self, config: SpoolConfig) -> Self {
        self.buffering(Buffering::Spool(config))
    }

    /// Is short for [`Buffering::Memory`].
    #[must_use]
    pub fn no_spool(self) -> Self {
        self.buffering(Buffering::Memory)
    }

    /// Is short for [`Buffering::Offline`].
    #[must_use]
    pub fn offline(self, config: SpoolConfig) -> Self {
        self.buffering(Buffering::Offline(config))
    }

    /// Sets what happens if the server cannot be reached. The default is [`WhenUnreachable::Fail`].
    #[must_use]
    pub fn when_unreachable(mut self, when_unreachable: WhenUnreachable) -> Self {
        self.when_unreachable = when_unreachable;
        self
    }

    /// Sets what `log` does after delivery has stopped. The default is [`WhenStopped::Refuse`].
    #[must_use]
    pub fn when_stopped(mut self, when_stopped: WhenStopped) -> Self {
        self.when_stopped = when_stopped;
        self
    }

    /// Limits how long `open` tries to reach the server. The default is 30 s.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Limits how long `finish` waits while no row is being stored. The default is 60 s. The longest
    /// delay that the server asks for is added to it.
    #[must_use]
    pub fn finish_idle_timeout(mut self, timeout: Duration) -> Self {
        self.finish_idle_timeout = timeout;
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

    /// Sets a callback for media files that the backend rejects permanently, such as all files if the
    /// backend does not implement [`Backend::upload`]. Their rows are stored.
    ///
    /// It is called like the one for [rows](Self::on_reject).
    #[must_use]
    pub fn on_media_reject(
        mut self,
        on_reject: impl Fn(RejectedMedia) + Send + Sync + 'static,
    ) -> Self {
        self.on_media_reject = Some(Box::new(on_reject));
        self
    }

    /// Sets whether `View data at: …` is printed on standard error when the first row is logged. The
    /// default is `true`.
    #[must_use]
    pub fn print_url(mut self, print_url: bool) -> Self {
        self.print_url = print_url;
        self
    }

    /// Declares the columns of all rows.
    pub(crate) fn declare(self, columns: Vec<(String, Type)>) -> Self {
        Self { declared: Some(columns), ..self }
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
        open::open_table(self).await
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where the rows go.
pub(crate) enum Target {
    /// A W&B-compatible server.
    Server(AnyTransport),
    Backend(Arc<dyn Backend>),
}
