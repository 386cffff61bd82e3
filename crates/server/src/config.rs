//! How a server is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The address to listen on. Port 0 takes a free one. Beyond loopback there must be a key
    /// before the server starts.
    pub addr: SocketAddr,
    /// The folder that holds all that the server keeps. It comes into being if it is not there;
    /// only one server may use it at a time.
    pub data_dir: PathBuf,
    /// The URL under which clients reach the server, without a slash at the end, such as
    /// `https://tables.example.org`. Without one it is what the client's `Host` says.
    pub public_url: Option<String>,
    /// Names by which the server may be called beside loopback names, its own address and the
    /// public URL's. A request for another host is refused.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may show panels and boards in frames, such as a notebook's. A server that
    /// only this machine reaches lets this machine's pages do so anyway.
    pub frame_ancestors: Vec<String>,
    /// The certificate and its key, for a server that speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// The entity in which those log who have a key for all and name none.
    pub default_entity: String,
    /// The reaction to a catalog that is lost or damaged.
    pub lost_catalog: LostCatalog,
    /// How many bytes of memory the process may use. Above it new rows and queries are answered 503,
    /// and the largest query is stopped. By default three quarters of what the machine or the
    /// control group has.
    pub memory_limit: Option<u64>,
    /// What is too much.
    pub limits: Limits,
}

/// The reaction to a catalog (keys, runs, boards) that is damaged or has lost its keys. Has no effect
/// on one that is intact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LostCatalog {
    /// Fails, and says what can be done.
    #[default]
    Refuse,
    /// Moves the catalog aside and uses the newest of the daily copies.
    UseCopy,
    /// Moves the catalog aside and begins an empty one. Tables and files stay.
    BeginEmpty,
}

/// A certificate and its key, as files of PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that it needs.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What is too much for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body of a post to a file stream, inflated. A longer one is answered 413.
    pub max_body_bytes: usize,
    /// The most lines in one post. More are answered 413.
    pub max_lines: usize,
    /// The longest GraphQL request. A longer one is answered 413.
    pub max_graphql_bytes: usize,
    /// How much memory bodies may take together. What comes beyond waits a little, and is then
    /// answered 503.
    pub body_memory_bytes: usize,
    /// How long a request waits for memory or for its turn to upload.
    pub max_wait: Duration,
    /// The largest file. A larger one is answered 413.
    pub max_file_bytes: u64,
    /// How many uploads may be under way. One more waits a little, and is then answered 503.
    pub max_uploads: usize,
    /// How many connections are served. For one more, the connection that has been longest without
    /// a request under way is closed; if each has one, it waits until a request ends.
    pub max_connections: usize,
    /// How many connections one address may have, or one IPv6 network (/64). For one more, the
    /// address's connection that has been longest without a request is closed; if each has one under
    /// way, the new one is closed. Does not apply to loopback and `trusted_proxies`.
    pub max_connections_per_peer: usize,
    /// Addresses of proxies, which bring the connections of many clients.
    pub trusted_proxies: Vec<IpAddr>,
    /// How long the head of a request may take once its first byte has come; also how long a client
    /// may take to agree on TLS. The connection is closed then.
    pub header_timeout: Duration,
    /// How long a connection may wait before the first byte of its next request. It is closed then.
    pub idle_timeout: Duration,
    /// How far the body of a request may fall behind `min_bytes_per_second`, which is also the
    /// longest pause. The request fails then.
    pub body_timeout: Duration,
    /// How far a client may fall behind `min_bytes_per_second` in reading an answer. The connection
    /// is closed then.
    pub write_timeout: Duration,
    /// The rate that clients must keep up in the long run, while the server waits for them.
    pub min_bytes_per_second: u64,
    /// How long requests that are under way when the server stops may take to end.
    pub drain_timeout: Duration,
    /// How long a signed address opens what it names.
    pub signed_url_lifetime: Duration,
    /// How long a browser session lasts.
    pub session_lifetime: Duration,
    /// How deep a GraphQL query may nest.
    pub max_query_depth: usize,
    /// How many fields a GraphQL query may have.
    pub max_query_complexity: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("streamtable-data"),
            public_url: None,
            allowed_hosts: Vec::new(),
            frame_ancestors: Vec::new(),
            tls: None,
            default_entity: "me".to_owned(),
            lost_catalog: LostCatalog::default(),
            memory_limit: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_lines: 200_000,
            max_graphql_bytes: 16 << 20,
            body_memory_bytes: 256 << 20,
            max_wait: Duration::from_secs(5),
            max_file_bytes: 5 << 30,
            max_uploads: 64,
            max_connections: 1024,
            max_connections_per_peer: 256,
            trusted_proxies: Vec::new(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            min_bytes_per_second: 1024,
            drain_timeout: Duration::from_secs(20),
            signed_url_lifetime: Duration::from_secs(24 * 3600),
            session_lifetime: Duration::from_secs(14 * 24 * 3600),
            max_query_depth: 32,
            max_query_complexity: 2_000,
        }
    }
}

impl ServerConfig {
    /// Makes the name of an entity of the name of an account: lower-case, and with `-` for what
    /// an entity may not hold.
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
