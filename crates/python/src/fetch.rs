//! Requests to the table's server for reading data.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::pin::{Pin, pin};
use std::sync::{Mutex, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use streamtable_transport::{ApiKey, Transport};
use streamtable_transport_hyper::{HyperConfig, HyperTransport};
use tokio::sync::oneshot;

use crate::open::Remote;
use crate::process::wait;
use crate::views;

/// The content type of Arrow's stream format.
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Maximum size of a response in bytes, since the whole response is held in memory.
const MAX_ANSWER_BYTES: usize = 4 << 30;

/// How often a wait looks for signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Sends a request to a table's server; returns the response's status and body.
pub(crate) fn fetch(
    py: Python<'_>,
    remote: &Remote,
    method: &str,
    path: &str,
    body: Option<Vec<u8>>,
    accept: &str,
    timeout: Duration,
) -> PyResult<Result<(u16, Bytes), String>> {
    let request = request(remote, method, path, body, accept);
    let request = request.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let (send, answered) = mpsc::channel();
    // On a separate thread, so that the caller can stop waiting after a signal.
    std::thread::spawn(move || send.send(exchange(request, timeout)));
    answer(py, answered)
}

/// Waits for the result of a request, until a signal ends the wait.
fn answer<T: Send>(
    py: Python<'_>,
    answered: mpsc::Receiver<Result<T, String>>,
) -> PyResult<Result<T, String>> {
    wait(py, move |keep_waiting| {
        loop {
            match answered.recv_timeout(SIGNAL_INTERVAL) {
                Err(mpsc::RecvTimeoutError::Timeout) if keep_waiting() => {}
                Ok(answer) => return answer,
                Err(_) => return Err("the request was aborted".to_owned()),
            }
        }
    })
}

fn request(
    remote: &Remote,
    method: &str,
    path: &str,
    body: Option<Vec<u8>>,
    accept: &str,
) -> Result<Request<Bytes>, http::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::try_from(accept)?);
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(key) = remote.api_key.as_ref().map(ApiKey::expose) {
        let mut value = HeaderValue::try_from(format!("Bearer {key}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(format!("{}{path}", remote.base_url));
    let mut request = request.body(Bytes::from(body.unwrap_or_default()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn exchange(request: Request<Bytes>, timeout: Duration) -> Result<(u16, Bytes), String> {
    let config = HyperConfig {
        request_timeout: timeout,
        max_response_bytes: MAX_ANSWER_BYTES,
        ..HyperConfig::from_env()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let answer = runtime.block_on(async move {
        let transport = HyperTransport::with_config(config).map_err(|error| error.to_string())?;
        transport.send(request).await.map_err(|error| error.to_string())
    })?;
    runtime.shutdown_background();
    Ok((answer.status().as_u16(), answer.into_body()))
}

/// The number of received parts that wait for their reader.
const PARTS_AHEAD: usize = 4;

/// Sends a request to a table's server; returns the response's status, and its body as it arrives.
///
/// A body in Arrow's stream format is read batch by batch; each part is a batch, as a stream of its
/// own without views.
pub(crate) fn stream(
    py: Python<'_>,
    remote: &Remote,
    method: &str,
    path: &str,
    body: Option<Vec<u8>>,
    accept: &str,
    timeout: Duration,
) -> PyResult<Result<(u16, Stream), String>> {
    let request = request(remote, method, path, body, accept);
    let request = request.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let (head, headed) = mpsc::channel();
    let (send, parts) = mpsc::sync_channel(PARTS_AHEAD);
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || receive(request, timeout, &head, send, stopped));
    let head = answer(py, headed)?;
    Ok(head.map(|(status, is_arrow)| {
        let parts = if is_arrow { batches(parts) } else { parts };
        (status, Stream { parts: Mutex::new(Some(parts)), _stop: stop })
    }))
}

type Part = Result<Bytes, String>;

/// A response that is read while it arrives.
#[pyclass(frozen, module = "streamtable._native")]
#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` after the end. Locked while a thread reads.
    parts: Mutex<Option<mpsc::Receiver<Part>>>,
    /// Ends the request when it is dropped.
    _stop: oneshot::Sender<()>,
}

#[pymethods]
impl Stream {
    /// Waits for the next part, at most `timeout` seconds; `None` waits for ever. Returns an empty
    /// part after the timeout, and `None` at the end.
    #[pyo3(signature = (timeout = None, /))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let timeout = timeout.map(|t| Duration::try_from_secs_f64(t.max(0.0)));
        let until = timeout.and_then(Result::ok).and_then(|t| Instant::now().checked_add(t));
        let Ok(mut parts) = self.parts.try_lock() else {
            return Err(PyValueError::new_err("another thread is reading this response"));
        };
        let Some(receiver) = parts.as_mut() else { return Ok(None) };
        let part = wait(py, move |keep_waiting| {
            loop {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                let step = left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL));
                match receiver.recv_timeout(step) {
                    Ok(part) => return Some(part),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
                if left.is_some_and(|left| left.is_zero()) || !keep_waiting() {
                    return Some(Ok(Bytes::new()));
                }
            }
        })?;
        match part {
            Some(Ok(part)) => Ok(Some(PyBytes::new(py, &part))),
            Some(Err(error)) => {
                *parts = None;
                Err(PyConnectionError::new_err(error))
            }
            None => {
                *parts = None;
                Ok(None)
            }
        }
    }
}

/// Sends a request, then its response's head and the parts of the body. Ends if they are not
/// wanted any more.
fn receive(
    request: Request<Bytes>,
    timeout: Duration,
    head: &mpsc::Sender<Result<(u16, bool), String>>,
    parts: mpsc::SyncSender<Part>,
    mut stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(head.send(Err(error.to_string()))),
    };
    runtime.block_on(async move {
        let answer = match begin(request, timeout).await {
            Ok(answer) => answer,
            Err(error) => return drop(head.send(Err(error))),
        };
        let is_arrow = answer.status().is_success()
            && answer.headers().get(CONTENT_TYPE).is_some_and(|value| value == ARROW);
        let _ = head.send(Ok((answer.status().as_u16(), is_arrow)));
        let mut body = answer.into_body();
        loop {
            let next = {
                let mut frame = pin!(body.frame());
                // Ready with `None` once the reader is dropped.
                poll_fn(|context| match Pin::new(&mut stopped).poll(context) {
                    Poll::Ready(_) => Poll::Ready(None),
                    Poll::Pending => frame.as_mut().poll(context),
                })
                .await
            };
            let part = match next {
                None => return,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Ok(data),
                    _ => continue,
                },
                Some(Err(error)) => Err(format!("the server aborted its response: {error}")),
            };
            let is_last = part.is_err();
            // The runtime has nothing else to do while the reader is slower.
            if parts.send(part).is_err() || is_last {
                return;
            }
        }
    });
    runtime.shutdown_background();
}

async fn begin(
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<impl BodyExt<Data = Bytes, Error: Display> + Unpin>, String> {
    let config = HyperConfig { request_timeout: timeout, ..HyperConfig::from_env() };
    let transport = HyperTransport::with_config(config).map_err(|error| error.to_string())?;
    match tokio::time::timeout(timeout, transport.stream(request)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the server did not respond within {} s", timeout.as_secs_f64())),
    }
}

/// Reads parts of Arrow's stream format, and returns its batches.
fn batches(parts: mpsc::Receiver<Part>) -> mpsc::Receiver<Part> {
    let (send, batches) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let reader = Parts { parts, current: Bytes::new() };
        let each = |batch: Vec<u8>| send.send(Ok(batch.into())).is_ok();
        if let Err(error) = views::replace_each(reader, each) {
            let _ = send.send(Err(error.to_string()));
        }
    });
    batches
}

/// Received parts as a reader.
struct Parts {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.parts.recv() {
                Ok(part) => self.current = part.map_err(io::Error::other)?,
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}
