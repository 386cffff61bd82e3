use std::fmt;

use http::{Method, StatusCode};

use crate::Fault;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RequestKind {
    /// A GraphQL operation.
    Graphql,
    /// A post to a table's file stream.
    FileStream,
    /// An upload of bytes to the server.
    Upload,
    /// A download of bytes from the server.
    Download,
    /// A request of the native API for rows, a tail or the result of a query.
    Read,
    /// A request that is not part of the protocol.
    Other,
}

impl RequestKind {
    /// All kinds, in the order of `Ord`.
    pub const ALL: [Self; 6] =
        [Self::Graphql, Self::FileStream, Self::Upload, Self::Download, Self::Read, Self::Other];

    /// Returns the kind's name in fault plans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graphql => "graphql",
            Self::FileStream => "file_stream",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Read => "read",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request in the mock's journal.
///
/// A duplicated request is recorded twice, a late one where it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the journal, starting at 0.
    pub seq: u64,
    /// The method.
    pub method: Method,
    /// The path relative to the base URL, with its query.
    pub path: String,
    /// Its kind.
    pub kind: RequestKind,
    /// The operation's name, for GraphQL.
    pub operation: Option<String>,
    /// The status of the response, even if the response did not reach the client. `None` if the
    /// request did not arrive.
    pub status: Option<StatusCode>,
    /// The injected fault.
    pub fault: Option<Fault>,
    /// The length of the body as sent.
    pub body_bytes: usize,
    /// The number of the first row's line, for posts with rows.
    pub offset: Option<u64>,
    /// The number of rows.
    pub lines: usize,
}

impl fmt::Display for Arrival {
    /// Writes one readable line: `3 POST /graphql StreamTableFind 200`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.seq, self.method, self.path)?;
        if let Some(operation) = &self.operation {
            write!(f, " {operation}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " rows {offset}..{}", offset + self.lines as u64)?;
        }
        match self.status {
            Some(status) => write!(f, " {}", status.as_u16())?,
            None => f.write_str(" did not arrive")?,
        }
        match &self.fault {
            Some(fault) => write!(f, " ({fault})"),
            None => Ok(()),
        }
    }
}
