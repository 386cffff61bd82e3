//! The settings of a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::monitors::MonitorsConfig;
use streamtable_server_core::{BaseUrlConfig, LostCatalog};
#[cfg(feature = "wandb")]
use streamtable_wandb::WandbConfig;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on. Port 0 selects a free port. If the address is not a loopback
    /// address, the server only starts if a key exists.
    pub addr: SocketAddr,
    /// The folder for all data of the server. It is created if it does not exist. Only one server
    /// may use it at a time.
    pub data_dir: PathBuf,
    /// The URL of the bucket that has the tables, such as `s3://bucket/prefix`, if they are not in the
    /// data folder. The log, the catalog and uploaded files always are.
    pub store: Option<String>,
    /// The URL under which clients reach the server, without a trailing slash, such as
    /// `https://tables.example.org`. By default it is derived from the `Host` header of each
    /// request.
    pub public_url: Option<String>,
    /// Additional host names of the server. Loopback names, its own address and the host of the public
    /// URL are always allowed. Requests for other hosts are rejected.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may show panels and boards in frames, such as a notebook's. If only this
    /// machine can reach the server, pages of this machine may always do so.
    pub frame_ancestors: Vec<String>,
    /// The certificate and its key, if the server itself does TLS.
    pub tls: Option<TlsFiles>,
    /// The reaction to a catalog that is lost or damaged.
    pub lost_catalog: LostCatalog,
    /// Maximum memory of the process in bytes. Above it, new rows and queries get 503, and the
    /// largest query is stopped. Default: three quarters of the memory of the machine or the
    /// control group.
    pub memory_limit: Option<u64>,
    /// Queries that take longer are logged as warnings, with the start of their text.
    pub slow_query: Duration,
    /// Settings of monitors.
    pub monitors: MonitorsConfig,
    /// Limits on requests and connections.
    pub limits: Limits,
    /// Settings of the W&B protocol.
    #[cfg(feature = "wandb")]
    pub wandb: WandbConfig,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Limits on requests and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum memory of all request bodies together. Requests beyond it wait for `max_wait`, then
    /// get 503.
    pub body_memory_bytes: usize,
    /// How long a request waits for memory or for a permit.
    pub max_wait: Duration,
    /// Maximum number of connections. For one more, the connection that has been longest without a
    /// running request is closed; if each has one, the new connection waits until a request ends.
    pub max_connections: usize,
    /// Maximum number of connections of one address, or of one IPv6 network (/64). For one more,
    /// the address's connection that has been longest without a running request is closed; if each
    /// has one, the new connection is closed. Does not apply to loopback and `trusted_proxies`.
    pub max_connections_per_peer: usize,
    /// Addresses of proxies, which forward the connections of many clients.
    pub trusted_proxies: Vec<IpAddr>,
    /// Maximum time from the first byte of a request's head to its end, and maximum duration of a
    /// TLS handshake. The connection is then closed.
    pub header_timeout: Duration,
    /// Maximum time before the first byte of the next request. The connection is then closed.
    pub idle_timeout: Duration,
    /// Maximum time by which the body of a request may fall behind `min_bytes_per_second`; also the
    /// longest pause. The request then fails.
    pub body_timeout: Duration,
    /// Maximum time by which a client may fall behind `min_bytes_per_second` while it reads a
    /// response. The connection is then closed.
    pub write_timeout: Duration,
    /// Minimum long-term rate of clients, while the server waits for them.
    pub min_bytes_per_second: u64,
    /// How long requests that are running at shutdown may take to end.
    pub drain_timeout: Duration,
    /// How long a browser session lasts.
    pub session_lifetime: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("streamtable-data"),
            store: None,
            public_url: None,
            allowed_hosts: Vec::new(),
            frame_ancestors: Vec::new(),
            tls: None,
            lost_catalog: LostCatalog::default(),
            memory_limit: None,
            slow_query: Duration::from_secs(10),
            monitors: MonitorsConfig::default(),
            limits: Limits::default(),
            #[cfg(feature = "wandb")]
            wandb: WandbConfig::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_memory_bytes: 256 << 20,
            max_wait: Duration::from_secs(5),
            max_connections: 1024,
            max_connections_per_peer: 256,
            trusted_proxies: Vec::new(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            min_bytes_per_second: 1024,
            drain_timeout: Duration::from_secs(20),
            session_lifetime: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

impl ServerConfig {
    pub(crate) fn base_url(&self) -> BaseUrlConfig {
        BaseUrlConfig { public_url: self.public_url.clone(), has_tls: self.tls.is_some() }
    }

    /// Converts the name of an account to a valid entity name: lower case, with `-` for invalid
    /// characters.
    ///
    /// ```
    /// use streamtable_server::ServerConfig;
    ///
    /// assert_eq!(ServerConfig::entity_of("Ada.Lovelace"), "ada-lovelace");
    /// assert_eq!(ServerConfig::entity_of(""), "me");
    /// ```
    pub fn entity_of(account: &str) -> String {
        let keep = |c: char| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_' | '-') => c,
            _ => '-',
        };
        let entity: String = account.trim().chars().take(128).map(keep).collect();
        if entity.is_empty() { "me".to_owned() } else { entity }
    }
}
