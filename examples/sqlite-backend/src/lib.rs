//! A backend that stores rows in an SQLite database.
//!
//! An example to copy: it does everything that the client expects of a
//! [`Backend`], and its test runs the [conformance suite](streamtable::conformance).
//!
//! - Each row is stored once: `(table, writer, line)` is unique, because the client sends a row
//!   again until it gets the answer.
//! - The answer is sent after the commit, which is durable.
//! - `open` returns the columns, so that the client refuses rows that do not fit them.
//! - Media are stored once per path: paths are derived from the content.
//! - The path of the database identifies the backend, so that rows in a spool are delivered to this
//!   database only.
//!
//! ```no_run
//! use streamtable::{StreamTable, row};
//! use streamtable_sqlite_backend::Sqlite;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let database = Sqlite::open("rows.db")?;
//!     let builder = StreamTable::builder("me/shop/requests").backend(database.clone());
//!     let table = builder.open().await?;
//!     table.log(row! { "path" => "/", "ms" => 7 }).await?;
//!     table.finish().await?;
//!     assert_eq!(database.rows(table.path())?.len(), 1);
//!     Ok(())
//! }
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use streamtable::{
    Append, AppendError, Appended, Backend, ColumnPolicy, HistoryLine, Open, OpenError, Opened,
    Row, Schema, TablePath, Type, Upload, async_trait,
};

const SCHEMA: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    create table if not exists rows (
        position integer primary key,
        of text not null,
        writer text not null,
        line integer not null,
        json text not null,
        unique (of, writer, line)
    );
    create index if not exists rows_of on rows (of, position);
    create table if not exists columns (
        of text not null,
        position integer not null,
        name text not null,
        type text not null,
        primary key (of, name)
    );
    create table if not exists files (
        of text not null,
        path text not null,
        bytes blob not null,
        primary key (of, path)
    );
";

/// Time to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A database of tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
}

impl Sqlite {
    /// Opens a database, creating it if it does not exist.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(SCHEMA)?;
        let path = path.as_ref().canonicalize()?;
        Ok(Self { path, connection: Arc::new(Mutex::new(connection)) })
    }

    /// Returns the rows of a table in their order.
    pub fn rows(&self, table: &TablePath) -> Result<Vec<Row>, Error> {
        let connection = self.connection();
        let mut select =
            connection.prepare_cached("select json from rows where of = ?1 order by position")?;
        let texts = select.query_map([table.to_string()], |row| row.get::<_, String>(0))?;
        texts.map(|text| Ok(HistoryLine::parse(&text?)?.row)).collect()
    }

    /// Returns the content of a media file.
    pub fn file(&self, table: &TablePath, path: &str) -> Result<Vec<u8>, Error> {
        let sql = "select bytes from files where of = ?1 and path = ?2";
        Ok(self.connection().query_row(sql, [&table.to_string(), path], |row| row.get(0))?)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic rolls its transaction back, so the connection is usable after one.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a transaction on a thread that may block.
    async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        let run = move || {
            let mut connection = this.connection();
            // Immediate: two writers that both read first would block each other.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        tokio::task::spawn_blocking(run).await?
    }
}

#[async_trait]
impl Backend for Sqlite {
    fn identity(&self) -> Option<String> {
        Some(format!("sqlite:{}", self.path.display()))
    }

    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        let table = open.name.to_path()?;
        let of = table.to_string();
        let schema = self.transaction(move |transaction| read_schema(transaction, &of)).await;
        Ok(Opened::new(table).with_schema(&schema.map_err(OpenError::unavailable)?))
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let stored = self.transaction(move |transaction| store(transaction, &append)).await;
        stored.map_err(AppendError::transient)
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        let stored = self.transaction(move |transaction| {
            let sql = "insert or ignore into files (of, path, bytes) values (?1, ?2, ?3)";
            let of = upload.table.to_string();
            for file in &upload.files {
                transaction.execute(sql, params![of, &*file.path, &*file.bytes])?;
            }
            Ok(Appended::default())
        });
        stored.await.map_err(AppendError::transient)
    }
}

/// Stores the lines of an append that are not stored yet.
fn store(transaction: &Transaction<'_>, append: &Append) -> Result<Appended, Error> {
    let of = append.table.to_string();
    let mut schema = read_schema(transaction, &of)?;
    let mut rejected = Vec::new();
    for (line, json) in append.rows() {
        let number = i64::try_from(line)?;
        if is_stored(transaction, &of, &append.writer, number)? {
            continue;
        }
        // The client has checked the row against the columns that it knows; another writer may have
        // added some since.
        if let Err(error) = schema.admit(&HistoryLine::parse(json)?.row) {
            rejected.push((line, error.to_string()));
            continue;
        }
        transaction
            .prepare_cached("insert into rows (of, writer, line, json) values (?1, ?2, ?3, ?4)")?
            .execute(params![of, &*append.writer, number, json])?;
    }
    write_schema(transaction, &of, &schema)?;
    Ok(Appended::default().with_rejected(rejected))
}

fn is_stored(
    transaction: &Transaction<'_>,
    of: &str,
    writer: &str,
    line: i64,
) -> rusqlite::Result<bool> {
    let sql = "select 1 from rows where of = ?1 and writer = ?2 and line = ?3";
    let mut select = transaction.prepare_cached(sql)?;
    let found: Option<i64> =
        select.query_row(params![of, writer, line], |row| row.get(0)).optional()?;
    Ok(found.is_some())
}

/// Returns the columns of a table, in order.
fn read_schema(transaction: &Transaction<'_>, of: &str) -> Result<Schema, Error> {
    let mut select = transaction
        .prepare_cached("select name, type from columns where of = ?1 order by position")?;
    let columns = select.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let columns = columns.map(|column| -> Result<(String, Type), Error> {
        let (name, ty): (String, String) = column?;
        Ok((name, serde_json::from_str(&ty)?))
    });
    Ok(Schema::with_columns(ColumnPolicy::Evolve, columns.collect::<Result<Vec<_>, _>>()?))
}

fn write_schema(transaction: &Transaction<'_>, of: &str, schema: &Schema) -> Result<(), Error> {
    let mut insert = transaction.prepare_cached(
        "insert or replace into columns (of, position, name, type) values (?1, ?2, ?3, ?4)",
    )?;
    for (position, column) in (0_i64..).zip(schema.columns()) {
        insert.execute(params![of, position, &*column.name, serde_json::to_string(&column.ty)?])?;
    }
    Ok(())
}
