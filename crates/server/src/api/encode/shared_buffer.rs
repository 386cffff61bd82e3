//! A byte buffer that a writer fills and another owner empties.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// A byte buffer that a writer fills and another owner empties.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    /// Returns the bytes written since the last call.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock())
    }
}

impl io::Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
