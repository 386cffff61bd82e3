//! Handling of one request, with the fault that applies to it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use streamtable_wire::{FileStreamAnswer, RowsAnswer, UploadAnswer};

use crate::refusal::{error_response, json_response, response};
use crate::state::{Class, Late, State, announce};
use crate::{Fault, Loss, MockBackend, MockConfig, NoAck, RequestKind};
use crate::{binary_rows, file_stream};

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Response<Bytes>),
    /// The connection ends in the middle of this response.
    Cut(Response<Bytes>),
    Lost(Loss),
    Unreachable,
}

impl MockBackend {
    /// Handles a request that was sent to `base`, with the fault that applies to it, and returns
    /// how long the response takes.
    pub(crate) fn receive(
        &self,
        base: &str,
        request: Request<Bytes>,
    ) -> (Outcome, Option<Duration>) {
        let config = self.config();
        let mut state = self.state();
        let Class { kind, operation, .. } = Class::of(base, &request);
        let fault = state.schedule.next(kind, operation.as_deref());
        let act = |state: &mut State| deliver(state, config, base, &request, kind, fault.as_ref());
        let Some(fault) = &fault else { return (Outcome::Answer(act(&mut state)), None) };
        let answer = match fault {
            Fault::LoseAnswer(loss) => {
                act(&mut state);
                return (Outcome::Lost(*loss), None);
            }
            Fault::Delay(delay) => return (Outcome::Answer(act(&mut state)), Some(*delay)),
            Fault::Duplicate => {
                state.handle(config, base, &request, Some(fault));
                return (Outcome::Answer(act(&mut state)), None);
            }
            Fault::NoAck(NoAck::Truncated) => {
                let mut answer = act(&mut state);
                let half = answer.body().len() / 2;
                answer.body_mut().truncate(half);
                return (Outcome::Answer(answer), None);
            }
            Fault::PartialAck => {
                let is_plain = !request.headers().contains_key(CONTENT_ENCODING);
                let half =
                    (config.acks && is_plain && kind == RequestKind::FileStream).then(|| {
                        match binary_rows::has_rows(&request) {
                            true => binary_rows::first_half(request.body()),
                            false => file_stream::first_half(request.body()),
                        }
                    });
                let mut part = request.clone();
                if let Some(half) = half.flatten() {
                    *part.body_mut() = half.into();
                }
                let answer = deliver(&mut state, config, base, &part, kind, Some(fault));
                return (Outcome::Answer(answer), None);
            }
            Fault::CutBody => return (Outcome::Cut(act(&mut state)), None),
            Fault::StatusAfter(code) => {
                act(&mut state);
                let answer = error_response(*code, "injected: the response was lost");
                return (Outcome::Answer(answer), None);
            }
            Fault::Late => {
                state.late.push(Late { kind, base: base.to_owned(), request });
                return (Outcome::Lost(Loss::Timeout), None);
            }
            Fault::Unreachable => {
                state.note(config, base, &request, Some(fault), None);
                return (Outcome::Unreachable, None);
            }
            Fault::LoseRequest(loss) => {
                state.note(config, base, &request, Some(fault), None);
                return (Outcome::Lost(*loss), None);
            }
            Fault::Status { code, retry_after } => {
                let mut answer = refused(*code, *retry_after);
                announce(config, &mut answer);
                answer
            }
            Fault::HtmlErrorPage => {
                let page =
                    Bytes::from_static(b"<html><body><h1>502 Bad Gateway</h1></body></html>");
                response(StatusCode::BAD_GATEWAY, "text/html", page)
            }
            Fault::NoAck(no_ack) => false_answer(*no_ack, kind, &request),
            Fault::Redirect => {
                let mut answer = error_response(StatusCode::TEMPORARY_REDIRECT, "go elsewhere");
                let elsewhere = HeaderValue::from_static("http://elsewhere.invalid/");
                answer.headers_mut().insert(LOCATION, elsewhere);
                answer
            }
        };
        state.note(config, base, &request, Some(fault), Some(answer.status()));
        (Outcome::Answer(answer), None)
    }

    /// Waits, if there is a timer.
    pub(crate) async fn wait(&self, duration: Duration) {
        if let Some(timer) = &self.config().timer {
            timer.sleep(duration).await;
        }
    }
}

/// Handles a request, then the delayed requests of the same kind.
fn deliver(
    state: &mut State,
    config: &MockConfig,
    base: &str,
    request: &Request<Bytes>,
    kind: RequestKind,
    fault: Option<&Fault>,
) -> Response<Bytes> {
    let answer = state.handle(config, base, request, fault);
    let late = std::mem::take(&mut state.late);
    let (due, rest) = late.into_iter().partition(|late: &Late| late.kind == kind);
    state.late = rest;
    for Late { base, request, .. } in &due {
        state.handle(config, base, request, Some(&Fault::Late));
    }
    answer
}

/// Creates a response with a success status that is not from this server.
fn false_answer(no_ack: NoAck, kind: RequestKind, request: &Request<Bytes>) -> Response<Bytes> {
    let json = |body: Vec<u8>| json_response(StatusCode::OK, body);
    match no_ack {
        NoAck::Page => {
            let page = b"<html><body>Please accept our terms</body></html>";
            response(StatusCode::OK, "text/html", Bytes::from_static(page))
        }
        NoAck::NoContent => {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        NoAck::Empty | NoAck::Truncated => Response::new(Bytes::new()),
        NoAck::WrongShape => json(match kind {
            RequestKind::Graphql => br#"{"data":{}}"#.to_vec(),
            RequestKind::FileStream => br#"{"acked":"all","rejected":7}"#.to_vec(),
            _ => br#"["stored"]"#.to_vec(),
        }),
        NoAck::OtherAnswer => json(match kind {
            RequestKind::Graphql => br#"{"data":{"other":null}}"#.to_vec(),
            RequestKind::FileStream => {
                if let Some((offset, lines)) = binary_rows::extent(request) {
                    let writer = "another".to_owned();
                    let (next_line, request) = (offset + lines as u64, Some(writer.clone()));
                    let (rejected, rejected_rows) = (Vec::new(), 0);
                    let answer = RowsAnswer { writer, next_line, rejected, rejected_rows, request };
                    return json(answer.to_bytes());
                }
                let extent = file_stream::extent(request.body());
                let end = extent.map(|(offset, lines)| offset + lines as u64);
                let request = Some("another".to_owned());
                FileStreamAnswer { acked: end, request, ..FileStreamAnswer::default() }.to_bytes()
            }
            _ => UploadAnswer::of(b"the bytes of another upload").to_bytes(),
        }),
    }
}

fn refused(code: StatusCode, retry_after: Option<Duration>) -> Response<Bytes> {
    let reason = code.canonical_reason().unwrap_or("refused");
    let mut answer = error_response(code, &format!("injected: {reason}"));
    if let Some(after) = retry_after {
        let seconds = match after.subsec_nanos() {
            0 => after.as_secs().to_string(),
            _ => after.as_secs_f64().to_string(),
        };
        if let Ok(seconds) = HeaderValue::try_from(seconds) {
            answer.headers_mut().insert(RETRY_AFTER, seconds);
        }
    }
    answer
}
