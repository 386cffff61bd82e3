use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

/// What goes wrong with one request.
///
/// Printed and parsed as text, durations to the millisecond: `late`, `lose-answer(timeout)`,
/// `delay(1500ms)`, `status(429,7000ms)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// There is no connection: nothing was sent, and the client knows.
    Unreachable,
    /// The request never arrives.
    LoseRequest(Loss),
    /// The request is acted upon, its answer never arrives.
    LoseAnswer(Loss),
    /// The request is acted upon at once, its answer comes after a while.
    Delay(Duration),
    /// The request arrives twice, back to back; the second answer is the one that comes back.
    Duplicate,
    /// The client sees a timeout. The request arrives once the next request of its kind was
    /// handled, or with [`settle`](crate::MockBackend::settle).
    Late,
    /// The request is refused with this status and not acted upon.
    Status {
        /// The status.
        code: StatusCode,
        /// The header `Retry-After`, in seconds with what fraction there is.
        retry_after: Option<Duration>,
    },
    /// The request is acted upon, and answered with this status: a proxy lost the true answer.
    StatusAfter(StatusCode),
    /// A page of HTML with the status 502, as a proxy shows when nobody is behind it. The request
    /// is not acted upon.
    HtmlErrorPage,
    /// The request is acted upon; the connection dies in the middle of the answer.
    CutBody,
    /// The request is not acted upon but sent elsewhere, with the status 307.
    Redirect,
    /// An answer with a success status that is not an acknowledgement.
    NoAck(NoAck),
    /// Of a post with several rows, only the first half arrives; the answer says so. Posts to a mock
    /// whose answers do not [state what they cover](crate::MockConfig::acks) arrive whole.
    PartialAck,
}

/// An answer with a success status that is not an acknowledgement. Where not said otherwise, the
/// request is not acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoAck {
    /// 200 with an HTML page, as a captive portal answers.
    Page,
    /// 204.
    NoContent,
    /// 200 with an empty body.
    Empty,
    /// The request is acted upon; of the answer's body only the first half comes, in an answer that
    /// looks whole.
    Truncated,
    /// 200 with JSON of the wrong shape.
    WrongShape,
    /// The answer to another request.
    OtherAnswer,
}

/// How a client sees that something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The connection breaks.
    Interrupted,
    /// Nothing comes.
    Timeout,
}

impl Fault {
    /// Makes the fault of a status that is answered instead of acting.
    ///
    /// # Panics
    ///
    /// When `code` is not between 100 and 999.
    pub fn status(code: u16) -> Self {
        let code = StatusCode::from_u16(code).expect("a status has three digits");
        Self::Status { code, retry_after: None }
    }

    /// Makes the fault of a status with `Retry-After`.
    ///
    /// # Panics
    ///
    /// When `code` is not between 100 and 999.
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
    /// Every kind.
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

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no fault, such as lose-answer(timeout) or status(503)")]
pub struct NotAFault {
    /// The text.
    pub text: String,
}
