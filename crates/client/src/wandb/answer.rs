//! Interpretation of the server's responses (protocol notes §7).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, RETRY_AFTER};
use http::{Response, StatusCode};
use streamtable_transport::TransportError;
use streamtable_wire::graphql::error_messages;

use crate::{AppendError, OpenError, StopReason};

/// Maximum delay that a server may ask for. A longer one is probably a clock error.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Passes an answer on if it says yes, and says what to do if not.
pub(super) fn check(
    response: Result<Response<Bytes>, TransportError>,
) -> Result<Response<Bytes>, AppendError> {
    let response = response.map_err(transport_error)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let message = message(&response);
    Err(match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            AppendError::Refused { message }
        }
        StatusCode::PAYLOAD_TOO_LARGE => AppendError::TooLarge,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            transient(message, response.headers())
        }
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

/// Says what a failed exchange means.
pub(super) fn transport_error(error: TransportError) -> AppendError {
    let message = error.to_string();
    if error.is_retryable() {
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

/// Returns the server's message for people: its error messages, or only the status if the body is a
/// page or similar.
fn message(response: &Response<Bytes>) -> String {
    let messages = error_messages(response.body());
    let status = response.status();
    if messages.is_empty() {
        return format!("status {status}");
    }
    let mut text = format!("status {}: {}", status.as_u16(), messages.join("; "));
    if text.len() > 1000 {
        let end = (0..=1000).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
            match check(Ok(response)) {
                Ok(_) => "stored",
                Err(AppendError::Transient { .. }) => "again",
                Err(AppendError::TooLarge) => "halve",
                Err(AppendError::Refused { .. }) => "halve, refuse the last",
                Err(AppendError::Stopped(_)) => "stop",
            }
        };
        for (statuses, expected) in [
            (&[200, 201, 204][..], "stored"),
            (&[408, 425, 429, 500, 502, 503, 504, 507, 520], "again"),
            (&[413], "halve"),
            (&[400, 422], "halve, refuse the last"),
            (&[301, 307, 401, 402, 403, 404, 405, 409, 410, 415, 501], "stop"),
        ] {
            for &status in statuses {
                assert_eq!(verdict(status), expected, "{status}");
            }
        }
    }

    #[test]
    fn messages_are_short_and_never_pages() {
        let say = |body: &str| {
            let response = Response::builder().status(500).body(Bytes::from(body.to_owned()));
            message(&response.unwrap())
        };
        assert_eq!(say(r#"{"errors":[{"message":"no"},"really"]}"#), "status 500: no; really");
        assert_eq!(say("<html>oh</html>"), "status 500 Internal Server Error");
        let long = format!(r#"{{"errors":["{}"]}}"#, "ü".repeat(5000));
        assert!(say(&long).len() < 1010);
    }
}
