//! What a server knows beside rows and files: keys, projects, runs, artifacts, boards.
//!
//! One SQLite file in the data folder. A call that changes something returns once the change is on
//! disk. Nothing here blocks an async thread.

mod artifacts;
mod boards;
mod error;
mod files;
mod id;
mod keys;
mod lines;
mod manifests;
mod runs;
mod sessions;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use streamtable_schema::Timestamp;
use tokio::sync::{Semaphore, watch};

pub(crate) use artifacts::{Artifact, Collection, NewArtifact};
pub(crate) use boards::{BoardPath, BoardVersion, Changed, Expected};
pub use error::CatalogError;
pub(crate) use files::{AnnouncedFile, RunFile};
pub(crate) use id::{Id, Kind};
pub use keys::{Key, NewKey};
pub(crate) use keys::{hex, random_hex};
pub(crate) use lines::LineFile;
pub(crate) use manifests::{
    ArtifactFile, Manifest, ManifestFile, ManifestKind, NewManifest, WholeArtifact,
};
pub(crate) use runs::{NO_PROJECT, Project, Run, RunChange, RunEvent, RunLocation};

use crate::turns::in_turn;

const SCHEMA: &str = include_str!("schema.sql");

/// What version 2 adds to [`SCHEMA`], which is version 1.
const BOARDS: &str = include_str!("boards.sql");

/// The newest version.
const VERSION: i64 = 2;

/// How many connections read at once, each on a thread of its own; others wait for their turn
/// without one.
const MAX_READERS: usize = 4;

/// What a server knows beside rows and files. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// One at a time.
    writing: Arc<Semaphore>,
    /// Those that nobody uses.
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    /// Changes when somebody may come in no more.
    revoked: watch::Sender<()>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog in a file, which comes into being if it is not there.
    ///
    /// Blocks. Another process may have it open too.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let mut writer = Connection::open(path)?;
        configure(&writer)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&mut writer)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            writing: Arc::new(Semaphore::new(1)),
            readers: Mutex::new(Vec::new()),
            reading: Arc::new(Semaphore::new(MAX_READERS)),
            revoked: watch::Sender::default(),
        })))
    }

    /// Reads something.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let inner = Arc::clone(&self.0);
        blocking(&self.0.reading, move || {
            let kept = inner.readers.lock().pop();
            let connection = match kept {
                Some(connection) => connection,
                None => inner.open_reader()?,
            };
            let result = read(&connection);
            inner.readers.lock().push(connection);
            result
        })
        .await
    }

    /// Changes something, wholly or, after an error, not at all.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let inner = Arc::clone(&self.0);
        blocking(&self.0.writing, move || {
            let mut writer = inner.writer.lock();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
        .await
    }
}

impl Inner {
    fn open_reader(&self) -> Result<Connection, CatalogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        configure(&reader)?;
        Ok(reader)
    }
}

async fn blocking<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, CatalogError> {
    let failed = |error: io::Error| CatalogError::Failed { reason: error.to_string() };
    in_turn(turns, work).await.map_err(failed)?
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), CatalogError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(BOARDS)?;
        }
        1 => transaction.execute_batch(BOARDS)?,
        VERSION => return Ok(()),
        newer => return Err(CatalogError::Newer { version: newer }),
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// The time, in the form that the catalog keeps.
fn now() -> i64 {
    Timestamp::from(std::time::SystemTime::now()).as_millis()
}

#[cfg(test)]
mod tests;
