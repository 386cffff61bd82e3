//! Every request: counted, timed, and named in the log by an id.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use prometheus_client::metrics::gauge::Gauge;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Metrics, RequestLabels, RouteLabels};

/// The id of a request, in the request if its sender chooses one, and always in the response.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a request.
const MAX_ID: usize = 64;

/// The label of requests that no route answers.
const NO_ROUTE: &str = "none";

/// Middleware that counts and times a request, and gives it an id, which is in every line that is
/// logged while the request is handled.
pub(crate) async fn observe(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, |path| path.as_str());
    let (route, method) = (route.to_owned(), method_label(request.method()));
    let id = id_of(&request);
    // Of the level of errors, so that it is in their lines, too.
    let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
    let running = Running::new(&metrics.requests.running);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span).await;
    drop(running);
    let seconds = started.elapsed().as_secs_f64();
    let labels = RouteLabels { route: route.clone() };
    metrics.requests.seconds.get_or_create(&labels).observe(seconds);
    let status = response.status().as_u16();
    metrics.requests.answered.get_or_create(&RequestLabels { method, route, status }).inc();
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Counts something that is running, until it is dropped.
#[derive(Debug)]
pub(super) struct Running(Gauge);

impl Running {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Returns the request's own id if it is short and plain, otherwise a new one.
fn id_of(request: &Request) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        let mut bytes = id.as_bytes().iter();
        (1..=MAX_ID).contains(&id.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
    };
    request.headers().get(REQUEST_ID).filter(is_plain).cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().simple().to_string();
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
    })
}

/// Returns the method, if it is a usual one: a client can make up others without end.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn ids_of_requests() {
        let check = |id: Option<&str>, is_kept: bool| {
            let mut request = Request::new(Body::empty());
            if let Some(id) = id {
                request.headers_mut().insert(REQUEST_ID, id.parse().unwrap());
            }
            let found = id_of(&request);
            assert_eq!(id == Some(found.to_str().unwrap()), is_kept, "{id:?}: {found:?}");
            assert!(!found.is_empty());
        };
        check(Some("01J9-a.b_c:7"), true);
        check(None, false);
        check(Some(""), false);
        check(Some("a b"), false);
        check(Some("<script>"), false);
        check(Some(&"a".repeat(64)), true);
        check(Some(&"a".repeat(65)), false);
    }
}
