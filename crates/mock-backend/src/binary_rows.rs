//! Posts of binary rows to the native API.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use streamtable_schema::{Media, MediaError, SchemaError, StoredFile, TIMESTAMP_COLUMN, Type};
use streamtable_wire::api::{STREAM_OFFSET, STREAM_WRITER};
use streamtable_wire::binary::{BINARY_ROWS_TYPE, BodyWriter, LineReader, Piece, Splitter};
use streamtable_wire::{
    HistoryLine, Logged, MAX_LINE_BYTES, REQUEST_HEADER, RowSink, RowsAnswer, is_added_time,
    write_row,
};

use crate::file_stream::{Mode, NewRow, refuse_other, store};
use crate::refusal::Refusal;
use crate::route::header;
use crate::run::Run;

/// Handles a post completely or not at all.
pub(crate) fn post(
    run: &mut Run,
    headers: &HeaderMap,
    body: &[u8],
    dedupe: bool,
) -> Result<RowsAnswer, Refusal> {
    let missing = |name: &str| Refusal::bad(format!("the header {name} is missing"));
    let ty = header(headers, "content-type")?.unwrap_or_default();
    if ty != BINARY_ROWS_TYPE {
        let message = format!("the content type is {BINARY_ROWS_TYPE}, not {ty:?}");
        return Err(Refusal::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let writer = header(headers, STREAM_WRITER)?.ok_or_else(|| missing(STREAM_WRITER))?;
    let first = offset(headers).ok_or_else(|| missing(STREAM_OFFSET))?;
    let mode = Mode::of_rows(headers, writer, dedupe)?;
    let mut rows = Vec::new();
    let mut reader = LineReader::default();
    for (line, number) in lines(body)?.into_iter().zip(first..) {
        let bad = |what: &str| Refusal::bad(format!("line {number}: {what}"));
        let line = reader.read(&line).map_err(|error| bad(&error.to_string()))?;
        let text = text_of(&line, writer).map_err(|error| bad(&error))?;
        if text.len() > MAX_LINE_BYTES {
            return Err(bad(&format!("{} bytes, more than {MAX_LINE_BYTES}", text.len())));
        }
        refuse_other(run, writer, number, &text)?;
        rows.push(NewRow { writer: Some(writer.to_owned()), line: number, text, row: line.row });
    }
    let next_line = first + rows.len() as u64;
    let rejected = store(run, rows, &mode);
    Ok(RowsAnswer {
        writer: writer.to_owned(),
        next_line,
        rejected_rows: rejected.len() as u64,
        rejected,
        request: header(headers, REQUEST_HEADER)?.map(str::to_owned),
    })
}

fn offset(headers: &HeaderMap) -> Option<u64> {
    headers.get(STREAM_OFFSET)?.to_str().ok()?.parse().ok()
}

/// Splits a body into lines, all of which must be complete.
fn lines(body: &[u8]) -> Result<Vec<Bytes>, Refusal> {
    let bad = |error: &dyn std::fmt::Display| Refusal::bad(format!("the rows: {error}"));
    let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
    splitter.push(Bytes::copy_from_slice(body));
    while let Some(piece) = splitter.next_piece().map_err(|error| bad(&error))? {
        match piece {
            Piece::Line(line) => lines.push(line),
            piece => return Err(bad(&format_args!("{piece:?}"))),
        }
    }
    splitter.finish().map_err(|error| bad(&error))?;
    Ok(lines)
}

/// Returns the row as the history line that its client would post to the file stream.
fn text_of(line: &HistoryLine, writer: &str) -> Result<String, String> {
    struct Stored;

    impl RowSink for Stored {
        fn cell(&mut self, _: &str, _: &Type) -> Result<(), SchemaError> {
            Ok(())
        }

        fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
            Err(MediaError::BadFormat { format: media.format().to_owned() })
        }
    }

    let at = line.logged_at.ok_or("the row has no time")?;
    let mut row = line.row.clone();
    let is_added = row.cells().last().is_some_and(|(name, value)| {
        name == TIMESTAMP_COLUMN && value.as_timestamp().is_some_and(|time| is_added_time(time, at))
    });
    if is_added {
        row.remove(TIMESTAMP_COLUMN);
    }
    let mut text = Vec::new();
    let written = write_row(&row, Logged { writer, at }, &mut text, &mut Stored);
    written.map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Returns a post with the first half of its rows, if it has several.
pub(crate) fn first_half(body: &[u8]) -> Option<Vec<u8>> {
    let lines = lines(body).ok()?;
    let mut half = BodyWriter::default();
    for line in &lines[..lines.len() / 2] {
        half.push(line).ok()?;
    }
    (lines.len() > 1).then(|| half.into_bytes())
}

/// Returns the line number of the first row and the number of rows in a post.
pub(crate) fn extent(request: &Request<Bytes>) -> Option<(u64, usize)> {
    Some((offset(request.headers())?, lines(request.body()).ok()?.len()))
}

/// Returns whether a post has binary rows.
pub(crate) fn has_rows(request: &Request<Bytes>) -> bool {
    request.headers().contains_key(STREAM_OFFSET)
}
