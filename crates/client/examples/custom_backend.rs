//! Writes a backend: rows go to a file of JSON lines, each exactly once.
//!
//! Runs by itself; the file is in the folder for temporary ones.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamtable::{Append, AppendError, Appended, Backend, StreamTable, row};

/// Appends rows to a file.
#[derive(Debug)]
struct JsonLines {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Which line of which writer is in the file: the same may come twice.
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
        // Only what is safely in the file is said to be stored; all else comes again.
        let written = state.file.write_all(&text).and_then(|()| state.file.sync_data());
        written
            .map_err(|e| AppendError::Transient { message: e.to_string(), retry_after: None })?;
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
