//! Lines that a run writes beside its rows: system metrics and console output.

use rusqlite::{Connection, OptionalExtension, params};
use streamtable_server_core::CatalogError;

use super::RunCatalog;

/// Maximum number of stored lines per file and run. Later lines are dropped: they are not rows.
const MAX_LINES: u64 = 1_000_000;

/// A file of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFile {
    /// System metrics, one JSON object per line.
    Events,
    /// Console output.
    Output,
}

impl LineFile {
    /// Returns the file with the given name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "wandb-events.jsonl" => Some(Self::Events),
            "output.log" => Some(Self::Output),
            _ => None,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Events => 0,
            Self::Output => 1,
        }
    }
}

impl RunCatalog {
    /// Returns the number of the file's next line.
    pub(crate) async fn line_count(&self, run: i64, file: LineFile) -> Result<i64, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                "SELECT coalesce(max(line) + 1, 0) FROM run_lines WHERE run_id = ?1 AND file = ?2",
            )?;
                Ok(query.query_row(params![run, file.number()], |row| row.get(0))?)
            })
            .await
    }

    /// Returns the last line of a file.
    pub(crate) async fn last_line(
        &self,
        run: i64,
        file: LineFile,
    ) -> Result<Option<String>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT text FROM run_lines WHERE run_id = ?1 AND file = ?2
                 ORDER BY line DESC LIMIT 1",
                )?;
                Ok(query.query_row(params![run, file.number()], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// Reads lines from a line number on.
    pub(crate) async fn lines(
        &self,
        run: i64,
        file: LineFile,
        from: i64,
        limit: i64,
    ) -> Result<Vec<(i64, String)>, CatalogError> {
        self.0
            .read(move |db| {
                let mut query = db.prepare_cached(
                "SELECT line, text FROM run_lines WHERE run_id = ?1 AND file = ?2 AND line >= ?3
                 ORDER BY line LIMIT ?4",
            )?;
                let lines = query.query_map(params![run, file.number(), from, limit], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
                Ok(lines.collect::<Result<_, _>>()?)
            })
            .await
    }
}

/// Writes lines. A line replaces the one with the same number.
pub(super) fn write_lines(
    db: &Connection,
    run: i64,
    file: LineFile,
    offset: u64,
    texts: &[String],
) -> Result<(), CatalogError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO run_lines (run_id, file, line, text) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (run_id, file, line) DO UPDATE SET text = excluded.text",
    )?;
    for (i, text) in texts.iter().enumerate() {
        let line = offset.saturating_add(i as u64);
        if line >= MAX_LINES {
            tracing::warn!(
                run,
                ?file,
                line,
                "dropped a line: the run has reached the maximum number of lines"
            );
            break;
        }
        insert.execute(params![run, file.number(), line as i64, text])?;
    }
    Ok(())
}
