//! Trimming, as a state machine without clock and I/O.

use std::time::Duration;

use super::base::BaseView;
use super::object::encode_base;
use super::operation::{Operation, Verdict};
use super::request::{Key, Request, Response};

/// A trim that is in progress: it moves the base, then deletes frames that were given up earlier.
#[derive(Clone, Debug)]
pub(crate) struct Trim<V> {
    below: u64,
    state: State<V>,
}

#[derive(Clone, Debug)]
enum State<V> {
    Look,
    Move(V),
    List(u64),
    Delete(Vec<u64>),
}

impl<V: Clone> Trim<V> {
    pub(crate) fn new(below: u64) -> Self {
        Self { below, state: State::Look }
    }

    fn delete(&mut self, now: Duration, view: &mut BaseView) -> Verdict<()> {
        match view.deletable(now) {
            Some(below) => {
                self.state = State::List(below);
                None
            }
            None => Some(Ok(())),
        }
    }
}

impl<V: Clone> Operation<V> for Trim<V> {
    type Output = ();

    fn request(&self) -> Request<V> {
        match &self.state {
            State::Look => Request::Get(Key::Base),
            State::Move(version) => {
                Request::Replace(Key::Base, encode_base(self.below), version.clone())
            }
            State::List(below) => Request::List(*below),
            State::Delete(numbers) => Request::Delete(numbers.clone()),
        }
    }

    fn handle(
        &mut self,
        response: Response<V>,
        asked_at: Duration,
        now: Duration,
        view: &mut BaseView,
    ) -> Verdict<()> {
        match (&self.state, response) {
            // The base may have moved, which a look shows.
            (State::Move(_), Response::Unknown | Response::Refused | Response::Absent) => {
                self.state = State::Look;
                None
            }
            (_, Response::Unknown) => None,
            (State::Look, response) => {
                let version = match &response {
                    Response::Found(_, version) => Some(version.clone()),
                    _ => None,
                };
                match (response.base(), version) {
                    (Ok(base), Some(version)) => {
                        view.saw(base, asked_at);
                        view.knows(base, now);
                        if base < self.below {
                            self.state = State::Move(version);
                            return None;
                        }
                        self.delete(now, view)
                    }
                    (Err(error), _) => Some(Err(error)),
                    (Ok(_), None) => None,
                }
            }
            (State::Move(_), _) => {
                view.knows(self.below, now);
                self.delete(now, view)
            }
            (State::List(_), Response::Listed(numbers)) if !numbers.is_empty() => {
                self.state = State::Delete(numbers);
                None
            }
            // If something is left, the next call deletes it.
            (State::List(_) | State::Delete(_), _) => Some(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_moved_once() {
        let base = |base, version| Response::Found(encode_base(base), version);
        let mut view = BaseView::default();
        let mut trim = Trim::new(5);
        let zero = Duration::ZERO;
        let mut handle = |response| {
            let verdict = trim.handle(response, zero, zero, &mut view);
            (verdict, trim.request())
        };
        let moving = |version| Request::Replace(Key::Base, encode_base(5), version);
        assert_eq!(handle(base(1, 'a')), (None, moving('a')));
        // The response is lost, and another node moves the base, but not as far.
        assert_eq!(handle(Response::Unknown), (None, Request::Get(Key::Base)));
        assert_eq!(handle(base(4, 'b')), (None, moving('b')));
        assert_eq!(handle(Response::Done).0, Some(Ok(())));
    }
}
