//! Posts to a table's file stream.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use streamtable_schema::{Row, Schema, Value};
use streamtable_wire::{
    ASYNC_HEADER, COLUMNS_HEADER, Chunk, FileStreamAnswer, FileStreamRequest, HISTORY_FILE,
    HistoryLine, MAX_LINE_BYTES, REQUEST_HEADER, RejectedLine,
};

use crate::refusal::Refusal;
use crate::route::header;
use crate::run::{Run, Seen, StoredLine};

/// The allowed fields of a post (notes §6).
const KEYS: [&str; 7] =
    ["files", "uploaded", "dropped", "complete", "exitcode", "failed", "preempting"];

/// The files that consist of lines (notes §6).
const LINE_FILES: [&str; 4] =
    [HISTORY_FILE, "wandb-events.jsonl", "wandb-summary.json", "output.log"];

/// How the rows of a post are to be handled.
pub(crate) struct Mode<'a> {
    /// Whether the server numbers the rows, so that writers do not overwrite each other's.
    is_async: bool,
    /// The writer of rows that do not name one.
    writer: Option<&'a str>,
    is_strict: bool,
    dedupe: bool,
}

impl<'a> Mode<'a> {
    fn of(headers: &'a HeaderMap, dedupe: bool) -> Result<Self, Refusal> {
        let is_async = match header(headers, ASYNC_HEADER)? {
            None => false,
            Some("true") => true,
            Some(other) => return Err(Refusal::bad(format!("{ASYNC_HEADER} is {other:?}"))),
        };
        let writer = header(headers, "x-wandb-async-client-id")?;
        Ok(Self { is_async, writer, is_strict: is_strict(headers)?, dedupe })
    }

    /// Returns how rows of the native API are to be handled.
    pub(crate) fn of_rows(
        headers: &HeaderMap,
        writer: &'a str,
        dedupe: bool,
    ) -> Result<Self, Refusal> {
        let is_strict = is_strict(headers)?;
        Ok(Self { is_async: true, writer: Some(writer), is_strict, dedupe })
    }
}

fn is_strict(headers: &HeaderMap) -> Result<bool, Refusal> {
    match header(headers, COLUMNS_HEADER)? {
        None | Some("evolve") => Ok(false),
        Some("strict") => Ok(true),
        Some(other) => Err(Refusal::bad(format!("{COLUMNS_HEADER} is {other:?}"))),
    }
}

/// Handles a post completely or not at all.
pub(crate) fn post(
    run: &mut Run,
    is_uploaded: impl Fn(&Run, &str) -> bool,
    headers: &HeaderMap,
    body: &[u8],
    dedupe: bool,
) -> Result<FileStreamAnswer, Refusal> {
    let mode = Mode::of(headers, dedupe)?;
    let post = read(body)?;
    if let Some(name) = post.uploaded.iter().find(|name| !is_uploaded(run, name)) {
        return Err(Refusal::bad(format!("{name:?} is reported as uploaded, but is not")));
    }
    let rows = match post.files.get(HISTORY_FILE) {
        Some(chunk) => read_rows(run, chunk, &mode)?,
        None => Vec::new(),
    };
    let acked = post.files.get(HISTORY_FILE).map(|chunk| chunk.offset + chunk.content.len() as u64);
    let request = header(headers, REQUEST_HEADER)?.map(str::to_owned);
    let rejected = store(run, rows, &mode);
    let answer = FileStreamAnswer { acked, request, rejected, stopped: false };
    run.is_complete |= post.complete == Some(true);
    Ok(answer)
}

fn read(body: &[u8]) -> Result<FileStreamRequest<'_>, Refusal> {
    #[derive(Deserialize)]
    struct Keys(BTreeMap<String, IgnoredAny>);

    let unreadable = |error| Refusal::bad(format!("the post cannot be read: {error}"));
    let Keys(keys) = serde_json::from_slice(body).map_err(unreadable)?;
    if let Some(key) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Refusal::bad(format!("a post has no {key:?}")));
    }
    let post = FileStreamRequest::parse(body).map_err(unreadable)?;
    if let Some(file) = post.files.keys().find(|file| !LINE_FILES.contains(&&***file)) {
        return Err(Refusal::bad(format!("a run has no file {file:?}")));
    }
    if post.exitcode.is_some() && post.complete != Some(true) {
        return Err(Refusal::bad("an exit code without the end of the run"));
    }
    Ok(post)
}

/// A parsed row of a post that does not contradict an earlier one.
pub(crate) struct NewRow {
    pub(crate) writer: Option<String>,
    pub(crate) line: u64,
    pub(crate) text: String,
    pub(crate) row: Row,
}

/// Refuses a line that was sent before with another row.
pub(crate) fn refuse_other(run: &Run, writer: &str, line: u64, text: &str) -> Result<(), Refusal> {
    match run.seen(writer, line) {
        Some(seen) if run.text_of(seen) != text => {
            let message =
                format!("line {line} of writer {writer:?} was sent before with another row");
            Err(Refusal::violation(StatusCode::CONFLICT, message))
        }
        _ => Ok(()),
    }
}

fn read_rows(run: &Run, chunk: &Chunk<'_>, mode: &Mode<'_>) -> Result<Vec<NewRow>, Refusal> {
    let mut rows = Vec::with_capacity(chunk.content.len());
    for (i, text) in chunk.content.iter().enumerate() {
        let line = chunk.offset.checked_add(i as u64);
        let line = line.ok_or_else(|| Refusal::bad("line numbers end at 2^64"))?;
        let bad = |what: String| Refusal::bad(format!("line {line}: {what}"));
        if text.len() > MAX_LINE_BYTES {
            return Err(bad(format!("{} bytes, more than {MAX_LINE_BYTES}", text.len())));
        }
        if text.contains('\n') {
            return Err(bad("a line end inside".to_owned()));
        }
        let HistoryLine { row, writer, step, .. } =
            HistoryLine::parse(text).map_err(|error| bad(error.to_string()))?;
        if !mode.is_async && step.is_none() {
            return Err(bad(format!("neither a _step nor the header {ASYNC_HEADER}")));
        }
        let writer = if mode.is_async { writer.or(mode.writer.map(str::to_owned)) } else { None };
        if mode.is_async
            && let Some(writer) = &writer
        {
            refuse_other(run, writer, line, text)?;
        }
        rows.push(NewRow { writer, line, text: text.to_string(), row });
    }
    Ok(rows)
}

/// Stores the new rows that fit, and returns those that do not.
pub(crate) fn store(run: &mut Run, rows: Vec<NewRow>, mode: &Mode<'_>) -> Vec<RejectedLine> {
    let mut rejected = Vec::new();
    let mut strict: Option<Schema> = None;
    for NewRow { writer, line, text, row } in rows {
        let key = writer.as_deref().unwrap_or_default();
        let is_identified = !mode.is_async || writer.is_some();
        let seen = if is_identified { run.seen(key, line).cloned() } else { None };
        match seen {
            Some(Seen::Refused { reason, .. }) => {
                rejected.push(RejectedLine { line, reason });
                continue;
            }
            Some(Seen::Stored(_)) if mode.is_async && mode.dedupe => continue,
            _ => {}
        }
        if mode.is_strict {
            let schema = strict.get_or_insert_with(|| run.strict_schema());
            if let Err(error) = schema.admit(&row) {
                let reason = error.to_string();
                if is_identified {
                    run.refuse(key, line, text, reason.clone());
                }
                rejected.push(RejectedLine { line, reason });
                continue;
            }
        }
        match seen {
            Some(Seen::Stored(place)) if !mode.is_async => run.overwrite(place, text, &row),
            _ => run.store(StoredLine { writer, line, text }, &row),
        }
    }
    rejected
}

/// Writes a stored row as the server returns it: with its number, if it has none yet.
pub(crate) fn with_step(text: &str, step: usize) -> String {
    let is_numbered = HistoryLine::parse(text).is_ok_and(|line| line.step.is_some());
    let has_cells = matches!(
        streamtable_wire::json::parse(text), Ok(Value::Struct(cells)) if !cells.is_empty()
    );
    match text.trim_end().strip_suffix('}') {
        Some(open) if !is_numbered => {
            let comma = if has_cells { "," } else { "" };
            format!("{open}{comma}\"_step\":{step}}}")
        }
        _ => text.to_owned(),
    }
}

/// Writes a response like W&B's servers, which do not state what it covers.
pub(crate) fn answer_of_wandb(answer: FileStreamAnswer) -> Vec<u8> {
    if answer.rejected.is_empty() {
        return br#"{"exitcode":null,"limits":{}}"#.to_vec();
    }
    FileStreamAnswer { acked: None, request: None, ..answer }.to_bytes()
}

/// Returns a post with the first half of its rows, if it has several.
pub(crate) fn first_half(body: &[u8]) -> Option<Vec<u8>> {
    let mut post = FileStreamRequest::parse(body).ok()?;
    let chunk = post.files.get_mut(HISTORY_FILE)?;
    let half = chunk.content.len() / 2;
    chunk.content.truncate(half);
    (half > 0).then(|| post.to_bytes())
}

/// Returns the line number of the first row and the number of rows in a post.
pub(crate) fn extent(body: &[u8]) -> Option<(u64, usize)> {
    let post = FileStreamRequest::parse(body).ok()?;
    let chunk = post.files.get(HISTORY_FILE)?;
    Some((chunk.offset, chunk.content.len()))
}
