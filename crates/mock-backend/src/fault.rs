use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

/// A fault of one request.
///
/// The text form, for printing and parsing, has durations in milliseconds: `late`,
/// `lose-answer(timeout)`, `delay(1500ms)`, `status(429,7000ms)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The connection fails; the client knows that nothing was sent.
    Unreachable,
    /// The request is lost.
    LoseRequest(Loss),
    /// The request is handled, and its response is lost.
    LoseAnswer(Loss),
    /// The request is handled at once, and its response is delayed.
    Delay(Duration),
    /// The request arrives twice, directly one after the other; the client gets the second
    /// response.
    Duplicate,
    /// The client sees a timeout. The request arrives after the next request of its kind, or when
    /// [`settle`](crate::MockBackend::settle) is called.
    Late,
    /// The request is refused with this status and not handled.
    Status {
        /// The status.
        code: StatusCode,
        /// The header `Retry-After`, in seconds, with a fraction if needed.
        retry_after: Option<Duration>,
    },
    /// The request is handled, and the client gets this status, as from a proxy that lost the
    /// response.
    StatusAfter(StatusCode),
    /// The client gets an HTML page with status 502, as from a proxy without a server behind it.
    /// The request is not handled.
    HtmlErrorPage,
    /// The request is handled; the connection breaks in the middle of the response.
    CutBody,
    /// The request is not handled, but redirected with status 307.
    Redirect,
    /// The response has a success status but is not an acknowledgement.
    NoAck(NoAck),
    /// Only the first half of a post with several rows arrives, and the response says so. If the
    /// mock's responses do not [state what they cover](crate::MockConfig::acks), the whole post
    /// arrives.
    PartialAck,
}

/// A response with a success status that is not an acknowledgement. Unless stated otherwise, the
/// request is not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoAck {
    /// 200 with an HTML page, as from a captive portal.
    Page,
    /// 204.
    NoContent,
    /// 200 with an empty body.
    Empty,
    /// The request is handled; only the first half of the response's body arrives, in a response
    /// that looks complete.
    Truncated,
    /// 200 with JSON of the wrong shape.
    WrongShape,
    /// The response to another request.
    OtherAnswer,
}

/// How a client notices that a message was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// The connection breaks.
    Interrupted,
    /// No response arrives.
    Timeout,
}

impl Fault {
    /// Returns the fault that responds with a status instead of handling the request.
    ///
    /// # Panics
    ///
    /// Panics if `code` is not between 100 and 999.
    pub fn status(code: u16) -> Self {
        let code = StatusCode::from_u16(code).expect("a status has three digits");
        Self::Status { code, retry_after: None }
    }

    /// Returns the fault that responds with a status and `Retry-After`.
    ///
    /// # Panics
    ///
    /// Panics if `code` is not between 100 and 999.
    pub fn retry_after(code: u16, after: Duration) -> Self {
        match Self::status(code) {
            Self::Status { code, .. } => Self::Status { code, retry_after: Some(after) },
            other => other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("unreachable"),
            Self::LoseRequest(loss) => write!(f, "lose-request({loss})"),
            Self::LoseAnswer(loss) => write!(f, "lose-answer({loss})"),
            Self::Delay(delay) => write!(f, "delay({}ms)", delay.as_millis()),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Late => f.write_str("late"),
            Self::Status { code, retry_after: None } => write!(f, "status({})", code.as_u16()),
            Self::Status { code, retry_after: Some(after) } => {
                write!(f, "status({},{}ms)", code.as_u16(), after.as_millis())
            }
            Self::StatusAfter(code) => write!(f, "status-after({})", code.as_u16()),
            Self::HtmlErrorPage => f.write_str("html"),
            Self::CutBody => f.write_str("cut-body"),
            Self::Redirect => f.write_str("redirect"),
            Self::NoAck(kind) => write!(f, "no-ack({kind})"),
            Self::PartialAck => f.write_str("partial-ack"),
        }
    }
}

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(text: &str) -> Result<Self, NotAFault> {
        let not_a_fault = || NotAFault { text: text.to_owned() };
        let (name, argument) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let loss = || argument.and_then(Loss::parse).ok_or_else(not_a_fault);
        let code = |text: &str| text.parse().map_err(|_| not_a_fault());
        let millis = |text: &str| {
            let millis = text.strip_suffix("ms").and_then(|millis| millis.parse().ok());
            millis.map(Duration::from_millis).ok_or_else(not_a_fault)
        };
        Ok(match (name, argument) {
            ("unreachable", None) => Self::Unreachable,
            ("lose-request", Some(_)) => Self::LoseRequest(loss()?),
            ("lose-answer", Some(_)) => Self::LoseAnswer(loss()?),
            ("delay", Some(delay)) => Self::Delay(millis(delay)?),
            ("duplicate", None) => Self::Duplicate,
            ("late", None) => Self::Late,
            ("status", Some(argument)) => match argument.split_once(',') {
                Some((status, after)) => {
                    Self::Status { code: code(status)?, retry_after: Some(millis(after)?) }
                }
                None => Self::Status { code: code(argument)?, retry_after: None },
            },
            ("status-after", Some(status)) => Self::StatusAfter(code(status)?),
            ("html", None) => Self::HtmlErrorPage,
            ("cut-body", None) => Self::CutBody,
            ("redirect", None) => Self::Redirect,
            ("no-ack", Some(kind)) => Self::NoAck(NoAck::parse(kind).ok_or_else(not_a_fault)?),
            ("partial-ack", None) => Self::PartialAck,
            _ => return Err(not_a_fault()),
        })
    }
}

impl NoAck {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Page,
        Self::NoContent,
        Self::Empty,
        Self::Truncated,
        Self::WrongShape,
        Self::OtherAnswer,
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == text)
    }
}

impl fmt::Display for NoAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::NoContent => "no-content",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::WrongShape => "wrong-shape",
            Self::OtherAnswer => "other-answer",
        })
    }
}

impl Loss {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "interrupted" => Some(Self::Interrupted),
            "timeout" => Some(Self::Timeout),
            _ => None,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
        })
    }
}

/// A text that is not a valid fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a fault, such as lose-answer(timeout) or status(503)")]
pub struct NotAFault {
    /// The text.
    pub text: String,
}
