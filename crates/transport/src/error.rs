use std::time::Duration;

/// The reason why no complete response arrived.
///
/// `host` is `host` or `host:port`; no variant ever holds a header, a query, a body or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection could be made, and nothing was sent: unknown name, connection refused, no
    /// network.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server, or the proxy in front of it.
        host: String,
        /// The network's error message.
        reason: String,
    },
    /// The server's certificate is not trusted, or there is no common TLS version. Nothing was
    /// sent.
    #[error("no trusted connection to {host}: {reason}")]
    Tls {
        /// The server, or the proxy in front of it.
        host: String,
        /// The reason.
        reason: String,
    },
    /// The proxy did not connect to the server. Nothing was sent.
    #[error("the proxy {host} did not connect: {reason}")]
    Proxy {
        /// The proxy.
        host: String,
        /// The proxy's response.
        reason: String,
    },
    /// The proxy requires credentials, or refused the given ones. Nothing was sent.
    #[error(
        "the proxy {host} refused the credentials: give them in its URL, http://user:password@{host}"
    )]
    ProxyAuth {
        /// The proxy.
        host: String,
    },
    /// The response did not arrive in time.
    #[error("no response within {after:?}")]
    Timeout {
        /// The effective limit.
        after: Duration,
    },
    /// The connection was lost or the response was damaged, after sending began.
    #[error("lost the connection to {host} before the response was complete: {reason}")]
    Interrupted {
        /// The server.
        host: String,
        /// The connection's error message.
        reason: String,
    },
    /// The response exceeds the transport's size limit.
    #[error("the response is longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The transport cannot send this request. Nothing was sent.
    #[error("cannot send this request: {reason}")]
    InvalidRequest {
        /// The reason.
        reason: String,
    },
}

impl TransportError {
    /// Returns whether the same request may succeed later, without any change on this machine.
    ///
    /// This does not mean that a retry is safe; see [`may_have_arrived`].
    ///
    /// [`may_have_arrived`]: Self::may_have_arrived
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::Interrupted { .. } => true,
            Self::Tls { .. }
            | Self::ProxyAuth { .. }
            | Self::BodyTooLarge { .. }
            | Self::InvalidRequest { .. } => false,
        }
    }

    /// Returns whether the server may have acted on the request: `false` is certain, `true` is not.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Interrupted { .. } | Self::BodyTooLarge { .. } => true,
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Proxy { .. }
            | Self::ProxyAuth { .. }
            | Self::InvalidRequest { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: TransportError, retryable: bool, may_have_arrived: bool, text: &str) {
        assert_eq!(error.is_retryable(), retryable, "{error:?}");
        assert_eq!(error.may_have_arrived(), may_have_arrived, "{error:?}");
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn errors_are_classified() {
        let (host, reason) = (|| "api.example".to_owned(), || "because".to_owned());
        check(
            TransportError::Unreachable { host: host(), reason: reason() },
            true,
            false,
            "cannot reach api.example: because",
        );
        check(
            TransportError::Tls { host: host(), reason: reason() },
            false,
            false,
            "no trusted connection to api.example: because",
        );
        check(
            TransportError::Proxy { host: host(), reason: reason() },
            true,
            false,
            "the proxy api.example did not connect: because",
        );
        check(
            TransportError::ProxyAuth { host: host() },
            false,
            false,
            "the proxy api.example refused the credentials: \
             give them in its URL, http://user:password@api.example",
        );
        check(
            TransportError::Timeout { after: Duration::from_millis(2500) },
            true,
            true,
            "no response within 2.5s",
        );
        check(
            TransportError::Interrupted { host: host(), reason: reason() },
            true,
            true,
            "lost the connection to api.example before the response was complete: because",
        );
        check(
            TransportError::BodyTooLarge { limit: 10 },
            false,
            true,
            "the response is longer than 10 bytes",
        );
        check(
            TransportError::InvalidRequest { reason: reason() },
            false,
            false,
            "cannot send this request: because",
        );
    }
}
