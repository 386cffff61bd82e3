//! Interpretation of the server's responses (protocol notes §7).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use streamtable_transport::TransportError;
use streamtable_wire::graphql::{GraphqlError, error_messages};
use streamtable_wire::{NotAnAck, is_verdict};

use crate::seeded_bug::{Bug, is_seeded};
use crate::{AppendError, OpenError, StopReason};

/// Posts up to this size are within the limits of all servers and proxies.
const SMALL_POST_BYTES: usize = 64 << 10;

/// Maximum delay that a server may ask for. A longer one is probably a clock error.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The server, or a proxy in its place, that sent a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Responder<'a> {
    /// The server's host and port.
    pub(super) host: &'a str,
    /// Whether the server is known to be a StreamTable server, whose responses state what they cover.
    pub(super) must_state: bool,
    /// Whether the server has responded before, so that its certificate was accepted.
    pub(super) was_reached: bool,
}

/// Returns a successful response, or the error category of any other. `sent` is the size of the
/// request's body.
///
/// A successful response is not always an acknowledgement: see [`acked`]. Any other status counts only
/// if the response is the server's: a captive portal's page does not stop the stream.
pub(super) fn check(
    response: Result<Response<Bytes>, TransportError>,
    from: Responder<'_>,
    sent: usize,
) -> Result<Response<Bytes>, AppendError> {
    let response = response.map_err(|error| transport_error(error, from))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let message = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT => {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.map_or(String::new(), |to| format!(" to {}", short(to)));
            format!("{}: {} has moved{to}", message(&response), from.host)
        }
        _ => message(&response),
    };
    let is_large = status == StatusCode::PAYLOAD_TOO_LARGE && sent > SMALL_POST_BYTES;
    let is_retried = status.is_server_error() || is_busy(status);
    if !is_large && !is_retried && !is_verdict(&response, from.must_state) {
        return Err(not_acked(NotAnAck::new(&response, message), from));
    }
    Err(match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            AppendError::Refused { message }
        }
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT => {
            AppendError::Stopped(StopReason::Refused { message })
        }
        // Probably a captive portal that requires a login.
        status if status.is_redirection() || status.is_informational() => {
            not_acked(NotAnAck::new(&response, message), from)
        }
        StatusCode::PAYLOAD_TOO_LARGE => AppendError::TooLarge,
        status if is_busy(status) => transient(message, response.headers()),
        StatusCode::NOT_IMPLEMENTED => AppendError::Stopped(StopReason::Refused { message }),
        status if status.is_server_error() => transient(message, response.headers()),
        StatusCode::UNAUTHORIZED => AppendError::Stopped(StopReason::Unauthorized { message }),
        StatusCode::FORBIDDEN => AppendError::Stopped(StopReason::Forbidden { message }),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            AppendError::Stopped(StopReason::NotFound { message })
        }
        _ => AppendError::Stopped(StopReason::Refused { message }),
    })
}

fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    )
}

/// Returns the parsed response. If it is not an acknowledgement, returns an error, so that the request
/// is retried.
pub(super) fn acked<T: Default>(
    parsed: Result<T, NotAnAck>,
    from: Responder<'_>,
) -> Result<T, AppendError> {
    match parsed {
        Err(_) if is_seeded(Bug::AckOnAnySuccess) => Ok(T::default()),
        parsed => parsed.map_err(|error| not_acked(error, from)),
    }
}

/// Converts an error of a GraphQL response.
pub(super) fn graphql_error(error: GraphqlError, from: Responder<'_>) -> AppendError {
    match error {
        GraphqlError::Refused { messages } => AppendError::Refused { message: messages.join("; ") },
        GraphqlError::NotAnAck(error) => not_acked(error, from),
        error => AppendError::Transient { message: error.to_string(), retry_after: None },
    }
}

fn not_acked(error: NotAnAck, from: Responder<'_>) -> AppendError {
    AppendError::Transient { message: format!("{} {error}", from.host), retry_after: None }
}

/// Converts a transport error.
///
/// A response that is too long may come from a captive portal, and so may an untrusted certificate if
/// the server's was accepted before.
fn transport_error(error: TransportError, from: Responder<'_>) -> AppendError {
    let message = error.to_string();
    let is_portal = match error {
        TransportError::Tls { .. } => from.was_reached,
        TransportError::BodyTooLarge { .. } => true,
        _ => false,
    };
    if error.is_retryable() || is_portal {
        AppendError::Transient { message, retry_after: None }
    } else {
        AppendError::Stopped(StopReason::Refused { message })
    }
}

/// Converts an append error to an open error.
pub(super) fn open_error(error: AppendError) -> OpenError {
    match error {
        AppendError::Transient { message, .. } => {
            OpenError::Unavailable { waited: Duration::ZERO, reason: message }
        }
        AppendError::Stopped(reason) => OpenError::Stopped(reason),
        AppendError::Refused { message } => OpenError::Stopped(StopReason::Refused { message }),
        AppendError::TooLarge => OpenError::Backend { reason: error.to_string() },
    }
}

/// Returns the delay that the server's rate limit implies: the rest of the window, divided by the
/// remaining requests.
pub(super) fn pause(headers: &HeaderMap) -> Duration {
    let number = |name: &str| -> Option<f64> {
        let number: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    match (number("ratelimit-remaining"), number("ratelimit-reset")) {
        (Some(remaining), Some(reset)) => {
            Duration::from_secs_f64(reset.min(MAX_WAIT.as_secs_f64()) / remaining.max(1.0))
        }
        _ => Duration::ZERO,
    }
}

fn transient(message: String, headers: &HeaderMap) -> AppendError {
    AppendError::Transient { message, retry_after: retry_after(headers) }
}

/// Parses `Retry-After`: seconds, including fractions, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64()))
        }
        Ok(_) => return None,
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

/// Returns a readable message: the server's error messages, or only the status if the body contains
/// none, for example a page.
fn message(response: &Response<Bytes>) -> String {
    let messages = error_messages(response.body());
    let status = response.status();
    if messages.is_empty() {
        return format!("status {status}");
    }
    short(&format!("status {}: {}", status.as_u16(), messages.join("; ")))
}

/// Truncates a text from a server, which may be long.
fn short(text: &str) -> String {
    if text.len() <= 1000 {
        return text.to_owned();
    }
    let end = (0..=1000).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_SERVER: Responder<'_> =
        Responder { host: "h:1", must_state: false, was_reached: false };

    #[track_caller]
    fn check_wait(value: &str, expected: Option<Duration>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        assert_eq!(retry_after(&headers), expected);
    }

    #[test]
    fn waits() {
        check_wait("7", Some(Duration::from_secs(7)));
        check_wait(" 0.25 ", Some(Duration::from_millis(250)));
        check_wait("1e300", Some(MAX_WAIT));
        check_wait("-1", None);
        check_wait("NaN", None);
        check_wait("soon", None);
        check_wait("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check_wait("Tue, 31 Dec 2999 23:59:59 GMT", Some(MAX_WAIT));
    }

    #[track_caller]
    fn check_pause(remaining: &str, reset: &str, expected: Duration) {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-remaining", remaining.parse().unwrap());
        headers.insert("ratelimit-reset", reset.parse().unwrap());
        assert_eq!(pause(&headers), expected);
    }

    #[test]
    fn rate_limits() {
        check_pause("10", "60", Duration::from_secs(6));
        check_pause("0", "60", Duration::from_secs(60));
        check_pause("0", "1e9", MAX_WAIT);
        check_pause("-1", "60", Duration::ZERO);
        check_pause("x", "60", Duration::ZERO);
        assert_eq!(pause(&HeaderMap::new()), Duration::ZERO);
    }

    #[test]
    fn statuses() {
        let verdict = |status: u16| {
            let response = Response::builder().status(status).body(Bytes::new()).unwrap();
            match check(Ok(response), ANY_SERVER, 10) {
                Ok(_) => "success",
                Err(AppendError::Transient { .. }) => "retry",
                Err(AppendError::TooLarge) => "halve",
                Err(AppendError::Refused { .. }) => "halve, reject the last",
                Err(AppendError::Stopped(_)) => "stop",
            }
        };
        for (statuses, expected) in [
            (&[200, 201, 204][..], "success"),
            (&[100, 300, 302, 303, 307, 408, 425, 429, 500, 502, 503, 504, 507, 520], "retry"),
            (&[413], "halve"),
            (&[400, 422], "halve, reject the last"),
            (&[301, 308, 401, 402, 403, 404, 405, 409, 410, 415, 501], "stop"),
        ] {
            for &status in statuses {
                assert_eq!(verdict(status), expected, "{status}");
            }
        }
    }

    #[test]
    fn a_page_is_not_a_verdict() {
        let is_verdict = |status: u16, body: &'static str, must_state| {
            let response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
            match check(Ok(response), Responder { must_state, ..ANY_SERVER }, 10).unwrap_err() {
                AppendError::Transient { message, .. } => {
                    let expected = format!("h:1 answered {status} with ");
                    assert!(message.starts_with(&expected), "{message}");
                    false
                }
                _ => true,
            }
        };
        for status in [301, 308, 400, 401, 403, 404, 405, 407, 410, 413, 422, 451] {
            assert!(is_verdict(status, r#"{"errors":["no"]}"#, true), "{status}");
            assert!(is_verdict(status, "no", false) && !is_verdict(status, "no", true), "{status}");
            assert!(!is_verdict(status, "<html>no</html>", false), "{status}");
        }
    }

    /// Proxies answer large posts with pages, and small ones only if they are captive portals.
    #[test]
    fn a_large_post_that_a_proxy_refuses_is_halved() {
        let is_halved = |sent| {
            let response = Response::builder().status(413).body(Bytes::from("<html>no</html>"));
            let error = check(Ok(response.unwrap()), ANY_SERVER, sent).unwrap_err();
            matches!(error, AppendError::TooLarge)
        };
        assert!(is_halved(SMALL_POST_BYTES + 1) && !is_halved(SMALL_POST_BYTES));
    }

    #[test]
    fn a_move_names_the_new_address() {
        let response = Response::builder().status(308).header("location", "https://h/x");
        let error = check(Ok(response.body(Bytes::new()).unwrap()), ANY_SERVER, 10).unwrap_err();
        assert!(error.to_string().contains("h:1 has moved to https://h/x"), "{error}");
    }

    #[test]
    fn failed_exchanges() {
        let (host, reason) = ("h".to_owned(), "r".to_owned());
        let is_transient_from = |error, from| {
            matches!(check(Err(error), from, 10).unwrap_err(), AppendError::Transient { .. })
        };
        let is_transient = |error| is_transient_from(error, ANY_SERVER);
        let tls = TransportError::Tls { host: host.clone(), reason: reason.clone() };
        assert!(!is_transient(tls.clone()));
        assert!(is_transient_from(tls, Responder { was_reached: true, ..ANY_SERVER }));
        assert!(is_transient(TransportError::BodyTooLarge { limit: 7 }));
        assert!(is_transient(TransportError::Interrupted { host: host.clone(), reason }));
        assert!(!is_transient(TransportError::ProxyAuth { host }));
    }

    #[test]
    fn messages_are_short_and_never_pages() {
        let message_of = |body: &str| {
            let response = Response::builder().status(500).body(Bytes::from(body.to_owned()));
            message(&response.unwrap())
        };
        assert_eq!(
            message_of(r#"{"errors":[{"message":"no"},"really"]}"#),
            "status 500: no; really"
        );
        assert_eq!(message_of("<html>oh</html>"), "status 500 Internal Server Error");
        let long = format!(r#"{{"errors":["{}"]}}"#, "ü".repeat(5000));
        assert!(message_of(&long).len() < 1010);
    }
}
