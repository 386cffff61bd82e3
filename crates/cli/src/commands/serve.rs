//! `streamtable serve`: a server on this machine.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use streamtable_server::{Limits, LostCatalog, Server, ServerConfig, ServerError, TlsFiles};
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
      On http://127.0.0.1:8080, rows in ./streamtable-data. The first start makes
      a key and keeps it in your netrc file, where all clients on this machine
      find it.
  streamtable serve --data /srv/tables --addr 127.0.0.1:9000
  streamtable serve --addr 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem \\
      --public-url https://tables.example.org
      For other machines. Make a key first: `streamtable keys add --data DIR`.

Behind a proxy that does TLS: stay on 127.0.0.1, and give its URL by --public-url.
Behind one on another machine: name its address by --trusted-proxy.

Ctrl-C or SIGTERM lets what is under way end; a second one ends at once. Rows
that were acknowledged are safe either way. RUST_LOG=info says more on standard
error.";

/// Run a server: takes rows, keeps them, answers queries
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// The folder that holds all that the server keeps; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "streamtable-data")]
    data: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// The URL under which others reach the server
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    public_url: Option<BaseUrl>,
    /// Another name by which the server may be called; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// A page's origin that may show panels and boards in frames; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    allow_frame: Vec<String>,
    /// The certificate, for a server that speaks TLS itself (PEM, followed by those it needs)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The address of a proxy on another machine, which brings many clients' connections; may be
    /// repeated
    #[arg(long, value_name = "IP")]
    trusted_proxy: Vec<IpAddr>,
    /// What to do if the catalog (keys, runs, boards) is damaged or lost [default: do not start]
    #[arg(long, value_name = "REMEDY")]
    lost_catalog: Option<Remedy>,
    /// The entity of those who name none [default: your user name]
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,
    /// How much memory the server may use, such as 2GiB or 800MB; above it, rows and queries are
    /// refused for a while [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
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
        .ok_or_else(|| "a size is a number and a unit, such as 2GiB".to_owned())
}

/// What to do if the catalog is damaged or lost. A catalog that is whole is left as it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Remedy {
    /// Move it aside, and use the newest daily copy
    Copy,
    /// Move it aside, and begin an empty one with a new key; tables and files stay
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

fn parse_url(text: &str) -> Result<BaseUrl, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// An origin goes into a header of policies, where a blank or a semicolon would begin another one.
fn parse_origin(text: &str) -> Result<String, String> {
    let origin = text.parse::<Origin>().map_err(|error| format!("{error}"))?;
    Ok(origin.to_string())
}

impl Serve {
    /// Serves until a signal comes, and what is under way has ended.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self.config();
        init_log();
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
        ServerConfig {
            addr: self.addr,
            data_dir: self.data,
            public_url: self.public_url.map(|url| url.to_string()),
            allowed_hosts: self.allow_host,
            frame_ancestors: self.allow_frame,
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
            default_entity: self
                .entity
                .unwrap_or_else(|| ServerConfig::entity_of(&account.unwrap_or_default())),
            lost_catalog: self.lost_catalog.map(Into::into).unwrap_or_default(),
            memory_limit: self.memory_limit,
            limits: Limits { trusted_proxies: self.trusted_proxy, ..Limits::default() },
            ..ServerConfig::default()
        }
    }
}

/// Makes a server that listens. From now on, what the process makes is for its owner alone.
pub(crate) async fn bind(config: ServerConfig) -> Result<Server, Failure> {
    make_files_private();
    raise_file_limit();
    let folder = config.data_dir.clone();
    Server::bind(config).await.map_err(|error| match error {
        // A store does not say where it is.
        ServerError::Store(error) => {
            Failure::failed(format!("cannot use the folder {}: {error}", folder.display()))
        }
        error => Failure::failed(error),
    })
}

/// Makes every file and folder that the process makes from now on private to its owner.
pub(crate) fn make_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Allows the process as many open files as it may have. Many systems begin with 1,024, which is fewer
/// than connections and tables need.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

/// Keeps the first key where clients on this machine look for it, and returns where that is.
fn keep(urls: &[&str], secret: &str) -> Result<PathBuf, Failure> {
    let key = ApiKey::new(secret).map_err(Failure::failed)?;
    let mut path = PathBuf::new();
    for url in urls {
        let origin: Origin = url.parse().map_err(Failure::failed)?;
        path = netrc::keep(&origin, &key).inspect_err(|_| {
            // The key is told nowhere else, and this was the one start that makes it.
            style::warn(
                "the server's first key was made, but could not be kept; another is made by \
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
    let entity = &config.default_entity;
    let mut text = format!("StreamTable {} serves {folder} at ", env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("{}\n", bold(base)));
    if let Some(path) = kept {
        text.push_str(&format!(
            "\nThis is its first start: a key was made and put into {}, where this\n\
             command and the SDKs find it.\n",
            path.display()
        ));
    }
    text.push_str(&format!(
        "
Log rows, from a shell, from Python or from Rust:

  export WANDB_BASE_URL={base}

  echo '{{\"path\": \"/\", \"ms\": 7}}' | streamtable log {entity}/shop/requests

  from weave.monitoring import StreamTable   # pip install weave==0.50.0 wandb==0.16.6
  table = StreamTable(\"{entity}/shop/requests\")
  table.log({{\"path\": \"/\", \"ms\": 7}})

  let table = StreamTable::open(\"{entity}/shop/requests\").await?;
  table.log(row! {{ \"path\" => \"/\", \"ms\" => 7 }}).await?;

Look at them:

  streamtable query 'select * from {entity}.shop.requests'
  streamtable tail -f {entity}/shop/requests

Ctrl-C ends the server."
    ));
    text
}

/// Sends log lines to standard error: warnings and the audit of refusals, unless `RUST_LOG` says
/// otherwise.
pub(crate) fn init_log() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,audit=info"));
    let stderr = std::io::stderr();
    let colours = style::has_colours(&stderr) && stderr.is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Somebody may have set one up already, in a test.
    let _ = log.with_ansi(colours).try_init();
}

/// Waits for a signal to stop, and passes it on; a second one ends the process.
pub(crate) async fn listen(stop: oneshot::Sender<()>) {
    let Ok(mut signals) = Signals::new() else { return std::future::pending().await };
    signals.next().await;
    style::note("stopping; once more ends at once");
    let _ = stop.send(());
    signals.next().await;
    std::process::exit(130);
}

/// The signals that ask a server to stop.
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

/// The signals that ask a server to stop.
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
}
