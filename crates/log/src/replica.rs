//! The state machine by which nodes write to a log that they share.

use std::collections::VecDeque;

use async_trait::async_trait;
use bytes::Bytes;

use crate::seeded_bug::{Bug, is_seeded};
use crate::{Appended, FrameId, Log, LogError};

/// The state that follows from the frames of a log.
///
/// Equal frames in the same order give equal states: nothing else, such as a clock, changes a state.
pub trait Fold {
    /// A request of a caller to append something.
    type Request;
    /// The answer to a request. It is given when everything that it says is durable.
    type Answer;

    /// Applies the frame with a number.
    fn apply(&mut self, number: u64, frame: &Bytes);

    /// Skips a frame that is damaged or missing.
    fn skip(&mut self, number: u64);

    /// Decides a request from the frames that were applied.
    fn decide(&self, request: &Self::Request) -> Decision<Self::Answer>;
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<A> {
    /// Append this frame, then give the answer. The frame contains only what is new.
    Append(Bytes, A),
    /// The log contains everything already.
    Known(A),
    /// The request follows on something that the fold has not seen. If there is nothing more to read,
    /// this is the answer; otherwise this node is behind.
    Gap(A),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<A> {
    /// Read frames from a number on, then call [`read`](Replica::read).
    Read {
        /// The number of the first frame.
        from: u64,
    },
    /// Append a frame, then call [`appended`](Replica::appended) with the verdict. Without a verdict,
    /// repeat it.
    Append {
        /// The number of the frame.
        at: u64,
        /// The identity of the frame.
        id: FrameId,
        /// The frame.
        frame: Bytes,
    },
    /// Frames that this node has not read were trimmed. Load a flushed state, then call
    /// [`restored`](Replica::restored).
    Restore {
        /// The base of the log.
        base: u64,
    },
    /// Give the answer to the oldest request.
    Answer(A),
    /// Nothing, until there is a request.
    Wait,
}

/// A node's view of a log: replays it, decides requests, appends at exactly the next number, and
/// replays again if another node was first.
///
/// It does no I/O: [`action`](Self::action) returns what to do, and the caller reports what happened.
/// Requests are decided one after the other, and at most one append is in progress.
#[derive(Debug)]
pub struct Replica<F: Fold> {
    fold: F,
    /// The number of the next frame to apply.
    next: u64,
    /// The frames below this number are flushed: their contents are durable elsewhere.
    flushed: u64,
    requests: VecDeque<F::Request>,
    state: State<F::Answer>,
}

#[derive(Debug)]
enum State<A> {
    /// Decides the oldest request.
    Decide {
        /// Whether a read that began after the request became the oldest found nothing.
        is_at_head: bool,
    },
    Read {
        /// Whether the read began after the oldest request became the oldest.
        is_recent: bool,
    },
    Append {
        id: FrameId,
        frame: Bytes,
        answer: A,
    },
    Restore {
        base: u64,
    },
    Answer(A),
}

impl<F: Fold> Replica<F>
where
    F::Answer: Clone,
{
    /// Returns a replica whose fold contains all frames below `next`, which are flushed.
    pub fn new(fold: F, next: u64) -> Self {
        let state = State::Read { is_recent: false };
        Self { fold, next, flushed: next, requests: VecDeque::new(), state }
    }

    /// Returns the state that follows from the frames read so far.
    pub fn fold(&self) -> &F {
        &self.fold
    }

    /// Returns the number of the next frame to apply.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Adds a request.
    pub fn request(&mut self, request: F::Request) {
        if self.requests.is_empty() {
            // The caller may have seen frames elsewhere that earlier reads of this node did not return.
            match &mut self.state {
                State::Decide { is_at_head: is_recent } | State::Read { is_recent } => {
                    *is_recent = false;
                }
                State::Append { .. } | State::Restore { .. } | State::Answer(_) => {}
            }
        }
        self.requests.push_back(request);
    }

    /// Lets the replica read what others have appended, if it is waiting.
    pub fn follow(&mut self) {
        if let State::Decide { .. } = self.state {
            self.state = State::Read { is_recent: true };
        }
    }

    /// Returns what to do next. Until the caller reports what happened, it is the same.
    pub fn action(&mut self) -> Action<F::Answer> {
        if let State::Decide { is_at_head } = self.state {
            let Some(request) = self.requests.front() else { return Action::Wait };
            self.state = match self.fold.decide(request) {
                Decision::Known(answer) => State::Answer(answer),
                Decision::Append(frame, answer) => {
                    State::Append { id: FrameId::random(), frame, answer }
                }
                Decision::Gap(answer) if is_at_head || is_seeded(Bug::GapRefused) => {
                    State::Answer(answer)
                }
                Decision::Gap(_) => State::Read { is_recent: true },
            };
        }
        match &self.state {
            State::Decide { .. } => Action::Wait,
            State::Read { .. } => Action::Read { from: self.next },
            State::Append { id, frame, .. } => {
                Action::Append { at: self.next, id: *id, frame: frame.clone() }
            }
            State::Restore { base } => Action::Restore { base: *base },
            State::Answer(answer) => Action::Answer(answer.clone()),
        }
    }

    /// Reports that the answer to the oldest request was given, and returns the request.
    pub fn answered(&mut self) -> Option<F::Request> {
        if !matches!(self.state, State::Answer(_)) {
            return None;
        }
        self.state = State::Decide { is_at_head: false };
        self.requests.pop_front()
    }

    /// Reports the frames from the number that [`Action::Read`] asked for.
    pub fn read(&mut self, frames: &[Option<Bytes>]) {
        for frame in frames {
            match frame {
                Some(frame) => self.fold.apply(self.next, frame),
                None => self.fold.skip(self.next),
            }
            self.next += 1;
        }
        let is_recent = matches!(self.state, State::Read { is_recent: true });
        self.state = State::Decide { is_at_head: is_recent && frames.is_empty() };
    }

    /// Reports the verdict on an append.
    pub fn appended(&mut self, verdict: Appended) {
        let state = std::mem::replace(&mut self.state, State::Read { is_recent: true });
        if let (Appended::Durable, State::Append { frame, answer, .. }) = (verdict, state) {
            self.fold.apply(self.next, &frame);
            self.next += 1;
            self.state = State::Answer(answer);
        }
    }

    /// Reports that a read or an append found that the log starts above the next number.
    pub fn trimmed(&mut self, base: u64) {
        self.state = State::Restore { base };
    }

    /// Replaces the fold by one that contains all frames below `next`, which are flushed.
    pub fn restored(&mut self, fold: F, next: u64) {
        (self.fold, self.next, self.flushed) = (fold, next, next);
        self.state = State::Read { is_recent: true };
    }

    /// Records that the contents of the frames below a number are durable elsewhere.
    pub fn record_flushed(&mut self, below: u64) {
        self.flushed = self.flushed.max(below);
    }

    /// Returns the number below which the log may be trimmed.
    pub fn trimmable(&self) -> u64 {
        if is_seeded(Bug::TrimBeforeCommit) { self.next } else { self.flushed }
    }
}

/// Loads flushed states.
#[async_trait]
pub trait Restore<F>: Sync {
    /// Returns the newest flushed state, and the number of the first frame that is not in it, which
    /// is at least `base`.
    async fn restore(&self, base: u64) -> Result<(F, u64), LogError>;
}

impl<F> Replica<F>
where
    F: Fold + Send,
    F::Request: Send,
    F::Answer: Clone + Send,
{
    /// Runs the replica on a log until a request is answered, and returns it with its answer; or
    /// until it has nothing to do.
    ///
    /// After an error, the next call continues where this one stopped.
    pub async fn run(
        &mut self,
        log: &dyn Log,
        states: &dyn Restore<F>,
    ) -> Result<Option<(F::Request, F::Answer)>, LogError> {
        loop {
            let result = match self.action() {
                Action::Wait => return Ok(None),
                Action::Answer(answer) => {
                    return Ok(self.answered().map(|request| (request, answer)));
                }
                Action::Read { from } => log.read(from).await.map(|frames| self.read(&frames)),
                Action::Append { at, id, frame } => {
                    log.append(at, id, frame).await.map(|verdict| self.appended(verdict))
                }
                Action::Restore { base } => {
                    let (fold, next) = states.restore(base).await?;
                    self.restored(fold, next);
                    Ok(())
                }
            };
            match result {
                Err(LogError::Trimmed { base, .. }) => self.trimmed(base),
                result => result?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without gaps.
    #[derive(Clone, Debug, Default)]
    struct Counted(u8);

    impl Fold for Counted {
        type Request = u8;
        type Answer = &'static str;

        fn apply(&mut self, _: u64, frame: &Bytes) {
            self.0 = frame[0] + 1;
        }

        fn skip(&mut self, _: u64) {}

        fn decide(&self, number: &u8) -> Decision<&'static str> {
            match number.cmp(&self.0) {
                std::cmp::Ordering::Less => Decision::Known("known"),
                std::cmp::Ordering::Equal => Decision::Append(vec![*number].into(), "stored"),
                std::cmp::Ordering::Greater => Decision::Gap("refused"),
            }
        }
    }

    /// Returns a replica that has read an empty log.
    fn replica() -> Replica<Counted> {
        let mut replica = Replica::new(Counted::default(), 1);
        assert_eq!(replica.action(), Action::Read { from: 1 });
        replica.read(&[]);
        assert_eq!(replica.action(), Action::Wait);
        replica
    }

    fn frames(numbers: &[u8]) -> Vec<Option<Bytes>> {
        numbers.iter().map(|number| Some(vec![*number].into())).collect()
    }

    #[test]
    fn a_lost_append_is_decided_again() {
        let mut replica = replica();
        replica.request(0);
        let Action::Append { at: 1, id, .. } = replica.action() else { panic!("no append") };
        // Without a verdict, the same frame is appended again.
        assert!(matches!(replica.action(), Action::Append { at: 1, id: again, .. } if again == id));
        replica.appended(Appended::Lost);
        assert_eq!(replica.action(), Action::Read { from: 1 });
        replica.read(&frames(&[0]));
        assert_eq!(replica.action(), Action::Answer("known"));
        assert_eq!(replica.answered(), Some(0));
        assert_eq!((replica.action(), replica.next()), (Action::Wait, 2));
    }

    #[test]
    fn a_durable_frame_is_applied() {
        let mut replica = replica();
        replica.request(0);
        replica.request(1);
        for at in [1, 2] {
            assert!(matches!(replica.action(), Action::Append { at: found, .. } if found == at));
            replica.appended(Appended::Durable);
            assert_eq!(replica.action(), Action::Answer("stored"));
            assert!(replica.answered().is_some());
        }
        assert_eq!(replica.fold().0, 2);
        assert_eq!(replica.trimmable(), 1);
        replica.record_flushed(2);
        assert_eq!(replica.trimmable(), 2);
    }

    #[test]
    fn a_gap_is_refused_only_at_the_end_of_the_log() {
        let mut replica = replica();
        replica.request(2);
        assert_eq!(replica.action(), Action::Read { from: 1 });
        replica.read(&frames(&[0]));
        assert_eq!(replica.action(), Action::Read { from: 2 });
        replica.read(&[]);
        assert_eq!(replica.action(), Action::Answer("refused"));
    }

    #[test]
    fn a_read_that_began_before_a_request_does_not_show_the_end_of_the_log() {
        let mut replica = replica();
        replica.follow();
        assert_eq!(replica.action(), Action::Read { from: 1 });
        replica.request(1);
        replica.read(&[]);
        assert_eq!(replica.action(), Action::Read { from: 1 });
        replica.read(&frames(&[0]));
        assert!(matches!(replica.action(), Action::Append { at: 2, .. }));
    }

    #[test]
    fn a_replica_behind_the_base_is_restored() {
        let mut replica = replica();
        replica.request(0);
        replica.action();
        replica.trimmed(5);
        assert_eq!(replica.action(), Action::Restore { base: 5 });
        replica.restored(Counted(3), 7);
        assert_eq!(replica.action(), Action::Read { from: 7 });
        replica.read(&[]);
        assert_eq!(replica.action(), Action::Answer("known"));
        assert_eq!(replica.trimmable(), 7);
    }
}
