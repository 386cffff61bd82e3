//! The catalog: everything the server stores apart from rows and files. It has keys and sessions;
//! features add their own [`FeatureTables`], such as runs or boards.
//!
//! One SQLite file in the data folder. A call that changes the catalog returns once the change is
//! on disk. Nothing here blocks an async thread.

mod copies;
mod error;
mod keys;
mod migrate;
mod open;
mod record;
mod sessions;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, watch};

pub use error::CatalogError;
pub use keys::{Key, NewKey};
pub use migrate::FeatureTables;
pub use open::LostCatalog;

use crate::{clock, run_with_permit};
use copies::Copies;
use migrate::migrate;
use record::Record;

/// Interval at which [`Catalog::maintain`] must be called.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum number of connections that read at the same time, each on its own thread. Further reads
/// wait without a thread.
const MAX_READERS: usize = 4;

/// The catalog: everything the server stores apart from rows and files. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    path: PathBuf,
    writer: Mutex<Writer>,
    /// Allows one writer at a time.
    writing: Arc<Semaphore>,
    /// Connections that are not in use.
    readers: Mutex<Vec<Connection>>,
    reading: Arc<Semaphore>,
    /// Changes when a key is revoked.
    revoked: watch::Sender<()>,
    problems: Mutex<Problems>,
}

struct Writer {
    connection: Connection,
    record: Record,
}

/// The catalog's problems, for operators.
#[derive(Default)]
struct Problems {
    /// Problems found at startup.
    at_start: Vec<String>,
    /// Whether SQLite has reported damage since startup.
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
    /// Opens the catalog in a file, and creates the file if it does not exist.
    ///
    /// Blocks. Another process may have the catalog open as well. Fails with
    /// [`CatalogError::Damaged`] if its pages are damaged, and with [`CatalogError::Lost`] if
    /// changes are missing and no key is left.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        Self::open_with(path, &[])
    }

    /// Same as [`open`](Self::open), and creates or updates the tables of features.
    pub fn open_with(path: &Path, tables: &[FeatureTables]) -> Result<Self, CatalogError> {
        for file in files_of(path) {
            check_readable(&file)?;
        }
        Self::open_files(path, tables).map_err(|error| error.at(path))
    }

    fn open_files(path: &Path, tables: &[FeatureTables]) -> Result<Self, CatalogError> {
        copies::make_private_file(path)?;
        let mut connection = Connection::open(path)?;
        configure(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        check_pages(&connection)?;
        migrate(&mut connection, tables)?;
        let (mut record, recorded) = Record::open(path)?;
        let generation = generation(&connection)?;
        let mut problems = Problems::default();
        let missing = recorded.unwrap_or(0).saturating_sub(generation);
        if missing > 0 {
            let reason = format!("its last {missing} changes are lost: its log was damaged");
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

    /// Copies the catalog in a file to a new file, durably. A server may use the catalog at the same
    /// time.
    ///
    /// Blocks.
    pub fn copy(from: &Path, to: &Path) -> Result<(), CatalogError> {
        check_readable(from)?;
        // Not read-only: a reader of a write-ahead log takes part in its locks.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let catalog = Connection::open_with_flags(from, flags)?;
        configure(&catalog)?;
        copies::copy_into(&catalog, to)?;
        let copy = Connection::open_with_flags(to, flags)?;
        check_pages(&copy)
    }

    /// Moves the write-ahead log into the database, and makes the daily copy if it is due. Must be
    /// called every [`MAINTENANCE_INTERVAL`] and at shutdown.
    pub async fn maintain(&self) -> Result<(), CatalogError> {
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

    /// Returns the catalog's problems, for operators.
    pub fn problems(&self) -> Vec<String> {
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

    /// Adds a problem to [`problems`](Self::problems).
    pub fn report(&self, problem: String) {
        self.0.problems.lock().at_start.push(problem);
    }

    fn has_had_keys(&self) -> Result<bool, CatalogError> {
        has_had_keys(&self.0.writer.lock().connection)
    }

    fn generation(&self) -> Result<u64, CatalogError> {
        generation(&self.0.writer.lock().connection)
    }

    /// Runs `read` on a connection for reading.
    pub async fn read<T: Send + 'static>(
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

    /// Runs `write` in a transaction, which is rolled back on an error.
    pub async fn write<T: Send + 'static>(
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
        permits: &Arc<Semaphore>,
        work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let done = blocking(permits, work).await;
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
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, CatalogError> {
    let failed = |error: io::Error| CatalogError::Failed { reason: error.to_string() };
    run_with_permit(permits, work).await.map_err(failed)?
}

/// Returns the paths of a catalog's files: the database, its log, the log's index and the record of
/// changes.
fn files_of(catalog: &Path) -> [PathBuf; 4] {
    let beside = |end: &str| {
        let mut name = catalog.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    [catalog.to_owned(), beside("-wal"), beside("-shm"), Record::path(catalog)]
}

/// Fails if a file exists and cannot be opened for reading. The error names the file; SQLite's own
/// errors do not.
fn check_readable(file: &Path) -> Result<(), CatalogError> {
    let found = match std::fs::metadata(file) {
        // Opening a pipe would block for ever.
        Ok(found) if !found.is_file() => {
            let reason = format!("{} is not a file", file.display());
            return Err(CatalogError::Failed { reason });
        }
        Ok(_) => std::fs::File::open(file).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    found.map_err(|error| CatalogError::from(error).at(file))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

const NEXT_GENERATION: &str = "UPDATE generation SET value = value + 1 RETURNING value";

/// Returns the number of changes that a catalog has had; 0 if its version did not count them.
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

/// Returns whether there are keys, including revoked ones.
fn has_had_keys(connection: &Connection) -> Result<bool, CatalogError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM keys)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Fails if the structure of a page is damaged. SQLite has no checksums of values.
fn check_pages(connection: &Connection) -> Result<(), CatalogError> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(CatalogError::Damaged { reason: found }),
    }
}

/// Moves the write-ahead log into the database and truncates the log, unless another process uses
/// it.
fn checkpoint(connection: &Connection) -> Result<(), CatalogError> {
    let is_busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        tracing::info!("the catalog's log is in use; it will be truncated later");
    }
    Ok(())
}

/// Returns the current time in milliseconds, as the catalog stores it.
pub fn now() -> i64 {
    clock::timestamp().as_millis()
}

#[cfg(test)]
mod tests;
