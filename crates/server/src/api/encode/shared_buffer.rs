//! A place for bytes that a writer owns and somebody else empties.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// A place for bytes that a writer owns and somebody else empties.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    /// Takes what was written since the last time.
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
