//! Responses that last: they end when their caller loses its access.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper::body::Frame;
use streamtable_server_core::Core;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{ApiError, Principal};

/// How often the access of a caller is checked, besides after each revocation: its session may have
/// ended, or another process may have revoked its key.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// The credentials of a request, so that they can be checked again.
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    parts: Parts,
    /// Changes with each revocation since before the credentials were checked.
    revocations: watch::Receiver<()>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Core: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let revocations = Core::from_ref(state).catalog.revocations();
        let principal = Principal::from_request_parts(parts, state).await?;
        Ok(Self { principal, parts: credentials(parts), revocations })
    }
}

impl Caller {
    /// Returns when the credentials are no longer valid, or give other rights.
    pub(crate) async fn revoked(mut self, core: Core) {
        let mut interval = interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                // The sender is part of `core`, so this cannot fail.
                _ = self.revocations.changed() => {}
            }
            let is_valid = match Principal::from_request_parts(&mut self.parts, &core).await {
                Ok(now) => now == self.principal,
                // If the catalog is busy, the key may still be valid.
                Err(error) => error.status() != StatusCode::UNAUTHORIZED,
            };
            if !is_valid {
                return;
            }
        }
    }
}

/// Copies what identifies the caller of a request.
fn credentials(parts: &Parts) -> Parts {
    let mut kept = http::Request::new(()).into_parts().0;
    (kept.method, kept.uri) = (parts.method.clone(), parts.uri.clone());
    kept.headers = parts.headers.clone();
    kept
}

/// Middleware that aborts responses of unknown length when their caller loses its access: tails, and
/// results that are still computed.
pub(crate) async fn end_with_access(
    State(core): State<Core>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut kept = credentials(&parts);
    let response = next.run(Request::from_parts(parts, body)).await;
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let caller = match Caller::from_request_parts(&mut kept, &core).await {
        Ok(caller) => caller,
        // All routes with such responses need credentials: these were valid until now.
        Err(error) => return error.into_response(),
    };
    let revoked = Box::pin(caller.revoked(core));
    response.map(|body| Body::new(EndingBody { body, revoked }))
}

/// A body that fails when `revoked` is ready.
struct EndingBody {
    body: Body,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HttpBody for EndingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.revoked.as_mut().poll(context).is_ready() {
            let error = axum::Error::new("the key is no longer valid");
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}
