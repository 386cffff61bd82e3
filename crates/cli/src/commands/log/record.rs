//! The record of the rows of one file that were logged into one table.
//!
//! ```text
//! <spool>.loaded/<SHA-256 of server, table and content>.jsonl
//! ```
//!
//! Each line is an [`Event`]. A batch is announced before it is logged and confirmed afterwards, so
//! that a killed process leaves at most one batch whose fate only the server knows.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamtable::Timestamp;

/// How long a record is kept after it was last written.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Removes the records in a folder that are older than [`KEPT`].
pub(super) fn remove_old(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if age > KEPT {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A line of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    /// A command starts to log the file.
    Start { writer: String, time: Timestamp, file: String },
    /// A batch is about to be logged.
    Logging(Batch),
    /// The batch was logged, except the rows with these numbers.
    Logged { except: Vec<u64> },
    /// The whole file was read. This many rows were refused.
    End { refused: u64 },
}

/// Consecutive rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// The number of the first row in the file.
    pub(super) first: u64,
    /// The number of the last row in the file.
    pub(super) last: u64,
    /// How many rows are logged: those between them that are valid and were not logged before.
    pub(super) rows: u64,
    /// The number of the first of them among the lines of the writer.
    pub(super) line: u64,
}

/// One command that logged the file.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) writer: String,
    pub(super) time: Timestamp,
    /// How many rows were refused; `None` if the command did not reach the end of the file.
    refused: Option<u64>,
    batches: Vec<(Batch, Fate)>,
}

/// What happened to a batch.
#[derive(Debug, PartialEq)]
enum Fate {
    /// The command ended before the batch was logged, or before that was recorded.
    Unknown,
    /// It was logged, except the rows with these numbers, in order.
    Logged(Vec<u64>),
    /// It was not logged.
    Lost,
}

/// The record of a file, locked by this process.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    runs: Vec<Run>,
    /// Rows that this command did not log.
    refused: u64,
}

impl Record {
    /// Opens the record at `path`, or creates it. Returns `None` if another process has it open.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        let mut file = options.read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if complete < text.len() {
            // A line that a power cut has left incomplete.
            file.set_len(complete as u64)?;
        }
        let events = text[..complete].split(|&byte| byte == b'\n');
        let events = events.filter_map(|line| serde_json::from_slice(line).ok());
        Ok(Some(Self { file, runs: runs(events), refused: 0 }))
    }

    /// Returns the commands that logged the file before, the oldest first.
    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns how many rows were logged, without those of batches whose fate is unknown.
    pub(super) fn logged(&self) -> u64 {
        self.runs.iter().flat_map(|run| &run.batches).map(rows_of).sum()
    }

    /// Returns whether all rows of the file were logged.
    pub(super) fn is_complete(&self) -> bool {
        self.runs.last().is_some_and(|run| run.refused == Some(0))
    }

    /// Returns the batches whose fate is unknown, each with its writer.
    pub(super) fn unknown(&self) -> Vec<(String, Batch)> {
        let unknown = |run: &Run| {
            let batches = run.batches.iter().filter(|(_, fate)| *fate == Fate::Unknown);
            batches.map(|(batch, _)| (run.writer.clone(), *batch)).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(unknown).collect()
    }

    /// Decides the fate of a batch of an earlier command.
    pub(super) fn resolve(&mut self, writer: &str, batch: Batch, is_logged: bool) {
        let fate = || if is_logged { Fate::Logged(Vec::new()) } else { Fate::Lost };
        for run in self.runs.iter_mut().filter(|run| run.writer == writer) {
            for (_, unknown) in run.batches.iter_mut().filter(|(it, _)| *it == batch) {
                *unknown = fate();
            }
        }
    }

    /// Returns the rows that were logged, for a reader of the file.
    pub(super) fn known(&self) -> Known {
        let logged = |(batch, fate): &(Batch, Fate)| match fate {
            Fate::Logged(except) => Some((*batch, except.clone())),
            Fate::Unknown | Fate::Lost => None,
        };
        let of_run = |run: &Run| run.batches.iter().filter_map(logged).collect();
        Known(self.runs.iter().map(of_run).collect())
    }

    /// Forgets everything that was recorded.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.runs.clear();
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Called before the first batch of a command.
    pub(super) fn start(&mut self, writer: &str, file: &str, time: Timestamp) -> io::Result<()> {
        self.write(&Event::Start { writer: writer.to_owned(), time, file: file.to_owned() })
    }

    /// Called before a batch is logged.
    pub(super) fn logging(&mut self, batch: Batch) -> io::Result<()> {
        self.write(&Event::Logging(batch))
    }

    /// Called after the batch was logged, with the numbers of the rows that were not, in order.
    pub(super) fn logged_except(&mut self, except: Vec<u64>) -> io::Result<()> {
        self.refused += except.len() as u64;
        self.write(&Event::Logged { except })
    }

    /// Called at the end of the file.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.write(&Event::End { refused: self.refused })
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

fn runs(events: impl Iterator<Item = Event>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for event in events {
        match (event, runs.last_mut()) {
            (Event::Start { writer, time, .. }, _) => {
                runs.push(Run { writer, time, refused: None, batches: Vec::new() });
            }
            (Event::Logging(batch), Some(run)) => run.batches.push((batch, Fate::Unknown)),
            (Event::Logged { except }, Some(run)) => {
                if let Some((_, fate)) = run.batches.last_mut() {
                    *fate = Fate::Logged(except);
                }
            }
            (Event::End { refused }, Some(run)) => run.refused = Some(refused),
            (_, None) => {}
        }
    }
    runs
}

fn rows_of((batch, fate): &(Batch, Fate)) -> u64 {
    match fate {
        Fate::Logged(except) => batch.rows.saturating_sub(except.len() as u64),
        Fate::Unknown | Fate::Lost => 0,
    }
}

/// The rows of a file that were logged: for each command, its batches in the order of the file,
/// each with the rows that were refused.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<Vec<(Batch, Vec<u64>)>>);

impl Known {
    /// Returns whether the row with this number was logged.
    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|batches| {
            let at = batches.partition_point(|(batch, _)| batch.last < number);
            batches.get(at).is_some_and(|(batch, except)| {
                batch.first <= number && except.binary_search(&number).is_err()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: u64, last: u64, line: u64) -> Batch {
        Batch { first, last, rows: last - first + 1, line }
    }

    fn numbers(record: &Record, end: u64) -> Vec<u64> {
        let known = record.known();
        (1..=end).filter(|&number| known.contains(number)).collect()
    }

    #[test]
    fn old_records_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in
            [("old.jsonl", KEPT + Duration::from_secs(60)), ("new.jsonl", Duration::ZERO)]
        {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
        remove_old(folder.path()).unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(left.map(|it| it.unwrap().file_name()).collect::<Vec<_>>(), ["new.jsonl"]);
    }

    #[test]
    fn the_next_command_knows_the_rows_of_all_commands_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/record.jsonl");
        let open = || Record::open(&path).unwrap().unwrap();
        let now = Timestamp::from_micros(1);

        let mut record = open();
        assert!(Record::open(&path).unwrap().is_none(), "it is locked");
        record.start("w1", "a.csv", now).unwrap();
        record.logging(batch(1, 4, 0)).unwrap();
        record.logged_except(vec![2, 3]).unwrap();
        record.logging(batch(5, 6, 2)).unwrap();
        drop(record);

        let mut record = open();
        assert!(!record.is_complete());
        assert_eq!((record.logged(), numbers(&record, 9)), (2, vec![1, 4]));
        assert_eq!(record.unknown(), [("w1".to_owned(), batch(5, 6, 2))]);
        record.resolve("w1", batch(5, 6, 2), true);
        assert_eq!((record.logged(), numbers(&record, 9)), (4, vec![1, 4, 5, 6]));
        record.start("w2", "a.csv", now).unwrap();
        record.logging(batch(2, 3, 0)).unwrap();
        record.logged_except(vec![3]).unwrap();
        record.end().unwrap();
        drop(record);

        let mut record = open();
        assert_eq!(numbers(&record, 9), [1, 2, 4]);
        assert!(!record.is_complete());
        record.start("w3", "a.csv", now).unwrap();
        record.logging(batch(3, 3, 0)).unwrap();
        record.logged_except(Vec::new()).unwrap();
        record.end().unwrap();
        drop(record);
        assert!(open().is_complete());

        // The end of a line is missing after a power cut.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        let mut record = open();
        assert!(!record.is_complete());
        assert_eq!(numbers(&record, 9), [1, 2, 3, 4]);
        record.restart().unwrap();
        assert_eq!(numbers(&record, 9), [0; 0]);
        drop(record);
        assert_eq!(open().runs().len(), 0);
    }
}
