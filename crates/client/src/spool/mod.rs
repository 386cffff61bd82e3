//! The spool: rows on disk until the server has them.
//!
//! An open table stores its rows here ([`Builder::spool`](crate::Builder::spool)) and delivers the
//! orphaned spools of earlier processes. Without an open table, [`sync`](sync()) delivers orphaned
//! spools, [`list`] lists them, and [`export`] reads their rows.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use streamtable::spool::{self, SpoolConfig, SyncOptions};
//! use streamtable::transport::HyperTransport;
//! use streamtable::{Backend, OpenError, Settings, StreamTable, WandbBackend, row};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dir = Path::new("spool");
//!     let config = SpoolConfig { dir: Some(dir.into()), ..SpoolConfig::default() };
//!     let table = StreamTable::builder("me/shop/requests").offline(config).open().await?;
//!     table.log(row! { "path" => "/", "ms" => 7 }).await?;
//!     assert_eq!(table.finish().await?.pending, 1);
//!
//!     assert_eq!(spool::list(dir)?[0].rows, 1);
//!     let connect = |server: &str| -> Result<Arc<dyn Backend>, OpenError> {
//!         let settings = Settings::from_env_for(server)?;
//!         let transport = HyperTransport::new().map_err(OpenError::backend)?;
//!         Ok(Arc::new(WandbBackend::new(transport, &settings)?))
//!     };
//!     let tally = spool::sync(dir, &SyncOptions::default(), connect, |progress| {
//!         println!("{} of {} rows", progress.tally.acked, progress.tally.found);
//!     })
//!     .await?;
//!     println!("{} rows delivered, {} spools left", tally.acked, tally.left.len());
//!     Ok(())
//! }
//! ```

mod acked;
pub(crate) mod deliver_orphan;
pub(crate) mod disk;
pub(crate) mod frame;
mod inspect;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod maintenance;
pub(crate) mod media;
pub(crate) mod orphan;
pub(crate) mod recover;
mod rejected_log;
mod segment;
#[cfg(test)]
pub(crate) mod sim_disk;
mod sync;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use inspect::{Entry, EntryState, Exported, Problem, export, list};
pub use sync::{Left, SyncOptions, SyncProgress, Tally, sync};

/// Configuration of the spool: rows on disk that wait for delivery.
///
/// ```
/// use streamtable::spool::{SpoolConfig, SyncPolicy};
///
/// let config = SpoolConfig { sync: SyncPolicy::Always, ..SpoolConfig::default() };
/// assert_eq!(config.max_bytes, 1 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The folder of all spools. The default is [`Settings::spool_dir`](crate::Settings).
    pub dir: Option<PathBuf>,
    /// Identifies the destination of the rows, so that they are never delivered to another one. The
    /// default is the server's URL, or the [identity](crate::Backend::identity) of the caller's
    /// backend; without either, opening the table fails.
    pub server: Option<String>,
    /// Maximum size on disk for each writer; the files may be larger by one segment. When it is
    /// reached, `log` behaves as set by [`WhenFull`](crate::WhenFull). The default is 1 GiB.
    pub max_bytes: u64,
    /// Size of the files that rows are written to. A file is removed when all its rows are settled.
    /// The default is 8 MiB, the maximum 64 MiB.
    pub segment_bytes: u64,
    /// When rows are synced to disk. The default is once per second.
    pub sync: SyncPolicy,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: None,
            server: None,
            max_bytes: 1 << 30,
            segment_bytes: 8 << 20,
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
        }
    }
}

/// When the spool syncs rows to disk.
///
/// With every policy, rows are written to the operating system before `log` returns, so that they
/// survive the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Never. A power failure loses rows that the operating system has not written by itself.
    Never,
    /// In the background. A power failure loses rows that were logged within about this time.
    Interval(Duration),
    /// Before `log` returns, once per call; takes milliseconds on most disks. A power failure loses
    /// nothing.
    Always,
}
