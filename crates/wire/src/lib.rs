//! The W&B protocol as values and bytes, in both directions.
//!
//! Servers and mocks parse with the same code that clients encode with: history lines
//! ([`write_row`], [`HistoryLine`]), the requests that carry them ([`history_body`],
//! [`FileStreamRequest`]), the GraphQL operations that create a table ([`graphql`]) and the
//! artifact through which readers find it ([`StreamTableArtifact`]). StreamTable's servers
//! also accept rows in a compact encoding ([`binary`]).
//!
//! This crate does no I/O, reads no clock, and never panics on external input.
//!
//! ```
//! use streamtable_schema::row;
//! use streamtable_wire::{FileStreamRequest, HistoryLine, history_body};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Encode a client's request …
//!     let body = history_body(0, [r#"{"path":"/","ms":7,"_client_id":"w","_timestamp":1.5}"#]);
//!
//!     // … and parse it, as for any client of the protocol.
//!     let request = FileStreamRequest::parse(&body)?;
//!     let line = HistoryLine::parse(&request.files["wandb-history.jsonl"].content[0])?;
//!     assert_eq!(line.row, row! { "path" => "/", "ms" => 7 });
//!     assert_eq!(line.writer.as_deref(), Some("w"));
//!     Ok(())
//! }
//! ```

mod ack;
pub mod api;
mod artifact;
pub mod binary;
mod cell;
mod cell_text;
mod decode;
mod encode;
mod events;
mod file_stream;
pub mod graphql;
mod history_keys;
mod http;
pub mod json;
#[cfg(test)]
mod laws;
mod media_file;
mod python_json;
mod rows_answer;
#[cfg(test)]
mod strategies;
mod unite;
mod weave_type;

pub use ack::{NotAnAck, SentPost, SentUpload, UploadAnswer, is_verdict, states_coverage};
pub use artifact::{
    ArtifactFile, MANIFEST_NAME, Manifest, ManifestEntry, STREAM_TABLE_METADATA, STREAM_TABLE_TYPE,
    StoragePolicyConfig, StreamTableArtifact, md5_base64,
};
pub use cell::media_type;
pub use cell_text::{CELL_MARK, CellMark, read_cell, read_cells, read_marked, write_cell};
pub use decode::HistoryLine;
pub use encode::{
    Logged, MAX_LINE_BYTES, RESERVED_COLUMNS, RowSink, TakeRow, for_each_row, is_added_time,
    write_row,
};
pub use events::{Event, Events};
pub use file_stream::{
    Chunk, FileStreamAnswer, FileStreamRequest, HISTORY_FILE, RejectedLine, history_body,
};
pub use history_keys::{ColumnKeys, HistoryKeys, Ordered, TypeCount};
pub use http::{
    ACKS_HEADER, ASYNC_HEADER, COLUMNS_HEADER, GRAPHQL_PATH, GZIP_FEATURE, MAX_REQUEST_ID_BYTES,
    REQUEST_HEADER, ROWS_HEADER, ROWS_VERSION, file_stream_path, request_id,
};
pub use media_file::media_file;
pub use rows_answer::{RowsAnswer, SentRows, takes_binary_rows};
pub use weave_type::{Json, WeaveType};
