use std::time::Duration;

/// Why no whole answer came.
///
/// `host` is `host` or `host:port`; no variant ever holds a header, a query, a body or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// There is no connection, and nothing was sent: no such name, connection refused, no network.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The server, or the proxy in front of it.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The server could not be trusted, or speaks no common TLS. Nothing was sent.
    #[error("no trusted connection to {host}: {reason}")]
    Tls {
        /// The server, or the proxy in front of it.
        host: String,
        /// What is wrong with the certificate or the handshake.
        reason: String,
    },
    /// The proxy would not connect to the server. Nothing was sent.
    #[error("the proxy {host} does not connect: {reason}")]
    Proxy {
        /// The proxy.
        host: String,
        /// What it answered.
        reason: String,
    },
    /// The proxy wants other credentials, or any. Nothing was sent.
    #[error(
        "the proxy {host} refused the credentials: give them in its URL, http://user:password@{host}"
    )]
    ProxyAuth {
        /// The proxy.
        host: String,
    },
    /// The answer took too long.
    #[error("no answer within {after:?}")]
    Timeout {
        /// The limit that was in force.
        after: Duration,
    },
    /// The connection was lost, or the answer was damaged, after sending began.
    #[error("lost {host} before its answer was whole: {reason}")]
    Interrupted {
        /// The server.
        host: String,
        /// What the connection said.
        reason: String,
    },
    /// The answer is longer than the transport accepts.
    #[error("the answer is longer than {limit} bytes")]
    BodyTooLarge {
        /// How many bytes would have been accepted.
        limit: usize,
    },
    /// The request makes no sense to the transport. Nothing was sent.
    #[error("cannot send this request: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: String,
    },
}

impl TransportError {
    /// Whether the same request may get an answer later, with nothing changed on this machine.
    ///
    /// That says nothing on whether a repeat is harmless; see [`may_have_arrived`].
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

    /// Whether the server may have acted on the request: `false` is certain, `true` is not.
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
    fn what_a_caller_may_do_about_it() {
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
            "the proxy api.example does not connect: because",
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
            "no answer within 2.5s",
        );
        check(
            TransportError::Interrupted { host: host(), reason: reason() },
            true,
            true,
            "lost api.example before its answer was whole: because",
        );
        check(
            TransportError::BodyTooLarge { limit: 10 },
            false,
            true,
            "the answer is longer than 10 bytes",
        );
        check(
            TransportError::InvalidRequest { reason: reason() },
            false,
            false,
            "cannot send this request: because",
        );
    }
}
