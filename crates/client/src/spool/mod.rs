//! The spool: rows on disk until the server has them.
//!
//! A table that is opened keeps its rows here ([`Builder::spool`](crate::Builder::spool)), and
//! delivers what earlier processes left for it. Without a program, [`sync`](sync()) delivers, [`list`]
//! tells what lies there, and [`export`] reads it.
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

/// How rows that wait are kept on disk.
///
/// ```
/// use streamtable::spool::{SpoolConfig, SyncPolicy};
///
/// let config = SpoolConfig { sync: SyncPolicy::Always, ..SpoolConfig::default() };
/// assert_eq!(config.max_bytes, 1 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// The folder of all spools. By default what [`Settings::spool_dir`](crate::Settings) says.
    pub dir: Option<PathBuf>,
    /// Names the place where the rows go, so that nobody else gets them: the server's address by
    /// default, or `backend` if that is of another kind.
    pub server: Option<String>,
    /// As many bytes may wait on disk for each writer, and a segment more; then `log` does what
    /// [`WhenFull`](crate::WhenFull) says. A gibibyte by default.
    pub max_bytes: u64,
    /// Rows are written to files of this length, which are removed when all their rows are
    /// settled. 8 MiB by default, 64 at the most.
    pub segment_bytes: u64,
    /// When rows are made safe from power cuts. Every second by default.
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

/// When the spool waits until the disk itself has the rows.
///
/// Whatever the policy, the system has them before `log` returns, so that they survive the death
/// of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Never: a power cut may take what the system has not written by itself.
    Never,
    /// In the background: a power cut takes what was logged within about this time.
    Interval(Duration),
    /// Before `log` returns, once a call: milliseconds on most disks. A power cut takes nothing.
    Always,
}
