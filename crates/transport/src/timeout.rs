use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response};

use crate::{AttemptTimeout, Timer, Transport, TransportError};

/// Fails a request that takes too long; made by
/// [`with_timeout`](crate::TransportExt::with_timeout).
#[derive(Clone, Debug)]
pub struct Timeout<T> {
    inner: T,
    limit: Duration,
    timer: Arc<dyn Timer>,
}

impl<T> Timeout<T> {
    pub(crate) fn new(inner: T, limit: Duration, timer: impl Timer + 'static) -> Self {
        Self { inner, limit, timer: Arc::new(timer) }
    }
}

#[async_trait]
impl<T: Transport> Transport for Timeout<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let after = AttemptTimeout::lower(request.extensions(), self.limit);
        match select(self.inner.send(request), self.timer.sleep(after)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(TransportError::Timeout { after }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::TransportExt;
    use crate::testing::{Recorder, get, ready};

    /// A transport that never responds.
    #[derive(Debug)]
    struct Silent;

    #[async_trait]
    impl Transport for Silent {
        async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
            pending().await
        }
    }

    /// A timer whose time passes at once.
    #[derive(Debug)]
    struct Hurried;

    #[async_trait]
    impl Timer for Hurried {
        async fn sleep(&self, _: Duration) {}
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_silent_transport_times_out() {
        let transport = Silent.with_timeout(MINUTE, Hurried);
        let error = ready(transport.send(get("https://api.example/"))).unwrap_err();
        assert_eq!(error, TransportError::Timeout { after: MINUTE });
    }

    #[test]
    fn a_request_can_lower_the_timeout() {
        let transport = Silent.with_timeout(MINUTE, Arc::new(Hurried));
        let mut request = get("https://api.example/");
        request.extensions_mut().insert(AttemptTimeout(Duration::from_secs(1)));
        let error = ready(transport.send(request)).unwrap_err();
        assert_eq!(error, TransportError::Timeout { after: Duration::from_secs(1) });
    }

    #[test]
    fn a_ready_response_wins_over_an_expired_timer() {
        let transport = Recorder::default().with_timeout(MINUTE, Hurried);
        assert!(ready(transport.send(get("https://api.example/"))).is_ok());
    }
}
