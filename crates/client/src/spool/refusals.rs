//! The record of rows that the server rejected permanently.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use super::disk::{Disk, How, create_dirs};
use super::layout;

/// Appends rejected rows to a table's `rejected.jsonl`: one object per line with writer, line,
/// reason and row.
#[derive(Debug)]
pub(crate) struct Refusals {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    max_bytes: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    writer: &'a str,
    line: u64,
    reason: &'a str,
    /// The row as it was sent, or as text if it is not standard JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Refusals {
    pub(crate) fn new(disk: Arc<dyn Disk>, table_dir: &Path, max_bytes: u64) -> Self {
        Self { disk, dir: table_dir.to_owned(), max_bytes }
    }

    /// Appends a row. After a crash, the same row may be appended twice.
    ///
    /// Fails if the file would exceed the maximum size of a spool.
    pub(crate) fn add(&self, writer: &str, line: u64, text: &[u8], reason: &str) -> io::Result<()> {
        let row: Option<&RawValue> = serde_json::from_slice(text).ok();
        let text = row.is_none().then(|| String::from_utf8_lossy(text).into_owned());
        let mut bytes = serde_json::to_vec(&Refused { writer, line, reason, row, text })?;
        bytes.push(b'\n');
        create_dirs(&*self.disk, &self.dir, false)?;
        let file = self.disk.open(&self.dir.join(layout::REJECTED), How::Append)?;
        let length = file.len()?;
        if length + bytes.len() as u64 > self.max_bytes {
            return Err(io::Error::other("the file of rejected rows is full"));
        }
        file.write_all_at(&bytes, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Machine;

    #[test]
    fn all_rejected_rows_are_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let refusals = Refusals::new(Arc::new(Machine), dir.path(), 200);
        refusals.add("w", 7, b"{\"a\":1}", "no \"b\"").unwrap();
        refusals.add("w", 8, b"{\"a\":NaN}", "no").unwrap();
        refusals.add("w", 9, &[b' '; 300], "no").unwrap_err();
        assert_eq!(
            std::fs::read_to_string(dir.path().join(layout::REJECTED)).unwrap(),
            concat!(
                r#"{"writer":"w","line":7,"reason":"no \"b\"","row":{"a":1}}"#,
                "\n",
                r#"{"writer":"w","line":8,"reason":"no","text":"{\"a\":NaN}"}"#,
                "\n"
            )
        );
    }
}
