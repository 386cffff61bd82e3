//! One read, as a state machine without clock and I/O.

use std::time::Duration;

use bytes::Bytes;

use super::base::{BaseView, Standing};
use super::object::decode;
use super::operation::{Operation, Verdict};
use super::request::{Key, Request, Response};
use crate::LogError;

/// A read ends after this many bytes.
const MAX_BYTES: usize = 64 << 20;

/// A read ends after this many frames.
const MAX_FRAMES: usize = 1024;

/// The frames of a read.
pub(crate) type Frames = Vec<Option<Bytes>>;

/// A read that is in progress: one frame after the other, until one is absent.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    from: u64,
    frames: Frames,
    bytes: usize,
    /// The finding at the next number, while the base is read.
    unsure: Option<Found>,
}

/// A finding at a number.
#[derive(Clone, Debug)]
enum Found {
    /// A frame, or something damaged.
    Frame(Option<Bytes>),
    Nothing,
}

impl Read {
    pub(crate) fn new(from: u64) -> Self {
        Self { from, frames: Vec::new(), bytes: 0, unsure: None }
    }

    fn next(&self) -> u64 {
        self.from + self.frames.len() as u64
    }

    /// Ends with the frames that were read, or with an error if there are none.
    fn end(&mut self, error: LogError) -> Verdict<Frames> {
        let frames = std::mem::take(&mut self.frames);
        Some(if frames.is_empty() { Err(error) } else { Ok(frames) })
    }
}

impl<V> Operation<V> for Read {
    type Output = Frames;

    fn request(&self) -> Request<V> {
        Request::Get(if self.unsure.is_some() { Key::Base } else { Key::Frame(self.next()) })
    }

    fn handle(
        &mut self,
        response: Response<V>,
        asked_at: Duration,
        now: Duration,
        view: &mut BaseView,
    ) -> Verdict<Frames> {
        let number = self.next();
        let found = match (self.unsure.take(), response) {
            (unsure, Response::Unknown) => {
                self.unsure = unsure;
                return None;
            }
            (Some(found), response) => match response.base() {
                Ok(base) => {
                    view.saw(base, asked_at);
                    if base > number {
                        return self.end(LogError::Trimmed { number, base });
                    }
                    found
                }
                Err(error) => return self.end(error),
            },
            (None, response) => {
                let found = match response {
                    Response::Found(object, _) => {
                        Found::Frame(decode(number, &object).map(|(_, frame)| frame))
                    }
                    _ => Found::Nothing,
                };
                match view.standing(number, now) {
                    Standing::True => found,
                    Standing::Trimmed { base } => {
                        return self.end(LogError::Trimmed { number, base });
                    }
                    Standing::Look => {
                        self.unsure = Some(found);
                        return None;
                    }
                }
            }
        };
        match found {
            Found::Nothing => Some(Ok(std::mem::take(&mut self.frames))),
            Found::Frame(frame) => {
                self.bytes += frame.as_ref().map_or(0, Bytes::len);
                self.frames.push(frame);
                let is_full = self.bytes >= MAX_BYTES || self.frames.len() >= MAX_FRAMES;
                is_full.then(|| Ok(std::mem::take(&mut self.frames)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::{encode, encode_base};
    use super::*;
    use crate::FrameId;

    fn found(number: u64) -> Response<()> {
        Response::Found(encode(number, FrameId([1; 16]), &[number as u8]), ())
    }

    fn base(base: u64) -> Response<()> {
        Response::Found(encode_base(base), ())
    }

    /// Runs a read from number 7 on these responses.
    #[track_caller]
    fn check(responses: &[Response<()>], expected: Result<&[Option<u8>], LogError>) {
        let mut read = Read::new(7);
        let mut view = BaseView::default();
        let mut verdict = None;
        for response in responses {
            assert_eq!(verdict, None);
            verdict = read.handle(response.clone(), Duration::ZERO, Duration::ZERO, &mut view);
        }
        let frame = |frame: &Option<u8>| frame.map(|it| Bytes::from(vec![it]));
        assert_eq!(verdict, Some(expected.map(|it| it.iter().map(frame).collect())));
    }

    #[test]
    fn verdicts() {
        use Response::{Absent, Unknown};
        let trimmed = || Err(LogError::Trimmed { number: 7, base: 9 });
        check(&[Absent, base(7)], Ok(&[]));
        check(&[Absent, Unknown, base(9)], trimmed());
        check(&[found(7), base(1), found(8), Unknown, Absent], Ok(&[Some(7), Some(8)]));
        // A frame below the base was stored by a node that slept.
        check(&[found(7), base(9)], trimmed());
        // The object at a number is not its frame.
        check(&[found(6), base(1), found(8), Absent], Ok(&[None, Some(8)]));
    }
}
