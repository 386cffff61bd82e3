//! `streamtable serve`: a server on this machine.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use streamtable_server::{
    Limits, LostCatalog, MonitorsConfig, Server, ServerConfig, ServerError, TlsFiles, WandbConfig,
};
use streamtable_transport::{ApiKey, Origin};
use streamtable_url::BaseUrl;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::netrc;
use crate::output::print;
use crate::style::{self, Bold};

const EXAMPLES: &str = "\
Examples:
  streamtable serve
      Listens on http://127.0.0.1:8080, with its data in ./streamtable-data. The
      first start creates a key and stores it in your netrc file, where all clients
      on this machine find it.
  streamtable serve --data /srv/tables --addr 127.0.0.1:9000
  streamtable serve --addr 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem \\
      --public-url https://tables.example.org
      For other machines. Create a key first: `streamtable keys add --data DIR`.
  streamtable serve --data /srv/log --store s3://bucket/prefix
      With its tables in a bucket, with the credentials in AWS_ACCESS_KEY_ID and
      AWS_SECRET_ACCESS_KEY. The log, the catalog and uploads stay in /srv/log.

Behind a proxy that does TLS: keep listening on 127.0.0.1, and set --public-url to
the URL of the proxy. If the proxy runs on another machine, set --trusted-proxy to
its address.

Every option can also be set by an environment variable (--slow-query:
STREAMTABLE_SERVER_SLOW_QUERY) or in the file of --config (slow-query = \"5s\");
`streamtable config` shows all settings, and where each comes from.

Ctrl-C or SIGTERM stops the server after running requests have ended; a second one
stops it at once. Acknowledged rows are safe in both cases. With RUST_LOG=info, the
server logs more to standard error.";

/// Run a server that stores rows and answers queries
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// File with settings, in TOML: each option's name without dashes in front, and its value
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for all data of the server; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "streamtable-data")]
    data: PathBuf,
    /// URL of the bucket that has the tables: s3://bucket/prefix, gs://… or az://…; the log stays in
    /// the data folder [default: tables are in the data folder]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// URL under which clients reach the server
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    public_url: Option<BaseUrl>,
    /// Additional host name of the server; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Origin whose pages may show panels and boards in frames; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    allow_frame: Vec<String>,
    /// Certificate, if the server itself does TLS (PEM, followed by its intermediate certificates)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Address of a proxy on another machine, which forwards the connections of many clients; may
    /// be repeated
    #[arg(long, value_name = "IP")]
    trusted_proxy: Vec<IpAddr>,
    /// What to do if the catalog (keys, runs, boards) is damaged or lost [default: do not start]
    #[arg(long, value_name = "REMEDY")]
    lost_catalog: Option<Remedy>,
    /// Entity of clients that name none [default: your user name]
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,
    /// Maximum memory, such as 2GiB or 800MB; above it, rows and queries get 503 [default: three
    /// quarters of the machine's memory]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
    /// Form of the log on standard error
    #[arg(long, value_name = "FORM", default_value = "text")]
    log_format: LogFormat,
    /// Log queries that take longer than this, such as 500ms, 10s or 2m
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    slow_query: Duration,
    /// Let messages of monitors go to addresses that are not public: this machine and its network
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    #[arg(default_value = "false", default_missing_value = "true")]
    allow_private_targets: bool,
    /// Command that targets of the kind `command` run, with the message as JSON on standard input
    #[arg(long, value_name = "FILE")]
    monitor_command: Option<PathBuf>,
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1_000),
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().zip(factor).and_then(|(n, by)| n.checked_mul(by));
    size.filter(|&size| size > 0)
        .ok_or_else(|| "expected a number and a unit, such as 2GiB".to_owned())
}

/// Parses a duration: a number and a unit.
fn parse_time(text: &str) -> Result<Duration, String> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        "m" | "min" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let seconds = number.parse::<f64>().ok().zip(factor).map(|(number, factor)| number * factor);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected a number and a unit, such as 500ms, 10s or 2m".to_owned())
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// A JSON object per line, for programs
    Json,
}

/// What to do if the catalog is damaged or lost. An intact catalog is not changed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Remedy {
    /// Move it aside, and use the newest daily copy
    Copy,
    /// Move it aside, and create an empty one with a new key; tables and files are kept
    Empty,
}

impl From<Remedy> for LostCatalog {
    fn from(remedy: Remedy) -> Self {
        match remedy {
            Remedy::Copy => Self::UseCopy,
            Remedy::Empty => Self::BeginEmpty,
        }
    }
}

/// Parses the server's own URL. Pages name their parts and links from the root of their host.
fn parse_url(text: &str) -> Result<BaseUrl, String> {
    let url: BaseUrl = text.parse().map_err(|error| format!("{error}"))?;
    let shown = url.to_string();
    let (_, host) = shown.split_once("://").unwrap_or_default();
    match host.trim_end_matches('/').contains('/') {
        true => Err("the server needs a host name or a port of its own, without a path".to_owned()),
        false => Ok(url),
    }
}

/// Parses an origin. It becomes part of a `Content-Security-Policy` header, where a space or a
/// semicolon would start another directive.
fn parse_origin(text: &str) -> Result<String, String> {
    let origin = text.parse::<Origin>().map_err(|error| format!("{error}"))?;
    Ok(origin.to_string())
}

impl Serve {
    /// Serves until a signal arrives and running requests have ended.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let log_format = self.log_format;
        let config = self.config();
        init_log(log_format);
        let server = bind(config.clone()).await?;
        let own = server.local_url();
        let base = config.public_url.clone().unwrap_or_else(|| own.clone());
        let kept = server.first_key().map(|key| keep(&[&own, &base], &key.secret)).transpose()?;
        let (stop, stopped) = oneshot::channel();
        let signals = tokio::spawn(listen(stop));
        print(greeting(&config, &base, kept.as_deref()))?;
        let ended = server.run(async { drop(stopped.await) }).await;
        signals.abort();
        ended.map_err(Failure::failed)
    }

    fn config(self) -> ServerConfig {
        let tls = self.tls_cert.zip(self.tls_key);
        let account =
            ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let default_entity =
            self.entity.unwrap_or_else(|| ServerConfig::entity_of(&account.unwrap_or_default()));
        ServerConfig {
            addr: self.addr,
            data_dir: self.data,
            store: self.store,
            public_url: self.public_url.map(|url| url.to_string()),
            allowed_hosts: self.allow_host,
            frame_ancestors: self.allow_frame,
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
            lost_catalog: self.lost_catalog.map(Into::into).unwrap_or_default(),
            memory_limit: self.memory_limit,
            slow_query: self.slow_query,
            monitors: MonitorsConfig {
                allow_private_targets: self.allow_private_targets,
                command: self.monitor_command,
            },
            limits: Limits { trusted_proxies: self.trusted_proxy, ..Limits::default() },
            wandb: WandbConfig { default_entity, ..WandbConfig::default() },
        }
    }
}

/// Creates a server that listens. From then on, only the owner can open new files of this process.
pub(crate) async fn bind(config: ServerConfig) -> Result<Server, Failure> {
    make_files_private();
    raise_file_limit();
    let (folder, bucket) = (config.data_dir.clone(), config.store.clone());
    let names_bucket = |error: &str| bucket.is_some_and(|url| error.contains(&url));
    Server::bind(config).await.map_err(|error| match error {
        ServerError::Store(error) if names_bucket(&error.to_string()) => Failure::failed(error),
        // Other errors of the store do not name the folder.
        ServerError::Store(error) => {
            Failure::failed(format!("cannot use the folder {}: {error}", folder.display()))
        }
        error => Failure::failed(error),
    })
}

/// Makes all files and folders that this process creates from now on private to their owner.
pub(crate) fn make_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Raises the limit of open files to its maximum. On many systems it starts at 1,024, which is too
/// low for the server's connections and tables.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
}

/// Stores the first key where clients on this machine look for it, and returns the path.
fn keep(urls: &[&str], secret: &str) -> Result<PathBuf, Failure> {
    let key = ApiKey::new(secret).map_err(Failure::failed)?;
    let mut path = PathBuf::new();
    for url in urls {
        let origin: Origin = url.parse().map_err(Failure::failed)?;
        path = netrc::keep(&origin, &key).inspect_err(|_| {
            // The key is not shown anywhere else, and later starts do not create another one.
            style::warn(
                "the server's first key was created but could not be stored; create another one with \
                 `streamtable keys add --data …`",
            );
        })?;
    }
    Ok(path)
}

fn greeting(config: &ServerConfig, base: &str, kept: Option<&std::path::Path>) -> String {
    let colours = style::has_colours(&std::io::stdout());
    let bold = |text| Bold { text, colours };
    let folder = config.data_dir.display();
    let entity = &config.wandb.default_entity;
    let mut text = format!("StreamTable {} serves {folder}", env!("CARGO_PKG_VERSION"));
    if let Some(url) = &config.store {
        text.push_str(&format!(", with its tables in {url},"));
    }
    text.push_str(" at ");
    text.push_str(&format!("{}\n", bold(base)));
    if let Some(path) = kept {
        text.push_str(&format!(
            "\nThis is the first start: a key was created and stored in {}, where this\n\
             command and the SDKs find it.\n",
            path.display()
        ));
    }
    text.push_str(&format!(
        "
Log rows, from a shell, from Python or from Rust:

  export WANDB_BASE_URL={base}

  echo '{{\"path\": \"/\", \"ms\": 7}}' | streamtable log {entity}/shop/requests

  from streamtable import StreamTable   # pip install streamtable
  table = StreamTable(\"{entity}/shop/requests\")
  table.log({{\"path\": \"/\", \"ms\": 7}})

  let table = StreamTable::open(\"{entity}/shop/requests\").await?;
  table.log(row! {{ \"path\" => \"/\", \"ms\" => 7 }}).await?;

View them:

  streamtable query 'select * from {entity}.shop.requests'
  streamtable tail -f {entity}/shop/requests

Ctrl-C stops the server."
    ));
    text
}

/// Logs to standard error: by default warnings and the audit log, otherwise what `RUST_LOG`
/// selects.
pub(crate) fn init_log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,audit=info"));
    let stderr = std::io::stderr();
    let colours = style::has_colours(&stderr) && stderr.is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Both fail if a test has already set up a logger.
    let _ = match format {
        LogFormat::Text => log.with_ansi(colours).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// Waits for a signal and forwards it to `stop`; a second signal ends the process.
pub(crate) async fn listen(stop: oneshot::Sender<()>) {
    let Ok(mut signals) = Signals::new() else { return std::future::pending().await };
    signals.next().await;
    style::note("stopping; a second signal stops at once");
    let _ = stop.send(());
    signals.next().await;
    std::process::exit(130);
}

/// The signals that end a command.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that end a command.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("800 MB"), Ok(800_000_000));
        assert_eq!(parse_size("1024"), Ok(1024));
        for wrong in ["", "0", "GiB", "-1", "1.5GiB", "1TB", "99999999999GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1.5 s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "10", "s", "-1s", "1d", "1..2s", "inf s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
