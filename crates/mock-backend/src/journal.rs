use std::fmt;

use http::{Method, StatusCode};

use crate::Fault;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// A GraphQL operation.
    Graphql,
    /// A post to a table's file stream.
    FileStream,
    /// Bytes that go to the server.
    Upload,
    /// Bytes that come from the server.
    Download,
    /// Nothing that the protocol knows.
    Other,
}

impl RequestKind {
    /// Every kind, in the order of `Ord`.
    pub const ALL: [Self; 5] =
        [Self::Graphql, Self::FileStream, Self::Upload, Self::Download, Self::Other];

    /// Returns the kind's name, as fault plans write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graphql => "graphql",
            Self::FileStream => "file_stream",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request, as the mock's journal has it.
///
/// A duplicated request is there twice, a late one where it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in the journal, from 0.
    pub seq: u64,
    /// The method.
    pub method: Method,
    /// The path behind the base URL, with its query.
    pub path: String,
    /// What it is for.
    pub kind: RequestKind,
    /// The operation's name, for GraphQL.
    pub operation: Option<String>,
    /// The status that was answered, whether or not the answer reached the client. `None` when the
    /// request did not arrive.
    pub status: Option<StatusCode>,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The length of the body as it was sent.
    pub body_bytes: usize,
    /// The number of the first row's line, for posts with rows.
    pub offset: Option<u64>,
    /// How many rows it carries.
    pub lines: usize,
}

impl fmt::Display for Arrival {
    /// Writes a line for people: `3 POST /graphql StreamTableFind 200`.
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
