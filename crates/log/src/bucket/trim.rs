//! Trimming, as state machines without clock and I/O.

use std::collections::VecDeque;
use std::time::Duration;

use super::append::{Verdict, base_of};
use super::base::{BaseView, KEEP};
use super::object::encode_base;
use super::request::{Key, Request, Response};

/// Which frames a node may delete.
///
/// A frame may be deleted if this process has known for [`KEEP`] that the base is above it. After a
/// restart it starts to wait again, so it needs no clock that others share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trimmer {
    /// Bases in ascending order, with the time since when they are known.
    known: VecDeque<(u64, Duration)>,
}

impl Trimmer {
    fn knows(&mut self, base: u64, now: Duration) {
        if self.known.back().is_none_or(|&(last, _)| last < base) {
            self.known.push_back((base, now));
        }
    }

    /// Returns the number below which frames may be deleted.
    pub(crate) fn deletable(&mut self, now: Duration) -> Option<u64> {
        let is_old = |&(_, since): &(u64, Duration)| now.saturating_sub(since) >= KEEP;
        let mut newest = None;
        while let Some(&(base, _)) = self.known.front().filter(|it| is_old(it)) {
            newest = Some(base);
            self.known.pop_front();
        }
        let (base, since) = (newest?, now.saturating_sub(KEEP));
        // Still known, so that frames of nodes that slept are deleted later.
        self.known.push_front((base, since));
        Some(base)
    }
}

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

    /// Returns the next request. Until there is a response, it is the same one.
    pub(crate) fn request(&self) -> Request<V> {
        match &self.state {
            State::Look => Request::Get(Key::Base),
            State::Move(version) => {
                Request::Replace(Key::Base, encode_base(self.below), version.clone())
            }
            State::List(below) => Request::List(*below),
            State::Delete(numbers) => Request::Delete(numbers.clone()),
        }
    }

    /// Handles the response, at `now`, to a request that was sent at `asked_at`.
    pub(crate) fn handle(
        &mut self,
        response: Response<V>,
        asked_at: Duration,
        now: Duration,
        view: &mut BaseView,
        trimmer: &mut Trimmer,
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
                match (base_of(response), version) {
                    (Ok(base), Some(version)) => {
                        view.saw(base, asked_at);
                        trimmer.knows(base, now);
                        if base < self.below {
                            self.state = State::Move(version);
                            return None;
                        }
                        self.delete(now, trimmer)
                    }
                    (Err(error), _) => Some(Err(error)),
                    (Ok(_), None) => None,
                }
            }
            (State::Move(_), _) => {
                trimmer.knows(self.below, now);
                self.delete(now, trimmer)
            }
            (State::List(_), Response::Listed(numbers)) if !numbers.is_empty() => {
                self.state = State::Delete(numbers);
                None
            }
            // If something is left, the next call deletes it.
            (State::List(_) | State::Delete(_), _) => Some(Ok(())),
        }
    }

    fn delete(&mut self, now: Duration, trimmer: &mut Trimmer) -> Verdict<()> {
        match trimmer.deletable(now) {
            Some(below) => {
                self.state = State::List(below);
                None
            }
            None => Some(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_deleted_ten_minutes_after_the_base_has_moved() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut trimmer = Trimmer::default();
        assert_eq!(trimmer.deletable(minutes(0)), None);
        trimmer.knows(5, minutes(0));
        trimmer.knows(5, minutes(3));
        trimmer.knows(9, minutes(4));
        assert_eq!(trimmer.deletable(minutes(9)), None);
        assert_eq!(trimmer.deletable(minutes(10)), Some(5));
        assert_eq!(trimmer.deletable(minutes(11)), Some(5));
        assert_eq!(trimmer.deletable(minutes(14)), Some(9));
        assert_eq!(trimmer.deletable(minutes(99)), Some(9));
    }

    #[test]
    fn the_base_is_moved_once() {
        let base = |base, version| Response::Found(encode_base(base), version);
        let (mut view, mut trimmer) = (BaseView::default(), Trimmer::default());
        let mut trim = Trim::new(5);
        let zero = Duration::ZERO;
        let mut handle = |response| {
            let verdict = trim.handle(response, zero, zero, &mut view, &mut trimmer);
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
