//! A reader that ends where one row has no end.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// How much may be read until somebody says that a row was found.
pub(super) struct Bounded<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

/// Says that a row was found.
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
                let message = "a row has no end; is a quote missing?";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(read)
    }
}
