//! A reader that limits the size of a single row.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A reader that fails once it has read `limit` bytes since the last call of [`Renew::renew`].
pub(super) struct Bounded<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

/// Resets the limit of a [`Bounded`] reader after each row.
pub(super) struct Renew {
    left: Rc<Cell<usize>>,
    limit: usize,
}

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, limit: usize) -> (Self, Renew) {
        let left = Rc::new(Cell::new(limit));
        (Self { inner, left: Rc::clone(&left) }, Renew { left, limit })
    }
}

impl Renew {
    pub(super) fn renew(&self) {
        self.left.set(self.limit);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.get().checked_sub(read) {
            Some(left) => self.left.set(left),
            None => {
                let message = "a row is too large; is a closing quote missing?";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(read)
    }
}
