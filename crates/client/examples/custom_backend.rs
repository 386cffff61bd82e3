//! Implements a backend that stores rows in a file of JSON lines, each row exactly once.
//!
//! Needs no server. The file is created in the folder for temporary files.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamtable::{Append, AppendError, Appended, Backend, StreamTable, row};

/// A backend that appends rows to a file.
#[derive(Debug)]
struct JsonLines {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The lines of each writer that are in the file. Retries may send a line again.
    seen: HashSet<(Arc<str>, u64)>,
}

impl JsonLines {
    fn create(path: &Path) -> std::io::Result<Self> {
        let state = State { file: File::create(path)?, seen: HashSet::new() };
        Ok(Self { state: Mutex::new(state) })
    }
}

#[async_trait]
impl Backend for JsonLines {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        let mut new = Vec::new();
        for (number, line) in (append.first_line..).zip(append.lines.iter()) {
            let id = (Arc::clone(&append.writer), number);
            if !state.seen.contains(&id) {
                text.extend_from_slice(line);
                text.push(b'\n');
                new.push(id);
            }
        }
        // Report only synced rows as stored; all others are sent again.
        let written = state.file.write_all(&text).and_then(|()| state.file.sync_data());
        written.map_err(AppendError::transient)?;
        state.seen.extend(new);
        Ok(Appended::default())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join("streamtable-custom-backend.jsonl");
    let backend = JsonLines::create(&path)?;
    let table = StreamTable::builder("me/shop/requests").backend(backend).open().await?;
    for n in 0..1000 {
        table.log(row! { "n" => n, "square" => n * n }).await?;
    }
    println!("{}", table.finish().await?);
    println!("{} lines in {}", std::fs::read_to_string(&path)?.lines().count(), path.display());
    Ok(())
}
