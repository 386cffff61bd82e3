//! Splits a response into lines.

use super::ReadError;
use super::server::Server;

/// Maximum length of a line in bytes.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Assembles lines from the chunks of a response.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    /// Takes a chunk, and calls `each` with every completed line.
    pub(super) fn push(
        &mut self,
        server: &Server,
        chunk: &[u8],
        mut each: impl FnMut(&str) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.buffer.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = str::from_utf8(&self.buffer);
            let line = line.map_err(|_| server.not_an_answer("a row is not UTF-8"))?;
            each(line)?;
            self.buffer.clear();
        }
        if self.buffer.len() + rest.len() > MAX_LINE_BYTES {
            return Err(server.not_an_answer("a row is too long"));
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// Returns whether the last line is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.buffer.is_empty()
    }
}
