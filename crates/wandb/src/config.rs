//! Settings of the protocol.

use std::time::Duration;

/// Settings of the W&B protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WandbConfig {
    /// Entity used when a key that is valid for all entities logs without naming one.
    pub default_entity: String,
    /// Maximum size of the body of a file stream post, decompressed. Larger ones get 413.
    pub max_body_bytes: usize,
    /// Maximum number of lines in one post. More get 413.
    pub max_lines: usize,
    /// Maximum size of a GraphQL request. Larger ones get 413.
    pub max_graphql_bytes: usize,
    /// Maximum depth of a GraphQL query.
    pub max_query_depth: usize,
    /// Maximum number of fields of a GraphQL query; a field that reads many rows counts 50 times.
    pub max_query_complexity: usize,
    /// Maximum execution time of a GraphQL document. Longer ones get 503.
    pub max_document_time: Duration,
    /// Maximum size of a file. Larger ones get 413.
    pub max_file_bytes: u64,
    /// Maximum number of concurrent uploads. Further ones wait for permits, then get 503.
    pub max_uploads: usize,
    /// How long a signed URL is valid.
    pub signed_url_lifetime: Duration,
}

impl Default for WandbConfig {
    fn default() -> Self {
        Self {
            default_entity: "me".to_owned(),
            max_body_bytes: 64 << 20,
            max_lines: 200_000,
            max_graphql_bytes: 16 << 20,
            max_query_depth: 32,
            max_query_complexity: 2_000,
            max_document_time: Duration::from_secs(60),
            max_file_bytes: 5 << 30,
            max_uploads: 64,
            signed_url_lifetime: Duration::from_secs(24 * 3600),
        }
    }
}
