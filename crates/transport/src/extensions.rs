//! Per-request options, set through `http::Request::extensions_mut`.

use std::time::Duration;

use http::Extensions;

/// Lowers the timeout of this request.
///
/// It can only lower the transport's limit. A caller with one deadline for several attempts puts
/// the remaining time here, so that timeouts do not multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptTimeout(pub Duration);

impl AttemptTimeout {
    /// Returns the lower of `limit` and the request's own limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use streamtable_transport::AttemptTimeout;
    ///
    /// let mut extensions = http::Extensions::new();
    /// extensions.insert(AttemptTimeout(Duration::from_secs(5)));
    /// let limit = AttemptTimeout::lower(&extensions, Duration::from_secs(60));
    /// assert_eq!(limit, Duration::from_secs(5));
    /// ```
    pub fn lower(extensions: &Extensions, limit: Duration) -> Duration {
        extensions.get::<Self>().map_or(limit, |asked| asked.0.min(limit))
    }
}

/// Allows the transport to compress this request's body with gzip.
///
/// For callers that know that the server accepts it. A transport without gzip ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipBody;

/// Prevents [`BasicAuth`](crate::BasicAuth) from adding the key to this request.
///
/// For URLs that carry their own permission and may share the API's origin, such as presigned
/// uploads: some object stores refuse a request with two kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anonymous;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: Option<u64>, configured: u64, expected: u64) {
        let mut extensions = Extensions::new();
        if let Some(asked) = asked {
            extensions.insert(AttemptTimeout(Duration::from_secs(asked)));
        }
        let found = AttemptTimeout::lower(&extensions, Duration::from_secs(configured));
        assert_eq!(found, Duration::from_secs(expected));
    }

    #[test]
    fn a_request_only_lowers_the_limit() {
        check(None, 60, 60);
        check(Some(5), 60, 5);
        check(Some(90), 60, 60);
        check(Some(0), 60, 0);
    }
}
