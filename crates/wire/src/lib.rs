//! The W&B protocol as values and bytes, in both directions.
//!
//! What a client writes, a server or a mock reads with the same code: history lines
//! ([`write_row`], [`HistoryLine`]), the requests that carry them ([`history_body`],
//! [`FileStreamRequest`]), the GraphQL operations that make a table ([`graphql`]) and the artifact
//! by which readers find it ([`StreamTableArtifact`]).
//!
//! Nothing here does I/O, reads a clock, or panics on what comes from outside.
//!
//! ```
//! use streamtable_schema::row;
//! use streamtable_wire::{FileStreamRequest, HistoryLine, history_body};
//!
//! // What our client posts …
//! let body = history_body(0, [r#"{"path":"/","ms":7,"_client_id":"w","_timestamp":1.5}"#]);
//!
//! // … is read like what any other client of the protocol posts.
//! let request = FileStreamRequest::parse(&body)?;
//! let line = HistoryLine::parse(&request.files["wandb-history.jsonl"].content[0])?;
//! assert_eq!(line.row, row! { "path" => "/", "ms" => 7 });
//! assert_eq!(line.writer.as_deref(), Some("w"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ack;
mod artifact;
mod cell;
mod cell_text;
mod decode;
mod encode;
mod file_stream;
pub mod graphql;
mod history_keys;
mod http;
pub mod json;
#[cfg(test)]
mod laws;
mod media_file;
mod python_json;
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
pub use cell_text::{read_cell, write_cell};
pub use decode::HistoryLine;
pub use encode::{
    Logged, MAX_LINE_BYTES, RESERVED_COLUMNS, RowSink, TIMESTAMP_COLUMN, TakeRow, for_each_row,
    write_row,
};
pub use file_stream::{
    Chunk, FileStreamAnswer, FileStreamRequest, HISTORY_FILE, RejectedLine, history_body,
};
pub use history_keys::{ColumnKeys, HistoryKeys, Ordered, TypeCount};
pub use http::{
    ACKS_HEADER, ASYNC_HEADER, COLUMNS_HEADER, GRAPHQL_PATH, GZIP_FEATURE, MAX_REQUEST_ID_BYTES,
    REQUEST_HEADER, file_stream_path,
};
pub use media_file::media_file;
pub use weave_type::{Json, WeaveType};
