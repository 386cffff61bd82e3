//! Requests to the table's server for reading data.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use streamtable_transport::{ApiKey, Transport};
use streamtable_transport_hyper::{HyperConfig, HyperTransport};

use crate::open::Remote;
use crate::process::wait;

/// Maximum size of a response in bytes, since the whole response is held in memory.
const MAX_ANSWER_BYTES: usize = 4 << 30;

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
    wait(py, move |keep_waiting| {
        loop {
            match answered.recv_timeout(Duration::from_millis(50)) {
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
