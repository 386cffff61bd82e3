//! Paths and headers of the protocol (protocol notes §1–§2).

use ::http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use streamtable_schema::TablePath;

/// The path for GraphQL operations.
pub const GRAPHQL_PATH: &str = "/graphql";

/// The header that asks the server to append rows and number them itself; its value is `true`.
pub const ASYNC_HEADER: &str = "x-wandb-use-async-filestream";

/// The header by which the client requests how the server handles columns: `strict` or `evolve`.
/// Only StreamTable servers know it.
pub const COLUMNS_HEADER: &str = "x-streamtable-columns";

/// The header by which a StreamTable server announces that its answers state what they cover; its
/// value is `1`. A client that has seen it once requires such answers.
pub const ACKS_HEADER: &str = "x-streamtable-acks";

/// The header by which a StreamTable server announces, in its answers to GraphQL and to posts of rows
/// to the native API, that tables take [binary rows](crate::binary); its value is [`ROWS_VERSION`].
pub const ROWS_HEADER: &str = "x-streamtable-rows";

/// The version of binary rows that this crate writes and reads.
pub const ROWS_VERSION: &str = "1";

/// The header with which our client numbers its posts, so that a StreamTable server can name in its
/// answer the request that it answers. Other servers ignore it.
pub const REQUEST_HEADER: &str = "x-streamtable-request";

/// The longest id of a request that a server repeats.
pub const MAX_REQUEST_ID_BYTES: usize = 64;

/// Returns the client's id of a request, which the answer repeats: `None` if it has none, or one that
/// is too long.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_HEADER)?.to_str().ok()?;
    (id.len() <= MAX_REQUEST_ID_BYTES).then(|| id.to_owned())
}

/// The feature name by which a server announces that it accepts gzip bodies on file streams.
pub const GZIP_FEATURE: &str = "FILESTREAM_GZIP";

/// Characters that are not escaped in a path segment: RFC 3986's unreserved characters.
pub(crate) const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the path to which a table's rows are posted.
///
/// ```
/// use streamtable_schema::TablePath;
///
/// let path = TablePath::new("me", "my project", "t")?;
/// assert_eq!(streamtable_wire::file_stream_path(&path), "/files/me/my%20project/t/file_stream");
/// # Ok::<(), streamtable_schema::NameError>(())
/// ```
pub fn file_stream_path(table: &TablePath) -> String {
    let [entity, project, run] = [table.entity(), table.project(), table.table()]
        .map(|segment| utf8_percent_encode(segment, SEGMENT));
    format!("/files/{entity}/{project}/{run}/file_stream")
}
