use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::Uri;
use tower_service::Service;

/// A connector that returns an existing connection.
pub(crate) struct ExistingConnection<T>(Option<T>);

impl<T> ExistingConnection<T> {
    pub(crate) fn new(io: T) -> Self {
        Self(Some(io))
    }
}

impl<T> Service<Uri> for ExistingConnection<T> {
    type Response = T;
    type Error = Infallible;
    type Future = Ready<Result<T, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Ok(self.0.take().expect("called once")))
    }
}
