//! One append, as a state machine without clock and I/O.

use std::time::Duration;

use bytes::Bytes;

use super::base::{BaseView, Standing};
use super::object::{decode, encode};
use super::operation::{Operation, Verdict};
use super::request::{Key, Request, Response};
use crate::seeded_bug::{Bug, is_seeded};
use crate::{Appended, FIRST, FrameId, LogError};

/// An append that is in progress.
///
/// The same bytes are sent to the same key until it is known which frame the key has. A refusal is
/// never the verdict: it may be the response to an own request that was executed before, or a 409
/// after which nothing was stored. The object at the key is.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    number: u64,
    id: FrameId,
    object: Bytes,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Create,
    /// Reads which frame has the number.
    Verify,
    /// Reads the base after the frame was found to be in the log.
    Look,
}

impl Append {
    pub(crate) fn new(number: u64, id: FrameId, frame: &[u8]) -> Self {
        Self { number, id, object: encode(number, id, frame), state: State::Create }
    }

    /// Returns the object that is stored.
    #[cfg(test)]
    pub(crate) fn object(&self) -> Bytes {
        self.object.clone()
    }

    /// Returns the verdict on a frame that is in the bucket, unless the base must be looked at first.
    fn is_in_log(&mut self, now: Duration, view: &BaseView) -> Verdict<Appended> {
        let number = self.number;
        match standing(view, number, now) {
            Standing::True => Some(Ok(Appended::Durable)),
            Standing::Trimmed { base } => Some(Err(LogError::Trimmed { number, base })),
            Standing::Look => {
                self.state = State::Look;
                None
            }
        }
    }
}

impl<V> Operation<V> for Append {
    type Output = Appended;

    fn request(&self) -> Request<V> {
        match self.state {
            State::Create => Request::Create(Key::Frame(self.number), self.object.clone()),
            State::Verify => Request::Get(Key::Frame(self.number)),
            State::Look if is_seeded(Bug::PredecessorInsteadOfBase) => {
                Request::Get(Key::Frame(FIRST.max(self.number - 1)))
            }
            State::Look => Request::Get(Key::Base),
        }
    }

    fn handle(
        &mut self,
        response: Response<V>,
        asked_at: Duration,
        now: Duration,
        view: &mut BaseView,
    ) -> Verdict<Appended> {
        match (self.state, response) {
            (_, Response::Unknown) => None,
            (State::Create, Response::Done) => self.is_in_log(now, view),
            (State::Create, Response::Refused) if is_seeded(Bug::RefusalTakenForLoss) => {
                Some(Ok(Appended::Lost))
            }
            (State::Create, _) => {
                self.state = State::Verify;
                None
            }
            (State::Verify, Response::Found(object, _)) => {
                let is_own = decode(self.number, &object).is_some_and(|(id, _)| id == self.id);
                if is_own && !is_seeded(Bug::OwnFrameTakenForLoss) {
                    return self.is_in_log(now, view);
                }
                Some(Ok(Appended::Lost))
            }
            (State::Verify, _) => {
                self.state = State::Create;
                None
            }
            (State::Look, Response::Absent) if is_seeded(Bug::PredecessorInsteadOfBase) => {
                Some(Err(LogError::Trimmed { number: self.number, base: self.number + 1 }))
            }
            (State::Look, _) if is_seeded(Bug::PredecessorInsteadOfBase) => {
                Some(Ok(Appended::Durable))
            }
            (State::Look, response) => match response.base() {
                Ok(base) => {
                    view.saw(base, asked_at);
                    Some(if base > self.number {
                        Err(LogError::Trimmed { number: self.number, base })
                    } else {
                        Ok(Appended::Durable)
                    })
                }
                Err(error) => Some(Err(error)),
            },
        }
    }
}

fn standing(view: &BaseView, number: u64, now: Duration) -> Standing {
    if is_seeded(Bug::PredecessorInsteadOfBase) {
        return Standing::Look;
    }
    view.standing(number, now)
}

#[cfg(test)]
mod tests {
    use super::super::object::encode_base;
    use super::*;

    const OWN: FrameId = FrameId([1; 16]);
    const OTHER: FrameId = FrameId([2; 16]);

    fn found(number: u64, id: FrameId) -> Response<()> {
        Response::Found(encode(number, id, b"frame"), ())
    }

    fn base(base: u64) -> Response<()> {
        Response::Found(encode_base(base), ())
    }

    /// Runs an append at number 7 on these responses, and returns its verdict and the number of
    /// requests for it.
    #[track_caller]
    fn check(responses: &[Response<()>], expected: Verdict<Appended>) {
        let mut append = Append::new(7, OWN, b"frame");
        let mut view = BaseView::default();
        for (i, response) in responses.iter().enumerate() {
            let now = Duration::from_secs(i as u64);
            let verdict = append.handle(response.clone(), now, now, &mut view);
            let expected = expected.clone().filter(|_| i + 1 == responses.len());
            assert_eq!(verdict, expected, "response {i}");
        }
    }

    #[test]
    fn verdicts() {
        use Response::{Absent, Done, Refused, Unknown};
        let durable = || Some(Ok(Appended::Durable));
        let lost = || Some(Ok(Appended::Lost));
        let trimmed = || Some(Err(LogError::Trimmed { number: 7, base: 8 }));
        check(&[Done, base(7)], durable());
        check(&[Done, Unknown, base(1)], durable());
        check(&[Done, base(8)], trimmed());
        check(&[Unknown, Unknown, Done, base(7)], durable());
        // The first request was executed, but its response was lost.
        check(&[Unknown, Refused, found(7, OWN), base(7)], durable());
        check(&[Refused, found(7, OTHER)], lost());
        check(&[Refused, Unknown, found(7, OTHER)], lost());
        // The object of another number was copied here, or is damaged.
        check(&[Refused, found(6, OWN)], lost());
        // A 409, after which nothing was stored.
        check(&[Refused, Absent, Done, base(7)], durable());
        check(&[Done, Absent], Some(Response::<()>::Absent.base().map(|_| Appended::Durable)));
    }

    #[test]
    fn the_base_is_looked_at_only_if_the_last_look_is_old() {
        let mut view = BaseView::default();
        view.saw(3, Duration::ZERO);
        let mut append = Append::new(7, OWN, b"frame");
        let mut handle = |seconds| {
            let now = Duration::from_secs(seconds);
            append.handle(Response::<()>::Done, Duration::ZERO, now, &mut view)
        };
        assert_eq!(handle(300), Some(Ok(Appended::Durable)));
        assert_eq!(handle(301), None);
        assert_eq!(Operation::<()>::request(&append), Request::Get(Key::Base));
    }
}
