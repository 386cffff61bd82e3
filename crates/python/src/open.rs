//! Opens a table, and reopens it in each forked process.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pyo3::prelude::*;
use streamtable::blocking::StreamTable;
use streamtable::spool::{SpoolConfig, SyncPolicy};
use streamtable::{
    BatchLimits, Buffering, Builder, ColumnPolicy, LOCAL_API, OpenError, Rejected, Settings,
    WANDB_API, WhenFull, WhenUnreachable,
};
use streamtable_transport_hyper::HyperTransport;

use crate::process::{Announcement, generation, print_line, wait};
use crate::{errors, process, value};

/// The arguments of the constructor.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) project: Option<String>,
    pub(crate) entity: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) columns: ColumnPolicy,
    pub(crate) when_full: WhenFull,
    pub(crate) when_unreachable: WhenUnreachable,
    pub(crate) spool: Spool,
    pub(crate) sync: SyncPolicy,
    pub(crate) is_offline: bool,
    pub(crate) buffer_bytes: Option<u64>,
    pub(crate) media_buffer_bytes: Option<u64>,
    pub(crate) linger: Option<Duration>,
    pub(crate) open_timeout: Duration,
    pub(crate) finish_timeout: Duration,
    pub(crate) exit_timeout: Duration,
    pub(crate) on_reject: Option<Py<PyAny>>,
    pub(crate) is_quiet: bool,
}

/// Where rows are spooled.
#[derive(Debug)]
pub(crate) enum Spool {
    /// In the default folder of the settings.
    Default,
    /// In this folder.
    Dir(PathBuf),
    /// In memory.
    Off,
}

/// A table that is open in this process.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) table: StreamTable,
    pub(crate) options: Arc<Options>,
    pub(crate) remote: Remote,
    /// The fork generation of the process that opened it.
    pub(crate) generation: u64,
    /// Whether it was finished because the program ends.
    pub(crate) has_ended: AtomicBool,
}

/// The address and credentials of the table's server, for reading.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) base_url: String,
    pub(crate) board_url: Option<String>,
    pub(crate) api_key: Option<streamtable_transport::ApiKey>,
}

impl Open {
    /// Opens a table without holding the GIL.
    pub(crate) fn new(py: Python<'_>, options: &Arc<Options>) -> PyResult<Arc<Self>> {
        let builder = options.settings().and_then(|settings| {
            let builder = options.builder(py)?;
            Ok((builder, options.remote(settings)))
        });
        let open = Self::with_builder(py, options, builder)?;
        process::opened(py, &open)?;
        open.announce_cloud(py)?;
        Ok(open)
    }

    /// Opens a table's spool for rows that are logged after the table was finished at exit. They
    /// are sent when the table is opened the next time.
    pub(crate) fn after_end(&self, py: Python<'_>) -> PyResult<Arc<Self>> {
        let builder = self.options.whole_builder(py, &self.table.path().to_string());
        let offline = builder.and_then(|builder| {
            Ok((builder.buffering(self.options.buffering(true)?), self.remote.clone()))
        });
        Self::with_builder(py, &self.options, offline)
    }

    fn with_builder(
        py: Python<'_>,
        options: &Arc<Options>,
        builder: Result<(Builder, Remote), OpenError>,
    ) -> PyResult<Arc<Self>> {
        let (mut builder, remote) = builder.map_err(|error| errors::open(py, &error))?;
        if !options.is_offline && py.detach(|| nobody_listens(&remote.base_url)) {
            if options.when_unreachable == WhenUnreachable::Fail {
                let is_default = options.names_no_server() && remote.base_url == LOCAL_API;
                return Err(errors::nobody_listens(py, &remote.base_url, is_default));
            }
            // It need not wait for a server, and rows wait for it in the background.
            builder = builder.open_timeout(options.open_timeout.min(LISTEN_TIMEOUT));
        }
        let (send, opened) = mpsc::channel();
        // On a separate thread, so that the caller can stop waiting after a signal.
        std::thread::spawn(move || send.send(builder.open_blocking()));
        let (base_url, limit) = (remote.base_url.clone(), options.open_timeout.as_secs_f64());
        let mut announcement = Announcement::new(options.is_quiet, move || {
            format!("streamtable: waiting for {base_url}, at most {limit} s")
        });
        let opened = wait(py, move |keep_waiting| {
            loop {
                announcement.print_if_slow();
                match opened.recv_timeout(Duration::from_millis(50)) {
                    Err(mpsc::RecvTimeoutError::Timeout) if keep_waiting() => {}
                    Ok(opened) => return opened,
                    Err(_) => {
                        let reason = "the open was aborted".to_owned();
                        return Err(OpenError::Backend { reason });
                    }
                }
            }
        })?;
        let table = opened.map_err(|error| errors::open(py, &error))?;
        let options = Arc::clone(options);
        let has_ended = AtomicBool::new(false);
        Ok(Arc::new(Self { table, options, remote, generation: generation(), has_ended }))
    }

    /// Prints, once in a process, that rows go to W&B's cloud because there is a key for it.
    fn announce_cloud(&self, py: Python<'_>) -> PyResult<()> {
        static IS_ANNOUNCED: AtomicBool = AtomicBool::new(false);
        let is_default = self.remote.base_url == WANDB_API && self.options.names_no_server();
        let Options { is_offline, is_quiet, .. } = *self.options;
        if !is_default || is_offline || is_quiet || IS_ANNOUNCED.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let line = format!(
            "streamtable: rows go to {WANDB_API}, because there is a key for it on this machine; to \
             log to another server, pass base_url or set WANDB_BASE_URL"
        );
        print_line(py, &line)
    }

    /// Returns whether logging waits until rows are synced to disk.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.options.sync == SyncPolicy::Always
    }
}

impl Options {
    /// Returns whether neither the caller nor the environment names a server.
    fn names_no_server(&self) -> bool {
        self.base_url.is_none() && std::env::var_os("WANDB_BASE_URL").is_none()
    }

    fn builder(&self, py: Python<'_>) -> Result<Builder, OpenError> {
        let mut builder = self.whole_builder(py, &self.name)?;
        if let Some(project) = &self.project {
            builder = builder.project(project);
        }
        if let Some(entity) = &self.entity {
            builder = builder.entity(entity);
        }
        Ok(builder)
    }

    /// Makes the builder of a table whose name contains project and entity, if they are given.
    fn whole_builder(&self, py: Python<'_>, name: &str) -> Result<Builder, OpenError> {
        let unusable =
            |error: &dyn std::fmt::Display| OpenError::Backend { reason: error.to_string() };
        let mut builder = StreamTable::builder(name)
            .transport(HyperTransport::new().map_err(|error| unusable(&error))?)
            .columns(self.columns)
            .when_full(self.when_full)
            .when_unreachable(self.when_unreachable)
            .open_timeout(self.open_timeout)
            .finish_idle_timeout(self.finish_timeout)
            .drop_timeout(self.exit_timeout)
            // Python prints it, so that notebooks show it.
            .print_url(false);
        if let Some(base_url) = &self.base_url {
            builder = builder.base_url(base_url);
        }
        if let Some(key) = &self.api_key {
            builder = builder.api_key(key);
        }
        if let Some(bytes) = self.buffer_bytes {
            builder = builder.buffer_bytes(bytes);
        }
        if let Some(bytes) = self.media_buffer_bytes {
            builder = builder.media_buffer_bytes(bytes);
        }
        if let Some(linger) = self.linger {
            builder = builder.limits(BatchLimits { linger, ..BatchLimits::default() });
        }
        builder = builder.buffering(self.buffering(self.is_offline)?);
        if let Some(call) = &self.on_reject {
            let call = call.clone_ref(py);
            builder = builder.on_reject(move |rejected| call_on_reject(&call, &rejected));
        }
        Ok(builder)
    }

    /// Returns where the rows wait.
    fn buffering(&self, is_offline: bool) -> Result<Buffering, OpenError> {
        let default = SpoolConfig::default();
        let config = |dir| SpoolConfig { dir, sync: self.sync, ..SpoolConfig::default() };
        Ok(match &self.spool {
            Spool::Off if is_offline => {
                let reason = "an offline table needs a spool".to_owned();
                return Err(OpenError::Spool { reason });
            }
            Spool::Off => Buffering::Memory,
            Spool::Default if is_offline => Buffering::Offline(config(None)),
            Spool::Default if self.sync == default.sync => Buffering::SpoolIfPossible,
            Spool::Default => Buffering::Spool(config(None)),
            Spool::Dir(dir) if is_offline => Buffering::Offline(config(Some(dir.clone()))),
            Spool::Dir(dir) => Buffering::Spool(config(Some(dir.clone()))),
        })
    }

    /// Reads the settings of this machine.
    fn settings(&self) -> Result<Settings, OpenError> {
        let settings = match &self.base_url {
            Some(base_url) => Settings::from_env_for(base_url.trim_end_matches('/')),
            None => Settings::from_env(),
        };
        match settings {
            Ok(settings) => Ok(settings),
            // An offline table needs no key, so an invalid one is ignored.
            Err(_) if self.is_offline => Ok(Settings::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn remote(&self, settings: Settings) -> Remote {
        let own =
            self.api_key.as_ref().and_then(|key| streamtable_transport::ApiKey::new(key).ok());
        let Settings { base_url, board_url, api_key, .. } = settings;
        Remote { base_url, board_url, api_key: own.or(api_key) }
    }
}

/// The longest time to find out whether a server listens on this machine.
const LISTEN_TIMEOUT: Duration = Duration::from_millis(500);

/// Returns whether the server is on this machine and nothing listens on its port.
fn nobody_listens(base_url: &str) -> bool {
    let Ok(uri) = base_url.parse::<http::Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // Looking up the address of another machine could take long.
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_here {
        return false;
    }
    let Ok(addresses) = (host, port).to_socket_addrs() else { return false };
    let addresses: Vec<SocketAddr> = addresses.collect();
    let is_refused = |address: &SocketAddr| {
        address.ip().is_loopback()
            && TcpStream::connect_timeout(address, LISTEN_TIMEOUT)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    !addresses.is_empty() && addresses.iter().all(is_refused)
}

/// Calls `on_reject` for a row that the server rejected. Does nothing while the interpreter shuts
/// down.
fn call_on_reject(call: &Py<PyAny>, rejected: &Rejected) {
    Python::try_attach(|py| {
        let called = value::row_to_python(py, &rejected.row)
            .and_then(|row| call.bind(py).call1((row, &rejected.reason)));
        if let Err(error) = called {
            error.write_unraisable(py, Some(call.bind(py)));
        }
    });
}
