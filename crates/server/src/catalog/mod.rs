//! What a server knows beside rows and files: keys, projects, runs, artifacts, boards.
//!
//! One SQLite file in the data folder. A call that changes something returns once the change is on
//! disk. Nothing here blocks an async thread.

mod artifacts;
mod boards;
mod copies;
mod error;
mod files;
mod id;
mod keys;
mod lines;
mod manifests;
mod open;
mod record;
mod runs;
mod sessions;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior};
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

use crate::clock;
use crate::turns::in_turn;
use copies::Copies;
use record::Record;

const SCHEMA: &str = include_str!("schema.sql");

/// What version 2 adds to [`SCHEMA`], which is version 1.
const BOARDS: &str = include_str!("boards.sql");

/// What version 3 adds.
const GENERATION: &str = include_str!("generation.sql");

/// The newest version.
const VERSION: i64 = 3;

/// How often [`Catalog::maintain`] is to be called.
pub(crate) const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// How many connections read at once, each on a thread of its own; others wait for their turn
/// without one.
const MAX_READERS: usize = 4;

/// What a server knows beside rows and files. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// One at a time.
    writing: Arc<Semaphore>,
    /// Those that nobody uses.
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    /// Changes when somebody may come in no more.
    revoked: watch::Sender<()>,
    problems: Mutex<Problems>,
}

struct Writer {
    connection: Connection,
    record: Record,
}

/// Problems of a catalog, for those who run the server.
#[derive(Default)]
struct Problems {
    /// Problems that were found at the start.
    at_start: Vec<String>,
    /// Whether SQLite has found damage since.
    is_damaged: bool,
    /// Why the last [`Catalog::maintain`] failed.
    maintenance: Option<String>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog in a file, which comes into being if it is not there.
    ///
    /// Blocks. Another process may have it open too. Fails with [`CatalogError::Damaged`] if its
    /// pages are damaged, and with [`CatalogError::Lost`] if it had changes and has no key now.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        copies::make_private_file(path)?;
        let mut connection = Connection::open(path)?;
        configure(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        check_pages(&connection)?;
        migrate(&mut connection)?;
        let (mut record, recorded) = Record::open(path)?;
        let generation = generation(&connection)?;
        let mut problems = Problems::default();
        let missing = recorded.unwrap_or(0).saturating_sub(generation);
        if missing > 0 {
            let reason = format!("its last {missing} changes are gone: its log was damaged");
            if !has_had_keys(&connection)? {
                return Err(CatalogError::Lost { reason });
            }
            tracing::error!(missing, "the catalog has lost changes: check keys, runs and boards");
            problems.at_start.push(format!("the catalog: {reason}"));
        }
        checkpoint(&connection)?;
        record.write(generation)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            writer: Mutex::new(Writer { connection, record }),
            writing: Arc::new(Semaphore::new(1)),
            readers: Mutex::new(Vec::new()),
            reading: Arc::new(Semaphore::new(MAX_READERS)),
            revoked: watch::Sender::default(),
            problems: Mutex::new(problems),
        })))
    }

    /// Moves what the write-ahead log has into the database, and makes the daily copy if it is due.
    /// To be called every [`MAINTENANCE_INTERVAL`] and at the end.
    pub(crate) async fn maintain(&self) -> Result<(), CatalogError> {
        let inner = Arc::clone(&self.0);
        let checkpoint = self.blocking(&self.0.writing, move || {
            let writer = inner.writer.lock();
            checkpoint(&writer.connection)?;
            Ok(writer.record.sync()?)
        });
        let copies = Copies::of(&self.0.path);
        let copy = move |db: &Connection| match copies.are_due()? {
            true => copies.make(db),
            false => Ok(()),
        };
        let done = match checkpoint.await {
            Ok(()) => self.read(copy).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &done {
            tracing::error!(%error, "the catalog cannot be checkpointed or copied");
        }
        let failure = done.as_ref().err().map(ToString::to_string);
        self.0.problems.lock().maintenance = failure;
        done
    }

    /// Returns the catalog's problems, for those who run the server.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = self.0.problems.lock();
        let mut list = problems.at_start.clone();
        if problems.is_damaged {
            list.push("the catalog is damaged; the next start can use a copy".to_owned());
        }
        if let Some(reason) = &problems.maintenance {
            list.push(format!("the catalog cannot be checkpointed or copied: {reason}"));
        }
        list
    }

    /// Adds something to [`problems`](Self::problems).
    fn report(&self, problem: String) {
        self.0.problems.lock().at_start.push(problem);
    }

    fn has_had_keys(&self) -> Result<bool, CatalogError> {
        has_had_keys(&self.0.writer.lock().connection)
    }

    fn generation(&self) -> Result<u64, CatalogError> {
        generation(&self.0.writer.lock().connection)
    }

    /// Reads something.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let inner = Arc::clone(&self.0);
        self.blocking(&self.0.reading, move || {
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
        self.blocking(&self.0.writing, move || {
            let Writer { connection, record } = &mut *inner.writer.lock();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            let generation = transaction.query_row(NEXT_GENERATION, [], count)?;
            transaction.commit()?;
            if let Err(error) = record.write(generation) {
                tracing::warn!(%error, "the record of the catalog's changes cannot be written");
            }
            Ok(result)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let done = blocking(turns, work).await;
        if let Err(CatalogError::Damaged { reason }) = &done {
            tracing::error!(reason, "the catalog is damaged");
            self.0.problems.lock().is_damaged = true;
        }
        done
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
    let done = match usize::try_from(version) {
        Ok(done) if version <= VERSION => done,
        _ => return Err(CatalogError::Newer { version }),
    };
    let missing = &[SCHEMA, BOARDS, GENERATION][done..];
    if missing.is_empty() {
        return Ok(());
    }
    for addition in missing {
        transaction.execute_batch(addition)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

const NEXT_GENERATION: &str = "UPDATE generation SET value = value + 1 RETURNING value";

/// Returns how many changes a catalog has had; none if its version did not count.
fn generation(connection: &Connection) -> Result<u64, CatalogError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < 3 {
        return Ok(0);
    }
    Ok(connection.query_row("SELECT value FROM generation", [], count)?)
}

fn count(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(0)?.unsigned_abs())
}

/// Returns whether there are keys, revoked ones included.
fn has_had_keys(connection: &Connection) -> Result<bool, CatalogError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM keys)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Fails if the structure of a page is damaged. SQLite has no checksums of the values.
fn check_pages(connection: &Connection) -> Result<(), CatalogError> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(CatalogError::Damaged { reason: found }),
    }
}

/// Moves what the write-ahead log has into the database, and makes the log empty, unless another
/// process is at work there.
fn checkpoint(connection: &Connection) -> Result<(), CatalogError> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        tracing::info!("the catalog's log is in use; it is emptied later");
    }
    Ok(())
}

/// The time, in the form that the catalog keeps.
fn now() -> i64 {
    clock::timestamp().as_millis()
}

#[cfg(test)]
mod tests;
