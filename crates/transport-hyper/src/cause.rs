//! Conversion of library errors to [`TransportError`].

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use streamtable_transport::TransportError;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Converts the error of a failed attempt to connect to `host`.
pub(crate) fn of_connecting(error: BoxError, host: String) -> TransportError {
    let error = &*error;
    match of_tls(error) {
        Some(reason) => TransportError::Tls { host, reason },
        None => TransportError::Unreachable { host, reason: reason(error) },
    }
}

/// Returns the reason if TLS is what failed.
#[cfg(feature = "tls")]
fn of_tls(error: &(dyn Error + 'static)) -> Option<String> {
    let tls = find::<rustls::Error>(error)?;
    let hint = match tls {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "; trust its issuer on this machine or through HyperConfig::roots"
        }
        _ => "",
    };
    Some(format!("{tls}{hint}"))
}

#[cfg(not(feature = "tls"))]
fn of_tls(_: &(dyn Error + 'static)) -> Option<String> {
    None
}

/// Converts the error of a failed exchange with `host`.
pub(crate) fn of_exchange(error: &legacy::Error, host: String) -> TransportError {
    if let Some(connecting) = find::<TransportError>(error) {
        return connecting.clone();
    }
    // hyper reports a request as canceled only if no byte of it was written.
    let unsent = find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled);
    // The outermost error is only "client error".
    let reason = error.source().map_or_else(|| error.to_string(), reason);
    if unsent || error.is_connect() {
        TransportError::Unreachable { host, reason }
    } else {
        TransportError::Interrupted { host, reason }
    }
}

/// Joins the whole chain of causes in one line.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Returns the first `T` in the chain of causes.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // `io::Error::source` skips the wrapped error and returns that error's source.
            Some(wrapper) => wrapper.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}
