//! Requests to the native API.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use streamtable_schema::{Row, TableName, TablePath, Value};
use streamtable_transport::{
    AnyTransport, AttemptTimeout, Body, Origin, Transport, TransportError, TransportExt,
};
use streamtable_url::BaseUrl;
use streamtable_wire::graphql::{self, WhoAmI};
use streamtable_wire::{GRAPHQL_PATH, json};

use super::ReadError;
use super::blocking::SharedThread;
use crate::{OpenError, Settings};

/// Timeout of requests whose response is short.
const SHORT_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum size of an error response in bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// A server whose tables are read.
#[derive(Clone, Debug)]
pub(super) struct Server {
    transport: AnyTransport,
    base: BaseUrl,
    /// The server's host and port, for messages.
    host: Arc<str>,
    settings: Arc<Settings>,
    /// For callers without a runtime.
    pub(super) thread: SharedThread,
}

impl Server {
    pub(super) fn new(
        transport: impl Transport + 'static,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let address = |reason: String| OpenError::Address { reason };
        let base = settings.base_url.parse::<BaseUrl>().map_err(|e| address(e.to_string()))?;
        let origin = base.as_str().parse::<Origin>().map_err(|e| address(e.to_string()))?;
        let host = origin.authority();
        let Some(key) = &settings.api_key else { return Err(OpenError::NoKey { host }) };
        let agent = HeaderValue::from_static(concat!("streamtable/", env!("CARGO_PKG_VERSION")));
        let headers = HeaderMap::from_iter([(USER_AGENT, agent)]);
        let transport = transport.with_headers(headers).with_auth(origin, key).traced().erased();
        Ok(Self {
            transport,
            base,
            host: host.into(),
            settings: Arc::new(settings),
            thread: SharedThread::default(),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Completes the name of a table from the settings; the server knows the default entity.
    pub(super) async fn table(&self, name: &str) -> Result<TablePath, ReadError> {
        let mut name = self.settings.complete(name.parse::<TableName>()?)?;
        if name.entity().is_none() {
            let entity = self.default_entity().await?.ok_or(ReadError::NoEntity)?;
            name = name.with_entity(&entity)?;
        }
        Ok(name.to_path()?)
    }

    async fn default_entity(&self) -> Result<Option<String>, ReadError> {
        let body = graphql::request_body(&WhoAmI {});
        let request = self.request(Method::POST, GRAPHQL_PATH, "application/json", body)?;
        let body = self.whole(request).await?;
        let answer = graphql::parse_answer::<WhoAmI>(&body);
        let answer = answer.map_err(|error| self.not_an_answer(error.to_string()))?;
        Ok(answer.viewer.and_then(|viewer| viewer.default_entity).map(|entity| entity.name))
    }

    /// Makes a request for a response of the content type `accept`.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        accept: &'static str,
        body: Vec<u8>,
    ) -> Result<Request<Bytes>, ReadError> {
        let uri = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header(ACCEPT, accept);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(body.into())
            .map_err(|error| TransportError::InvalidRequest { reason: error.to_string() }.into())
    }

    /// Sends a request, and returns the response when its head has arrived and says that it is what
    /// was asked for.
    pub(super) async fn send(
        &self,
        mut request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response<Box<dyn Body>>, ReadError> {
        request.extensions_mut().insert(AttemptTimeout(timeout));
        let accept = request.headers()[ACCEPT].clone();
        let mut response = self.transport.send_streaming(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(&mut response).await);
        }
        let content = response.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        if !content.starts_with(accept.as_bytes()) {
            let content = String::from_utf8_lossy(content);
            return Err(self.not_an_answer(format!("the content type is {content:?}")));
        }
        Ok(response)
    }

    async fn whole(&self, request: Request<Bytes>) -> Result<Vec<u8>, ReadError> {
        let mut body = self.send(request, SHORT_TIMEOUT).await?.into_body();
        start_of(&mut *body).await.map_err(ReadError::from)
    }

    async fn refusal(&self, response: &mut Response<Box<dyn Body>>) -> ReadError {
        let status = response.status();
        let body = start_of(&mut **response.body_mut()).await.unwrap_or_default();
        let message = match graphql::error_messages(&body).join("; ") {
            none if none.is_empty() => format!("{} responded with {status}", self.host),
            message => message,
        };
        ReadError::Refused { status, message }
    }

    pub(super) fn not_an_answer(&self, reason: impl Into<String>) -> ReadError {
        ReadError::Answer { host: self.host.to_string(), reason: reason.into() }
    }

    /// Parses a row of a response.
    pub(super) fn parse(&self, line: &str) -> Result<Row, ReadError> {
        match json::parse(line) {
            Ok(Value::Struct(row)) => Ok(row),
            Ok(_) => Err(self.not_an_answer("a row is not an object")),
            Err(error) => Err(self.not_an_answer(error.to_string())),
        }
    }
}

/// Reads a body, up to the maximum.
async fn start_of(body: &mut dyn Body) -> Result<Vec<u8>, TransportError> {
    let mut start = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        start.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BYTES - start.len())]);
    }
    Ok(start)
}
