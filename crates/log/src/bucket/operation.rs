//! The interface of the state machines.

use std::time::Duration;

use super::base::BaseView;
use super::request::{Request, Response};
use crate::LogError;

/// The result of an operation once it has one.
pub(crate) type Verdict<T> = Option<Result<T, LogError>>;

/// A state machine that takes several requests, without clock and I/O. `V` is the version of an object.
pub(crate) trait Operation<V> {
    type Output;

    /// Returns the next request. Until there is a response, it is the same one.
    fn request(&self) -> Request<V>;

    /// Handles the response, at `now`, to a request that was sent at `asked_at`.
    fn handle(
        &mut self,
        response: Response<V>,
        asked_at: Duration,
        now: Duration,
        view: &mut BaseView,
    ) -> Verdict<Self::Output>;
}
