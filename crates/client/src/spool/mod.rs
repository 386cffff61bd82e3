//! The spool: rows on disk until the server has them.
//!
//! An open table stores its rows here ([`Builder::spool`](crate::Builder::spool)) and delivers the
//! orphaned spools of earlier processes. Without an open table, [`sync`](sync()) delivers orphaned
//! spools, [`list`] lists them, and [`export`] reads their rows.
//!
//! ```
//! use streamtable::spool::{self, SpoolConfig, SyncOptions};
//! use streamtable::{Settings, StreamTable, WandbBackend, row};
//! # use std::sync::Arc;
//! # use streamtable_mock_backend::MockBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path();
//! # let mock = MockBackend::default();
//! let builder = StreamTable::builder("me/shop/requests").base_url("http://mock.invalid");
//! let config = SpoolConfig { dir: Some(dir.into()), ..SpoolConfig::default() };
//! let table = builder.spool(config).offline().open().await?;
//! table.log(row! { "path" => "/", "ms" => 7 }).await?;
//! assert_eq!(table.finish().await?.pending, 1);
//!
//! assert_eq!(spool::list(dir)?[0].rows, 1);
//! let tally = spool::sync(
//!     dir,
//!     &SyncOptions::default(),
//!     |server| {
//!         let settings = Settings { base_url: server.to_owned(), ..Settings::from_env_for(server)? };
//! #       let settings = Settings { api_key: Some(streamtable_transport::ApiKey::new("k").unwrap()), ..settings };
//! #       let transport = mock.clone();
//!         Ok(Arc::new(WandbBackend::new(transport, &settings)?))
//!     },
//!     |progress| println!("{} of {} rows", progress.tally.acked, progress.tally.found),
//! )
//! .await?;
//! assert_eq!((tally.acked, tally.left.len()), (1, 0));
//! # Ok(())
//! # }
//! ```

mod acked;
pub(crate) mod chore;
pub(crate) mod dead;
pub(crate) mod disk;
pub(crate) mod drain;
pub(crate) mod frame;
mod inspect;
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod pictures;
pub(crate) mod recover;
mod refusals;
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
    /// default is the server's URL, or `backend` for other kinds of backends.
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
pub enum SyncPolicy {
    /// Never. A power failure loses rows that the operating system has not written by itself.
    Never,
    /// In the background. A power failure loses rows that were logged within about this time.
    Interval(Duration),
    /// Before `log` returns, once per call; takes milliseconds on most disks. A power failure loses
    /// nothing.
    Always,
}
