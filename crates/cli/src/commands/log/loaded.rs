//! Files that are logged again: only rows that are not in the table are logged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use streamtable::spool::{self, EntryState};
use streamtable::{StreamTable, Timestamp};
use streamtable_format::{Position, Source};

use super::super::export::quoted;
use super::record::{Batch, Known, Record, remove_old};
use crate::failure::Failure;
use crate::remote::Remote;
use crate::style;
use crate::text::{counted, when};

/// Timeout of a query about earlier rows, in seconds.
const TIMEOUT_SECONDS: u32 = 20;

/// The checksum of a file's content, in hexadecimal digits; `None` for a pipe, which has no
/// identity.
pub(super) fn checksum(source: &Source) -> io::Result<Option<String>> {
    let Source::File(path) = source else { return Ok(None) };
    if !path.metadata()?.is_file() {
        return Ok(None);
    }
    let (mut file, mut sha, mut chunk) = (File::open(path)?, Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Some(hex(sha))),
            read => sha.update(&chunk[..read]),
        }
    }
}

fn hex(sha: Sha256) -> String {
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The table that rows are logged to, and the places that know about earlier rows.
pub(super) struct Destination<'a> {
    pub(super) table: &'a StreamTable,
    /// The spool folder, next to which the records are.
    pub(super) spool: &'a Path,
    /// The URL of the server.
    pub(super) server: &'a str,
    /// The server; `None` if it cannot be asked.
    pub(super) remote: Option<&'a Remote>,
}

/// The records of the files of a command, by the names of their sources.
#[derive(Default)]
pub(super) struct Loaded(BTreeMap<String, Record>);

impl Loaded {
    /// Opens the records of all files. Fails before anything is logged if a file was logged
    /// completely, unless it is logged again on request.
    pub(super) async fn open(
        files: Vec<(Source, Option<String>)>,
        to: &Destination<'_>,
        again: bool,
    ) -> Result<Self, Failure> {
        let (mut records, mut names) = (BTreeMap::new(), HashMap::new());
        for (source, checksum) in files {
            let Some(checksum) = checksum else { continue };
            let name = source.to_string();
            if let Some(other) = names.insert(checksum.clone(), name.clone()) {
                if again {
                    continue;
                }
                return Err(undecided(format!("{name} has the same content as {other}")));
            }
            let path = to.path(&checksum);
            let record = Record::open(&path).map_err(|error| {
                Failure::failed(format!("{}: {error}; nothing was logged", path.display()))
            })?;
            let Some(mut record) = record else {
                return Err(Failure::failed(format!(
                    "{name} is being logged by another process; nothing was logged"
                )));
            };
            if again {
                record.restart().map_err(Failure::failed)?;
            } else {
                to.check(&name, &mut record).await?;
            }
            records.insert(name, record);
        }
        // Old records only take space.
        let _ = remove_old(&to.folder());
        let (writer, now) = (to.table.writer(), Timestamp::from(SystemTime::now()));
        for (name, record) in &mut records {
            record.start(writer, name, now).map_err(Failure::failed)?;
        }
        Ok(Self(records))
    }

    /// Returns the rows of a source that were logged before.
    pub(super) fn known(&self, source: &str) -> Known {
        self.0.get(source).map(Record::known).unwrap_or_default()
    }

    /// Called before rows are logged, with the positions of all rows of the batch, whether they are
    /// valid, and the number of the writer's lines so far.
    pub(super) fn logging(&mut self, rows: &[(Position, bool)], lines: u64) {
        let mut line = lines;
        for of_source in rows.chunk_by(|(a, _), (b, _)| a.source() == b.source()) {
            let [(first, _), ..] = of_source else { continue };
            let last = of_source.last().map_or(first, |(last, _)| last);
            let rows = of_source.iter().filter(|(_, is_valid)| *is_valid).count() as u64;
            let batch = Batch { first: first.number(), last: last.number(), rows, line };
            line += rows;
            self.write(first.source(), |record| record.logging(batch));
        }
    }

    /// Called after the rows were logged, with the same positions, and the rows that were not
    /// logged.
    pub(super) fn logged(&mut self, rows: &[(Position, bool)], refused: &HashSet<Position>) {
        for of_source in rows.chunk_by(|(a, _), (b, _)| a.source() == b.source()) {
            let [(first, _), ..] = of_source else { continue };
            let is_out = |(row, is_valid): &&(Position, bool)| !is_valid || refused.contains(row);
            let except = of_source.iter().filter(is_out).map(|(row, _)| row.number()).collect();
            self.write(first.source(), |record| record.logged_except(except));
        }
    }

    /// Called when all sources were read completely.
    pub(super) fn end(&mut self) {
        let sources: Vec<String> = self.0.keys().cloned().collect();
        for source in sources {
            self.write(&source, Record::end);
        }
    }

    /// Writes to the record of a source. If that fails, prints a warning; the file has no record
    /// from then on.
    fn write(&mut self, source: &str, write: impl FnOnce(&mut Record) -> io::Result<()>) {
        let Some(record) = self.0.get_mut(source) else { return };
        if let Err(error) = write(record) {
            let _ = record.restart();
            self.0.remove(source);
            style::warn(format_args!(
                "the record of the logged rows cannot be written ({error}): logging {source} again would log all its \
                 rows again"
            ));
        }
    }
}

impl Destination<'_> {
    /// Returns the path of the record of a file.
    fn path(&self, checksum: &str) -> PathBuf {
        let mut sha = Sha256::new();
        for part in [self.server, &self.table.path().to_string(), checksum] {
            sha.update(part);
            sha.update([0]);
        }
        self.folder().join(format!("{}.jsonl", hex(sha)))
    }

    /// Returns the folder of all records.
    fn folder(&self) -> PathBuf {
        let mut folder = self.spool.as_os_str().to_owned();
        folder.push(".loaded");
        folder.into()
    }

    /// Compares a record with the table. Fails if the file was logged completely, or if it cannot
    /// be determined which rows of it were.
    async fn check(&self, name: &str, record: &mut Record) -> Result<(), Failure> {
        let Some(last) = record.runs().last() else { return Ok(()) };
        let time = when(&last.time.to_string());
        if self.has_lost(record).await? {
            return record.restart().map_err(Failure::failed);
        }
        for (writer, batch) in record.unknown() {
            let is_logged = self.has_stored(name, &writer, batch).await?;
            record.resolve(&writer, batch, is_logged);
        }
        let table = self.table.path();
        let rows = counted(record.logged(), "row");
        if record.is_complete() {
            return Err(undecided(format!("{name} was logged into {table} at {time} ({rows})")));
        }
        if record.logged() > 0 {
            style::note(format_args!(
                "{name} was logged into {table} at {time}, but not completely: {rows} skipped, which are in the table \
                 (--again logs all)"
            ));
        }
        Ok(())
    }

    /// Returns whether the table has no row of the commands in the record, for example
    /// because it was created again.
    async fn has_lost(&self, record: &Record) -> Result<bool, Failure> {
        if record.logged() == 0 {
            return Ok(false);
        }
        let writers: Vec<&str> = record.runs().iter().map(|run| run.writer.as_str()).collect();
        let list = writers.iter().map(|writer| literal(writer)).collect::<Vec<_>>().join(", ");
        let stored = self.count(&format!("_writer in ({list})")).await;
        Ok(stored == Some(0) && !self.is_waiting(&writers)?)
    }

    /// Returns whether the rows of a batch are in the table.
    async fn has_stored(&self, name: &str, writer: &str, batch: Batch) -> Result<bool, Failure> {
        let fails = |reason: &str| {
            undecided(format!("an earlier command was killed while it logged {name}, {reason}"))
        };
        if self.is_waiting(&[writer])? {
            return Err(Failure::failed(format!(
                "rows of an earlier command that logged {name} still wait in the spool; nothing was logged; run \
                 `streamtable sync`, then this command again"
            )));
        }
        let Batch { rows, line, .. } = batch;
        let of_batch = format!(
            "_writer = {} and _line >= {line} and _line < {}",
            literal(writer),
            line + rows
        );
        match self.count(&of_batch).await {
            Some(0) => Ok(false),
            Some(stored) if stored == rows => Ok(true),
            Some(_) => Err(fails("and some of its rows were refused")),
            None => Err(fails("and the server cannot be asked which rows it has")),
        }
    }

    /// Returns the number of rows of the table that match a condition; `None` if the server cannot
    /// be asked.
    async fn count(&self, condition: &str) -> Option<u64> {
        let path = self.table.path();
        let [entity, project, table] = [path.entity(), path.project(), path.table()].map(literal);
        let exists = format!(
            "information_schema.tables where table_catalog = {entity} and table_schema = {project} \
             and table_name = {table}"
        );
        match self.count_of(&exists).await? {
            0 => Some(0),
            _ => self.count_of(&format!("{} where {condition}", quoted(path))).await,
        }
    }

    async fn count_of(&self, from: &str) -> Option<u64> {
        #[derive(Deserialize)]
        struct Count {
            rows: u64,
        }
        let sql = format!("select count(*) as rows from {from}");
        let query = serde_json::json!({ "sql": sql, "format": "json", "timeout": TIMEOUT_SECONDS });
        let answer: Vec<Count> = self.remote?.post("/api/query", &query).await.ok()?;
        answer.first().map(|count| count.rows)
    }

    /// Returns whether rows of one of the writers wait in the spool.
    fn is_waiting(&self, writers: &[&str]) -> Result<bool, Failure> {
        let entries = spool::list(self.spool).map_err(Failure::failed)?;
        let waits = |entry: &spool::Entry| {
            writers.contains(&entry.writer.as_str())
                && matches!(entry.state, EntryState::Live | EntryState::Waiting)
        };
        Ok(entries.iter().any(waits))
    }
}

fn undecided(reason: String) -> Failure {
    Failure::failed(format!("{reason}; nothing was logged; --again logs all rows of it"))
}

/// Returns a text as a literal in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
